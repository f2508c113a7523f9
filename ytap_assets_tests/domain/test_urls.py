from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_series_equal

from ytap_assets.domain.urls import (
    MAX_CHARACTERS,
    canonical_url,
    canonical_urls,
    story_id_of,
)

VIDEO = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
POST = "https://www.reddit.com/comments/1abc2d"

SPELLINGS = {
    "https://example.com/a": [
        "https://example.com/a",
        "http://example.com/a",
        "HTTPS://EXAMPLE.COM/a",
        "//example.com/a",
        "  https://example.com/a\n",
        "https://www.example.com/a/",
        "https://m.example.com/a",
        "https://mobile.example.com/a",
        "https://amp.example.com/a",
        "https://www.m.example.com/a",
        "https://example.com./a",
        "https://example.com:443/a",
        "http://example.com:80/a",
        "https://user:password@example.com/a",
        "https://trusted.example@example.com/a",
        "https://example.com/a#comments",
        "https://example.com/a#",
        "https://example.com/a?",
        "https://example.com/a?utm_source=x&UTM_Medium=y&fbclid=1&gclid=2&igshid=3",
        "https://example.com/a?ref=hn&ref_src=t&si=1&feature=share",
        "https://example.com/a?utm%5Fsource=x",
        "https://example.com/x/../a",
        "https://example.com/./a",
        "https://example.com\\a",
        "https://example.com/%61",
        "https://example.com/amp/a",
        "https://example.com/a/amp/",
        "https://example.com/a.amp",
        "https://example.com/a?amp=1",
        "https://www.google.com/amp/s/www.example.com/a",
        "https://www.google.co.uk/amp/example.com/a",
        "https://example-com.cdn.ampproject.org/c/s/example.com/a?utm_source=x",
    ],
    "https://example.com": [
        "http://example.com",
        "https://www.example.com/",
        "https://example.com#!",
    ],
    "https://example.com/a.html": ["https://example.com/a.amp.html"],
    "https://example.com/a?b=1&c=2": [
        "https://example.com/a?c=2&b=1",
        "https://example.com/a/?b=1&amp;c=2",
        "https://example.com/a?b=1&&c=2&b=1&utm_campaign=z",
    ],
    "https://example.com/%C3%A4?q=%C3%BC": [
        "https://example.com/ä?q=ü",
        "https://example.com/%c3%a4?q=%c3%bc",
    ],
    "https://xn--bcher-kva.example": ["https://bücher.example/", "https://BÜCHER.example"],
    "https://example.com#!/story/1": ["http://www.example.com/#!/story/1/"],
    "https://en.wikipedia.org/wiki/Cat": ["https://en.m.wikipedia.org/wiki/Cat"],
    VIDEO: [
        VIDEO,
        "http://youtube.com/watch?v=dQw4w9WgXcQ&t=42s",
        "https://m.youtube.com/watch?app=desktop&v=dQw4w9WgXcQ&list=PLabc&index=2",
        "https://music.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://youtu.be/dQw4w9WgXcQ?si=share",
        "https://youtu.be/?v=dQw4w9WgXcQ",
        "https://www.youtube.com/shorts/dQw4w9WgXcQ",
        "https://www.youtube.com/embed/dQw4w9WgXcQ?start=3",
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
        "https://www.youtube.com/live/dQw4w9WgXcQ?feature=share",
        "https://www.youtube.com/v/dQw4w9WgXcQ",
        "http://www.youtube.com/watch?v=dQw4w9WgXcQ&amp;feature=youtu.be",
    ],
    POST: [
        "https://www.reddit.com/r/science/comments/1abc2d/a_title/",
        "https://old.reddit.com/r/science/comments/1abc2d/a_title/?sort=new",
        "http://np.reddit.com/r/science/comments/1ABC2D",
        "https://www.reddit.com/r/science/comments/1abc2d/a_title/k9zzzz/",
        "https://redd.it/1abc2d",
        "https://www.reddit.com/comments/1abc2d",
        "https://www.reddit.com/gallery/1abc2d",
    ],
    "https://x.com/i/status/123": [
        "https://twitter.com/someone/status/123?s=20",
        "https://mobile.twitter.com/someone/status/123/photo/1",
        "https://x.com/someone/status/123",
        "https://x.com/i/web/status/123",
    ],
    "https://news.ycombinator.com/item?id=123": [
        "http://news.ycombinator.com/item?id=123",
        "https://news.ycombinator.com/item?p=2&id=123#456",
    ],
}

SPELLINGS |= {
    "https://youtube.com/watch?v=dQw4": ["https://www.youtube.com/watch?v=dQw4&feature=share"],
    "https://youtube.com/@someone/videos": ["https://m.youtube.com/@someone/videos/"],
    "https://youtu.be": ["https://youtu.be/"],
    "https://x.com/someone": ["https://twitter.com/someone?ref_src=a"],
    "https://reddit.com/r/science": ["https://old.reddit.com/r/science/"],
    "https://redd.it/a.b": ["http://redd.it/a.b"],
    "https://news.ycombinator.com/newest": ["http://news.ycombinator.com/newest"],
    "https://news.ycombinator.com/item?id=x": ["http://news.ycombinator.com/item?id=x"],
}

