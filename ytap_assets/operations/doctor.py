"""A check-up of the installation: its setup, sources, freshness, health and versions.

Belongs here: one function for each thing looked at, which yields a `Finding` that says how it
stands and what to do. Does not belong here: changing anything: a check-up leaves all as it was.

A table is stale where its newest row is older than twice its cadence (one turn was missed), and
dead at twelve times it, where the score of timeliness reaches 0. Tables whose rows have no cadence
(production, quarantine) are not judged by age.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal, get_args

import httpx
import polars as pl

from ytap_assets.config_keys import find_nearest
from ytap_assets.domain.phrases import is_listing
from ytap_assets.domain.plausibility import (
    MIN_UNRESPONSIVE_DAYS,
    SKEW,
    doubt_clock,
    find_unresponsive_targets,
)
from ytap_assets.domain.production.events import IN_PRODUCTION
from ytap_assets.domain.production.history import WAIT_COLUMNS, describe_waits, summarize_waits
from ytap_assets.domain.source_profiles import BUCKETS, next_quota_reset
from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.file_store import find_store
from ytap_assets.lakehouse.catalog import check_files, check_place
from ytap_assets.lakehouse.connection import (
    find_catalog,
    find_files,
    is_made_by_itself,
    require_catalog,
)
from ytap_assets.lakehouse.copies import Copy, find_newer_copy, list_copies, newest_good
from ytap_assets.lakehouse.errors import LakeError, LakeMissingError, can_write
from ytap_assets.lakehouse.inspection import (
    Age,
    Inspection,
    LakeFacts,
    duckdb_version,
    inspect_lake,
    missing_extensions,
)
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    SCRIPTS,
    UPLOADS,
    find_upload_problems,
)
from ytap_assets.operations.inboxes import inspect_inboxes
from ytap_assets.operations.maintenance import Attempt, Drill, last_attempt, last_drill
from ytap_assets.operations.production_inputs import workspace_rules
from ytap_assets.operations.pushed_files import PushedWorkspaces, open_workspaces
from ytap_assets.operations.registries import find_conflicts
from ytap_assets.operations.trends import spam_model
from ytap_assets.operations.workspaces import (
    Listed,
    Survey,
    compare_workspaces,
    find_idle_settings,
    list_workspaces,
)
from ytap_assets.reports.files import OVERVIEW
from ytap_assets.settings import VARIABLES, Settings
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.sources.http.exchange import SourceError
from ytap_assets.sources.http.state import open_ledger
from ytap_assets.tables import (
    COLLECTION_LOG,
    PRODUCTION_RECORDS,
    QUARANTINED_ROWS,
    SCORED_TRENDS,
    TABLES,
    TREND_STORIES,
    Table,
)
from ytap_assets.tables.evidence import ANSWERED, NO_RESPONSE, REQUEST_FAILED
from ytap_assets.workspaces import Workspace, Workspaces

Area = Literal["setup", "sources", "freshness", "health", "versions"]
AREAS: tuple[Area, ...] = get_args(Area)
Verdict = Literal["ok", "warn", "fail", "not checked"]
Probe = Callable[[str], str | None]

_PROJECT = "ytap-assets"
_PIN = re.compile(r"([A-Za-z0-9_.-]+)==([^\s;,]+)")
_LIBRARIES = ("dagster", "polars", "pandera")
_LITTLE_BYTES, _TOO_LITTLE_BYTES = 2 * 10**9, 2 * 10**8
_PROBE_TIMEOUT_S = 10.0
_RECENT = timedelta(hours=24)
_LATE, _DEAD = 2, 12
_LATE_BACKUP, _LATE_DRILL = timedelta(days=2), timedelta(days=15)
_CLOCKS_DIFFER = timedelta(hours=1)
_SHOWN = 3
_TOMORROW = timedelta(days=1)
_LOOKED_BACK, _STILL_ASKED = timedelta(days=30), timedelta(days=2)
_RANKED = timedelta(days=92)
"""How far back ranks are compared with their stories, so that the check-up reads no more."""
_CATCH_UP = (
    "`ytap ui` collects at regular times; set `status: paused` in the config of a workspace that"
    " has imported history only"
)
_MOST_LISTED = 10
_OPTIONAL = "metrics"  # a workspace that published nothing has none


@dataclass(frozen=True)
class Finding:
    """One result of `ytap doctor`.

    Attributes:
        area: The area of the check.
        subject: What was checked.
        verdict: ``ok``; ``warn``: it works, but needs attention; ``fail``: it does not work;
            ``not checked``: that needs an option.
        detail: The result, and what to do if it is not ``ok``.
    """

    area: Area
    subject: str
    verdict: Verdict
    detail: str


def examine(
    settings: Settings,
    *,
    now: datetime,
    clock: datetime | None = None,
    probe: Probe | None = None,
) -> list[Finding]:
    """Check everything up.

    Args:
        settings: The installation.
        now: The present; ages are counted from it.
        clock: The machine's time, by default. Snapshots are dated by it, also under replay.
        probe: Asks a host, and returns what is wrong with it; None leaves the network alone.
    """
    try:
        workspaces = open_workspaces(settings)
    except LakeError:  # what is wrong with the lake is a finding
        workspaces = PushedWorkspaces(settings, dict)
    listed = list_workspaces(workspaces)
    findings = [
        *_check_workspaces(listed),
        *_check_sources(listed),
        *_check_models(settings, listed),
        *_check_phrases(listed),
        *_check_inboxes(settings, workspaces, listed, now),
        *_check_waits(settings, listed, now),
        *_check_secrets(settings, listed),
        *_check_variables(settings),
        _check_transport(settings),
        *_check_reach(settings, probe),
        *_check_quotas(settings, now),
        *examine_lake(settings, workspaces, listed, now, clock or datetime.now(UTC)),
        *examine_backups(settings),
        _check_disk(settings),
        _check_writing(settings),
        *_check_store(settings),
        _check_lock(settings),
        *_check_pins(settings),
        *_check_libraries(),
    ]
    return sorted(findings, key=lambda finding: AREAS.index(finding.area))


def probe_host(host: str, *, transport: httpx.BaseTransport | None = None) -> str | None:
    """Ask a host for anything: whatever it answers, it is reachable.

    Returns:
        What is wrong, or None.
    """
    try:
        with httpx.Client(transport=transport, timeout=_PROBE_TIMEOUT_S, trust_env=False) as http:
            http.head(f"https://{host}/")
    except httpx.TransportError as error:
        return f"{type(error).__name__}: {error}"
    return None


def _check_workspaces(listed: Sequence[Listed]) -> Iterator[Finding]:
    for one in listed:
        subject = f"workspace {one.workspace_id}"
        if one.workspace is None:
            yield Finding("setup", subject, "fail", one.problem or "cannot be read")
        else:
            collects = "collects" if one.workspace.collects else "does not collect"
            yield Finding("setup", subject, "ok", f"{one.workspace.status}, {collects}")
            if one.workspace.uid is None:
                detail = (
                    "the config has no uid, so a renamed or copied folder is not detected; add one"
                    f" with `ytap workspace identify {one.workspace_id}`"
                )
                yield Finding("setup", f"uid of {one.workspace_id}", "warn", detail)
            for key, why in find_idle_settings(one.workspace):
                yield Finding("setup", f"{key} of {one.workspace_id}", "warn", why)


def _check_models(settings: Settings, listed: Sequence[Listed]) -> Iterator[Finding]:
    """Spam models in configs; each is read once."""
    users: dict[str, list[Workspace]] = {}
    for workspace in (one.workspace for one in listed if one.workspace is not None):
        if workspace.spam.model is not None:
            users.setdefault(workspace.spam.model, []).append(workspace)
    for name, named_by in sorted(users.items()):
        subject = f"spam model {name}"
        named = f"used by {count(len(named_by), 'workspace')}"
        try:
            spam_model(settings, named_by[0])
        except ConfigError as error:
            detail = f"{error}; {named}, whose days cannot be scored"
            yield Finding("setup", subject, "fail", detail)
        else:
            yield Finding("setup", subject, "ok", f"can be read; {named}")


def _check_sources(listed: Sequence[Listed]) -> Iterator[Finding]:
    """Targets that a source refuses, and weights of sources that do not exist."""
    known = {source.name for source in CATALOG.trends}
    for workspace in (one.workspace for one in listed if one.workspace is not None):
        for source in CATALOG.trends:
            try:
                source.targets(workspace)
            except ConfigError as error:
                subject = f"source {source.name} of {workspace.workspace_id}"
                yield Finding("setup", subject, "fail", str(error))
        for name in sorted(workspace.scoring.source_weights.keys() - known):
            detail = f"{name!r} is not a source; the sources are {', '.join(sorted(known))}"
            subject = f"scoring.source_weights of {workspace.workspace_id}"
            yield Finding("setup", subject, "warn", detail)


def _check_phrases(listed: Sequence[Listed]) -> Iterator[Finding]:
    """Phrases that are probably lists: they match only including their commas."""
    for workspace in (one.workspace for one in listed if one.workspace is not None):
        lists = {
            "keywords": workspace.keywords,
            "brand.banned_topics": workspace.brand.banned_topics,
            "spam.blocklist": workspace.spam.blocklist,
            "spam.allowlist": workspace.spam.allowlist,
        }
        for key, phrases in lists.items():
            listing = next(filter(is_listing, phrases), None)
            if listing is not None:
                detail = (
                    f"{listing!r} is one phrase and matches only with its commas; list each phrase"
                    " as an entry of its own"
                )
                yield Finding("setup", f"{key} of {workspace.workspace_id}", "warn", detail)


def _check_inboxes(
    settings: Settings, workspaces: Workspaces, listed: Sequence[Listed], now: datetime
) -> Iterator[Finding]:
    """Inbox files and lines that cannot be read, decisions dated ahead, doubtful uploads."""
    states = inspect_inboxes(settings, workspaces, now)
    if states is None:  # what is wrong with the lake is another finding
        return
    are_well = True
    configs = {one.workspace_id: one.workspace for one in listed}
    for workspace_id, state in states.items():
        config = configs.get(workspace_id)
        submitted = {row.script_id for row in state.files[SCRIPTS].parsed.rows}
        problems = (
            find_upload_problems(state.uploads, config, state.states, submitted, now)
            if config
            else ()
        )
        for problem in problems:
            are_well = False
            yield Finding("health", f"inbox {workspace_id}/{UPLOADS}", "warn", problem)
        for name, file in state.files.items():
            subject = f"inbox {workspace_id}/{name}"
            for problem in file.find_problems():
                are_well = False
                yield Finding("health", subject, "fail" if file.problem else "warn", problem)
            if last := file.last_bad:
                are_well = False
                detail = (
                    f"lines that cannot be read: {file.opened.cursor.bad + len(file.parsed.bad)},"
                    f" the last: {last[-1]}; `ytap script list -w {workspace_id}` shows them"
                )
                yield Finding("health", subject, "warn", detail)
        if state.ahead:
            are_well = False
            detail = (
                f"decisions with a date in the future (it is {now:%Y-%m-%d %H:%M} UTC):"
                f" {state.ahead}; `ytap script list -w {workspace_id}` shows them"
            )
            yield Finding("health", f"inbox {workspace_id}/{APPROVALS}", "warn", detail)
    if are_well:
        yield Finding("health", "inboxes", "ok", "all lines can be read")


def _check_waits(settings: Settings, listed: Sequence[Listed], now: datetime) -> Iterator[Finding]:
    """Scripts that are in a state for longer than their workspace's limit."""
    rules = {
        one.workspace_id: workspace_rules(one.workspace)
        for one in listed
        if one.workspace is not None and not one.workspace.is_archived
    }
    try:
        with inspect_lake(settings) as inspection:
            if not inspection.has(PRODUCTION_RECORDS):
                return
            records = inspection.cross_reader().read_across(
                PRODUCTION_RECORDS,
                columns=WAIT_COLUMNS,
                wanted={"workspace_id": list(rules), "state": IN_PRODUCTION},
            )
    except LakeError:  # that is another finding
        return
    waits = describe_waits(records, rules, now)
    stuck = summarize_waits(waits).filter(pl.col("stuck") > 0)
    for (name,), own in stuck.partition_by("workspace_id", as_dict=True).items():
        states = ", ".join(
            f"{row['stuck']} in {row['state']} (limit {row['max_hours']:g} h, longest"
            f" {row['oldest_hours']:,.0f} h)"
            for row in own.iter_rows(named=True)
        )
        detail = (
            f"in a state for longer than production.max_hours: {states}; `ytap script stuck -w"
            f" {name}` lists them and what they wait for"
        )
        yield Finding("health", f"scripts of {name}", "warn", detail)
    if stuck.is_empty():
        yield Finding("health", "scripts", "ok", "none is in a state for too long")


