"""The files a workspace's production is fed with, as they are found on disk.

Belongs here: reading them, safely, and what a person should know about them as files. Does not
belong here: what they mean (`domain.production`). No link below the workspace's folder is followed
(`safe_files`): what would be found there may be another workspace's.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, BinaryIO

from ytap_assets.domain.production.inbox import (
    Upload,
    find_new_decisions,
    find_new_scripts,
    find_new_uploads,
    find_upload_problem,
    merge_uploads,
    read_decision,
    read_submission,
    read_upload,
)
from ytap_assets.domain.production.jobs import find_new_jobs, read_job
from ytap_assets.domain.production.lines import (
    MAX_UNREAD,
    BadLine,
    Fields,
    Line,
    Lines,
    Parsed,
    compare_lines,
    read_lines,
)
from ytap_assets.errors import FileRefusedError
from ytap_assets.safe_files import open_below, open_folder
from ytap_assets.workspaces import Workspace

SCRIPTS = "scripts.jsonl"
APPROVALS = "approvals.jsonl"
UPLOADS = "uploads.jsonl"
JOBS = "jobs.jsonl"
MAX_INBOX_BYTES = 256 * 1024 * 1024
UNFINISHED_FOR = timedelta(hours=24)
"""How long an unfinished line stands unchanged before it is put into quarantine."""

_SHOWN_LINES = 20
_SHOWN_KEY = 40
_CHUNK = 1024 * 1024
_READERS: Mapping[str, Callable[[Fields], Any]] = {
    SCRIPTS: read_submission,
    APPROVALS: read_decision,
    UPLOADS: read_upload,
    JOBS: read_job,
}
INBOX_FILES = tuple(_READERS)
"""The names of the inbox files."""


@dataclass(frozen=True)
class Cursor:
    """How far a file has been read, and what was in it: a row of ``inbox_cursors``.

    The default is a file that was never read. The counts are of lines that have an end.
    """

    generation: int = 0
    size_bytes: int = 0
    sha256: str = hashlib.sha256(b"").hexdigest()
    stamp: str = ""
    lines: int = 0
    accepted: int = 0
    repeated: int = 0
    bad: int = 0
    last_repeated: tuple[str, ...] = ()
    last_bad: tuple[str, ...] = ()
    unread_keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class OpenedFile:
    """One file of JSON lines, read from its cursor on.

    Attributes:
        name: Its name.
        cursor: Where reading begins: the stored cursor, or the beginning of a new generation where
            the stored cursor is of another file.
        tail: What follows.
        stamp: Device, inode, size and times.
        modified_at: When it was last changed; None if there is none, or it may not be read.
        problem: Why it may not be read; None if it may.
        hash_to: The SHA-256 of the file up to a number of bytes of the tail; None if the file has
            not changed since it was read.
    """

    name: str
    cursor: Cursor = Cursor()
    tail: bytes = b""
    stamp: str = ""
    modified_at: datetime | None = None
    problem: str | None = None
    hash_to: Callable[[int], str] | None = field(default=None, compare=False)

    @cached_property
    def lines(self) -> Lines[Any]:
        """The lines of the tail, each parsed separately."""
        return read_lines(self.tail, _READERS[self.name], after=self.cursor.lines)


@dataclass(frozen=True)
class InboxFile:
    """One file of JSON lines, compared with its earlier lines.

    Attributes:
        opened: The file.
        parsed: The content of the lines after its cursor.
    """

    opened: OpenedFile
    parsed: Parsed[Any]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.opened.name

    @property
    def problem(self) -> str | None:
        """Why it may not be read; None if it may."""
        return self.opened.problem

    @property
    def accepted(self) -> int:
        """How many of all its lines are new."""
        return self.opened.cursor.accepted + len(self.parsed.accepted)

    @property
    def repeated(self) -> int:
        """How many of all its lines are equal to an earlier one."""
        return self.opened.cursor.repeated + len(self.parsed.repeated)

    def new_bad_lines(self, now: datetime) -> tuple[BadLine, ...]:
        """The lines after the cursor that are for quarantine.

        An unfinished line is among them once it stood for long. Should it be completed later, it is
        a line like any other. So a wrong clock does no harm.
        """
        bad, last = self.parsed.bad, self.parsed.unfinished
        if last is None or self.opened.modified_at is None:
            return bad
        if now - self.opened.modified_at < UNFINISHED_FOR:
            return bad
        hours = UNFINISHED_FOR // timedelta(hours=1)
        reason = f"unfinished, and unchanged for {hours} hours: {last.reason}"
        return (*bad, BadLine(last.line, reason, last.original))

    def count_bad_lines(self, now: datetime) -> int:
        """How many of all its lines are for quarantine."""
        return self.opened.cursor.bad + len(self.new_bad_lines(now))

    def indexed(self) -> list[Line[Any]]:
        """The new lines, up to the next cursor, that are not repetitions."""
        last = self.opened.lines.last_ended
        return [line for line in self.parsed.accepted if line.number <= last]

    def next_cursor(self) -> Cursor:
        """How far the file has been read by now: all lines that have an end."""
        start, lines = self.opened.cursor, self.opened.lines
        if self.opened.hash_to is None or (not start.size_bytes and not lines.ended):
            return start
        repeated = [str(number) for number in self.parsed.repeated if number <= lines.last_ended]
        bad = [one for one in self.parsed.bad if one.line <= lines.last_ended]
        keys = dict.fromkeys([*start.unread_keys, *self.parsed.unread])
        return Cursor(
            generation=start.generation,
            size_bytes=start.size_bytes + lines.ended,
            sha256=self.opened.hash_to(lines.ended),
            stamp=self.opened.stamp,
            lines=lines.last_ended,
            accepted=start.accepted + len(self.indexed()),
            repeated=start.repeated + len(repeated),
            bad=start.bad + len(bad),
            last_repeated=(*start.last_repeated, *repeated)[-_SHOWN_LINES:],
            last_bad=(*start.last_bad, *map(_describe_bad, bad))[-_SHOWN_LINES:],
            unread_keys=tuple(keys)[:MAX_UNREAD],
        )

    @property
    def last_bad(self) -> list[str]:
        """The last of its lines that could not be read, in words, in their order."""
        texts = [*self.opened.cursor.last_bad, *map(_describe_bad, self.parsed.bad)]
        return texts[-_SHOWN_LINES:]

    def describe_lines(self) -> list[str]:
        """What of the lines has no effect; each text begins with the file's name.

        The last ones that could not be read, or say nothing new though a person meant them; and the
        keys of the others that no rule reads.
        """
        start = self.opened.cursor
        texts = [f"{self.name}: {text}" for text in self.last_bad]
        if more := start.bad + len(self.parsed.bad) - len(texts):
            texts.append(f"{self.name}: {more} more such {'line' if more == 1 else 'lines'}")
        # Programs send a script again to be sure; a person who decides again means it.
        numbers = [*start.last_repeated, *map(str, self.parsed.repeated)][-_SHOWN_LINES:]
        texts += [
            f"{self.name}: line {number} is equal to an earlier line, and equal lines are one"
            " decision; to decide again, write another time (`at`)"
            for number in (numbers if self.name == APPROVALS else ())
        ]
        if unread := list(dict.fromkeys([*start.unread_keys, *self.parsed.unread]))[:MAX_UNREAD]:
            keys = ", ".join(repr(key[:_SHOWN_KEY]) for key in unread)
            rest = ", and perhaps more" if len(unread) == MAX_UNREAD else ""
            texts.append(f"{self.name}: unknown keys, which are ignored: {keys}{rest}")
        return texts

    def find_problems(self) -> list[str]:
        """The problems of the file and how to fix them; each text begins with its name."""
        if self.problem is not None:
            return [f"{self.problem}; its lines are not read"]
        last = self.parsed.unfinished
        if last is None or self.opened.modified_at is None:
            return []
        return [
            f"{self.name}: line {last.line} is unfinished ({last.size_bytes:,} bytes,"
            f" {last.reason}; file last changed {self.opened.modified_at:%Y-%m-%d %H:%M} UTC), and"
            " is not read; complete it, or write it again"
        ]


def _describe_bad(line: BadLine) -> str:
    return f"line {line.line} could not be read: {line.reason}"


def open_inbox(folder: Path, name: str, stored: Cursor | None = None) -> OpenedFile:
    """One of a workspace's inbox files, read from its cursor on; it may be missing.

    A file with unchanged size, times and inode is not read before the cursor. For any other, the
    checksum of the part that was read is compared: if it differs, the file was rotated, truncated
    or rewritten, and is read from its beginning.

    Args:
        folder: The workspace's folder.
        name: The file's name.
        stored: How far it has been read; None if it never was.
    """
    stored = stored or Cursor()
    again = Cursor(generation=stored.generation + 1)
    try:
        with open_folder(folder) as root, open_below(root, name) as file:
            facts = os.fstat(file.fileno())
            check_size(name, facts.st_size)
            stamp = describe_stat(facts)
            cursor, digest = stored, None
            if not stored.size_bytes or stamp != stored.stamp:
                digest = hash_start(file, stored.size_bytes)
                if not stored.size_bytes or digest.hexdigest() != stored.sha256:
                    cursor, digest = again, hashlib.sha256()
            file.seek(cursor.size_bytes)
            tail = file.read(MAX_INBOX_BYTES - cursor.size_bytes + 1)
            check_size(name, len(tail) + cursor.size_bytes)
    except FileNotFoundError:
        return OpenedFile(name, Cursor(generation=stored.generation))
    except FileRefusedError as error:
        return OpenedFile(name, Cursor(generation=stored.generation), problem=str(error))
    except OSError as error:
        problem = f"{name} cannot be read: {error.strerror}"
        return OpenedFile(name, Cursor(generation=stored.generation), problem=problem)
    modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
    hash_to = None if digest is None else partial(_continue, digest, tail)
    return OpenedFile(name, cursor, tail, stamp, modified_at, hash_to=hash_to)


def describe_stat(facts: os.stat_result) -> str:
    """Changes whenever a file does: its device, inode, size and times."""
    times = (facts.st_mtime_ns, facts.st_ctime_ns)
    return " ".join(map(str, (facts.st_dev, facts.st_ino, facts.st_size, *times)))


def _continue(digest: Any, tail: bytes, size: int) -> str:
    digest = digest.copy()
    digest.update(tail[:size])
    return str(digest.hexdigest())


def check_size(name: str, size: int) -> None:
    """See that an inbox file is not too large.

    Raises:
        FileRefusedError: It is.
    """
    if size > MAX_INBOX_BYTES:
        raise FileRefusedError(f"{name} is larger than {MAX_INBOX_BYTES:,} bytes")


def hash_start(file: BinaryIO, size: int) -> Any:
    """The SHA-256 of a file's first bytes, to be continued."""
    digest = hashlib.sha256()
    while size > 0 and (chunk := file.read(min(size, _CHUNK))):
        digest.update(chunk)
        size -= len(chunk)
    return digest


