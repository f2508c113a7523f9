"""Assets of tables.

An asset is a function of a `Batch` that returns for every slice what was written, or why nothing
was. Everything else, from partitions to checks and metadata, comes from the table's declaration.

The assets of a stage (`Stage`) are made in one step, table by table. There are two ways to start it
(ADR 0025): the stage's multi-asset, for partitions selected in the UI, and the stage's job, for the
workspaces and days in its config. A range of partition keys of two dimensions covers consecutive
workspaces with all days of the range, so it cannot express any other set of workspaces.

A slice that fails does not affect the others. Tables that need its rows are not made for it, and
the step fails at the end with every failure. Rows published before a failure or an interruption are
reported and checked as well.
"""

import inspect
import json
import traceback
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field, field_validator

from ytap_assets.defs.checks import Evaluation, Watch, check_specs, table_metadata
from ytap_assets.defs.partitions import (
    WORKSPACE,
    cut_batches,
    describe_run,
    group_partitions,
    partition_keys,
    partitions_for,
)
from ytap_assets.defs.run_events import RunEvents, describe_partitions
from ytap_assets.errors import ConfigError, YtapError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.connection import find_catalog
from ytap_assets.lakehouse.errors import LockTimeoutError
from ytap_assets.lakehouse.lock import Lock
from ytap_assets.lakehouse.reader import Days, unbroken_ranges
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Batch, Platform, Results, Written
from ytap_assets.reports.words import count
from ytap_assets.tables import Table

OWNERS = ["team:data-platform"]
FAILED = "failed"
FAILED_TAG = ".dagster/ytap_failed"
"""What of a run is to be tried again: workspaces and days as JSON.

Left out are slices that can never succeed. Where something failed that belongs to no slice, such as
the page over all workspaces, the first slice is named: the next run of it makes that, too. Tags
with this prefix are hidden in the UI.
"""

Compute = Callable[[Batch, Mapping[str, Any]], Results]


@dataclass(frozen=True)
class Stage:
    """Tables that are made by the same runs.

    Attributes:
        name: The name of the job; that of the multi-asset is like it.
        description: When and why its job runs.
        by_day: Whether its tables have partitions by day.
        is_apart: Whether it is made whatever failed before.
        config: The step's config, if it has any.
    """

    name: str
    description: str
    by_day: bool
    is_apart: bool = False
    config: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class TableAsset:
    """The asset of one table.

    Attributes:
        table: The table.
        compute: Materializes the slices of a batch. The second argument is the run's config.
        stage: The stage, which determines its job and schedule.
        reads: The tables that it reads.
        kinds: Icons in the UI.
        watches: Custom checks, in addition to those that the table declares.
        finish: Called once after all slices of a run.
        is_collected: Whether its rows are fetched from sources.
        beside: Tables without a step of their own that are written in the same commits.
    """

    table: Table
    compute: Compute
    stage: Stage
    reads: Sequence[Table] = ()
    kinds: frozenset[str] = frozenset({"polars", "duckdb"})
    watches: tuple[Watch, ...] = ()
    finish: Callable[[Platform], object] | None = None
    is_collected: bool = False
    beside: tuple[Table, ...] = ()


def order_assets(assets: Iterable[TableAsset]) -> dict[str, tuple[TableAsset, frozenset[str]]]:
    """Assets by name, each after what it is made from, with the names of all that it needs.

    Raises:
        ValueError: Assets need each other.
    """
    waiting = {asset.table.name: asset for asset in assets}
    writers = {
        table.name: asset.table.name
        for asset in waiting.values()
        for table in (asset.table, *asset.beside)
    }
    ordered: dict[str, tuple[TableAsset, frozenset[str]]] = {}
    while waiting:
        ready = {
            name: direct
            for name, asset in waiting.items()
            if (direct := {writers[one.name] for one in asset.reads if one.name in writers})
            <= ordered.keys()
        }
        if not ready:
            raise ValueError(f"these assets depend on each other: {', '.join(sorted(waiting))}")
        for name, direct in ready.items():
            above = direct.union(*(ordered[one][1] for one in direct))
            ordered[name] = (waiting.pop(name), frozenset(above))
    return ordered


def build_stages(
    assets: Sequence[TableAsset], days: tuple[date, date | None]
) -> list[dg.AssetsDefinition]:
    """One multi-asset for each stage, in the order of the graph.

    Args:
        assets: How each table is made.
        days: The days there are partitions of; see `partitions_for`.
    """
    ordered = [asset for asset, _ in order_assets(assets).values()]
    stages = dict.fromkeys(asset.stage.name for asset in ordered)
    return [
        build_stage([one for one in ordered if one.stage.name == name], days) for name in stages
    ]


