"""Publish a slice together with the days after it that come out otherwise because of it (ADR 20).

Belongs here: which later days are made again, and writing them all in one commit. Does not belong
here: what a table's rows are made of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_rows
from ytap_assets.lakehouse.errors import CatalogBusyError
from ytap_assets.lakehouse.reader import Days, unbroken_ranges
from ytap_assets.lakehouse.transaction import Transaction
from ytap_assets.operations.platform import Slice, Written
from ytap_assets.tables import Table

Make = Callable[[Days, pl.DataFrame, pl.DataFrame], pl.DataFrame]
"""Makes rows of a range of days, given the range, its stored rows, and the rows before it."""
Beside = Callable[[Transaction, pl.DataFrame, pl.DataFrame], Sequence[CheckedRows]]
"""What else is published in the commit, by the rows that are replaced and by the new ones."""

_DAY = timedelta(days=1)
_TRIES = 5


def publish_with_later_days(
    slice_: Slice,
    table: Table,
    make: Make,
    *,
    reach: int,
    before: int = 0,
    also: Iterable[date] = (),
    beside: Beside | None = None,
) -> Written:
    """Make a slice's rows, and those of later days that depend on them, and replace them at once.

    Later days are made again ``reach`` days at a time, as far as they are stored, until none of
    them comes out otherwise than it is stored; then from the next of the days ``also`` on in the
    same way. Only those that come out otherwise are written. So the cost is that of the slice and
    ``reach`` days, and of ``reach`` days more each time some of them changed, and for each of
    ``also`` beyond. Where no later day is stored, as in the daily collection of today, it is that
    of the slice.

    Args:
        slice_: The workspace and the days that are asked for.
        table: A derived table by day.
        make: Makes rows of the table. Rows of a day may depend on stored rows of this table of the
            ``before`` days before it, and on other tables' of the ``reach`` days before it.
        reach: How many days a change reaches on.
        before: How many days of the table itself are given to ``make``; with ``also``, none.
        also: Days, in any order, whose rows may be out of date although none of the ``reach`` days
            before them changes, since another table changed there. Those after the slice count.
        beside: What else is published in the commit.

    Raises:
        PublishRefusedError: A check failed; nothing was written.
        CatalogBusyError: Another run kept changing the days around; nothing was written.
    """
    for _ in range(_TRIES):
        plan = _plan(slice_, table, make, reach, before, sorted(also))
        parts = [
            check_rows(table, rows, Scope(slice_.workspace_id, *days)) for days, rows in plan.parts
        ]
        with slice_.platform.lake.write(slice_.run) as transaction:
            reader = transaction.reader(slice_.workspace_id)
            stored = pl.concat([reader.read(table, days=days) for days in plan.looked_at])
            if not plan.found.equals(_in_order(table, _outside(stored, plan.days))):
                continue
            replaced = [transaction.publish(part) for part in parts]
            if beside is not None:
                written = pl.concat([part.frame for part in parts])
                former = stored.join(written.select("day").unique(), on="day", how="semi")
                for other in beside(transaction, former, written):
                    transaction.publish(other)
        own, *later = parts
        rows_by_day = pl.concat([own.frame.clear(), *(part.frame for part in later)])
        return Written(
            rows=own.frame.height,
            snapshot_id=transaction.snapshot_id or 0,
            results=own.results,
            frame=own.frame,
            notes={"rows_replaced": replaced[0], "later_days_updated": len(plan.updated)},
            later={day: rows_by_day.filter(day=day).height for day in plan.updated},
        )
    raise CatalogBusyError(
        f"{table.name} {slice_.scope}: other runs changed the days around it {_TRIES} times in a"
        " row; nothing was written: run it again when they are done"
    )


@dataclass(frozen=True, eq=False)
class _Plan:
    """What would be written.

    Attributes:
        days: The slice's.
        parts: Unbroken ranges of days with their rows; the slice first.
        updated: The later days among them.
        looked_at: The ranges of days that were read of the table.
        found: Its rows on these days, without the slice's own.
    """

    days: Days
    parts: list[tuple[Days, pl.DataFrame]]
    updated: list[date]
    looked_at: list[Days]
    found: pl.DataFrame


def _plan(
    slice_: Slice, table: Table, make: Make, reach: int, before: int, also: Sequence[date]
) -> _Plan:
    days = slice_.days or (slice_.now.date(), slice_.now.date())
    looked_at = [(days[0] - before * _DAY, days[1] + reach * _DAY)]
    stored = slice_.read(table, days=looked_at[0])
    found = [_outside(stored, days)]
    made = [stored.filter(pl.col("day") < days[0])]
    later = stored.filter(pl.col("day") > days[1])
    span = days if later.is_empty() else (days[0], looked_at[0][1])
    rows = _conformed(table, make(span, _within(stored, span), made[0]))
    made.append(_within(rows, days))
    updated: list[date] = []
    while True:
        made.append(rows.join(later.select("day").unique(), on="day", how="semi"))
        changed = _changed_days(table, later, made[-1])
        updated += changed
        end = looked_at[-1][1]
        first = end + _DAY if changed else next((day for day in also if day > end), None)
        if first is None:
            break
        # Of the days ``also``, the first itself may change, and so may ``reach`` days after it.
        following = (first, end + reach * _DAY if changed else first + reach * _DAY)
        looked_at.append(following)
        later = slice_.read(table, days=following)
        found.append(later)
        rows = later
        if not later.is_empty():
            rows = _conformed(table, make(following, later, pl.concat(made)))
    rows = pl.concat(made)
    ranges = [days, *unbroken_ranges(updated)]
    parts = [(some, _within(rows, some)) for some in ranges]
    return _Plan(days, parts, updated, looked_at, _in_order(table, pl.concat(found)))


def _changed_days(table: Table, stored: pl.DataFrame, made: pl.DataFrame) -> list[date]:
    """The days on which rows differ, in order."""
    before, after = (
        _in_order(table, rows).partition_by("day", as_dict=True) for rows in (stored, made)
    )
    nothing = made.clear()
    return sorted(
        day for (day,), rows in before.items() if not rows.equals(after.get((day,), nothing))
    )


def _conformed(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(table.schema.names()).cast(table.schema)


def _in_order(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort(table.key)


def _within(rows: pl.DataFrame, days: Days) -> pl.DataFrame:
    return rows.filter(pl.col("day").is_between(*days))


def _outside(rows: pl.DataFrame, days: Days) -> pl.DataFrame:
    return rows.filter(~pl.col("day").is_between(*days))
