"""A copy's manifest: what was copied, with the size and the SHA-256 of each file.

A copy is a folder: ``catalog.sqlite``, ``files/`` and, written last, ``manifest.json``.

A manifest may come from anywhere, so it is read as untrusted input: bounded sizes and counts, names
that stay inside the copy. Belongs here: the manifest. Does not belong here: making or restoring
(`backup`), or checking (`copies`) a copy.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import unicodedata
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ytap_assets.lakehouse.catalog import find_unsafe_name, list_parents
from ytap_assets.lakehouse.errors import BackupError
from ytap_assets.plain_yaml import unique_keys

MANIFEST = "manifest.json"
CATALOG_NAME = "catalog.sqlite"
FILES_NAME = "files"
_FORMAT = 3
_READABLE = (2, 3)
_MOST_BYTES = 512 * 2**20
_MOST_FILES = 2_000_000
_MOST_SIZE = 2**50
_MOST_COUNT = 10**15
MOST_SEQUENCE = 10**9
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"v?[0-9]{1,6}(\.[0-9]{1,6}){1,3}[0-9A-Za-z.+-]{0,40}")
_LAKE_ID = re.compile(r"[0-9A-Za-z-]{1,64}")


@dataclass(frozen=True)
class Copied:
    """A file as it was copied.

    Attributes:
        size_bytes: Its size.
        sha256: Of its content, in hexadecimal digits.
    """

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Backup:
    """One complete copy.

    Attributes:
        folder: Where it is.
        made_at: When it was made, by the machine's clock, which may have been wrong.
        duckdb_version: The version that wrote it.
        catalog: Its catalog.
        files: Its Parquet files, by their names below the data path.
        sequence: Its position in the order of a folder's copies; None in copies of format 2, which
            are older than all others.
        lake_id: Identifies the lake, independent of its path; None in copies of format 2.
        snapshot_id: The newest snapshot; None in copies of format 2.
        tables: Rows by table at that snapshot; None in copies of format 2.
    """

    folder: Path
    made_at: datetime
    duckdb_version: str
    catalog: Copied
    files: dict[str, Copied]
    sequence: int | None = None
    lake_id: str | None = None
    snapshot_id: int | None = None
    tables: dict[str, int] | None = None

    @property
    def size_bytes(self) -> int:
        """The bytes of its Parquet files."""
        return sum(file.size_bytes for file in self.files.values())

    @property
    def rows(self) -> int | None:
        """The rows of all tables; None if the copy does not say."""
        return None if self.tables is None else sum(self.tables.values())


def describe(file: Path) -> Copied:
    """A file's size and checksum; reads the whole file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Copied(stream.tell(), digest)


def write_manifest(backup: Backup, folder: Path) -> None:
    """Write a copy's manifest into the folder where it is being made."""
    content = {
        "format": _FORMAT,
        "made_at": backup.made_at.isoformat(),
        "duckdb_version": backup.duckdb_version,
        "sequence": backup.sequence,
        "lake_id": backup.lake_id,
        "snapshot_id": backup.snapshot_id,
        "tables": backup.tables,
        "catalog": asdict(backup.catalog),
        "files": {name: asdict(file) for name, file in backup.files.items()},
    }
    (folder / MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Backup:
    """Read the manifest of a copy; `copies.open_backup` verifies it.

    Raises:
        BackupError: No manifest, a damaged one, one without checksums, or one that names what no
            copy of ours holds.
    """
    manifest = folder / MANIFEST
    content = _parse_json(manifest)
    try:
        if content["format"] not in _READABLE:
            raise BackupError(
                f"{manifest}: of a format without checksums, or a newer one: nobody could tell"
                " whether the copy is whole; use another backup"
            )
        return Backup(
            folder,
            made_at=_parse_instant(content["made_at"]),
            duckdb_version=_match(_VERSION, content["duckdb_version"]),
            catalog=_parse_file(content["catalog"]),
            files={name: _parse_file(file) for name, file in content["files"].items()},
            **(_parse_facts(content) if content["format"] == _FORMAT else {}),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError(f"{manifest}: damaged: {error}") from error


def _parse_json(manifest: Path) -> dict[str, Any]:
    try:
        found = manifest.lstat()
    except (FileNotFoundError, NotADirectoryError):
        found = None
    if found is None:
        raise BackupError(f"{manifest.parent}: no {MANIFEST}, so not a complete backup")
    if not stat.S_ISREG(found.st_mode) or found.st_size > _MOST_BYTES:
        raise BackupError(f"{manifest}: not a regular file of at most {_MOST_BYTES:,} bytes")
    try:
        content: dict[str, Any] = json.loads(manifest.read_bytes(), object_pairs_hook=unique_keys)
        _check_names(content["files"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupError(f"{manifest}: damaged: {error}") from error
    return {"format": None, **content}


def _check_names(files: dict[str, Any]) -> None:
    """Refuse names that lead elsewhere, or of which two would be one file on some file system."""
    if len(files) > _MOST_FILES:
        raise ValueError(f"{len(files):,} files, more than {_MOST_FILES:,}")
    for name in files:
        if problem := find_unsafe_name(name):
            raise ValueError(f"the name {name[:200]!r} {problem}")
    folded = {unicodedata.normalize("NFC", name).casefold() for name in files}
    if len(folded) != len(files):
        raise ValueError("two names differ only in case or accents")
    folders = {parent for name in folded for parent in list_parents(name)}
    if both := folders & folded:
        raise ValueError(f"{min(both)!r} is both a file and a folder")


def _parse_facts(content: dict[str, Any]) -> dict[str, Any]:
    """What format 3 says beyond format 2."""
    return {
        "sequence": _parse_count(content["sequence"], least=1, most=MOST_SEQUENCE),
        "lake_id": _match(_LAKE_ID, content["lake_id"]),
        "snapshot_id": _parse_count(content["snapshot_id"]),
        "tables": {name: _parse_count(rows) for name, rows in content["tables"].items()},
    }


def _parse_file(content: dict[str, Any]) -> Copied:
    size = _parse_count(content["size_bytes"], least=1, most=_MOST_SIZE)
    return Copied(size, _match(_SHA256, content["sha256"]))


def _parse_count(value: object, *, least: int = 0, most: int = _MOST_COUNT) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{str(value)[:40]!r} is no whole number from {least} to {most}")
    return value


def _parse_instant(value: object) -> datetime:
    instant = datetime.fromisoformat(str(value))
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} has no timezone")
    return instant


def _match(pattern: re.Pattern[str], value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{str(value)[:80]!r} is not what stands here")
    return value
