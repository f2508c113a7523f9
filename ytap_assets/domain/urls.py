"""One spelling per page: the canonical URL, by which one story is told from another (SPEC 2).

Belongs here: what can be told from a URL's text alone, and the ids made from it. Does not belong
here: following redirects (that asks the network), the forms of single platforms
(`url_platforms`), or telling stories by their titles.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote

import polars as pl

from ytap_assets.domain.url_platforms import (
    GOOGLE,
    HOME_PAGES,
    NO_PAGE,
    has_amp_forms,
    is_home_setting,
    is_news,
    is_platform_tracking,
    page_behind,
    platform_form,
    platform_host,
)

MAX_CHARACTERS = 4096
"""A longer URL names nothing that a person linked to; its hash stands for it."""

_TRACKING = """
    __hsfp __hssc __hstc __s __twitter_impression _branch_match_id _ga _gl _hsenc _hsmi _openstat
    at_campaign at_medium ck_subscriber_id dclid epik fb_action_ids fb_action_types fb_ref fb_source
    fbclid gad_campaignid gad_source gbraid gclid gclsrc guccounter guce_referrer guce_referrer_sig
    hmci hmcu hmkw hmpl hmsr hsctatracking igsh igshid jsessionid li_fat_id mc_cid mc_eid mibextid
    mkt_tok ml_subscriber ml_subscriber_hash msclkid oly_anon_id oly_enc_id phpsessid rb_clickid
    ref_src s_cid sc_cid sccid srsltid trk_contact trk_module trk_msg trk_sid ttclid twclid
    vero_conv vero_id wbraid wickedid wt.mc_id wt_mc xtor yclid
"""
_PK = "abe abv campaign cid content cpn group keyword kwd medium placement source vid"
# Not all that begin with pk_: it is short for a primary key, too.
TRACKING_PARAMETERS = frozenset([*_TRACKING.split(), *(f"pk_{name}" for name in _PK.split())])
"""Parameters that say where a reader came from on whatever host, never what the page is.

So do those that begin with one of `_TRACKING_PREFIXES`. What is tracking on some hosts and names
the page on others, as ``ref`` and ``feature`` do, is dropped on the former only (`url_platforms`).
"""
_TRACKING_PREFIXES = ("utm_", "mtm_", "matomo_", "piwik_", "gaa_")
"""Of the campaigns of Google and Matomo, and of Google's showcase of news."""
_REFERRING = """
    hn hackernews hacker-news hacker_news showhn show-hn producthunt product-hunt reddit twitter
    facebook linkedin rss newsletter news.ycombinator.com ycombinator.com producthunt.com
    www.producthunt.com reddit.com www.reddit.com twitter.com x.com t.co facebook.com
    www.facebook.com linkedin.com www.linkedin.com lobste.rs lobsters
"""
_REFERRERS = frozenset(_REFERRING.split())
"""Where readers come from: a ``ref`` of this value says so on whatever host."""
_SHOWN_AS_AMP = frozenset(
    {"amp", "amp=", "amp=1", "amp=true", "output=amp", "outputtype=amp", "outputtype=amp-type"}
)

