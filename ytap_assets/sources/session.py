"""A session: everything the sources need to ask, built from the settings.

Live and recording, the present is the clock that is handed in. On replay each day is visited in
its own present, the end of what was recorded for it, so a day replayed twice gives the same.
What is `today` is settled when the session is made: one that crosses midnight finishes its day.

Belongs here: which transport, whose clock, shared manners. Does not belong here: what is asked
(`collect`).
"""

from __future__ import annotations

import asyncio
import time as clocks
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, time
from types import TracebackType
from typing import Self

import httpx

from ytap_assets.settings import Settings
from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.conduct import Conduct, Patience
from ytap_assets.sources.http.cache import KeptAnswers
from ytap_assets.sources.http.client import HttpClient
from ytap_assets.sources.http.recordings import day_folder
from ytap_assets.sources.http.safety import blanked_logs
from ytap_assets.sources.http.state import open_ledger
from ytap_assets.sources.pacing import Pacer, RetryPolicy
from ytap_assets.sources.parking import ParkedHosts
from ytap_assets.sources.source import Token, Visit
from ytap_assets.sources.transports import RecordTransport, ReplayTransport, live_transport

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
