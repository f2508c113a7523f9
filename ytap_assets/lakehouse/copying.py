"""How files are copied onto a disk, in folders that are gone unless they are finished.

Belongs here: what backups, restores and verifications share: the lock that keeps them apart, their
unfinished folders, copying bytes, what a failing disk is called. Does not belong here: what is
copied (`backup`, `restore`).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from uuid import uuid4

import duckdb

from ytap_assets.lakehouse.catalog import open_catalog
from ytap_assets.lakehouse.disk import CHECK_DISK, describe_failure, is_failing, is_full
from ytap_assets.lakehouse.errors import (
    BackupError,
    DiskFailureError,
    DiskFullError,
    LockTimeoutError,
)
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.manifest import Copied
from ytap_assets.settings import Settings

MARKER = ".being-made-by-ytap"
PARTIAL = re.compile(r".+\.[0-9a-f]{32}\.part")
_WAIT_S = 120.0
_CHUNK = 1 << 20
_FAILED_READS = (sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ)


@contextmanager
def hold_copies(settings: Settings, *, timeout_s: float = _WAIT_S) -> Iterator[None]:
    """Let no other backup, restore or sweep of this lake run meanwhile. Writers go on.

    Raises:
        BackupError: Another one ran for longer than the timeout.
    """
    catalog = settings.catalog
    lock = WriteLock(catalog.with_name(f"{catalog.name}.copying"), timeout_s=timeout_s)
    with ExitStack() as held:
        try:
            held.enter_context(lock.hold())
        except LockTimeoutError as error:
            raise BackupError(
                f"{lock.path}: another backup, restore or sweep of this lake is running: wait for"
                " it, or end it (the lock ends with its process)"
            ) from error
        yield


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove what killed backups and verifications left in a folder.

    Only folders with our name and our marker, whose lock ended with the process that made them.
    """
    removed = []
    for path in folder.glob("*.part") if folder.is_dir() else ():
        if PARTIAL.fullmatch(path.name) and not path.is_symlink() and _is_left(path / MARKER):
            shutil.rmtree(path)
            removed.append(path)
    return removed


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """A new folder beside another, with our marker, that is gone afterwards unless renamed."""
    place = folder.with_name(f"{folder.name[:40]}.{uuid4().hex}.part")
    place.mkdir(parents=True)
    try:
        with (place / MARKER).open("xb") as marker:
            fcntl.flock(marker, fcntl.LOCK_EX)
            yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _is_left(marker: Path) -> bool:
    """Whether a marker is there that no living process holds."""
    try:
        descriptor = os.open(marker, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextmanager
def naming_failures(place: Path) -> Iterator[None]:
    """Turn failures of the disk and of SQLite into errors that say what to do.

    Raises:
        DiskFullError: There is no space left.
        DiskFailureError: The disk, or a limit of the process, refused to read or write.
        BackupError: SQLite failed otherwise.
    """
    try:
        yield
    except (OSError, sqlite3.Error, duckdb.Error, UnicodeDecodeError) as error:
        if is_full(error, place):
            raise DiskFullError(
                f"no space left on the disk of {place}: nothing was changed, and no half of it is"
                " left; free some space and run it again"
            ) from error
        if is_failing(error):
            raise DiskFailureError(
                f"{place}: {describe_failure(error)}: nothing was changed, and no half of it is"
                f" left; {CHECK_DISK}"
            ) from error
        if isinstance(error, sqlite3.Error | UnicodeDecodeError):
            raise BackupError(f"{place}: {error}: check its disk and its permissions") from error
        raise


def link(source: Path, target: Path) -> bool:
    """Give a file a second name; False where the file systems cannot."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links, or too many of them
        return False
    return True


def copy_bytes(source: Path, target: Path) -> Copied:
    """Copy a regular file to a new name, onto the disk itself, and describe what was read."""
    digest = hashlib.sha256()
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as here, target.open("xb") as there:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BackupError(f"{source}: no file")
        while chunk := here.read(_CHUNK):
            digest.update(chunk)
            there.write(chunk)
        there.flush()
        os.fsync(there.fileno())
        return Copied(there.tell(), digest.hexdigest())


def copy_catalog(source: Path, target: Path) -> None:
    """Copy a catalog as it is at one moment, with what its journal holds, without a journal."""
    with open_catalog(source) as here, closing(sqlite3.connect(target)) as there, _blaming(target):
        here.backup(there)
        there.execute("PRAGMA journal_mode = DELETE")
    sync(target)


@contextmanager
def _blaming(target: Path) -> Iterator[None]:
    """Tell what cannot be written from what cannot be read: that would be damage to the source.

    Raises:
        OSError: The target cannot be written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:
        if is_full(error, target.parent):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target)) from error
        if is_failing(error) and error.sqlite_errorcode not in _FAILED_READS:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(target)) from error
        raise


def sync(file: Path) -> None:
    """Have a file written onto the disk itself."""
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
