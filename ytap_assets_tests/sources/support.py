"""Shared by the tests of the sources: fake clocks, scripted responses, sessions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import polars as pl

from ytap_assets.settings import Settings
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import Session, collect_trends, open_session, parse_payloads
from ytap_assets.sources.http.client import HttpClient, HttpConfig, RateLimiter, RetryPolicy
from ytap_assets.sources.http.exchange import Exchange
from ytap_assets.sources.source import Fetch
from ytap_assets.workspaces import Workspace

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
CHANNEL = "UCbR7vQxk2mT9dWnLs4HyPzA"
HOST = "api.example"

Handler = Callable[[httpx.Request], httpx.Response]
T = TypeVar("T")


class FakeClock:
    """A clock that advances only in `sleep`."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=sum(self.slept))

    def monotonic(self) -> float:
        return 1000.0 + sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class SharedClock:
    """A clock for concurrent tasks: it advances to the next one that wakes."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._wakes: list[float] = []

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self._passed)

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        wakes = self._passed + seconds
        self._wakes.append(wakes)
        while self._passed < wakes:
            for _ in range(10):  # let all other tasks run before time advances
                await asyncio.sleep(0)
            if wakes == min(self._wakes):
                self._passed = wakes
        self._wakes.remove(wakes)


class SlowTransport(httpx.AsyncBaseTransport):
    """A network whose responses take half a second, during which other tasks run."""

    def __init__(self, near: httpx.AsyncBaseTransport, clock: SharedClock) -> None:
        self._near = near
        self._clock = clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._clock.sleep(0.5)
        return await self._near.handle_async_request(request)


class ScriptedHandler:
    """A handler with a list of responses, the last one repeated; stores the requests."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine."""
    return asyncio.run(work)


def transport_of(handler: Handler) -> httpx.MockTransport:
    """A transport whose responses can be streamed, more than once."""

    def stream(request: httpx.Request) -> httpx.Response:
        response = handler(request)
        if isinstance(response.stream, httpx.ByteStream) and not hasattr(response, "_content"):
            return response
        headers = [pair for pair in response.headers.raw if pair[0].lower() != b"content-length"]
        body = httpx.ByteStream(response.content)
        return httpx.Response(response.status_code, headers=headers, stream=body)

    return httpx.MockTransport(stream)


def raw(body: bytes, *, headers: dict[str, str] | None = None) -> Handler:
    """A handler that responds with raw bytes, compressed or not."""
    return lambda _: httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


def make_client(handler: Handler, clock: FakeClock | SharedClock, /, **options: Any) -> HttpClient:
    """A client of the handler, without jitter."""
    config: dict[str, Any] = {
        "hosts": frozenset({HOST, "other.example"}),
        "clock": clock.now,
        "sleep": clock.sleep,
        "rate_limiter": RateLimiter({}, clock.monotonic),
        "retries": RetryPolicy(jitter=lambda: 0.0),
        **options,
    }
    transport: httpx.AsyncBaseTransport = transport_of(handler)
    if isinstance(clock, SharedClock):
        transport = SlowTransport(transport, clock)
    return HttpClient(transport, HttpConfig(**config))


def make_settings(root: Path, transport: str = "live", **secrets: str) -> Settings:
    """Settings of an installation under ``root``."""
    env = {f"YTAP_SECRET_{name}": value for name, value in secrets.items()}
    return Settings.from_env({"YTAP_DATA": str(root), "YTAP_TRANSPORT": transport, **env})


def make_session(
    settings: Settings,
    handler: Handler,
    clock: FakeClock | None = None,
    *,
    use_cache: bool = False,
) -> Session:
    """A session whose network is the handler."""
    clock = clock or FakeClock()
    return Session(
        settings,
        now=clock.now,
        use_cache=use_cache,
        network=lambda: transport_of(handler),
        sleep=clock.sleep,
        monotonic=clock.monotonic,
    )


def make_workspace(**sources: Any) -> Workspace:
    """A workspace with these sources only."""
    wanted = {"hn": {"enabled": False}, **sources}
    return Workspace.model_validate(
        {"workspace_id": "tech", "name": "Tech", "vertical": "technology", "sources": wanted}
    )


HN = make_workspace(hn={"min_points": 50})
REDDIT = make_workspace(reddit={"subreddits": ["rust"]})
CHARTS = make_workspace(youtube={"regions": ["US"], "categories": ["20"]})
CHANNELS = make_workspace(youtube={"monitored_channels": [{"id": CHANNEL}]})


def collect(
    workspace: Workspace, settings: Settings, handler: Handler, day: date = TODAY
) -> list[Fetch]:
    """Collect one day of trends with the handler as network."""

    async def work() -> list[Fetch]:
        async with make_session(settings, handler) as session:
            return await collect_trends(workspace, day, session=session, run_id="run")

    return run(work())


def replay(workspace: Workspace, days: Iterable[date], settings: Settings) -> list[Fetch]:
    """Collect days of trends from recordings."""

    async def work() -> list[Fetch]:
        async with open_session(settings) as session:
            fetches: list[Fetch] = []
            for day in days:
                fetches += await collect_trends(workspace, day, session=session, run_id="run")
            return fetches

    return run(work())


def parse_again(
    payloads: pl.DataFrame, catalog: Catalog = CATALOG
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows and quarantined rows of stored payloads of any fetches, in any order."""
    parsed = []
    ordered = payloads.sort("workspace_id", "day", "collection_id", "payload_id")
    for fetch in ordered.partition_by("workspace_id", "collection_id", maintain_order=True):
        source = catalog.find(fetch.item(0, "source"), fetch.item(0, "url"))
        assert source is not None
        parsed.append(parse_payloads(source, fetch))
    return pl.concat(rows for rows, _, _ in parsed), pl.concat(aside for _, aside, _ in parsed)


def answer(body: object, url: str = "https://api.example/x", status: int = 200) -> Exchange:
    """An exchange whose body is bytes, or a value that is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(url=url, status=status, headers={}, body=content, fetched_at=NOW)


def reasons(fetch: Fetch) -> list[str]:
    """The reasons of quarantined rows."""
    return fetch.quarantined["reason"].to_list()


def check_conservation(fetch: Fetch) -> None:
    """Every fetched item is a row or quarantined, and all rows can be stored."""
    assert fetch.log["fetched"] == fetch.rows.height + fetch.quarantined.height
    assert fetch.log["quarantined"] == fetch.quarantined.height
    for frame in (fetch.rows, fetch.quarantined):
        ids = frame.select(pl.col("collection_id").unique()).to_series().to_list()
        assert ids in ([], [fetch.log["collection_id"]])
