"""Tell what is the disk's fault: no space left, or a file that is missing or damaged.

DuckDB names a full disk in four ways, one of them "disk I/O error": SQLite could not even make its
shared memory file. Belongs here: recognizing it. Does not belong here: freeing space.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ytap_assets.lakehouse.errors import DiskFullError
from ytap_assets.settings import Settings

UNREADABLE = (
    "a file of the lake is missing or damaged: check YTAP_DATA_PATH and YTAP_CATALOG; `ytap doctor`"
    " looks at the lake, `ytap restore` puts a backup back"
)
_PHRASES = ("no space left on device", "database or disk is full", "disk quota exceeded")
_VAGUE = ("disk i/o error", "could not write")
_FILES = (".parquet", "catalog.sqlite", "disk image is malformed", "new DuckLake is explicitly")
_CRAMPED_BYTES = 256 * 1024
_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def naming_full_disk(settings: Settings) -> Iterator[None]:
    """Turn failures that a full disk caused into one that says so.

    Raises:
        DiskFullError: The disk of the catalog or of the files has no space left.
    """
    try:
        yield
    except (duckdb.Error, OSError) as error:
        if not is_full(error, settings.catalog.parent, settings.data_path):
            raise
        raise DiskFullError(
            f"no space left on the disk of {settings.catalog} or {settings.data_path}: nothing was"
            " written and the previous rows stay; free some space and run it again"
            " (`ytap maintain` sweeps what the failed write left)"
        ) from error


def is_unreadable(error: BaseException) -> bool:
    """Whether DuckDB failed over a file of the lake, and not over what it was asked.

    What is no error of SQL has no class of its own in DuckDB: the readers of Parquet and of SQLite
    raise the base class.
    """
    files = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException)
    return isinstance(error, duckdb.Error) and (
        type(error) is duckdb.Error
        or isinstance(error, files)
        or any(sign in str(error) for sign in _FILES)
    )


def is_full(error: Exception, *folders: Path) -> bool:
    """Whether an error says that a disk is full; where it is vague, the folders' disks decide."""
    if isinstance(error, OSError):
        return error.errno in _ERRNOS
    text = str(error).lower()
    if any(phrase in text for phrase in _PHRASES):
        return True
    return any(phrase in text for phrase in _VAGUE) and any(map(_is_cramped, folders))


def _is_cramped(folder: Path) -> bool:
    place = next((path for path in (folder, *folder.parents) if path.is_dir()), folder)
    return place.is_dir() and shutil.disk_usage(place).free < _CRAMPED_BYTES
