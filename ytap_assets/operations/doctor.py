"""A check-up of the installation: its setup, sources, freshness, health and versions.

Belongs here: judging the installation and saying what to do. Does not belong here: the lake's own
check-up (`doctor_lake`), or changing anything: a check-up leaves all as it was.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import httpx

from ytap_assets.config_keys import find_nearest
from ytap_assets.domain.phrases import is_listing
from ytap_assets.domain.quota import BUCKETS, next_quota_reset
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.disk import can_write
from ytap_assets.lakehouse.inspection import duckdb_version, missing_extensions
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.operations.backups import examine_backups
from ytap_assets.operations.doctor_lake import examine_lake
from ytap_assets.operations.findings import AREAS, Finding, Verdict, count, span
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    UPLOADS,
    find_foreign_uploads,
    read_inboxes,
)
from ytap_assets.operations.spam import spam_model
from ytap_assets.operations.workspaces import Listed, find_idle_settings, list_workspaces
from ytap_assets.settings import VARIABLES, Settings
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.sources.http.exchange import SourceError
from ytap_assets.sources.http.state import open_ledger
from ytap_assets.workspaces import Workspace, Workspaces

Probe = Callable[[str], str | None]

_PROJECT = "ytap-assets"
_PIN = re.compile(r"([A-Za-z0-9_.-]+)==([^\s;,]+)")
_EXTENSIONS = ("ducklake", "sqlite_scanner")
_LIBRARIES = ("dagster", "polars", "pandera")
_LITTLE_BYTES, _TOO_LITTLE_BYTES = 2 * 10**9, 2 * 10**8
_PROBE_TIMEOUT_S = 10.0


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
    listed = list_workspaces(Workspaces(settings))
    findings = [
        *_check_workspaces(listed),
        *_check_sources(listed),
        *_check_models(settings, listed),
        *_check_phrases(listed),
        *_check_inboxes(Workspaces(settings), listed, now),
        *_check_secrets(settings, listed),
        *_check_variables(settings),
        _check_transport(settings),
        *_check_reach(settings, probe),
        *_check_quotas(settings, now),
        *examine_lake(settings, listed, now, clock or datetime.now(UTC)),
        *examine_backups(settings),
        _check_disk(settings),
        _check_writing(settings),
        _check_lock(settings),
        *_check_pins(),
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
    if not listed:
        detail = "none; `ytap workspace create` makes one"
        yield Finding("setup", "workspaces", "warn", detail)
    for one in listed:
        subject = f"workspace {one.workspace_id}"
        if one.workspace is None:
            yield Finding("setup", subject, "fail", one.problem or "cannot be read")
        else:
            collects = "collects" if one.workspace.collects else "does not collect"
            yield Finding("setup", subject, "ok", f"{one.workspace.status}, {collects}")
            if one.workspace.uid is None:
                detail = (
                    "none in its config, so its folder being renamed or copied is not noticed:"
                    f" `ytap workspace identify {one.workspace_id}` writes one"
                )
                yield Finding("setup", f"uid of {one.workspace_id}", "warn", detail)
            for key, why in find_idle_settings(one.workspace):
                yield Finding("setup", f"{key} of {one.workspace_id}", "warn", why)


def _check_models(settings: Settings, listed: Sequence[Listed]) -> Iterator[Finding]:
    """Spam models that configs name; each is read once, however many name it."""
    users: dict[str, list[Workspace]] = {}
    for workspace in (one.workspace for one in listed if one.workspace is not None):
        if workspace.spam.model is not None:
            users.setdefault(workspace.spam.model, []).append(workspace)
    for name, named_by in sorted(users.items()):
        subject = f"spam model {name}"
        named = f"named by {count(len(named_by), 'workspace')}"
        try:
            spam_model(settings, named_by[0])
        except ConfigError as error:
            detail = f"{error}; {named}, where no day can be scored until then"
            yield Finding("setup", subject, "fail", detail)
        else:
            yield Finding("setup", subject, "ok", f"can be read; {named}")


def _check_sources(listed: Sequence[Listed]) -> Iterator[Finding]:
    """What a config says to sources and of them, where no source would take it."""
    known = {source.name for source in CATALOG.trends}
    for workspace in (one.workspace for one in listed if one.workspace is not None):
        for source in CATALOG.trends:
            try:
                source.targets(workspace)
            except ConfigError as error:
                subject = f"source {source.name} of {workspace.workspace_id}"
                yield Finding("setup", subject, "fail", str(error))
        for name in sorted(workspace.scoring.source_weights.keys() - known):
            detail = f"weighs {name!r}, which is no source: {', '.join(sorted(known))} are"
            subject = f"scoring.source_weights of {workspace.workspace_id}"
            yield Finding("setup", subject, "warn", detail)


def _check_phrases(listed: Sequence[Listed]) -> Iterator[Finding]:
    """Phrases that look like several: each list is found with its commas or not at all."""
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
                    f"{listing!r} is one phrase, found only with its commas;"
                    " if several are meant, list each as an entry of its own"
                )
                yield Finding("setup", f"{key} of {workspace.workspace_id}", "warn", detail)


def _check_inboxes(
    workspaces: Workspaces, listed: Sequence[Listed], now: datetime
) -> Iterator[Finding]:
    """Inbox files and lines that cannot be read, decisions dated ahead, unknown channels."""
    are_well = True
    configs = {one.workspace_id: one.workspace for one in listed}
    for workspace_id in workspaces.ids():
        files = read_inboxes(workspaces.folder(workspace_id))
        config = configs.get(workspace_id)
        for problem in find_foreign_uploads(files[UPLOADS].parsed.rows, config) if config else ():
            are_well = False
            yield Finding("health", f"inbox {workspace_id}/{UPLOADS}", "warn", problem)
        for name, file in files.items():
            subject = f"inbox {workspace_id}/{name}"
            for problem in file.find_problems():
                are_well = False
                yield Finding("health", subject, "fail" if file.problem else "warn", problem)
            if bad := file.parsed.bad:
                are_well = False
                detail = (
                    f"lines that could not be read: {len(bad)}, the last is line {bad[-1].line}:"
                    f" {bad[-1].reason}; `ytap script list -w {workspace_id}` shows them"
                )
                yield Finding("health", subject, "warn", detail)
            ahead = [a for a in file.parsed.rows if a.at > now] if name == APPROVALS else []
            if ahead:
                are_well = False
                detail = (
                    f"decisions dated ahead of the clock ({now:%Y-%m-%d %H:%M} UTC):"
                    f" {len(ahead)}; `ytap script list -w {workspace_id}` says which of them wait"
                )
                yield Finding("health", subject, "warn", detail)
    if are_well:
        yield Finding("health", "inboxes", "ok", "every line could be read")


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
            yield Finding("sources", host, "ok", "not asked; --online does")
            continue
        problem = probe(host)
        yield Finding("sources", host, "fail" if problem else "ok", problem or "answers")


def _check_variables(settings: Settings) -> Iterator[Finding]:
    """Variables that nothing reads, though they are named like settings."""
    for name in settings.unknown:
        nearest = find_nearest(name, VARIABLES)
        advice = f"did you mean {nearest}?" if nearest else f"there are {', '.join(VARIABLES)}"
        yield Finding("setup", f"variable {name}", "warn", f"nothing reads it; {advice}")


def _check_transport(settings: Settings) -> Finding:
    differs = settings.remembered not in (None, settings.transport)
    verdict: Verdict = "warn" if differs else "ok"
    return Finding("setup", "transport", verdict, settings.describe_transport())


def _check_quotas(settings: Settings, now: datetime) -> Iterator[Finding]:
    """What is spent of each bucket; nothing where nothing was ever counted."""
    ledger = open_ledger(settings)
    for bucket in BUCKETS if ledger.path.is_file() else ():
        try:
            spending = ledger.usage(bucket, now)
        except SourceError as error:
            yield Finding("health", f"quota {bucket.name}", "fail", str(error))
            continue
        resets = f"until {next_quota_reset(now):%Y-%m-%d %H:%M} UTC"
        detail = f"{spending.calls:,} of {bucket.limit:,} calls made {resets}"
        is_empty = spending.is_exhausted or spending.calls >= bucket.limit
        said = "; the platform reports it as used up" if spending.is_exhausted else ""
        verdict: Verdict = "warn" if is_empty else "ok"
        yield Finding("sources", f"quota {bucket.name}", verdict, detail + said)


def _check_disk(settings: Settings) -> Finding:
    folder = _existing(settings.data_path)
    free = shutil.disk_usage(folder).free
    detail = f"{free / 10**9:.1f} GB free at {folder}"
    if free < _TOO_LITTLE_BYTES:
        return Finding("health", "disk", "fail", f"{detail}: free some, or writes will fail")
    if free < _LITTLE_BYTES:
        return Finding("health", "disk", "warn", f"{detail}: `ytap maintain` sweeps the lake")
    return Finding("health", "disk", "ok", detail)


def _check_writing(settings: Settings) -> Finding:
    """Whether what a run writes to are folders that can be written to; nothing is tried."""
    lake = (settings.catalog.parent, settings.data_path)
    others = (settings.workspaces, settings.state, settings.reports, settings.dagster_home)
    places = dict.fromkeys((settings.data, *lake, *others))
    files = [str(place) for place in places if not _existing(place, of_any_kind=True).is_dir()]
    refusing = [str(place) for place in places if not can_write(place)]
    if files:
        detail = f"{', '.join(files)}: a file stands where a folder belongs: move it away"
        return Finding("health", "folders", "fail", detail)
    if refusing:
        detail = f"{', '.join(refusing)}: read-only, so nothing can be collected, imported or made"
        advice = "; mount for writing, or check the permissions"
        return Finding("health", "folders", "fail", detail + advice)
    return Finding("health", "folders", "ok", "can be written to")


def _check_lock(settings: Settings) -> Finding:
    try:
        holder = WriteLock(settings.catalog).find_holder()
    except OSError as error:
        return Finding("health", "write lock", "fail", f"{error.filename}: {error.strerror}")
    if holder is None:
        return Finding("health", "write lock", "ok", "free")
    since = f", running for {span(holder.runs_for.total_seconds())}" if holder.runs_for else ""
    detail = f"held by {holder}{since}; the lock ends with its process"
    return Finding("health", "write lock", "warn", detail)


def _check_pins() -> Iterator[Finding]:
    """What has to be of one exact version, and whether the extensions are made for it."""
    try:
        wanted = metadata.requires(_PROJECT) or []
    except metadata.PackageNotFoundError:
        wanted = []
    pins = [match for text in wanted if (match := _PIN.match(text)) and "extra" not in text]
    for match in pins:
        name, pin = match.groups()
        have = _version(name)
        verdict: Verdict = "ok" if have == pin else "fail"
        advice = "" if have == pin else f", pinned {pin}: install requirements.lock"
        yield Finding("versions", name, verdict, f"{have or 'not installed'}{advice}")
    for name in missing_extensions(_EXTENSIONS):
        detail = f"no file for DuckDB {duckdb_version()}: install requirements.lock"
        yield Finding("versions", f"extension {name}", "fail", detail)


def _check_libraries() -> Iterator[Finding]:
    yield Finding("versions", _PROJECT, "ok", _version(_PROJECT) or "not installed")
    for name in _LIBRARIES:
        have = _version(name)
        yield Finding("versions", name, "ok" if have else "fail", have or "not installed")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _existing(place: Path, *, of_any_kind: bool = False) -> Path:
    """The folder, or the nearest one above that exists; or else whatever stands there."""
    above = (place, *place.parents)
    return next(path for path in above if path.is_dir() or (of_any_kind and path.exists()))
