"""The video folders of scripts, as they are found on disk.

Belongs here: finding them, and reading what a manifest names. Does not belong here: whether a video
is complete (`domain.production.manifest`). No link below the workspace's folder is followed
(`safe_files`): what would be found there may be another workspace's.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from ytap_assets.domain.production.manifest import (
    MANIFEST_NAME,
    FileFact,
    ManifestError,
    VideoFolder,
    parse_manifest,
)
from ytap_assets.errors import FileRefusedError
from ytap_assets.safe_files import open_below, open_folder, read_open

VIDEOS = "videos"
_MAX_MANIFEST_BYTES = 1_000_000
_CHUNK = 1024 * 1024
_MANY = 256


class VideoFolders(Mapping[str, VideoFolder]):
    """The video folders of scripts that have a manifest, each read on demand.

    A folder whose manifest may not be read is among them, with the reason.
    """

    def __init__(self, workspace: Path, hashed: Mapping[str, bool]) -> None:
        """Take the scripts.

        Args:
            workspace: The workspace's folder.
            hashed: Script -> whether its files' checksums are wanted.
        """
        self._workspace = workspace
        self._hashed = hashed
        self._read: dict[str, VideoFolder | None] = {}

    def __getitem__(self, script_id: str) -> VideoFolder:
        if script_id not in self._read:
            self._read[script_id] = (
                find_folder(self._workspace, script_id, with_hash=self._hashed[script_id])
                if script_id in self._hashed
                else None
            )
        folder = self._read[script_id]
        if folder is None:
            raise KeyError(script_id)
        return folder

    def __iter__(self) -> Iterator[str]:
        return (script_id for script_id in self._hashed if self.get(script_id) is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def stamp_folders(workspace: Path, scripts: Collection[str]) -> dict[str, str]:
    """The state of scripts' manifests, by script; scripts without a folder are absent.

    The files that a manifest names are not looked at: it is written last, and there may be
    thousands. What stands where a folder should be counts as what it is; a link is not followed.
    """
    videos = workspace / VIDEOS
    if videos.is_symlink():
        return dict.fromkeys(scripts, stamp(videos) or "")
    if len(scripts) > _MANY:
        scripts = set(scripts) & _list_names(videos)
    stamps: dict[str, str] = {}
    for script_id in scripts:
        folder = videos / script_id
        try:
            mode = folder.lstat().st_mode
        except OSError:
            continue
        found = stamp(folder / MANIFEST_NAME) if stat.S_ISDIR(mode) else stamp(folder)
        stamps[script_id] = found or ""
    return stamps


def _list_names(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return set()


def stamp(path: Path) -> str | None:
    """Changes whenever a file does: its kind, inode, size and times; None if there is none."""
    try:
        facts = path.lstat()
    except OSError:
        return None
    return f"{facts.st_mode} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}"


def find_folder(workspace: Path, script_id: str, *, with_hash: bool) -> VideoFolder | None:
    """A script's video folder with the files its manifest names; None if it has no manifest.

    Args:
        workspace: The workspace's folder.
        script_id: The script.
        with_hash: Whether the files' checksums are wanted.
    """
    with ExitStack() as opened:
        try:
            root = opened.enter_context(open_folder(workspace))
        except FileNotFoundError:
            return None
        return _find_folder(root, f"{VIDEOS}/{script_id}", with_hash=with_hash)


def _find_folder(root: int, name: str, *, with_hash: bool) -> VideoFolder | None:
    try:
        with open_below(root, f"{name}/{MANIFEST_NAME}") as file:
            content = read_open(file, MANIFEST_NAME, max_bytes=_MAX_MANIFEST_BYTES).content
    except FileNotFoundError:
        return None
    except FileRefusedError as error:
        return VideoFolder(b"", {}, {MANIFEST_NAME: str(error)})
    found: dict[str, FileFact] = {}
    refused: dict[str, str] = {}
    for file_name, expected in _read_files(content).items():
        try:
            with open_below(root, f"{name}/{file_name}") as file:
                found[file_name] = _measure(file, expected, with_hash=with_hash)
        except FileNotFoundError:
            continue
        except FileRefusedError as error:
            refused[file_name] = str(error)
        except OSError as error:
            refused[file_name] = f"{name}/{file_name} cannot be read: {error.strerror}"
    return VideoFolder(content, found, refused)


def _read_files(manifest: bytes) -> Mapping[str, FileFact]:
    try:
        return parse_manifest(manifest).files
    except ManifestError:
        return {}  # the rules say so in their own words


def _measure(file: BinaryIO, expected: FileFact, *, with_hash: bool) -> FileFact:
    facts = os.fstat(file.fileno())
    # One of another size is wrong already, and may still grow: it is not read.
    if not with_hash or facts.st_size != expected.size_bytes:
        return FileFact(facts.st_size, None)
    stamp = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
    return FileFact(facts.st_size, _hash(_Opened(stamp, file)))


@dataclass(frozen=True)
class _Opened:
    """An opened file; two are the same if their stamps are."""

    stamp: tuple[int, ...]
    file: BinaryIO = field(compare=False)


@lru_cache(maxsize=4096)
def _hash(opened: _Opened) -> str:
    """A file's SHA-256; videos are large, so a process reads them again only with a new stamp."""
    digest = hashlib.sha256()
    while chunk := opened.file.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
