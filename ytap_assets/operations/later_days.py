"""Publish a batch together with the days after it that come out otherwise because of it (ADR 20).

Belongs here: which later days are made again, and writing them all in one commit. Does not belong
here: what a table's rows are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import polars as pl

from ytap_assets.lakehouse.checks import CheckedRows, PublishRefusedError, Scope, check_batch
from ytap_assets.lakehouse.errors import (
    CatalogBusyError,
)
from ytap_assets.lakehouse.reader import BatchReader, Days, unbroken_ranges
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.platform import Batch, Results, Written
from ytap_assets.tables import Table

Make = Callable[[Batch, pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""Makes the rows of a batch's days, given their stored rows and the rows before them."""
Beside = Callable[[Transaction, pl.DataFrame, pl.DataFrame], Sequence[CheckedRows]]
"""What else is published in the commit, by the rows that are replaced and by the new ones."""

_DAY = timedelta(days=1)
_TRIES = 5
_WORKSPACE_DAY = ("workspace_id", "day")


@dataclass(frozen=True)
class Dependence:
    """How the rows of a day of a table depend on the days before it.

    Attributes:
        table: A derived table by day.
        make: Makes rows of the table. Rows of a day may depend on stored rows of this table of the
            ``before`` days before it, and on other tables' of the ``reach`` days before it.
        reach: How many days a change reaches on.
        before: How many days of the table itself are given to ``make``; with ``also``, none.
        also: By workspace, days in any order whose rows may be out of date although none of the
            ``reach`` days before them changes, since another table changed there. Those after the
            slice count.
        renew: Makes the rows of the batch's own days that ``make`` is given in place of the stored
            ones.
        beside: What else is published in the commit.
    """

    table: Table
    make: Make
    reach: int
    before: int = 0
    also: Mapping[str, Iterable[date]] = field(default_factory=dict)
    renew: Callable[[Batch], pl.DataFrame] | None = None
    beside: Beside | None = None


def publish_with_later_days(batch: Batch, dependence: Dependence) -> Results:
    """Publish a batch's rows, and those of later days that depend on them, in one commit.

    Stored later days are recomputed ``reach`` days at a time, until none of them changes; then from
    the next of the days ``also`` on in the same way. Only changed days are written. The cost is
    that of the batch and ``reach`` days, plus ``reach`` days each time some of them changed, and
    for each further day of ``also``, in workspaces with stored later days. Without later days, as
    in the daily collection of today, it is that of the batch.

    Several slices of a workspace are computed one after the other, since the later ones depend on
    the earlier ones.

    Returns:
        What was written for each slice, or the error: a `PublishRefusedError` if a check failed, a
        `CatalogBusyError` if other runs kept changing the days around it.
    """
    results: Results = {}
    ordered = sorted(batch.slices, key=lambda one: one.own_days)
    while ordered:
        first = {one.workspace_id: one for one in reversed(ordered)}
        ordered = [one for one in ordered if first[one.workspace_id] is not one]
        results |= _publish(replace(batch, slices=tuple(first.values())), dependence)
    return {one.scope: results[one.scope] for one in batch.slices}


def _publish(batch: Batch, dependence: Dependence) -> Results:
    """Publish one slice of each workspace; repeat those that other runs change meanwhile."""
    results: Results = {}
    waiting = {one.workspace_id: one for one in batch.slices}
    for _ in range(_TRIES):
        rest = replace(batch, slices=tuple(waiting.values()))
        plan = _plan(rest, dependence)
        parts, refused = _check(dependence.table, plan)
        results |= {waiting.pop(name).scope: error for name, error in refused.items()}
        if parts:
            for name, written in _write(rest, dependence, plan, parts).items():
                results[waiting.pop(name).scope] = written
        if not waiting:
            return results
    for one in waiting.values():
        results[one.scope] = CatalogBusyError(
            f"{dependence.table.name} {one.scope}: other runs changed the days around it {_TRIES}"
            " times in a row; nothing was written; run it again when they have finished"
        )
    return results


