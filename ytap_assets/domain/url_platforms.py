"""What is known of the addresses of single platforms.

The forms that one page has, parameters that are tracking there, redirects that name where they
lead, and addresses that name no page of their own. Does not belong here: what holds for every URL
(`urls`). Hosts and paths arrive normalized: lower-case hosts without ``www.``, ``m.`` and the
like, paths without AMP forms and trailing slashes, parameters without tracking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
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

GOOGLE = re.compile(r"(?:images\.)?google\.[a-z]{2,3}(?:\.[a-z]{2})?")
"""The hosts of Google's search, one for each country."""

_TRACKING_BY_HOST = {
    "aliexpress.com alibaba.com taobao.com tmall.com 1688.com": "spm scm",
    "apnews.com reuters.com": "taid",
    "apple.com": "itscg itsct",
    "bbc.com bbc.co.uk": "at_* ns_* ocid",
    "bilibili.com": "from_spmid share_* spm_id_from unique_k vd_source",
    "bloomberg.com": "accesstoken cmpid leadsource sref srnd",
    "cbc.ca guardian.co.uk theguardian.com": "cmp",
    "cnbc.com": "__source",
    "dailymail.co.uk inews.co.uk metro.co.uk": "ito",
    "ebay.com": "_trksid _trkparms",
    "economist.com": "fsrc giftid",
    "etsy.com indiegogo.com kickstarter.com producthunt.com sciencemag.org": "ref",
    "facebook.com": "__cft__* __tn__ __xts__ ref refid",
    "ft.com": "accesstoken desktop ftcamp giftid segmentid sharetype",
    "github.com": "tab=*-ov-file",
    "huffingtonpost.com huffpost.com techcrunch.com": "ncid sr_share tpcc",
    "imdb.com": "ref_",
    "independent.co.uk": "r",
    "lemonde.fr": "lmd_*",
    "linkedin.com": "lipi rcm trackingid trk",
    "medium.com": "gi sk source",
    "microsoft.com msn.com": "ocid",
    "newscientist.com sfchronicle.com t-mobile.com theglobeandmail.com": "cmpid",
    "nytimes.com": "_r action clicksource contentcollection emc hp module pagewanted=all partner"
    " pgtype ref referringsource region searchresultposition smid smprod smtyp"
    " unlocked_article_code wt.nav",
    "quora.com": "ref share",
    "reddit.com": "correlation_id rdt ref ref_campaign ref_source share_id",
    "soundcloud.com": "si",
    "spiegel.de": "sara_ref",
    "spotify.com": "context si",
    "substack.com": "isfreemail r s showwelcome showwelcomeonshare triedredirect",
    "tiktok.com": "_r _t is_copy_url is_from_webapp sender_device web_id",
    "vimeo.com": "fe fl share",
    "washingtonpost.com": "hpid itid pwapi_token tid wpisrc wpmm",
    "wikipedia.org wikimedia.org wikiquote.org wiktionary.org": "wprov",
    "wsj.com": "mod reflink st",
    "x.com": "cn ref_url s t",
    "yahoo.com": ".tsrc soc_src soc_trk",
    "youtu.be youtube.com": "ab_channel app feature pp si",
}


def _tracking(entries: str) -> re.Pattern[str]:
    """A pattern of parameters; an entry is a name or ``name=value``, with ``*`` for any text."""
    pairs = (entry.partition("=") for entry in entries.split())
    forms = (f"{re.escape(name)}={re.escape(value or '*')}" for name, _, value in pairs)
    return re.compile("|".join(forms).replace(r"\*", ".*"), re.DOTALL)


_TRACKING = {
    host: _tracking(entries)
    for hosts, entries in _TRACKING_BY_HOST.items()
    for host in hosts.split()
}
_TRACKING_AT_AMAZON = re.compile(r"(?:ref_?|tag|linkcode|camp|creative|creativeasin|p[df]_rd_.*)")

