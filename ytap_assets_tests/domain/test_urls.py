from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ytap_assets.domain.urls import (
    HOME_PAGES,
    MAX_CHARACTERS,
    NO_PAGE,
    canonical_url,
    canonical_urls,
    story_id_of,
)
from ytap_assets_tests.effort import examples

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
        "https://ex%61mple.com/a",
        "https://trusted.example@example.com/a",
        "https://example.com/a#comments",
        "https://example.com/a#",
        "https://example.com/a?",
        "https://example.com/a?utm_source=x&UTM_Medium=y&fbclid=1&gclid=2&igshid=3",
        "https://example.com/a?ref=hn&mc_eid=1&msclkid=2&_hsenc=3",
        "https://example.com/a?utm_source=x;utm_medium=y",
        "https://example.com/a/index.html",
        "https://example.com/a/Index.php?utm_source=x",
        "https://example.com/a/default.aspx",
        "https://example.com/a;jsessionid=0A1B",
        "https://example.com/a?PHPSESSID=0a1b",
        "https://example.com/a?amp",
        "https://example.com/a?outputType=amp",
        "https://web.archive.org/web/20160907081200/http://www.example.com/a?utm_source=x",
        "http://web.archive.org/web/2016/https:/example.com/a",
        "https://web.archive.org/web/20160907081200id_/http://example.com:80/a",
        "https://www.google.com/url?sa=t&url=https%3A%2F%2Fexample.com%2Fa&usg=x",
        "https://l.facebook.com/l.php?u=http%3A%2F%2Fexample.com%2Fa%3Ffbclid%3D1&h=x",
        "https://www.youtube.com/redirect?event=video&q=https%3A%2F%2Fexample.com%2Fa",
        "https://out.reddit.com/t3_1abc?url=https%3A%2F%2Fexample.com%2Fa&token=x",
        "https://example.com/a?utm%5Fsource=x",
        "https://example.com/x/../a",
        "https://example.com/./a",
        "https://example.com\\a",
        "https://example.com/%61",
        "https://example.com/a?amp=1",
        "https://www.google.com/amp/s/www.example.com/a",
        "https://www.google.co.uk/amp/example.com/a",
        "https://example-com.cdn.ampproject.org/c/s/example.com/a?utm_source=x",
        "https://example-com.cdn.ampproject.org/c/s/example.com/a/amp/",
        "https://example.com/a?output=amp",
        "https://example.com/a&utm_source=x&utm_medium=y",
        "https://example.com/a\u200b",
        "\ufeffhttps://exam\u200bple.com/a\u200e",
        "https://example.com/a%E2%80%8B/",
        "https://example.com/a%E2%80%8D",
        "https://example.com/a%E2%80%8D/index.html",
        "https://example.com/a?pk_campaign=x&pk_kwd=y&mtm_source=1&piwik_campaign=2&matomo_kwd=3",
        "https://example.com/a?gad_source=1&gad_campaignid=2&mibextid=3&epik=4&_openstat=5&s_cid=6",
        "https://example.com/a?ml_subscriber=1&ml_subscriber_hash=2&gaa_at=la&gaa_sig=x&ScCid=3",
        "https://example.com/a?ref_src=twsrc%5Etfw",
        "https://example.com/a?ref=news.ycombinator.com",
        "https://www.google.de/url?q=https%3A%2F%2Fexample.com%2Fa",
        "https://www.google.co.uk/url?sa=t&url=https%3A%2F%2Fexample.com%2Fa",
        "https://archive.ph/20200101/https://example.com/a",
        "https://archive.today/newest/https://www.example.com/a?utm_source=x",
        "https://vk.com/away.php?to=https%3A%2F%2Fexample.com%2Fa",
    ],
    "https://example.com": [
        "http://example.com",
        "https://www.example.com/",
        "https://example.com#!",
    ],
    "https://example.com/a.html": [
        "https://example.com/a.amp.html",
        "https://example.com/amp/a.html",
        "https://example.com/a.html/amp",
    ],
    "https://example.com/2016/09/a": [
        "https://example.com/2016/09/a/amp/",
        "https://example.com/amp/2016/09/a",
        "https://example.com/2016/09/a.amp",
    ],
    "https://example.com/why-read-old-books": [
        "https://example.com/why-read-old-books/amp",
        "https://amp.example.com/why-read-old-books/amp?amp=1",
    ],
    "https://bbc.com/news/world-1": [
        "https://www.bbc.com/news/amp/world-1",
        "https://www.bbc.com/news/world-1.amp",
        "https://www.bbc.com/news/world-1?ns_mchannel=social&ns_fee=0&at_link_id=1",
    ],
    "https://theverge.com/a": ["https://www.theverge.com/platform/amp/a"],
    "https://example.com/a?b=1&c=2": [
        "https://example.com/a?c=2&b=1",
        "https://example.com/a/?b=1&amp;c=2",
        "https://example.com/a?b=1&&c=2&b=1&utm_campaign=z",
        "https://example.com/a?b=1;c=2",
    ],
    "https://example.com/a?q=b%20c": ["https://example.com/a?q=b+c"],
    "https://example.com/%C3%A4?q=%C3%BC": [
        "https://example.com/ä?q=ü",
        "https://example.com/%c3%a4?q=%c3%bc",
    ],
    "https://xn--bcher-kva.example": ["https://bücher.example/", "https://BÜCHER.example"],
    "https://example.com#!/story/1": [
        "http://www.example.com/#!/story/1/",
        "https://web.archive.org/web/2016/http://example.com/#!/story/1",
    ],
    "https://groups.google.com/forum#!topic/a/b": ["http://groups.google.com/forum/#!topic/a/b"],
    "https://amazon.co.uk/dp/B00EXAMPLE": [
        "https://www.amazon.co.uk/A-Long-Title/dp/B00EXAMPLE/ref=sr_1_1?keywords=x&qid=1",
        "http://amazon.co.uk/gp/product/B00EXAMPLE?tag=someone-20",
    ],
    "https://nytimes.com/2016/a.html": ["https://nytimes.com/2016/a.html?ref=technology&smid=tw"],
    "https://en.wikipedia.org/wiki/Cat": ["https://en.m.wikipedia.org/wiki/Cat"],
    VIDEO: [
        VIDEO,
        "http://youtube.com/watch?v=dQw4w9WgXcQ&t=42s",
        "https://m.youtube.com/watch?app=desktop&v=dQw4w9WgXcQ&list=PLabc&index=2",
        "https://music.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://youtu.be/dQw4w9WgXcQ?si=share",
        "https://youtu.be/?v=dQw4w9WgXcQ",
        "https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3DdQw4w9WgXcQ",
        "https://www.youtube.com/shorts/dQw4w9WgXcQ",
        "https://www.youtube.com/embed/dQw4w9WgXcQ?start=3",
        "https://www.youtube-nocookie.com/embed/dQw4w9WgXcQ",
        "https://www.youtube.com/live/dQw4w9WgXcQ?feature=share",
        "https://www.youtube.com/v/dQw4w9WgXcQ",
        "http://www.youtube.com/watch?v=dQw4w9WgXcQ&amp;feature=youtu.be",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ?feature=shared",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ%3Ffeature%3Dshared",
        "https://youtu.be/dQw4w9WgXcQ&feature=share",
        "https://www.youtube.com/attribution_link?a=x&u=%2Fwatch%3Fv%3DdQw4w9WgXcQ%26feature%3Dshare",
    ],
    POST: [
        "https://www.reddit.com/r/science/comments/1abc2d/a_title/",
        "https://old.reddit.com/r/science/comments/1abc2d/a_title/?sort=new",
        "http://np.reddit.com/r/science/comments/1ABC2D",
        "https://www.reddit.com/r/science/comments/1abc2d/a_title/k9zzzz/",
        "https://redd.it/1abc2d",
        "https://www.reddit.com/comments/1abc2d",
        "https://www.reddit.com/gallery/1abc2d",
        "https://de.reddit.com/r/science/comments/1abc2d/a_title/?share_id=x&rdt=1",
    ],
    "https://x.com/i/status/123": [
        "https://twitter.com/someone/status/123?s=20",
        "https://mobile.twitter.com/someone/status/123/photo/1",
        "https://x.com/someone/status/123",
        "https://x.com/i/web/status/123",
        "https://vxtwitter.com/someone/status/123?t=abc&s=20",
    ],
    "https://news.ycombinator.com/item?id=123": [
        "http://news.ycombinator.com/item?id=123",
        "https://news.ycombinator.com/item?p=2&id=123#456",
    ],
}

