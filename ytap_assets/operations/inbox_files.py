"""The files a workspace's production is fed with, as they are found on disk.

Belongs here: reading them, safely. Does not belong here: what they mean (`domain.production`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from ytap_assets.domain.production.manifest import (
    FileFact,
    ManifestError,
    VideoFolder,
    parse_manifest,
)

SCRIPTS = "scripts.jsonl"
APPROVALS = "approvals.jsonl"
UPLOADS = "uploads.jsonl"
VIDEOS = "videos"
MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = 1_000_000
_CHUNK = 1024 * 1024


def read_lines(folder: Path, name: str) -> bytes:
    """A file of JSON lines; empty where there is none."""
    path = folder / name
    return path.read_bytes() if path.is_file() else b""


def find_folders(workspace: Path, hashed: Mapping[str, bool]) -> dict[str, VideoFolder]:
    """The video folders of scripts that hold a manifest, with the files it names.

    Args:
        workspace: The workspace's folder.
        hashed: Script -> whether its files' checksums are wanted.
    """
    found = {}
    for script_id, with_hash in hashed.items():
        folder = workspace / VIDEOS / script_id
        manifest = folder / MANIFEST
        if manifest.is_file() and manifest.stat().st_size <= _MAX_MANIFEST_BYTES:
            content = manifest.read_bytes()
            found[script_id] = VideoFolder(
                content, dict(_facts(folder, content, with_hash=with_hash))
            )
    return found


def fingerprint(workspace: Path) -> str:
    """Changes whenever the config, an inbox file or a manifest does, by size and date.

    Not with the files that a manifest names: it is written last, and there may be thousands.
    """
    paths = [workspace / name for name in (SCRIPTS, APPROVALS, UPLOADS, "config.yaml")]
    paths += sorted((workspace / VIDEOS).glob(f"*/{MANIFEST}"))
    facts = [f"{path.relative_to(workspace)} {_stamp(path)}" for path in paths if path.is_file()]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _facts(folder: Path, content: bytes, *, with_hash: bool) -> Iterator[tuple[str, FileFact]]:
    try:
        files = parse_manifest(content).files
    except ManifestError:
        return  # the rules say so in their own words
    root = folder.resolve()
    for name, expected in files.items():
        path = (folder / name).resolve()
        if path.is_relative_to(root) and path.is_file():
            size = path.stat().st_size
            # One of another size is wrong already, and may still grow: it is not read.
            wanted = with_hash and size == expected.size_bytes
            yield name, FileFact(size, _hash(path, _stamp(path)) if wanted else None)


def _stamp(path: Path) -> str:
    stat = path.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


@lru_cache(maxsize=4096)
def _hash(path: Path, _stamp: str) -> str:
    """A file's SHA-256; videos are large, so a process reads them again only with a new stamp."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
