"""The exceptions of the lakehouse, and which errors of DuckDB and of the system they stand for.

- `LakeError`
    - `checks.PublishRefusedError`: a frame failed a check; the previous rows stay
    - `SchemaConflictError`: the lake's tables and the declarations cannot be reconciled
    - `LockTimeoutError`: others held the write lock for too long
    - `LockLostError`: the lock of a run ended before the run
    - `DiskFullError`: there is no space left
    - `DiskFailureError`: the disk, or a limit of the process, refused to read or write
    - `LakeReadOnlyError`: the lake's folder cannot be written to
    - `CatalogBusyError`: a program outside this project locked the catalog or wrote to it
    - `CatalogUnreachableError`: the catalog's server cannot be reached, or ended the connection
    - `FilesUnreachableError`: the server of the files cannot be reached, or refused a request
    - `SnapshotMissingError`: the snapshot never existed, or has expired
    - `LakeMissingError`: there is no lake at the configured place
    - `LakeDamagedError`: the catalog is unreadable, or refers to missing files
    - `StatementRefusedError`: a statement would reach more than the lake
    - `SweepRefusedError`: deleting files is not safe
    - `BackupError`: a backup is damaged or cannot be restored
        - `RestoreInDoubtError`: it is not known whether the lake was replaced

DuckDB reports a full disk in four ways. One is "disk I/O error": SQLite could not create its shared
memory file, which reads need as well. Belongs here: recognizing a full disk, a folder without write
permission, a locked catalog, a damaged file. Does not belong here: recovering from them.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ytap_assets.errors import QuestionError, YtapError
from ytap_assets.settings import Settings

UNREADABLE = (
    "a file of the lake is missing or damaged; check YTAP_DATA_PATH and YTAP_CATALOG; check the"
    " lake with `ytap doctor`, or restore a backup with `ytap restore`"
)
CHECK_DISK = (
    "check the disk and the limit on the size of files (`ulimit -f`), and run the command again;"
    " `ytap doctor` checks the lake"
)
_FULL = ("no space left on device", "database or disk is full", "disk quota exceeded")
_READ_ONLY = ("attempt to write a readonly database", "read-only file system")
_LOCKED = ("database is locked", "database table is locked", "database schema is locked")
_FAILING = ("disk i/o error", "input/output error", "file too large", "could not fsync")
_CONFLICTS = ("conflict", "ducklake_snapshot_pkey")
_REFUSED = ("permission denied", "read-only transaction")
_VAGUE = ("disk i/o error", "could not write", "unable to open database file", "permission denied")
_UNREACHABLE = (
    "unable to connect to postgres",
    "connection to server",
    "could not translate host name",
    "server closed the connection",
    "terminating connection",
    "the database system is",
    "ssl connection has been closed",
    "could not receive data from server",
    "could not send data to server",
    "no connection to the server",
    "connection already closed",
)
_FILES = (".parquet", "catalog.sqlite", "disk image is malformed", "new DuckLake is explicitly")
_CRAMPED_BYTES = 256 * 1024
_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
_FAILING_ERRNOS = (errno.EIO, errno.EFBIG)
_READ_ONLY_ERRNOS = (errno.EROFS, errno.EACCES, errno.EPERM)


class LakeError(YtapError):
    """The base of the lakehouse's exceptions."""


class SchemaConflictError(LakeError):
    """The stored tables cannot be upgraded to the declarations; the message says what to do."""


class LockTimeoutError(LakeError):
    """Other processes held the write lock for too long, one or several in turn."""


class LockLostError(LakeError):
    """The server ended the session that held a lock; another process may hold it by now."""


class DiskFullError(LakeError):
    """There is no space left. Nothing was written; the previous rows stay."""


class DiskFailureError(LakeError):
    """The disk, or a limit of the process, refused to read or write; nothing was changed."""


class LakeReadOnlyError(LakeError):
    """The lake's folder cannot be written to; nothing was written."""


class CatalogBusyError(LakeError):
    """Another program locked the catalog or wrote to it; the last attempt wrote nothing."""


class CatalogUnreachableError(LakeError):
    """The catalog's server cannot be reached, or ended the connection; nothing was written."""


class FilesUnreachableError(LakeError):
    """The server of the lake's files cannot be reached, or refused a request."""


