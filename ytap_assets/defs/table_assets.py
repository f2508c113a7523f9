"""The one way from a table to an asset.

An asset is a function of a `Slice` that returns a frame (which is checked and published) or a
`Written` (for what an operation appended by itself). Everything else, from partitions to checks
and metadata, comes from the table's declaration.
"""

import base64
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl

from ytap_assets.defs.checks import Examined, Watch, check_specs, describe, evaluate
from ytap_assets.defs.partitions import (
    WORKSPACE,
    Part,
    describe_run,
    group_partitions,
    partition_key,
    partitions_for,
)
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.errors import PublishRefusedError
from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.collect import NothingCollectedError
from ytap_assets.operations.platform import (
    Markdown,
    Picture,
    Platform,
    Slice,
    Written,
    publish_slice,
)
from ytap_assets.tables import Table

OWNERS = ["team:data-platform"]
_ROWS = "dagster/row_count"
_PARTITION_ROWS = "dagster/partition_row_count"
_PREVIEW_ROWS = 5
_PREVIEW_COLUMNS = 8
_PREVIEW_WIDTH = 60

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
        is_collected: Whether its rows are fetched from sources.
        beside: Tables without a step of their own that are written in the same commits.
    """

    table: Table
    compute: Compute
    reads: Sequence[Table] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    kinds: frozenset[str] = frozenset({"polars", "duckdb"})
    watches: tuple[Watch, ...] = ()
    finish: Callable[[Platform], object] | None = None
    is_collected: bool = False
    beside: tuple[Table, ...] = ()


@dataclass
class _Progress:
    """What a run has done so far, slice by slice."""

    examined: list[Examined] = field(default_factory=list)
    written: dict[Part, Written] = field(default_factory=dict)
    refused: list[PublishRefusedError] = field(default_factory=list)
    failed: list[Exception] = field(default_factory=list)

    def raise_failures(self) -> None:
        """Fail the run with what went wrong, if anything did."""
        if len(self.failed) > 1:
            what = f"{len(self.failed)} slices failed, the first: {self.failed[0]}"
            raise ExceptionGroup(what, self.failed)
        if self.failed:
            raise self.failed[0]
        if self.refused:
            raise dg.Failure("; ".join(str(error) for error in self.refused))


def build_asset(asset: TableAsset, days: tuple[date, date | None]) -> dg.AssetsDefinition:
    """The Dagster asset of a table.

    Args:
        asset: How the table is made.
        days: The days there are partitions of; see `partitions_for`.
    """
    table = asset.table
    doc = inspect.cleandoc(asset.compute.__doc__ or "")
    checked: dict[str, Any] = {"watches": asset.watches, "is_collected": asset.is_collected}

    @dg.asset(
        name=table.name,
        deps=[_dependency(table, upstream) for upstream in asset.reads],
        description=f"{table.description}\n\n{doc}".strip(),
        group_name=table.group,
        owners=OWNERS,
        kinds=set(asset.kinds),
        pool=table.name,
        partitions_def=partitions_for(table, days),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=check_specs(table, **checked),
        config_schema=dict(asset.config) or None,
        metadata=definition_metadata(table),
    )
    def materialize(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        progress = _Progress()
        covered = group_partitions(context.partition_keys)
        _name_run(context, covered)
        for part in covered:
            _make_slice(context, platform, asset, part, progress)
        _finish(context, platform, asset, progress)
        shown = _describe_partitions(table, progress.written, platform)
        keys = {str(key): key for key in context.partition_keys}
        if len(progress.written) == len(covered):
            for key, metadata in shown.items():
                context.add_asset_metadata(metadata, partition_key=keys[key])
            yield dg.MaterializeResult()
        else:
            # The run will fail, but what was written was: say so of these partitions alone.
            for key, metadata in shown.items():
                context.log_event(
                    dg.AssetMaterialization(table.name, partition=keys[key], metadata=metadata)
                )
        _show_later_days(context, table, progress.written)
        if progress.examined:
            show_row_counts(context.op_execution_context, platform, asset.beside, anew=False)
        # After the rows they speak of: the UI holds a check for outdated if rows follow it.
        yield from evaluate(table, progress.examined, context=context, **checked)
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


def _name_run(context: dg.AssetExecutionContext, covered: Sequence[Part]) -> None:
    """Tag a run that has no such tags: one that is started in the UI names only a range of keys."""
    if WORKSPACE not in context.run.tags:
        spans = [days for _, days in covered if days is not None]
        days = (min(span[0] for span in spans), max(span[1] for span in spans)) if spans else None
        workspace_ids = sorted({workspace_id for workspace_id, _ in covered})
        context.instance.add_run_tags(context.run.run_id, describe_run(workspace_ids, days))


def _make_slice(
    context: dg.AssetExecutionContext,
    platform: Platform,
    asset: TableAsset,
    part: Part,
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
        progress.examined.append(Examined(part, error.results))
    except NothingCollectedError as error:
        context.log.warning(str(error))
        progress.failed.append(error)
        progress.examined.append(Examined(part, log=error.log, is_failure=True))
    except Exception as error:  # whatever it is: raised when the other slices are made
        context.log.exception(f"{asset.table.name} {describe(part)} failed")
        progress.failed.append(error)
    else:
        context.log.info(f"{asset.table.name} {slice_.scope}: {made.rows} rows")
        progress.written[part] = made
        frames = _split(asset.table, part, made.frame)
        progress.examined.append(Examined(part, made.results, frames, made.log))


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
    context: dg.AssetExecutionContext, table: Table, written: Mapping[Part, Written]
) -> None:
    """An event for each partition that is no part of the run and was brought up to date with it."""
    own = {str(key) for key in context.partition_keys}
    for part, one in written.items():
        shared: dict[str, Any] = {
            "snapshot_id": one.snapshot_id,
            "brought_up_to_date_with": describe(part),
        }
        for day, rows in one.later.items():
            key = str(partition_key(part[0], day))
            if key not in own:
                counts = {"rows": rows, _PARTITION_ROWS: rows}
                context.log_event(
                    dg.AssetMaterialization(table.name, partition=key, metadata=shared | counts)
                )


def _split(table: Table, part: Part, frame: pl.DataFrame) -> dict[Part, pl.DataFrame]:
    """A slice's rows by partition; those of a partition without rows are an empty frame."""
    workspace_id, days = part
    if not table.by_day or days is None:
        return {part: frame}
    count = (days[1] - days[0]).days + 1
    rows = {day: own for (day,), own in frame.partition_by("day", as_dict=True).items()}
    each_day = (days[0] + timedelta(number) for number in range(count))
    return {(workspace_id, (day, day)): rows.get(day, frame.clear()) for day in each_day}


