"""The installation as operations see it: settings, workspaces, one lake per process, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Self

import polars as pl

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import CheckResult, Scope, check_rows
from ytap_assets.lakehouse.errors import LakeMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.registries import (
    find_conflict,
    find_conflicts,
    is_registered,
    read_registered,
    register_workspaces,
)
from ytap_assets.settings import Settings
from ytap_assets.tables import COLLECTION_LOG, RAW_TRENDS, Table
from ytap_assets.workspaces import Workspace, Workspaces

_RECENT = timedelta(days=30)
_PLATFORMS_BEGAN = date(2005, 1, 1)
"""No platform is older, so a row with an earlier day (1970-01-01) makes no partition."""


class Platform:
    """Everything an operation needs; opened once per process."""

    def __init__(
        self,
        settings: Settings,
        *,
        now: Callable[[], datetime] | None = None,
        may_only_read: bool = False,
    ) -> None:
        """Take the settings.

        Args:
            settings: The installation's.
            now: The present, by default the settings'.
            may_only_read: Whether a lake that cannot be written to will do; see `Lake.open`.
        """
        self.settings = settings
        self._may_only_read = may_only_read
        self.workspaces = Workspaces(settings)
        self.now = now or settings.now
        self._registered: dict[str, str | None] = {}

    @classmethod
    def from_env(cls) -> Self:
        """The platform the environment describes.

        Raises:
            ConfigError: A setting is wrong.
        """
        return cls(Settings.from_env())

    @cached_property
    def lake(self) -> Lake:
        """The lake, attached at the first use.

        Raises:
            LakeMissingError: There is none, and it is not made by itself: the data folder holds no
                workspace, so it may be a mistyped one; or see `Lake.open`.
        """
        if not self.settings.catalog.is_file() and not self.workspaces.ids():
            raise LakeMissingError(
                f"there is no lake at {self.settings.catalog}, and no workspace in"
                f" {self.settings.workspaces}: check YTAP_DATA; `ytap workspace create` makes a"
                " workspace, `ytap lake create` an empty lake"
            )
        return Lake.open(self.settings, may_only_read=self._may_only_read)

    def day_range(self) -> tuple[date, date | None]:
        """The days that can be asked for: the first, and the last one.

        The first is that of the settings, or else a month before today; trends of earlier days in
        the lake (an import) lower it. Under replay the days are those of the recordings. They are
        looked up at each call, so every process that starts has the same ones.

        Returns:
            The first day, and the last one; None for today, whichever day that is.

        Raises:
            LakeError: There is a lake, and it cannot be opened.
        """
        recorded = self.settings.recorded_days() if self.settings.transport == "replay" else []
        recent = recorded[0] if recorded else self.now().date() - _RECENT
        first = self.settings.first_day or recent
        if self.settings.catalog.is_file():
            stored = self.lake.cross_reader().first_day(RAW_TRENDS, since=_PLATFORMS_BEGAN)
            first = min(first, stored or first)
        return (min(first, recorded[-1]), recorded[-1]) if recorded else (first, None)

    def workspace(self, workspace_id: str) -> Workspace:
        """A workspace's config, once it is certain that the lake's rows of its name are its own.

        Raises:
            ConfigError: There is no such workspace, or its folder was renamed, copied or replaced.
        """
        workspace = self.workspaces.get(workspace_id)
        conflict = self.find_conflict(workspace)
        if conflict is not None:
            raise ConfigError(conflict)
        return workspace

    def find_conflict(self, workspace: Workspace) -> str | None:
        """Why the lake's rows of a workspace's name are not its own; None if they are.

        The registry is read once per process for all workspaces, and again only for one that it
        does not know as it stands.
        """
        if not is_registered(workspace, self._registered):
            self._registered = read_registered(self.lake.cross_reader())
        return find_conflict(workspace, self._registered, self.workspaces)

    def register(self, workspace_id: str, run: Run) -> Workspace:
        """`workspace` for whoever writes rows of it: it is in the registry before they are.

        One commit enters every workspace that is new, so most calls write nothing.

        Raises:
            ConfigError: As `workspace`.
            LakeError: It cannot be entered.
        """
        workspace = self.workspace(workspace_id)
        if is_registered(workspace, self._registered):
            return workspace
        entry = Run(run.run_id, run.actor, "register workspaces")
        self._registered = register_workspaces(self.lake, self.workspaces, self.now(), entry)
        return self.workspace(workspace_id)

    def usable(self) -> tuple[list[Workspace], dict[str, ConfigError]]:
        """Every workspace that can be worked on, and why the others cannot, by folder.

        Besides those whose config cannot be read, folders that were renamed, copied or replaced are
        left out.
        """
        readable, problems = self.workspaces.readable()
        if not all(is_registered(one, self._registered) for one in readable):
            self._registered = read_registered(self.lake.cross_reader())
        conflicts = find_conflicts(readable, self._registered)
        usable = [one for one in readable if one.workspace_id not in conflicts]
        return usable, problems | {name: ConfigError(why) for name, why in conflicts.items()}

    def slice(
        self, workspace_id: str, days: Days | None, run: Run, *, writes: bool = True
    ) -> Slice:
        """What one operation works on: a workspace, and a range of days where there is one.

        Args:
            workspace_id: The workspace.
            days: First and last day.
            run: Who works on it.
            writes: Whether rows may be written; False for a look, which enters no workspace.

        Raises:
            ConfigError: There is no such workspace, the days are not in order, or its folder was
                renamed, copied or replaced.
        """
        if days is not None and days[0] > days[1]:
            raise ConfigError(f"{days[0]}..{days[1]}: the first day is after the last")
        workspace = self.register(workspace_id, run) if writes else self.workspace(workspace_id)
        return Slice(self, workspace, days, run)


@dataclass(frozen=True)
class Slice:
    """A workspace and a range of days, and the only way an operation reads or writes them."""

    platform: Platform
    workspace: Workspace
    days: Days | None
    run: Run

    @property
    def workspace_id(self) -> str:
        """The workspace."""
        return self.workspace.workspace_id

    @property
    def scope(self) -> Scope:
        """What a write of this slice covers."""
        return Scope(self.workspace_id, *(self.days or ()))

    @property
    def now(self) -> datetime:
        """The present."""
        return self.platform.now()

    def each_day(self) -> Iterator[date]:
        """Every day of the range, in order; none where the slice is a whole history."""
        if self.days is not None:
            first, last = self.days
            yield from (first + timedelta(n) for n in range((last - first).days + 1))

    def read(
        self, table: Table, *, days: Days | None = None, columns: list[str] | None = None
    ) -> pl.DataFrame:
        """This workspace's rows: of the slice's days for a day-grained table, all of another."""
        if table.by_day and days is None:
            days = self.days
        return self.platform.lake.reader(self.workspace_id).read(table, days=days, columns=columns)

    def read_later(self, table: Table, columns: list[str]) -> pl.DataFrame:
        """This workspace's rows of all days after the slice."""
        _, last = self.days or (self.now.date(), self.now.date())
        return self.read(table, days=(last + timedelta(days=1), date.max), columns=columns)


