"""Operations on a batch, for tests of a single workspace."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import polars as pl

from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Batch, Platform, Results, Slice, Written, publish_batch
from ytap_assets.tables import Table

RUN = Run("run-1", "test", "alone")


def run_alone(
    work: Callable[[Batch], Results],
    platform: Platform,
    workspace_id: str,
    days: Days | date | None,
) -> Written:
    """What an operation wrote for a batch of one slice; its failure is raised."""
    if isinstance(days, date):
        days = (days, days)
    batch, problems = platform.batch({workspace_id: [days]}, RUN)
    for problem in problems.values():
        raise problem
    return _single(work(batch))


def publish_alone(slice_: Slice, table: Table, frame: pl.DataFrame) -> Written:
    """Publish one slice; a refusal is raised."""
    batch = Batch(slice_.platform, (slice_,), slice_.run)
    return _single(publish_batch(batch, table, {slice_.scope: frame}))


def _single(results: Results) -> Written:
    (found,) = results.values()
    if isinstance(found, Exception):
        raise found
    return found
