"""The files a workspace's production is fed with, as they are found on disk.

Belongs here: reading them, safely, and what a person should know about them as files. Does not
belong here: what they mean (`domain.production`). No link below the workspace's folder is followed
(`safe_files`): what would be found there may be another workspace's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from ytap_assets.domain.production.acts import parse_acts
from ytap_assets.domain.production.inbox import parse_scripts
from ytap_assets.domain.production.lines import (
    MAX_UNREAD,
    BadLine,
    Parsed,
    UnfinishedLine,
    find_unfinished,
)
from ytap_assets.domain.production.manifest import (
    MANIFEST_NAME,
    FileFact,
    ManifestError,
    VideoFolder,
    parse_manifest,
)
from ytap_assets.domain.production.uploads import merge_uploads, parse_uploads
from ytap_assets.errors import FileRefusedError
from ytap_assets.safe_files import Contents, open_below, open_folder, read_below, read_open
from ytap_assets.workspaces import CONFIG_NAME, Workspace

SCRIPTS = "scripts.jsonl"
APPROVALS = "approvals.jsonl"
UPLOADS = "uploads.jsonl"
VIDEOS = "videos"
MAX_INBOX_BYTES = 256 * 1024 * 1024
UNFINISHED_FOR = timedelta(hours=24)
"""How long an unfinished line stands unchanged before it is put into quarantine."""

_MAX_MANIFEST_BYTES = 1_000_000
_SHOWN_LINES = 5
_SHOWN_KEY = 40
_CHUNK = 1024 * 1024
_PARSERS: Mapping[str, Callable[[bytes], Parsed[Any]]] = {
    SCRIPTS: parse_scripts,
    APPROVALS: parse_acts,
    UPLOADS: parse_uploads,
}


@dataclass(frozen=True)
class InboxFile:
    """One file of JSON lines as it was read.

    Attributes:
        name: Its name.
        contents: What it held; None where there is none, or it may not be read.
        problem: Why it may not be read; None where it may.
    """

    name: str
    contents: Contents | None = None
    problem: str | None = None

    @property
    def content(self) -> bytes:
        """Its bytes; none where there is no such file."""
        return self.contents.content if self.contents else b""

    @cached_property
    def parsed(self) -> Parsed[Any]:
        """What its lines say."""
        return _PARSERS[self.name](self.content)

    @cached_property
    def unfinished(self) -> UnfinishedLine | None:
        """Its last line, if it is unfinished."""
        return find_unfinished(self.content)

    def bad_lines(self, now: datetime) -> tuple[BadLine, ...]:
        """The lines that are for quarantine, the unfinished one too once it stood for long.

        Should it be completed later, it is a line like any other. So a wrong clock does no harm.
        """
        bad, last = self.parsed.bad, self.unfinished
        if last is None or self.contents is None:
            return bad
        if now - self.contents.modified_at < UNFINISHED_FOR:
            return bad
        hours = UNFINISHED_FOR // timedelta(hours=1)
        reason = f"unfinished, and unchanged for {hours} hours: {last.reason}"
        return (*bad, BadLine(last.line, reason, last.original))

    def describe_lines(self) -> list[str]:
        """What of the lines has no effect; each text begins with the file's name.

        The last ones that could not be read, or say nothing new though a person meant them; and the
        keys of the others that no rule reads.
        """
        bad = [f"line {one.line} could not be read: {one.reason}" for one in self.parsed.bad]
        told = [f"{self.name}: {text}" for text in bad[-_SHOWN_LINES:]]
        if len(bad) > len(told):
            query = f"select place, reason from quarantined_rows where origin = '{self.name}'"
            told.append(
                f'{self.name}: {len(bad) - len(told)} more such lines: `ytap sql "{query}"`'
            )
        # Programs send a script again to be sure; a person who decides again means it.
        repeated = self.parsed.repeated[-_SHOWN_LINES:] if self.name == APPROVALS else ()
        told += [
            f"{self.name}: line {number} is equal to an earlier line, and equal lines are one"
            " decision: to decide again, write another time (at)"
            for number in repeated
        ]
        if self.parsed.unread:
            keys = ", ".join(repr(key[:_SHOWN_KEY]) for key in self.parsed.unread)
            more = ", and perhaps more" if len(self.parsed.unread) == MAX_UNREAD else ""
            told.append(f"{self.name}: keys that no rule reads: {keys}{more}")
        return told

    def find_problems(self) -> list[str]:
        """What a person should know and do about the file; each text begins with its name."""
        if self.problem is not None:
            return [f"{self.problem}; none of its lines is read"]
        last = self.unfinished
        if last is None or self.contents is None:
            return []
        return [
            f"{self.name}: line {last.line} is unfinished ({last.size_bytes:,} bytes,"
            f" {last.reason}; file last changed {self.contents.modified_at:%Y-%m-%d %H:%M} UTC):"
            " it is not read; complete it, or remove it and write it again"
        ]


def read_inboxes(folder: Path) -> dict[str, InboxFile]:
    """A workspace's inbox files by name, whether or not they are there.

    Args:
        folder: The workspace's folder.
    """
    return {name: read_inbox(folder, name) for name in _PARSERS}


def read_inbox(folder: Path, name: str) -> InboxFile:
    """One of a workspace's inbox files, whether or not it is there.

    Args:
        folder: The workspace's folder.
        name: Its name.
    """
    try:
        return InboxFile(name, read_below(folder, name, max_bytes=MAX_INBOX_BYTES))
    except FileRefusedError as error:
        return InboxFile(name, problem=str(error))


def find_foreign_uploads(files: Mapping[str, InboxFile], workspace: Workspace) -> list[str]:
    """The uploads on channels that the config does not list as the workspace's own.

    They count all the same: what is published is published. But either the line or the config is
    wrong, and the feed of a channel that is not listed shows no publication.

    Args:
        files: The workspace's inbox files.
        workspace: The workspace.
    """
    own = {channel.id for channel in workspace.channels}
    foreign = [
        upload
        for upload in merge_uploads(files[UPLOADS].parsed.rows).values()
        if upload.channel_id is not None and upload.channel_id not in own
    ]
    told = [
        f"{UPLOADS}: script {upload.script_id}: channel {upload.channel_id} is none of the"
        " workspace's channels: add it to `channels` in config.yaml, or correct it with another"
        " line"
        for upload in foreign[-_SHOWN_LINES:]
    ]
    if more := len(foreign) - len(told):
        told.append(f"{UPLOADS}: {more} more uploads on channels that config.yaml does not list")
    return told


def find_folders(workspace: Path, hashed: Mapping[str, bool]) -> dict[str, VideoFolder]:
    """The video folders of scripts that hold a manifest, with the files it names.

    A folder whose manifest may not be read is among them, with the reason.

    Args:
        workspace: The workspace's folder.
        hashed: Script -> whether its files' checksums are wanted.
    """
    found = {}
    with ExitStack() as opened:
        try:
            root = opened.enter_context(open_folder(workspace))
        except FileNotFoundError:
            return {}
        for script_id, with_hash in hashed.items():
            folder = _find_folder(root, f"{VIDEOS}/{script_id}", with_hash=with_hash)
            if folder is not None:
                found[script_id] = folder
    return found


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


def fingerprint(workspace: Path) -> str:
    """Changes whenever the config, an inbox file or a manifest does, by size and date.

    Not with the files that a manifest names: it is written last, and there may be thousands. A link
    counts as what it is, and is not followed.
    """
    paths = [workspace / name for name in (*_PARSERS, CONFIG_NAME)]
    paths += sorted(_list_manifests(workspace / VIDEOS))
    stamps = [f"{path.relative_to(workspace)} {stamp}" for path in paths if (stamp := _stamp(path))]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:16]


def _list_manifests(videos: Path) -> Iterator[Path]:
    """Where the manifests are, and the links that stand where a folder should."""
    if videos.is_symlink():
        yield videos
    elif videos.is_dir():
        with os.scandir(videos) as entries:
            for entry in entries:
                path = Path(entry.path)
                yield path if entry.is_symlink() else path / MANIFEST_NAME


def _stamp(path: Path) -> str | None:
    try:
        facts = path.lstat()
    except OSError:
        return None
    return f"{facts.st_mode} {facts.st_size} {facts.st_mtime_ns}"
