"""The installation as operations see it: settings, workspaces, one lake per process, the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, wraps
from typing import Any, Self, TypeVar

import polars as pl

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import (
    CheckedRows,
    CheckResult,
    PublishRefusedError,
    Scope,
    check_batch,
)
from ytap_assets.lakehouse.connection import find_catalog, is_made_by_itself, require_catalog
from ytap_assets.lakehouse.errors import LakeError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.reader import BatchReader, Days, Wanted
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.pushed_files import PushedConfigs, PushedWorkspaces
from ytap_assets.operations.registries import (
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
_Made = TypeVar("_Made")


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
        self.workspaces = (
            PushedWorkspaces(settings, PushedConfigs(lambda: self.lake).read)
            if settings.workspace_source == "lake"
            else Workspaces(settings)
        )
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
            LakeMissingError: As `check_lake`.
            LakeError: As `Lake.open`.
        """
        self.check_lake()
        return Lake.open(self.settings, may_only_read=self._may_only_read)

    def check_lake(self) -> None:
        """See that there is a lake, or that one is made here by itself; nothing is created.

        Raises:
            LakeMissingError: There is none, and it is not made by itself: the data folder holds no
                workspace, so it may be a mistyped one; or see `Lake.open`. Workspaces in the lake
                need a lake that was created.
            LakeDamagedError: Its catalog is empty.
            ConfigError: The lake is elsewhere, and there is no data folder with workspaces.
        """
        is_in_folders = self.settings.workspace_source == "folder"
        if not (is_in_folders and is_made_by_itself(self.settings) and self.workspaces.ids()):
            require_catalog(self.settings)
        if is_in_folders and not self.settings.data.is_dir():
            raise ConfigError(f"{self.settings.data} does not exist; check YTAP_DATA")

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
        if find_catalog(self.settings).exists():
            stored = self.lake.cross_reader().first_day(RAW_TRENDS, since=_PLATFORMS_BEGAN)
            first = min(first, stored or first)
        return (min(first, recorded[-1]), recorded[-1]) if recorded else (first, None)

    def askable_days(self) -> Days:
        """The first and the last day that a run may be asked for: `day_range`, up to today.

        Today is that of the settings or of the machine, whichever is later.
        """
        first, last = self.day_range()
        return first, last or max(self.now().date(), datetime.now(UTC).date())

    def check_days(self, days: Days) -> None:
        """See that a run may be asked for a range of days.

        Raises:
            ConfigError: The first day is after the last, or a day is not one of `askable_days`.
            LakeError: There is a lake, and it cannot be opened.
        """
        first, last = self.askable_days()
        is_recorded = self.day_range()[1] is not None
        if days[0] > last:
            end = f"after {last}, the last recorded day"
            raise ConfigError(
                f"{days[0]} is {end if is_recorded else f'in the future: today is {last} (UTC)'}"
            )
        check_order(days)
        if not first <= days[0] <= days[1] <= last:
            asked = f"{days[0]}..{days[1]}" if days[0] < days[1] else f"{days[0]}"
            end = f"{last}, the last recorded day" if is_recorded else f"today, {last}"
            raise ConfigError(
                f"{asked}: the days must be between {first} and {end}; YTAP_FIRST_DAY sets an"
                " earlier first day"
            )

    def workspace(self, workspace_id: str) -> Workspace:
        """A workspace's config, after verifying that the lake's rows of its name are its own.

        Raises:
            ConfigError: There is no such workspace, or its folder was renamed, copied or replaced.
        """
        return _result(self._identify([workspace_id])[workspace_id])

    def register(self, workspace_id: str, run: Run) -> Workspace:
        """`workspace` for writers: also registers it before its first rows are written.

        Raises:
            ConfigError: As `workspace`.
            PublishRefusedError: Its row of the registry is refused.
            LakeError: The registry cannot be written.
        """
        return _result(self._identify([workspace_id], run)[workspace_id])

    def _identify(
        self, workspace_ids: Iterable[str], run: Run | None = None
    ) -> dict[str, Workspace | Exception]:
        """The workspaces' configs, or why a workspace cannot be used.

        The registry is read once per process, and again only if it lacks one of the workspaces.
        With a run, all new workspaces are registered in one commit.
        """
        found: dict[str, Workspace | Exception] = {**self.workspaces.get_all(workspace_ids)}
        workspaces = [one for one in found.values() if isinstance(one, Workspace)]
        conflicts = self.find_conflicts(workspaces)
        is_new = any(
            not is_registered(one, self._registered) and one.workspace_id not in conflicts
            for one in workspaces
        )
        if run is not None and is_new:
            entry = Run(run.run_id, run.actor, "register workspaces")
            self._registered, refused = register_workspaces(
                self.lake, self.workspaces, self.now(), entry
            )
            # Meanwhile another process may have registered one of the uids.
            conflicts = self.find_conflicts(workspaces)
            found |= {name: why for name, why in refused.items() if name in found}
        return found | {name: ConfigError(why) for name, why in conflicts.items()}

    def find_conflicts(self, workspaces: Sequence[Workspace]) -> dict[str, str]:
        """Why the lake's rows of some workspaces' names are not their own, by workspace."""
        if all(is_registered(one, self._registered) for one in workspaces):
            return {}
        self._registered = read_registered(self.lake.cross_reader())
        if all(is_registered(one, self._registered) for one in workspaces):
            return {}
        folders, _ = self.workspaces.readable()
        return find_conflicts(workspaces, self._registered, folders)

    def usable(self) -> tuple[list[Workspace], dict[str, ConfigError]]:
        """Every workspace that can be worked on, and why the others cannot, by folder.

        Besides those whose config cannot be read, folders that were renamed, copied or replaced are
        left out.
        """
        readable, problems = self.workspaces.readable()
        conflicts = self.find_conflicts(readable)
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
        batch, problems = self.batch({workspace_id: [days]}, run, writes=writes)
        for error in problems.values():
            raise error
        return batch.slices[0]

    def batch(
        self,
        parts: Mapping[str, Sequence[Days | None]],
        run: Run,
        *,
        writes: bool = True,
    ) -> tuple[Batch, dict[Scope, Exception]]:
        """What a run works on: ranges of days of several workspaces.

        The registry is read at most once, whatever the number of workspaces.

        Args:
            parts: The ranges of days by workspace; None for a whole history. They do not overlap.
            run: Who works on them.
            writes: Whether rows may be written. If so, workspaces that are new are registered.

        Returns:
            The slices of all workspaces that can be worked on, in the order of ``parts``, and for
            each of the others why not: a `ConfigError` as `slice` raises it, or a
            `PublishRefusedError` if its row of the registry is refused.

        Raises:
            LakeError: The registry cannot be read or written.
        """
        found = self._identify(parts, run if writes else None)
        slices: list[Slice] = []
        problems: dict[Scope, Exception] = {}
        for workspace_id, ranges in parts.items():
            workspace = found[workspace_id]
            for days in ranges:
                scope = Scope(workspace_id, *(days or ()))
                if isinstance(workspace, Exception):
                    problems[scope] = workspace
                elif days is not None and days[0] > days[1]:
                    problems[scope] = ConfigError(
                        f"{days[0]}..{days[1]}: the first day is after the last"
                    )
                else:
                    slices.append(Slice(self, workspace, days, run))
        return Batch(self, tuple(slices), run), problems