def compare_inbox(
    opened: OpenedFile, earlier: Iterable[Any] = (), *, accepted: Mapping[str, str] | None = None
) -> InboxFile:
    """A file whose lines are compared with its earlier ones.

    Args:
        opened: The file.
        earlier: What the lines before its cursor say: all that are about the scripts and videos
            that later lines name. Of a script, its id and its digest.
        accepted: Of a file of scripts, the digests that were accepted by script id, also those of
            lines of the file before it was rewritten.
    """
    is_new: Callable[[Any], bool]
    if opened.name == SCRIPTS:
        is_new = find_new_scripts(dict(earlier), accepted or {})
    elif opened.name == APPROVALS:
        is_new = find_new_decisions(earlier)
    elif opened.name == JOBS:
        is_new = find_new_jobs(earlier)
    else:
        is_new = find_new_uploads(earlier)
    return InboxFile(opened, compare_lines(opened.lines, is_new))


def find_upload_problems(
    uploads: Iterable[Upload],
    workspace: Workspace,
    states: Mapping[str, str],
    submitted: Collection[str],
    now: datetime,
) -> list[str]:
    """The uploads of scripts that were not cleared, and those on channels of others.

    The latter count nevertheless, since the video is published. But either the line or the config
    is wrong, and the feeds of channels that the config does not list are not read.

    Args:
        uploads: The workspace's upload log, in order.
        workspace: The workspace.
        states: The states of its scripts; those without a record are absent.
        submitted: The scripts of new lines, which may have no record yet.
        now: The present.
    """
    merged = merge_uploads(uploads)
    own = {channel.id for channel in workspace.channels}
    uncleared = [
        f"{UPLOADS}: script {script_id}: {problem}"
        for script_id, upload in merged.items()
        if script_id in states or script_id not in submitted
        if (problem := find_upload_problem(upload, states.get(script_id), now))
    ]
    foreign = [
        f"{UPLOADS}: script {script_id}: channel {upload.channel_id} is not a channel of the"
        " workspace; add it to `channels` in config.yaml, or correct it with another line"
        for script_id, upload in merged.items()
        if upload.channel_id is not None and upload.channel_id not in own
    ]
    return [
        *_shorten(uncleared, "uploads of scripts that were not cleared for publication"),
        *_shorten(foreign, "uploads on channels that config.yaml does not list"),
    ]


def _shorten(texts: list[str], what: str) -> list[str]:
    more = len(texts) - _SHOWN_LINES
    return texts[-_SHOWN_LINES:] + ([f"{UPLOADS}: {more} more {what}"] if more > 0 else [])