def _check_secrets(settings: Settings, listed: Sequence[Listed]) -> Iterator[Finding]:
    """Secrets by name; their values are never looked at."""
    missing: Verdict = "ok" if settings.transport == "replay" else "warn"
    losses: dict[str, list[str]] = {}
    for source in CATALOG.sources:
        for name, loss in source.losses.items():
            losses.setdefault(name, []).append(loss)
    for name, lost in losses.items():
        subject = f"secret YTAP_SECRET_{name}"
        if settings.secret(name):
            yield Finding("setup", subject, "ok", "set")
        else:
            yield Finding("setup", subject, missing, f"not set; not collected: {', '.join(lost)}")
    for one in listed:
        for account in one.workspace.accounts if one.workspace else ():
            reference = account.credential_ref
            subject = f"account {account.handle} of {one.workspace_id}"
            if reference is not None and not settings.secrets.get(reference):
                yield Finding("setup", subject, missing, f"{reference} is not set")


def _check_reach(settings: Settings, probe: Probe | None) -> Iterator[Finding]:
    if settings.transport != "live":
        days = settings.recorded_days()
        have = f"{count(len(days), 'day')}, {days[0]} to {days[-1]}" if days else "none"
        verdict: Verdict = "ok" if days or settings.transport == "record" else "fail"
        detail = f"{have}, in {settings.recordings}"
        yield Finding("sources", f"recordings ({settings.transport})", verdict, detail)
    if settings.transport == "replay":
        return
    for host in sorted(CATALOG.hosts):
        if probe is None:
            detail = "`ytap doctor --online` checks whether it responds"
            yield Finding("sources", host, "not checked", detail)
            continue
        problem = probe(host)
        yield Finding("sources", host, "fail" if problem else "ok", problem or "responds")


