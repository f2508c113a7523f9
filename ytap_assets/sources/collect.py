"""Collecting: every source a workspace wants, for every day asked for.

No source stops another: each fetch ends in a `Fetch` with its outcome. Belongs here: which fetches
there are. Does not belong here: storing them (`operations`).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time as clocks
import traceback
from collections.abc import Awaitable, Callable, Iterable, Sequence
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
from ytap_assets.sources.http.cache import KeptAnswers
from ytap_assets.sources.http.client import Conduct, HttpClient, Pacer, Patience, RetryPolicy
from ytap_assets.sources.http.exchange import (
    NOT_MODIFIED,
    Exchange,
    SourceError,
    UnexpectedError,
    UnrecoverableError,
)
from ytap_assets.sources.http.recordings import (
    RecordTransport,
    ReplayTransport,
    day_folder,
    live_transport,
)
from ytap_assets.sources.http.safety import blanked_logs
from ytap_assets.sources.http.state import ParkedHosts, open_ledger
from ytap_assets.sources.source import (
    Answers,
    Fetch,
    Parsed,
    Query,
    Source,
    Token,
    Unreadable,
    Visit,
)
from ytap_assets.sources.youtube import batch_videos
from ytap_assets.tables import QUARANTINED_ROWS, RAW_PAYLOADS, RAW_TRENDS, Table
from ytap_assets.tables.evidence import Outcome
from ytap_assets.workspaces import Workspace

Clock = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]

_ANSWERS, _PARKED = "answers.sqlite", "parked.sqlite"
_NAMES_NOT_SECRETS = frozenset({"YTAP_SECRET_REDDIT_USER"})
"""Public names that travel with the secrets; blanking a common word would spoil the payloads."""


class Session:
    """One conversation with the outside world: ``async with open_session(settings) as session``.

    Its clients share their manners and their tokens, in memory only; live, all sessions of the
    installation share what they were answered.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        now: Clock | None = None,
        catalog: Catalog = CATALOG,
        keeps_answers: bool = True,
        network: Callable[[], httpx.AsyncBaseTransport] = live_transport,
        retries: RetryPolicy | None = None,
        patience: Patience | None = None,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = clocks.monotonic,
    ) -> None:
        """Take what a session depends on; nothing is opened yet.

        Args:
            settings: Say which transport answers, and hold the secrets.
            now: The present, live and recording; the settings' by default.
            catalog: The sources there are; no other host is asked.
            keeps_answers: Whether, live, earlier answers save requests.
            network: Makes the transport that asks the real hosts.
            retries: How often a transient failure is tried again.
            patience: How long an answer may take.
            sleep: Waits so many seconds.
            monotonic: A clock that never jumps, for spacing requests.
        """
        self.settings = settings
        self.catalog = catalog
        self._now = now or settings.now
        self._today = self._now().astimezone(UTC).date()
        self._network = network
        self._keeps_answers = keeps_answers
        self._conduct = Conduct(
            hosts=catalog.hosts,
            clock=self._now,
            sleep=sleep,
            pacer=Pacer(catalog.spacing_s, monotonic),
            retries=retries or RetryPolicy(),
            patience=patience or Patience(),
            parked=ParkedHosts(settings.state / _PARKED),
            ledger=open_ledger(settings),
        )
        for name, secret in settings.secrets.items():
            if name not in _NAMES_NOT_SECRETS:
                self._conduct.redactor.learn(secret)
        self._tokens: dict[str, Token] = {}
        self._visits: dict[date, Visit] = {}
        self._live: HttpClient | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        conduct = self._conduct
        self._stack.enter_context(blanked_logs(conduct.redactor))
        if conduct.pacer is not None and conduct.parked is not None:
            for host, wait in conduct.parked.waits(self._now()).items():
                conduct.pacer.park(host, wait)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def visit(self, day: date) -> Visit:
        """What a source needs to ask about ``day``; the same one each time."""
        if day not in self._visits:
            self._visits[day] = await self._open_visit(day)
        return self._visits[day]

    async def _open_visit(self, day: date) -> Visit:
        if self.settings.transport == "replay":
            return await self._open_replay(day)
        if self.settings.transport == "record":
            # A recording has to be whole: a 304, or an answer of before, is none.
            client = await self._open_client(self._record(day), self._conduct)
        else:
            if self._live is None:
                kept = KeptAnswers(self.settings.state / _ANSWERS) if self._keeps_answers else None
                conduct = replace(self._conduct, kept=kept)
                self._live = await self._open_client(self._network(), conduct)
            client = self._live
        return self._describe(day, self._now, client, is_replay=False)

    async def _open_replay(self, day: date) -> Visit:
        transport = ReplayTransport(day_folder(self.settings.recordings, day))
        present = transport.recorded_until or datetime.combine(day, time.max, UTC)
        # A recording answers the same however often and slowly it is asked.
        conduct = replace(
            self._conduct,
            clock=lambda: present,
            pacer=None,
            retries=RetryPolicy(attempts=1),
            parked=None,
            ledger=None,
        )
        client = await self._open_client(transport, conduct)
        visit = self._describe(day, lambda: present, client, is_replay=True)
        return replace(visit, find_recording=transport.find_recording)

    def _record(self, day: date) -> httpx.AsyncBaseTransport:
        return RecordTransport(
            self._network(),
            day_folder(self.settings.recordings, day),
            clock=self._now,
            redactor=self._conduct.redactor,
        )

    async def _open_client(
        self, transport: httpx.AsyncBaseTransport, conduct: Conduct
    ) -> HttpClient:
        return await self._stack.enter_async_context(HttpClient(transport, conduct))

    def _describe(self, day: date, now: Clock, client: HttpClient, *, is_replay: bool) -> Visit:
        return Visit(
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
        catalog: The sources there are.
    """
    return Session(settings, now=now, catalog=catalog)


_Plan = list[tuple[Source, str]]


async def collect_trends(
    workspace: Workspace, days: Iterable[date], *, session: Session, run_id: str
) -> list[Fetch]:
    """Ask every source the workspace wants about every day.

    Args:
        workspace: Whose config says what is wanted. One that does not collect gives nothing.
        days: The days, in any order. Past days are asked only of sources that can answer for
            them; the others' fetches end ``unrecoverable``, without a request.
        session: An open session.
        run_id: What ``collection_log`` calls this run.

    Returns:
        One fetch per day, source that is due and target, in this order; ``rows`` are `raw_trends`.
    """
    if not workspace.collects:
        return []
    plan: _Plan = [
        (source, target)
        for source in session.catalog.trends
        for target in source.targets(workspace)
    ]
    return await _collect(lambda _: plan, workspace, days, session, run_id)


async def collect_video_metrics(
    workspace: Workspace,
    video_ids: Sequence[str],
    days: Iterable[date],
    *,
    session: Session,
    run_id: str,
) -> list[Fetch]:
    """Ask for the present counts of given videos.

    Args:
        workspace: Whose videos they are. One that does not collect gives nothing.
        video_ids: YouTube ids; asked in batches of 50, sorted, each once. On replay, those that
            were not recorded are a fetch of their own, which ends ``not_recorded``.
        days: The metric dates. The counts are as of now, so a day that is over cannot be had.
        session: An open session.
        run_id: What ``collection_log`` calls this run.

    Returns:
        One fetch per day and batch; ``rows`` are `video_metrics`.

    Raises:
        ValueError: One of the ids is not a video id.
    """
    if not workspace.collects:
        return []
    stats = session.catalog.video_stats

    def plan(visit: Visit) -> _Plan:
        return [(stats, target) for target in batch_videos(video_ids, visit.find_recording)]

    return await _collect(plan, workspace, days, session, run_id)


async def _collect(
    plan: Callable[[Visit], _Plan],
    workspace: Workspace,
    days: Iterable[date],
    session: Session,
    run_id: str,
) -> list[Fetch]:
    """The plan for each day: its fetches at once, kept apart by the hosts' spacing."""
    fetches: list[Fetch] = []
    for day in sorted(set(days)):
        visit = await session.visit(day)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(fetch_target(source, target, workspace, visit, run_id=run_id))
                for source, target in plan(visit)
                if source.is_due(visit.day, visit.now())
            ]
        fetches += [task.result() for task in tasks]
    return fetches


