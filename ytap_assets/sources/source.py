"""The interface of a source: what a platform's module implements, and what it gets and returns.

A source lists its targets for a workspace, fetches each target (`Query` -> `Exchange`), and parses
the responses (`Responses` -> `Parsed`). `collect` runs it and stores the result as a `Fetch`.

Does not belong here: any platform, running the fetches (`collect`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import polars as pl

from ytap_assets.domain.source_profiles import Bucket
from ytap_assets.settings import Settings
from ytap_assets.sources.fields import InvalidItemError, dump_item
from ytap_assets.sources.http.client import HttpClient
from ytap_assets.sources.http.exchange import (
    DEFAULT_MAX_AGE_S,
    DisabledError,
    Exchange,
    MalformedError,
    Request,
    SourceError,
    describe_url,
)
from ytap_assets.tables import RAW_TRENDS, Table
from ytap_assets.workspaces import Workspace

History = Literal["date_queryable", "as_of_now", "snapshot_only"]
"""What a source returns for past days.

``date_queryable``: the items of that day. ``as_of_now``: known items, with their current counts.
``snapshot_only``: only the current list.
"""

_ALWAYS = datetime.min.replace(tzinfo=UTC)


def is_sendable(secret: str) -> bool:
    """Whether a header can carry a secret."""
    return secret.isascii() and secret.isprintable()


@dataclass(frozen=True)
class Token:
    """An access token and its expiry. Kept in memory only."""

    value: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True)
class FetchContext:
    """What the fetches of one day share.

    Attributes:
        day: The requested day.
        now: The present; on replay, the end of the day's recordings.
        today: The date on which the session was opened; on replay, the date of ``now``.
        client: Sends HTTP requests.
        settings: The settings, with the secrets.
        is_replay: Whether recordings answer, so that no key is needed.
        tokens: Access tokens by source, shared by the session.
        find_recording: On replay, the recorded exchange that answers a GET of a URL; None if there
            is none, and always outside a replay.
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
        """A secret, or None if it is not set.

        Raises:
            DisabledError: It contains characters that are not allowed in a header.
        """
        secret = self.settings.secret(name)
        if secret is not None and not is_sendable(secret):
            raise DisabledError(
                f"YTAP_SECRET_{name} contains characters that are not printable ASCII"
            )
        return secret

    def key_header(self, name: str, header: str) -> dict[str, str]:
        """The header with an API key; empty on replay.

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
    """One fetch to make.

    Attributes:
        source: The source's name.
        target: One of the source's targets, or a batch of ids.
        workspace: The workspace, with its config.
        context: The day, the present and the client.
    """

    source: str
    target: str
    workspace: Workspace
    context: FetchContext

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        is_public: bool | None = None,
        max_age_s: float = DEFAULT_MAX_AGE_S,
        bucket: Bucket | None = None,
    ) -> Exchange:
        """GET a URL.

        Args:
            url: The URL, without secrets.
            headers: Headers without secrets.
            secrets: Headers with secrets.
            is_public: Whether the response does not depend on the workspace; by default, whether
                no secret is sent.
            max_age_s: How old a cached response may be, in seconds.
            bucket: The quota bucket that the request is counted in.

        Raises:
            SourceError: The request failed; the class says whether a later attempt may work.
        """
        request = Request(
            url,
            self.source,
            headers=headers or {},
            secrets=secrets or {},
            is_public=not secrets if is_public is None else is_public,
            max_age_s=max_age_s,
            bucket=bucket,
        )
        return await self.context.client.send(request)


async def follow_pages(
    fetch: Callable[[str | None], Awaitable[Exchange]],
    next_page: Callable[[Exchange], str | None],
    *,
    max_pages: int,
) -> AsyncIterator[Exchange]:
    """Fetch page after page until one has no next page.

    Args:
        fetch: Fetches the page of a token; None is the first page.
        next_page: The token of the next page, or None on the last.
        max_pages: The most pages to fetch.

    Raises:
        MalformedError: A page repeats an earlier token.
        SourceError: A page could not be fetched.
    """
    token: str | None = None
    known: set[str] = set()
    for _ in range(max_pages):
        page = await fetch(token)
        yield page
        token = next_page(page)
        if token is None:
            return
        if token in known:
            raise MalformedError(f"{describe_url(page.url)}: repeated page token")
        known.add(token)


@dataclass(frozen=True)
class Responses:
    """The responses of one fetch, in the order of the requests, and the requested day."""

    day: date
    exchanges: Sequence[Exchange]


@dataclass(frozen=True)
class Item:
    """One item of a document.

    Attributes:
        content: The item as it was received.
        place: Where it is in the document, in words.
        position: Its position in the list, over all pages; 1 is the first.
        exchange: The exchange that contains the document.
    """

    content: object
    place: str
    position: int
    exchange: Exchange


@dataclass(frozen=True)
class RejectedItem:
    """An item that is quarantined, with the reason."""

    origin: str
    place: str
    reason: str
    original: str
    seen_at: datetime


@dataclass
class Parsed:
    """The result of parsing the responses of a fetch.

    Attributes:
        rows: Columns of the source's table, without those that all rows of a fetch share.
        rejected: Items that are quarantined.
        error: Why the first malformed document could not be parsed.
        note: A remark for the log of a successful fetch.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    rejected: list[RejectedItem] = field(default_factory=list)
    error: SourceError | None = None
    note: str | None = None