# IDNA 2008 made them letters; the codec of Python, of 2003, replaces them (straße by strasse).
_LETTERS_SINCE_2010 = frozenset("\u00df\u03c2")
# U+200C and U+200D tell words apart within a path, in Persian and Hindi; at its ends they do not.
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
)
_INVISIBLE_ESCAPES = re.compile(
    r"%C2%AD|%E2%80%(?:8[BEF]|A[A-E])|%E2%81%A[0-9]|%EF%BB%BF|(?:%E2%80%8[CD])+(?=[/&;.]|$)"
)
_HTTP = re.compile(
    r"(?:https?:)?[/\\]{2,}([^/\\?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.ASCII | re.IGNORECASE
)
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?(?::([0-9]{0,5}))?")
_LISTED_HOST = re.compile(
    r"(?:https?://)?(\*?\.)?(?:www\.(?=[^.]+\.[^.]))?([^\s/?#:@*]+?)\.?/?", re.IGNORECASE
)
_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
MAX_HOST_CHARACTERS = 253
_NICHES = ("www.", "m.", "mobile.", "amp.")
# Below these, each name is somebody's own site.
_SHARED = (
    r"(?:(?:blogspot|herokuapp|substack|tumblr|wordpress)\.com|(?:github|gitlab|readthedocs)\.io"
    r"|(?:netlify|vercel|web)\.app|(?:pages|workers)\.dev|co\.[a-z]{2})"
)
_NICHE_HOST = re.compile(
    rf"^(?:(?:www|m|mobile|amp)\.)+(?=[^.]+\.)(?!{_SHARED}$)|^www\.(?=[^.]+\.)"
)
_WIKI_MOBILE = re.compile(r"^([a-z-]+)\.m\.(?=wik[a-z]+\.org$)")
_ENTITY = re.compile(r"^(?:amp;)+")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SEPARATOR = re.compile(r"&|;(?=[A-Za-z_][\w.%-]*=)", re.ASCII)
_INDEX = re.compile(
    r"/(?:index\.(?:html?|php|aspx?|shtml)|default\.(?:html?|aspx?))$", re.IGNORECASE
)
_SESSION = re.compile(r";jsessionid=[^/;]*|&utm_[a-z]+=[^/]*", re.IGNORECASE)
_ROUTE = re.compile(r"(?:[!/]|[A-Z]!)..*", re.DOTALL)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_TO_ESCAPE = re.compile(r"[^!$%&'()*+,./0-9:;=?@A-Z_a-z~-]+")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_AMP_HEAD = re.compile(r"^(?:/amp)+(?=/.)")
_AMP_FOLDER = re.compile(r"(?:/platform)?/amp(?=/.)")
_AMP_TAIL = re.compile(r"(?<=[^/.])(?:(?:/amp|\.amp)+|(?:\.amp)+(\.html?))$")
_CANONICAL_VIDEO = r"^https://www\.youtube\.com/watch\?v=[A-Za-z0-9_-]{11}$"
_PLAIN = r"^https?://(?:www\.)?([a-z0-9-]+(?:\.[a-z0-9-]+)+(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*)/?$"
# Whatever a rule of ours might look at; a host such as www.com is all there is to its name.
_NOT_PLAIN = (
    r"amp|mobile\.|//(?:www\.)?m\.|\.m\.|//www\.www\.|//www\.[^.]+(?:/|$)"
    r"|youtu|redd\.?it|(?:twitter|nitter)\.|[/.]x\.com|ycombinator\.|google\.|amazon\.|archive\."
    r"|/(?i:index|default)\."
)
_AMP_CACHE_PATH = re.compile(r"/[civ]/(?:s/)?([^/]+\.[^/]+.*)")
_AMP_VIEWER_PATH = re.compile(r"/amp/(?:s/)?([^/]+\.[^/]+.*)")


def canonical_url(url: str) -> str:
    """The one spelling of a URL; two spellings of one page give the same text.

    Scheme, host and port are normalized (http and https are one, ``www.``, ``m.``, ``mobile.``
    and ``amp.`` are none), user names, fragments, tracking parameters, AMP forms and
    ``index.html`` are dropped, parameters are sorted, copies in the Wayback Machine and known
    redirects are the page they lead to, and the pages of YouTube, Reddit, X, Amazon and Hacker
    News take one form each. AMP forms are dropped where they are known as such
    (`url_platforms.has_amp_forms`), settings of a home page (``?hl=en``) on platforms and in
    newspapers, and invisible characters everywhere.
    What is not an http URL comes back in lower case, as an opaque key; what is longer than
    `MAX_CHARACTERS` comes back as its hash. Never raises; applying it twice changes nothing.
    """
    text = url if url.isprintable() else _without_controls(url)
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        return _hashed(text)
    canonical = _canonical_http(text)
    if canonical is None:
        canonical = text.lower()
    return canonical if len(canonical) <= MAX_CHARACTERS else _hashed(text)


def ascii_host(host: str) -> str | None:
    """A host in ASCII and lower case, as it is asked for (IDNA); None where it cannot be."""
    host = host.lower()
    if host.isascii():
        return host
    try:
        if _LETTERS_SINCE_2010.intersection(host):
            labels = unicodedata.normalize("NFKC", host).split(".")
            return ".".join(map(_ascii_label, labels))
        return host.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return None


