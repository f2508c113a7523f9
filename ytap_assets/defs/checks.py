"""The checks every table has in the UI, made from its declaration by one factory.

``schema``, ``key`` and ``partition`` are structure: a failure means nothing was written.
``ranges`` is business: it warns, the rows stay. So does what a table's asset watches besides.
``answered``, of tables that are collected, says which targets gave no answer.

A check fails as long as the newest result of any partition is a failure, whichever partitions the
last run covered (ADR 0021). What fails is a table in the metadata of each result, from which the
next run's result is made.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl

from ytap_assets.defs.partitions import WORKSPACE, Part
from ytap_assets.domain.coverage import (
    find_failed_targets,
    split_failed_days,
    summarize_failed_targets,
)
from ytap_assets.domain.plausibility import flag_ranges
from ytap_assets.lakehouse.checks import CHECKS, CheckName, CheckResult, Scope
from ytap_assets.lakehouse.reader import Days
from ytap_assets.tables import COLLECTION_LOG, Table

RANGES = "ranges"
ANSWERED = "answered"
FAILED_TARGETS = "failed targets"
FAILING = "failing partitions"
Severity = dg.AssetCheckSeverity
_MAX_CASES = 50
_SHOWN = 5
_REASON_LENGTH = 200
_DAY = timedelta(days=1)


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


@dataclass(frozen=True)
class Examined:
    """What a run found in one slice.

    Attributes:
        part: The slice.
        results: The structural checks.
        frames: The rows that were written, by partition; None where nothing was written.
        log: The fetches of a collection, as rows of ``collection_log``.
        is_failure: Whether nothing could be collected.
    """

    part: Part
    results: Sequence[CheckResult] = ()
    frames: Mapping[Part, pl.DataFrame] | None = None
    log: pl.DataFrame = field(default_factory=COLLECTION_LOG.empty)
    is_failure: bool = False


@dataclass(frozen=True)
class Failing:
    """A part whose newest result of a check is a failure, the run that found it, and the reason."""

    part: Part
    severity: dg.AssetCheckSeverity
    run_id: str
    reason: str = ""


def check_specs(
    table: Table,
    *,
    texts: Mapping[CheckName, str] = CHECKS,
    watches: Sequence[Watch] = (),
    is_collected: bool = False,
) -> list[dg.AssetCheckSpec]:
    """The checks of a table's asset.

    None is ``blocking``: a run whose rows are refused fails by itself, and one whose rows pass must
    not fail because those of another workspace were refused before.

    Args:
        table: The table.
        texts: What each structural check says.
        watches: What the table is watched for besides.
        is_collected: Whether its rows are fetched from sources.
    """
    described: dict[str, str] = {str(name): text for name, text in texts.items()}
    if any(column.expected for column in table.columns):
        described[RANGES] = (
            "Values are within the expected range. Values outside it are kept and shown."
        )
    if is_collected:
        described[ANSWERED] = (
            "Every fetched target answered. If some targets did not answer, the check warns. If"
            " none answered, nothing is collected and the run fails."
        )
    described |= {watch.name: watch.description for watch in watches}
    return [
        dg.AssetCheckSpec(name=name, asset=table.name, description=text)
        for name, text in described.items()
    ]


def evaluate(
    table: Table,
    examined: Sequence[Examined],
    *,
    context: dg.AssetExecutionContext,
    watches: Sequence[Watch] = (),
    is_collected: bool = False,
) -> Iterator[dg.AssetCheckResult]:
    """One result per check, over what a run covered and what failed before and was not covered.

    Args:
        table: The table.
        examined: Every slice of the run.
        context: The run's; its instance knows the results before it.
        watches: What the table is watched for besides.
        is_collected: Whether its rows are fetched from sources.
    """
    names = [spec.name for spec in check_specs(table, watches=watches, is_collected=is_collected)]
    before = _read_failing(context.instance, table, names)
    run_id = context.run.run_id

    def result(
        name: str, covered: Sequence[Part], failing: Sequence[Failing], **shown: Any
    ) -> dg.AssetCheckResult:
        now = update_failing(before.get(name, []), covered, failing)
        return _result(table, name, covered, now, run_id, **shown)

    for check in CHECKS:
        judged = {
            one.part: pl.concat([result.cases for result in one.results if result.name == check])
            for one in examined
            if any(result.name == check for result in one.results)
        }
        if judged:
            refused = {
                part: CheckResult(check, cases).summary
                for part, cases in judged.items()
                if not cases.is_empty()
            }
            yield result(
                check,
                list(judged),
                [Failing(part, Severity.ERROR, run_id, why) for part, why in refused.items()],
                **_show_cases(CheckResult(check, pl.concat(judged.values()))),
            )
    fetched = [one for one in examined if one.frames is not None or one.is_failure]
    if is_collected and fetched:
        yield result(
            ANSWERED,
            [one.part for one in fetched],
            [failing for one in fetched for failing in list_unanswered(one, run_id)],
            **_show_failed_targets(pl.concat([one.log for one in fetched])),
        )
    written = [one for one in examined if one.frames is not None]
    if not written:
        return
    frames = {part: rows for one in written for part, rows in (one.frames or {}).items()}
    rows = pl.concat([table.empty(), *frames.values()])
    for name, heading, find in _list_finders(table, watches):
        found = find(rows)
        # Which partitions these are of is looked for only where there is something.
        warned = {
            part: f"{count} {heading}"
            for part, own in frames.items()
            if found.height and (count := find(own).height)
        }
        yield result(
            name,
            [one.part for one in written],
            [Failing(part, Severity.WARN, run_id, why) for part, why in warned.items()],
            metadata={heading: table_metadata(found.head(_MAX_CASES))} if found.height else {},
            description=f"{found.height} {heading}" if found.height else "passed",
        )


def list_unanswered(examined: Examined, run_id: str) -> list[Failing]:
    """The days of a slice on which targets did not answer, each with the reasons."""
    severity = Severity.ERROR if examined.is_failure else Severity.WARN
    workspace_id, days = examined.part
    return [
        Failing(
            (workspace_id, days and (day, day)),
            severity,
            run_id,
            summarize_failed_targets(log) or "",
        )
        for day, log in split_failed_days(examined.log).items()
    ]


def evaluate_stored(
    table: Table, results: Sequence[CheckResult], covered: str
) -> Iterator[dg.AssetCheckResult]:
    """One result per structural check of rows that are stored already, of all workspaces.

    Args:
        table: The table.
        results: The checks' results.
        covered: Which rows, in words.
    """
    for result in results:
        shown = _show_cases(result)
        yield dg.AssetCheckResult(
            asset_key=table.name,
            check_name=result.name,
            passed=result.passed,
            description=shown["description"],
            metadata={"partitions": dg.MetadataValue.text(covered), **shown["metadata"]},
        )


def describe(part: Part) -> str:
    """A workspace, and the days where there are any, in words."""
    return str(Scope(part[0], *(part[1] or ())))


def update_failing(
    before: Sequence[Failing], covered: Collection[Part], found: Sequence[Failing]
) -> list[Failing]:
    """What fails after a run: what failed before and was not covered, and what fails now.

    Args:
        before: What failed before the run.
        covered: What the run judged.
        found: What it found failing, within what it covered.

    Returns:
        Parts that do not overlap, in order; neighbouring days of a workspace are one part, which
        names the run and has the severity and the reason of its last days.
    """
    taken: dict[str, list[Days | None]] = {}
    for workspace_id, days in covered:
        taken.setdefault(workspace_id, []).append(days)
    left = list(found)
    for one in before:
        workspace_id, days = one.part
        rest = [days]
        for gone in taken.get(workspace_id, []):
            rest = [piece for range_ in rest for piece in _subtract(range_, gone)]
        left += [replace(one, part=(workspace_id, piece)) for piece in rest]
    joined: list[Failing] = []
    for one in sorted(left, key=lambda one: (one.part[0], one.part[1] or (date.min, date.min))):
        days, last = one.part[1], joined[-1].part if joined else None
        if days and last and last[0] == one.part[0] and last[1] and days[0] <= last[1][1] + _DAY:
            both = (last[1][0], max(last[1][1], days[1]))
            joined[-1] = replace(one, part=(one.part[0], both))
        else:
            joined.append(one)
    return joined


def _subtract(days: Days | None, taken: Days | None) -> list[Days | None]:
    """The days that are not taken, as ranges; None stands for a workspace without days."""
    if days is None or taken is None:
        return []
    before = (days[0], min(days[1], taken[0] - _DAY))
    after = (max(days[0], taken[1] + _DAY), days[1])
    return [(first, last) for first, last in (before, after) if first <= last]


def _read_failing(
    instance: dg.DagsterInstance, table: Table, names: Sequence[str]
) -> dict[str, list[Failing]]:
    """What the newest results of a table's checks say is failing, by check.

    Workspaces without a partition (archived, or gone) are left out: no run could make them pass.
    """
    known = set(instance.get_dynamic_partitions(WORKSPACE))
    keys = [dg.AssetCheckKey(dg.AssetKey(table.name), name) for name in names]
    records = instance.event_log_storage.get_asset_check_summary_records(keys)
    failing: dict[str, list[Failing]] = {}
    for key, record in records.items():
        last = record.last_completed_check_execution_record
        shown = last and last.evaluation and last.evaluation.metadata.get(FAILING)
        if isinstance(shown, dg.TableMetadataValue):
            found = [_from_record(row.data) for row in shown.records]
            failing[key.name] = [one for one in found if one.part[0] in known]
    return failing


def _to_record(failing: Failing) -> dict[str, str]:
    workspace_id, days = failing.part
    return {
        "workspace": workspace_id,
        "first_day": str(days[0]) if days else "",
        "last_day": str(days[1]) if days else "",
        "severity": failing.severity.value,
        "run": failing.run_id,
        "reason": failing.reason[:_REASON_LENGTH],
    }


def _from_record(data: Mapping[str, Any]) -> Failing:
    first, last = str(data["first_day"]), str(data["last_day"])
    days = (date.fromisoformat(first), date.fromisoformat(last)) if first else None
    # Results of earlier versions hold no reason.
    reason = str(data.get("reason", ""))
    part = (str(data["workspace"]), days)
    return Failing(part, Severity(data["severity"]), str(data["run"]), reason)


def _result(
    table: Table,
    name: str,
    covered: Sequence[Part],
    failing: Sequence[Failing],
    run_id: str,
    *,
    metadata: Mapping[str, dg.MetadataValue],
    description: str,
) -> dg.AssetCheckResult:
    """A check's result: it passes where nothing fails, neither in the run nor from before it."""
    shown = {"partitions": dg.MetadataValue.text(", ".join(map(describe, covered))), **metadata}
    if failing:
        shown[FAILING] = table_metadata(pl.DataFrame([_to_record(one) for one in failing]))
    earlier = [_describe_failing(one) for one in failing if one.run_id != run_id]
    if earlier:
        more = f" and {len(earlier) - _SHOWN} more" if len(earlier) > _SHOWN else ""
        listed = ", ".join(earlier[:_SHOWN])
        description = f"this run: {description}; failing since earlier runs: {listed}{more}"
    is_warning = bool(failing) and all(one.severity is Severity.WARN for one in failing)
    return dg.AssetCheckResult(
        asset_key=table.name,
        check_name=name,
        passed=not failing,
        severity=Severity.WARN if is_warning else Severity.ERROR,
        description=description,
        metadata=shown,
    )


