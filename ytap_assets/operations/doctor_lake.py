"""The lake's check-up: what is stale, what is broken, and of which version it is.

A table is stale where its newest row is older than twice its cadence (one turn was missed), and
dead at twelve times it, where the score of timeliness reaches 0. Tables whose rows have no cadence
(production, quarantine) are not judged by age.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import polars as pl

from ytap_assets.domain.plausibility import (
    MIN_UNRESPONSIVE_DAYS,
    SKEW,
    doubt_clock,
    find_unresponsive_targets,
)
from ytap_assets.lakehouse.catalog import check_files, check_integrity, read_catalog
from ytap_assets.lakehouse.connection import is_made_by_itself, require_catalog
from ytap_assets.lakehouse.copies import find_newer_copy, list_copies
from ytap_assets.lakehouse.errors import LakeError, LakeMissingError
from ytap_assets.lakehouse.inspection import Age, Inspection, LakeFacts, inspect_lake
from ytap_assets.operations.findings import Finding, Verdict, count, span
from ytap_assets.operations.registries import find_conflicts
from ytap_assets.operations.workspaces import Listed, Survey, compare_workspaces
from ytap_assets.settings import Settings
from ytap_assets.tables import (
    COLLECTION_LOG,
    QUARANTINED_ROWS,
    SCORED_TRENDS,
    TABLES,
    TREND_STORIES,
    Table,
)
from ytap_assets.workspaces import Workspaces

_LOST = ("transient_error", "permanent_error", "quota_exhausted", "malformed", "too_large")
_RECENT = timedelta(hours=24)
_LATE, _DEAD = 2, 12
_SHOWN = 3
_TOMORROW = timedelta(days=1)
_LOOKED_BACK, _STILL_ASKED = timedelta(days=30), timedelta(days=2)
_RANKED = timedelta(days=92)
"""How far back ranks are compared with their stories, so that the check-up reads no more."""
_MOST_LISTED = 10
_OPTIONAL = "metrics"  # a workspace that published nothing has none


def examine_lake(
    settings: Settings, listed: Sequence[Listed], now: datetime, clock: datetime
) -> list[Finding]:
    """Check the lake up, reading only; a lake that cannot be read is a finding too."""
    try:
        require_catalog(settings)
        check_integrity(settings.catalog)
        check_files(read_catalog(settings.catalog), settings)
        newer = find_newer_copy(settings, list_copies(settings), settings.catalog)
        with inspect_lake(settings) as inspection:
            facts = inspection.facts(TABLES)
            ages = inspection.ages(TABLES.values())
            survey = compare_workspaces(inspection, Workspaces(settings), ages)
            conflicts = _find_conflicts(survey, listed)
            usable = [one for one in listed if one.workspace_id not in conflicts]
            findings = [
                *_check_facts(settings, facts),
                *_check_history(newer),
                *_check_identities(survey, conflicts),
                *_check_clock(inspection.commit_times(), clock),
                *_check_future(ages, now),
                *_check_ages(ages, usable, now),
                *_check_inlined(inspection),
            ]
            if not facts.pending and facts.conflict is None:
                findings += [*_check_fetches(inspection, now), *_check_targets(inspection, now)]
                findings += _check_ranks(inspection, now)
            return findings
    except LakeMissingError as error:
        survey = Survey({}, ())
        identities = _check_identities(survey, _find_conflicts(survey, listed))
        verdict: Verdict = "warn" if is_made_by_itself(settings) else "fail"
        return [Finding("setup", "lake", verdict, str(error)), *identities]
    except LakeError as error:
        return [Finding("health", "lake", "fail", str(error))]


def judge_age(table: Table, age: timedelta) -> Verdict:
    """The verdict on a table, by the age of its newest row."""
    cadence = timedelta(minutes=table.cadence_minutes)
    if age <= _LATE * cadence:
        return "ok"
    return "warn" if age <= _DEAD * cadence else "fail"


def _check_facts(settings: Settings, facts: LakeFacts) -> Iterator[Finding]:
    size = (
        f"{count(facts.files, 'file')}, {facts.size_bytes / 10**6:.1f} MB,"
        f" {count(facts.snapshots, 'snapshot')}"
    )
    yield Finding("setup", "lake", "ok", f"{settings.catalog}: {size}")
    made = f"DuckLake {facts.format_version}, made by {facts.created_by}"
    yield Finding("versions", "catalog", "ok", made)
    if facts.conflict is not None:
        yield Finding("health", "lake schema", "fail", facts.conflict)
    elif facts.pending:
        detail = (
            f"changes due: {len(facts.pending)}; `ytap lake upgrade --dry-run` shows them; the next"
            " command that opens the lake makes them, also one that only reads, other than `ytap"
            " sql`, `shell`, `summary` and `doctor`"
        )
        yield Finding("health", "lake schema", "warn", detail)
    else:
        yield Finding("health", "lake schema", "ok", "as declared")


def _check_history(newer: str | None) -> Iterator[Finding]:
    """The catalog against the copies: none has commits that it lacks."""
    if newer is None:
        yield Finding("health", "history", "ok", "no copy has commits that the catalog lacks")
    else:
        detail = f"{newer}; until then, maintenance deletes nothing"
        yield Finding("health", "history", "fail", detail)


def _check_clock(commits: Sequence[datetime], clock: datetime) -> Iterator[Finding]:
    """The machine's clock against the lake's commits, and commits of the future."""
    if (reason := doubt_clock(commits, clock)) is not None:
        detail = f"{reason}: set it right; until it is plausible, maintenance deletes nothing"
        yield Finding("health", "clock", "fail", detail)
    else:
        yield Finding("health", "clock", "ok", "plausible against the lake's commits")
    if ahead := [at for at in commits if at > clock + SKEW]:
        detail = (
            f"{len(ahead)} of {len(commits)} snapshots are dated after the present, up to"
            f" {max(ahead):%Y-%m-%d %H:%M} UTC: a clock was ahead when they were made; they are"
            " readable until then"
        )
        yield Finding("health", "snapshots", "warn", detail)


def _check_future(ages: Sequence[Age], now: datetime) -> Iterator[Finding]:
    """Rows of days to come, which a collection under a clock that was ahead wrote."""
    ahead = [one for one in ages if one.newest_at and one.newest_at > now + _TOMORROW]
    if ahead:
        first = max(ahead, key=lambda one: one.newest_at or now)
        names = sorted({f"{one.table} of {one.workspace_id}" for one in ahead})
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        detail = (
            f"{', '.join(names[:_SHOWN])}{more} have rows dated after the present, up to"
            f" {first.newest_at:%Y-%m-%d}: a clock was ahead when they were made"
        )
        yield Finding("health", "rows", "warn", detail)


def _find_conflicts(survey: Survey, listed: Sequence[Listed]) -> dict[str, str]:
    workspaces = [one.workspace for one in listed if one.workspace]
    return find_conflicts(workspaces, survey.registered)


def _check_identities(survey: Survey, conflicts: Mapping[str, str]) -> Iterator[Finding]:
    """Folders that were renamed, copied or replaced, and rows whose name no folder has."""
    for name, why in conflicts.items():
        yield Finding("setup", f"identity of {name}", "fail", why)
    for orphan in survey.orphans:
        yield Finding("setup", f"rows of {orphan.workspace_id}", "warn", str(orphan))


def _check_inlined(inspection: Inspection) -> Iterator[Finding]:
    if counts := inspection.inlined_rows():
        tables = ", ".join(f"{table} ({count})" for table, count in counts.items())
        detail = (
            f"{tables}: rows in the catalog that no file holds, written by a program with options"
            " of its own; they are read and copied like others, and docs/ducklake.md says how to"
            " move them into files"
        )
        yield Finding("health", "inlined rows", "warn", detail)


def _check_ages(ages: Sequence[Age], listed: Sequence[Listed], now: datetime) -> Iterator[Finding]:
    """One finding per table, naming the workspaces that are behind."""
    collecting = {one.workspace_id for one in listed if one.workspace and one.workspace.collects}
    for table in filter(_is_regular, TABLES.values()):
        known = {age.workspace_id: age for age in ages if age.table == table.name}
        behind: list[str] = []
        verdicts: set[Verdict] = {"ok"}
        for workspace_id in sorted(collecting & known.keys()):
            newest = known[workspace_id].newest_at
            if newest is not None and (verdict := judge_age(table, now - newest)) != "ok":
                verdicts.add(verdict)
                behind.append(f"{workspace_id} {span((now - newest).total_seconds())}")
        for workspace_id in sorted(collecting - known.keys()) if table.group != _OPTIONAL else ():
            verdicts.add("warn")
            behind.append(f"{workspace_id} has none")
        yield Finding(
            "freshness", table.name, _worst(verdicts), _describe_ages(table, behind, known)
        )


def _is_regular(table: Table) -> bool:
    """Whether rows of the table are due at regular times."""
    return table.by_day and (table.group != "evidence" or table is COLLECTION_LOG)


def _describe_ages(table: Table, behind: Sequence[str], known: dict[str, Age]) -> str:
    due = f"due every {span(table.cadence_minutes * 60)}"
    if behind:
        return f"{due}; behind: {', '.join(behind)}"
    rows = sum(age.rows for age in known.values())
    return f"{due}; {count(rows, 'row')} in {count(len(known), 'workspace')}"


def _check_fetches(inspection: Inspection, now: datetime) -> Iterator[Finding]:
    since = now - _RECENT
    asked = ["workspace_id", "source", "target", "outcome"]
    log = inspection.recent(COLLECTION_LOG, "finished_at", since, asked)
    lost = log.filter(pl.col("outcome").is_in(_LOST))
    counted = f"{lost.height} of {log.height} failed in 24 h"
    yield Finding("health", "fetches", "warn" if lost.height else "ok", counted + _first(lost))
    aside = inspection.recent(QUARANTINED_ROWS, "quarantined_at", since, ["source", "reason"])
    reasons = aside.group_by("source", "reason").len().sort("len", descending=True)
    shown = "".join(
        f"; {count} x {source}: {reason}" for source, reason, count in reasons.head(_SHOWN).rows()
    )
    detail = f"{aside.height} quarantined in 24 h{shown}"
    yield Finding("health", "quarantined rows", "warn" if aside.height else "ok", detail)


def _check_targets(inspection: Inspection, now: datetime) -> Iterator[Finding]:
    """Targets that have not answered for days, such as a channel that is gone."""
    names = ("workspace_id", "source", "target", "outcome", "detail", "http_status")
    log = inspection.recent(COLLECTION_LOG, "started_at", now - _LOOKED_BACK, names)
    unresponsive = find_unresponsive_targets(log, asked_since=(now - _STILL_ASKED).date())
    if unresponsive.is_empty():
        yield Finding(
            "freshness", "targets", "ok", f"all responded within {MIN_UNRESPONSIVE_DAYS} days"
        )
    for row in unresponsive.head(_MOST_LISTED).iter_rows(named=True):
        subject = f"{row['source']} {row['target']} of {row['workspace_id']}"
        detail = (
            f"no answer on {count(row['days'], 'day')}, since {row['since']}; the last:"
            f" {row['detail']}; mend or pause it in config.yaml"
        )
        yield Finding("freshness", subject, "warn", detail)
    if unresponsive.height > _MOST_LISTED:
        more = unresponsive.height - _MOST_LISTED
        detail = f"{more} more {'give' if more > 1 else 'gives'} no answer; collection_log has them"
        yield Finding("freshness", "targets", "warn", detail)


def _check_ranks(inspection: Inspection, now: datetime) -> Iterator[Finding]:
    """Lists that were ranked before their stories were grouped again, or were not ranked at all."""
    since = (now - _RANKED).date()
    days = inspection.differing_days(TREND_STORIES, SCORED_TRENDS, "story_id", since=since)
    behind = days.group_by("workspace_id", maintain_order=True).agg("day")
    if behind.is_empty():
        yield Finding("freshness", "ranks", "ok", "every list holds its day's stories")
    for workspace_id, theirs in behind.head(_MOST_LISTED).rows():
        command = (
            f"`ytap materialize 'key:scored_trends+' -w {workspace_id} --from {min(theirs)}"
            f" --to {max(theirs)}`"
        )
        detail = (
            f"{count(len(theirs), 'day')} of {workspace_id} not ranked since their stories were"
            f" grouped: {command}"
        )
        yield Finding("freshness", f"ranks of {workspace_id}", "warn", detail)
    if behind.height > _MOST_LISTED:
        more = behind.height - _MOST_LISTED
        detail = f"{more} more {'workspaces have' if more > 1 else 'workspace has'} such days"
        yield Finding("freshness", "ranks", "warn", detail)


def _first(lost: pl.DataFrame) -> str:
    """The last failures, in words."""
    rows = lost.head(_SHOWN).iter_rows(named=True)
    return "".join(
        f"; {row['workspace_id']} {row['source']} {row['target']}: {row['outcome']}" for row in rows
    )


def _worst(verdicts: set[Verdict]) -> Verdict:
    return "fail" if "fail" in verdicts else "warn" if "warn" in verdicts else "ok"
