"""What is known of the addresses of single platforms.

The forms that one page has, parameters that are tracking there, redirects that name where they
lead, and addresses that name no page of their own. Does not belong here: what holds for every URL
(`urls`). Hosts and paths arrive normalized: lower-case hosts without ``www.``, ``m.`` and the
like, paths without AMP forms and trailing slashes, parameters without tracking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import parse_qsl

from ytap_assets.domain.ids import is_video_id

_HOSTS = {
    "twitter.com": "x.com",
    "fxtwitter.com": "x.com",
    "vxtwitter.com": "x.com",
    "nitter.net": "x.com",
    "youtube-nocookie.com": "youtube.com",
    "music.youtube.com": "youtube.com",
    "gaming.youtube.com": "youtube.com",
    **{f"{name}.reddit.com": "reddit.com" for name in ("old", "new", "i", "ssl", "pay")},
}
_LANGUAGE_OF_REDDIT = re.compile(r"[a-z]{2}(?:-[a-z]{2})?\.reddit\.com")
_AMAZON = re.compile(r"(?:smile\.)?(amazon\.(?:com?\.)?[a-z]{2,3})")

_TRACKING_BY_HOST = {
    "aliexpress.com alibaba.com taobao.com tmall.com 1688.com": "spm scm",
    "apple.com": "itscg itsct",
    "bbc.com bbc.co.uk microsoft.com msn.com": "ocid",
    "bloomberg.com newscientist.com sfchronicle.com t-mobile.com theglobeandmail.com": "cmpid",
    "cbc.ca guardian.co.uk theguardian.com": "cmp",
    "cnbc.com": "__source",
    "dailymail.co.uk inews.co.uk metro.co.uk": "ito",
    "ebay.com": "_trksid _trkparms",
    "economist.com": "fsrc",
    "etsy.com indiegogo.com kickstarter.com producthunt.com sciencemag.org": "ref",
    "facebook.com": "__tn__ __xts__ mibextid ref refid",
    "huffingtonpost.com huffpost.com techcrunch.com": "ncid sr_share",
    "imdb.com": "ref_",
    "linkedin.com": "lipi trackingid trk",
    "medium.com": "source",
    "nytimes.com": "emc partner ref referringsource smid smtyp unlocked_article_code",
    "quora.com": "ref share",
    "reddit.com": "correlation_id rdt ref ref_campaign ref_source share_id",
    "spotify.com": "si",
    "tiktok.com": "_r _t is_from_webapp sender_device",
    "washingtonpost.com": "hpid tid wpisrc wpmm",
    "wsj.com": "mod reflink",
    "x.com": "cn ref_src ref_url s t",
    "youtu.be youtube.com": "ab_channel app feature pp si",
}
_TRACKING = {
    host: frozenset(names.split())
    for hosts, names in _TRACKING_BY_HOST.items()
    for host in hosts.split()
}
_TRACKING_AT_AMAZON = re.compile(r"(?:ref_?|tag|linkcode|camp|creative|creativeasin|p[df]_rd_.*)")

_REDIRECTS = {
    ("consent.google.com", ""): ("continue",),
    ("consent.youtube.com", ""): ("continue",),
    ("google.com", "/url"): ("q", "url"),
    ("href.li", ""): ("",),
    ("l.facebook.com", "/l.php"): ("u",),
    ("l.instagram.com", ""): ("u",),
    ("lm.facebook.com", "/l.php"): ("u",),
    ("out.reddit.com", ""): ("url",),
    ("reddit.com", "/media"): ("url",),
    ("steamcommunity.com", "/linkfilter"): ("url", "u"),
    ("t.umblr.com", "/redirect"): ("z",),
    ("youtube.com", "/redirect"): ("q",),
}
"""Hosts and beginnings of paths that lead elsewhere, and the parameters that say where."""
_WAYBACK_PATH = re.compile(r"/web/[0-9]{1,14}\*?(?:[a-z]{2}_)?/(https?:/+.+)", re.IGNORECASE)
_SCHEME = re.compile(r"(https?):/+", re.IGNORECASE)

_PORTALS = """
    abc.net.au abcnews.go.com aljazeera.com amazon.com apnews.com apple.com archive.org archive.ph
    arstechnica.com arxiv.org axios.com bbc.co.uk bbc.com bing.com bit.ly bloomberg.com bsky.app
    businessinsider.com buff.ly cbc.ca cbsnews.com chatgpt.com claude.ai cnbc.com cnet.com cnn.com
    dailymail.co.uk dev.to discord.com dlvr.it duckduckgo.com economist.com engadget.com espn.com
    example.com example.net example.org facebook.com forbes.com foxnews.com ft.com github.com
    gitlab.com gizmodo.com goo.gl google.com hackernoon.com huffpost.com imdb.com imgur.com
    independent.co.uk instagram.com latimes.com lemonde.fr linkedin.com linktr.ee mashable.com
    mastodon.social medium.com microsoft.com msn.com nature.com nbcnews.com netflix.com
    news.google.com news.yahoo.com news.ycombinator.com npr.org nypost.com nytimes.com ow.ly
    patreon.com pinterest.com politico.com quora.com redd.it reddit.com reuters.com slashdot.org
    snapchat.com spiegel.de spotify.com open.spotify.com stackoverflow.com steamcommunity.com
    store.steampowered.com substack.com t.co t.me techcrunch.com telegraph.co.uk theatlantic.com
    theguardian.com theregister.com theverge.com threads.net tiktok.com time.com tinyurl.com
    tumblr.com twitch.tv usatoday.com vice.com vimeo.com vox.com washingtonpost.com
    web.archive.org wikipedia.org en.wikipedia.org wired.com wsj.com x.com yahoo.com youtu.be
    youtube.com zdnet.com