def _describe_failing(failing: Failing) -> str:
    reason = failing.reason[:_REASON_LENGTH]
    return f"{describe(failing.part)} ({reason})" if reason else describe(failing.part)


def _show_cases(result: CheckResult) -> dict[str, Any]:
    metadata: dict[str, dg.MetadataValue] = {}
    if not result.passed:
        metadata["failing cases"] = dg.MetadataValue.int(result.cases.height)
        metadata["first cases"] = table_metadata(result.cases.head(_MAX_CASES))
    return {"metadata": metadata, "description": result.summary}


def _show_failed_targets(log: pl.DataFrame) -> dict[str, Any]:
    text = summarize_failed_targets(log)
    if text is None:
        return {"metadata": {}, "description": "passed"}
    metadata = {
        FAILED_TARGETS: dg.MetadataValue.text(text),
        "reasons": table_metadata(find_failed_targets(log).head(_MAX_CASES)),
    }
    return {"metadata": metadata, "description": text}


def _list_finders(
    table: Table, watches: Sequence[Watch]
) -> list[tuple[str, str, Callable[[pl.DataFrame], pl.DataFrame]]]:
    """Each check of values: its name, what it calls its findings, and how it finds them."""
    finders = [(watch.name, "to look at", watch.find) for watch in watches]
    if any(column.expected for column in table.columns):

        def find_outside(rows: pl.DataFrame) -> pl.DataFrame:
            return flag_ranges(rows, table.columns).filter(pl.col("outside") > 0)

        finders.insert(0, (RANGES, "outside", find_outside))
    return finders


def table_metadata(frame: pl.DataFrame) -> dg.MetadataValue:
    """A frame as a table in the UI; every cell as text."""
    text = frame.select(pl.all().cast(pl.String).fill_null("null"))
    records = [dg.TableRecord(dict(row)) for row in text.iter_rows(named=True)]
    columns = [dg.TableColumn(name, "string") for name in text.columns]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))
