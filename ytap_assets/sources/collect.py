"""Collecting: a session with the platforms, and the fetches of a workspace for given days.

Every fetch ends in a `Fetch` with its outcome, whatever the platform or the source's code does. A
source that fails does not affect the others.

When live or recording, the present is that of the given clock. On replay the present of a day is
the end of its recordings, so replaying a day twice gives the same rows. `today` is set when the
session is opened: a session that runs past midnight completes its day.

Does not belong here: storing the fetches (`operations`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time as clocks
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urldefrag

import httpx
import polars as pl

from ytap_assets.settings import Settings
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.http.client import (
    HttpClient,
    HttpConfig,
    RateLimiter,
    RetryPolicy,
    Timeouts,
    live_transport,
)
from ytap_assets.sources.http.exchange import (
    NOT_MODIFIED,
    Exchange,
    SourceError,
    UnexpectedError,
    UnrecoverableError,
)
from ytap_assets.sources.http.recordings import RecordTransport, ReplayTransport, day_folder
from ytap_assets.sources.http.safety import redacted_logs
from ytap_assets.sources.http.state import (
    CACHE,
    LEDGER,
    RETRY_AFTER,
    QuotaLedger,
    ResponseCache,
    RetryAfterStore,
    open_state,
)
from ytap_assets.sources.source import (
    Fetch,
    FetchContext,
    Parsed,
    Query,
    RejectedItem,
    Responses,
    Source,
    Token,
)
from ytap_assets.sources.youtube import batch_videos
from ytap_assets.tables import QUARANTINED_ROWS, RAW_PAYLOADS
from ytap_assets.tables.evidence import ANSWERED, Outcome
from ytap_assets.workspaces import Workspace

Clock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]
Targets = Mapping[date, Collection[tuple[str, str]]]
"""The targets to fetch of each day, as (source, target)."""

_LOG = logging.getLogger(__name__)
_NOT_SECRET = frozenset({"YTAP_SECRET_REDDIT_USER"})
"""Public names that are set like secrets; redacting a common word would damage payloads."""
_SHOWN_CHARS = 300


class Session:
    """An open session with the platforms: ``async with open_session(settings) as session``.

    Its clients share their configuration and access tokens, in memory only; live, all sessions of
    the installation share the response cache.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Clock | None = None,
        catalog: Catalog = CATALOG,
        use_cache: bool = True,
        network: Callable[[], httpx.AsyncBaseTransport] = live_transport,
        retries: RetryPolicy | None = None,
        timeouts: Timeouts | None = None,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = clocks.monotonic,
    ) -> None:
        """Take what a session depends on; nothing is opened yet.

        Args:
            settings: The transport and the secrets.
            now: The present, live and recording; the settings' by default.
            catalog: The sources; requests are sent to their hosts only.
            use_cache: Whether the response cache is used when live.
            network: Creates the transport to the real hosts.
            retries: How transient failures are retried.
            timeouts: How long a response may take.
            sleep: Waits the given number of seconds.
            monotonic: A monotonic clock, for spacing requests.
        """
        self.settings = settings
        self.catalog = catalog
        self._now = now or settings.now
        self._today = self._now().astimezone(UTC).date()
        self._network = network
        self._use_cache = use_cache
        self._state = open_state(settings)
        self._config = HttpConfig(
            hosts=catalog.hosts,
            clock=self._now,
            sleep=sleep,
            rate_limiter=RateLimiter(catalog.spacing_s, monotonic),
            retries=retries or RetryPolicy(),
            timeouts=timeouts or Timeouts(),
            retry_after=RetryAfterStore(self._state(RETRY_AFTER)),
            ledger=QuotaLedger(self._state(LEDGER)),
        )
        for name, secret in settings.secrets.items():
            if name not in _NOT_SECRET:
                self._config.redactor.add(secret)
        self._tokens: dict[str, Token] = {}
        self._contexts: dict[date, FetchContext] = {}
        self._live: HttpClient | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        config = self._config
        self._stack.enter_context(redacted_logs(config.redactor))
        if config.rate_limiter is not None and config.retry_after is not None:
            for host, wait in config.retry_after.remaining(self._now()).items():
                config.rate_limiter.block(host, wait)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def context(self, day: date) -> FetchContext:
        """The context of the fetches for ``day``; the same one each time."""
        if day not in self._contexts:
            self._contexts[day] = await self._open_context(day)
        return self._contexts[day]

    async def _open_context(self, day: date) -> FetchContext:
        if self.settings.transport == "replay":
            return await self._open_replay(day)
        if self.settings.transport == "record":
            # A recording must be complete, so it contains no 304 and no cached response.
            client = await self._open_client(self._record(day), self._config)
        else:
            if self._live is None:
                cache = ResponseCache(self._state(CACHE)) if self._use_cache else None
                config = replace(self._config, cache=cache)
                self._live = await self._open_client(self._network(), config)
            client = self._live
        return self._context(day, self._now, client, is_replay=False)

    async def _open_replay(self, day: date) -> FetchContext:
        transport = ReplayTransport(day_folder(self.settings.recordings, day))
        present = transport.recorded_until or datetime.combine(day, time.max, UTC)
        # A recording needs no rate limit, no retries and no quota.
        config = replace(
            self._config,
            clock=lambda: present,
            rate_limiter=None,
            retries=RetryPolicy(attempts=1),
            retry_after=None,
            ledger=None,
        )
        client = await self._open_client(transport, config)
        context = self._context(day, lambda: present, client, is_replay=True)
        return replace(context, find_recording=transport.find_recording)

    def _record(self, day: date) -> httpx.AsyncBaseTransport:
        return RecordTransport(
            self._network(),
            day_folder(self.settings.recordings, day),
            clock=self._now,
            redactor=self._config.redactor,
        )

    async def _open_client(
        self, transport: httpx.AsyncBaseTransport, config: HttpConfig
    ) -> HttpClient:
        return await self._stack.enter_async_context(HttpClient(transport, config))

    def _context(
        self, day: date, now: Clock, client: HttpClient, *, is_replay: bool
    ) -> FetchContext:
        return FetchContext(
            day=day,
            now=now,
            today=now().date() if is_replay else self._today,
            client=client,
            settings=self.settings,
            is_replay=is_replay,
            tokens=self._tokens,
        )


