"""The one way from a table to an asset.

An asset is a function of a `Slice` that returns a frame (which is checked and published) or a
`Written` (for what an operation appended by itself). Everything else, from partitions to checks
and metadata, comes from the table's declaration.
"""

import base64
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from ytap_assets.defs.checks import Watch, check_specs, evaluate
from ytap_assets.defs.partitions import (
    WORKSPACE,
    group_partitions,
    partition_key,
    partitions_for,
)
from ytap_assets.lakehouse.checks import CheckResult, Scope
from ytap_assets.lakehouse.errors import PublishRefusedError
from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import (
    Markdown,
    Picture,
    Platform,
    Slice,
    Written,
    publish_slice,
)
from ytap_assets.settings import Settings
from ytap_assets.tables import Table

OWNERS = ["team:data-platform"]
_PARTITION_ROWS = "dagster/partition_row_count"
_PREVIEW_ROWS = 5
_PREVIEW_WIDTH = 80

Compute = Callable[[Slice, Mapping[str, Any]], pl.DataFrame | Written]


@dataclass(frozen=True)
class TableAsset:
    """How one table is made.

    Attributes:
        table: What is made.
        compute: Makes one slice of it. The second argument is the run's config.
        reads: The tables it is made from.
        config: The op's config, if it has any.
        kinds: Icons in the UI.
        watches: What its rows are watched for, besides what the table declares.
        finish: What is done once, when a run has made its slices.
    """

    table: Table
    compute: Compute
    reads: Sequence[Table] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset({"polars", "duckdb"})
    watches: tuple[Watch, ...] = ()
    finish: Callable[[Platform], object] | None = None


_Part = tuple[str, Days | None]


@dataclass
class _Progress:
    """What a run has written so far, what was refused, and what failed otherwise."""

    written: dict[_Part, Written] = field(default_factory=dict)
    refused: list[PublishRefusedError] = field(default_factory=list)
    failed: list[Exception] = field(default_factory=list)

    @property
    def frames(self) -> list[pl.DataFrame]:
        return [one.frame for one in self.written.values()]

    def results(self) -> list[CheckResult]:
        good = [result for one in self.written.values() for result in one.results]
        return good + [result for error in self.refused for result in error.results]

    def raise_failures(self) -> None:
        """Fail the run with what went wrong, if anything did."""
        if len(self.failed) > 1:
            what = f"{len(self.failed)} slices failed, the first: {self.failed[0]}"
            raise ExceptionGroup(what, self.failed)
        if self.failed:
            raise self.failed[0]
        if self.refused:
            raise dg.Failure("; ".join(str(error) for error in self.refused))