def _check_variables(settings: Settings) -> Iterator[Finding]:
    """Variables that nothing reads, though they are named like settings."""
    for name in settings.unknown:
        nearest = find_nearest(name, VARIABLES)
        advice = (
            f"did you mean {nearest}?" if nearest else f"the variables are {', '.join(VARIABLES)}"
        )
        yield Finding("setup", f"variable {name}", "warn", f"unknown variable; {advice}")


def _check_transport(settings: Settings) -> Finding:
    differs = settings.remembered not in (None, settings.transport)
    verdict: Verdict = "warn" if differs else "ok"
    return Finding("setup", "transport", verdict, settings.describe_transport())


def _check_quotas(settings: Settings, now: datetime) -> Iterator[Finding]:
    """What is spent of each bucket; nothing where nothing was ever counted."""
    ledger = open_ledger(settings)
    for bucket in BUCKETS if ledger.exists() else ():
        try:
            spending = ledger.usage(bucket, now)
        except SourceError as error:
            yield Finding("health", f"quota {bucket.name}", "fail", str(error))
            continue
        resets = f"until {next_quota_reset(now):%Y-%m-%d %H:%M} UTC"
        detail = f"{spending.calls:,} of {bucket.limit:,} calls made {resets}"
        is_empty = spending.is_exhausted or spending.calls >= bucket.limit
        said = "; the platform reports that it is exhausted" if spending.is_exhausted else ""
        verdict: Verdict = "warn" if is_empty else "ok"
        yield Finding("sources", f"quota {bucket.name}", verdict, detail + said)


