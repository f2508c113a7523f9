"""What is due, from a lake and configs; and a daemon that is off for thirty hours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

import httpx
import polars as pl
import pytest

from ytap_assets.domain.source_profiles import YOUTUBE_SEARCH
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import collect as collecting
from ytap_assets.operations.collect import NothingCollectedError, collect_metrics, collect_trends
from ytap_assets.operations.due import Due, find_due
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.sources.collect import Session
from ytap_assets.sources.http.state import open_ledger
from ytap_assets.tables import COLLECTION_LOG, VIDEOS
from ytap_assets.workspaces import Workspace, Workspaces
from ytap_assets_tests.operations.alone import publish_alone, run_alone
from ytap_assets_tests.operations.test_backfill import answer
from ytap_assets_tests.sources.support import CHANNEL, transport_of

RUN = Run("run", "test", "collect")
QUERYABLE = {
    ("hn", "by_date"),
    ("youtube_channel", f"{CHANNEL}/uploads"),
    ("youtube", "search/rust"),
}
SNAPSHOT = {
    ("hn", "front_page"),
    ("reddit", "r/rust"),
    ("youtube", "US"),
    ("youtube_channel", CHANNEL),
}


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant in November."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def make_workspace(workspace_id: str, **changed: Any) -> Workspace:
    sources: dict[str, Any] = {
        "reddit": {"subreddits": ["rust"]},
        "youtube": {
            "regions": ["US"],
            "searches": ["rust"],
            "monitored_channels": [{"id": CHANNEL}],
        },
    }
    return Workspace.model_validate(
        {
            "workspace_id": workspace_id,
            "name": workspace_id,
            "vertical": "technology",
            "sources": sources,
            **changed,
        }
    )


def collect(platform: Platform, workspace_id: str, day: date, due: Due) -> None:
    """Collect what is due of a workspace's day; that no target answers is no failure here."""
    with suppress(NothingCollectedError):
        run_alone(partial(collect_trends, targets=due.targets), platform, workspace_id, day)


class Daemon:
    """A scheduler that asks what is due and collects it, on a clock that tests move."""

    def __init__(self, platform: Platform, clock: list[datetime]) -> None:
        self.platform = platform
        self.clock = clock
        self.runs: list[tuple[str, date]] = []

    @property
    def now(self) -> datetime:
        return self.clock[0]

    def tick(self, now: datetime) -> Due:
        """What was due; it is collected then."""
        self.clock[0] = now
        due = find_due(self.platform, now)
        for name, days in due.collections.items():
            for day in days:
                self.runs.append((name, day))
                collect(self.platform, name, day, due)
        for name, days in due.metrics.items():
            for day in days:
                run_alone(collect_metrics, self.platform, name, day)
        return due

    def run(self, since: datetime, until: datetime, every: timedelta) -> None:
        now = since
        while now < until:
            self.tick(now)
            now += every

    def log(self, name: str = "tech") -> pl.DataFrame:
        return self.platform.lake.reader(name).read(COLLECTION_LOG)


@pytest.fixture
def network() -> list[Callable[[httpx.Request], httpx.Response]]:
    """What answers; tests put another one in its place."""
    return [answer]


