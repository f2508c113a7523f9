"""The registries that come from a workspace's config, and what the first of them is for: identity.

A workspace's rows stand under its name, which is its folder's. The registry ``workspaces`` says
which uid each name belongs to, so that a renamed, copied or replaced folder is noticed before
anything is written for it. Belongs here: that judgement, and the registries' rows. Does not belong
here: when it is made (`platform`), or changing a config (`workspaces`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from ytap_assets.lakehouse.checks import CheckedRows, PublishRefusedError, Scope, check_batch
from ytap_assets.lakehouse.inspection import Age
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.reader import BatchReader, CrossReader
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.tables import ACCOUNTS, CHANNELS, ERASURES, WORKSPACES
from ytap_assets.workspaces import Workspace, Workspaces

Registered = Mapping[str, str | None]
"""The uid of every workspace in the registry, by its name; None if it had none."""

IDENTITY_COLUMNS = ("workspace_id", "uid")


@dataclass(frozen=True)
class Orphan:
    """Rows in the lake under a name that no folder has.

    Attributes:
        workspace_id: The name.
        uid: The uid it is registered with, if any.
        rows: How many rows.
        tables: In how many tables.
        newest_at: When the newest was observed or created; None if unknown.
        renamed_to: The folder that has its uid now.
        is_in_lake: Whether configs are read from the lake, so that none was pushed for it.
    """

    workspace_id: str
    uid: str | None
    rows: int
    tables: int
    newest_at: datetime | None
    renamed_to: str | None
    is_in_lake: bool = False

    def __str__(self) -> str:
        newest = f", the newest of {self.newest_at:%Y-%m-%d %H:%M} UTC" if self.newest_at else ""
        lacks = "no config was pushed" if self.is_in_lake else "no folder"
        found = f"{self.rows:,} rows in {self.tables} tables{newest}, but {lacks}"
        if self.uid is not None:
            found += f"; its uid is {self.uid}"
        if self.renamed_to:
            return f"{found}; the folder was renamed to {self.renamed_to!r}, which has this uid"
        name = self.workspace_id
        if self.is_in_lake:
            return f"{found}; push it with `ytap workspace push {name}` where its folder is"
        adopt = f" and `ytap workspace identify {name} --adopt`" if self.uid is not None else ""
        return (
            f"{found}; restore the folder from your own backup, or create it with `ytap workspace"
            f" create {name}`{adopt}"
        )


def read_registered(reader: CrossReader) -> dict[str, str | None]:
    """The registry as the lake has it: one small read, whatever the number of workspaces."""
    return dict(reader.read_across(WORKSPACES, columns=IDENTITY_COLUMNS).iter_rows())


def is_registered(workspace: Workspace, registered: Registered) -> bool:
    """Whether the registry has the workspace with its name and uid."""
    known = registered.get(workspace.workspace_id, "")
    return known == workspace.uid


def find_conflict(
    workspace: Workspace, registered: Registered, folders: Iterable[Workspace]
) -> str | None:
    """Why a folder is not the workspace of the lake's rows, and what to do; None if it is.

    Args:
        workspace: The folder's config.
        registered: The registry.
        folders: The configs of all folders.
    """
    name, uid = workspace.workspace_id, workspace.uid
    own = registered.get(name)
    if own is not None and own != uid:
        has = f"has the uid {uid}" if uid else "has no uid"
        return (
            f"workspace {name!r} {has}, but the lake's rows of that name belong to the uid {own};"
            " nothing is written for it. Give its folder another name. If it is the same workspace,"
            f" adopt that uid with `ytap workspace identify {name} --adopt`"
        )
    if uid is None or own == uid:
        return None
    others = sorted(other for other, known in registered.items() if known == uid)
    if not others:
        same = [one.workspace_id for one in folders if one.uid == uid]
        others = sorted(other for other in same if other != name)
    if not others:
        return None
    return (
        f"workspace {name!r} has the uid of workspace {others[0]!r}: its folder was renamed or"
        " copied; nothing is written for it. If the folder was renamed, rename it back to"
        f" {others[0]}. If it is a copy, give it a new uid with `ytap workspace identify {name}"
        " --new`"
    )


def find_conflicts(
    workspaces: Sequence[Workspace],
    registered: Registered,
    folders: Sequence[Workspace] | None = None,
) -> dict[str, str]:
    """`find_conflict` of each workspace that has one, by its name.

    Args:
        workspaces: The workspaces' configs.
        registered: The registry.
        folders: The configs of all folders; the workspaces themselves if None.
    """
    folders = workspaces if folders is None else folders
    found = {one.workspace_id: find_conflict(one, registered, folders) for one in workspaces}
    return {name: why for name, why in found.items() if why is not None}


def register_workspaces(
    lake: Lake, workspaces: Workspaces, now: datetime, run: Run
) -> tuple[dict[str, str | None], dict[str, PublishRefusedError]]:
    """Register all workspaces that are not in the registry yet, in one commit.

    Conflicting workspaces are omitted. The registry is read under the write lock, so if two
    processes register the same uid under two names, only the first succeeds.

    Returns:
        The resulting registry, and the workspaces whose row was rejected.
    """
    readable, _ = workspaces.readable()
    stored = lake.cross_reader().read_across(WORKSPACES)
    known = dict(stored.select(IDENTITY_COLUMNS).iter_rows())
    missing = [one for one in readable if not is_registered(one, known)]
    rows = describe_workspaces(missing, stored, now).partition_by("workspace_id", as_dict=True)
    checked = check_batch(WORKSPACES, {Scope(str(name)): row for (name,), row in rows.items()})
    new: dict[str, CheckedRows] = {}
    refused: dict[str, PublishRefusedError] = {}
    for scope, found in checked.items():
        if isinstance(found, CheckedRows):
            new[scope.workspace_id] = found
        else:
            refused[scope.workspace_id] = found
    with lake.write(run) as transaction:
        registered = read_registered(transaction.cross_reader())
        conflicts = find_conflicts(readable, registered)
        entered = {
            one.workspace_id: one.uid
            for one in readable
            if one.workspace_id in new
            and one.workspace_id not in conflicts
            and not is_registered(one, registered)
        }
        transaction.publish_all([new[name] for name in entered])
    return registered | entered, refused


def find_orphans(
    ages: Iterable[Age],
    registered: Registered,
    workspaces: Sequence[Workspace],
    folders: Collection[str],
    *,
    is_in_lake: bool = False,
) -> list[Orphan]:
    """The names in the lake that no folder has, in order.

    Rows of ``erasures`` belong to none.

    Args:
        ages: How many rows each name has in each table.
        registered: The registry.
        workspaces: The workspaces whose config can be read.
        folders: The names of all folders, those whose config cannot be read too.
        is_in_lake: Whether the configs are read from the lake.
    """
    by_uid = {one.uid: one.workspace_id for one in workspaces if one.uid is not None}
    lost: dict[str, list[Age]] = {}
    for age in ages:
        if age.workspace_id not in folders and age.table != ERASURES.name:
            lost.setdefault(age.workspace_id, []).append(age)
    orphans = []
    for name, own in sorted(lost.items()):
        uid = registered.get(name)
        orphans.append(
            Orphan(
                workspace_id=name,
                uid=uid,
                rows=sum(age.rows for age in own),
                tables=len(own),
                newest_at=max((age.newest_at for age in own if age.newest_at), default=None),
                renamed_to=by_uid.get(uid) if uid is not None else None,
                is_in_lake=is_in_lake,
            )
        )
    return orphans


def find_unidentified(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of ``workspaces`` without a uid: ``workspace_id`` and ``name``."""
    return rows.filter(pl.col("uid").is_null()).select("workspace_id", "name")