def _check_disk(settings: Settings) -> Finding:
    folder = _existing(settings.data_path)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 10**9:.1f} GB free at {folder}"
    if free < _TOO_LITTLE_BYTES:
        return Finding("health", "disk", "fail", f"{detail}; free some space, or writes will fail")
    if free < _LITTLE_BYTES:
        return Finding(
            "health", "disk", "warn", f"{detail}; `ytap maintain` deletes unreferenced files"
        )
    return Finding("health", "disk", "ok", detail)


def _check_writing(settings: Settings) -> Finding:
    """Whether what a run writes to are folders that can be written to; nothing is tried."""
    catalog = () if settings.database else (settings.catalog.parent,)
    lake = (*catalog, *(() if settings.bucket else (settings.data_path,)))
    reports = () if settings.store_bucket else (settings.store / "reports",)
    others = (settings.workspaces, settings.state, *reports, settings.dagster_home)
    places = dict.fromkeys((settings.data, *lake, *others))
    files = [str(place) for place in places if not _existing(place, of_any_kind=True).is_dir()]
    refusing = [str(place) for place in places if not can_write(place)]
    if files:
        detail = f"{', '.join(files)}: a file, not a folder; move it away"
        return Finding("health", "folders", "fail", detail)
    if refusing:
        detail = (
            f"{', '.join(refusing)}: read-only; nothing can be collected, imported or materialized"
        )
        advice = "; mount the folder for writing, or check its permissions"
        return Finding("health", "folders", "fail", detail + advice)
    return Finding("health", "folders", "ok", "writable")