_LOG = logging.getLogger(__name__)
_STANDING: frozenset[Outcome] = frozenset({"unrecoverable", "disabled"})
"""What is so however often it is asked for, and is said once."""
_SHOWN_CHARS = 300


@dataclass
class _Conversation:
    """What was asked and answered, and what ended it."""

    started_at: datetime
    exchanges: list[Exchange] = field(default_factory=list)
    error: SourceError | None = None

    @property
    def attempts(self) -> int:
        failed = self.error.attempts if self.error else 0
        return failed + sum(exchange.attempts for exchange in self.exchanges)

    @property
    def evidence(self) -> list[Exchange]:
        """Every answer, the refused one included."""
        refused = self.error.exchange if self.error else None
        return [*self.exchanges, refused] if refused else self.exchanges


async def fetch_target(
    source: Source, target: str, workspace: Workspace, visit: Visit, *, run_id: str
) -> Fetch:
    """Ask ``source`` for ``target`` and read what it answers.

    Never raises for what a platform does, nor for a fault of the source's code: the outcome and
    its detail are in the fetch's log, and other targets go on. What arrived before a failure is
    kept. Under replay the same recordings give the same fetch, ids included.
    """
    conversation = await _converse(source, Query(source.name, target, workspace, visit))
    parsed, rows = _parse(source, conversation, visit)
    ended = _describe(conversation, parsed)
    # The same fetch replayed has the same name, and so has the same refusal: it is stored once.
    stands = ended["outcome"] in _STANDING and not conversation.evidence
    told_apart = ended["outcome"] if stands else conversation.started_at.isoformat()
    shared = {
        "workspace_id": workspace.workspace_id,
        "day": visit.day,
        "collection_id": name_by_content(
            workspace.workspace_id, source.name, target, visit.day.isoformat(), told_apart
        ),
    }
    log = {
        **shared,
        "source": source.name,
        "target": target,
        "history": source.history,
        **ended,
        "started_at": conversation.started_at,
        "finished_at": visit.now(),
        "run_id": run_id,
    }
    _announce(log)
    return Fetch(
        log=log,
        rows=rows.with_columns(pl.lit(value).alias(name) for name, value in shared.items()),
        quarantined=frame_quarantined(parsed.unreadable, source.name, shared),
        payloads=_frame_payloads(conversation.evidence, source.name, shared),
    )