def _result(found: Workspace | Exception) -> Workspace:
    if isinstance(found, Exception):
        raise found
    return found


@dataclass(frozen=True)
class Slice:
    """A workspace and a range of days; an operation works on a `Batch` of them."""

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
        """The scope of a write of this slice."""
        return Scope(self.workspace_id, *(self.days or ()))

    @property
    def now(self) -> datetime:
        """The present."""
        return self.platform.now()

    @cached_property
    def own_days(self) -> tuple[date, ...]:
        """Every day of the range, in order.

        Raises:
            ValueError: The slice is a whole history, which a table by day is not made of.
        """
        if self.days is None:
            raise ValueError(
                f"{self.scope}: days are missing for a table that is partitioned by day"
            )
        return tuple(self.scope.each_day())


@dataclass(frozen=True)
class Picture:
    """A standalone SVG image with a description."""

    svg: str
    words: str


@dataclass(frozen=True)
class Markdown:
    """A Markdown text; untrusted parts are shown as code, so that they contain no markup."""

    text: str


@dataclass(frozen=True)
class Written:
    """What was written for one slice, and how its checks went.

    Attributes:
        rows: Rows of the asset's own table.
        snapshot_id: Their snapshot.
        results: The structural checks.
        frame: The rows themselves, for a preview and for the business ranges.
        notes: What else a person wants to see of the slice (files, counts, pictures), by name.
        day_notes: The same of single days, by day; a day shows these instead of the slice's.
        later: Later days that were recomputed in the same commit, and their rows.
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


Results = dict[Scope, "Written | Exception"]
"""What became of each slice of a batch, or of its days: what was written, or why nothing was."""


@dataclass(frozen=True)
class Batch:
    """The slices that one run works on together, so that a table is read and written once for all.

    Attributes:
        platform: The installation.
        slices: Workspaces and ranges of days; they do not overlap.
        run: Who works on them.
        published: What was committed of the table that is made, by slice or by days of one. The
            parts of a batch share it. A run reports it even if the operation fails later.
    """

    platform: Platform
    slices: tuple[Slice, ...]
    run: Run
    published: dict[Scope, Written] = field(default_factory=dict, compare=False)

    def note(self, written: Mapping[Scope, Written]) -> None:
        """Note what was committed, so that it is reported whatever happens next.

        Where a slice is published again, it keeps the later days that were updated before.
        """
        for scope, one in written.items():
            earlier = self.published.get(scope)
            if earlier is not None and earlier.later:
                later = {**earlier.later, **one.later}
                notes = one.notes | {"later_days_updated": len(later)}
                self.published[scope] = replace(one, later=later, notes=notes)
            else:
                self.published[scope] = one

    @cached_property
    def workspace_ids(self) -> tuple[str, ...]:
        """The workspaces, each once, in order."""
        return tuple(sorted({one.workspace_id for one in self.slices}))

    @cached_property
    def workspaces(self) -> dict[str, Workspace]:
        """The workspaces' configs, by id."""
        return {one.workspace_id: one.workspace for one in self.slices}

    @property
    def now(self) -> datetime:
        """The present."""
        return self.platform.now()

    def reader(self, *, as_of: int | None = None) -> BatchReader:
        """A reader of the batch's workspaces, now or as of a snapshot."""
        return self.platform.lake.batch_reader(self.workspace_ids, as_of=as_of)

    def read(
        self,
        table: Table,
        *,
        before: int = 0,
        columns: list[str] | None = None,
        wanted: Wanted | None = None,
        reader: BatchReader | None = None,
    ) -> pl.DataFrame:
        """The rows of all slices in one read: their days, or all rows of a table without days.

        Args:
            table: The table.
            before: Also so many days before each slice.
            columns: Which columns, in this order; all if None.
            wanted: Column -> values to keep.
            reader: The reader to use, such as one of a snapshot or of a transaction.

        Raises:
            ValueError: The table is by day, and a slice is a whole history.
        """
        reader = reader or self.reader()
        if not table.by_day:
            return reader.read(table, columns=columns, wanted=wanted)
        ranges = [one.own_days for one in self.slices]
        first = min(days[0] for days in ranges) - timedelta(days=before)
        last = max(days[-1] for days in ranges)
        names = list(columns or table.schema)
        needed = list(dict.fromkeys([*names, "workspace_id", "day"]))
        rows = reader.read(table, days=(first, last), columns=needed, wanted=wanted)
        if len(set(ranges)) > 1 or len(ranges) > len(self.workspace_ids):
            rows = rows.filter(self.is_within(before))
        return rows.select(names)

    def read_later(self, table: Table, columns: list[str]) -> pl.DataFrame:
        """The workspaces' rows of all days after their first slice, in one read.

        Args:
            table: A table by day.
            columns: Which columns, in this order; ``workspace_id`` and ``day`` among them.
        """
        last: dict[str, date] = {}
        for one in self.slices:
            end = one.own_days[-1]
            last[one.workspace_id] = min(end, last.get(one.workspace_id, end))
        days = (min(last.values()) + timedelta(days=1), date.max)
        rows = self.reader().read(table, days=days, columns=columns)
        ends = pl.DataFrame({"workspace_id": list(last), "__end": list(last.values())})
        later = rows.join(ends, on="workspace_id").filter(pl.col("day") > pl.col("__end"))
        return later.select(columns)

    def is_within(self, before: int = 0) -> pl.Expr:
        """Whether a row's day is one of a slice of its workspace, or so many days before one."""
        is_within = pl.lit(value=False)
        by_days: dict[Days, list[str]] = {}
        for one in self.slices:
            days = (one.own_days[0] - timedelta(days=before), one.own_days[-1])
            by_days.setdefault(days, []).append(one.workspace_id)
        for days, names in by_days.items():
            is_within |= pl.col("workspace_id").is_in(names) & pl.col("day").is_between(*days)
        return is_within