def readable_host(host: str) -> str:
    """A host of `ascii_host` in the letters that people read, where it has any."""
    return ".".join(map(_readable_label, host.split(".")))


def read_host(text: str) -> str:
    """The host that somebody listed, in ASCII, as `ascii_host` gives it.

    ``www.``, ``*.`` and a dot before it are none of it, nor is one after it, nor ``https://``; a
    top-level domain alone is meant only where it begins with a dot (``.zip``).

    Raises:
        ValueError: It is no host: a word, an address with a path, a host with a port.
    """
    parts = _LISTED_HOST.fullmatch(text.strip())
    host = ascii_host(parts[2]) if parts else None
    if not parts or not host or len(host) > MAX_HOST_CHARACTERS or not _HOST_NAME.fullmatch(host):
        raise ValueError("not a host such as spam.example (without a path or a port)")
    if "." not in host and not parts[1]:
        raise ValueError(f"not a host such as spam.example; write .{host} for all hosts below it")
    return host


def canonical_urls(urls: pl.Series) -> pl.Series:
    """`canonical_url` of each; null stays null, and what names no page of its own becomes null.

    The latter are placeholders (``n/a``, ``http://``, ``https://example.com``), private addresses,
    the home pages of platforms and newspapers, pages of search results and of logins, and paths
    that lack their id (``youtube.com/watch?v=``): what two items with such a URL have in common is
    not their subject.

    Each distinct text is worked on once, and the many that are plain (nothing in them but a host
    and a path) or canonical already do not leave Polars: that is ten times as fast.
    """
    distinct = urls.cast(pl.String).unique().drop_nulls().alias("url")
    url = pl.col("url")
    is_plain = url.str.contains(_PLAIN) & ~url.str.contains(_NOT_PLAIN)
    done = distinct.to_frame().with_columns(
        canonical=pl.when(url.str.len_bytes() > MAX_CHARACTERS)
        .then(None)
        .when(url.str.contains(_CANONICAL_VIDEO))
        .then(url)
        .when(is_plain)
        .then(pl.lit("https://") + url.str.extract(_PLAIN, 1))
    )
    slow = done.filter(pl.col("canonical").is_null())["url"]
    done = done.drop_nulls("canonical")
    canonical = pl.concat([done["canonical"], _texts(map(canonical_url, slow.to_list()))])
    names_none = canonical.is_in(HOME_PAGES) | canonical.str.contains(NO_PAGE)
    named = pl.select(pl.when(~names_none).then(canonical)).to_series()
    return urls.replace_strict(pl.concat([done["url"], slow]), named, default=None)


def story_id_of(canonical: str) -> str:
    """A story's id: 16 hex digits that depend on its canonical URL alone, for ever."""
    return hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()[:16]


def story_ids_of(canonical: pl.Series) -> pl.Series:
    """`story_id_of` of each; no nulls."""
    distinct = canonical.unique()
    return canonical.replace_strict(distinct, _texts(map(story_id_of, distinct.to_list())))


def _texts(values: Iterable[str]) -> pl.Series:
    return pl.Series(list(values), dtype=pl.String)


def _without_controls(text: str) -> str:
    return _CONTROLS.sub("", text.encode("utf-8", "replace").decode("utf-8"))


