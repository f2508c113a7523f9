"""What is due now, for all workspaces together: collections, metrics, and promotions of scripts.

Belongs here: reading the frames for the rules of `domain.due`, and the previews that the promotion
sensors of a process share. Does not belong here: the rules, the content of a preview
(`production`), or starting runs (`defs`).

`find_due` reads the configs, the registry, two columns of ``videos`` and, of the last 30 days, six
columns of `collection_log` and a summary of it. The cost depends on the number of fetches of these
days and not on the age of the lake, except for ``videos``: 16 bytes per published video.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock

import polars as pl

from ytap_assets.domain.due import (
    ASKED_FROM,
    LOOKBACK_DAYS,
    PLAN,
    Reason,
    choose_days,
    find_due_metrics,
    find_due_targets,
    find_unreplayed_targets,
    leave_out,
    limit_calls,
)
from ytap_assets.domain.source_profiles import BUCKETS
from ytap_assets.lakehouse.reader import CrossReader, Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.inbox_files import INBOX_FILES
from ytap_assets.operations.platform import Batch, Platform
from ytap_assets.operations.production import Preview, preview
from ytap_assets.operations.production_inputs import stamp, stamp_folders
from ytap_assets.settings import Settings
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.http.exchange import PermanentError
from ytap_assets.sources.http.state import open_ledger
from ytap_assets.tables import (
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    PUSHED_CONFIGS,
    PUSHED_FILES,
    VIDEOS,
    WORKSPACES,
)
from ytap_assets.tables.evidence import HISTORIES
from ytap_assets.workspaces import CONFIG_NAME, Workspace

METRICS_INTERVAL = timedelta(hours=1)
Partition = tuple[str, date]
Target = tuple[str, str]
_PREVIEW_RUN = Run("sensor", "dagster", "preview")
_LOG_COLUMNS = ("workspace_id", "day", "source", "target", "outcome", "started_at")
_REASONS: Mapping[Reason, str] = {
    "first": "not collected today",
    "interval": "interval passed",
    "retry": "failed before",
    "final": "day closed since",
    "missed": "no response yet",
    "gap": "missed, to be recorded",
}


@dataclass(frozen=True)
class Due:
    """What is due now.

    Attributes:
        collections: The days to collect of each workspace, in order.
        targets: The targets to request of each workspace and day, as (source, target).
        metrics: The days of each workspace whose video metrics are due, in order.
        reasons: Why days of a workspace are due, in a line.
        problems: The workspaces that cannot be collected, and why.
    """

    collections: dict[str, list[date]] = field(default_factory=dict)
    targets: dict[str, dict[date, frozenset[Target]]] = field(default_factory=dict)
    metrics: dict[str, list[date]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def find_due(
    platform: Platform,
    now: datetime,
    *,
    in_progress: Collection[Partition] = (),
    catalog: Catalog = CATALOG,
) -> Due:
    """What to collect now, for every workspace that collects.

    Nothing is written, so it can be called at any time.

    Args:
        platform: The installation.
        now: The present.
        in_progress: The workspaces and days of runs that are queued or running: left out.
        catalog: The sources there are.

    Raises:
        LakeError: The lake cannot be read.
    """
    now = now.astimezone(UTC)
    usable, broken = platform.usable()
    problems = {name: str(error) for name, error in sorted(broken.items())}
    workspaces = {one.workspace_id: one for one in usable if one.collects}
    days = _days(platform.settings, now)
    if not workspaces or days is None:
        return Due(problems=problems)
    registry = platform.lake.cross_reader().read_across(
        WORKSPACES, columns=["workspace_id", "first_seen_at"]
    )
    registry = registry.select("workspace_id", registered_on=pl.col("first_seen_at").dt.date())
    asked = (platform, workspaces, registry, days, now, catalog)
    trends = choose_days(_find_trends(*asked), today=days[1], in_progress=in_progress)
    metrics = leave_out(_find_metrics(*asked), in_progress)
    targets = _group_targets(trends)
    return Due(
        collections={name: list(own) for name, own in targets.items()},
        targets=targets,
        metrics=_group_days(metrics),
        reasons=_describe(trends, metrics),
        problems=problems,
    )


def _days(settings: Settings, now: datetime) -> Days | None:
    """The days that may be due; None if there is none yet."""
    today = now.date()
    first = today - timedelta(days=LOOKBACK_DAYS)
    if settings.transport == "replay":
        first = max([first, *settings.recorded_days()[:1]])
    first = max(first, settings.first_day or first)
    return (first, today) if first <= today else None


def _find_trends(
    platform: Platform,
    workspaces: Mapping[str, Workspace],
    registry: pl.DataFrame,
    days: Days,
    now: datetime,
    catalog: Catalog,
) -> pl.DataFrame:
    """The due targets of any number of days: `DUE`."""
    is_replay = platform.settings.transport == "replay"
    plan = _plan(platform.settings, workspaces, registry, catalog, lacks_keys=not is_replay)
    asked_from = _asked_from(catalog, days)
    log = platform.lake.cross_reader().read_across(
        COLLECTION_LOG,
        days=days,
        columns=_LOG_COLUMNS,
        wanted={
            "source": sorted({source.name for source in catalog.trends}),
            "history": [one for one in HISTORIES if one != "file"],
        },
    )
    if is_replay:
        return find_unreplayed_targets(plan, asked_from, log, today=days[1])
    due = find_due_targets(plan, asked_from, log, now=now)
    return _limit_by_quotas(platform.settings, due, plan, catalog, now)


def _plan(
    settings: Settings,
    workspaces: Mapping[str, Workspace],
    registry: pl.DataFrame,
    catalog: Catalog,
    *,
    lacks_keys: bool,
) -> pl.DataFrame:
    since = dict(registry.iter_rows())
    kinds = [
        (kind, source, lacks_keys and source.lacks_key(settings))
        for kind, source in enumerate(catalog.trends)
    ]
    rows = [
        (
            workspace.workspace_id,
            workspace.timezone,
            since.get(workspace.workspace_id),
            _interval(workspace, settings),
            kind,
            source.name,
            target,
            source.history == "date_queryable",
            source.is_daily,
            lacks_key,
        )
        for workspace in workspaces.values()
        for kind, source, lacks_key in kinds
        for target in source.targets(workspace)
    ]
    return pl.DataFrame(rows, PLAN, orient="row")


def _interval(workspace: Workspace, settings: Settings) -> timedelta:
    return timedelta(hours=workspace.sources.every_hours or settings.every_hours)


def _asked_from(catalog: Catalog, days: Days) -> pl.DataFrame:
    each_day = [days[0] + timedelta(number) for number in range((days[1] - days[0]).days + 1)]
    rows = [
        (kind, day, source.due_from(day))
        for kind, source in enumerate(catalog.trends)
        for day in each_day
    ]
    return pl.DataFrame(rows, ASKED_FROM, orient="row")


def _limit_by_quotas(
    settings: Settings, due: pl.DataFrame, plan: pl.DataFrame, catalog: Catalog, now: datetime
) -> pl.DataFrame:
    """Leave out past days beyond what is left of the quotas.

    The calls of one collection of today are reserved. If the ledger cannot be read, no past day
    that counts against it is requested.
    """
    today = now.date()
    asked = plan.filter(~pl.col("is_daily")).unique(["kind", "target"])
    for bucket in BUCKETS:
        costs = {
            kind: source.calls[bucket]
            for kind, source in enumerate(catalog.trends)
            if bucket in source.calls
        }
        if due.filter(pl.col("day") < today, pl.col("kind").is_in(list(costs))).is_empty():
            continue
        try:
            usage = open_ledger(settings).usage(bucket, now)
            left = 0 if usage.is_exhausted else bucket.limit - usage.calls
        except PermanentError:
            left = 0
        reserve = asked.get_column("kind").replace_strict(costs, default=0).sum()
        due = limit_calls(due, costs, left=left - int(reserve), today=today)
    return due


def _find_metrics(
    platform: Platform,
    workspaces: Mapping[str, Workspace],
    registry: pl.DataFrame,
    days: Days,
    now: datetime,
    catalog: Catalog,
) -> pl.DataFrame:
    """The days whose video metrics are due: ``workspace_id``, ``day``, ``reason``."""
    reader = platform.lake.cross_reader()
    stats, settings = catalog.video_stats, platform.settings
    wanted = {"source": [stats.name]}
    columns = ["workspace_id", "published_at"]
    is_replay = settings.transport == "replay"
    videos = reader.read_across(VIDEOS, columns=[*columns, "video_id"] if is_replay else columns)
    videos = videos.filter(pl.col("workspace_id").is_in(list(workspaces)))
    if is_replay:
        asked = reader.read_across(
            COLLECTION_LOG,
            days=(days[1], days[1]),
            columns=["workspace_id", "target"],
            wanted=wanted,
        )
        return _find_unreplayed_videos(videos, asked, days[1])
    # A video without a time counts as published from today on.
    first = pl.coalesce(pl.col("published_at").dt.date(), pl.lit(days[1])).min()
    owners = (
        videos.group_by("workspace_id")
        .agg(first.alias("published_on"))
        .join(registry, on="workspace_id", how="left")
        .with_columns(lacks_key=pl.lit(stats.lacks_key(settings)))
    )
    log = reader.read_spans(
        COLLECTION_LOG,
        "started_at",
        by=["workspace_id", "day", "outcome"],
        days=days,
        wanted=wanted,
    )
    return find_due_metrics(owners, log, first_day=days[0], now=now, interval=METRICS_INTERVAL)


def _find_unreplayed_videos(videos: pl.DataFrame, asked: pl.DataFrame, today: date) -> pl.DataFrame:
    """The workspaces with a published video that has not been requested today."""
    end = datetime.combine(today, time.max, UTC)
    out = videos.filter(pl.col("published_at").is_null() | (pl.col("published_at") <= end))
    known = asked.select("workspace_id", pl.col("target").str.split(",").alias("video_id"))
    new = out.join(known.explode("video_id"), on=["workspace_id", "video_id"], how="anti")
    owners = new.select("workspace_id").unique().sort("workspace_id")
    return owners.with_columns(day=pl.lit(today), reason=pl.lit("first"))


def _group_targets(due: pl.DataFrame) -> dict[str, dict[date, frozenset[Target]]]:
    """The targets by workspace and day, in order."""
    targets: dict[str, dict[date, frozenset[Target]]] = {}
    partitions = due.group_by("workspace_id", "day").agg(pl.struct("source", "target").alias("all"))
    for name, day, chosen in partitions.sort("workspace_id", "day").iter_rows():
        asked = frozenset((one["source"], one["target"]) for one in chosen)
        targets.setdefault(name, {})[day] = asked
    return targets


def _group_days(due: pl.DataFrame) -> dict[str, list[date]]:
    """The days by workspace, in order."""
    days: dict[str, list[date]] = {}
    for name, day in due.select("workspace_id", "day").sort("workspace_id", "day").iter_rows():
        days.setdefault(name, []).append(day)
    return days


def _describe(trends: pl.DataFrame, metrics: pl.DataFrame) -> dict[str, str]:
    """Why each workspace is due: `2026-11-20: not collected today (5 targets)`."""
    said: dict[str, list[str]] = defaultdict(list)
    counts = trends.group_by("workspace_id", "day", "reason").len()
    for name, day, reason, count in counts.sort("workspace_id", "day", "reason").iter_rows():
        said[name].append(f"{day}: {_REASONS[reason]} ({count} target{'s' if count > 1 else ''})")
    for name, day, reason in metrics.iter_rows():
        said[name].append(f"{day}: {_REASONS[reason]} (video metrics)")
    return {name: "; ".join(lines) for name, lines in sorted(said.items())}


@dataclass(frozen=True)
class Previewed:
    """A workspace's preview and its mark.

    Attributes:
        mark: Changes with the workspace's log, files and time bucket.
        preview: What the next run would do; empty for an archived workspace.
    """

    mark: str
    preview: Preview


class Previews:
    """The previews of an installation's workspaces, each kept until its mark changes.

    The mark is made of the workspace's last event and of the state of its config, its inbox files
    and the manifests of the scripts that wait, so that neither the log nor a config is read where
    nothing has changed. Where these files are in the lake, it is the last of them that was pushed.
    """

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = Lock()
        self._snapshot_id: int | None = None
        self._last_seqs: dict[str, int] = {}
        self._last_pushed: dict[tuple[str, str], int] = {}
        self._known: dict[str, Previewed] = {}
        self._requested: dict[str, tuple[str, str]] = {}

    def refresh(
        self, platform: Platform, workspace_ids: Iterable[str], bucket: Callable[[str], int]
    ) -> dict[str, Previewed | Exception]:
        """The preview of each workspace, or the error.

        Args:
            platform: The installation.
            workspace_ids: The workspaces.
            bucket: The number of the present time bucket of a workspace: what no mark shows (a
                channel's feed, a date that has come, a video file) is noticed in the next one.

        Raises:
            LakeError: The lake cannot be read.
        """
        with self._lock:
            snapshot_id = platform.lake.snapshot_id()
            if snapshot_id != self._snapshot_id:
                reader = platform.lake.cross_reader()
                self._last_seqs = reader.last_seqs(PRODUCTION_EVENTS)
                if platform.settings.workspace_source == "lake":
                    self._find_pushed(reader)
                self._snapshot_id = snapshot_id
            found: dict[str, Previewed | Exception] = {}
            changed: dict[str, str] = {}
            for name in workspace_ids:
                base = (
                    f"{self._last_seqs.get(name, 0)} {bucket(name)} {self._stamp(platform, name)}"
                )
                known = self._known.get(name)
                if known is not None and known.mark == _mark(platform, name, base, known.preview):
                    found[name] = known
                else:
                    changed[name] = base
            names, size = list(changed), platform.settings.batch_workspaces
            for start in range(0, len(names), size):
                found |= self._preview(platform, names[start : start + size], changed)
            return found

    def _find_pushed(self, reader: CrossReader) -> None:
        """Take the numbers of what was pushed since the last look."""
        for table in (PUSHED_CONFIGS, PUSHED_FILES):
            known = self._last_pushed
            last = max((seq for (name, _), seq in known.items() if name == table.name), default=0)
            rows = reader.read_across(
                table, columns=["workspace_id", "seq"], at_least={"seq": last + 1}
            )
            newest = rows.group_by("workspace_id").agg(pl.col("seq").max())
            known.update({(table.name, name): seq for name, seq in newest.iter_rows()})

    def _stamp(self, platform: Platform, name: str) -> str:
        """The state of a workspace's config and inbox files."""
        if platform.settings.workspace_source == "lake":
            tables = (PUSHED_CONFIGS.name, PUSHED_FILES.name)
            return " ".join(str(self._last_pushed.get((table, name), 0)) for table in tables)
        folder = platform.workspaces.folder(name)
        files = (CONFIG_NAME, *INBOX_FILES)
        return _digest([f"{file} {stamp(folder / file)}" for file in files])

    def _preview(
        self, platform: Platform, names: Iterable[str], bases: dict[str, str]
    ) -> dict[str, Previewed | Exception]:
        batch, unusable = platform.batch(
            {name: [None] for name in names}, _PREVIEW_RUN, writes=False
        )
        active = tuple(one for one in batch.slices if not one.workspace.is_archived)
        found: dict[str, Previewed | Exception] = {
            scope.workspace_id: error for scope, error in unusable.items()
        }
        previews: dict[str, Preview | Exception] = {
            one.workspace_id: Preview({}, [], frozenset(), {}) for one in batch.slices
        }
        previews |= preview(Batch(platform, active, _PREVIEW_RUN)) if active else {}
        for name, one in previews.items():
            if isinstance(one, Exception):
                found[name] = one
            else:
                found[name] = self._known[name] = Previewed(_join(bases[name], one.stamps), one)
        return found

    def claim(self, workspace_id: str, mark: str, sensor: str) -> bool:
        """Whether a sensor is the first to request a run for a workspace at this mark.

        One run makes all promotions, so the sensors of the others have nothing to request.
        """
        with self._lock:
            if self._requested.get(workspace_id, ("", ""))[0] != mark:
                self._requested[workspace_id] = (mark, sensor)
            return self._requested[workspace_id] == (mark, sensor)


def _mark(platform: Platform, name: str, base: str, known: Preview) -> str:
    if platform.settings.workspace_source == "lake":  # a pushed manifest is in the base
        return _join(base, known.stamps)
    return _join(base, stamp_folders(platform.workspaces.folder(name), known.waiting))


def _join(base: str, stamps: dict[str, str]) -> str:
    return f"{base} {_digest([f'{name} {stamps[name]}' for name in sorted(stamps)])}"


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
