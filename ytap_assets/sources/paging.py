"""Page after page, and never for ever: the one loop through which sources follow pages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.http.exchange import MalformedError, describe_url


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