def open_live(
    settings: Settings,
    clock: list[datetime],
    network: list[Callable[[httpx.Request], httpx.Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> Platform:
    """An installation with a workspace, whose network answers by hand, and which never waits."""
    secrets = {"YTAP_SECRET_YOUTUBE_KEY": "youtube-key-0123456789"}
    live = replace(settings, transport="live", remembered=None, secrets=secrets)

    async def pass_over(_: float) -> None:
        return None

    def open_session(settings: Settings, **named: Any) -> Session:
        network_now = transport_of(network[0])
        return Session(settings, network=lambda: network_now, sleep=pass_over, **named)

    monkeypatch.setattr(collecting, "open_session", open_session)
    Workspaces(live).save(make_workspace("tech"))
    return Platform(live, now=lambda: clock[0])


@pytest.fixture
def daemon(
    settings: Settings,
    network: list[Callable[[httpx.Request], httpx.Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Daemon]:
    """A daemon of such an installation, on the sixteenth."""
    clock = [at(16, 0, 3)]
    platform = open_live(settings, clock, network, monkeypatch)
    yield Daemon(platform, clock)
    platform.lake.close()


def outcomes(platform: Platform, name: str = "tech") -> dict[tuple[date, str, str], list[str]]:
    """How each target was answered for each day, in the order of time."""
    found: dict[tuple[date, str, str], list[str]] = {}
    log = platform.lake.reader(name).read(COLLECTION_LOG).sort("started_at")
    for day, source, target, outcome in log.select(
        "day", "source", "target", "outcome"
    ).iter_rows():
        found.setdefault((day, source, target), []).append(outcome)
    return found


def test_after_thirty_hours_without_a_daemon_nothing_that_could_be_had_is_missing(
    daemon: Daemon,
) -> None:
    daemon.run(at(16, 3, 3), at(17, 16), timedelta(hours=6))
    assert not daemon.log().filter(pl.col("day") >= date(2026, 11, 18)).height

    back = daemon.tick(at(18, 22, 3))
    daemon.run(at(19, 3, 3), at(19, 13), timedelta(hours=6))

    assert back.collections == {"tech": [date(2026, 11, 17), date(2026, 11, 18)]}
    found = outcomes(daemon.platform)
    for day in (date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)):
        for source, target in QUERYABLE:
            assert found[day, source, target][-1] == "ok"
        for source, target in SNAPSHOT:
            assert set(found[day, source, target]) == {"ok"}
    assert all(len(asked) <= 5 for asked in found.values())


def test_each_gap_of_a_day_without_a_daemon_is_recorded_once(daemon: Daemon) -> None:
    daemon.tick(at(16, 3, 3))
    daemon.run(at(18, 10, 3), at(19, 9), timedelta(hours=6))

    found = outcomes(daemon.platform)
    for source, target in SNAPSHOT:
        assert found[date(2026, 11, 17), source, target] == ["unrecoverable"]
    for source, target in QUERYABLE:
        assert found[date(2026, 11, 17), source, target] == ["ok"]
        assert found[date(2026, 11, 16), source, target][-1] == "ok"


def test_nothing_is_due_again_right_after_it_was_collected(daemon: Daemon) -> None:
    daemon.tick(at(16, 13, 3))

    again = find_due(daemon.platform, at(16, 13, 8))

    assert (again.collections, again.targets, again.metrics, again.reasons) == ({}, {}, {}, {})


def test_a_workspace_and_a_source_that_are_new_are_due_at_the_next_tick(daemon: Daemon) -> None:
    daemon.tick(at(16, 13, 3))
    changed = make_workspace("tech", sources={"reddit": {"subreddits": ["rust", "python"]}})
    daemon.platform.workspaces.save(changed)
    daemon.platform.workspaces.save(make_workspace("newest"))

    due = find_due(daemon.platform, at(16, 13, 8))

    today = date(2026, 11, 16)
    assert due.collections == {"newest": [today], "tech": [today]}
    assert due.targets["tech"] == {today: {("reddit", "r/python")}}
    assert "r/python" not in due.reasons["tech"]
    assert str(today) in due.reasons["tech"]


def test_a_failed_target_is_asked_alone_and_not_at_every_tick(
    daemon: Daemon, network: list[Callable[[httpx.Request], httpx.Response]]
) -> None:
    def fail_reddit(request: httpx.Request) -> httpx.Response:
        if request.url.host == "www.reddit.com":
            return httpx.Response(404)
        return answer(request)

    network[0] = fail_reddit
    daemon.run(at(16, 12, 3), at(16, 16, 3), timedelta(minutes=15))

    found = outcomes(daemon.platform)
    today = date(2026, 11, 16)
    assert found[today, "hn", "front_page"] == ["ok"]
    tries = daemon.log().filter(target="r/rust").sort("started_at")["started_at"].to_list()
    minutes = [(later - earlier) // timedelta(minutes=1) for earlier, later in pairwise(tries)]
    assert minutes == [15, 30, 60, 120]


def test_who_cannot_be_worked_on_is_named_and_stops_nobody(daemon: Daemon) -> None:
    daemon.platform.workspaces.save(make_workspace("broken"))
    (daemon.platform.workspaces.folder("broken") / "config.yaml").write_text("name: [")
    daemon.platform.workspaces.save(make_workspace("resting", status="paused"))

    due = find_due(daemon.platform, at(16, 0, 3))

    assert list(due.collections) == ["tech"]
    assert list(due.problems) == ["broken"]


def test_partitions_in_progress_are_left_out(daemon: Daemon) -> None:
    today = date(2026, 11, 16)

    assert find_due(daemon.platform, at(16, 0, 3), in_progress={("tech", today)}).collections == {}


def test_no_day_before_the_first_one_is_due(daemon: Daemon) -> None:
    daemon.tick(at(16, 0, 3))
    settings = replace(daemon.platform.settings, first_day=date(2026, 11, 18))
    daemon.platform.settings = settings

    assert find_due(daemon.platform, at(17, 0, 3)).collections == {}
    assert find_due(daemon.platform, at(18, 9)).collections == {"tech": [date(2026, 11, 18)]}


def test_a_used_up_quota_leaves_out_past_days_and_nothing_else(daemon: Daemon) -> None:
    daemon.tick(at(16, 13, 3))
    now = at(18, 13, 3)
    open_ledger(daemon.platform.settings).mark_exhausted(YOUTUBE_SEARCH, now)

    due = find_due(daemon.platform, now)

    past = [due.targets["tech"][date(2026, 11, day)] for day in (16, 17)]
    assert all(("hn", "by_date") in chosen for chosen in past)
    assert not any(("youtube", "search/rust") in chosen for chosen in past)


def test_a_ledger_that_cannot_be_read_leaves_out_what_it_counts(daemon: Daemon) -> None:
    daemon.tick(at(16, 13, 3))
    ledger = daemon.platform.settings.state / "quota.sqlite"
    ledger.write_bytes(b"no ledger")

    due = find_due(daemon.platform, at(17, 3, 3))

    assert due.targets["tech"][date(2026, 11, 16)] == {("hn", "by_date")}


def publish_videos(platform: Platform, *published: datetime | None) -> None:
    videos = VIDEOS.frame(
        [
            {
                "workspace_id": "tech",
                "video_id": f"video{number:06d}",
                "script_id": "s",
                "channel_id": None,
                "title": "t",
                "generation_method": None,
                "published_at": moment,
            }
            for number, moment in enumerate(published)
        ]
    )
    publish_alone(platform.slice("tech", None, RUN), VIDEOS, videos)


def test_metrics_are_due_hourly_for_workspaces_with_a_published_video(daemon: Daemon) -> None:
    today = date(2026, 11, 16)
    assert find_due(daemon.platform, at(16, 12, 3)).metrics == {}
    publish_videos(daemon.platform, at(18))
    assert find_due(daemon.platform, at(16, 12, 3)).metrics == {}
    publish_videos(daemon.platform, at(15), None)

    assert daemon.tick(at(16, 12, 3)).metrics == {"tech": [today]}
    assert find_due(daemon.platform, at(16, 12, 53)).metrics == {}
    assert find_due(daemon.platform, at(16, 13, 3)).metrics == {"tech": [today]}


def test_under_replay_a_day_is_due_once(platform: Platform) -> None:
    platform.workspaces.save(make_workspace("tech"))
    now = platform.now()

    first = find_due(platform, now)
    for name, days in first.collections.items():
        for day in days:
            collect(platform, name, day, first)

    assert first.collections == {"finance": [now.date()], "tech": [now.date()]}
    assert find_due(platform, now).collections == {}


def test_the_interval_is_the_workspaces_own_or_the_installations(daemon: Daemon) -> None:
    daemon.platform.workspaces.save(
        make_workspace("hourly", sources={"every_hours": 1, "hn": {"enabled": True}})
    )
    daemon.tick(at(16, 0, 3))

    assert set(find_due(daemon.platform, at(16, 1, 3)).collections) == {"hourly"}
    daemon.platform.settings = replace(daemon.platform.settings, every_hours=2)
    assert set(find_due(daemon.platform, at(16, 2, 3)).collections) == {"hourly", "tech"}
