"""What may be written and what is stored: conform a frame to its table, check its structure.

Three checks, named alike everywhere (here, in the UI, in errors): ``schema`` (columns, types,
nulls, declared patterns), ``key`` (unique, not null), ``partition`` (every row belongs where it is
being written). `check_rows` and `check_batch` make them before a write, `check_stored` on the rows
that the lake has. Business ranges are no part of this: they never block.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Literal

import pandera.polars as pa
import polars as pl
from pandera.errors import SchemaErrors

from ytap_assets.lakehouse.errors import LakeError
from ytap_assets.tables import Table
from ytap_assets.tables.base import PART

CheckName = Literal["schema", "key", "partition"]
CHECKS: dict[CheckName, str] = {
    "schema": "Columns, types, null constraints and patterns match the table's declaration.",
    "key": "The key is unique and not null.",
    "partition": "Every row belongs to the workspace and the days being written.",
}
STORED_CHECKS: dict[CheckName, str] = {
    "schema": "Stored values match the declared types, patterns and null constraints.",
    "key": "No key column is null, and the key is unique among the checked rows.",
    "partition": "Every row belongs to an existing workspace, and no row is dated in the future.",
}
CASES = pl.Schema({"column": pl.String, "check": pl.String, "case": pl.String, "row": pl.Int64})
"""Columns of failing cases; ``row`` counts from 0 in the frame that was refused."""
_SHOWN = 120
_EPOCH = date(1970, 1, 1)
_FIRST_DAY = (date.min - _EPOCH).days
_LAST_DAY = (date.max - _EPOCH).days
_UNITS_PER_DAY = {"ms": 86_400_000, "us": 86_400_000_000}


@dataclass(frozen=True)
class Scope:
    """What a write covers: a workspace, and for day-grained tables a range of days."""

    workspace_id: str
    first_day: date | None = None
    last_day: date | None = None

    def __str__(self) -> str:
        """For messages: `tech 2026-11-16..2026-11-20`."""
        return " ".join([self.workspace_id, *([self.days_text] if self.first_day else [])])

    @property
    def days(self) -> tuple[date, date] | None:
        """First and last day; None for a whole history."""
        return None if self.first_day is None else (self.first_day, self.last_day or self.first_day)

    def each_day(self) -> Iterator[date]:
        """Every day, in order; none for a whole history."""
        if self.days is not None:
            first, last = self.days
            yield from (first + timedelta(n) for n in range((last - first).days + 1))

    @property
    def days_text(self) -> str:
        """The days alone; empty for a whole history."""
        if self.first_day is None or self.first_day == self.last_day:
            return str(self.first_day or "")
        return f"{self.first_day}..{self.last_day}"


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome; `cases` has the columns of `CASES`."""

    name: CheckName
    cases: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CASES))

    @property
    def passed(self) -> bool:
        """Whether nothing failed."""
        return self.cases.is_empty()

    @property
    def summary(self) -> str:
        """The first failing case, and how many there are."""
        if self.passed:
            return "passed"
        first = self.cases.row(0, named=True)
        place = "" if first["row"] is None else f" (row {first['row']})"
        more = f", and {self.cases.height - 1} more" if self.cases.height > 1 else ""
        case = _show(str(first["case"]))
        return f"{first['column']}: {first['check']}: {case}{place}{more}"


PASSED = tuple(CheckResult(name) for name in CHECKS)
"""The results of rows that passed every check."""


class PublishRefusedError(LakeError):
    """A frame failed a check. Nothing was written; the previous rows stay readable.

    Attributes:
        results: The result of every check; a failed one holds its failing cases.
    """

    def __init__(self, table: str, results: tuple[CheckResult, ...]) -> None:
        self.results = results
        failed = [result for result in results if not result.passed]
        reasons = "; ".join(f"{result.name}: {result.summary}" for result in failed)
        super().__init__(f"{table}: not published, the previous rows are unchanged: {reasons}")


@dataclass(frozen=True)
class CheckedRows:
    """Rows that passed. Only `check_rows` makes them, and only they can be written."""

    table: Table
    scope: Scope
    frame: pl.DataFrame
    results: tuple[CheckResult, ...]


def check_rows(table: Table, frame: pl.DataFrame, scope: Scope) -> CheckedRows:
    """Conform and check a frame.

    Raises:
        PublishRefusedError: A check failed; it holds every check's result.
    """
    conformed = _prepare(table, frame)
    if conformed.is_empty():  # columns and types are the table's, and no row can fail a check
        return CheckedRows(table, scope, conformed, PASSED)
    results = (
        check_schema(table, conformed),
        check_key(table, conformed),
        check_partition(table, conformed, scope),
    )
    if not all(result.passed for result in results):
        raise PublishRefusedError(table.name, results)
    return CheckedRows(table, scope, conformed, results)