def describe_workspaces(
    workspaces: Iterable[Workspace], stored: pl.DataFrame, now: datetime
) -> pl.DataFrame:
    """Workspaces as rows of ``workspaces``, as their configs are now.

    Args:
        workspaces: The workspaces.
        stored: The stored rows of ``workspaces``; ``first_seen_at`` is kept.
        now: The present.
    """
    since = dict(stored.select("workspace_id", "first_seen_at").iter_rows())
    return WORKSPACES.frame(
        [
            {
                "workspace_id": workspace.workspace_id,
                "uid": workspace.uid,
                "name": workspace.name,
                "vertical": workspace.vertical,
                "language": workspace.language,
                "timezone": workspace.timezone,
                "status": workspace.status,
                "collects": workspace.collects,
                "first_seen_at": since.get(workspace.workspace_id, now),
                "tone": workspace.brand.tone or None,
                "visual_style": workspace.brand.visual_style or None,
            }
            for workspace in workspaces
        ]
    )


def find_outdated(reader: BatchReader, workspaces: Sequence[Workspace], now: datetime) -> set[str]:
    """The workspaces of which a stored registry differs from their config.

    Args:
        reader: A reader of these workspaces.
        workspaces: Their configs.
        now: The present, which is `first_seen_at` of a workspace that is not registered.
    """
    stored = {table: reader.read(table) for table in (WORKSPACES, CHANNELS, ACCOUNTS)}
    wanted = {
        WORKSPACES: describe_workspaces(workspaces, stored[WORKSPACES], now),
        CHANNELS: list_channels(workspaces),
        ACCOUNTS: list_accounts(workspaces),
    }
    outdated: set[str] = set()
    for table, rows in wanted.items():
        for left, right in ((rows, stored[table]), (stored[table], rows)):
            unmatched = left.join(right, on=left.columns, how="anti", nulls_equal=True)
            outdated.update(unmatched.get_column("workspace_id"))
    return outdated


def list_channels(workspaces: Iterable[Workspace]) -> pl.DataFrame:
    """The own and monitored channels, as rows of ``channels``; an own one is not repeated."""
    rows = []
    for workspace in workspaces:
        own = {channel.id: channel for channel in workspace.channels}
        monitored = {one.id: one for one in workspace.sources.youtube.monitored_channels}
        rows += [
            {
                "workspace_id": workspace.workspace_id,
                "channel_id": channel.id,
                "title": channel.title,
                "is_own": channel.id in own,
                "status": channel.status,
            }
            for channel in (own | monitored | own).values()
        ]
    return CHANNELS.frame(rows)


def list_accounts(workspaces: Iterable[Workspace]) -> pl.DataFrame:
    """The platform accounts, as rows of ``accounts``."""
    return ACCOUNTS.frame(
        [
            {
                "workspace_id": workspace.workspace_id,
                "platform": account.platform,
                "handle": account.handle,
                "credential_ref": account.credential_ref,
                "has_consent": account.has_consent,
                "is_enabled": account.is_enabled,
            }
            for workspace in workspaces
            for account in workspace.accounts
        ]
    )
