"""One answer for all who ask the same at about the same time, and less to ask for afterwards.

What was answered a moment ago serves as it is. Who asks while another is asking waits for that
answer. An older answer lends its validators, so that the platform may say "as before" (304).

Belongs here: when an earlier answer serves. Does not belong here: keeping it (`kept_answers`), or
asking (`client`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

from ytap_assets.sources.exchange import NOT_MODIFIED, Exchange, Request
from ytap_assets.sources.http.cache import KeptAnswers

_LOOK_AGAIN_S = 0.25
_MOST_LOOKS = 300
"""A little more than a claim lasts, should the clock stand still."""


async def share_answer(
    store: KeptAnswers,
    request: Request,
    *,
    ask: Callable[[Request], Awaitable[Exchange]],
    clock: Callable[[], datetime],
    sleep: Callable[[float], Awaitable[None]],
) -> Exchange:
    """The answer to a public request: a fresh one that is there, else what ``ask`` brings.

    Args:
        store: Where answers are kept, shared by the processes of the installation.
        request: What is asked for; its ``fresh_s`` says for how long an answer serves.
        ask: Asks the platform.
        clock: The present.
        sleep: Waits so many seconds.

    Raises:
        SourceError: It was asked for and could not be had.
    """
    for _ in range(_MOST_LOOKS):
        if store.claim(request.url, clock()):
            break
        await sleep(_LOOK_AGAIN_S)
    try:
        kept = store.find(request.url)
        if kept is not None and is_fresh(kept, request, clock()):
            return replace(kept, attempts=0)
        answer = await ask(_ask_if_changed(request, kept))
        exchange = _fill_unchanged(answer, kept)
        store.keep(exchange)
        return exchange
    finally:
        store.release(request.url)


def is_fresh(kept: Exchange, request: Request, now: datetime) -> bool:
    """Whether an earlier answer serves as it is, and nothing need be asked.

    Never past midnight (UTC): a look at yesterday is no look at today.
    """
    age_s = (now - kept.fetched_at).total_seconds()
    is_same_day = now.astimezone(UTC).date() == kept.fetched_at.astimezone(UTC).date()
    return is_same_day and 0 <= age_s < request.fresh_s


def _ask_if_changed(request: Request, kept: Exchange | None) -> Request:
    """The request with the validators of an earlier answer, where it came with some."""
    for header, asks in (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since")):
        if kept is not None and header in kept.headers:
            return replace(request, headers={**request.headers, asks: kept.headers[header]})
    return request


def _fill_unchanged(exchange: Exchange, kept: Exchange | None) -> Exchange:
    """A 304 with the body it stands for; every other exchange as it is."""
    if exchange.status != NOT_MODIFIED or kept is None:
        return exchange
    return replace(exchange, body=kept.body, headers={**kept.headers, **exchange.headers})