def build_stage(
    assets: Sequence[TableAsset], days: tuple[date, date | None]
) -> dg.AssetsDefinition:
    """The multi-asset of one stage.

    Args:
        assets: The stage's assets.
        days: The days there are partitions of; see `partitions_for`.
    """
    stage = assets[0].stage
    ordered = order_assets(assets)

    @dg.multi_asset(
        name=f"{stage.name}_tables",
        specs=[_spec(asset, days) for asset, _ in ordered.values()],
        check_specs=[
            spec
            for asset, _ in ordered.values()
            for spec in check_specs(
                asset.table, watches=asset.watches, is_collected=asset.is_collected
            )
        ],
        can_subset=True,
        pool=stage.name,
        backfill_policy=dg.BackfillPolicy.single_run(),
        config_schema=dict(stage.config) or None,
    )
    def make(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult[None]]:
        chosen = {key.to_user_string() for key in context.selected_asset_keys}
        wanted = {name: one for name, one in ordered.items() if name in chosen}
        if not wanted:
            raise dg.Failure(
                "these checks run with their assets; materialize the assets instead",
                allow_retries=False,
            )
        op_context = context.op_execution_context
        parts = group_partitions(context.partition_keys)
        with _one_at_a_time(stage, platform, op_context, parts) as lock:
            _StageRun(op_context, platform, wanted, parts, lock).make(op_context.op_config or {})
        yield from ()  # every asset is skippable: the step reports its materializations itself

    return make


class BatchConfig(dg.Config):
    """What a stage's job makes."""

    workspaces: dict[str, list[str]] = Field(
        description="The days (YYYY-MM-DD) of each workspace; empty lists for tables without days."
    )
    tables: list[str] = Field(
        default=[], description="Which tables of the stage; all of them by default."
    )
    options: dict[str, str] = Field(default={}, description="The config of the stage's assets.")

    @field_validator("workspaces")
    @classmethod
    def _check_days(cls, workspaces: dict[str, list[str]]) -> dict[str, list[str]]:
        for days in workspaces.values():
            for day in days:
                date.fromisoformat(day)
        return workspaces

    def parts(self, *, by_day: bool) -> list[Scope]:
        """The slices that are named, in order.

        Args:
            by_day: Whether the tables have partitions by day. Days of others are ignored.

        Raises:
            ConfigError: A day is no date, or a workspace has no days.
        """
        parts: list[Scope] = []
        for name in sorted(self.workspaces):
            try:
                days = [date.fromisoformat(day) for day in self.workspaces[name]]
            except ValueError as error:
                raise ConfigError(f"workspace {name!r}: {error}") from error
            if by_day and not days:
                raise ConfigError(f"workspace {name!r}: days are missing, such as 2026-11-20")
            parts += (
                [Scope(name, *span) for span in unbroken_ranges(days)] if by_day else [Scope(name)]
            )
        return parts


