"""A backup's manifest: what was copied, with the size and the SHA-256 of each file.

Belongs here: the manifest. Does not belong here: making, checking or restoring a backup (`backup`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from ytap_assets.lakehouse.errors import BackupError

_MANIFEST = "manifest.json"
_FORMAT = 2


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
    """One complete backup.

    Attributes:
        folder: Where it is.
        made_at: When it was made.
        duckdb_version: What wrote it.
        catalog: Its catalog.
        files: Its Parquet files, by their names below the data path.
    """

    folder: Path
    made_at: datetime
    duckdb_version: str
    catalog: Copied
    files: dict[str, Copied]

    @property
    def size_bytes(self) -> int:
        """The bytes of its Parquet files."""
        return sum(file.size_bytes for file in self.files.values())


def describe(file: Path) -> Copied:
    """A file's size and checksum; reads all of it."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Copied(stream.tell(), digest)


def write_manifest(backup: Backup, folder: Path) -> None:
    """Write a backup's manifest into the folder where it is being made."""
    content = {
        "format": _FORMAT,
        "made_at": backup.made_at.isoformat(),
        "duckdb_version": backup.duckdb_version,
        "catalog": asdict(backup.catalog),
        "files": {name: asdict(file) for name, file in backup.files.items()},
    }
    (folder / _MANIFEST).write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> Backup:
    """What a backup says of itself; `backup.open_backup` sees whether it is so.

    Raises:
        BackupError: No manifest, a damaged one, or one without checksums.
    """
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        raise BackupError(f"{folder}: no {_MANIFEST}, so not a complete backup")
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if content.get("format") != _FORMAT:
            raise BackupError(
                f"{manifest}: of a format without checksums, or a newer one: nobody could tell"
                " whether the copy is whole; use another backup"
            )
        return Backup(
            folder,
            made_at=datetime.fromisoformat(content["made_at"]),
            duckdb_version=str(content["duckdb_version"]),
            catalog=_parse(content["catalog"]),
            files={str(name): _parse(file) for name, file in content["files"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupError(f"{manifest}: damaged: {error}") from error


def _parse(content: dict[str, object]) -> Copied:
    return Copied(int(str(content["size_bytes"])), str(content["sha256"]))
