"""The installation as operations see it: settings, workspaces, one lake per process, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from ytap_assets.settings import Settings
from ytap_assets.tables import Table
from ytap_assets.workspaces import Workspace, Workspaces


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

    def slice(self, workspace_id: str, days: Days | None, run: Run) -> Slice:
        """What one operation works on: a workspace, and a range of days where there is one.

        Raises:
            ConfigError: There is no such workspace, or the days are not in order.
        """
        if days is not None and days[0] > days[1]:
            raise ConfigError(f"{days[0]}..{days[1]}: the first day is after the last")
        return Slice(self, self.workspaces.get(workspace_id), days, run)


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


@dataclass(frozen=True)
class Picture:
    """Something to look at: an SVG image that stands alone, and what it shows."""

    svg: str
    words: str


@dataclass(frozen=True)
class Written:
    """What was written for one slice, and how its checks went.

    Attributes:
        rows: Rows of the asset's own table.
        snapshot_id: The snapshot that holds them.
        results: The structural checks.
        frame: The rows themselves, for a preview and for the business ranges.
        notes: What else a person wants to see (files, counts, pictures), by name.
    """

    rows: int
    snapshot_id: int
    results: tuple[CheckResult, ...]
    frame: pl.DataFrame
    notes: dict[str, Any] = field(default_factory=dict)


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
