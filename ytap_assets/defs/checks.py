"""The asset checks of every table, made from its declaration by one factory.

``schema``, ``key`` and ``partition`` check the structure; if one fails, nothing was written.
``ranges`` checks values: it warns, and the rows remain. So do the watches of a table's asset.
``answered``, of collected tables, lists the targets that did not answer.

A check fails as long as the newest result of any partition is a failure, whichever partitions the
last run covered (ADR 0021). The failures are a table in the metadata of each result, from which the
next run's result is made.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from ytap_assets.defs.partitions import WORKSPACE
from ytap_assets.defs.run_events import split_days
from ytap_assets.domain.coverage import (
    find_failed_targets,
    split_failed_days,
    summarize_failed_targets,
)
from ytap_assets.domain.plausibility import flag_ranges
from ytap_assets.lakehouse.checks import CHECKS, CheckName, CheckResult, PublishRefusedError, Scope
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations.collect import NothingCollectedError
from ytap_assets.operations.platform import Results, Written
from ytap_assets.tables import Table

RANGES = "ranges"
ANSWERED = "answered"
FAILED_TARGETS = "failed targets"
FAILING = "failing partitions"
Severity = dg.AssetCheckSeverity
_MAX_CASES = 50
_SHOWN = 5
_REASON_LENGTH = 200
_DAY = timedelta(days=1)
_NO_DAYS = (date.min, date.min)


@dataclass(frozen=True)
class Watch:
    """A custom check of one table, with severity warning.

    Attributes:
        name: The check's name.
        description: The condition under which it passes.
        find: From the rows that were written, returns those that need attention, in any columns.
    """

    name: str
    description: str
    find: Callable[[pl.DataFrame], pl.DataFrame]


@dataclass(frozen=True)
class Failing:
    """A part whose newest result of a check is a failure, the run that found it, and the reason."""

    part: Scope
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
        texts: The description of each structural check.
        watches: What the table is watched for besides.
        is_collected: Whether its rows are fetched from sources.
    """
    # The UI shows "non-blocking" beside them.
    refused = (
        " If it fails, the rows of the workspace are not published." if texts is CHECKS else ""
    )
    described: dict[str, str] = {str(name): text + refused for name, text in texts.items()}
    if any(column.expected for column in table.columns):
        described[RANGES] = (
            "Values are within the expected range. Values outside it are kept and shown."
        )
    if is_collected:
        described[ANSWERED] = (
            "Every fetched target responded. If some targets did not respond, the check warns. If"
            " none responded, nothing is collected and the run fails."
        )
    described |= {watch.name: watch.description for watch in watches}
    return [
        dg.AssetCheckSpec(name=name, asset=table.name, description=text)
        for name, text in described.items()
    ]


@dataclass
class _Outcome:
    """What a run found with one check.

    Attributes:
        judged: The slices.
        covered: What of them was looked at, so that earlier failures of it no longer count.
        failing: The parts that failed, with severity and reason.
        cases: The first failing cases, of all parts.
        count: How many failing cases there are.
    """

    judged: list[Scope] = field(default_factory=list)
    covered: list[Scope] = field(default_factory=list)
    failing: list[tuple[Scope, dg.AssetCheckSeverity, str]] = field(default_factory=list)
    cases: list[pl.DataFrame] = field(default_factory=list)
    count: int = 0

    def fail(
        self, part: Scope, severity: dg.AssetCheckSeverity, reason: str, cases: pl.DataFrame
    ) -> None:
        """Note a part that failed; cases are kept up to a number."""
        self.failing.append((part, severity, reason))
        self.count += cases.height
        if sum(frame.height for frame in self.cases) < _MAX_CASES:
            self.cases.append(cases.head(_MAX_CASES))


