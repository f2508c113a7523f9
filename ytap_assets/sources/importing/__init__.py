"""Recorded trending tables read from files: bytes in, typed rows out.

Which formats are known is data (`formats.yaml`), not code: a new format is an entry there. The
steps: `records` (bytes, text, size limits) -> `trend_files` (which format fits, or why the file is
refused) -> `csv_records` or `json_records` (cells of text with their positions) -> `conversion`
(typed columns, reasons) -> a `Fetch`. `formats` has the declarations.
Belongs here: files that hold observations. Does not belong here: HTTP, and storing the rows.
"""

from __future__ import annotations

from ytap_assets.sources.importing.formats import Column, Format, known_formats, parse_formats
from ytap_assets.sources.importing.trend_files import (
    check_region,
    describe_reasons,
    read_trend_file,
)

__all__ = [
    "Column",
    "Format",
    "check_region",
    "describe_reasons",
    "known_formats",
    "parse_formats",
    "read_trend_file",
]