def check_batch(
    table: Table, frames: Mapping[Scope, pl.DataFrame]
) -> dict[Scope, CheckedRows | PublishRefusedError]:
    """Conform and check the frames of several scopes, each as `check_rows` does.

    All rows are checked together, because the checks of 50 frames of a few hundred rows cost as
    much as those of one. If a check fails, the halves are checked: one refused frame among n costs
    2 log2(n) checks.

    Args:
        table: The table of all frames.
        frames: The rows by scope. The scopes do not overlap.

    Returns:
        The checked rows of each scope, or its refusal, in the order of ``frames``.
    """
    if len(frames) > 1:
        if (together := _check_together(table, frames)) is not None:
            return dict(together)
        scopes = list(frames)
        middle = len(scopes) // 2
        halves = (scopes[:middle], scopes[middle:])
        first, second = (
            check_batch(table, {scope: frames[scope] for scope in half}) for half in halves
        )
        return first | second
    checked: dict[Scope, CheckedRows | PublishRefusedError] = {}
    for scope, frame in frames.items():
        try:
            checked[scope] = check_rows(table, frame, scope)
        except PublishRefusedError as refusal:
            checked[scope] = refusal
    return checked


def _check_together(
    table: Table, frames: Mapping[Scope, pl.DataFrame]
) -> dict[Scope, CheckedRows] | None:
    """The checked rows of each scope; None if the frames differ in columns or a check fails."""
    schemas = [frame.schema for frame in frames.values()]
    if any(schema != schemas[0] for schema in schemas):
        return None
    try:
        rows = _prepare(table, pl.concat(frames.values()))
    except PublishRefusedError:
        return None
    parts: dict[Scope, pl.DataFrame] = {}
    start = 0
    for scope, frame in frames.items():
        parts[scope] = rows.slice(start, frame.height)
        start += frame.height
    if not rows.is_empty() and not (
        check_schema(table, rows).passed
        and check_key(table, rows).passed
        and _all_belong(table, parts, rows)
    ):
        return None
    return {scope: CheckedRows(table, scope, own, PASSED) for scope, own in parts.items()}


def _all_belong(table: Table, parts: Mapping[Scope, pl.DataFrame], rows: pl.DataFrame) -> bool:
    """Whether every row belongs to the scope of its part; the parts follow each other in rows."""
    expected = pl.DataFrame(
        {
            "owner": [scope.workspace_id for scope in parts],
            "first": pl.Series([scope.first_day for scope in parts], dtype=pl.Date),
            "last": pl.Series([scope.last_day for scope in parts], dtype=pl.Date),
            "rows": pl.Series([part.height for part in parts.values()], dtype=pl.UInt32),
        }
    ).select(pl.exclude("rows").repeat_by("rows").explode(empty_as_null=False))
    belongs = pl.col("workspace_id") == pl.col("owner")
    names = ["workspace_id"]
    if table.by_day:
        names.append("day")
        within = pl.col("day").is_between("first", "last")
        belongs &= pl.when(pl.col("first").is_null()).then(pl.lit(value=True)).otherwise(within)
    checked = pl.concat([rows.select(names), expected], how="horizontal")
    return bool(checked.select(belongs.fill_null(value=False).all()).item())


def conform(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[dict[str, object]]]:
    """Convert a frame to the table's column order and types.

    Only lossless casts are made. A missing column, an undeclared column, a type that needs a lossy
    cast, and a date outside the years 1 to 9999 are problems.

    Returns:
        The converted frame and no problems, or the frame as it was and its problems (`CASES`).
    """
    expressions: list[pl.Expr] = []
    types = frame.schema  # which Polars makes anew each time
    problems: list[dict[str, object]] = [
        {"column": name, "check": "declared", "case": "unexpected column"}
        for name in sorted(set(types) - set(table.schema))
    ]
    for name, dtype in table.schema.items():
        if name not in types:
            problems.append({"column": name, "check": "present", "case": "missing column"})
        elif (
            types[name].is_temporal()
            and (outside := outside_calendar(frame.get_column(name))).any()
        ):
            case = {"column": name, "check": "type", "case": "outside the years 1 to 9999"}
            problems += [{**case, "row": row} for row in outside.arg_true()]
        elif types[name] == dtype:
            expressions.append(pl.col(name))
        elif _widens(types[name], dtype):
            expressions.append(pl.col(name).cast(dtype))
        else:
            what = f"{types[name]} instead of {dtype}"
            problems.append({"column": name, "check": "type", "case": what})
    return (frame, problems) if problems else (frame.select(expressions), problems)


