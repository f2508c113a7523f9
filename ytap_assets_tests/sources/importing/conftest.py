"""What tests of files share: a file of given bytes, read as a workspace's import."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pytest

from ytap_assets.sources.importing import Format, read_trend_file
from ytap_assets.sources.source import Fetch


class Read(Protocol):
    """Writes a file and reads it."""

    def __call__(
        self,
        name: str,
        text: str | bytes,
        *,
        source: str = ...,
        region: str | None = ...,
        observed_on: date | None = ...,
        workspace_id: str = ...,
        formats: Sequence[Format] | None = ...,
    ) -> Fetch: ...


def pack_zstd(content: bytes) -> bytes:
    """Bytes as one frame of zstd."""
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(content)
    return bytes(sink.getvalue().to_pybytes())


@pytest.fixture
def read(tmp_path: Path, now: datetime) -> Read:
    def write_and_read(
        name: str,
        text: str | bytes,
        *,
        source: str = "youtube",
        region: str | None = None,
        observed_on: date | None = None,
        workspace_id: str = "tech",
        formats: Sequence[Format] | None = None,
    ) -> Fetch:
        content = text.encode() if isinstance(text, str) else text
        path = tmp_path / name
        path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
        return read_trend_file(
            path,
            workspace_id=workspace_id,
            source=source,
            region=region,
            observed_on=observed_on,
            now=now,
            run_id="run-1",
            formats=formats,
        )

    return write_and_read
