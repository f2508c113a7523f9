"""What a source is: the shape that every platform's module fills.

Belongs here: the contract between the platforms' modules and what runs them (`fetching`,
`collect`). Does not belong here: any platform.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import polars as pl

from ytap_assets.domain.quota import Bucket
from ytap_assets.settings import Settings
from ytap_assets.sources.fields import UnreadableItemError, write_item
from ytap_assets.sources.http.client import HttpClient
from ytap_assets.sources.http.exchange import (
    FRESH_S,
    DisabledError,
    Exchange,
    MalformedError,
    Request,
    SourceError,
    describe_url,
)
from ytap_assets.tables import RAW_TRENDS, Table
from ytap_assets.workspaces import Workspace


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One observation of one item; what the platform does not tell is None.

    A source that shows several lists names the one in ``list_name``: what is seen in two lists in
    the same second is two observations.
    """

    source: str
    item_id: str
    observed_at: datetime
    title: str
    url: str | None = None
    discussion_url: str | None = None
    published_at: datetime | None = None
    points: int | None = None
    comments: int | None = None
    likes: int | None = None
    views: int | None = None
    list_name: str = ""
    rank: int | None = None
    region: str | None = None
    category: str | None = None
    channel_id: str | None = None
    channel_title: str | None = None
    duration_s: int | None = None
    is_promoted: bool | None = None

    def to_row(self) -> dict[str, Any]:
        """The fields by column name."""
        return dict(vars(self))


@dataclass(frozen=True)
class Fetch:
    """One fetch of one target, or one file read.

    Attributes:
        log: The row of ``collection_log``; ``fetched`` = rows + quarantined. ``accepted`` and
            ``duplicates`` are 0 until the rows are stored, when the lake knows which were new.
        rows: Rows of the table the source feeds (``raw_trends`` or ``video_metrics``).
        quarantined: Rows of ``quarantined_rows``.
        payloads: Rows of ``raw_payloads``; empty for files, which stay where they are.
    """

    log: dict[str, Any]
    rows: pl.DataFrame
    quarantined: pl.DataFrame
    payloads: pl.DataFrame


@dataclass(frozen=True)
class Item:
    """One item of a document.

    Attributes:
        content: The item as it came.
        place: Where in the document, in words.
        position: Its place in the list over all pages; 1 is the first.
        exchange: The exchange whose document holds it.
    """

    content: object
    place: str
    position: int
    exchange: Exchange


@dataclass(frozen=True)
class Unreadable:
    """An item that was put aside, and why."""

    origin: str
    place: str
    reason: str
    original: str
    seen_at: datetime


@dataclass
class Parsed:
    """What exchanges held.

    Attributes:
        rows: Columns of the table the source feeds, without the ones every row of a fetch shares.
        unreadable: Items put aside; with ``rows``, all there were.
        problem: What kept the first document that could not be read at all from it.
        remark: What the log should say although nothing went wrong.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    problem: SourceError | None = None
    remark: str | None = None


def parse_exchanges(
    exchanges: Sequence[Exchange],
    *,
    list_items: Callable[[Exchange], Sequence[object]],
    read_item: Callable[[Item], dict[str, Any]],
    noun: str,
    is_wanted: Callable[[Item], bool] = lambda _: True,
) -> Parsed:
    """Read every item of every usable exchange.

    Args:
        exchanges: The exchanges of one fetch, in order; error answers are passed over.
        list_items: Opens a document; raises `MalformedError` where it cannot.
        read_item: Turns an item into a row; raises `UnreadableItemError` where it cannot.
        noun: What an item is called in ``quarantined_rows.place``.
        is_wanted: Whether an item is read at all; others count neither as rows nor as unreadable.
    """
    parsed, position = Parsed(), 0
    for exchange in exchanges:
        if not exchange.is_answer:
            continue
        try:
            contents = list_items(exchange)
        except MalformedError as error:
            parsed.problem = parsed.problem or error
            continue
        for number, content in enumerate(contents, start=1):
            position += 1
            item = Item(content, f"{noun} {number}", position, exchange)
            if is_wanted(item):
                _read(item, read_item, parsed)
    return parsed


def _read(item: Item, read_item: Callable[[Item], dict[str, Any]], parsed: Parsed) -> None:
    try:
        parsed.rows.append(read_item(item))
    except UnreadableItemError as error:
        parsed.unreadable.append(
            Unreadable(
                origin=item.exchange.url,
                place=item.place,
                reason=str(error),
                original=write_item(item.content),
                seen_at=item.exchange.fetched_at,
            )
        )


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


async def follow_pages(
    fetch: Callable[[str | None], Awaitable[Exchange]],
    next_page: Callable[[Exchange], str | None],
    *,
    most: int,
) -> AsyncIterator[Exchange]:
    """Pages, from the first one on, until one names no next.

    Args:
        fetch: Asks for the page that a token names; None: the first.
        next_page: The token of the page after this one, or None on the last.
        most: How many pages are asked for at most.

    Raises:
        MalformedError: A page names one as the next that was there already.
        SourceError: A page could not be had.
    """
    token: str | None = None
    known: set[str] = set()
    for _ in range(most):
        page = await fetch(token)
        yield page
        token = next_page(page)
        if token is None:
            return
        if token in known:
            raise MalformedError(
                f"{describe_url(page.url)}: the pages go round in a circle; asked no further"
            )
        known.add(token)
