from __future__ import annotations

from collections.abc import Mapping

import pytest

from ytap_assets.sources.catalog import CATALOG
from ytap_assets.sources.http.exchange import Exchange, MalformedError
from ytap_assets.sources.source import follow_pages
from ytap_assets_tests.sources.support import answer, run


def follow(links: Mapping[str | None, str | None], most: int = 9) -> list[str]:
    """The tokens of the fetched pages; `links` maps a page to its next one."""
    seen: list[str] = []

    async def fetch(token: str | None) -> Exchange:
        return answer(str(token))

    def next_page(page: Exchange) -> str | None:
        name = page.body.decode().strip('"')
        return links[None if name == "None" else name]

    async def work() -> None:
        async for page in follow_pages(fetch, next_page, max_pages=most):
            name = page.body.decode().strip('"')
            seen.append(name)

    try:
        run(work())
    except MalformedError:
        seen.append("circle")
    return seen


@pytest.mark.parametrize(
    ("links", "most", "seen"),
    [
        ({None: None}, 9, ["None"]),
        ({None: "a", "a": "b", "b": None}, 9, ["None", "a", "b"]),
        ({None: "a", "a": "b", "b": None}, 2, ["None", "a"]),
        ({None: "a", "a": "a"}, 9, ["None", "a", "circle"]),
        ({None: "a", "a": "b", "b": "a"}, 9, ["None", "a", "b", "circle"]),
    ],
)
def test_pages_are_followed_to_the_last_and_none_twice(
    links: Mapping[str | None, str | None], most: int, seen: list[str]
) -> None:
    assert follow(links, most) == seen


def test_a_source_declares_what_is_lost_without_its_key() -> None:
    assert any(source.key for source in CATALOG.sources)
    assert all(source.key in source.losses for source in CATALOG.sources if source.key)