class Evaluation:
    """The checks of one table in one run, over all its batches.

    Rows are judged batch by batch and not kept.
    """

    def __init__(
        self, table: Table, watches: Sequence[Watch] = (), *, is_collected: bool = False
    ) -> None:
        """Take what is checked.

        Args:
            table: The table.
            watches: What the table is watched for besides.
            is_collected: Whether its rows are fetched from sources.
        """
        self._table = table
        self._is_collected = is_collected
        self._finders = _list_finders(table, watches)
        specs = check_specs(table, watches=watches, is_collected=is_collected)
        self._outcomes = {spec.name: _Outcome() for spec in specs}
        self._logs: list[pl.DataFrame] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing was judged."""
        return not any(outcome.judged for outcome in self._outcomes.values())

    def add(self, results: Results) -> None:
        """Judge what became of the slices of a batch."""
        for scope, one in results.items():
            if isinstance(one, Written | PublishRefusedError):
                self._add_structure(scope, one.results)
            if self._is_collected and isinstance(one, Written | NothingCollectedError):
                self._add_answers(scope, one)
        written = {scope: one for scope, one in results.items() if isinstance(one, Written)}
        if not written:
            return
        rows = pl.concat([self._table.empty(), *(one.frame for one in written.values())])
        for name, heading, find in self._finders:
            outcome = self._outcomes[name]
            outcome.judged += written
            outcome.covered += written
            # Whose rows these are is looked for only where there are some.
            if find(rows).is_empty():
                continue
            for scope, one in written.items():
                for part, own in split_days(self._table, scope, one.frame).items():
                    cases = find(own)
                    if cases.height:
                        reason = f"{cases.height} {heading}"
                        outcome.fail(part, Severity.WARN, reason, cases)

    def results(self, instance: dg.DagsterInstance, run_id: str) -> list[dg.AssetCheckEvaluation]:
        """One result per check, for the run's partitions and those that failed in earlier runs.

        Args:
            instance: The instance with the results of earlier runs.
            run_id: The run.
        """
        judged = {name: outcome for name, outcome in self._outcomes.items() if outcome.judged}
        before = _read_failing(instance, self._table, list(judged))
        latest = instance.fetch_materializations(dg.AssetKey(self._table.name), limit=1).records
        target = [
            AssetCheckEvaluationTargetMaterializationData(
                storage_id=one.storage_id, run_id=one.run_id, timestamp=one.timestamp
            )
            for one in latest
        ]
        return [
            self._result(name, before.get(name, []), run_id, target[0] if target else None)
            for name in judged
        ]

    def _add_structure(self, scope: Scope, results: Iterable[CheckResult]) -> None:
        for result in results:
            outcome = self._outcomes[result.name]
            outcome.judged.append(scope)
            outcome.covered.append(scope)
            if not result.passed:
                outcome.fail(scope, Severity.ERROR, result.summary, result.cases)

    def _add_answers(self, scope: Scope, one: Written | NothingCollectedError) -> None:
        outcome = self._outcomes[ANSWERED]
        outcome.judged.append(scope)
        # A day on which nothing was asked says nothing of an earlier failure.
        days = one.log.get_column("day").unique().to_list()
        outcome.covered += [Scope(scope.workspace_id, day, day) for day in days]
        self._logs.append(one.log)
        severity = Severity.ERROR if isinstance(one, NothingCollectedError) else Severity.WARN
        for part, reason in list_unanswered(scope, one.log).items():
            outcome.fail(part, severity, reason, one.log.clear())

    def _result(
        self,
        name: str,
        before: Sequence[Failing],
        run_id: str,
        target: AssetCheckEvaluationTargetMaterializationData | None,
    ) -> dg.AssetCheckEvaluation:
        outcome = self._outcomes[name]
        found = [Failing(part, severity, run_id, why) for part, severity, why in outcome.failing]
        failing = update_failing(before, outcome.covered, found)
        description, metadata = self._show(name, outcome)
        shown = {"partitions": dg.MetadataValue.text(_list_some(outcome.judged)), **metadata}
        if failing:
            shown[FAILING] = table_metadata(pl.DataFrame([_to_record(one) for one in failing]))
        earlier = [_describe_failing(one) for one in failing if one.run_id != run_id]
        if earlier:
            more = f" and {len(earlier) - _SHOWN} more" if len(earlier) > _SHOWN else ""
            listed = ", ".join(earlier[:_SHOWN])
            description = f"this run: {description}; failing since earlier runs: {listed}{more}"
        is_warning = bool(failing) and all(one.severity is Severity.WARN for one in failing)
        return dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(self._table.name),
            check_name=name,
            passed=not failing,
            severity=Severity.WARN if is_warning else Severity.ERROR,
            description=description,
            metadata=shown,
            target_materialization_data=target,
            blocking=False,
        )

    def _show(self, name: str, outcome: _Outcome) -> tuple[str, dict[str, dg.MetadataValue]]:
        """What a run found with a check, in words and as metadata."""
        if not outcome.failing:
            return "passed", {}
        if name == ANSWERED:
            log = pl.concat(self._logs)
            text = summarize_failed_targets(log) or ""
            reasons = table_metadata(find_failed_targets(log).head(_MAX_CASES))
            return text, {FAILED_TARGETS: dg.MetadataValue.text(text), "reasons": reasons}
        cases = table_metadata(pl.concat(outcome.cases).head(_MAX_CASES))
        headings = {finder: heading for finder, heading, _ in self._finders}
        if name in headings:
            return f"{outcome.count} {headings[name]}", {headings[name]: cases}
        first = outcome.failing[0][2]
        more = len(outcome.failing) - 1
        return (
            f"{first}, and {more} more slices" if more else first,
            {"failing cases": dg.MetadataValue.int(outcome.count), "first cases": cases},
        )


def list_unanswered(scope: Scope, log: pl.DataFrame) -> dict[Scope, str]:
    """The days of a slice on which targets did not answer, each with the reasons.

    Args:
        scope: The slice.
        log: Its rows of ``collection_log``.
    """
    return {
        Scope(scope.workspace_id, day, day): summarize_failed_targets(own) or ""
        for day, own in split_failed_days(log).items()
    }


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


def update_failing(
    before: Sequence[Failing], covered: Collection[Scope], found: Sequence[Failing]
) -> list[Failing]:
    """What fails after a run: what failed before and was not covered, and what fails now.

    Args:
        before: What failed before the run.
        covered: What the run judged.
        found: What it found failing, within what it covered.

    Returns:
        Parts in order. Neighbouring days of a workspace with the same severity are one part, which
        names the run and has the reason of its last days.
    """
    taken: dict[str, list[Days | None]] = {}
    for scope in covered:
        taken.setdefault(scope.workspace_id, []).append(scope.days)
    left = list(found)
    for one in before:
        rest = [one.part.days]
        for gone in taken.get(one.part.workspace_id, []):
            rest = [piece for range_ in rest for piece in _subtract(range_, gone)]
        left += [replace(one, part=Scope(one.part.workspace_id, *(piece or ()))) for piece in rest]
    joined: list[Failing] = []
    for one in sorted(left, key=lambda one: (one.part.workspace_id, one.part.days or _NO_DAYS)):
        last = joined[-1] if joined else None
        if last is not None and last.severity is one.severity and _is_next(last.part, one.part):
            end = max(last.part.last_day or date.min, one.part.last_day or date.min)
            joined[-1] = replace(one, part=Scope(one.part.workspace_id, last.part.first_day, end))
        else:
            joined.append(one)
    return joined


def _is_next(one: Scope, other: Scope) -> bool:
    """Whether a part begins at the latest where the one before it ends."""
    if one.last_day is None or other.first_day is None:
        return False
    return one.workspace_id == other.workspace_id and other.first_day <= one.last_day + _DAY


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
            failing[key.name] = [one for one in found if one.part.workspace_id in known]
    return failing


def _to_record(failing: Failing) -> dict[str, str]:
    return {
        "workspace": failing.part.workspace_id,
        "first_day": str(failing.part.first_day or ""),
        "last_day": str(failing.part.last_day or ""),
        "severity": failing.severity.value,
        "run": failing.run_id,
        "reason": failing.reason[:_REASON_LENGTH],
    }


def _from_record(data: Mapping[str, Any]) -> Failing:
    first, last = str(data["first_day"]), str(data["last_day"])
    days = (date.fromisoformat(first), date.fromisoformat(last)) if first else None
    # Results of earlier versions hold no reason.
    reason = str(data.get("reason", ""))
    part = Scope(str(data["workspace"]), *(days or ()))
    return Failing(part, Severity(data["severity"]), str(data["run"]), reason)


def _list_some(scopes: Sequence[Scope]) -> str:
    more = f" and {len(scopes) - _MAX_CASES} more" if len(scopes) > _MAX_CASES else ""
    return ", ".join(map(str, scopes[:_MAX_CASES])) + more


def _describe_failing(failing: Failing) -> str:
    reason = failing.reason[:_REASON_LENGTH]
    return f"{failing.part} ({reason})" if reason else str(failing.part)


def _show_cases(result: CheckResult) -> dict[str, Any]:
    metadata: dict[str, dg.MetadataValue] = {}
    if not result.passed:
        metadata["failing cases"] = dg.MetadataValue.int(result.cases.height)
        metadata["first cases"] = table_metadata(result.cases.head(_MAX_CASES))
    return {"metadata": metadata, "description": result.summary}


def _list_finders(
    table: Table, watches: Sequence[Watch]
) -> list[tuple[str, str, Callable[[pl.DataFrame], pl.DataFrame]]]:
    """Each check of values: its name, the name of its findings, and its function."""
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