"""
HOME_PAGES = tuple(f"https://{host}" for host in _PORTALS.split())
"""Canonical home pages that show something else every day, or to every reader; and placeholders.

Other home pages name what is there: a project is often linked to by its own.
"""
_SEARCHES = (
    r"(?:[a-z.]+\.)?google\.[a-z.]+/(?:search|webhp)\b|bing\.com/(?:news/)?search\b"
    r"|duckduckgo\.com\?|(?:[a-z]+\.)?search\.yahoo\.com/|baidu\.com/s\b|yandex\.[a-z]+/search\b"
    r"|youtube\.com/(?:results|feed)\b|youtube\.com/watch$|x\.com/(?:search|home|explore)\b"
    r"|reddit\.com/(?:search\b|r/(?:all|popular)$)"
    r"|news\.ycombinator\.com/(?:news|newest|front|ask|show|jobs)\b"
)
_LOGINS = (
    r"(?:accounts|consent|login|signin|auth|myaccount)\.[^/.]+\.[^/]+(?:/.*)?"
    r"|[^/]+/(?:(?:accounts?|users?|auth|members?)/)?"
    r"(?:log-?in|sign-?in|sign_in|sign-?up|register|consent|captcha|paywall|subscribe|404|403)"
    r"(?:\.[a-z]{3,5})?(?:\?.*)?"
)
_LOCAL = (
    r"(?:[^/]*\.)?(?:localhost|local|invalid)(?:[:/?#].*)?|127\.[0-9.]+(?:[:/].*)?"
    r"|[^/.:\[]+(?:[:/?#].*)?"
)
NO_PAGE = (
    rf"(?s)^https://(?:{_SEARCHES})|^https://(?:{_LOGINS}|{_LOCAL})$|^(?:about|data|javascript|blob):"
    r"|^https?:[\s/\\]*$|^n\.?/?a\.?$|^[\W_]*$|^[^.:/]*:?$"
)
"""What a canonical URL that names no page of its own looks like, beside `HOME_PAGES`."""
_YOUTUBE_PATH = re.compile(r"/(?:shorts|embed|live|v|e|watch)/([^/]+)(?:/.*)?", re.DOTALL)
_SHORT_YOUTUBE_PATH = re.compile(r"/([^/]+)(?:/.*)?", re.DOTALL)
_REDDIT_PATH = re.compile(
    r"(?:/(?:r|u|user)/[^/]+)?/(?:comments|gallery|tb)/([0-9a-z]+)(?:/.*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_SHORT_REDDIT_PATH = re.compile(r"/([0-9a-z]+)", re.ASCII | re.IGNORECASE)
_STATUS_PATH = re.compile(
    r"/[^/]+(?:/web)?/status(?:es)?/([0-9]+)(?:/.*)?", re.ASCII | re.IGNORECASE | re.DOTALL
)
_PRODUCT_PATH = re.compile(
    r"(?:/[^/]+)?/(?:dp|gp/product|gp/aw/d)/([0-9A-Z]{10})(?:/.*)?", re.DOTALL
)
_DIGITS = re.compile(r"[0-9]+")


def platform_host(host: str) -> str:
    """The host that a platform's other hosts stand for."""
    return "reddit.com" if _LANGUAGE_OF_REDDIT.fullmatch(host) else _HOSTS.get(host, host)