@dataclass(frozen=True)
class Picture:
    """Something to look at: an SVG image that stands alone, and what it shows."""

    svg: str
    words: str


@dataclass(frozen=True)
class Markdown:
    """A text for people; what came from outside is code in it, so that it can be no markup."""

    text: str


@dataclass(frozen=True)
class Written:
    """What was written for one slice, and how its checks went.

    Attributes:
        rows: Rows of the asset's own table.
        snapshot_id: The snapshot that holds them.
        results: The structural checks.
        frame: The rows themselves, for a preview and for the business ranges.
        notes: What else a person wants to see of the slice (files, counts, pictures), by name.
        day_notes: The same of single days, by day; a day shows these instead of the slice's.
        later: Days after the slice that were brought up to date with it, and their rows.
        log: The fetches of a collection, as rows of ``collection_log``.
    """

    rows: int
    snapshot_id: int
    results: tuple[CheckResult, ...]
    frame: pl.DataFrame
    notes: dict[str, Any] = field(default_factory=dict)
    day_notes: dict[date, dict[str, Any]] = field(default_factory=dict)
    later: Mapping[date, int] = field(default_factory=dict)
    log: pl.DataFrame = field(default_factory=COLLECTION_LOG.empty)


def publish_slice(slice_: Slice, table: Table, frame: pl.DataFrame) -> Written:
    """Check a derived table's frame and replace what the slice held.

    Raises:
        PublishRefusedError: A check failed; nothing was written.
    """
    rows = check_rows(table, frame, slice_.scope)
    with slice_.platform.lake.write(slice_.run) as transaction:
        replaced = transaction.publish(rows)
    return Written(
        rows=rows.frame.height,
        snapshot_id=transaction.snapshot_id or 0,
        results=rows.results,
        frame=rows.frame,
        notes={"rows_replaced": replaced},
    )
