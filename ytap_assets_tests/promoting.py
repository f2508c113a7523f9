"""Production of one workspace, as tests ask for it."""

from __future__ import annotations

import polars as pl

from ytap_assets.operations.platform import Batch, Slice, Written
from ytap_assets.operations.production import advance
from ytap_assets.tables import PRODUCTION_RECORDS


def advance_one(slice_: Slice, promotion: str) -> Written:
    """Promote one workspace; raises what it failed with."""
    [made] = advance(Batch(slice_.platform, (slice_,), slice_.run), promotion).values()
    if isinstance(made, Exception):
        raise made
    return made


def stored_records(slice_: Slice) -> pl.DataFrame:
    """The records as they are stored, sorted by script: each commit keeps them current."""
    reader = slice_.platform.lake.reader(slice_.workspace_id)
    return reader.read(PRODUCTION_RECORDS).sort("script_id")