def check_order(days: Days) -> None:
    """Refuse days of which the first is after the last.

    Raises:
        ConfigError: It is.
    """
    if days[0] > days[1]:
        raise ConfigError(f"{days[0]} is after {days[1]}; give the earlier day first")


def split_slices(batch: Batch, frame: pl.DataFrame) -> dict[Scope, pl.DataFrame]:
    """A frame of several workspaces by slice of the batch; a slice without rows is empty.

    Rows of days outside the slices are left out.
    """
    owned = frame.partition_by("workspace_id", as_dict=True)
    parts: dict[Scope, pl.DataFrame] = {}
    for one in batch.slices:
        rows = owned.get((one.workspace_id,), frame.clear())
        if one.days is not None and "day" in frame.columns:
            rows = rows.filter(pl.col("day").is_between(*one.days))
        parts[one.scope] = rows
    return parts


def for_each_slice(batch: Batch, work: Callable[[Slice], _Made]) -> dict[Scope, _Made | Exception]:
    """What a function makes of each slice, or the exception it raised."""
    made: dict[Scope, _Made | Exception] = {}
    for one in batch.slices:
        try:
            made[one.scope] = work(one)
        except Exception as error:  # whatever it is: the other slices are made
            made[one.scope] = error
    return made


def isolated(work: Callable[[Batch], Results]) -> Callable[[Batch], Results]:
    """An operation on a batch that, where it raises, is tried on halves of the batch.

    So only the slices that fail alone fail. A single one among n makes 2 log2(n) more calls, which
    cost about twice as much again as the first. Their entries are what was raised. A lake that
    cannot be read or written fails for all: that `LakeError` is raised.
    """

    @wraps(work)
    def try_halves(batch: Batch) -> Results:
        try:
            return work(batch)
        except PublishRefusedError as error:
            failure: Exception = error
        except LakeError:
            raise
        except Exception as error:  # whatever it is: the other slices are made
            failure = error
        if len(batch.slices) == 1:
            return {batch.slices[0].scope: failure}
        middle = len(batch.slices) // 2
        halves = (batch.slices[:middle], batch.slices[middle:])
        first, second = (try_halves(replace(batch, slices=half)) for half in halves)
        return first | second

    return try_halves


def publish_batch(
    batch: Batch, table: Table, frames: Mapping[Scope, pl.DataFrame | Exception]
) -> Results:
    """Check a derived table's frames and replace what their slices held, in one commit.

    A frame that is refused stops no other.

    Args:
        batch: The slices.
        table: A derived table.
        frames: The rows by slice or by days of one, or why there are none.

    Returns:
        What was written for each of them, or why nothing was.
    """
    results: Results = {
        scope: made for scope, made in frames.items() if isinstance(made, Exception)
    }
    rows = {scope: made for scope, made in frames.items() if isinstance(made, pl.DataFrame)}
    checked = check_batch(table, rows)
    results |= {scope: found for scope, found in checked.items() if isinstance(found, Exception)}
    parts = [found for found in checked.values() if isinstance(found, CheckedRows)]
    if parts:
        with batch.platform.lake.write(batch.run) as transaction:
            transaction.publish_all(parts)
        written = {
            part.scope: Written(
                rows=part.frame.height,
                snapshot_id=transaction.snapshot_id or 0,
                results=part.results,
                frame=part.frame,
            )
            for part in parts
        }
        batch.note(written)
        results |= written
    return {scope: results[scope] for scope in frames}