_REDIRECTS = {
    ("consent.google.com", ""): ("continue",),
    ("consent.youtube.com", ""): ("continue",),
    ("duckduckgo.com", "/l"): ("uddg",),
    ("exit.sc", ""): ("url",),
    ("google.com", "/url"): ("q", "url"),
    ("href.li", ""): ("",),
    ("l.facebook.com", "/l.php"): ("u",),
    ("l.instagram.com", ""): ("u",),
    ("linkedin.com", "/redir/redirect"): ("url",),
    ("linkedin.com", "/safety/go"): ("url",),
    ("lm.facebook.com", "/l.php"): ("u",),
    ("out.reddit.com", ""): ("url",),
    ("reddit.com", "/media"): ("url",),
    ("slack-redir.net", "/link"): ("url",),
    ("steamcommunity.com", "/linkfilter"): ("url", "u"),
    ("t.umblr.com", "/redirect"): ("z",),
    ("vk.com", "/away.php"): ("to",),
    ("youtube.com", "/attribution_link"): ("u",),
    ("youtube.com", "/redirect"): ("q",),
}
"""Hosts and beginnings of paths that lead elsewhere, and the parameters that say where."""
_WAYBACK_PATH = re.compile(r"/web/[0-9]{1,14}\*?(?:[a-z]{2}_)?/(https?:/+.+)", re.IGNORECASE)
_COPY_PATH = re.compile(
    r"/(?:newest/|oldest/|[0-9]{4,14}/)?(https?:/+.+)", re.IGNORECASE | re.DOTALL
)
_COPIES = frozenset(
    {
        "12ft.io",
        *(f"archive.{end}" for end in ("fo", "is", "li", "md", "ph", "today", "vn")),
    }
)
_SCHEME = re.compile(r"(https?):/+", re.IGNORECASE)

_NEWS = """
    abc.net.au abcnews.go.com aljazeera.com aljazeera.net apnews.com arstechnica.com asahi.com
    axios.com bbc.co.uk bbc.com bild.de bloomberg.com businessinsider.com cbc.ca cbsnews.com
    cnbc.com cnet.com cnn.com dailymail.co.uk economist.com elmundo.es elpais.com engadget.com
    espn.com faz.net folha.uol.com.br forbes.com foxnews.com ft.com gizmodo.com globo.com
    huffpost.com independent.co.uk indiatimes.com latimes.com lefigaro.fr lemonde.fr mashable.com
    msn.com nbcnews.com ndtv.com npr.org nypost.com nytimes.com politico.com repubblica.it
    reuters.com scmp.com sky.com slashdot.org spiegel.de sueddeutsche.de tagesschau.de
    techcrunch.com telegraph.co.uk theatlantic.com theguardian.com theregister.com theverge.com
    time.com usatoday.com vice.com vox.com washingtonpost.com welt.de wired.com wsj.com yahoo.co.jp
    yahoo.com zdnet.com zeit.de
"""
_PLATFORMS = """
    amazon.com apple.com archive.org archive.ph arxiv.org baidu.com bing.com bit.ly bsky.app buff.ly
    chatgpt.com claude.ai dev.to discord.com discord.gg dlvr.it domain.com duckduckgo.com
    example.com example.net example.org facebook.com github.com gitlab.com goo.gl google.com
    hackernoon.com i.imgur.com i.redd.it imdb.com imgur.com instagram.com linkedin.com linktr.ee
    mastodon.social medium.com microsoft.com nature.com naver.com netflix.com news.google.com
    news.ycombinator.com open.spotify.com ow.ly patreon.com pbs.twimg.com pinterest.com
    preview.redd.it quora.com redd.it reddit.com snapchat.com spotify.com stackoverflow.com
    steamcommunity.com store.steampowered.com substack.com t.co t.me telegram.me test.com
    threads.com threads.net tiktok.com tinyurl.com tumblr.com twitch.tv v.redd.it vimeo.com
    web.archive.org wikipedia.org en.wikipedia.org x.com youtu.be youtube.com
"""
_NEWS_HOSTS = frozenset(_NEWS.split())
_PORTALS = _NEWS_HOSTS | frozenset(_PLATFORMS.split())
HOME_PAGES = tuple(sorted(f"https://{host}" for host in _PORTALS))
"""Canonical home pages that show something else every day, or to every reader; and placeholders.

Other home pages name what is there: a project is often linked to by its own.
"""
_NAMES_PAGE = re.compile(
    r"(?:curid|diff|id|oldid|p|page_id|search|story|story_?id|title|url|v)=.", re.DOTALL
)
"""Parameters of a home page, in small letters, that name another page."""