def _check_store(settings: Settings) -> Iterator[Finding]:
    """Whether the server of reports and models answers; nothing is written."""
    if settings.store_bucket is None:
        return
    try:
        find_store(settings).exists(OVERVIEW)
    except FileRefusedError as error:
        yield Finding("health", "reports and models", "fail", str(error))
    else:
        yield Finding("health", "reports and models", "ok", f"{settings.store_name} answers")


def _check_lock(settings: Settings) -> Finding:
    try:
        holder = find_catalog(settings).lock().find_holder()
    except OSError as error:
        return Finding("health", "write lock", "fail", f"{error.filename}: {error.strerror}")
    if holder is None:
        return Finding("health", "write lock", "ok", "free")
    detail = f"held by {holder}; the lock is released when its process ends"
    return Finding("health", "write lock", "warn", detail)


def _check_pins(settings: Settings) -> Iterator[Finding]:
    """Libraries that are pinned to one version, and whether the extensions are made for it."""
    try:
        wanted = metadata.requires(_PROJECT) or []
    except metadata.PackageNotFoundError:
        wanted = []
    pins = [match for text in wanted if (match := _PIN.match(text)) and "extra" not in text]
    for match in pins:
        name, pin = match.groups()
        have = _version(name)
        verdict: Verdict = "ok" if have == pin else "fail"
        advice = "" if have == pin else f", pinned {pin}; install requirements.lock"
        yield Finding("versions", name, verdict, f"{have or 'not installed'}{advice}")
    for name in missing_extensions(find_catalog(settings).extensions):
        detail = f"no build for DuckDB {duckdb_version()}; install requirements.lock"
        yield Finding("versions", f"extension {name}", "fail", detail)


def _check_libraries() -> Iterator[Finding]:
    yield Finding("versions", _PROJECT, "ok", _version(_PROJECT) or "not installed")
    for name in _LIBRARIES:
        have = _version(name)
        yield Finding("versions", name, "ok" if have else "fail", have or "not installed")


@cache
def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _existing(place: Path, *, of_any_kind: bool = False) -> Path:
    """The nearest existing folder at or above a path; with ``of_any_kind``, also a file."""
    above = (place, *place.parents)
    return next(path for path in above if path.is_dir() or (of_any_kind and path.exists()))