async def _converse(source: Source, query: Query) -> _Conversation:
    """Ask for everything, up to what ends it."""
    conversation = _Conversation(started_at=query.visit.now())
    try:
        _check_answerable(source, query.visit)
        async for exchange in source.ask(query):
            conversation.exchanges.append(exchange)
    except SourceError as error:
        conversation.error = error
    except Exception as error:  # a bug: whatever it is, the other targets go on
        conversation.error = _own_fault(error, f"{source.name} {query.target}", query.visit)
    return conversation


def _parse(
    source: Source, conversation: _Conversation, visit: Visit
) -> tuple[Parsed, pl.DataFrame]:
    """What was answered, and its rows, still without what the rows of a fetch share."""
    try:
        parsed = source.parse(Answers(visit.day, conversation.exchanges))
        rows = source.table.frame(parsed.rows)
    except Exception as error:
        problem = _own_fault(error, f"reading {source.name}", visit)
        return Parsed(problem=problem), source.table.empty()
    kept = visit.client.conduct.kept
    if parsed.problem is not None and kept is not None:
        kept.forget(urldefrag(each.url).url for each in conversation.exchanges)
    return parsed, rows


def _own_fault(error: Exception, what: str, visit: Visit) -> UnexpectedError:
    """An exception nobody foresaw, told in the log with its traceback, without secrets."""
    redact = visit.client.conduct.redactor.text
    trace = redact("".join(traceback.format_exception(error)))
    _LOG.error("%s failed unexpectedly:\n%s", what, _legible(trace, keep="\n"))
    said = _legible(redact(f"{type(error).__name__}: {error}")[:_SHOWN_CHARS])
    return UnexpectedError(
        f"{said}: a fault of this program; its log has the traceback, and what had arrived is in"
        " raw_payloads, to be parsed again"
    )