_REGISTRIES = """
    bitbucket.org codeberg.org crates.io docker.com github.com gitlab.com huggingface.co npmjs.com
    pypi.org sr.ht
"""
_NAMES_IN_PATHS = frozenset(_REGISTRIES.split())
"""Hosts whose paths are names that people choose, among them ``amp``."""
_ARTICLE_PATH = re.compile(
    r"/(?:19|20)[0-9]{2}/[0-9]{1,2}/|(?:/[0-9]{2}){3}/"  # a date
    r"|/(?:[^/-]+-){3}[^/]+$|-[0-9]{5,}$|\.html?$"  # a headline, a number, a document
)
_SEARCHES = (
    r"(?:(?:images|news|maps|scholar)\.)?google\.[a-z.]+/(?:search(?:\?|$)|(?:webhp|sorry)\b)|bing\.com/(?:news/)?search\b"
    r"|duckduckgo\.com\?|(?:[a-z]+\.)?search\.yahoo\.com[/?]|baidu\.com/s\b|yandex\.[a-z]+/search\b"
    r"|youtube\.com/(?:results|feed)\b|x\.com/(?:search|home|explore)\b"
    r"|reddit\.com/(?:search\b|r/(?:all|popular)$)"
    r"|news\.ycombinator\.com(?:\?|/(?:news|newest|front|ask|show|jobs)\b)"
)
_LOGINS = (
    r"(?:accounts|consent|login|signin|auth|myaccount)\.[^/.]+\.[^/]+(?:/.*)?"
    r"|[^/]+/(?:(?:accounts?|users?|auth|members?|client|i/flow|m|oauth|sso|uas|ap|session)/)?"
    r"(?:wp-login|log-?in|log_in|sign-?in|sign_in|sign-?up|sign_up|register|authwall|consent|captcha"
    r"|checkpoint|paywall|subscribe|404|403)"
    r"(?:\.[a-z]{3,5})?(?:\?.*)?"
    r"|(?:facebook|linkedin)\.com/checkpoint/.*|tiktok\.com/login/.*|reddit\.com/over18(?:\?.*)?"
    r"|amazon\.[a-z.]+/errors/.*|guce\.[^/]+(?:/.*)?|[^/]+/cdn-cgi/.*"
)
_NAMELESS = (
    r"(?:youtube\.com/attribution_link|google\.[a-z.]+/url|x\.com/i(?:/(?:web|status))?"
    r"|reddit\.com/(?:(?:(?:r|u|user)/[^/]+/)?comments|gallery|r|u|user)|web\.archive\.org/web"
    r"|discord\.com/invite|instagram\.com/(?:p|reel)|tiktok\.com/@|t\.me/s)(?:\?.*)?"
    r"|facebook\.com/(?:watch|story\.php|permalink\.php|photo(?:\.php)?|groups|events)"
    r"|youtube\.com/(?:watch|shorts|embed|live|v|e|playlist(?:\?list=)?)"
    r"|news\.ycombinator\.com/(?:(?:item|user)(?:\?id=)?|from)"
)
"""Paths that wait for the name of a page, and have none."""
_EDITIONS = (
    r"edition|international|global|arabic|asia|amp|mobile|m|news|finance|money|sports?|[a-z]{2}"
)
_NEWS_HOMES = (
    rf"(?:(?:{_EDITIONS})\.)?(?:{'|'.join(map(re.escape, sorted(_NEWS_HOSTS)))})"
    r"(?i:/(?:home|international|latest|news|section(?:/[^/?]+)?|uk|us|world))?"
)
_COUNTRY_HOMES = r"(?:google|amazon)\.(?:com?\.)?[a-z]{2,3}"
_OCTET = r"[0-9]{1,3}"
_LOCAL = (
    r"(?:[^/]*\.)?(?:localhost|localdomain|local|invalid|internal|lan|home\.arpa)(?:[:/?#].*)?"
    rf"|(?:(?:0|10|127)\.{_OCTET}|192\.168|169\.254|172\.(?:1[6-9]|2[0-9]|3[01])"
    rf"|100\.(?:6[4-9]|[789][0-9]|1[01][0-9]|12[0-7])|(?:22[4-9]|2[345][0-9])\.{_OCTET})"
    rf"\.{_OCTET}\.{_OCTET}(?:[:/?#].*)?|127\.[0-9.]+(?:[:/?#].*)?"
    r"|\[(?:::|f[cd][0-9a-f]{2}:|fe[89ab][0-9a-f]:)[0-9a-f:.]*\](?:[:/?#].*)?"
    r"|[^/.:\[]+(?:[:/?#].*)?"
)
NO_PAGE = (
    rf"(?s)^https://(?:{_SEARCHES})"
    rf"|^https://(?:{_LOGINS}|{_NAMELESS}|{_NEWS_HOMES}|{_COUNTRY_HOMES}|{_LOCAL})$"
    r"|^(?:about|data|javascript|blob):"
    r"|^https?:[\s/\\]*$|^n\.?/?a\.?$|^[\W_]*$|^[^.:/]*:?$"
)
"""What a canonical URL that names no page of its own looks like, beside `HOME_PAGES`."""
_YOUTUBE_PATH = re.compile(r"/(?:shorts|embed|live|v|e|watch)/([^/]+)(?:/.*)?", re.DOTALL)
_APPENDED = re.compile(r"(?:[?&]|%3F|%26).*", re.DOTALL)
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