def is_platform_tracking(host: str, name: str) -> bool:
    """Whether a parameter, in small letters, is tracking on a host, though not on every one."""
    if _AMAZON.fullmatch(host):
        return _TRACKING_AT_AMAZON.fullmatch(name) is not None
    return any(name in _TRACKING.get(domain, ()) for domain in _domains(host))


def page_behind(host: str, path: str, query: str) -> str | None:
    """The URL that a redirect or a copy in the Wayback Machine leads to, if its text says so."""
    if host in {"web.archive.org", "archive.org"}:
        copied = _WAYBACK_PATH.fullmatch(path)
        if copied is None:
            return None
        return _SCHEME.sub(r"\1://", copied[1], count=1) + (f"?{query}" if query else "")
    for (from_host, beginning), names in _REDIRECTS.items():
        if host == from_host and path.startswith(beginning):
            values = dict(parse_qsl(query))
            targets = (query if not name else values.get(name, "") for name in names)
            return next((one for one in targets if _SCHEME.match(one)), None)
    return None


def _domains(host: str) -> Iterator[str]:
    """A host and the domains above it, down to two labels."""
    while "." in host:
        yield host
        host = host.partition(".")[2]


def platform_form(host: str, path: str, parameters: Sequence[str]) -> str | None:
    """The one form of a platform's page, or None where the page is of no known kind."""
    known = _FORMS.get(host)
    if known is not None:
        return known(path, parameters)
    return _amazon(host, path)


def _amazon(host: str, path: str) -> str | None:
    shop, product = _AMAZON.fullmatch(host), _PRODUCT_PATH.fullmatch(path)
    return f"https://{shop[1]}/dp/{product[1]}" if shop and product else None


def _youtube(path: str, parameters: Sequence[str]) -> str | None:
    match = _YOUTUBE_PATH.fullmatch(path)
    candidates = [match[1]] if match else _values("v", parameters) if path == "/watch" else []
    return _first_video(candidates)


def _short_youtube(path: str, parameters: Sequence[str]) -> str | None:
    match = _SHORT_YOUTUBE_PATH.fullmatch(path)
    return _first_video([match[1]] if match else _values("v", parameters))


def _first_video(candidates: Sequence[str]) -> str | None:
    for video_id in candidates:
        if is_video_id(video_id):
            return f"https://www.youtube.com/watch?v={video_id}"
    return None


def _reddit(path: str, _parameters: Sequence[str]) -> str | None:
    match = _REDDIT_PATH.fullmatch(path)
    return f"https://www.reddit.com/comments/{match[1].lower()}" if match else None


def _short_reddit(path: str, _parameters: Sequence[str]) -> str | None:
    match = _SHORT_REDDIT_PATH.fullmatch(path)
    return f"https://www.reddit.com/comments/{match[1].lower()}" if match else None


def _x(path: str, _parameters: Sequence[str]) -> str | None:
    match = _STATUS_PATH.fullmatch(path)
    return f"https://x.com/i/status/{match[1]}" if match else None


def _hacker_news(path: str, parameters: Sequence[str]) -> str | None:
    if path != "/item":
        return None
    for item_id in _values("id", parameters):
        if _DIGITS.fullmatch(item_id):
            return f"https://news.ycombinator.com/item?id={item_id}"
    return None


def _values(name: str, parameters: Sequence[str]) -> list[str]:
    return [value for key, _, value in (text.partition("=") for text in parameters) if key == name]


_FORMS: dict[str, Callable[[str, Sequence[str]], str | None]] = {
    "youtube.com": _youtube,
    "youtu.be": _short_youtube,
    "reddit.com": _reddit,
    "redd.it": _short_reddit,
    "x.com": _x,
    "news.ycombinator.com": _hacker_news,
}