@dataclass(frozen=True, eq=False)
class _Plan:
    """What would be written.

    Attributes:
        days: Each workspace's slice.
        made: The rows that were made, of all days that were looked at.
        updated: The later days that are written, by workspace.
        looked_at: The days that were read of the table: ``workspace_id``, ``first_day``,
            ``last_day``.
        found: Its rows on these days, without those of the slices.
    """

    days: dict[str, Days]
    made: pl.DataFrame
    updated: dict[str, list[date]]
    looked_at: pl.DataFrame
    found: pl.DataFrame


def _plan(batch: Batch, dependence: Dependence) -> _Plan:
    table, reach = dependence.table, dependence.reach
    days = {one.workspace_id: (one.own_days[0], one.own_days[-1]) for one in batch.slices}
    own = _spans(days)
    looked = {
        name: (first - dependence.before * _DAY, last + reach * _DAY)
        for name, (first, last) in days.items()
    }
    looked_at = [_spans(looked)]
    stored = _read(batch.reader(), table, looked_at[0])
    found = [_outside(stored, own)]
    relative = stored.join(own, on="workspace_id")
    made = [relative.filter(pl.col("day") < pl.col("first_day")).select(stored.columns)]
    later = relative.filter(pl.col("day") > pl.col("last_day")).select(stored.columns)
    has_later = set(later["workspace_id"])
    span = {
        name: (first, looked[name][1]) if name in has_later else (first, last)
        for name, (first, last) in days.items()
    }
    given = _within(stored, _spans(span))
    if dependence.renew is not None:
        given = pl.concat([_conformed(table, dependence.renew(batch)), _outside(given, own)])
    rows = _make(batch, dependence, span, given, made[0])
    made.append(_within(rows, own))
    updated: dict[str, list[date]] = {name: [] for name in days}
    while True:
        made.append(rows.join(later.select(_WORKSPACE_DAY).unique(), on=_WORKSPACE_DAY, how="semi"))
        changed = _changed_days(table, later, made[-1])
        for name, some in changed.items():
            updated[name] += some
        following: dict[str, Days] = {}
        for name, (_, end) in looked.items():
            if name in changed:
                following[name] = (end + _DAY, end + reach * _DAY)
            elif beyond := [day for day in dependence.also.get(name, ()) if day > end]:
                # The first of them itself may change, and so may ``reach`` days after it.
                following[name] = (min(beyond), min(beyond) + reach * _DAY)
        if not following:
            break
        looked = following
        looked_at.append(_spans(following))
        later = _read(batch.reader(), table, looked_at[-1])
        found.append(later)
        has_later = set(later["workspace_id"])
        span = {name: some for name, some in following.items() if name in has_later}
        rows = later
        if span:
            before = pl.concat(made).filter(pl.col("workspace_id").is_in(list(span)))
            rows = _make(batch, dependence, span, later, before)
    return _Plan(days, pl.concat(made), updated, pl.concat(looked_at), pl.concat(found))


def _make(
    batch: Batch,
    dependence: Dependence,
    span: Mapping[str, Days],
    stored: pl.DataFrame,
    before: pl.DataFrame,
) -> pl.DataFrame:
    """The rows of some days of some workspaces."""
    slices = [
        replace(one, days=span[one.workspace_id])
        for one in batch.slices
        if one.workspace_id in span
    ]
    rows = dependence.make(replace(batch, slices=tuple(slices)), stored, before)
    return _conformed(dependence.table, rows)