def is_platform_tracking(host: str, name: str, value: str) -> bool:
    """Whether a parameter, in small letters, is tracking on a host, though not on every one."""
    if _AMAZON.fullmatch(host):
        return _TRACKING_AT_AMAZON.fullmatch(name) is not None
    known = (_TRACKING[domain] for domain in _domains(host) if domain in _TRACKING)
    return any(tracking.fullmatch(f"{name}={value}") for tracking in known)


def is_home_setting(host: str, parameter: str) -> bool:
    """Whether a parameter of a host's home page only says how it is shown, as ``hl=en`` does.

    It does on platforms and in newspapers. What names a page there, as ``curid``, does not.
    """
    is_portal = host in _PORTALS or is_news(host) or GOOGLE.fullmatch(host) is not None
    return is_portal and _NAMES_PAGE.match(parameter.lower()) is None


def is_news(host: str) -> bool:
    """Whether a host is a newspaper's or one below it."""
    return _is_below(host, _NEWS_HOSTS)


def has_amp_forms(host: str, path: str) -> bool:
    """Whether ``amp`` in the path of an article is the form in which it is shown.

    It is in newspapers, and where the rest reads as an article's path: with a date, a headline of
    four words, a long number or ``.html``. Elsewhere it is a name, as in ``/package/amp``.

    Args:
        host: The host.
        path: The path without ``amp``.
    """
    if is_news(host):
        return True
    return _ARTICLE_PATH.search(path) is not None and not _is_below(host, _NAMES_IN_PATHS)


def page_behind(host: str, path: str, query: str) -> str | None:
    """The URL that a redirect or a copy in the Wayback Machine leads to, if its text says so."""
    if host in {"web.archive.org", "archive.org"}:
        copied = _WAYBACK_PATH.fullmatch(path)
        if copied is None:
            return None
        return _with_query(copied[1], query)
    if host in _COPIES:
        copied = _COPY_PATH.fullmatch(path)
        return _with_query(copied[1], query) if copied else None
    if GOOGLE.fullmatch(host):
        host = "google.com"
    for (from_host, beginning), names in _REDIRECTS.items():
        if host == from_host and path.startswith(beginning):
            values = dict(parse_qsl(query))
            targets = [query if not name else values.get(name, "") for name in names]
            if host == "youtube.com":
                targets = [re.sub(r"^/(?!/)", "https://www.youtube.com/", one) for one in targets]
            return next((one for one in targets if _SCHEME.match(one)), None)
    return None


def _with_query(target: str, query: str) -> str:
    return _SCHEME.sub(r"\1://", target, count=1) + (f"?{query}" if query else "")


def _is_below(host: str, hosts: Collection[str]) -> bool:
    return any(domain in hosts for domain in _domains(host))


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
    if match:
        return _first_video([match[1]])
    if path not in {"", "/watch"}:
        return None
    is_named = any(_values("v", parameters)) or any(_values("list", parameters))
    # A player without a video is one page, whatever else is asked of it.
    return _first_video(_values("v", parameters)) or (
        None if is_named or not path else "https://youtube.com/watch"
    )


def _short_youtube(path: str, parameters: Sequence[str]) -> str | None:
    match = _SHORT_YOUTUBE_PATH.fullmatch(path)
    return _first_video([match[1]] if match else _values("v", parameters))


def _first_video(candidates: Sequence[str]) -> str | None:
    for candidate in candidates:
        # What was appended to the address by hand follows it: `?feature=share` or `&t=1`.
        video_id = _APPENDED.sub("", candidate)
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
