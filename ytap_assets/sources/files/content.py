"""A file's bytes: read once, hashed, unpacked under a cap, handed out as text.

Belongs here: bytes, gzip, encodings, sizes. Does not belong here: rows and columns.
"""

from __future__ import annotations

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

from ytap_assets.errors import ImportRefusedError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_BYTES = 256 * 1024 * 1024
"""The largest file, unpacked. Four times the largest trending table known (60 MB)."""
_GZIP_MAGIC = b"\x1f\x8b"
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
        (`is_damaged`).

        Raises:
            ImportRefusedError: The gzip data is broken or unpacks to more than `MAX_BYTES`.
        """
        packed = self.stored.startswith(_GZIP_MAGIC)
        raw: io.BufferedIOBase = io.BytesIO(self.stored)
        if packed:
            raw = gzip.GzipFile(fileobj=raw)
        capped = io.BufferedReader(_Capped(raw, self.name))
        text = io.TextIOWrapper(capped, "utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield text
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ImportRefusedError(
                f"{self.name}: the gzip data is broken ({error}); fetch the file again, or unpack "
                "what can be unpacked and import that"
            ) from error


class _Capped(io.RawIOBase):
    """Bytes of another file, up to `MAX_BYTES`."""

    def __init__(self, inner: io.BufferedIOBase, name: str) -> None:
        self._inner = inner
        self._name = name
        self._left = MAX_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        count = self._inner.readinto(buffer)
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
        if not path.is_file():
            raise ImportRefusedError(f"{name}: no such file")
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