def build_asset(asset: TableAsset, settings: Settings) -> dg.AssetsDefinition:
    """The Dagster asset of a table."""
    table = asset.table
    doc = inspect.cleandoc(asset.compute.__doc__ or "")

    @dg.asset(
        name=table.name,
        deps=[_dependency(table, upstream) for upstream in asset.reads],
        description=f"{table.description}\n\n{doc}".strip(),
        group_name=table.group,
        owners=OWNERS,
        kinds=set(asset.kinds),
        pool=table.name,
        partitions_def=partitions_for(table, settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(table, blocking=True, watches=asset.watches),
        config_schema=dict(asset.config) or None,
        metadata=definition_metadata(table),
    )
    def materialize(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        progress = _Progress()
        covered = group_partitions(context.partition_keys)
        for part in covered:
            _make_slice(context, platform, asset, part, progress)
        _finish(context, platform, asset, progress)
        words = _describe(covered)
        counts = _count_partitions(table, progress.frames)
        metadata = _run_metadata(list(progress.written.values()), words)
        if len(progress.written) == len(covered):
            for key in context.partition_keys:
                context.add_asset_metadata(
                    {_PARTITION_ROWS: counts.get(str(key), 0)}, partition_key=key
                )
            yield dg.MaterializeResult(metadata=metadata)
        else:
            # The run will fail, but what was written was: say so of these partitions alone.
            for key in _keys_of(context.partition_keys, progress.written):
                rows = {_PARTITION_ROWS: counts.get(str(key), 0)}
                context.log_event(
                    dg.AssetMaterialization(table.name, partition=key, metadata=metadata | rows)
                )
        _show_later_days(context, table, progress.written, metadata)
        # After the rows they speak of: the UI holds a check for outdated if rows follow it.
        yield from evaluate(
            table, progress.results(), progress.frames, words, watches=asset.watches
        )
        progress.raise_failures()

    return materialize


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


def _make_slice(
    context: dg.AssetExecutionContext,
    platform: Platform,
    asset: TableAsset,
    part: _Part,
    progress: _Progress,
) -> None:
    """Make and write one slice; one that fails does not stop the others."""
    run = Run(context.run.run_id, "dagster", f"materialize {asset.table.name}")
    try:
        slice_ = platform.slice(*part, run)
        made = asset.compute(slice_, context.op_execution_context.op_config or {})
        if isinstance(made, pl.DataFrame):
            made = publish_slice(slice_, asset.table, made)
    except PublishRefusedError as error:
        context.log.warning(str(error))
        progress.refused.append(error)
    except Exception as error:  # whatever it is: raised when the other slices are made
        context.log.exception(f"{asset.table.name} {Scope(part[0], *(part[1] or ()))} failed")
        progress.failed.append(error)
    else:
        context.log.info(f"{asset.table.name} {slice_.scope}: {made.rows} rows")
        progress.written[part] = made


def _finish(
    context: dg.AssetExecutionContext, platform: Platform, asset: TableAsset, progress: _Progress
) -> None:
    """Do what is done once a run; a failure of it fails the run, and no slice of it."""
    if asset.finish is None or not progress.written:
        return
    try:
        asset.finish(platform)
    except Exception as error:  # whatever it is: raised when the slices are told of
        context.log.exception(f"{asset.table.name}: what follows its slices failed")
        progress.failed.append(error)


def _show_later_days(
    context: dg.AssetExecutionContext,
    table: Table,
    written: Mapping[_Part, Written],
    metadata: Mapping[str, Any],
) -> None:
    """An event for each partition that is no part of the run and was brought up to date with it."""
    shared = {
        "snapshot_id": metadata["snapshot_id"],
        "brought_up_to_date_with": metadata["partitions"],
    }
    later = {
        str(partition_key(workspace_id, day)): rows
        for (workspace_id, _), one in written.items()
        for day, rows in one.later.items()
    }
    own = {str(key) for key in context.partition_keys} if later else set()
    for key in sorted(later.keys() - own):
        rows = {"rows": later[key], _PARTITION_ROWS: later[key]}
        context.log_event(
            dg.AssetMaterialization(table.name, partition=key, metadata=shared | rows)
        )


def _keys_of(keys: Iterable[str], parts: Collection[_Part]) -> list[str]:
    """The partition keys that lie within the parts."""
    return [key for key in keys if any(_is_within(one, parts) for one in group_partitions([key]))]


def _is_within(one: _Part, parts: Collection[_Part]) -> bool:
    workspace_id, day = one
    return any(
        workspace_id == owner and (day is None or days is None or days[0] <= day[0] <= days[1])
        for owner, days in parts
    )


def _count_partitions(table: Table, frames: Sequence[pl.DataFrame]) -> dict[str, int]:
    """Rows by partition; what a run returns is shown on all of its partitions alike."""
    columns = ["workspace_id", "day"] if table.by_day else ["workspace_id"]
    counts: dict[str, int] = {}
    for frame in frames:
        for *part, rows in frame.group_by(columns).len().iter_rows():
            key = str(partition_key(*part) if table.by_day else part[0])
            counts[key] = counts.get(key, 0) + rows
    return counts


def _run_metadata(written: Sequence[Written], covered: str) -> dict[str, Any]:
    frames = [one.frame for one in written if not one.frame.is_empty()]
    notes: dict[str, Any] = {}
    for one in written:
        for name, value in one.notes.items():
            adds_up = isinstance(value, (int, list)) and name in notes
            notes[name] = notes[name] + value if adds_up else value
        notes |= one.day_notes[max(one.day_notes)] if one.day_notes else {}
    return {
        "rows": sum(one.rows for one in written),
        "snapshot_id": max((one.snapshot_id for one in written), default=0),
        "partitions": covered,
        "preview": dg.MetadataValue.md(_preview(frames)),
        **{name: _show_note(value) for name, value in notes.items()},
    }


def _show_note(value: object) -> Any:
    """A picture as one that the UI shows; it is an image, so nothing in it can act."""
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value.text)
    if not isinstance(value, Picture):
        return value
    data = base64.b64encode(value.svg.encode()).decode()
    return dg.MetadataValue.md(f"![{value.words}](data:image/svg+xml;base64,{data})")


def _preview(frames: Sequence[pl.DataFrame]) -> str:
    """The first rows as a Markdown table.

    Cells are hostile input: each is cut, and is code, in which nothing is markup or a link.
    """
    if not frames:
        return "no rows"
    head = frames[0].head(_PREVIEW_ROWS).select(pl.exclude(pl.Binary))
    lines = [f"| {' | '.join(head.columns)} |", "|" + " --- |" * head.width]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in head.iter_rows()]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    cut = text if len(text) <= _PREVIEW_WIDTH else text[: _PREVIEW_WIDTH - 1] + "…"
    plain = cut.replace("`", "'").replace("|", "¦")
    return f"`{plain}`" if plain else ""


def _describe(covered: Sequence[tuple[str, Days | None]]) -> str:
    return ", ".join(str(Scope(workspace, *(days or ()))) for workspace, days in covered)


def _dependency(table: Table, upstream: Table) -> dg.AssetDep:
    if table.by_day == upstream.by_day:
        return dg.AssetDep(upstream.name)
    mapping = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name=WORKSPACE)
    return dg.AssetDep(upstream.name, partition_mapping=mapping)
