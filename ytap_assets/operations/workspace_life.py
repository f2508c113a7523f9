"""Rename and delete workspaces, and erase what a lake has about a script or a video.

Belongs here: what ends or changes a workspace as a whole, in the lake and beside it. Does not
belong here: removing the traces of rows in the lake (`lakehouse.erasure`), the format of exports
(`exports`), or creating and archiving workspaces (`workspaces`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import polars as pl

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.errors import ConfigError
from ytap_assets.file_store import find_store
from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_rows
from ytap_assets.lakehouse.connection import find_catalog
from ytap_assets.lakehouse.copies import find_newer_copy, list_copies
from ytap_assets.lakehouse.erasure import (
    Erased,
    Target,
    count_rows,
    erase,
    list_owned_tables,
    make_hash,
)
from ytap_assets.lakehouse.errors import ErasureError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.exports import Export, export_workspace, find_uid, list_skipped
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.registries import read_registered
from ytap_assets.operations.workspaces import archive_workspace
from ytap_assets.reports.files import OVERVIEW, delete_reports
from ytap_assets.settings import Settings
from ytap_assets.tables import ERASURES, INBOX_LINES, PRODUCTION_RECORDS, TABLES, VIDEOS
from ytap_assets.tables.base import Entity

_OWNER_DIGITS = 24
FindActive = Callable[[], Collection[str]]
"""Finds the ids of the runs of Dagster that wait or work for a workspace."""
_DELETING = re.compile(r"\.deleting-[0-9a-f]{32}")
_DELETED = ".deleting-"


@dataclass(frozen=True)
class Remainder:
    """What still holds erased data.

    Attributes:
        what: What it is.
        where: Its place.
        until: When or how it goes.
    """

    what: str
    where: str
    until: str


@dataclass(frozen=True)
class Deleted:
    """A workspace that was deleted.

    Attributes:
        export: The export made before.
        erased: What was erased in the lake.
        has_folder: Whether it had a folder, which is gone.
        reports: How many files of reports were deleted.
        remainders: What still holds its data.
    """

    export: Export
    erased: Erased
    has_folder: bool
    reports: int
    remainders: Sequence[Remainder]


@dataclass(frozen=True)
class Subject:
    """An entity of a workspace whose rows are to be erased.

    Attributes:
        workspace_id: The workspace.
        entity: What it is.
        name: Its name: the id of a script or video.
    """

    workspace_id: str
    entity: Entity
    name: str


def delete_workspace(
    platform: Platform,
    workspace_id: str,
    run: Run,
    *,
    confirmed: str,
    actor: str,
    export_to: Path,
    find_active: FindActive = lambda: (),
) -> Deleted:
    """Export a workspace, erase its rows in the lake, and delete its folder and its reports.

    It is archived before, so that nothing is collected meanwhile. If it is interrupted, run it
    again: what is deleted stays deleted, and an erasure that was begun is completed.

    Args:
        platform: The installation.
        workspace_id: The workspace; it has a folder, or rows in the lake.
        run: Who deletes. Its description must not contain the workspace's name.
        confirmed: The name, typed again.
        actor: The name of the person, for the record.
        export_to: Where it is exported to; see `export_workspace`.
        find_active: Finds the runs of Dagster that work on it: before anything is done, and again
            when it is archived, since one may have begun meanwhile.

    Raises:
        ConfigError: There is no such workspace; the name was not repeated; a run works on it; its
            folder is a link, or has entries that an export leaves out; or the export cannot be made
            there.
        LakeError: As `erase`.
    """
    name = check_workspace_id(workspace_id)
    if confirmed != name:
        raise ConfigError(f"the name was not repeated: {confirmed!r} is not {name!r}")
    if platform.settings.workspace_source == "lake":
        raise ConfigError(
            "configs are read from the lake (YTAP_WORKSPACES=lake); delete the workspace where its"
            " folder is"
        )
    folder = platform.workspaces.root / name
    has_folder = os.path.lexists(folder)
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a symbolic link, which is not followed; remove it first")
    if skipped := list_skipped(folder):
        raise ConfigError(
            f"the export would lack {len(skipped)} entries of {folder}, such as {skipped[0]}; move"
            " or remove them first; nothing was deleted"
        )
    _require_idle(name, find_active())
    _require_newest(platform)
    if not has_folder and not _has_rows(platform, name):
        platform.workspaces.get(name)
    remove_deleted(platform.settings)
    now = platform.now()
    export = export_workspace(platform, name, export_to, now)
    if has_folder and name in platform.workspaces.ids():
        archive_workspace(platform.workspaces, name)
        _require_idle(name, find_active())
    subject = Subject(name, "workspace", name)
    targets = [
        Target(table, name) for table in list_owned_tables(platform.lake) if table != ERASURES.name
    ]
    erased = _erase(platform, subject, targets, run, actor, now, export)
    reports = delete_reports(find_store(platform.settings), name)
    if has_folder:
        _delete_folder(folder)
    remainders = find_remainders(platform, name)
    place = Remainder("the export made before the deletion", str(export.path), "you delete it")
    return Deleted(export, erased, has_folder, reports, [place, *remainders])


def plan_erasure(platform: Platform, subject: Subject) -> dict[str, int]:
    """How many rows an erasure of a subject would delete, by table.

    Raises:
        ConfigError: There is no such workspace, or the video is of a script.
    """
    platform.workspace(subject.workspace_id)
    return count_rows(platform.lake, _find_targets(platform, subject))


def erase_subject(platform: Platform, subject: Subject, run: Run, *, actor: str) -> Erased:
    """Erase the rows about a script with its video, or about another video, in one workspace.

    Rows that are computed from several entities, and files beside the lake, stay
    (`find_remainders`).

    Args:
        platform: The installation.
        subject: What they are about.
        run: Who erases. Its description must not contain the subject's name.
        actor: The name of the person, for the record.

    Raises:
        ConfigError: There is no such workspace, or no row about the subject.
        LakeError: As `erase`.
    """
    if not any(plan_erasure(platform, subject).values()):
        raise ConfigError(
            f"workspace {subject.workspace_id!r} has no row about {subject.entity}"
            f" {subject.name!r}; nothing was erased"
        )
    _require_newest(platform)
    targets = _find_targets(platform, subject)
    return _erase(platform, subject, targets, run, actor, platform.now(), None)


def rename_workspace(
    platform: Platform, old: str, new: str, run: Run, *, active: Collection[str] = ()
) -> Mapping[str, int]:
    """Give a workspace another name: its rows in one commit, and then its folder.

    The uid stays. Earlier snapshots have the rows under the old name until they expire. Reports
    that were written stay where they are.

    Args:
        platform: The installation.
        old: The workspace.
        new: The new name.
        run: Who renames it.
        active: The runs of Dagster that work on it.

    Returns:
        How many rows were changed, by table.

    Raises:
        ConfigError: There is no such workspace; the new name is invalid, or has a folder, rows or
            an entry in the registry; or a run works on it.
    """
    check_workspace_id(new)
    if platform.settings.workspace_source == "lake":
        raise ConfigError(
            "configs are read from the lake (YTAP_WORKSPACES=lake); rename the workspace where its"
            " folder is"
        )
    workspace = platform.workspace(old)
    folder, target = (platform.workspaces.root / name for name in (old, new))
    if os.path.lexists(target):
        raise ConfigError(f"{target} already exists; choose another name")
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a symbolic link, which is not followed; rename its target")
    if workspace.uid is None:
        raise ConfigError(
            f"workspace {old!r} has no uid, by which its rows are its own under another name; run"
            f" `ytap workspace identify {old}`"
        )
    _require_idle(old, active)
    tables = [name for name in list_owned_tables(platform.lake) if name != ERASURES.name]
    with platform.lake.write(run) as transaction:
        registered = read_registered(transaction.cross_reader())
        if new in registered or not transaction.is_absent(tables, new):
            raise ConfigError(f"the lake already has a workspace {new!r}; choose another name")
        if registered.get(old, workspace.uid) != workspace.uid:
            raise ConfigError(f"the lake's rows of {old!r} belong to another uid")
        rows = {table: transaction.rename_workspace(table, old, new) for table in tables}
    folder.rename(target)
    return {table: count for table, count in rows.items() if count}


def find_remainders(platform: Platform, workspace_id: str) -> list[Remainder]:
    """What may still hold data of a workspace that was erased in the lake, and until when."""
    settings = platform.settings
    found = [
        Remainder(
            "a backup of the lake",
            str(copy.folder),
            "`ytap maintain` deletes automatic ones beyond --keep; delete others yourself",
        )
        for copy in list_copies(settings)
    ]
    found += [
        Remainder("a lake that a restore replaced", place, "you delete it; see docs/recovery.md")
        for place in _list_replaced(settings)
    ]
    store = find_store(settings)
    if store.exists(OVERVIEW):
        found.append(
            Remainder("the overview of reports", str(store.locate(OVERVIEW)), "the next report")
        )
    if (folder := platform.workspaces.root / workspace_id).exists():
        found.append(
            Remainder(
                "the workspace's folder (inbox files, videos)", str(folder), "you edit or delete it"
            )
        )
    beside = [
        (settings.state, "cached responses of sources", "they expire; or delete the folder"),
        (settings.recordings, "recorded responses", "you delete them"),
        (settings.dagster_home, "Dagster's history of runs and events", "you delete the runs"),
    ]
    found += [
        Remainder(what, str(place), until)
        for place, what, until in beside
        if place.is_dir() and any(place.iterdir())
    ]
    if settings.bucket is not None:
        found.append(
            Remainder(
                "noncurrent versions, if the bucket keeps versions",
                str(settings.bucket),
                "the bucket's lifecycle rule",
            )
        )
    if settings.database is not None:
        server, schema = str(settings.database), settings.database.schema
        found += [
            Remainder("the log, replicas and backups of the server", server, "see docs/removal.md"),
            Remainder("cached responses of sources", f"the schema {schema}_state", "they expire"),
            Remainder(
                "lakes that a restore replaced, if there are any",
                f"the schemas {schema}_before_TIME",
                "you drop them; see docs/recovery.md",
            ),
        ]
    return found


def _list_replaced(settings: Settings) -> list[str]:
    if settings.database is not None:
        return []
    catalog = settings.catalog
    return [str(path) for path in sorted(catalog.parent.glob(f"{catalog.name}.before-*"))]


def _find_targets(platform: Platform, subject: Subject) -> list[Target]:
    """The rows about a subject; those about a script's YouTube videos are about the script, too.

    Raises:
        ConfigError: The subject is the video of a script, from whose events it would come back.
    """
    owner, entity = subject.workspace_id, subject.entity
    reader = platform.lake.reader(owner)
    column = "script_id" if entity == "script" else "video_id"
    rows = [
        reader.read(table, columns=["script_id", "video_id"], wanted={column: [subject.name]})
        for table in (PRODUCTION_RECORDS, VIDEOS, INBOX_LINES)
    ]
    known = pl.concat(rows).drop_nulls().unique().sort("script_id", "video_id")
    if entity == "video" and not known.is_empty():
        script = known.item(0, "script_id")
        raise ConfigError(
            f"video {subject.name!r} is of script {script!r}; erase both with `ytap erase script"
            f" {script} -w {owner}`"
        )
    videos = known["video_id"].unique().sort().to_list() if entity == "script" else []
    targets = []
    for table in TABLES.values():
        if entity in table.removals:
            [name] = table.removals[entity][0]
            targets.append(Target(table.name, owner, {name: [subject.name]}))
        elif videos and "video" in table.removals:
            [name] = table.removals["video"][0]
            targets.append(Target(table.name, owner, {name: videos}))
    return targets


def _has_rows(platform: Platform, workspace_id: str) -> bool:
    lake = platform.lake
    targets = [
        Target(table, workspace_id) for table in list_owned_tables(lake) if table != ERASURES.name
    ]
    return any(count_rows(lake, targets).values())


def _require_idle(workspace_id: str, active: Collection[str]) -> None:
    if active:
        raise ConfigError(
            f"runs of Dagster work on {workspace_id!r}: {', '.join(sorted(active)[:5])}; wait until"
            " they end, or terminate them"
        )


def _require_newest(platform: Platform) -> None:
    """See that no backup has commits that the catalog lacks: another one may be in its place.

    Raises:
        ErasureError: One has.
    """
    settings = platform.settings
    platform.lake.snapshot_id()
    with find_catalog(settings).lock().hold():
        reason = find_newer_copy(settings, list_copies(settings))
    if reason:
        raise ErasureError(f"{reason}; nothing was erased")


def _erase(
    platform: Platform,
    subject: Subject,
    targets: Sequence[Target],
    run: Run,
    actor: str,
    now: datetime,
    export: Export | None,
) -> Erased:
    lake, owner = platform.lake, subject.workspace_id
    uid = export.manifest.uid if export is not None else find_uid(platform, owner)
    subject_hash = make_hash(lake, owner, subject.entity, subject.name)
    recorded_as = f"erased-{make_hash(lake, owner)[:_OWNER_DIGITS]}"

    def record(erasure_id: str, rows: Mapping[str, int], snapshot: int) -> list[CheckedRows]:
        frame = ERASURES.frame(
            [
                {
                    "workspace_id": recorded_as,
                    "erasure_id": erasure_id,
                    "erased_at": now,
                    "actor": actor,
                    "entity": subject.entity,
                    "subject_hash": subject_hash,
                    "uid": uid,
                    "table_name": table,
                    "rows": count,
                    "snapshot_id": snapshot,
                    "export_sha256": None if export is None else export.sha256,
                }
                for table, count in rows.items()
            ]
        )
        return [check_rows(ERASURES, frame, Scope(recorded_as))]

    return erase(lake, targets, run, now, record=record)


def _delete_folder(folder: Path) -> None:
    """Delete a workspace's folder, which is no workspace any more from the first moment on."""
    gone = folder.with_name(f"{_DELETED}{uuid4().hex}")
    folder.rename(gone)
    shutil.rmtree(gone)


def remove_deleted(settings: Settings) -> None:
    """Remove the folders that a killed deletion left."""
    for path in settings.workspaces.glob(f"{_DELETED}*"):
        if _DELETING.fullmatch(path.name) and not path.is_symlink():
            shutil.rmtree(path)
