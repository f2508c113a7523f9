"""Reddit: a subreddit's hot list, through an approved app (OAuth) or the public Atom feed.

The listing has scores and comment counts; the feed has neither, so they stay unknown. With
``YTAP_SECRET_REDDIT_ID`` and ``YTAP_SECRET_REDDIT_SECRET`` set the listing is asked for, else the
feed; ``YTAP_SECRET_REDDIT_USER`` names the app's owner, as Reddit asks. Replay asks for whichever
was recorded. What the documents hold is read in `reddit_items`.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlencode

from ytap_assets.sources.documents import load_json
from ytap_assets.sources.exchange import Exchange, Request
from ytap_assets.sources.http.exchange import NotRecordedError, PermanentError, SourceError
from ytap_assets.sources.paging import follow_pages
from ytap_assets.sources.parsing import Parsed, parse_exchanges
from ytap_assets.sources.reddit_items import (
    API_HOST,
    FEED_HOST,
    list_posts,
    next_page,
    read_post,
)
from ytap_assets.sources.source import Answers, Query, Token, TrendSource, Visit
from ytap_assets.workspaces import Workspace

_TOKEN_URL = f"https://{FEED_HOST}/api/v1/access_token"
_PER_PAGE = 100
_MAX_PAGES = 2
_UNAUTHORIZED = 401
_ACCOUNT = "REDDIT_USER"
_TOKEN = re.compile(r"[!-~]{1,4096}")
_TOKEN_MARGIN = timedelta(seconds=60)
_LONGEST_TOKEN_S = 86_400


class RedditHot(TrendSource):
    """A subreddit's hot list."""

    name = "reddit"
    history = "snapshot_only"
    hosts = frozenset({API_HOST, FEED_HOST})
    spacing_s = 2.0

    def targets(self, workspace: Workspace) -> Sequence[str]:
        """One target per subreddit."""
        return tuple(f"r/{name}" for name in workspace.sources.reddit.subreddits)

    async def ask(self, query: Query) -> AsyncIterator[Exchange]:
        """Ask for the listing page by page, or for the feed."""
        headers = _identify(query.visit)
        secrets = await self._authorize(query.visit)
        if secrets is None:
            yield await query.get(feed_url(query.target), headers=headers)
            return

        async def fetch(after: str | None) -> Exchange:
            url = listing_url(query.target, after)
            try:
                return await query.get(url, headers=headers, secrets=secrets, is_public=True)
            except NotRecordedError:
                if after is not None:
                    raise
                return await query.get(feed_url(query.target), headers=headers)
            except PermanentError as error:
                if error.exchange and error.exchange.status == _UNAUTHORIZED:
                    query.visit.tokens.pop(self.name, None)
                raise

        async for page in follow_pages(fetch, next_page, most=_MAX_PAGES):
            yield page

    def parse(self, answers: Answers) -> Parsed:
        """Read posts of the listing or entries of the feed."""
        return parse_exchanges(
            answers.exchanges, list_items=list_posts, read_item=read_post, noun="post"
        )

    async def _authorize(self, visit: Visit) -> dict[str, str] | None:
        """The headers that open the listing (none needed on replay), or None without an app."""
        if visit.is_replay:
            return {}
        app_id, app_secret = visit.find_secret("REDDIT_ID"), visit.find_secret("REDDIT_SECRET")
        if app_id is None or app_secret is None:
            return None
        token = visit.tokens.get(self.name)
        if token is None or token.ends_at <= visit.now() + _TOKEN_MARGIN:
            token = await self._fetch_token(app_id, app_secret, visit)
            visit.tokens[self.name] = token
        return {"Authorization": f"Bearer {token.value}"}

    async def _fetch_token(self, app_id: str, app_secret: str, visit: Visit) -> Token:
        basic = b64encode(f"{app_id}:{app_secret}".encode()).decode("ascii")
        request = Request(
            _TOKEN_URL,
            self.name,
            headers=_identify(visit),
            secrets={"Authorization": f"Basic {basic}"},
            form={"grant_type": "client_credentials"},
        )
        try:
            exchange = await visit.client.send(request)
            return _read_token(exchange, visit.now())
        except SourceError as error:
            # Answers are kept as evidence, and this one may hold a token: it goes no further.
            raise type(error)(str(error), attempts=error.attempts) from None


def _read_token(exchange: Exchange, now: datetime) -> Token:
    answer = load_json(exchange)
    value = answer.get("access_token") if isinstance(answer, dict) else None
    lasts = answer.get("expires_in") if isinstance(answer, dict) else None
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise PermanentError(
            f"{FEED_HOST} gave no access token;"
            " check YTAP_SECRET_REDDIT_ID and YTAP_SECRET_REDDIT_SECRET",
            attempts=exchange.attempts,
        )
    seconds = min(max(lasts, 0), _LONGEST_TOKEN_S) if isinstance(lasts, int) else 0
    return Token(value, now + timedelta(seconds=seconds))


def _identify(visit: Visit) -> dict[str, str]:
    """Reddit wants to know whose app is asking, once there is an app."""
    account = visit.find_secret(_ACCOUNT)
    agent = visit.client.conduct.user_agent
    return {"User-Agent": f"{agent} (by /u/{account})"} if account else {}


def listing_url(target: str, after: str | None = None) -> str:
    """The URL of a page of ``r/name``'s hot listing."""
    query = {"limit": str(_PER_PAGE), "raw_json": "1"} | ({"after": after} if after else {})
    return f"https://{API_HOST}/{target}/hot?{urlencode(query)}"


def feed_url(target: str) -> str:
    """The URL of ``r/name``'s hot feed."""
    return f"https://{FEED_HOST}/{target}/hot/.rss"