def outside_calendar(values: pl.Series) -> pl.Series:
    """Mark dates and instants that Python cannot represent; nulls are not marked."""
    if values.dtype == pl.Date:
        per_day = 1
    elif isinstance(values.dtype, pl.Datetime) and values.dtype.time_unit in _UNITS_PER_DAY:
        per_day = _UNITS_PER_DAY[values.dtype.time_unit]
    else:  # 64-bit nanoseconds cannot leave the calendar
        return pl.repeat(value=False, n=values.len(), dtype=pl.Boolean, eager=True)
    inside = values.to_physical().is_between(
        _FIRST_DAY * per_day, (_LAST_DAY + 1) * per_day, closed="left"
    )
    return ~inside.fill_null(value=True)


def _widens(have: pl.DataType, want: pl.DataType) -> bool:
    """Whether every value of one type can be represented in the other."""
    if have == pl.Null:
        return True
    if want == pl.Int64:
        return have.is_integer() and have not in (pl.UInt64, pl.Int128, pl.UInt128)
    if want == pl.Float64:
        return have == pl.Float32 or have in (
            pl.Int8,
            pl.Int16,
            pl.Int32,
            pl.UInt8,
            pl.UInt16,
            pl.UInt32,
        )
    if isinstance(want, pl.Datetime) and isinstance(have, pl.Datetime):
        return have.time_zone is not None and have.time_unit in ("us", "ms")
    if isinstance(want, pl.List) and isinstance(have, pl.List):
        return have.inner == pl.Null
    return want == pl.String and have in (pl.Categorical, pl.Enum)


