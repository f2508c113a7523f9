"""Reading the files of workspaces that were pushed into the lake, in place of the folders' files.

With `YTAP_WORKSPACES=lake`, configs come from the table ``pushed_configs``, inbox files and what is
known of videos from ``pushed_files``. What is read of an inbox file is what would be read of the
file itself: the same bytes from the same cursor on. Belongs here: reading. Does not belong here:
writing (`push`), or what the files mean.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import polars as pl
from pydantic import BaseModel, StrictInt, ValidationError

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.domain.production.manifest import MANIFEST_NAME, FileFact, VideoFolder
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.inspection import inspect_lake
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.operations.inbox_files import INBOX_FILES, Cursor, OpenedFile
from ytap_assets.settings import Settings
from ytap_assets.tables import PUSHED_CONFIGS, PUSHED_FILES, Table
from ytap_assets.workspaces import CONFIG_NAME, Workspaces

VIDEOS = "videos"
"""The folder of a workspace's videos."""

Read = Callable[..., pl.DataFrame]
"""`BatchReader.read` or `CrossReader.read_across`."""
_FILE = ["workspace_id", "file"]
_UNREADABLE = "what was pushed of its files cannot be read; push it with --replace"


class _Facts(BaseModel):
    """The column ``facts``: size and checksum of each file, and why others could not be read."""

    found: dict[str, tuple[StrictInt, str | None]]
    refused: dict[str, str]


class Part(NamedTuple):
    """What is known of a part of a file without its content; the columns of ``pushed_files``."""

    workspace_id: str
    file: str
    seq: int
    generation: int
    size_bytes: int
    sha256: str
    modified_at: datetime | None
    stamp: str
    pushed_at: datetime
    pushed_from: str
    facts: str | None

    @property
    def problem(self) -> str | None:
        """Why an inbox file could not be pushed; None if it was."""
        if self.facts is None:
            return None
        return read_facts(b"", self.facts).refused.get(self.file, _UNREADABLE)


def name_manifest(script_id: str) -> str:
    """The name under which a video's manifest is pushed."""
    return f"{VIDEOS}/{script_id}/{MANIFEST_NAME}"


def read_newest(
    read: Read, files: Sequence[str], *, table: Table = PUSHED_FILES
) -> dict[tuple[str, str], Part]:
    """The newest part of each file, by workspace and file.

    Args:
        read: Reads the workspaces.
        files: The names of the files.
        table: The table that has them.
    """
    rows = read(table, columns=Part._fields, wanted={"file": files})
    newest = rows.sort("seq").unique(_FILE, keep="last")
    return {(row[0], row[1]): Part(*row) for row in newest.iter_rows()}


def _read_contents(
    read: Read, seqs: Collection[int], *, table: Table = PUSHED_FILES
) -> dict[int, bytes]:
    """The bytes of parts, by their numbers."""
    if not seqs:
        return {}
    return dict(read(table, columns=["seq", "content"], seqs=seqs).iter_rows())


def read_newest_configs(read: Read) -> dict[str, Part]:
    """What is known of the newest config of every workspace, in order of their ids."""
    newest = read_newest(read, [CONFIG_NAME], table=PUSHED_CONFIGS)
    return {part.workspace_id: part for part in sorted(newest.values())}


def read_pushed_configs(read: Read) -> dict[str, bytes]:
    """The newest config of every workspace, in order of their ids."""
    newest = read_newest_configs(read)
    seqs = [part.seq for part in newest.values()]
    contents = _read_contents(read, seqs, table=PUSHED_CONFIGS)
    return {name: contents[part.seq] for name, part in newest.items()}


class PushedConfigs:
    """The pushed configs, read again whenever one was pushed: of all workspaces together."""

    def __init__(self, lake: Callable[[], Lake]) -> None:
        """Take what opens the lake; it is not opened yet."""
        self._lake = lake
        self._known: tuple[int | None, Mapping[str, bytes]] = (None, {})

    def read(self) -> Mapping[str, bytes]:
        """The newest config of every workspace, in order of their ids.

        Raises:
            LakeError: The lake cannot be read.
        """
        lake = self._lake()
        last_seq = lake.last_seq(PUSHED_CONFIGS)
        if last_seq != self._known[0]:
            self._known = (last_seq, read_pushed_configs(lake.cross_reader().read_across))
        return self._known[1]