def _describe_partitions(
    table: Table, written: Mapping[Part, Written], platform: Platform
) -> dict[str, dict[str, Any]]:
    """What the UI shows of every partition that was written, by its key: its own, not the run's."""
    shown: dict[str, dict[str, Any]] = {}
    stored = _count_stored(table, written, platform) if table.mode == "append" and written else {}
    for part, one in written.items():
        for (workspace_id, days), rows in _split(table, part, one.frame).items():
            key = str(partition_key(workspace_id, days[0])) if days else workspace_id
            count = stored.get((workspace_id, days), 0) if table.mode == "append" else rows.height
            shown[key] = {
                "rows": count,
                **({"rows_appended": rows.height} if table.mode == "append" else {}),
                _PARTITION_ROWS: count,
                "snapshot_id": one.snapshot_id,
                "preview": dg.MetadataValue.md(preview(rows)),
                **_describe_notes(one, part, days),
            }
    return shown


def _count_stored(table: Table, parts: Iterable[Part], platform: Platform) -> dict[Part, int]:
    """The rows that an appended table holds by now, by partition, in one read."""
    ranges = [days for _, days in parts if days is not None]
    whole = (min(days[0] for days in ranges), max(days[1] for days in ranges)) if ranges else None
    rows = platform.lake.cross_reader().read_across(
        table,
        days=whole,
        columns=["workspace_id", "day"] if table.by_day else ["workspace_id"],
        wanted={"workspace_id": sorted({workspace_id for workspace_id, _ in parts})},
    )
    return {
        (part[0], (part[1], part[1]) if table.by_day else None): own.height
        for part, own in rows.partition_by(rows.columns, as_dict=True).items()
    }


def _describe_notes(written: Written, part: Part, days: Days | None) -> dict[str, Any]:
    """The notes of a partition; those of a range that is longer say which days they are of."""
    own = written.day_notes.get(days[0], {}) if days else {}
    of_range = "" if days == part[1] else f" ({Scope(part[0], *(part[1] or ())).days_text})"
    notes = {
        f"{name}{of_range}": value for name, value in written.notes.items() if name not in own
    } | own
    return {name: _show_note(value) for name, value in notes.items()}


def show_row_counts(
    context: dg.OpExecutionContext, platform: Platform, tables: Iterable[Table], *, anew: bool
) -> None:
    """Say of tables without a step of their own how many rows they hold.

    A materialization is what the catalog shows, but it makes the checks before it outdated, also
    failed ones. So it is one where ``anew`` and the first time; otherwise it is an observation.
    """
    reader = platform.lake.cross_reader()
    for table in tables:
        rows = {_ROWS: reader.count_rows(table)}
        is_new = context.instance.get_latest_materialization_event(dg.AssetKey(table.name)) is None
        kind = dg.AssetMaterialization if anew or is_new else dg.AssetObservation
        context.log_event(kind(table.name, metadata=rows))


def _show_note(value: object) -> Any:
    """A picture as one that the UI shows; it is an image, so nothing in it can act."""
    if isinstance(value, Markdown):
        return dg.MetadataValue.md(value.text)
    if not isinstance(value, Picture):
        return value
    data = base64.b64encode(value.svg.encode()).decode()
    return dg.MetadataValue.md(f"![{value.words}](data:image/svg+xml;base64,{data})")


def preview(rows: pl.DataFrame) -> str:
    """The first rows and columns as a Markdown table; the workspace is the partition's.

    Cells are hostile input: each is cut, and is code, in which nothing is markup or a link.
    """
    if rows.is_empty():
        return "no rows"
    whole = (
        rows.head(_PREVIEW_ROWS).select(pl.exclude(pl.Binary)).drop("workspace_id", strict=False)
    )
    head = whole[:, :_PREVIEW_COLUMNS]
    lines = [f"| {' | '.join(head.columns)} |", "|" + " --- |" * head.width]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in head.iter_rows()]
    if more := whole.columns[_PREVIEW_COLUMNS:]:
        lines += ["", f"Not shown: {', '.join(more)}"]
    return "\n".join(lines)


def _cell(value: object) -> str:
    text = "" if value is None else " ".join(str(value).split())
    cut = text if len(text) <= _PREVIEW_WIDTH else text[: _PREVIEW_WIDTH - 1] + "…"
    plain = cut.replace("`", "'").replace("|", "¦")
    return f"`{plain}`" if plain else ""


def _dependency(table: Table, upstream: Table) -> dg.AssetDep:
    if table.by_day == upstream.by_day:
        return dg.AssetDep(upstream.name)
    mapping = dg.MultiToSingleDimensionPartitionMapping(partition_dimension_name=WORKSPACE)
    return dg.AssetDep(upstream.name, partition_mapping=mapping)