def _prepare(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with the table's columns, with placeholders for the numbers that an append assigns.

    Raises:
        PublishRefusedError: Columns are missing, unexpected or of another type.
    """
    # The append gives the numbers; until then the rows' own order, or 0, stands in.
    if table.sequenced:
        order = pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("seq")
        frame = frame.with_columns(order)
    if table.in_parts:
        frame = frame.with_columns(pl.lit(0, pl.Int64).alias(PART))
    conformed, problems = conform(table, frame)
    if problems:
        raise PublishRefusedError(table.name, (CheckResult("schema", _cases(problems)),))
    return conformed


def check_schema(
    table: Table, frame: pl.DataFrame, *, columns: Sequence[str] | None = None
) -> CheckResult:
    """Pandera's verdict on an eager frame (on a lazy one it would look at types alone).

    NaN and the infinities are refused beside it: what is unknown is null, and one of them would
    make every sum and mean over the column another.

    Pandera spends half a millisecond on each column, only to find its name, its type and no null.
    A frame that shows these at one glance is asked only about columns with checks of their own.
    Any doubt goes to the whole model.

    Args:
        table: The declaration.
        frame: The rows.
        columns: The columns there have to be; all of the table's if None.
    """
    names = tuple(table.schema if columns is None else columns)
    wanted = [column for column in table.columns if column.name in names]
    required = [pl.col(column.name).has_nulls() for column in wanted if not column.nullable]
    schema = pl.Schema({column.name: column.dtype for column in wanted})
    in_doubt = frame.schema != schema or frame.select(pl.any_horizontal(required)).item()
    try:
        (_all_checks if in_doubt else _value_checks)(table, names).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.select(
            pl.col("column").cast(pl.String),
            pl.col("check").cast(pl.String),
            pl.col("failure_case").cast(pl.String).alias("case"),
            pl.col("index").cast(pl.Int64).alias("row"),
        ).match_to_schema(CASES)
    else:
        cases = pl.DataFrame(schema=CASES)
    return CheckResult("schema", pl.concat([cases, *_not_finite(frame)]))


def check_key(table: Table, frame: pl.DataFrame, *, is_stored: bool = False) -> CheckResult:
    """Rows whose key is null in part, or stands twice where it may not.

    In what is appended, a key that is there already is a duplicate that changes nothing, so it may
    stand twice in the frame as well: the first row wins, the others are counted. What is published
    or stored holds it once.
    """
    key = list(table.key)
    null = pl.any_horizontal(pl.col(key).is_null())
    is_unique = is_stored or table.mode == "derived"
    twice = pl.struct(key).is_duplicated() if is_unique else pl.lit(value=False)
    bad = (
        frame.lazy()
        .select(key)
        .with_row_index("row")
        .with_columns(null.alias("null"), twice.alias("twice"))
        .filter(pl.col("null") | pl.col("twice"))
        .select(
            pl.lit(", ".join(key)).alias("column"),
            pl.when("null").then(pl.lit("not null")).otherwise(pl.lit("unique")).alias("check"),
            pl.concat_str(pl.col(key).cast(pl.String), separator=", ", ignore_nulls=True).alias(
                "case"
            ),
            pl.col("row").cast(pl.Int64),
        )
        .collect()
    )
    return CheckResult("key", bad)


def check_partition(table: Table, frame: pl.DataFrame, scope: Scope) -> CheckResult:
    """Rows of another workspace, or of a day outside the range."""
    belongs = pl.col("workspace_id") == scope.workspace_id
    place = pl.col("workspace_id")
    if table.by_day and scope.first_day is not None:
        belongs &= pl.col("day").is_between(scope.first_day, scope.last_day)
        place = pl.concat_str("workspace_id", pl.col("day").cast(pl.String), separator=" ")
    bad = (
        frame.with_row_index("row")
        .filter(~belongs.fill_null(value=False))
        .select(
            pl.lit("workspace_id, day" if table.by_day else "workspace_id").alias("column"),
            pl.lit(f"belongs to {scope}").alias("check"),
            place.alias("case"),
            pl.col("row").cast(pl.Int64),
        )
    )
    return CheckResult("partition", bad)


def columns_to_check(table: Table) -> list[str]:
    """The columns that are checked: all but bytes, which are large and have no rules."""
    return [column.name for column in table.columns if column.dtype != pl.Binary]


def check_stored(
    table: Table, frame: pl.DataFrame, *, workspace_ids: Collection[str], today: date
) -> tuple[CheckResult, ...]:
    """Check rows of all workspaces.

    Args:
        table: The table of the rows.
        frame: The rows, with the columns of `columns_to_check`.
        workspace_ids: The existing workspaces.
        today: The last day that a row may have.

    Returns:
        The results of ``schema``, ``key`` and ``partition``.
    """
    return (
        check_schema(table, frame, columns=columns_to_check(table)),
        check_key(table, frame, is_stored=True),
        _check_owners(frame, workspace_ids, today),
    )


def _check_owners(frame: pl.DataFrame, workspace_ids: Collection[str], today: date) -> CheckResult:
    """Find rows of a workspace that does not exist, or of a day in the future."""
    is_known = pl.col("workspace_id").is_in(list(workspace_ids)).fill_null(value=False)
    day = pl.col("day") if "day" in frame.columns else pl.lit(today)
    is_past = (day <= today).fill_null(value=False)
    reason = (
        pl.when(is_known).then(pl.lit(f"up to {today}")).otherwise(pl.lit("an existing workspace"))
    )
    bad = (
        frame.select("workspace_id", day=day)
        .with_row_index("row")
        .filter(~(is_known & is_past))
        .select(
            pl.lit("workspace_id, day").alias("column"),
            reason.alias("check"),
            pl.concat_str(
                "workspace_id", pl.col("day").cast(pl.String), separator=" ", ignore_nulls=True
            ).alias("case"),
            pl.col("row").cast(pl.Int64),
        )
    )
    return CheckResult("partition", bad)


def _not_finite(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Cases of numbers that are not finite, as a frame for each column that has some."""
    return [
        frame.select(
            pl.lit(name).alias("column"),
            pl.lit("finite").alias("check"),
            pl.col(name).cast(pl.String).alias("case"),
            pl.int_range(pl.len(), dtype=pl.Int64).alias("row"),
        ).filter(~frame.get_column(name).is_finite())
        for name, dtype in frame.schema.items()
        if dtype == pl.Float64 and not frame.get_column(name).is_finite().all()
    ]


def _show(text: str) -> str:
    """A value, which is untrusted input, as it can stand in a message of one line."""
    cut = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in cut)


@cache
def _all_checks(table: Table, names: tuple[str, ...]) -> pa.DataFrameSchema:
    """The model's checks of these columns.

    A default is what older rows read as. Pandera would fill the nulls of new ones with it and pass.
    """
    schema = table.model.to_schema()
    columns = {name: deepcopy(one) for name, one in schema.columns.items() if name in names}
    for one in columns.values():
        one.default = None
    return pa.DataFrameSchema(columns, checks=schema.checks, strict=True)


@cache
def _value_checks(table: Table, names: tuple[str, ...]) -> pa.DataFrameSchema:
    """The checks of values only, for frames whose columns, types and nulls are checked."""
    schema = _all_checks(table, names)
    checked = {name: deepcopy(column) for name, column in schema.columns.items() if column.checks}
    for column in checked.values():
        column.nullable = True
    return pa.DataFrameSchema(checked, checks=schema.checks)


def _cases(problems: list[dict[str, object]]) -> pl.DataFrame:
    return pl.DataFrame(problems, schema=CASES)