def examine_lake(
    settings: Settings,
    workspaces: Workspaces,
    listed: Sequence[Listed],
    now: datetime,
    clock: datetime,
) -> list[Finding]:
    """Check the lake up, reading only; a lake that cannot be read is a finding too."""
    try:
        require_catalog(settings)
        catalog = find_catalog(settings)
        catalog.check_integrity()
        facts_of_files, files = catalog.read_facts(), find_files(settings)
        check_place(facts_of_files, catalog, files)
        check_files(facts_of_files, catalog, files)
        newer = find_newer_copy(settings, list_copies(settings))
        with inspect_lake(settings) as inspection:
            facts = inspection.facts(TABLES)
            ages = inspection.ages(TABLES.values())
            survey = compare_workspaces(inspection, workspaces, ages)
            conflicts = _find_conflicts(survey, listed)
            usable = [one for one in listed if one.workspace_id not in conflicts]
            findings = [
                *_check_facts(settings, facts),
                *_check_history(newer),
                *_check_folders(workspaces, listed, survey),
                *_check_identities(survey, conflicts),
                *_check_clock(inspection.commit_times(), clock),
                *_check_future(ages, now),
                *_check_ages(ages, usable, now),
                *_check_inlined(inspection),
                *_check_erasure(inspection),
            ]
            if not facts.pending and facts.conflict is None:
                findings += [*_check_fetches(inspection, now), *_check_targets(inspection, now)]
                findings += _check_ranks(inspection, now)
            return findings
    except LakeMissingError as error:
        survey = Survey({}, ())
        identities = _check_identities(survey, _find_conflicts(survey, listed))
        verdict: Verdict = "warn" if is_made_by_itself(settings) else "fail"
        folders = _check_folders(workspaces, listed, survey)
        return [Finding("setup", "lake", verdict, str(error)), *folders, *identities]
    except LakeError as error:
        folders = _check_folders(workspaces, listed, None)
        return [Finding("health", "lake", "fail", str(error)), *folders]


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
    yield Finding("setup", "lake", "ok", f"{settings.catalog_name}: {size}")
    made = f"DuckLake {facts.format_version}, created by {facts.created_by}"
    yield Finding("versions", "catalog", "ok", made)
    if facts.conflict is not None:
        yield Finding("health", "lake schema", "fail", facts.conflict)
    elif facts.pending:
        detail = (
            f"pending changes: {len(facts.pending)}; `ytap lake upgrade --dry-run` shows them; the"
            " next command that opens the lake makes them, except `ytap sql`, `shell`, `summary`"
            " and `doctor`"
        )
        yield Finding("health", "lake schema", "warn", detail)
    else:
        yield Finding("health", "lake schema", "ok", "as declared")


def _check_history(newer: str | None) -> Iterator[Finding]:
    """The catalog against the copies: none has commits that it lacks."""
    if newer is None:
        yield Finding("health", "history", "ok", "no backup is newer than the catalog")
    else:
        detail = f"{newer}; maintenance deletes nothing while this is so"
        yield Finding("health", "history", "fail", detail)


def _check_clock(commits: Sequence[datetime], clock: datetime) -> Iterator[Finding]:
    """The machine's clock against the lake's commits, and commits of the future."""
    if (reason := doubt_clock(commits, clock)) is not None:
        detail = f"{reason}; correct the clock; maintenance deletes nothing while it is wrong"
        yield Finding("health", "clock", "fail", detail)
    else:
        yield Finding("health", "clock", "ok", "consistent with the lake's commits")
    if ahead := [at for at in commits if at > clock + SKEW]:
        detail = (
            f"{len(ahead)} of {len(commits)} snapshots have a date in the future, up to"
            f" {max(ahead):%Y-%m-%d %H:%M} UTC: the clock was ahead when they were made; they"
            " expire after that date"
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
            f"{', '.join(names[:_SHOWN])}{more} have rows with a date in the future, up to"
            f" {first.newest_at:%Y-%m-%d}: the clock was ahead when they were written"
        )
        yield Finding("health", "rows", "warn", detail)


def _find_conflicts(survey: Survey, listed: Sequence[Listed]) -> dict[str, str]:
    workspaces = [one.workspace for one in listed if one.workspace]
    return find_conflicts(workspaces, survey.registered)


