"""Stored payloads, read again: what a mended parser makes of what was collected before.

Belongs here: from rows of `raw_payloads` back to exchanges. Does not belong here: the parsers
(each platform's module), or the network.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl

from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.errors import SourceError
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fetching import frame_quarantined
from ytap_assets.sources.source import Answers
from ytap_assets.tables import QUARANTINED_ROWS, RAW_TRENDS, Table


def parse_payloads(
    payloads: pl.DataFrame,
    table: Table = RAW_TRENDS,
    *,
    catalog: Catalog = CATALOG,
    on_problem: Callable[[SourceError], None] = lambda _: None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read stored payloads again, with the parsers that read them first; no network.

    The rows carry the collection and the observation time they had, so storing them again adds
    only what was missing.

    Args:
        payloads: Rows of ``raw_payloads``, whole collections of any workspaces and days.
        table: Which table's sources are read.
        catalog: The sources there are.
        on_problem: Called for each collection with a response that cannot be read at all.

    Returns:
        Rows of ``table`` and of ``quarantined_rows``.
    """
    rows, quarantined = [table.empty()], [QUARANTINED_ROWS.empty()]
    ordered = payloads.sort("workspace_id", "day", "collection_id", "payload_id")
    for collection in ordered.partition_by("workspace_id", "collection_id", maintain_order=True):
        first = collection.row(0, named=True)
        source = catalog.find(first["source"], first["url"])
        if source is None or source.table is not table:
            continue
        shared = {name: first[name] for name in ("workspace_id", "day", "collection_id")}
        exchanges = [_restore(payload) for payload in collection.iter_rows(named=True)]
        parsed = source.parse(Answers(first["day"], exchanges))
        if parsed.problem is not None:
            on_problem(parsed.problem)
        rows.append(table.frame([{**row, **shared} for row in parsed.rows]))
        quarantined.append(frame_quarantined(parsed.unreadable, source.name, shared))
    return pl.concat(rows), pl.concat(quarantined)


def _restore(payload: dict[str, Any]) -> Exchange:
    return Exchange(
        url=payload["url"],
        status=payload["http_status"],
        headers={},
        body=payload["body"],
        fetched_at=payload["fetched_at"],
        is_truncated=payload["is_truncated"],
    )