def _hashed(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _canonical_http(text: str) -> str | None:
    parts = _HTTP.fullmatch(text)
    if parts is None:
        return None
    authority, path, query, fragment = parts.groups(default="")
    host_and_port = _canonical_host(authority)
    if host_and_port is None:
        return None
    host, port = host_and_port
    path = _resolved_path(path)
    inner = _behind_amp_proxy(host, path)
    if inner is not None:
        return _canonical_http(f"https://{inner}?{query}#{fragment}")
    target = None if port else page_behind(host, path, query)
    if target is not None:
        behind = _canonical_http(target if "#" in target else f"{target}#{fragment}")
        if behind is not None:
            return behind
    path = _plain_path(host, path)
    parameters = _canonical_parameters(host, query)
    if not path:
        parameters = [text for text in parameters if not is_home_setting(host, text)]
    known = None if port else platform_form(host, path, parameters)
    if known is not None:
        return known
    tail = f"?{'&'.join(parameters)}" if parameters else ""
    return f"https://{host}{port}{path}{tail}{_route(fragment)}"


def _canonical_host(authority: str) -> tuple[str, str] | None:
    """The host and, unless it is the usual one, the port as ``:8080``; None where invalid."""
    name = authority.rpartition("@")[2]
    host = ascii_host(unquote(name) if "%" in name else name)
    match = _AUTHORITY.fullmatch(host) if host is not None else None
    if match is None:
        return None
    name, port = match[1], int(match[2] or 443)
    if name.startswith(_NICHES):
        name = _NICHE_HOST.sub("", name)
    if ".m." in name:
        name = _WIKI_MOBILE.sub(r"\1.", name)
    return platform_host(name), "" if port in (80, 443) else f":{port}"


def _ascii_label(label: str) -> str:
    return label if label.isascii() else f"xn--{label.encode('punycode').decode('ascii')}"


def _readable_label(label: str) -> str:
    """The label's letters; what stands for no letters, or not for these alone, stays as it is."""
    if not label.startswith("xn--"):
        return label
    try:
        letters = label.removeprefix("xn--").encode().decode("punycode")
    except UnicodeError:
        return label
    return letters if letters.isprintable() and ascii_host(letters) == label else label


def _resolved_path(path: str) -> str:
    path = _SESSION.sub("", _canonical_escapes(path.replace("\\", "/")))
    if "/." not in path:
        return path
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments = segments[:-1] or segments
        elif segment != ".":
            segments.append(segment)
    return "/".join(segments)


def _plain_path(host: str, path: str) -> str:
    """The path without what names the same page: AMP forms and ``index.html``."""
    before = None
    while before != path:
        before = path
        path = _INDEX.sub("", path.rstrip("/"))
        if "amp" in path:
            head = _AMP_FOLDER if is_news(host) else _AMP_HEAD
            plain = _AMP_TAIL.sub(r"\1", head.sub("", path)).rstrip("/")
            path = plain if has_amp_forms(host, plain) else path
    return path


def _behind_amp_proxy(host: str, path: str) -> str | None:
    """The page that an AMP cache shows, without its scheme."""
    if host.endswith(".cdn.ampproject.org"):
        match = _AMP_CACHE_PATH.fullmatch(path)
    elif GOOGLE.fullmatch(host):
        match = _AMP_VIEWER_PATH.fullmatch(path)
    else:
        return None
    return _AMP_TAIL.sub(r"\1", match[1].rstrip("/")) if match else None


def _canonical_parameters(host: str, query: str) -> list[str]:
    if not query:
        return []
    escaped = _canonical_escapes(query.replace("+", "%20"))
    parameters = (_ENTITY.sub("", text) for text in _SEPARATOR.split(escaped))
    return sorted({text for text in parameters if text and not _is_tracking(host, text)})


def _is_tracking(host: str, parameter: str) -> bool:
    name, _, value = parameter.lower().partition("=")
    return (
        name.startswith(_TRACKING_PREFIXES)
        or name in TRACKING_PARAMETERS
        or parameter.lower() in _SHOWN_AS_AMP
        or (name == "ref" and value in _REFERRERS)
        or is_platform_tracking(host, name, value)
    )


def _route(fragment: str) -> str:
    """The fragment where it names a page of a one-page site (``#!/a``), not a place in a page."""
    route = _canonical_escapes(fragment).rstrip("/")
    return f"#{route}" if _ROUTE.fullmatch(route) else ""


def _canonical_escapes(text: str) -> str:
    """Escape what must be, and unescape what need not be, so that each character has one form."""
    if "%" in text:
        text = _ESCAPE.sub(_unescape_needless, _STRAY_PERCENT.sub("%25", text))
    if _TO_ESCAPE.search(text):
        text = _TO_ESCAPE.sub(_escape, text)
    before = None
    while "%" in text and before != text:
        before, text = text, _INVISIBLE_ESCAPES.sub("", text)
    return text


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _unescape_needless(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if character in _UNRESERVED else match[0].upper()
