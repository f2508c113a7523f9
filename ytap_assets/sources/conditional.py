"""Conditional requests: what was answered before, so that a platform may say "as before".

Kept in memory for one session. Only the validators and the body of answers that carried one are
kept, the oldest are dropped first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from ytap_assets.sources.exchange import NOT_MODIFIED, OK, Exchange

_MOST_ENTRIES = 256
_LARGEST_BODY = 1024 * 1024


class KeptAnswers:
    """The latest answer to each URL that came with an ETag or a Last-Modified."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, Exchange] = OrderedDict()

    def validators(self, url: str) -> dict[str, str]:
        """The headers that ask "only if it changed"."""
        kept = self._answers.get(url)
        if kept is None:
            return {}
        if "etag" in kept.headers:
            return {"If-None-Match": kept.headers["etag"]}
        return {"If-Modified-Since": kept.headers["last-modified"]}

    def keep(self, exchange: Exchange) -> None:
        """Remember an answer, where it can be asked for conditionally."""
        has_validator = "etag" in exchange.headers or "last-modified" in exchange.headers
        if exchange.status != OK or not has_validator or len(exchange.body) > _LARGEST_BODY:
            return
        self._answers[exchange.url] = exchange
        self._answers.move_to_end(exchange.url)
        if len(self._answers) > _MOST_ENTRIES:
            self._answers.popitem(last=False)

    def fill(self, exchange: Exchange) -> Exchange:
        """A 304 with the body it stands for; every other exchange as it is."""
        kept = self._answers.get(exchange.url)
        if exchange.status != NOT_MODIFIED or kept is None:
            return exchange
        return replace(exchange, body=kept.body, headers={**kept.headers, **exchange.headers})
