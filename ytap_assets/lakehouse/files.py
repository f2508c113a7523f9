"""The files below a lake's data path: which there are, and which names a lake's files have."""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from pathlib import Path, PurePosixPath

from ytap_assets.safe_files import describe_kind

_LONGEST_NAME, _LONGEST_PART = 1024, 255
_OURS = re.compile(
    r"ducklake-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-delete)?\.parquet"
)


def list_parquet(data_path: Path) -> dict[str, os.stat_result]:
    """The regular Parquet files below a folder by their names there; links are not followed."""
    found = {}
    for folder, _, names in os.walk(data_path):
        for name in names:
            path = Path(folder, name)
            if name.endswith(".parquet") and stat.S_ISREG((state := path.lstat()).st_mode):
                found[path.relative_to(data_path).as_posix()] = state
    return found


def describe_place(path: Path) -> str:
    """What is in the place of a file, by whose name no regular file is there."""
    try:
        return describe_kind(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return "missing"


def find_unsafe_name(name: str) -> str | None:
    """Why a name below the data path is none that a lake's Parquet file has; None if it is.

    Whoever writes files by such names writes nowhere but below the folder that he means to.
    """
    parts = name.split("/")
    if not name.endswith(".parquet"):
        return "does not end in .parquet"
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return "is absolute or is outside the folder"
    if any(sign == "\\" or unicodedata.category(sign) in {"Cc", "Cs"} for sign in name):
        return "contains a backslash or a control character"
    if len(name) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in parts):
        return "is too long"
    return None


def list_parents(name: str) -> list[str]:
    """The folders above a name, below the data path."""
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def is_made_by_lake(name: str) -> bool:
    """Whether a file's name is one that DuckLake gives."""
    return _OURS.fullmatch(PurePosixPath(name).name) is not None