def batch_config(
    stage: Stage,
    parts: Iterable[Scope],
    *,
    tables: Iterable[str] = (),
    options: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The run config of a stage's job (`BatchConfig`)."""
    days: dict[str, list[str]] = {}
    for part in parts:
        days.setdefault(part.workspace_id, []).extend(map(str, part.each_day()))
    config = {"workspaces": days, "tables": list(tables), "options": dict(options or {})}
    return {"ops": {_step_name(stage): {"config": config}}}


def build_job(assets: Sequence[TableAsset]) -> dg.JobDefinition:
    """The job of one stage, which makes its tables for the workspaces and days in its config.

    Args:
        assets: The stage's assets.
    """
    stage = assets[0].stage
    ordered = order_assets(assets)

    @dg.op(name=_step_name(stage), pool=stage.name, description=stage.description)
    def make(
        context: dg.OpExecutionContext, config: BatchConfig, platform: dg.ResourceParam[Platform]
    ) -> None:
        unknown = sorted(set(config.tables) - ordered.keys())
        if unknown:
            raise ConfigError(
                f"{stage.name} has no table {unknown[0]}; its tables are {', '.join(ordered)}"
            )
        wanted = {name: one for name, one in ordered.items() if name in (config.tables or ordered)}
        parts = config.parts(by_day=stage.by_day)
        with _one_at_a_time(stage, platform, context, parts) as lock:
            _StageRun(context, platform, wanted, parts, lock).make(config.options)

    @dg.job(name=stage.name, description=stage.description, executor_def=dg.in_process_executor)
    def job() -> None:
        make()

    return job


def _step_name(stage: Stage) -> str:
    return f"make_{stage.name}"


_LONGEST_STAGE_S = 86_400.0
"""How long a run waits for another one of its stage; Dagster ends that one earlier."""


@contextmanager
def _one_at_a_time(
    stage: Stage, platform: Platform, context: dg.OpExecutionContext, parts: Iterable[Scope]
) -> Iterator[Lock]:
    """Wait until no other run makes tables of the stage for the same workspaces.

    Otherwise, of two runs that make the same rows, the one that read first could publish last and
    replace newer rows. Pools only order the runs that the daemon starts.
    """
    names = {part.workspace_id for part in parts}
    with ExitStack() as held:
        lock = stage_lock(platform, stage.name, names, timeout_s=0)
        try:
            held.enter_context(lock.hold())
        except LockTimeoutError:
            context.log.info(f"waiting for another run of the stage {stage.name}")
            lock = stage_lock(platform, stage.name, names, timeout_s=_LONGEST_STAGE_S)
            held.enter_context(lock.hold())
        yield lock


def stage_lock(
    platform: Platform, name: str, workspace_ids: Collection[str], *, timeout_s: float
) -> Lock:
    """The lock of a stage for workspaces, beside the lake's write lock; it ends with its process.

    Where the catalog is a file, it is the lock of the whole stage.
    """
    catalog = find_catalog(platform.settings)
    return catalog.lock(f"stage-{name}", parts=workspace_ids, timeout_s=timeout_s)


class _StageRun:
    """One run of a stage: the slices of all batches, table by table."""

    def __init__(
        self,
        context: dg.OpExecutionContext,
        platform: Platform,
        wanted: Mapping[str, tuple[TableAsset, frozenset[str]]],
        parts: Sequence[Scope],
        lock: Lock,
    ) -> None:
        self._context = context
        self._lock = lock
        self._platform = platform
        self._wanted = wanted
        self._parts = parts
        self._events = RunEvents(context)
        self._evaluations = {
            name: Evaluation(asset.table, asset.watches, is_collected=asset.is_collected)
            for name, (asset, _) in wanted.items()
        }
        self._failed: dict[Scope, set[str]] = {}
        """The tables that failed for a slice, or for some of its days."""
        self._failures: list[tuple[Scope, str, Exception]] = []
        """What failed, table and reason."""
        self._refused: set[Scope] = set()
        self._others: list[str] = []

    def make(self, config: Mapping[str, Any]) -> None:
        """Make every table for every slice.

        Args:
            config: The config of the stage.

        Raises:
            Failure: A slice failed, or what follows the slices. All others are written.
        """
        context = self._context
        if not self._parts:
            raise dg.Failure("the run has no partitions", allow_retries=False)
        _name_run(context, self._parts)
        what = f"materialize {', '.join(self._wanted)}"
        run = Run(context.run.run_id, "dagster", what, self._lock.check)
        written = set()
        try:
            for parts in cut_batches(self._parts, self._platform.settings.batch_workspaces):
                written |= self._make_batch(parts, run, config)
                self._events.flush()
            for name, (asset, _) in self._wanted.items():
                if asset.finish is not None and name in written:
                    self._finish(name, partial(self._finish_alone, name, asset.finish))
        finally:
            # Also where the run is interrupted: what is published is reported and checked.
            self._events.flush()
            for asset, _ in self._wanted.values():
                self._report_checks(asset)
        self._raise_failures()

    def _make_batch(self, parts: Sequence[Scope], run: Run, config: Mapping[str, Any]) -> set[str]:
        """Make every table for a batch; returns the tables with written rows."""
        ranges: dict[str, list[Days | None]] = {}
        for part in parts:
            ranges.setdefault(part.workspace_id, []).append(part.days)
        try:
            batch, unusable = self._platform.batch(ranges, run)
            refused = _find_refused(batch)
            self._refused |= refused.keys()
            unusable |= refused
        except Exception as error:  # whatever it is: the other batches are made
            batch, unusable = Batch(self._platform, (), run), dict.fromkeys(parts, error)
        for scope, problem in unusable.items():
            self._fail(next(iter(self._wanted)), scope, scope, problem)
            for name in list(self._wanted)[1:]:
                self._events.add_failure(name, scope)
        usable = tuple(one for one in batch.slices if one.scope not in unusable)
        return {
            name
            for name, (asset, above) in self._wanted.items()
            if self._make_table(asset, above, replace(batch, slices=usable), config)
        }

    def _make_table(
        self,
        asset: TableAsset,
        above: frozenset[str],
        batch: Batch,
        config: Mapping[str, Any],
    ) -> bool:
        """Make one table for the slices whose upstream tables did not fail."""
        name = asset.table.name
        slices = tuple(
            one for one in batch.slices if not above & self._failed.get(one.scope, set())
        )
        for left_out in batch.slices:
            if left_out not in slices:
                self._events.add_failure(name, left_out.scope)
        if not slices:
            return False
        part = replace(batch, slices=slices, published={})
        try:
            results = asset.compute(part, config)
        except Exception as error:  # whatever it is: the other tables and batches are made
            left = [one.scope for one in slices if one.scope not in part.published]
            results = dict.fromkeys(left, error)
            if not left:  # no slice failed, but the run did
                self._others.append(f"{name}: {self._explain(name, error)}")
        except BaseException:
            self._report(asset, dict(part.published))
            raise
        own = {one.scope for one in slices}
        whole = {
            scope: scope if scope in own else _find_slice(scope, own)
            for scope in (*results, *part.published)
        }
        for scope in own.difference(whole.values()):
            results[scope] = RuntimeError("the asset returned no result for it")
            whole[scope] = scope
        for scope, one in results.items():
            if isinstance(one, Exception):
                self._fail(name, whole[scope], scope, one)
        return self._report(asset, {**results, **part.published})

    def _report(self, asset: TableAsset, results: Results) -> bool:
        """Report and check the results of slices; returns whether rows were written."""
        name = asset.table.name
        written = {scope: one for scope, one in results.items() if isinstance(one, Written)}
        try:
            self._evaluations[name].add(results)
            shown = describe_partitions(asset.table, written, self._platform)
        except Exception as error:  # whatever it is: the rows are published, and are reported
            self._others.append(f"{name}: {self._explain(name, error)}")
            shown = {key: {} for scope in written for key in partition_keys(scope)}
        self._events.add_materializations(asset.table, shown)
        self._context.log.info(_describe_written(asset.table, written))
        return bool(written)

    def _finish(self, name: str, finish: Callable[[Platform], object]) -> None:
        """Run a final function once, after all slices; its error does not hide other failures."""
        try:
            finish(self._platform)
        except Exception as error:  # whatever it is: raised when all is reported
            self._others.append(f"{name}: {self._explain(name, error)}")

    def _finish_alone(
        self, name: str, finish: Callable[[Platform], object], platform: Platform
    ) -> None:
        """What is of all workspaces is made by one run at a time, of the newest rows."""
        with find_catalog(platform.settings).lock(f"finish-{name}").hold():
            finish(platform)

    def _report_checks(self, asset: TableAsset) -> None:
        """The checks of a table, and the rows of the tables that are written beside it."""
        name = asset.table.name
        if self._evaluations[name].is_empty:
            return
        self._finish(name, lambda platform: self._events.add_row_counts(platform, asset.beside))
        # After the rows they are of: the UI shows a check as outdated if rows follow it.
        self._events.flush()
        checks = self._evaluations[name]
        self._finish(
            name,
            lambda _: self._events.add_checks(checks.results(self._context.instance, self._run_id)),
        )
        self._events.flush()

    @property
    def _run_id(self) -> str:
        return self._context.run.run_id

    def _fail(self, name: str, whole: Scope, scope: Scope, error: Exception) -> None:
        """Note that a table failed for a slice, or for some days of it."""
        self._failed.setdefault(whole, set()).add(name)
        self._failures.append((scope, name, error))
        self._context.log.warning(f"{name} {scope} failed: {self._explain(name, error)}")
        self._events.add_failure(name, scope)

    def _explain(self, name: str, error: Exception) -> str:
        """The reason in one line; the log has the traceback of unexpected errors."""
        if isinstance(error, YtapError | OSError | dg.Failure):
            return str(error)
        trace = "".join(traceback.format_exception(error))
        self._context.log.error(f"{name} failed unexpectedly:\n{trace}")
        return f"{type(error).__name__}: {error}"

    def _raise_failures(self) -> None:
        rows = [
            {
                "workspace": scope.workspace_id,
                "days": scope.days_text,
                "table": name,
                # Errors of operations begin with the slice, which the row has already.
                "reason": str(error).removeprefix(f"{scope}: "),
            }
            for scope, name, error in self._failures
        ]
        rows += [{"workspace": "", "days": "", "table": "", "reason": one} for one in self._others]
        if not rows:
            return
        reasons = [
            " ".join(filter(None, (row["table"], row["workspace"] and f"{row['workspace']}:")))
            + f" {row['reason']}"
            for row in rows
        ]
        days: dict[str, list[str]] = {}
        failed = dict.fromkeys(scope for scope, *_ in self._failures)
        again = [scope for scope in failed if scope not in self._refused]
        if self._others and not again:
            again = [part for part in self._parts if part not in self._refused][:1]
        for scope in again:
            days.setdefault(scope.workspace_id, []).extend(map(str, scope.each_day()))
        self._context.instance.add_run_tags(self._run_id, {FAILED_TAG: json.dumps(days)})
        count = f"{len(self._failed)} of {len(self._parts)} slices failed: "
        raise dg.Failure(
            (count if len(self._parts) > 1 and self._failed else "") + "; ".join(reasons),
            metadata={FAILED: table_metadata(pl.DataFrame(rows))},
            allow_retries=False,
        )


def _find_slice(day: Scope, slices: Iterable[Scope]) -> Scope:
    """The slice that contains a day.

    Raises:
        ValueError: No slice contains it.
    """
    for one in slices:
        if (
            one.workspace_id == day.workspace_id
            and one.days is not None
            and day.first_day is not None
            and one.days[0] <= day.first_day <= one.days[1]
        ):
            return one
    raise ValueError(f"{day} is in no slice of the batch")


def _describe_written(table: Table, written: Mapping[Scope, Written]) -> str:
    """How many rows of a table were written, in words; of an append-only table, the new ones."""
    if not written:
        return f"{table.name}: failed"
    rows = sum(one.rows for one in written.values())
    owners = {scope.workspace_id for scope in written}
    who = ", ".join(owners) if len(owners) == 1 else f"{len(owners)} workspaces"
    return f"{table.name}: {count(rows, 'new row' if table.mode == 'append' else 'row')} of {who}"


def _find_refused(batch: Batch) -> dict[Scope, Exception]:
    """The slices that are not to be worked on: of archived workspaces, and of other days."""
    first, last = batch.platform.askable_days()
    refused: dict[Scope, Exception] = {}
    for one in batch.slices:
        if one.workspace.is_archived:
            refused[one.scope] = ConfigError(f"{one.scope}: the workspace is archived")
        elif one.days is not None and not first <= one.days[0] <= one.days[1] <= last:
            refused[one.scope] = ConfigError(
                f"{one.scope}: the days must be between {first} and {last}"
            )
    return refused


def _name_run(context: dg.OpExecutionContext, parts: Sequence[Scope]) -> None:
    """Tag a run that has no such tags: one that is started in the UI names only a range of keys."""
    if WORKSPACE not in context.run.tags:
        context.instance.add_run_tags(context.run.run_id, describe_run(parts))


def _spec(asset: TableAsset, days: tuple[date, date | None]) -> dg.AssetSpec:
    table = asset.table
    doc = inspect.cleandoc(asset.compute.__doc__ or "")
    return dg.AssetSpec(
        key=table.name,
        deps=[_dependency(table, upstream) for upstream in asset.reads],
        description=f"{table.description}\n\n{doc}".strip(),
        group_name=table.group,
        owners=OWNERS,
        kinds=set(asset.kinds),
        partitions_def=partitions_for(table, days),
        skippable=True,
        metadata=definition_metadata(table),
    )


def definition_metadata(table: Table) -> dict[str, Any]:
    """What the UI shows of a table before any run: its columns, key and storage."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type="Datetime (UTC)" if isinstance(column.dtype, pl.Datetime) else str(column.dtype),
            description=column.comment,
            constraints=dg.TableColumnConstraints(nullable=column.nullable),
        )
        for column in table.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": f"lake.main.{table.name}",
        "key": ", ".join(table.key),
        "mode": table.mode,
    }


def _dependency(table: Table, upstream: Table) -> dg.AssetDep:
    if table.by_day == upstream.by_day:
        return dg.AssetDep(upstream.name)
    mapping = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name=WORKSPACE)
    return dg.AssetDep(upstream.name, partition_mapping=mapping)
