"""Which addresses may be asked, and where a redirect leads.

Only https, only hosts that the sources declare, on their usual port, without a user. A name is
compared as a whole and never resolved, so that no way of writing a private address (decimal, hex,
IPv6, a name of one's own) gets past.
"""

from __future__ import annotations

from collections.abc import Collection

import httpx

from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.http.exchange import PermanentError, RefusedUrlError, describe_url

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def check_address(url: httpx.URL, hosts: Collection[str], *, hops: int) -> None:
    """Refuse every address but those of ``hosts``, wherever a config or a redirect points.

    Raises:
        RefusedUrlError: It is none of them; ``hops`` counts the request that is not sent.
    """
    if url.scheme != "https" or url.host not in hosts or url.port is not None or url.userinfo:
        shown = f"{url.scheme}://{url.host}"[:200]
        raise RefusedUrlError(
            f"{shown}: only https to {', '.join(sorted(hosts))} is asked", attempts=hops - 1
        )


def is_redirect(exchange: Exchange) -> bool:
    """Whether the answer is to be had elsewhere."""
    return exchange.status in _REDIRECTS and "location" in exchange.headers


def join_location(url: httpx.URL, location: str, hops: int) -> httpx.URL:
    """Where a redirect leads.

    Raises:
        PermanentError: To something that is no URL.
    """
    try:
        return url.join(location)
    except (httpx.InvalidURL, ValueError) as error:
        raise no_url(url, hops) from error


def no_url(url: httpx.URL, hops: int = 0) -> PermanentError:
    """The error of a redirect to something that is no URL."""
    message = f"{describe_url(str(url))}: redirects to something that is no URL"
    return PermanentError(message, attempts=hops)