def _legible(text: str, *, keep: str = "") -> str:
    """The text as any log can hold it: half a surrogate pair cannot be written, nor stored."""
    return "".join(char if char.isprintable() or char in keep else "\ufffd" for char in text)


def name_by_content(*parts: str) -> str:
    """A name made of what it names: 32 hex digits."""
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).hexdigest()[:32]


def frame_quarantined(
    unreadable: Sequence[Unreadable], source: str, shared: dict[str, Any]
) -> pl.DataFrame:
    """Rows of ``quarantined_rows``.

    Args:
        unreadable: The items put aside.
        source: The platform.
        shared: ``workspace_id``, ``day`` and ``collection_id``.
    """
    collection_id = str(shared["collection_id"])
    return QUARANTINED_ROWS.frame(
        [
            {
                **shared,
                "quarantine_id": name_by_content(
                    collection_id, item.origin, item.place, item.original
                ),
                "source": source,
                "origin": item.origin,
                "place": item.place,
                "reason": item.reason,
                "original": item.original,
                "quarantined_at": item.seen_at,
            }
            for item in unreadable
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


def _check_answerable(source: Source, visit: Visit) -> None:
    if visit.day > visit.today:
        raise UnrecoverableError(f"{visit.day} has not begun; ask again then")
    if visit.day < visit.today and source.history != "date_queryable":
        raise UnrecoverableError(
            f"{source.name} only shows the present ({source.history}); {visit.day} is over"
        )


def _describe(conversation: _Conversation, parsed: Parsed) -> dict[str, Any]:
    """How it ended, and how much there was."""
    error = conversation.error or parsed.problem
    evidence = conversation.evidence
    unchanged = bool(evidence) and all(each.status == NOT_MODIFIED for each in evidence)
    outcome: Outcome = "not_modified" if unchanged else "ok"
    return {
        "outcome": error.outcome if error else outcome,
        "detail": str(error) if error else parsed.remark,
        "http_status": evidence[-1].status if evidence else None,
        "attempts": conversation.attempts,
        "fetched": len(parsed.rows) + len(parsed.unreadable),
        "accepted": 0,
        "quarantined": len(parsed.unreadable),
        "duplicates": 0,
    }


def _announce(log: dict[str, Any]) -> None:
    level = logging.INFO if log["outcome"] in {"ok", "not_modified"} else logging.WARNING
    _LOG.log(
        level,
        "%s %s %s: %s, %d rows, %d put aside%s",
        log["workspace_id"],
        log["source"],
        log["target"],
        log["outcome"],
        log["fetched"] - log["quarantined"],
        log["quarantined"],
        f" ({log['detail']})" if log["detail"] else "",
    )


def parse_payloads(
    payloads: pl.DataFrame, table: Table = RAW_TRENDS, *, catalog: Catalog = CATALOG
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Read stored payloads again, with the parsers that read them first; no network.

    The rows carry the collection and the observation time they had, so storing them again adds
    only what was missing.

    Args:
        payloads: Rows of ``raw_payloads``, whole collections of any workspaces and days.
        table: Which table's sources are read.
        catalog: The sources there are.

    Returns:
        Rows of ``table`` and of ``quarantined_rows``.
    """
    rows, quarantined = [table.empty()], [QUARANTINED_ROWS.empty()]
    ordered = payloads.sort("workspace_id", "day", "collection_id", "payload_id")
    for collection in ordered.partition_by("workspace_id", "collection_id", maintain_order=True):
        first = collection.row(0, named=True)
        source = catalog.find(first["source"], first["url"])
        if source is None or source.table is not table:
            continue
        shared = {name: first[name] for name in ("workspace_id", "day", "collection_id")}
        exchanges = [_restore(payload) for payload in collection.iter_rows(named=True)]
        parsed = source.parse(Answers(first["day"], exchanges))
        rows.append(table.frame([{**row, **shared} for row in parsed.rows]))
        quarantined.append(frame_quarantined(parsed.unreadable, source.name, shared))
    return pl.concat(rows), pl.concat(quarantined)


def _restore(payload: dict[str, Any]) -> Exchange:
    return Exchange(
        url=payload["url"],
        status=payload["http_status"],
        headers={},
        body=payload["body"],
        fetched_at=payload["fetched_at"],
        is_truncated=payload["is_truncated"],
    )
