"""Push configs, inbox files and what is known of videos from workspaces' folders into the lake.

A push brings what is new. It can be repeated at any time, also after an interruption. A file that
continues what is stored is continued, whoever pushed it last. Any other file replaces what the same
folder pushed before, and is refused if another folder did. What is missing in a folder stays
stored: the scripts and the videos of a workspace may be made on two machines. Belongs here: writing
``pushed_configs`` and ``pushed_files``. Does not belong here: reading it (`pushed_files`).
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ytap_assets.domain.production.events import IN_PRODUCTION, READY_FOR_PUBLISH
from ytap_assets.domain.production.lines import find_last_end, is_script_id
from ytap_assets.domain.production.manifest import MANIFEST_NAME, VideoFolder
from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_rows
from ytap_assets.lakehouse.errors import CatalogBusyError, LakeError
from ytap_assets.lakehouse.reader import CrossReader
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.inbox_files import INBOX_FILES, check_size, describe_stat, hash_start
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production_inputs import find_folder, list_manifest_files, stamp
from ytap_assets.operations.pushed_files import (
    VIDEOS,
    Part,
    PushedWorkspaces,
    name_manifest,
    read_newest,
    read_newest_configs,
    read_pushed_configs,
    write_facts,
)
from ytap_assets.operations.registries import find_conflict, read_registered
from ytap_assets.safe_files import open_below, open_folder
from ytap_assets.tables import PRODUCTION_RECORDS, PUSHED_CONFIGS, PUSHED_FILES, Table
from ytap_assets.workspaces import CONFIG_NAME, Workspace, Workspaces, parse_workspace

PART_BYTES = 4 * 1024 * 1024
COMMIT_BYTES = 64 * 1024 * 1024
"""How much a commit brings, so that a first push of long files takes no more memory than this."""
_MAX_ROUNDS = 20
_WAITING = frozenset(IN_PRODUCTION) - {READY_FOR_PUBLISH}
Key = tuple[str, str]


@dataclass
class Pushed:
    """What a push did for one workspace.

    Attributes:
        files: How many bytes were stored, by file.
        problems: What was not pushed, why, and what to do.
    """

    files: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Change:
    """The next parts of one file.

    Attributes:
        after: The newest stored part; None if there is none.
        rows: The parts, as rows of ``pushed_files``; at least one.
        is_whole: Whether they reach the end of the file.
    """

    after: Part | None
    rows: list[dict[str, Any]]
    is_whole: bool = True

    @property
    def key(self) -> Key:
        """The workspace and the file."""
        return (self.rows[0]["workspace_id"], self.rows[0]["file"])

    @property
    def size_bytes(self) -> int:
        """How many bytes it brings."""
        return sum(len(row["content"]) for row in self.rows)


class Pusher:
    """Pushes workspaces of one data folder into the lake."""

    def __init__(self, platform: Platform, run: Run, *, replaces: bool = False) -> None:
        """Take the installation.

        Args:
            platform: Its lake, and the workspaces in its data folder, whatever ``YTAP_WORKSPACES``
                says.
            run: Who pushes.
            replaces: Whether files that another folder pushed are replaced, and videos are pushed
                again.
        """
        self._settings = platform.settings
        self._lake = platform.lake
        self._folders = Workspaces(platform.settings)
        self._run = run
        self._replaces = replaces
        self._from = f"{socket.gethostname()} {platform.settings.data}"
        self._now = platform.now()

    def push_configs(self, names: Iterable[str]) -> dict[str, Pushed]:
        """Push the configs of workspaces, in one commit; those with a problem are left out.

        Args:
            names: The workspaces.

        Returns:
            What became of each workspace.

        Raises:
            LakeError: The lake cannot be read or written.
        """
        pushed = {name: Pushed() for name in names}
        configs: list[tuple[Workspace, bytes]] = []
        for name, text in self._folders.read_configs(pushed).items():
            try:
                if isinstance(text, ConfigError):
                    raise text
                origin = self._folders.origin(name)
                configs.append((parse_workspace(name, text, origin=origin), text))
            except ConfigError as error:
                pushed[name].problems.append(str(error))
        changes, problems = self._compare_configs(self._lake.cross_reader(), configs)
        if changes:
            with self._lake.write(self._run) as transaction:
                changes, problems = self._compare_configs(transaction.cross_reader(), configs)
                transaction.append_all(_check(PUSHED_CONFIGS, changes))
        _report(pushed, changes)
        for name, why in problems.items():
            pushed[name].problems.append(why)
        return pushed

    def _compare_configs(
        self, reader: CrossReader, configs: Sequence[tuple[Workspace, bytes]]
    ) -> tuple[list[_Change], dict[str, str]]:
        """The configs that differ from the stored ones, and why others may not be stored."""
        newest = read_newest_configs(reader.read_across)
        stored = read_pushed_configs(reader.read_across)
        known, _ = PushedWorkspaces(self._settings, lambda: stored).readable()
        everyone = {one.workspace_id: one for one in (*known, *(one for one, _ in configs))}
        # The name of a pushed config is taken, also if nothing was written for it yet.
        registered = {one.workspace_id: one.uid for one in known} | read_registered(reader)
        changes: list[_Change] = []
        problems: dict[str, str] = {}
        for workspace, text in configs:
            name = workspace.workspace_id
            after = newest.get(name)
            why = find_conflict(workspace, registered, everyone.values())
            if why is None and stored.get(name) != text:
                if owner := self._find_owner(after, CONFIG_NAME):
                    why = f"workspace {name!r}: {owner}"
                else:
                    changes.append(_Change(after, [self._row(name, CONFIG_NAME, after, text)]))
            if why is not None:
                problems[name] = why
        return changes, problems

    def push_inboxes(self, names: Sequence[str]) -> dict[str, Pushed]:
        """Push what is new in the inbox files and video folders of workspaces.

        Of videos, those of scripts that wait for one are pushed: the manifest, and the size and
        checksum of each file that it names. The files are read to compute these, and stay where
        they are. A commit takes `COMMIT_BYTES`.

        Args:
            names: The workspaces. Their configs must have been pushed.

        Returns:
            What became of each workspace.

        Raises:
            CatalogBusyError: Other programs pushed the same files again and again.
            LakeError: The lake cannot be read or written.
        """
        pushed = {name: Pushed() for name in names}
        size = self._settings.batch_workspaces
        for start in range(0, len(names), size):
            self._push_batch({name: pushed[name] for name in names[start : start + size]})
        return pushed

    def _push_batch(self, pushed: Mapping[str, Pushed]) -> None:
        ready: list[str] = []
        for name, why in self._find_strangers(list(pushed)).items():
            if why is None:
                ready.append(name)
            else:
                pushed[name].problems.append(why)
        videos = self._list_videos(ready, pushed)
        done: set[Key] = set()
        problems: dict[Key, str] = {}
        overtaken = 0
        while True:
            changes = self._compare_inboxes(ready, videos, done, problems)
            stored = self._store(changes) if changes else []
            _report(pushed, stored)
            done |= {change.key for change in stored if change.is_whole}
            if not changes:
                break
            overtaken = 0 if stored else overtaken + 1
            if overtaken == _MAX_ROUNDS:
                raise CatalogBusyError(
                    f"{self._settings.catalog_name}: other programs pushed the same files in each"
                    f" of {_MAX_ROUNDS} attempts; push again"
                )
        for (name, _), why in problems.items():
            pushed[name].problems.append(f"workspace {name!r}: {why}")

    def _find_strangers(self, names: Sequence[str]) -> dict[str, str | None]:
        """Why a folder is not the workspace that the lake has; None if it is."""
        configs = read_pushed_configs(self._lake.batch_reader(names).read)
        stored = PushedWorkspaces(self._settings, lambda: configs).get_all(names)
        found: dict[str, str | None] = {}
        for name, config in self._folders.get_all(names).items():
            known = stored[name]
            if isinstance(config, ConfigError):
                found[name] = str(config)
            elif name not in configs:
                found[name] = (
                    f"workspace {name!r}: its config is not in the lake; push it first, with `ytap"
                    f" workspace push {name}`"
                )
            elif isinstance(known, ConfigError):
                found[name] = str(known)
            elif known.uid != config.uid:
                found[name] = (
                    f"workspace {name!r} has the uid {config.uid} in {self._folders.folder(name)},"
                    f" and {known.uid} in the lake; if it is the same workspace, push its config"
                    f" with `ytap workspace push {name}`"
                )
            elif config.is_archived:
                found[name] = f"workspace {name!r} is archived: it is read-only"
            else:
                found[name] = None
        return found

    def _compare_inboxes(
        self,
        names: Sequence[str],
        videos: Mapping[str, Sequence[str]],
        done: set[Key],
        problems: dict[Key, str],
    ) -> list[_Change]:
        """What is to be stored next: of all files together, `COMMIT_BYTES` or one part more."""
        manifests = {name_manifest(script_id) for own in videos.values() for script_id in own}
        newest = read_newest(
            self._lake.batch_reader(names).read, [*INBOX_FILES, *sorted(manifests)]
        )
        changes: list[_Change] = []
        left = COMMIT_BYTES
        for name in names:
            for file, script_id in self._list_files(videos.get(name, ())):
                key = (name, file)
                after = newest.get(key)
                if key in done or left <= 0:
                    continue
                problems.pop(key, None)
                try:
                    change = (
                        self._compare_file(key, after, left)
                        if script_id is None
                        else self._compare_video(key, script_id, after)
                    )
                except FileRefusedError as error:
                    problems[key] = f"{error}; its lines are not pushed"
                    change = self._refuse(key, after, str(error))
                except OSError as error:
                    problems[key] = f"{file} cannot be read: {error.strerror}"
                    change = self._refuse(key, after, problems[key])
                if isinstance(change, str):
                    problems[key] = change
                elif change is not None:
                    changes.append(change)
                    left -= change.size_bytes
        return changes

    def _refuse(self, key: Key, after: Part | None, why: str) -> _Change | None:
        """That a file may not be read, so that nothing is decided without it; None if it is known.

        A file of another folder stays as it is.
        """
        name, file = key
        if (after and after.problem == why) or self._find_owner(after, file):
            return None
        facts = write_facts(VideoFolder(b"", {}, {file: why}))
        return _Change(after, [self._row(name, file, after, b"") | {"facts": facts}])

    @staticmethod
    def _list_files(scripts: Iterable[str]) -> Iterator[tuple[str, str | None]]:
        """The files to look at, each with its script if it is a manifest."""
        yield from ((name, None) for name in INBOX_FILES)
        yield from ((name_manifest(script_id), script_id) for script_id in scripts)

    def _compare_file(self, key: Key, after: Part | None, limit: int) -> _Change | str | None:
        """What follows the newest part in an inbox file, or why it may not be stored.

        Raises:
            FileRefusedError: It may not be read.
            OSError: It cannot be read.
        """
        name, file = key
        try:
            with open_folder(self._folders.folder(name)) as root, open_below(root, file) as opened:
                facts = os.fstat(opened.fileno())
                check_size(file, facts.st_size)
                stamped = describe_stat(facts)
                if after is not None and (after.stamp, after.pushed_from) == (stamped, self._from):
                    return None
                first = after.size_bytes if after is not None else 0
                digest = hash_start(opened, first)
                # An empty part has the place of what follows it, which needs a new generation.
                is_empty = after is not None and after.facts is None and not after.size_bytes
                is_continued = (
                    after is not None
                    and after.facts is None
                    and not is_empty
                    and digest.hexdigest() == after.sha256
                )
                if not is_continued:
                    first, digest = 0, hashlib.sha256()
                opened.seek(first)
                tail = opened.read(limit)
                check_size(file, first + len(tail))
        except FileNotFoundError:
            if after is None or after.problem is None or self._find_owner(after, file):
                return None
            return _Change(after, [self._row(name, file, after, b"")])  # what was refused is gone
        if not tail and (is_continued or is_empty or after is None):
            return None
        if not (is_continued or is_empty) and (why := self._find_owner(after, file)):
            return why
        is_whole = first + len(tail) >= facts.st_size
        modified_at = datetime.fromtimestamp(facts.st_mtime, UTC)
        generation = after.generation if after and is_continued else None
        rows = []
        for start, end in _cut(tail):
            digest.update(tail[start:end])
            row = self._row(name, file, after, tail[start:end], generation=generation)
            row |= {
                "first_byte": first + start,
                "size_bytes": first + end,
                "sha256": digest.hexdigest(),
                "modified_at": modified_at,
            }
            rows.append(row)
        # A stamp says that the whole file is stored.
        rows[-1]["stamp"] = stamped if is_whole else ""
        return _Change(after, rows, is_whole)

    def _compare_video(self, key: Key, script_id: str, after: Part | None) -> _Change | str | None:
        """A video's manifest and files if they changed, or why they may not be stored."""
        name, file = key
        folder = self._folders.folder(name)
        found = find_folder(folder, script_id, with_hash=False)
        if found is None:
            return None
        place = folder / VIDEOS / script_id
        names = [MANIFEST_NAME, *list_manifest_files(found.manifest)]
        stamps = "\n".join(f"{one} {stamp(place / one)}" for one in names)
        stamped = hashlib.sha256(stamps.encode("utf-8", "surrogatepass")).hexdigest()
        if after is not None and not self._replaces:
            if after.pushed_from != self._from:
                is_same = after.sha256 == hashlib.sha256(found.manifest).hexdigest()
                return None if is_same else self._find_owner(after, file)
            if after.stamp == stamped:
                return None
        measured = find_folder(folder, script_id, with_hash=True)
        if measured is None:
            return None
        row = self._row(name, file, after, measured.manifest)
        return _Change(after, [row | {"facts": write_facts(measured), "stamp": stamped}])

    def _list_videos(
        self, names: Sequence[str], pushed: Mapping[str, Pushed]
    ) -> dict[str, list[str]]:
        """The scripts with a video folder that wait for a video, or have no record yet."""
        records = self._lake.batch_reader(names).read(
            PRODUCTION_RECORDS, columns=["workspace_id", "script_id", "state"]
        )
        states = {(row[0], row[1]): row[2] for row in records.iter_rows()}
        videos: dict[str, list[str]] = {}
        for name in names:
            folder = self._folders.folder(name) / VIDEOS
            try:
                found = sorted(filter(is_script_id, (one.name for one in folder.iterdir())))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:  # the other workspaces have theirs
                pushed[name].problems.append(f"{folder}: {error.strerror}; no video was pushed")
                continue
            known = {one: states.get((name, one)) for one in found}
            videos[name] = [one for one, state in known.items() if state in {None, *_WAITING}]
        return videos

    def _find_owner(self, after: Part | None, file: str) -> str | None:
        """Why a file that does not continue what is stored may not replace it; None if it may."""
        if after is None or self._replaces or after.pushed_from == self._from:
            return None
        return (
            f"{file} does not continue what {after.pushed_from!r} pushed at"
            f" {after.pushed_at:%Y-%m-%d %H:%M} UTC ({after.size_bytes:,} bytes), and was not"
            " pushed; if this folder has the right one, push it with --replace"
        )

    def _row(
        self,
        name: str,
        file: str,
        after: Part | None,
        content: bytes,
        *,
        generation: int | None = None,
    ) -> dict[str, Any]:
        """A row of ``pushed_files`` with a whole file; a new generation if none is given."""
        return {
            "workspace_id": name,
            "file": file,
            "generation": generation or (after.generation if after else 0) + 1,
            "first_byte": 0,
            "content": content,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "stamp": "",
            "pushed_at": self._now,
            "pushed_from": self._from,
        }

    def _store(self, changes: Sequence[_Change]) -> list[_Change]:
        """Store the changes of files that nobody else has pushed meanwhile."""
        names = sorted({change.key[0] for change in changes})
        files = sorted({change.key[1] for change in changes})
        with self._lake.write(self._run) as transaction:
            newest = read_newest(transaction.batch_reader(names).read, files)
            fresh = [change for change in changes if newest.get(change.key) == change.after]
            done = transaction.append_all(_check(PUSHED_FILES, fresh))
            if any(not one.duplicates.is_empty() for one in done):
                raise LakeError("parts of files have the place of stored ones; please report this")
        return fresh


def _check(table: Table, changes: Sequence[_Change]) -> list[CheckedRows]:
    """The rows of changes, checked, by workspace."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for change in changes:
        rows[change.key[0]] += change.rows
    return [check_rows(table, table.frame(own), Scope(name)) for name, own in rows.items()]


def _cut(tail: bytes) -> list[tuple[int, int]]:
    """Where the parts of a tail begin and end; one ends where its last whole line does."""
    cuts = {*range(0, len(tail), PART_BYTES), find_last_end(tail), len(tail)}
    ends = sorted(cuts - {0}) or [0]
    return list(zip([0, *ends], ends, strict=False))


def _report(pushed: Mapping[str, Pushed], changes: Iterable[_Change]) -> None:
    for change in changes:
        name, file = change.key
        files = pushed[name].files
        files[file] = files.get(file, 0) + change.size_bytes