SPELLINGS |= {
    "https://xn--strae-oqa.example/a": ["https://www.Straße.example/a", "https://STRAẞE.example/a"],
    "https://youtube.com/watch?v=dQw4": ["https://www.youtube.com/watch?v=dQw4&feature=share"],
    "https://youtube.com/@someone/videos": ["https://m.youtube.com/@someone/videos/"],
    "https://youtu.be": ["https://youtu.be/"],
    "https://x.com/someone": ["https://twitter.com/someone?ref_src=a&s=20&t=b"],
    "https://youtube.com/playlist?list=PLa": ["https://www.youtube.com/playlist?list=PLa&si=b"],
    "https://reddit.com/r/science": ["https://old.reddit.com/r/science/"],
    "https://redd.it/a.b": ["http://redd.it/a.b"],
    "https://news.ycombinator.com/newest": ["http://news.ycombinator.com/newest"],
    "https://news.ycombinator.com/item?id=x": ["http://news.ycombinator.com/item?id=x"],
}

SHARED_BY = {
    "https://wsj.com/articles/a": "st=1&mod=2",
    "https://ft.com/content/a": "shareType=nongift",
    "https://bloomberg.com/news/a": "srnd=premium&sref=x&accessToken=y",
    "https://nytimes.com/2025/a.html": "_r=0&searchResultPosition=1",
    "https://washingtonpost.com/a": "itid=hp_top&pwapi_token=x",
    "https://a.substack.com/p/a": "r=abc&triedRedirect=true",
    "https://medium.com/@a/b": "sk=x&source=friends_link",
    "https://en.wikipedia.org/wiki/Cat": "wprov=sfla1",
    "https://github.com/a/b": "tab=readme-ov-file",
    "https://vimeo.com/123": "share=copy",
    "https://bilibili.com/video/BV1": "vd_source=x&spm_id_from=333",
    "https://soundcloud.com/a/b": "si=x",
    "https://finance.yahoo.com/a": ".tsrc=rss",
}
for page, tracking in SHARED_BY.items():
    SPELLINGS[page] = [*SPELLINGS.get(page, ()), f"{page}?{tracking}"]