class SnapshotMissingError(LakeError, QuestionError):
    """The snapshot never existed, or has expired."""


class LakeMissingError(LakeError):
    """There is no lake at the configured place; the message names the place and its variable."""


class LakeDamagedError(LakeError):
    """The catalog is unreadable, or refers to missing files; nothing was changed."""


class StatementRefusedError(LakeError, QuestionError):
    """A statement would reach more than the lake: a file, another database, an extension."""


class SweepRefusedError(LakeError):
    """Deleting files is not safe: something may still need them."""


class ErasureError(LakeError):
    """Rows were not erased, or not completely; the message says what is left and what to do."""


class BackupError(LakeError):
    """A backup is damaged or cannot be restored."""


class RestoreInDoubtError(BackupError):
    """It is not known whether the lake was replaced; the files of both are kept."""


@contextmanager
def translate_errors(settings: Settings) -> Iterator[None]:
    """Translate errors that the machine or another program caused into our own exceptions.

    Raises:
        DiskFullError: The disk of the catalog or of the files has no space left.
        DiskFailureError: The disk, or a limit of the process, refused to read or write.
        LakeReadOnlyError: The lake's folder cannot be written to.
        CatalogBusyError: Another program kept the catalog locked, or wrote to it.
        CatalogUnreachableError: The catalog's server cannot be reached.
    """
    try:
        yield
    except (duckdb.Error, sqlite3.Error, OSError) as error:
        if (explained := explain_error(error, settings)) is None:
            raise
        raise explained from error


def explain_error(error: BaseException, settings: Settings) -> LakeError | None:
    """Our exception for an error that the machine or another program caused; None for others."""
    if settings.bucket is not None and _is_request(error):
        message = " ".join(str(error).split())
        return FilesUnreachableError(
            f"{settings.files_name}: cannot be reached, or refused a request: {message[:300]};"
            " nothing was written; check the server, YTAP_DATA_PATH and the key, and run the"
            " command again"
        )
    if settings.database is None:
        return explain_file_error(error, settings.catalog, settings.data_path)
    if isinstance(error, duckdb.Error) and is_unreachable(error):
        return describe_unreachable(error, settings.catalog_name)
    text = " ".join(str(error).split())
    if isinstance(error, duckdb.Error) and any(sign in text for sign in _REFUSED):
        return LakeReadOnlyError(
            f"{settings.catalog_name}: the server refused to write: {text[-300:]}; nothing was"
            " written"
        )
    if _is_conflict(error):
        return _describe_conflict(settings.catalog_name)
    # Of a server's disk, nothing is known here: only the files are on this machine.
    return explain_file_error(error, settings.data_path, settings.data_path)


def _is_request(error: BaseException) -> bool:
    """Whether DuckDB raised an error over a request for one of the lake's files."""
    if isinstance(error, duckdb.HTTPException):
        return True
    text = str(error)
    return isinstance(error, duckdb.IOException) and ("s3://" in text or " HTTP " in text)


def is_unreachable(error: BaseException) -> bool:
    """Whether an error says that the catalog's server could not be reached or has gone away."""
    return any(phrase in str(error).lower() for phrase in _UNREACHABLE)


def describe_unreachable(error: BaseException, catalog: str) -> CatalogUnreachableError:
    """Our exception for a server that cannot be reached; libpq's messages name no password."""
    message = " ".join(str(error).split())
    # Before the last failure, DuckLake names its own settings, which would not help.
    message = message[max(0, message.rfind("Failed to ")) :]
    return CatalogUnreachableError(
        f"{catalog}: the server cannot be reached, or ended the connection: {message[-300:]};"
        " check the server, YTAP_CATALOG and the password, and run the command again"
    )