DIFFERENT_PAGES = [
    ("https://example.com/a", "https://example.com/A"),
    ("https://example.com/a", "https://example.com/b"),
    ("https://example.com/a?id=1", "https://example.com/a?id=2"),
    ("https://example.com/a", "https://example.com:8080/a"),
    ("https://example.com/#/idea/1", "https://example.com/#/idea/2"),
    ("https://example.com/a%2Fb", "https://example.com/a/b"),
    ("https://example.com/camp", "https://example.com/c"),
    ("https://shop.example/amp", "https://shop.example/"),
    ("https://m.me/a", "https://me/a"),
    ("https://www.youtube.com/watch?v=dQw4w9WgXcQ", "https://www.youtube.com/watch?v=dQw4w9WgXcq"),
    ("https://i.redd.it/1abc2d", "https://redd.it/1abc2d"),
    ("https://evil.example/youtu.be/dQw4w9WgXcQ", VIDEO),
    ("https://youtube.com.evil.example/watch?v=dQw4w9WgXcQ", VIDEO),
    ("https://youtube.com@evil.example/watch?v=dQw4w9WgXcQ", VIDEO),
]

OPAQUE = {
    "mailto:Someone@Example.com": "mailto:someone@example.com",
    "javascript:alert(1)": "javascript:alert(1)",
    "ftp://Example.com/A": "ftp://example.com/a",
    "Example.com/A": "example.com/a",
    "http://": "http://",
    "http://[::1": "http://[::1",
    "http://example.com:99999999/": "http://example.com:99999999/",
    "http://exa mple.com/": "http://exa mple.com/",
    "http://℀.example/": "http://℀.example/",
    "": "",
}

_PIECES = r"""
    http:// https:// // / \ ? # & = % %2e %25 %34 %C3 : @ . .. www. m. amp. amp .amp .html /amp
    youtube.com youtu.be watch v= dQw4w9WgXcQ reddit.com /comments/ redd.it twitter.com status
    google.com/amp/s/ cdn.ampproject.org/c/ utm_x=1 amp; ! #!/ :80 :8080 [::1] ü İ ς ℀ 。 ß xn--
    a B 1 en.m.wikipedia.org user:pw@
"""
pieces = st.sampled_from([*_PIECES.split(), "\u017f", "\u212a"])
hostile_urls = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=14).map("".join),
    st.lists(pieces, max_size=14).map(lambda parts: "https://" + "".join(parts)),
)

_HOSTS = st.lists(
    st.sampled_from(["www", "m", "mobile", "amp", "x", "example", "com", "co", "uk", "wikipedia"]),
    min_size=1,
    max_size=5,
).map(".".join)
_PATHS = st.lists(
    st.sampled_from(["a", "B", "amp", "camp", "a.amp", "a.html", ".", "..", "", "~me", "a.b"]),
    max_size=4,
).map(lambda segments: "".join(f"/{segment}" for segment in segments))
plain_urls = st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), _HOSTS, _PATHS)


@pytest.mark.parametrize(
    ("canonical", "spelling"),
    [(canonical, spelling) for canonical, all_ in SPELLINGS.items() for spelling in all_],
)
def test_spellings_of_a_page_become_one(canonical: str, spelling: str) -> None:
    assert canonical_url(spelling) == canonical


@pytest.mark.parametrize(("one", "other"), DIFFERENT_PAGES)
def test_different_pages_stay_apart(one: str, other: str) -> None:
    assert canonical_url(one) != canonical_url(other)


@pytest.mark.parametrize(("url", "key"), OPAQUE.items())
def test_what_is_no_http_url_is_an_opaque_key(url: str, key: str) -> None:
    assert canonical_url(url) == key


def test_lone_surrogates_do_not_raise() -> None:
    assert canonical_url("https://example.com/\ud800") == "https://example.com"


def test_an_endless_url_becomes_its_hash() -> None:
    one = canonical_url("https://example.com/" + "a" * 10_000_000)
    other = canonical_url("https://example.com/" + "b" * 10_000_000)
    assert one.startswith("sha256:")
    assert one != other
    assert canonical_url(one) == one


def test_escaping_does_not_grow_a_url_beyond_the_limit() -> None:
    assert (
        len(canonical_url("https://example.com/" + "ü" * (MAX_CHARACTERS - 20))) <= MAX_CHARACTERS
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.none(), hostile_urls, plain_urls, st.just(VIDEO)), max_size=8))
@example(["https://www.com/", "https://www.www.com", "http://www.example.com//", "http://a.b/.."])
def test_a_column_gives_what_each_url_gives(urls: list[str | None]) -> None:
    expected = [None if url is None else canonical_url(url) for url in urls]
    assert_series_equal(
        canonical_urls(pl.Series("url", urls, dtype=pl.String)),
        pl.Series("url", expected, dtype=pl.String),
    )


def test_a_column_of_every_known_spelling() -> None:
    spellings = [spelling for all_ in SPELLINGS.values() for spelling in all_]
    expected = [canonical for canonical, all_ in SPELLINGS.items() for _ in all_]
    assert canonical_urls(pl.Series(spellings)).to_list() == expected


def test_story_ids_never_change() -> None:
    assert story_id_of(VIDEO) == "0424974c68530290"
    assert story_id_of("hn:1") != story_id_of("reddit:1")