def _check_folders(
    workspaces: Workspaces, listed: Sequence[Listed], survey: Survey | None
) -> Iterator[Finding]:
    """A missing workspace; it fails if the lake has some, which all lost their folders.

    Args:
        workspaces: Where they are read.
        listed: The workspaces with a folder.
        survey: The workspaces of the lake; None if it cannot be read.
    """
    if listed:
        return
    verdict: Verdict = "warn"
    detail = f"none in {workspaces.place}"
    if survey is not None and survey.orphans:
        verdict = "fail"
        names = [one.workspace_id for one in survey.orphans]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        detail += (
            f", but the lake has rows of {', '.join(names[:_SHOWN])}{more}; {workspaces.way_back};"
            " the findings `rows of ...` say how"
        )
    elif survey is not None:
        detail += f"; {workspaces.first_step}"
    yield Finding("setup", "workspaces", verdict, detail)


def _check_identities(survey: Survey, conflicts: Mapping[str, str]) -> Iterator[Finding]:
    """Renamed, copied or replaced folders, and rows of workspaces without a folder."""
    for name, why in conflicts.items():
        yield Finding("setup", f"identity of {name}", "fail", why)
    for orphan in survey.orphans:
        yield Finding("setup", f"rows of {orphan.workspace_id}", "warn", str(orphan))


def _check_inlined(inspection: Inspection) -> Iterator[Finding]:
    if counts := inspection.inlined_rows():
        tables = ", ".join(f"{table} ({count})" for table, count in counts.items())
        detail = (
            f"{tables}: rows stored in the catalog instead of a file, written by another program"
            " with other options; they are read and backed up like other rows; docs/ducklake.md"
            " explains how to move them into files"
        )
        yield Finding("health", "inlined rows", "warn", detail)


def _check_erasure(inspection: Inspection) -> Iterator[Finding]:
    if inspection.has_unfinished_erasure():
        detail = (
            "an erasure was interrupted or is under way; files of the lake may still contain erased"
            " rows; `ytap maintain` completes it"
        )
        yield Finding("health", "erasure", "warn", detail)


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
        return f"{due}; behind: {', '.join(behind)}; {_CATCH_UP}"
    rows = sum(age.rows for age in known.values())
    return f"{due}; {count(rows, 'row')} in {count(len(known), 'workspace')}"


def _check_fetches(inspection: Inspection, now: datetime) -> Iterator[Finding]:
    since = now - _RECENT
    asked = ["workspace_id", "source", "target", "outcome"]
    log = inspection.recent(COLLECTION_LOG, "finished_at", since, asked)
    lost = log.filter(pl.col("outcome").is_in(NO_RESPONSE))
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
        yield _judge_responses(log)
    for row in unresponsive.head(_MOST_LISTED).iter_rows(named=True):
        subject = f"{row['source']} {row['target']} of {row['workspace_id']}"
        detail = (
            f"no response on {count(row['days'], 'day')}, since {row['since']}; the last error:"
            f" {row['detail']}; correct or pause the target in config.yaml"
        )
        yield Finding("freshness", subject, "warn", detail)
    if unresponsive.height > _MOST_LISTED:
        more = unresponsive.height - _MOST_LISTED
        detail = (
            f"{more} more {'do' if more > 1 else 'does'} not respond; collection_log lists them"
        )
        yield Finding("freshness", "targets", "warn", detail)


def _judge_responses(log: pl.DataFrame) -> Finding:
    """The targets that responded, where none failed on enough days to be named."""
    target = ["workspace_id", "source", "target"]
    requests = log.filter(pl.col("outcome").is_in([*ANSWERED, *REQUEST_FAILED]))
    responses = requests.filter(pl.col("outcome").is_in(ANSWERED)).select(target).n_unique()
    asked = requests.select(target).n_unique()
    if not asked:
        detail = f"none requested within {_LOOKED_BACK.days} days"
        return Finding("freshness", "targets", "ok", detail)
    detail = (
        f"{responses} of {asked} responded within {_LOOKED_BACK.days} days; none failed on its last"
        f" {MIN_UNRESPONSIVE_DAYS} days with requests"
    )
    return Finding("freshness", "targets", "ok" if responses else "warn", detail)


