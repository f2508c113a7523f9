"""The checks every table has in the UI, made from its declaration by one factory.

``schema``, ``key`` and ``partition`` are structure: a failure means nothing was written.
``ranges`` is business: it warns, the rows stay. So does what a table's asset watches besides.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
import polars as pl

from ytap_assets.domain.ranges import flag_ranges
from ytap_assets.lakehouse.checks import CHECKS, CheckName, CheckResult
from ytap_assets.tables import Table

RANGES = "ranges"
_MAX_CASES = 50


@dataclass(frozen=True)
class Watch:
    """Something one table is watched for: a check of its own, which warns.

    Attributes:
        name: The check's name.
        description: What holds when it passes.
        find: Takes the rows that were written, and gives those to be looked at, in any columns.
    """

    name: str
    description: str
    find: Callable[[pl.DataFrame], pl.DataFrame]


def check_specs(
    table: Table,
    *,
    blocking: bool,
    texts: Mapping[CheckName, str] = CHECKS,
    watches: Sequence[Watch] = (),
) -> list[dg.AssetCheckSpec]:
    """The checks of a table's asset.

    Args:
        table: The table.
        blocking: Whether a structural failure refused the rows, so that nothing goes on from them.
        texts: What each structural check says.
        watches: What the table is watched for besides.
    """
    specs = [
        dg.AssetCheckSpec(name=name, asset=table.name, description=text, blocking=blocking)
        for name, text in texts.items()
    ]
    if any(column.expected for column in table.columns):
        text = "Values lie in the range one expects of the business; others are kept and shown."
        specs.append(dg.AssetCheckSpec(name=RANGES, asset=table.name, description=text))
    specs += [
        dg.AssetCheckSpec(name=watch.name, asset=table.name, description=watch.description)
        for watch in watches
    ]
    return specs


def evaluate(
    table: Table,
    results: Sequence[CheckResult],
    frames: Sequence[pl.DataFrame],
    covered: str,
    *,
    watches: Sequence[Watch] = (),
) -> Iterator[dg.AssetCheckResult]:
    """One result per check over everything a run covered.

    Args:
        table: The table.
        results: Structural results of every slice.
        frames: The rows that were written.
        covered: Which partitions, in words.
        watches: What the table is watched for besides.
    """
    for name in CHECKS:
        cases = [result.cases for result in results if result.name == name]
        if cases:
            yield _structural(table, name, pl.concat(cases), covered)
    if not frames:
        return
    rows = pl.concat(frames)
    if any(column.expected for column in table.columns):
        outside = flag_ranges(rows, table.columns).filter(pl.col("outside") > 0)
        yield _warning(table, RANGES, "outside", outside, covered)
    for watch in watches:
        yield _warning(table, watch.name, "to look at", watch.find(rows), covered)


def _structural(
    table: Table, name: CheckName, cases: pl.DataFrame, covered: str
) -> dg.AssetCheckResult:
    metadata: dict[str, dg.MetadataValue] = {"partitions": dg.MetadataValue.text(covered)}
    if not cases.is_empty():
        metadata["failing cases"] = dg.MetadataValue.int(cases.height)
        metadata["first cases"] = table_metadata(cases.head(_MAX_CASES))
    return dg.AssetCheckResult(
        asset_key=table.name,
        check_name=name,
        passed=cases.is_empty(),
        description=CheckResult(name, cases).summary,
        metadata=metadata,
    )


def _warning(
    table: Table, name: str, heading: str, cases: pl.DataFrame, covered: str
) -> dg.AssetCheckResult:
    metadata: dict[str, dg.MetadataValue] = {"partitions": dg.MetadataValue.text(covered)}
    if not cases.is_empty():
        metadata[heading] = table_metadata(cases.head(_MAX_CASES))
    return dg.AssetCheckResult(
        asset_key=table.name,
        check_name=name,
        passed=cases.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata=metadata,
    )


def table_metadata(frame: pl.DataFrame) -> dg.MetadataValue:
    """A frame as a table in the UI; every cell as text."""
    text = frame.select(pl.all().cast(pl.String).fill_null("null"))
    records = [dg.TableRecord(dict(row)) for row in text.iter_rows(named=True)]
    columns = [dg.TableColumn(name, "string") for name in text.columns]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))
