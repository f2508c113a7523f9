"""What a source is: the shape that every platform's module fills.

Belongs here: the contract between the platforms' modules and what runs them (`fetching`,
`collect`). Does not belong here: any platform.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from ytap_assets.domain.quota import Bucket
from ytap_assets.settings import Settings
from ytap_assets.sources.exchange import FRESH_S, Exchange, Request
from ytap_assets.sources.http.client import HttpClient
from ytap_assets.sources.http.exchange import DisabledError
from ytap_assets.sources.parsing import Parsed
from ytap_assets.tables import RAW_TRENDS, Table
from ytap_assets.workspaces import Workspace

History = Literal["date_queryable", "as_of_now", "snapshot_only"]
"""What a source can answer for past days.

``date_queryable``: the items of that day. ``as_of_now``: known items, with today's counts.
``snapshot_only``: nothing but the list as it stands now.
"""


@dataclass(frozen=True)
class Token:
    """An access token and when it ends. Lives in memory only."""

    value: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True)
class Visit:
    """What a source has at hand while it asks about one day.

    Attributes:
        day: The day that is asked about.
        now: The present; on replay, the end of what was recorded for the day.
        today: The date on which the session was opened, which may be over by now; on replay, the
            date of ``now``.
        client: Asks over HTTP.
        settings: Where secrets are asked for by name.
        is_replay: Whether recordings answer, so that no key is needed.
        tokens: Access tokens by source, shared by the session.
        find_recording: Which recorded exchange answers a GET of a URL, on replay; None where none
            does, and always where the network is asked.
    """

    day: date
    now: Callable[[], datetime]
    today: date
    client: HttpClient
    settings: Settings = field(repr=False)
    is_replay: bool
    tokens: dict[str, Token] = field(repr=False)
    find_recording: Callable[[str], object | None] = field(default=lambda _: None, repr=False)

    def find_secret(self, name: str) -> str | None:
        """A secret, or None where it is not set.

        Raises:
            DisabledError: It holds characters that no header can carry.
        """
        secret = self.settings.secret(name)
        if secret is not None and not (secret.isascii() and secret.isprintable()):
            raise DisabledError(f"YTAP_SECRET_{name} holds characters that are not printable ASCII")
        return secret

    def key_header(self, name: str, header: str) -> dict[str, str]:
        """The header that carries a key; none on replay.

        Raises:
            DisabledError: The key is not set.
        """
        if self.is_replay:
            return {}
        key = self.find_secret(name)
        if key is None:
            raise DisabledError(f"set YTAP_SECRET_{name} to collect this")
        return {header: key}


@dataclass(frozen=True)
class Query:
    """One fetch to be made.

    Attributes:
        source: On whose behalf.
        target: What is asked for: one of the source's targets, or a batch of ids.
        workspace: For whom; its config says how much is asked.
        visit: The day, the present and the client.
    """

    source: str
    target: str
    workspace: Workspace
    visit: Visit

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        is_public: bool | None = None,
        fresh_s: float = FRESH_S,
        bucket: Bucket | None = None,
    ) -> Exchange:
        """GET a URL with the visit's client.

        Args:
            url: The URL; secrets never go here.
            headers: Ordinary headers.
            secrets: Headers that hold secrets.
            is_public: Whether the answer is the same whoever asks; by default it is where no
                secret is sent.
            fresh_s: For how many seconds a public answer serves without asking again.
            bucket: The allowance it costs something of.

        Raises:
            SourceError: It did not work; which kind says whether it ever will.
        """
        request = Request(
            url,
            self.source,
            headers=headers or {},
            secrets=secrets or {},
            is_public=not secrets if is_public is None else is_public,
            fresh_s=fresh_s,
            bucket=bucket,
        )
        return await self.visit.client.send(request)


@dataclass(frozen=True)
class Answers:
    """What one fetch brought: the exchanges in the order they were made, and the day asked for."""

    day: date
    exchanges: Sequence[Exchange]


class Source(ABC):
    """One platform's list of something.

    Attributes:
        name: The platform, as in ``collection_log.source``.
        history: What it can answer for past days.
        hosts: The only hosts it asks.
        spacing_s: Seconds between two requests to a host.
        table: The table its rows belong to.
        key: The name of the secret without which it cannot be asked; None where it can.
    """

    name: ClassVar[str]
    history: ClassVar[History]
    hosts: ClassVar[frozenset[str]]
    spacing_s: ClassVar[float]
    table: ClassVar[Table]
    key: ClassVar[str | None] = None

    @abstractmethod
    def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for everything one target has, request by request.

        Raises:
            SourceError: It did not work; what was yielded before still counts.
        """

    @abstractmethod
    def parse(self, answers: Answers) -> Parsed:
        """Read what one fetch brought. Pure, and used again on stored payloads."""

    def is_due(self, day: date, now: datetime) -> bool:  # noqa: ARG002 - for who overrides it
        """Whether there is reason to ask about a day.

        There is none where another source of the same name brings it; the log says nothing then.
        """
        return True

    def begins_with(self, url: str) -> bool:
        """Whether its fetches begin with a URL like this one: how stored payloads find it again.

        Two sources of one name that share a host tell themselves apart here.
        """
        return urlsplit(url).hostname in self.hosts


class TrendSource(Source):
    """A source of `raw_trends`, asked for by a workspace's config."""

    table = RAW_TRENDS

    @abstractmethod
    def targets(self, workspace: Workspace) -> Sequence[str]:
        """What the workspace wants from it; empty where it wants nothing."""
