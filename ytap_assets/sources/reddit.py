"""Reddit: a subreddit's hot list, through an approved app (OAuth) or the public Atom feed.

The listing (JSON) has scores and comment counts; the feed has neither, so they are null. With
``YTAP_SECRET_REDDIT_ID`` and ``YTAP_SECRET_REDDIT_SECRET`` set the listing is fetched, else the
feed; ``YTAP_SECRET_REDDIT_USER`` is the app's owner for the User-Agent, as Reddit requires. Replay
uses whichever was recorded.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element

from ytap_assets.sources.fields import (
    InvalidItemError,
    as_object,
    decode_entities,
    load_json,
    load_xml,
    read_count,
    read_flag,
    read_instant,
    read_text,
    read_title,
    read_unix,
    read_url,
    require_text,
)
from ytap_assets.sources.http.exchange import (
    Exchange,
    MalformedError,
    NotRecordedError,
    PermanentError,
    Request,
    SourceError,
    describe_url,
)
from ytap_assets.sources.source import (
    FetchContext,
    Item,
    Parsed,
    Query,
    Responses,
    Token,
    Trend,
    TrendSource,
    follow_pages,
    parse_exchanges,
)
from ytap_assets.workspaces import Workspace

_API_HOST = "oauth.reddit.com"
_FEED_HOST = "www.reddit.com"
_TOKEN_URL = f"https://{_FEED_HOST}/api/v1/access_token"
_PER_PAGE = 100
_MAX_PAGES = 2
_UNAUTHORIZED = 401
_ACCOUNT = "REDDIT_USER"
_TOKEN = re.compile(r"[!-~]{1,4096}")
_TOKEN_MARGIN = timedelta(seconds=60)
_MAX_TOKEN_S = 86_400
_ATOM = "{http://www.w3.org/2005/Atom}"
_POST_ID = re.compile(r"[a-z0-9]{1,13}")
_FULLNAME = re.compile(r"t3_[a-z0-9]{1,13}")
_LINK = re.compile(r'<a href="([^"<>]{1,8192})">\s*\[link\]\s*</a>')


class RedditHot(TrendSource):
    """A subreddit's hot list."""

    name = "reddit"
    history = "snapshot_only"
    hosts = frozenset({_API_HOST, _FEED_HOST})
    spacing_s = 2.0
    losses: ClassVar[Mapping[str, str]] = {
        "REDDIT_ID": "scores and comment counts of Reddit",
        "REDDIT_SECRET": "scores and comment counts of Reddit",
    }

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per subreddit."""
        return tuple(f"r/{name}" for name in workspace.sources.reddit.subreddits)

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        """Fetch the listing page by page, or the feed."""
        headers = _user_agent(query.context)
        secrets = await self._authorize(query.context)
        if secrets is None:
            yield await query.get(feed_url(query.target), headers=headers)
            return

        async def get(after: str | None) -> Exchange:
            url = listing_url(query.target, after)
            try:
                return await query.get(url, headers=headers, secrets=secrets, is_public=True)
            except NotRecordedError:
                if after is not None:
                    raise
                return await query.get(feed_url(query.target), headers=headers)
            except PermanentError as error:
                if error.exchange and error.exchange.status == _UNAUTHORIZED:
                    query.context.tokens.pop(self.name, None)
                raise

        async for page in follow_pages(get, _next_page, max_pages=_MAX_PAGES):
            yield page

    def parse(self, responses: Responses) -> Parsed:
        """Parse the posts of the listing or the entries of the feed."""
        return parse_exchanges(
            responses.exchanges, list_items=_list_posts, read_item=_read_post, noun="post"
        )

    async def _authorize(self, context: FetchContext) -> dict[str, str] | None:
        """The headers for the listing (empty on replay), or None without an app."""
        if context.is_replay:
            return {}
        app_id, app_secret = context.find_secret("REDDIT_ID"), context.find_secret("REDDIT_SECRET")
        if app_id is None or app_secret is None:
            return None
        token = context.tokens.get(self.name)
        if token is None or token.ends_at <= context.now() + _TOKEN_MARGIN:
            token = await self._fetch_token(app_id, app_secret, context)
            context.tokens[self.name] = token
        return {"Authorization": f"Bearer {token.value}"}

    async def _fetch_token(self, app_id: str, app_secret: str, context: FetchContext) -> Token:
        basic = b64encode(f"{app_id}:{app_secret}".encode()).decode("ascii")
        request = Request(
            _TOKEN_URL,
            self.name,
            headers=_user_agent(context),
            secrets={"Authorization": f"Basic {basic}"},
            form={"grant_type": "client_credentials"},
        )
        try:
            exchange = await context.client.send(request)
            return _read_token(exchange, context.now())
        except SourceError as error:
            # Responses are stored, and this one may contain a token: it is dropped.
            raise type(error)(str(error), attempts=error.attempts) from None


def listing_url(target: str, after: str | None = None) -> str:
    """The URL of a page of ``r/name``'s hot listing."""
    query = {"limit": str(_PER_PAGE), "raw_json": "1"} | ({"after": after} if after else {})
    return f"https://{_API_HOST}/{target}/hot?{urlencode(query)}"


def feed_url(target: str) -> str:
    """The URL of ``r/name``'s hot feed."""
    return f"https://{_FEED_HOST}/{target}/hot/.rss"