def _conformed(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(table.schema.names()).cast(table.schema)


def _check(
    table: Table, plan: _Plan
) -> tuple[dict[str, list[CheckedRows]], dict[str, PublishRefusedError]]:
    """The checked rows by workspace, its slice first, and the workspaces that are refused."""
    frames: dict[Scope, pl.DataFrame] = {}
    owned = plan.made.partition_by("workspace_id", as_dict=True)
    for name, days in plan.days.items():
        rows = owned.get((name,), plan.made.clear())
        for some in (days, *unbroken_ranges(plan.updated[name])):
            frames[Scope(name, *some)] = rows.filter(pl.col("day").is_between(*some))
    parts: dict[str, list[CheckedRows]] = {}
    refused: dict[str, PublishRefusedError] = {}
    for scope, checked in check_batch(table, frames).items():
        if isinstance(checked, PublishRefusedError):
            refused.setdefault(scope.workspace_id, checked)
        else:
            parts.setdefault(scope.workspace_id, []).append(checked)
    return {name: some for name, some in parts.items() if name not in refused}, refused


def _write(
    batch: Batch, dependence: Dependence, plan: _Plan, parts: Mapping[str, Sequence[CheckedRows]]
) -> dict[str, Written]:
    """Write the workspaces for which what was read still holds; the others are left out."""
    table = dependence.table
    with batch.platform.lake.write(batch.run) as transaction:
        reader = transaction.batch_reader(list(parts))
        stored = _read(reader, table, plan.looked_at)
        changed = _changed_days(table, plan.found, _outside(stored, _spans(plan.days)))
        parts = {name: some for name, some in parts.items() if name not in changed}
        transaction.publish_all([part for some in parts.values() for part in some])
        if dependence.beside is not None and parts:
            written = pl.concat([part.frame for some in parts.values() for part in some])
            days = written.select(_WORKSPACE_DAY).unique()
            former = stored.join(days, on=_WORKSPACE_DAY, how="semi")
            transaction.publish_all(dependence.beside(transaction, former, written))
    own = _within(stored, _spans(plan.days))
    replaced = dict(own.group_by("workspace_id").len().iter_rows())
    made = {
        name: _describe(
            some, transaction.snapshot_id or 0, replaced.get(name, 0), plan.updated[name]
        )
        for name, some in parts.items()
    }
    batch.note(
        {one.scope: made[one.workspace_id] for one in batch.slices if one.workspace_id in made}
    )
    return made


def _describe(
    parts: Sequence[CheckedRows], snapshot_id: int, replaced: int, updated: Sequence[date]
) -> Written:
    own, *later = parts
    rows: dict[date, int] = {}
    for part in later:
        rows |= dict(part.frame.group_by("day").len().iter_rows())
    return Written(
        rows=own.frame.height,
        snapshot_id=snapshot_id,
        results=own.results,
        frame=own.frame,
        notes={"rows_replaced": replaced, "later_days_updated": len(updated)},
        later={day: rows.get(day, 0) for day in updated},
    )


def _changed_days(table: Table, stored: pl.DataFrame, made: pl.DataFrame) -> dict[str, list[date]]:
    """The days on which rows differ, in order, of each workspace that has some."""
    before, after = (rows.sort(table.key) for rows in (stored, made))
    if before.equals(after):
        return {}
    old, new = (rows.partition_by(_WORKSPACE_DAY, as_dict=True) for rows in (before, after))
    nothing = made.clear()
    changed: dict[str, list[date]] = {}
    for name, day in sorted(old.keys() | new.keys()):
        if not old.get((name, day), nothing).equals(new.get((name, day), nothing)):
            changed.setdefault(name, []).append(day)
    return changed


def _spans(days: Mapping[str, Days]) -> pl.DataFrame:
    """Ranges of days of workspaces: ``workspace_id``, ``first_day``, ``last_day``."""
    return pl.DataFrame(
        [(name, *some) for name, some in days.items()],
        schema={"workspace_id": pl.String, "first_day": pl.Date, "last_day": pl.Date},
        orient="row",
    )


def _read(reader: BatchReader, table: Table, spans: pl.DataFrame) -> pl.DataFrame:
    """The rows on some days of some workspaces, in one read."""
    first, last = spans.select(pl.col("first_day").min(), pl.col("last_day").max()).row(0)
    return _within(reader.read(table, days=(first, last)), spans)


def _within(rows: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """The rows on some days of some workspaces; the ranges of a workspace do not overlap."""
    joined = rows.join(spans, on="workspace_id", maintain_order="left")
    is_within = pl.col("day").is_between("first_day", "last_day")
    return joined.filter(is_within).select(rows.columns)


def _outside(rows: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """The rows on other days than the only range of each workspace."""
    joined = rows.join(spans, on="workspace_id", maintain_order="left")
    is_within = pl.col("day").is_between("first_day", "last_day")
    return joined.filter(~is_within).select(rows.columns)
