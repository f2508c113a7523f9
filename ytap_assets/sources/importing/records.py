"""A file's bytes: read once, hashed, unpacked under a cap, handed out as text.

Belongs here: bytes, gzip and zstd, encodings, sizes. Does not belong here: rows and columns.
"""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import pyarrow as pa

from ytap_assets.errors import ImportRefusedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_BYTES = 256 * 1024 * 1024
"""The largest file, unpacked. Four times the largest trending table known (60 MB)."""
_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Content:
    """A file as read.

    Attributes:
        name: The file's name, without folders, always valid Unicode.
        stored: Its bytes as they are on disk.
        sha256: Their hash, in hex.
    """

    name: str
    stored: bytes
    sha256: str

    @contextmanager
    def open_text(self) -> Iterator[TextIO]:
        """Open the file's text from its start; may be called again and again.

        Line ends are kept as they are and a byte order mark is left out. Bytes that are not
        UTF-8 become lone surrogates, so that only the rows that hold them are lost
        (`is_damaged`); in UTF-16, which only its mark tells, they become U+FFFD.

        Raises:
            ImportRefusedError: The packed data is broken or unpacks to more than `MAX_BYTES`.
        """
        capped = io.BufferedReader(_Capped(self._open_bytes(), self.name))
        encoding, errors = "utf-8-sig", "surrogateescape"
        if capped.peek(2)[:2] in _UTF16_MARKS:
            encoding, errors = "utf-16", "replace"
        yield io.TextIOWrapper(capped, encoding, errors=errors, newline="")

    def _open_bytes(self) -> io.BufferedIOBase | pa.NativeFile:
        if self.stored.startswith(_GZIP_MAGIC):
            return gzip.GzipFile(fileobj=io.BytesIO(self.stored))
        if self.stored.startswith(_ZSTD_MAGIC):
            return pa.CompressedInputStream(pa.BufferReader(self.stored), "zstd")
        return io.BytesIO(self.stored)


class _Capped(io.RawIOBase):
    """Bytes of another file, up to `MAX_BYTES`."""

    def __init__(self, inner: io.BufferedIOBase | pa.NativeFile, name: str) -> None:
        self._inner = inner
        self._name = name
        self._left = MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            count: int = self._inner.readinto(buffer)
        except (EOFError, zlib.error, OSError) as error:  # of data in memory: it cannot be unpacked
            advice = "fetch the file again, or unpack what can be unpacked and import that"
            if "too much memory" in str(error):
                advice = "its window is too large to be unpacked here: use `zstd -d --long=31`"
            raise ImportRefusedError(
                f"{self._name}: the compressed data is broken ({error}); {advice}"
            ) from error
        self._left -= count
        if self._left < 0:
            raise ImportRefusedError(
                f"{self._name}: unpacks to more than {MAX_BYTES // 2**20} MiB; split it and "
                "import the parts"
            )
        return count


def read_content(path: Path) -> Content:
    """Read a file.

    Raises:
        ImportRefusedError: There is no such file, it cannot be read, or it is too large.
    """
    name = make_printable(path.name)
    try:
        if path.is_dir():
            raise ImportRefusedError(
                f"{make_printable(str(path))}: no such file: it is a folder without files"
            )
        if not path.is_file():
            raise ImportRefusedError(f"{make_printable(str(path))}: no such file")
        if path.stat().st_size > MAX_BYTES:
            raise ImportRefusedError(f"{name}: larger than {MAX_BYTES // 2**20} MiB; split it")
        stored = path.read_bytes()
    except OSError as error:
        raise ImportRefusedError(f"{name}: cannot be read: {error.strerror}") from error
    return Content(name=name, stored=stored, sha256=hashlib.sha256(stored).hexdigest())


def is_damaged(text: str) -> bool:
    """Whether the text holds what is not Unicode: bytes that were not UTF-8, lone surrogates."""
    return not text.isascii() and _SURROGATES.search(text) is not None


def make_printable(text: str) -> str:
    r"""The text with damage and NUL characters written out (``\xff``), fit to be stored."""
    whole = text if not is_damaged(text) else _write_out(text)
    return whole.replace("\0", "\\x00")


def _write_out(text: str) -> str:
    return _SURROGATES.sub(lambda found: _escape(ord(found[0])), text)


def _escape(code: int) -> str:
    # Decoding put the byte 0xNN that was not UTF-8 at U+DCNN.
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"