def _read_token(exchange: Exchange, now: datetime) -> Token:
    response = load_json(exchange)
    value = response.get("access_token") if isinstance(response, dict) else None
    lasts = response.get("expires_in") if isinstance(response, dict) else None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise PermanentError(
            f"{_FEED_HOST} returned no access token;"
            " check YTAP_SECRET_REDDIT_ID and YTAP_SECRET_REDDIT_SECRET",
            attempts=exchange.attempts,
        )
    seconds = min(max(lasts, 0), _MAX_TOKEN_S) if isinstance(lasts, int) else 0
    return Token(value, now + timedelta(seconds=seconds))


def _user_agent(context: FetchContext) -> dict[str, str]:
    """The User-Agent with the app's owner, if there is one."""
    account = context.find_secret(_ACCOUNT)
    agent = context.client.config.user_agent
    return {"User-Agent": f"{agent} (by /u/{account})"} if account else {}


def _list_posts(exchange: Exchange) -> Sequence[object]:
    """The children of a listing, or the entries of a feed."""
    if urlsplit(exchange.url).hostname == _FEED_HOST:
        root = load_xml(exchange)
        if root.tag != f"{_ATOM}feed":
            raise MalformedError(f"{describe_url(exchange.url)}: not a feed", exchange=exchange)
        return root.findall(f"{_ATOM}entry")
    children = _listing(exchange).get("children")
    if not isinstance(children, list):
        raise MalformedError(f"{describe_url(exchange.url)}: no posts", exchange=exchange)
    return children


def _next_page(exchange: Exchange) -> str | None:
    """The token of the listing's next page; None on the last one and for a feed."""
    if urlsplit(exchange.url).hostname != _API_HOST:
        return None
    try:
        after = _listing(exchange).get("after")
    except MalformedError:
        return None  # The parser reports it.
    return after if isinstance(after, str) and _FULLNAME.fullmatch(after) else None


def _listing(exchange: Exchange) -> dict[str, Any]:
    document = load_json(exchange)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise MalformedError(f"{describe_url(exchange.url)}: not a listing", exchange=exchange)
    return data


def _read_post(item: Item) -> dict[str, Any]:
    if isinstance(item.content, Element):
        return _read_entry(item, item.content).to_row()
    return _read_child(item).to_row()


def _read_child(item: Item) -> Trend:
    child = as_object(item.content, "post")
    kind = read_text(child.get("kind"), "kind")
    if kind != "t3":
        raise InvalidItemError(f"kind {(kind or 'unknown')[:20]!r} is not a post")
    post = as_object(child.get("data"), "data")
    post_id = read_text(post.get("id"), "id")
    if post_id is None or not _POST_ID.fullmatch(post_id):
        raise InvalidItemError("id is missing or not a post's id")
    seen_at = item.exchange.fetched_at
    page = _read_reddit_url(post.get("permalink"), "permalink")
    stickied = read_flag(post.get("stickied"), "stickied")
    promoted = read_flag(post.get("promoted"), "promoted")
    return Trend(
        source="reddit",
        item_id=post_id,
        observed_at=seen_at,
        title=read_title(post.get("title")),
        url=_read_reddit_url(post.get("url"), "url") or page,
        discussion_url=page,
        published_at=read_unix(post.get("created_utc"), "created_utc", seen_at),
        points=read_count(post.get("score"), "score"),
        comments=read_count(post.get("num_comments"), "num_comments"),
        list_name=_list_name(item.exchange),
        rank=item.position,
        category=read_text(post.get("subreddit"), "subreddit"),
        is_promoted=bool(stickied or promoted) if (stickied, promoted) != (None, None) else None,
    )


def _read_entry(item: Item, entry: Element) -> Trend:
    fullname = require_text(entry.findtext(f"{_ATOM}id"), "id")
    if not _FULLNAME.fullmatch(fullname):
        raise InvalidItemError("id is not a post's id")
    seen_at = item.exchange.fetched_at
    link = entry.find(f"{_ATOM}link")
    category = entry.find(f"{_ATOM}category")
    page = read_url(link.get("href") if link is not None else None, "link")
    return Trend(
        source="reddit",
        item_id=fullname.removeprefix("t3_"),
        observed_at=seen_at,
        title=read_title(entry.findtext(f"{_ATOM}title")),
        url=_find_link(entry.findtext(f"{_ATOM}content")) or page,
        discussion_url=page,
        published_at=read_instant(entry.findtext(f"{_ATOM}published"), "published", seen_at),
        list_name=_list_name(item.exchange),
        rank=item.position,
        category=read_text(category.get("term"), "category") if category is not None else None,
    )


def _list_name(exchange: Exchange) -> str:
    """``r/NAME/hot``: the path of the listing and of the feed."""
    return urlsplit(exchange.url).path.strip("/").removesuffix("/.rss")


def _find_link(content: str | None) -> str | None:
    """The link of the post; in the feed, it is only in the entry's HTML."""
    found = _LINK.search(content or "")
    return _read_reddit_url(decode_entities(found[1]), "link") if found else None


def _read_reddit_url(value: object, name: str) -> str | None:
    """A URL; a path, as in galleries and crossposts, is relative to Reddit."""
    text = read_text(value, name)
    if text is not None and text.startswith("//"):
        text = f"https:{text}"
    elif text is not None and text.startswith("/"):
        text = f"https://{_FEED_HOST}{text}"
    return read_url(text, name)