def open_session(
    settings: Settings, *, now: Clock | None = None, catalog: Catalog = CATALOG
) -> Session:
    """A session with the transport, recordings and secrets of ``settings``.

    Args:
        settings: The installation's settings.
        now: The present, live and recording; the settings' by default.
        catalog: The sources.
    """
    return Session(settings, now=now, catalog=catalog)


async def collect_trends(
    workspace: Workspace,
    day: date,
    *,
    session: Session,
    run_id: str,
    targets: Targets | None = None,
) -> list[Fetch]:
    """Fetch every target of a workspace's config for a day.

    Args:
        workspace: The workspace. One that does not collect gives no fetches.
        day: The day. A source that cannot return a past day ends ``unrecoverable``, without a
            request.
        session: An open session.
        run_id: The run's id in ``collection_log``.
        targets: The targets to fetch, such as `operations.due` finds; all if None.

    Returns:
        One fetch per source that is due and target, in this order; ``rows`` are `raw_trends`.
    """
    if not workspace.collects:
        return []
    chosen = None if targets is None else targets.get(day, ())
    plan = [
        (source, target)
        for source in session.catalog.trends
        for target in source.targets(workspace)
        if chosen is None or (source.name, target) in chosen
    ]
    return await _collect(plan, workspace, await session.context(day), run_id)


async def collect_video_metrics(
    workspace: Workspace,
    video_ids: Sequence[str],
    day: date,
    *,
    session: Session,
    run_id: str,
) -> list[Fetch]:
    """Fetch the current counts of given videos.

    Args:
        workspace: The videos' workspace. One that does not collect gives no fetches.
        video_ids: YouTube ids; requested in sorted batches of 50 without repeats. On replay, ids
            that were not recorded are a fetch of their own, which ends ``not_recorded``.
        day: The metric date. The counts are current, so a past day cannot be fetched.
        session: An open session.
        run_id: The run's id in ``collection_log``.

    Returns:
        One fetch per batch; ``rows`` are `video_metrics`.

    Raises:
        ValueError: One of the ids is not a video id.
    """
    if not workspace.collects:
        return []
    context = await session.context(day)
    stats = session.catalog.video_stats
    plan = [(stats, target) for target in batch_videos(video_ids, context.find_recording)]
    return await _collect(plan, workspace, context, run_id)