class PushedWorkspaces(Workspaces):
    """The workspaces of an installation, as they were pushed into the lake."""

    first_step = "push them with `ytap workspace push --all` where their folders are"
    way_back = first_step

    def __init__(self, settings: Settings, read: Callable[[], Mapping[str, bytes]]) -> None:
        """Take the settings, and what reads the configs by workspace."""
        super().__init__(settings)
        self.place = f"the lake {settings.catalog_name}"
        self._read = read

    def origin(self, workspace_id: str) -> str:
        """See `Workspaces.origin`."""
        return f"{workspace_id}/{CONFIG_NAME} in the lake"

    def read_config(self, workspace_id: str) -> bytes:
        """See `Workspaces.read_config`."""
        found = self.read_configs([workspace_id])[workspace_id]
        if isinstance(found, ConfigError):
            raise found
        return found

    def read_configs(self, names: Iterable[str] | None = None) -> dict[str, bytes | ConfigError]:
        """See `Workspaces.read_configs`."""
        configs = self._read()
        if names is None:
            return dict(configs)
        found: dict[str, bytes | ConfigError] = {}
        for name in names:
            try:
                content = configs.get(check_workspace_id(name))
            except ConfigError as error:
                found[name] = error
            else:
                found[name] = self._describe_missing(name) if content is None else content
        return found

    def write_config(self, workspace_id: str, text: bytes) -> Path:  # noqa: ARG002
        """Refuse: configs in the lake are pushed.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            f"workspace {workspace_id!r}: its config is in the lake; change it in its folder, and"
            f" push it with `ytap workspace push {workspace_id}`"
        )

    def _list(self) -> list[str]:
        return list(self._read())


def open_workspaces(settings: Settings) -> Workspaces:
    """The workspaces for a command that only looks at them; the lake is not changed.

    Raises:
        LakeError: They are in the lake, and it cannot be read.
    """
    if settings.workspace_source == "folder":
        return Workspaces(settings)
    with inspect_lake(settings) as inspection:
        has_any = inspection.has(PUSHED_CONFIGS)
        configs = read_pushed_configs(inspection.cross_reader().read_across) if has_any else {}
    return PushedWorkspaces(settings, lambda: configs)


@dataclass(frozen=True)
class _Stored:
    """An inbox file in the lake, compared with its cursor.

    Attributes:
        cursor: Its cursor.
        newest: Its newest part.
        parts: The parts of its generation, in order.
        start: Where reading begins: after the ``cursor``; ``anew``; or ``unknown``, if the cursor
            is at no part's end, so that it depends on the content.
    """

    cursor: Cursor
    newest: Part
    parts: list[Part]
    start: Literal["cursor", "anew", "unknown"]

    @property
    def needed(self) -> list[Part]:
        """The parts whose content is needed."""
        if self.start != "cursor":
            return self.parts
        return [part for part in self.parts if part.size_bytes > self.cursor.size_bytes]

    def open(self, read: Read, contents: Mapping[int, bytes]) -> OpenedFile:
        """What follows the cursor; see `open_inbox`."""
        if problem := self.newest.problem:
            before = Cursor(generation=self.cursor.generation)
            return OpenedFile(self.newest.file, before, problem=problem)
        content = b"".join(contents[part.seq] for part in self.needed)
        cursor, size = self.cursor, self.cursor.size_bytes
        is_new = self.start == "anew"
        if self.start == "unknown":
            is_new = hashlib.sha256(content[:size]).hexdigest() != cursor.sha256
        if is_new:
            cursor, tail = Cursor(generation=cursor.generation + 1), content
        else:
            tail = content[len(content) - (self.newest.size_bytes - size) :] if content else b""
        stamp = _stamp(self.newest)
        is_unchanged = bool(size) and stamp == self.cursor.stamp
        return OpenedFile(
            self.newest.file,
            cursor,
            tail,
            stamp,
            self.newest.modified_at,
            hash_to=None if is_unchanged else partial(self._hash_to, read, cursor),
        )

    def _hash_to(self, read: Read, cursor: Cursor, size: int) -> str:
        """The checksum up to so many bytes after a cursor: parts end where lines do.

        Elsewhere, all parts before are read.
        """
        end = cursor.size_bytes + size
        ends = {part.size_bytes: part.sha256 for part in self.parts}
        if not size:
            return cursor.sha256
        if end in ends:
            return ends[end]
        contents = _read_contents(read, [part.seq for part in self.parts])
        return hashlib.sha256(b"".join(contents[part.seq] for part in self.parts)[:end]).hexdigest()


def _stamp(newest: Part) -> str:
    return f"pushed {newest.seq}"


def open_pushed(
    read: Read, workspace_ids: Iterable[str], cursors: Mapping[tuple[str, str], Cursor]
) -> dict[tuple[str, str], OpenedFile]:
    """The inbox files of workspaces, each read from its cursor on: `open_inbox` from the lake.

    Two reads for all of them, the second only of parts that were not read yet.

    Args:
        read: Reads the workspaces.
        workspace_ids: The workspaces.
        cursors: How far the files have been read, by workspace and file.
    """
    rows = read(PUSHED_FILES, columns=Part._fields, wanted={"file": list(INBOX_FILES)})
    current = pl.col("generation") == pl.col("generation").max().over(_FILE)
    at = pl.DataFrame(
        [(*key, one.size_bytes) for key, one in cursors.items()],
        {"workspace_id": pl.String, "file": pl.String, "_read": pl.Int64},
        orient="row",
    )
    parts: dict[tuple[str, str], list[Part]] = defaultdict(list)
    # Of a long history, only what may be needed becomes objects.
    known = rows.filter(current).sort("seq").join(at, on=_FILE, how="left", maintain_order="left")
    is_last = pl.col("seq") == pl.col("seq").max().over(_FILE)
    is_late = pl.col("size_bytes") >= pl.col("_read").fill_null(0)
    for row in known.filter(is_late | is_last).select(Part._fields).iter_rows():
        parts[row[0], row[1]].append(Part(*row))
    found: dict[tuple[str, str], _Stored] = {}
    for key, own in parts.items():
        cursor = cursors.get(key, Cursor())
        start = _find_start(cursor, own)
        if start != "cursor":
            name, file = key
            whole = known.filter(workspace_id=name, file=file).select(Part._fields)
            own = [Part(*row) for row in whole.iter_rows()]  # noqa: PLW2901
        found[key] = _Stored(cursor, own[-1], own, start)
    contents = _read_contents(read, [one.seq for file in found.values() for one in file.needed])
    opened: dict[tuple[str, str], OpenedFile] = {}
    for workspace_id in workspace_ids:
        for name in INBOX_FILES:
            stored = found.get((workspace_id, name))
            generation = cursors.get((workspace_id, name), Cursor()).generation
            opened[workspace_id, name] = (
                stored.open(read, contents)
                if stored
                else OpenedFile(name, Cursor(generation=generation))
            )
    return opened


def _find_start(cursor: Cursor, parts: Sequence[Part]) -> Literal["cursor", "anew", "unknown"]:
    newest = parts[-1]
    if not cursor.size_bytes or newest.size_bytes < cursor.size_bytes:
        return "anew"
    if cursor.stamp == _stamp(newest):
        return "cursor"
    ends = {part.size_bytes: part.sha256 for part in parts}
    if cursor.size_bytes not in ends:
        return "unknown"
    return "cursor" if ends[cursor.size_bytes] == cursor.sha256 else "anew"


def stamp_pushed_videos(
    read: Read, scripts: Mapping[str, Collection[str]]
) -> dict[str, dict[str, str]]:
    """The number of the newest push of scripts' videos, by workspace and script.

    Scripts without a pushed video are absent: `stamp_folders` from the lake.

    Args:
        read: Reads the workspaces.
        scripts: The scripts by workspace.
    """
    stamps: dict[str, dict[str, str]] = {name: {} for name in scripts}
    wanted = {(name, name_manifest(one)): one for name, own in scripts.items() for one in own}
    newest = read_newest(read, sorted({file for _, file in wanted})) if wanted else {}
    for key, part in newest.items():
        if key in wanted:
            stamps[part.workspace_id][wanted[key]] = str(part.seq)
    return stamps


def read_pushed_videos(
    read: Read, stamps: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, VideoFolder]]:
    """The video folders of scripts as they were pushed, by workspace and script.

    Args:
        read: Reads the workspaces.
        stamps: The numbers of `stamp_pushed_videos`.
    """
    found: dict[str, dict[str, VideoFolder]] = {name: {} for name in stamps}
    owners = {int(seq): (name, one) for name, own in stamps.items() for one, seq in own.items()}
    if not owners:
        return found
    rows = read(PUSHED_FILES, columns=["seq", "content", "facts"], seqs=list(owners))
    for seq, content, facts in rows.iter_rows():
        workspace_id, script_id = owners[seq]
        found[workspace_id][script_id] = read_facts(content, facts)
    return found


def write_facts(folder: VideoFolder) -> str:
    """What was found of files, as the column ``facts`` has it; `read_facts` reads it."""
    found = {name: (fact.size_bytes, fact.sha256) for name, fact in folder.found.items()}
    return _Facts(found=found, refused=dict(folder.refused)).model_dump_json()


def read_facts(manifest: bytes, facts: str | None) -> VideoFolder:
    """A video folder as it was pushed; one that is refused, if the facts are of another form."""
    try:
        known = _Facts.model_validate_json(facts or "")
    except ValidationError:
        return VideoFolder(manifest, {}, {MANIFEST_NAME: _UNREADABLE})
    found = {name: FileFact(size, sha256) for name, (size, sha256) in known.found.items()}
    return VideoFolder(manifest, found, known.refused)