AMBIGUOUS = "ref feature si cmp scid amp icid s t source spm cmpid ncid sr mod tag app"
AMBIGUOUS += " st r sk tab share srnd itid wprov output pk_id ns_id"
DIFFERENT_PAGES = [
    ("https://straße.example/a", "https://strasse.example/a"),
    ("https://example.com/a", "https://example.com/A"),
    ("https://example.com/a", "https://example.com/b"),
    ("https://example.com/a?id=1", "https://example.com/a?id=2"),
    ("https://example.com/a", "https://example.com:8080/a"),
    ("https://example.com/#/idea/1", "https://example.com/#/idea/2"),
    ("https://example.com/a%2Fb", "https://example.com/a/b"),
    ("https://example.com/camp", "https://example.com/c"),
    ("https://shop.example/amp", "https://shop.example/"),
    ("https://github.com/someone/amp", "https://github.com/someone"),
    ("https://github.com/a-very-long-name/amp", "https://github.com/a-very-long-name"),
    ("https://github.com/amp/a-very-long-name", "https://github.com/a-very-long-name"),
    ("https://github.com/a/b/blob/main/a.amp.html", "https://github.com/a/b/blob/main/a.html"),
    ("https://www.npmjs.com/package/amp", "https://www.npmjs.com/package"),
    ("https://shop.example/products/amp", "https://shop.example/products"),
    ("https://shop.example/amp/a", "https://shop.example/a"),
    ("https://shop.example/sounds/a.amp", "https://shop.example/sounds/a"),
    ("https://amp.github.io/a", "https://github.io/a"),
    ("https://m.co.uk/a", "https://co.uk/a"),
    ("https://github.com/someone?tab=stars", "https://github.com/someone?tab=followers"),
    ("https://en.wikipedia.org/?curid=1", "https://en.wikipedia.org/?curid=2"),
    ("https://fa.wikipedia.org/wiki/a\u200cb", "https://fa.wikipedia.org/wiki/ab"),
    ("https://m.me/a", "https://me/a"),
    *(
        (f"https://pages.example/a?{name}=4045-USHJ", f"https://pages.example/a?{name}=8285-YOAZ")
        for name in AMBIGUOUS.split()
    ),
    ("https://shop.example/order.php?ref=INV-100", "https://shop.example/order.php"),
    ("https://notyoutube.com/a?si=1", "https://notyoutube.com/a?si=2"),
    ("https://nytimes.com.example/a?ref=1", "https://nytimes.com.example/a?ref=2"),
    ("https://amazon.example/a?tag=1", "https://amazon.example/a?tag=2"),
    ("https://example.com/a/index.html", "https://example.com/a/index.html.gz"),
    ("https://example.com/index.php?id=1", "https://example.com/index.php?id=2"),
    ("https://example.com/index.php/a", "https://example.com/index.php/b"),
    ("https://groups.google.com/forum/#!topic/a/b", "https://groups.google.com/forum/#!topic/a/c"),
    ("https://web.archive.org/web/2016*/a", "https://web.archive.org/web/2016*/b"),
    ("https://google.com/url?q=ftp://a.example", "https://google.com/url?q=ftp://b.example"),
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
    a B 1 en.m.wikipedia.org user:pw@ ; ;a=b ;jsessionid=1 + /index.html /Default.aspx amazon.com
    /dp/B00EXAMPLE web.archive.org/web/2016/ google.com/url?q= ref=hn ref=b si=1 #!topic/ #F!a
    %3A%2F%2F login consent. localhost nytimes.com n/a %E2%80%8B %E2%80%8D ?hl=en /platform/amp
    /2016/09/a github.io attribution_link?u= archive.ph/newest/ &utm_a=b 10.0.0.1 google.de
"""
pieces = st.sampled_from([*_PIECES.split(), "\u017f", "\u212a"])
hostile_urls = st.one_of(
    st.text(max_size=60),
    st.lists(st.one_of(pieces, st.text(max_size=3)), max_size=14).map("".join),
    st.lists(pieces, max_size=14).map(lambda parts: "https://" + "".join(parts)),
)

HOST_LABELS = "www m mobile amp x example com co uk wikipedia youtube nytimes login localhost"
_HOSTS = st.lists(
    st.sampled_from(HOST_LABELS.split()),
    min_size=1,
    max_size=5,
).map(".".join)
_PATHS = st.lists(
    st.sampled_from(
        ["a", "B", "amp", "camp", "a.amp", "index.html", "login", ".", "..", "", "~me", "a.b"]
    ),
    max_size=4,
).map(lambda segments: "".join(f"/{segment}" for segment in segments))
plain_urls = st.builds("{}://{}{}".format, st.sampled_from(["http", "https"]), _HOSTS, _PATHS)


def names_no_page(canonical: str) -> bool:
    found = pl.select(pl.lit(canonical).str.contains(NO_PAGE)).item()
    return canonical in HOME_PAGES or bool(found)


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


@settings(max_examples=examples(120), deadline=None)
@given(st.lists(st.one_of(st.none(), hostile_urls, plain_urls, st.just(VIDEO)), max_size=8))
@example(["https://www.com/", "https://www.www.com", "http://www.example.com//", "http://a.b/.."])
def test_a_column_gives_what_each_url_gives(urls: list[str | None]) -> None:
    expected = [None if url is None else canonical_url(url) for url in urls]
    canonical = canonical_urls(pl.Series("url", urls, dtype=pl.String)).to_list()
    assert canonical == [None if url is None or names_no_page(url) else url for url in expected]
    assert canonical_urls(pl.Series("url", canonical, dtype=pl.String)).to_list() == canonical


@given(hostile_urls)
def test_a_canonical_url_is_its_own(url: str) -> None:
    canonical = canonical_url(url)
    assert canonical_url(canonical) == canonical


def test_a_column_of_every_known_spelling() -> None:
    spellings = [spelling for all_ in SPELLINGS.values() for spelling in all_]
    expected = [canonical for canonical, all_ in SPELLINGS.items() for _ in all_]
    none = {"https://example.com", "https://youtu.be", "https://news.ycombinator.com/newest"}
    assert canonical_urls(pl.Series(spellings)).to_list() == [
        None if canonical in none else canonical for canonical in expected
    ]


@pytest.mark.parametrize(
    "url",
    [
        *("", " ", "-", "n/a", "N/A", "n.a.", "none", "null", "TBD", "#", "about:blank"),
        *("http://", "https://", "http:", "javascript:void(0)", "data:text/html,x"),
        *("https://example.com", "http://www.example.org/", "https://example.com/?utm_source=x"),
        *(
            "http://localhost:8000/a",
            "http://127.0.0.1/a",
            "http://intranet/a",
            "https://x.local/a",
        ),
        *("https://www.youtube.com/", "https://m.youtube.com", "https://youtu.be/?si=x"),
        *("https://www.youtube.com/watch", "https://www.youtube.com/results?search_query=a"),
        *("https://www.reddit.com/", "https://old.reddit.com/r/all/", "https://twitter.com/"),
        *("https://www.nytimes.com/?ref=a", "https://www.bbc.co.uk/index.html", "https://t.co/"),
        *(
            "https://www.google.com/search?q=a+b",
            "https://www.google.de/search?q=a",
            "https://bit.ly",
        ),
        *("https://duckduckgo.com/?q=a", "https://news.ycombinator.com/newest"),
        *("https://accounts.google.com/ServiceLogin?x=1", "https://site.example/login?next=/a"),
        *("https://site.example/users/sign_in", "https://consent.site.example/?x=1"),
        *("https://site.example/subscribe", "https://site.example/accounts/login/"),
        *("https://www.youtube.com/watch?v=", "https://www.youtube.com/watch?v=&t=1"),
        *("https://www.google.com/?hl=en", "https://www.google.de/", "https://youtube.com/?gl=US"),
        *("https://edition.cnn.com", "https://news.sky.com/", "https://edition.cnn.com/?hpt=1"),
        *("https://www.nytimes.com/section/world", "https://www.bbc.com/news/"),
        *("https://www.linkedin.com/authwall?trk=a&x=b", "https://x.com/i/flow/login?redirect=a"),
        *("https://medium.com/m/signin?x=1", "https://www.google.com/sorry/index?continue=a"),
        *("https://site.example/cdn-cgi/challenge/a", "https://site.example/wp-login.php?a=b"),
        *(
            "https://192.168.1.1/a",
            "http://10.1.2.3:8080/a",
            "http://172.16.0.1",
            "http://0.0.0.0/",
        ),
        *(
            "http://169.254.169.254/a",
            "https://[::1]/a",
            "http://[fd00::1]:80/a",
            "http://[fe80::1]/",
        ),
        *("http://router.lan/a", "http://db.internal:5432/a", "http://nas.home.arpa/"),
        *("https://i.redd.it/", "https://v.redd.it", "https://www.reddit.com/r/a/comments/"),
        *("https://www.youtube.com/playlist?list=", "https://news.ycombinator.com/item?id="),
        *("https://www.reddit.com/gallery/", "https://web.archive.org/web/"),
    ],
)
def test_what_names_no_page_of_its_own_is_null_in_a_column(url: str) -> None:
    assert canonical_urls(pl.Series([url])).to_list() == [None]


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://usbkill.com",
            "https://a.example/",
            "https://github.com/a",
            "https://youtu.be/a.b",
        ),
        *(
            "https://nytimes.com/2016/a",
            "https://bit.ly/abc",
            "https://login.gov/a",
            "https://auth0.com",
        ),
        *(
            "https://site.example/login-is-broken",
            "https://site.example/blog/login/a",
            "mailto:a@b.c",
        ),
        *(
            "https://google.com/about",
            "https://subscribe.example/a",
            "example.com/a",
            "urn:isbn:123",
        ),
        *("https://reddit.com/r/science", "https://x.com/someone", "https://consent.example"),
        *("https://www.youtube.com/watch?v=dQw4", "https://www.youtube.com/watch?list=PLa"),
        *("https://www.youtube.com/playlist?list=PLa", "https://techcrunch.com/?p=1234"),
        *(
            "https://en.wikipedia.org/?curid=1",
            "https://a.example/?hl=en",
            "https://blog.a.example",
        ),
        *(
            "https://11.0.0.1/a",
            "https://172.32.0.1/a",
            "https://192.169.1.1/a",
            "https://100.1.1.1",
        ),
        *("https://[2001:db8::1]/a", "https://10.0.example/a", "https://lan.example/a"),
        *("https://x.com/i/lists/1", "https://medium.com/m/a", "https://i.redd.it/abc.jpg"),
        *("https://edition.cnn.com/a", "https://www.bbc.com/news/world-1", "https://notcnn.com"),
        *("https://twitter.com/?lang=en#!/someone", "https://github.com/login-tools"),
    ],
)
def test_what_names_a_page_is_not(url: str) -> None:
    assert canonical_urls(pl.Series([url])).to_list() == [canonical_url(url)]


def test_story_ids_never_change() -> None:
    assert story_id_of(VIDEO) == "0424974c68530290"
    assert story_id_of("hn:1") != story_id_of("reddit:1")