async def _collect(
    plan: Iterable[tuple[Source, str]], workspace: Workspace, context: FetchContext, run_id: str
) -> list[Fetch]:
    """Fetch the targets that are due, concurrently."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(fetch_target(source, target, workspace, context, run_id=run_id))
            for source, target in plan
            if source.due_from(context.day) <= context.now()
        ]
    return [task.result() for task in tasks]


@dataclass
class _Requests:
    """The exchanges of one fetch, and the error that ended it."""

    started_at: datetime
    exchanges: list[Exchange] = field(default_factory=list)
    error: SourceError | None = None

    @property
    def attempts(self) -> int:
        failed = self.error.attempts if self.error else 0
        return failed + sum(exchange.attempts for exchange in self.exchanges)

    @property
    def evidence(self) -> list[Exchange]:
        """Every response, including the rejected one."""
        rejected = self.error.exchange if self.error else None
        return [*self.exchanges, rejected] if rejected else self.exchanges


async def fetch_target(
    source: Source, target: str, workspace: Workspace, context: FetchContext, *, run_id: str
) -> Fetch:
    """Fetch a target and parse the responses.

    Never raises for an error of the platform or a bug in the source's code: the fetch's log has the
    outcome and its detail. Responses received before a failure are stored. On replay the same
    recordings give the same fetch, including its ids.
    """
    requests = await _request(source, Query(source.name, target, workspace, context))
    parsed, rows = _parse(source, requests, context)
    ended = _describe_end(requests, parsed)
    # The same fetch replayed, or the same refusal without a request, has the same id.
    is_fixed = _is_fixed(ended["outcome"], source, context) and not requests.evidence
    discriminator = ended["outcome"] if is_fixed else requests.started_at.isoformat()
    shared = {
        "workspace_id": workspace.workspace_id,
        "day": context.day,
        "collection_id": hash_id(
            workspace.workspace_id, source.name, target, context.day.isoformat(), discriminator
        ),
    }
    log = {
        **shared,
        "source": source.name,
        "target": target,
        "history": source.history,
        **ended,
        "started_at": requests.started_at,
        "finished_at": context.now(),
        "run_id": run_id,
    }
    _log_end(log)
    return Fetch(
        log=log,
        rows=rows.with_columns(pl.lit(value).alias(name) for name, value in shared.items()),
        quarantined=frame_quarantined(parsed.rejected, source.name, shared),
        payloads=_frame_payloads(requests.evidence, source.name, shared),
    )


def _is_fixed(outcome: Outcome, source: Source, context: FetchContext) -> bool:
    """Whether an outcome is the same for every fetch, and is stored once."""
    return outcome == "unrecoverable" or (
        outcome == "disabled" and source.lacks_key(context.settings)
    )


async def _request(source: Source, query: Query) -> _Requests:
    """Send the requests of a fetch, until the first error."""
    requests = _Requests(started_at=query.context.now())
    try:
        _check_day(source, query.context)
        async for exchange in source.fetch(query):
            requests.exchanges.append(exchange)
    except SourceError as error:
        requests.error = error
    except Exception as error:  # a bug: the other targets continue
        requests.error = _unexpected(error, f"{source.name} {query.target}", query.context)
    return requests


def _check_day(source: Source, context: FetchContext) -> None:
    if context.day > context.today:
        raise UnrecoverableError(f"{context.day} is in the future")
    if context.day < context.today and source.history != "date_queryable":
        raise UnrecoverableError(
            f"{source.name} returns only the present, and {context.day} is in the past"
        )


def _parse(
    source: Source, requests: _Requests, context: FetchContext
) -> tuple[Parsed, pl.DataFrame]:
    """The parsed responses, and their rows without the columns that a fetch shares."""
    try:
        parsed = source.parse(Responses(context.day, requests.exchanges))
        rows = source.table.frame(parsed.rows)
    except Exception as error:
        unexpected = _unexpected(error, f"parsing {source.name}", context)
        return Parsed(error=unexpected), source.table.empty()
    cache = context.client.config.cache
    if parsed.error is not None and cache is not None:
        cache.remove(urldefrag(each.url).url for each in requests.exchanges)
    return parsed, rows


def _unexpected(error: Exception, what: str, context: FetchContext) -> UnexpectedError:
    """The error of an unknown exception; its traceback is logged, without secrets."""
    redact = context.client.config.redactor.text
    trace = redact("".join(traceback.format_exception(error)))
    _LOG.error("%s failed unexpectedly:\n%s", what, make_loggable(trace, keep="\n"))
    text = make_loggable(redact(f"{type(error).__name__}: {error}")[:_SHOWN_CHARS])
    return UnexpectedError(
        f"{text}: an error in ytap; the traceback is in the log; the responses are in raw_payloads"
        " and can be parsed again"
    )


def make_loggable(text: str, *, keep: str = "") -> str:
    """The text without characters that cannot be logged or stored, such as surrogates."""
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)


def hash_id(*parts: str) -> str:
    """An id derived from its parts: 32 hex digits."""
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def _describe_end(requests: _Requests, parsed: Parsed) -> dict[str, Any]:
    """The outcome and the counts of a fetch, as columns of ``collection_log``."""
    error = requests.error or parsed.error
    evidence = requests.evidence
    unchanged = bool(evidence) and all(each.status == NOT_MODIFIED for each in evidence)
    outcome: Outcome = "not_modified" if unchanged else "ok"
    return {
        "outcome": error.outcome if error else outcome,
        "detail": str(error) if error else parsed.note,
        "http_status": evidence[-1].status if evidence else None,
        "attempts": requests.attempts,
        "fetched": len(parsed.rows) + len(parsed.rejected),
        "accepted": 0,
        "quarantined": len(parsed.rejected),
        "duplicates": 0,
    }


def _log_end(log: dict[str, Any]) -> None:
    level = logging.INFO if log["outcome"] in ANSWERED else logging.WARNING
    _LOG.log(
        level,
        "%s %s %s: %s, %d rows, %d quarantined%s",
        log["workspace_id"],
        log["source"],
        log["target"],
        log["outcome"],
        log["fetched"] - log["quarantined"],
        log["quarantined"],
        f" ({log['detail']})" if log["detail"] else "",
    )


def frame_quarantined(
    rejected: Sequence[RejectedItem], source: str, shared: dict[str, Any]
) -> pl.DataFrame:
    """Rows of ``quarantined_rows``.

    Args:
        rejected: The rejected items.
        source: The source's name.
        shared: ``workspace_id``, ``day`` and ``collection_id``.
    """
    collection_id = str(shared["collection_id"])
    return QUARANTINED_ROWS.frame(
        [
            {
                **shared,
                "quarantine_id": hash_id(collection_id, item.origin, item.place, item.original),
                "source": source,
                "origin": item.origin,
                "place": item.place,
                "reason": item.reason,
                "original": item.original,
                "quarantined_at": item.seen_at,
            }
            for item in rejected
        ]
    )


def _frame_payloads(
    exchanges: Sequence[Exchange], source: str, shared: dict[str, Any]
) -> pl.DataFrame:
    return RAW_PAYLOADS.frame(
        [
            {
                **shared,
                "payload_id": f"{shared['collection_id']}-{number:04d}",
                "source": source,
                "url": exchange.url,
                "http_status": exchange.status,
                "content_type": exchange.content_type,
                "fetched_at": exchange.fetched_at,
                "size_bytes": len(exchange.body),
                "sha256": hashlib.sha256(exchange.body).hexdigest(),
                "is_truncated": exchange.is_truncated,
                "body": exchange.body,
            }
            for number, exchange in enumerate(exchanges)
        ]
    )


def parse_payloads(
    source: Source, payloads: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, SourceError | None]:
    """Parse the stored payloads of a fetch again with the current parser, without the network.

    The rows keep their collection and observation time, so storing them again adds only rows that
    were missing.

    Args:
        source: The source that fetched them; see `Catalog.find`.
        payloads: Rows of ``raw_payloads`` of one fetch, in order.

    Returns:
        Rows of the source's table and of ``quarantined_rows``, and why a response cannot be parsed
        at all, if one cannot.
    """
    first = payloads.row(0, named=True)
    shared = {name: first[name] for name in ("workspace_id", "day", "collection_id")}
    exchanges = [_read_payload(payload) for payload in payloads.iter_rows(named=True)]
    parsed = source.parse(Responses(first["day"], exchanges))
    rows = source.table.frame([{**row, **shared} for row in parsed.rows])
    return rows, frame_quarantined(parsed.rejected, source.name, shared), parsed.error


def _read_payload(payload: dict[str, Any]) -> Exchange:
    return Exchange(
        url=payload["url"],
        status=payload["http_status"],
        headers={},
        body=payload["body"],
        fetched_at=payload["fetched_at"],
        is_truncated=payload["is_truncated"],
    )
