"""Search everything that a lake and its data folder hold for a text."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

from ytap_assets.lakehouse.connection import find_files
from ytap_assets.lakehouse.s3_files import S3Files
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import change_catalog

_TABLES = """
SELECT table_schema, table_name FROM information_schema.tables
WHERE table_schema NOT IN ('pg_catalog', 'information_schema')
"""
_CHUNK = 1 << 24


def find_traces(settings: Settings, text: str, *, but: tuple[Path, ...] = ()) -> list[str]:
    """The places that hold a text.

    Searched are the names and the bytes of every file of the data folder, those of the catalog
    and its journal included; the names and bytes of the lake's files in S3; the values and the
    footer of every Parquet file; and every row of every table of a catalog in PostgreSQL, with the
    planner's statistics.

    Args:
        settings: The installation.
        text: In ASCII, so that its bytes are the same in every encoding that is used.
        but: Folders that are left out.
    """
    found = [
        place
        for place, content in (*_read_folder(settings.data, but), *_read_bucket(settings))
        if text in place or text.encode() in content or text in _read_values(place, content)
    ]
    return found + [place for place, row in _read_database(settings) if text in row]


def _read_folder(folder: Path, but: tuple[Path, ...]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if any(path.is_relative_to(one) for one in but):
            continue
        yield str(path.relative_to(folder)), path.read_bytes() if path.is_file() else b""


def _read_bucket(settings: Settings) -> Iterator[tuple[str, bytes]]:
    if settings.bucket is None:
        return
    for suffix in ("", "/.commits"):
        files = find_files(settings).beside(suffix) if suffix else find_files(settings)
        assert isinstance(files, S3Files)
        for name in files.list_parquet():
            with files.read(name) as stream:
                yield f"{files.root}{name}", stream.read(_CHUNK)


def _read_values(place: str, content: bytes) -> str:
    if not place.endswith(".parquet"):
        return ""
    file = pq.ParquetFile(io.BytesIO(content))
    return f"{file.metadata.to_dict()} {file.metadata.metadata} {file.read().to_pylist()}"


def _read_database(settings: Settings) -> Iterator[tuple[str, str]]:
    if settings.database is None:
        return
    for schema, table in change_catalog(settings, _TABLES):
        for (row,) in change_catalog(settings, f'SELECT t::text FROM "{schema}"."{table}" t'):
            yield f"{schema}.{table}", f"{table} {row}"
    for row in change_catalog(
        settings,
        "SELECT tablename, attname, most_common_vals::text, histogram_bounds::text FROM pg_stats"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')",
    ):
        yield "pg_stats", json.dumps(row)