def parse_exchanges(
    exchanges: Sequence[Exchange],
    *,
    list_items: Callable[[Exchange], Sequence[object]],
    read_item: Callable[[Item], dict[str, Any]],
    noun: str,
    is_wanted: Callable[[Item], bool] = lambda _: True,
) -> Parsed:
    """Parse every item of every usable response.

    Each wanted item becomes a row or a rejected item. A document that cannot be parsed is the
    result's error; the other documents are parsed. Pure: stored payloads give the same rows.

    Args:
        exchanges: The exchanges of one fetch, in order; error responses are skipped.
        list_items: The items of a document; raises `MalformedError` if it has none.
        read_item: The row of an item; raises `InvalidItemError` if it is invalid.
        noun: What an item is called in ``quarantined_rows.place``.
        is_wanted: Whether an item is parsed at all; others are not counted.
    """
    parsed, position = Parsed(), 0
    for exchange in exchanges:
        if not exchange.is_usable:
            continue
        try:
            contents = list_items(exchange)
        except MalformedError as error:
            parsed.error = parsed.error or error
            continue
        for number, content in enumerate(contents, start=1):
            position += 1
            item = Item(content, f"{noun} {number}", position, exchange)
            if is_wanted(item):
                _parse_item(item, read_item, parsed)
    return parsed


def _parse_item(item: Item, read_item: Callable[[Item], dict[str, Any]], parsed: Parsed) -> None:
    try:
        parsed.rows.append(read_item(item))
    except InvalidItemError as error:
        parsed.rejected.append(
            RejectedItem(
                origin=item.exchange.url,
                place=item.place,
                reason=str(error),
                original=dump_item(item.content),
                seen_at=item.exchange.fetched_at,
            )
        )


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One observation of an item: a row of `raw_trends`, without the columns of its fetch.

    What the platform does not return is None. A source with several lists sets ``list_name``: an
    item in two lists in the same second is two observations.
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
    """The result of one fetch of one target, or of one file, ready to be stored.

    Attributes:
        log: The row of ``collection_log``; ``fetched`` = rows + quarantined. ``accepted`` and
            ``duplicates`` are 0 until the rows are stored.
        rows: Rows of the source's table (``raw_trends`` or ``video_metrics``).
        quarantined: Rows of ``quarantined_rows``.
        payloads: Rows of ``raw_payloads``; empty for files.
    """

    log: dict[str, Any]
    rows: pl.DataFrame
    quarantined: pl.DataFrame
    payloads: pl.DataFrame


class Source(ABC):
    """A list or an API of a platform.

    Attributes:
        name: The source's name in the rows, as in ``collection_log.source``; see
            `domain.source_profiles`.
        history: What it returns for past days.
        hosts: The only hosts it sends requests to.
        spacing_s: Seconds between two requests to a host.
        table: The table of its rows.
        key: The name of the secret that it requires; None if it requires none.
        losses: What is not collected without each secret that it uses, by the secret's name.
        is_daily: Whether scheduled runs fetch a day once, when it is over, because the quota is too
            small for more.
        calls: How many calls of each quota a target of a day usually costs.
    """

    name: ClassVar[str]
    history: ClassVar[History]
    hosts: ClassVar[frozenset[str]]
    spacing_s: ClassVar[float]
    table: ClassVar[Table]
    key: ClassVar[str | None] = None
    losses: ClassVar[Mapping[str, str]] = {}
    is_daily: ClassVar[bool] = False
    calls: ClassVar[Mapping[Bucket, int]] = {}

    @abstractmethod
    def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch a target, request by request.

        Raises:
            SourceError: A request failed; the exchanges yielded before are stored.
        """

    @abstractmethod
    def parse(self, responses: Responses) -> Parsed:
        """Parse the responses of one fetch. Pure; also used on stored payloads."""

    def due_from(self, day: date) -> datetime:  # noqa: ARG002 - for subclasses
        """From when on a day is fetched, by default always; no log entry is written before.

        Before that, another source of the same name fetches it.
        """
        return _ALWAYS

    def lacks_key(self, settings: Settings) -> bool:
        """Whether the secret that it requires is missing or unusable."""
        if self.key is None:
            return False
        secret = settings.secret(self.key)
        return secret is None or not is_sendable(secret)

    def matches_url(self, url: str) -> bool:
        """Whether a fetch of this source starts with ``url``; assigns stored payloads to sources.

        Two sources that share a name and a host override it.
        """
        return urlsplit(url).hostname in self.hosts


class TrendSource(Source):
    """A source of `raw_trends`, with targets from a workspace's config."""

    table = RAW_TRENDS

    @abstractmethod
    def targets(self, workspace: Workspace) -> Sequence[str]:
        """The targets that the workspace's config asks for; may be empty."""
