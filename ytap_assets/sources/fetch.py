"""What every source hands over: the outcome of one fetch (or one file), ready to be stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Fetch:
    """One fetch of one target, or one file read.

    Attributes:
        log: The row of ``collection_log``; ``fetched`` = rows + quarantined. ``accepted`` and
            ``duplicates`` are 0 until the rows are stored, when the lake knows which were new.
        rows: Rows of the table the source feeds (``raw_trends`` or ``video_metrics``).
        quarantined: Rows of ``quarantined_rows``.
        payloads: Rows of ``raw_payloads``; empty for files, which stay where they are.
    """

    log: dict[str, Any]
    rows: pl.DataFrame
    quarantined: pl.DataFrame
    payloads: pl.DataFrame