def explain_file_error(error: BaseException, catalog: Path, data_path: Path) -> LakeError | None:
    """`explain_error` for a catalog that is a file.

    Args:
        error: What was raised.
        catalog: The file.
        data_path: The folder of the lake's files.
    """
    if is_locked(error):
        return CatalogBusyError(
            f"{catalog} is locked by another program, such as a database browser; nothing was"
            " written; end that program's transaction and run the command again"
        )
    if _is_conflict(error):
        return _describe_conflict(str(catalog))
    if (place := _find_read_only(error, catalog, data_path)) is not None:
        return LakeReadOnlyError(
            f"{place} cannot be written to; nothing was written; mount it for writing, or check its"
            " permissions"
        )
    if is_full(error, catalog.parent, data_path):
        return DiskFullError(
            f"no space left on the disk of {catalog} or {data_path}; nothing was written, and the"
            " previous rows are unchanged; reading needs a little space, too; free some space and"
            " run the command again (`ytap maintain` deletes the files of failed writes)"
        )
    if is_failing(error):
        return DiskFailureError(
            f"{catalog} or {data_path} cannot be read or written: {describe_failure(error)};"
            f" nothing was changed; {CHECK_DISK}"
        )
    return None


def _describe_conflict(catalog: str) -> CatalogBusyError:
    return CatalogBusyError(
        f"{catalog}: another program wrote to the lake at the same time; nothing was written; run"
        " the command again, and write to the lake only with `ytap` and Dagster"
    )


def is_failing(error: BaseException) -> bool:
    """Whether the disk or a limit of the process refused a read or write, full disks included."""
    if isinstance(error, OSError):
        return error.errno in _FAILING_ERRNOS
    return _is_outside(error) and any(phrase in str(error).lower() for phrase in _FAILING)


def describe_failure(error: BaseException) -> str:
    """The system's error message, in one line."""
    if isinstance(error, OSError) and error.strerror is not None:
        return error.strerror
    return " ".join(str(error).split())


def is_locked(error: BaseException) -> bool:
    """Whether another program holds SQLite's lock on the catalog; this project holds it briefly."""
    return _is_outside(error) and any(phrase in str(error).lower() for phrase in _LOCKED)


def is_unreadable(error: BaseException) -> bool:
    """Whether a file of the lake caused DuckDB's error, and not the statement.

    Such errors have no class of their own: the readers of Parquet and SQLite raise the base class.
    """
    files = (duckdb.IOException, duckdb.FatalException, duckdb.SerializationException)
    return isinstance(error, duckdb.Error) and (
        type(error) is duckdb.Error
        or isinstance(error, files)
        or any(sign in str(error) for sign in _FILES)
    )


def can_write(place: Path) -> bool:
    """Whether a file or folder is writable; for a missing one, its nearest existing parent."""
    return os.access(_nearest(place), os.W_OK)


def is_cramped(folder: Path) -> bool:
    """Whether a folder's disk has less than 256 KiB left."""
    return shutil.disk_usage(_nearest(folder)).free < _CRAMPED_BYTES


def _nearest(place: Path) -> Path:
    """The path, or its nearest existing parent."""
    return next(path for path in (place, *place.parents) if path.exists())


def _is_outside(error: BaseException) -> bool:
    """Whether an error can have an outside cause; errors of statements may quote any text."""
    if isinstance(error, duckdb.Error):
        return not isinstance(error, duckdb.ProgrammingError | duckdb.DataError)
    return isinstance(error, sqlite3.Error)


def _is_conflict(error: BaseException) -> bool:
    # With a database, the second commit from a snapshot inserts its number for the second time.
    # DuckLake's own text on retries contains neither sign.
    is_one = isinstance(error, duckdb.TransactionException)
    return is_one and any(sign in str(error).lower() for sign in _CONFLICTS)


def _find_read_only(error: BaseException, catalog: Path, data_path: Path) -> object:
    """The path without write permission; None if that is not the cause."""
    if isinstance(error, OSError):
        place = error.filename or catalog.parent
        return place if error.errno in _READ_ONLY_ERRNOS else None
    text = str(error).lower()
    if not _is_outside(error) or not any(phrase in text for phrase in (*_READ_ONLY, *_VAGUE)):
        return None
    refusing = [place for place in (catalog.parent, catalog, data_path) if not can_write(place)]
    certain = any(phrase in text for phrase in _READ_ONLY)
    return next(iter(refusing), catalog if certain else None)


def is_full(error: BaseException, *folders: Path) -> bool:
    """Whether a disk is full; if the message is ambiguous, the folders' free space decides."""
    if isinstance(error, OSError):
        return error.errno in _FULL_ERRNOS
    text = str(error).lower()
    if not _is_outside(error):
        return False
    return any(phrase in text for phrase in _FULL) or (
        any(phrase in text for phrase in _VAGUE) and any(map(is_cramped, folders))
    )