def _check_ranks(inspection: Inspection, now: datetime) -> Iterator[Finding]:
    """Lists that were ranked before their stories were grouped again, or not at all."""
    since = (now - _RANKED).date()
    days = inspection.differing_days(TREND_STORIES, SCORED_TRENDS, "story_id", since=since)
    behind = days.group_by("workspace_id", maintain_order=True).agg("day")
    if behind.is_empty():
        detail = f"every list of the last {_RANKED.days} days contains its day's stories"
        yield Finding("freshness", "ranks", "ok", detail)
    for workspace_id, theirs in behind.head(_MOST_LISTED).rows():
        command = (
            f"`ytap materialize 'key:scored_trends+' -w {workspace_id} --from {min(theirs)}"
            f" --to {max(theirs)}`"
        )
        detail = (
            f"{count(len(theirs), 'day')} of {workspace_id} not ranked since their stories were"
            f" grouped; run {command}"
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


def examine_backups(settings: Settings, now: datetime | None = None) -> Iterator[Finding]:
    """The checks of the backups, the last backup and the last restore drill.

    Args:
        settings: The installation.
        now: The machine's time, by default: copies are dated by the machine, not by the replayed
            present.
    """
    moment = now or datetime.now(UTC)
    copies = list_copies(settings)
    yield from _judge_attempt(last_attempt(settings), moment)
    if not copies:
        if find_catalog(settings).exists():
            detail = f"none in {settings.backups}; make one with `ytap backup` or `ytap maintain`"
            yield Finding("freshness", "backups", "warn", detail)
        return
    yield _judge_newest(copies, moment)
    for copy in [copy for copy in copies if copy.problem is not None][-_SHOWN:]:
        detail = f"cannot be restored: {copy.problem}"
        yield Finding("health", f"backup {copy.folder.name}", "fail", detail)
    ahead = [
        copy.folder.name
        for copy in copies
        if copy.backup is not None and copy.backup.made_at > moment + _CLOCKS_DIFFER
    ]
    if ahead:
        detail = (
            f"{len(ahead)} with a date in the future, such as {ahead[-1]}: the clock is or was"
            " wrong; the order of backups does not depend on it"
        )
        yield Finding("freshness", "backups' clock", "warn", detail)
    yield _judge_drill(last_drill(settings), moment)


def _judge_attempt(attempt: Attempt | None, now: datetime) -> Iterator[Finding]:
    """A failed backup: files whose content is not read by `ytap doctor` may be damaged."""
    if attempt is not None and attempt.problem is not None:
        when = span(abs((now - attempt.at).total_seconds()))
        detail = f"failed {when} ago, and no backup was made since: {attempt.problem}"
        yield Finding("health", "last backup", "fail", detail)


def _judge_newest(copies: list[Copy], now: datetime) -> Finding:
    newest = newest_good(copies)
    if newest is None or newest.backup is None:
        detail = f"{len(copies)}, none of which can be restored; make one with `ytap backup`"
        return Finding("health", "backups", "fail", detail)
    backup = newest.backup
    age = now - backup.made_at
    detail = (
        f"{len(copies)}; the newest is {newest.folder.name}, sequence"
        f" {backup.sequence or 'unknown'}, {span(max(0.0, age.total_seconds()))} old,"
        f" {len(backup.files)} files, {backup.size_bytes / 10**6:.1f} MB"
    )
    is_late = age > _LATE_BACKUP
    advice = "; make one with `ytap maintain`; Dagster runs it every night" if is_late else ""
    return Finding("freshness", "backups", "warn" if is_late else "ok", detail + advice)


def _judge_drill(drill: Drill | None, now: datetime) -> Finding:
    if drill is None:
        detail = "none so far; `ytap backup --verify` restores the newest backup and verifies it"
        return Finding("freshness", "restore drill", "warn", detail)
    when = f"{span(abs((now - drill.at).total_seconds()))} ago, of {Path(drill.folder).name}"
    if drill.problem is not None:
        return Finding("health", "restore drill", "fail", f"failed {when}: {drill.problem}")
    detail = f"passed {when}: {drill.rows:,} rows in {drill.tables} tables"
    is_late = abs(now - drill.at) > _LATE_DRILL
    return Finding("freshness", "restore drill", "warn" if is_late else "ok", detail)


def count(number: int, noun: str) -> str:
    """A number of things: `1 day`, `1,200 days`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """A length of time in words: `3 min`, `26 h`, `9 days`."""
    if seconds < 3600:
        return f"{max(0, seconds) / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
