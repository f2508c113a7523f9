"""Canonical URLs: one spelling per page, by which stories are identified.

Belongs here: what follows from the text of a URL, the rules of single platforms (equivalent forms,
tracking parameters, redirects, addresses that are not pages), and the ids derived from a URL. Does
not belong here: following redirects over the network, or comparing titles.

w3lib and courlan are not used, not even for the steps below the platforms' rules: w3lib misses 9 of
150 spellings there, courlan merges different pages (`docs/adr/0028-libraries.md`).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from urllib.parse import parse_qsl, unquote

import polars as pl

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


def _compile_tracking(entries: str) -> re.Pattern[str]:
    """A pattern of parameters; an entry is a name or ``name=value``, with ``*`` for any text."""
    pairs = (entry.partition("=") for entry in entries.split())
    forms = (f"{re.escape(name)}={re.escape(value or '*')}" for name, _, value in pairs)
    return re.compile("|".join(forms).replace(r"\*", ".*"), re.DOTALL)


_PLATFORM_TRACKING = {
    host: _compile_tracking(entries)
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
"""Hosts and beginnings of paths that lead elsewhere, and the parameters with the target."""
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
"""Canonical home pages with different content each day or for each reader, and placeholders.

Other home pages name what is there: a project is often linked to by its own.
"""
_NAMES_PAGE = re.compile(
    r"(?:curid|diff|id|oldid|p|page_id|search|story|story_?id|title|url|v)=.", re.DOTALL
)
"""Parameters of a home page, in lower case, that select another page."""

_REGISTRIES = """
    bitbucket.org codeberg.org crates.io docker.com github.com gitlab.com huggingface.co npmjs.com
    pypi.org sr.ht
"""
_NAMES_IN_PATHS = frozenset(_REGISTRIES.split())
"""Hosts with user-defined names in paths, such as ``amp``."""
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
"""Paths that lack the name of a page."""
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
"""Canonical URLs that do not identify a page, in addition to `HOME_PAGES`."""
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
    """The main host of a platform's hosts."""
    return "reddit.com" if _LANGUAGE_OF_REDDIT.fullmatch(host) else _HOSTS.get(host, host)


def is_platform_tracking(host: str, name: str, value: str) -> bool:
    """Whether a parameter, in lower case, is tracking on a host, though not on every host."""
    if _AMAZON.fullmatch(host):
        return _TRACKING_AT_AMAZON.fullmatch(name) is not None
    known = (
        _PLATFORM_TRACKING[domain] for domain in _domains(host) if domain in _PLATFORM_TRACKING
    )
    return any(tracking.fullmatch(f"{name}={value}") for tracking in known)


def is_home_setting(host: str, parameter: str) -> bool:
    """Whether a parameter of a host's home page is only a display setting, such as ``hl=en``.

    It does on platforms and in newspapers. What names a page there, as ``curid``, does not.
    """
    is_portal = host in _PORTALS or is_news(host) or GOOGLE.fullmatch(host) is not None
    return is_portal and _NAMES_PAGE.match(parameter.lower()) is None


def is_news(host: str) -> bool:
    """Whether a host is a newspaper or its subdomain."""
    return _is_below(host, _NEWS_HOSTS)


def has_amp_forms(host: str, path: str) -> bool:
    """Whether ``amp`` in the path of an article is a display form.

    It is in newspapers, and where the rest reads as an article's path: with a date, a headline of
    four words, a long number or ``.html``. Elsewhere it is a name, as in ``/package/amp``.

    Args:
        host: The host.
        path: The path without ``amp``.
    """
    if is_news(host):
        return True
    return _ARTICLE_PATH.search(path) is not None and not _is_below(host, _NAMES_IN_PATHS)


def redirect_target(host: str, path: str, query: str) -> str | None:
    """The target of a redirect or of a copy in the Wayback Machine, if it is in the URL."""
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
    """The canonical URL of a platform's page, or None if the kind of page is unknown."""
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


MAX_CHARACTERS = 4096
"""A longer URL is replaced by its hash."""

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
# Not every name with pk_, which also abbreviates a primary key.
TRACKING_PARAMETERS = frozenset([*_TRACKING.split(), *(f"pk_{name}" for name in _PK.split())])
"""Parameters that are tracking on every host.

So are those that begin with one of `_TRACKING_PREFIXES`. Parameters that are tracking on some hosts
and identify the page on others, such as ``ref`` and ``feature``, are removed per host
(`_PLATFORM_TRACKING`).
"""
_TRACKING_PREFIXES = ("utm_", "mtm_", "matomo_", "piwik_", "gaa_")
"""Campaign parameters of Google and Matomo, and of Google News Showcase."""
_REFERRING = """
    hn hackernews hacker-news hacker_news showhn show-hn producthunt product-hunt reddit twitter
    facebook linkedin rss newsletter news.ycombinator.com ycombinator.com producthunt.com
    www.producthunt.com reddit.com www.reddit.com twitter.com x.com t.co facebook.com
    www.facebook.com linkedin.com www.linkedin.com lobste.rs lobsters
"""
_REFERRERS = frozenset(_REFERRING.split())
"""Referrers: a ``ref`` with one of these values is tracking on every host."""
_SHOWN_AS_AMP = frozenset(
    {"amp", "amp=", "amp=1", "amp=true", "output=amp", "outputtype=amp", "outputtype=amp-type"}
)

# Letters since IDNA 2008; Python's codec implements IDNA 2003 and replaces them (straße: strasse).
_LETTERS_SINCE_2010 = frozenset("\u00df\u03c2")
# U+200C and U+200D are significant within a path, in Persian and Hindi, but not at its ends.
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
# Each subdomain of these is a separate site.
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
# Every text that a rule may change; for a host such as www.com, www is not a prefix.
_NOT_PLAIN = (
    r"amp|mobile\.|//(?:www\.)?m\.|\.m\.|//www\.www\.|//www\.[^.]+(?:/|$)"
    r"|youtu|redd\.?it|(?:twitter|nitter)\.|[/.]x\.com|ycombinator\.|google\.|amazon\.|archive\."
    r"|/(?i:index|default)\."
)
_AMP_CACHE_PATH = re.compile(r"/[civ]/(?:s/)?([^/]+\.[^/]+.*)")
_AMP_VIEWER_PATH = re.compile(r"/amp/(?:s/)?([^/]+\.[^/]+.*)")


def canonical_url(url: str) -> str:
    """Canonicalize a URL: two spellings of one page give the same text.

    Scheme, host and port are normalized (http and https are one, ``www.``, ``m.``, ``mobile.``
    and ``amp.`` are removed), user names, fragments, tracking parameters, AMP forms and
    ``index.html`` are removed, parameters are sorted, copies in the Wayback Machine and known
    redirects are replaced by their target, and pages of YouTube, Reddit, X, Amazon and Hacker News
    have one form each. AMP forms are removed where they are known as such (`has_amp_forms`),
    settings of a home page (``?hl=en``) on platforms and newspapers, and invisible characters
    everywhere. A text that is not an http URL is returned in lower case, as an opaque key; a text
    longer than `MAX_CHARACTERS` as its hash. Never raises; idempotent.
    """
    text = url if url.isprintable() else _without_controls(url)
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        return _hashed(text)
    canonical = _canonical_http(text)
    if canonical is None:
        canonical = text.lower()
    return canonical if len(canonical) <= MAX_CHARACTERS else _hashed(text)


def distinct_pages(urls: Iterable[str | None]) -> list[str]:
    """The URLs without nulls and without further spellings of an earlier URL."""
    found: dict[str, str] = {}
    for url in urls:
        if url:
            found.setdefault(canonical_url(url), url)
    return list(found.values())


def ascii_host(host: str) -> str | None:
    """A host in ASCII and lower case (IDNA); None if it cannot be encoded."""
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
    """A host from `ascii_host` in Unicode, for display."""
    return ".".join(map(_readable_label, host.split(".")))


def read_host(text: str) -> str:
    """Parse a host from a list, in ASCII (`ascii_host`).

    ``https://``, ``www.``, ``*.``, and a dot before or after it are removed; a top-level domain
    needs a leading dot (``.zip``).

    Raises:
        ValueError: It is not a host: a word, an address with a path, a host with a port.
    """
    parts = _LISTED_HOST.fullmatch(text.strip())
    host = ascii_host(parts[2]) if parts else None
    if not parts or not host or len(host) > MAX_HOST_CHARACTERS or not _HOST_NAME.fullmatch(host):
        raise ValueError("not a host such as spam.example (without a path or a port)")
    if "." not in host and not parts[1]:
        raise ValueError(f"not a host such as spam.example; write .{host} for all hosts below it")
    return host


def canonical_urls(urls: pl.Series) -> pl.Series:
    """`canonical_url` of each; null stays null, and URLs that do not identify a page become null.

    The latter are placeholders (``n/a``, ``http://``, ``https://example.com``), private addresses,
    the home pages of platforms and newspapers, pages of search results and of logins, and paths
    that lack their id (``youtube.com/watch?v=``): two items with such a URL need not have the same
    subject.

    Each distinct text is processed once. Plain URLs (only a host and a path) and canonical ones are
    processed within Polars, which is ten times as fast.
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
    is_no_page = canonical.is_in(HOME_PAGES) | canonical.str.contains(NO_PAGE)
    named = pl.select(pl.when(~is_no_page).then(canonical)).to_series()
    return urls.replace_strict(pl.concat([done["url"], slow]), named, default=None)


def story_id_of(canonical: str) -> str:
    """A story's id: 16 hex digits that depend only on its canonical URL, and never change."""
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
    target = None if port else redirect_target(host, path, query)
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
    """The host and, unless it is the default one, the port as ``:8080``; None if invalid."""
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
    """The label in Unicode; unchanged if the decoding is invalid or not unique."""
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
    """The path without AMP forms and ``index.html``."""
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
    """The page shown by an AMP cache, without its scheme."""
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
    """The fragment if it is a route of a single-page site (``#!/a``)."""
    route = _canonical_escapes(fragment).rstrip("/")
    return f"#{route}" if _ROUTE.fullmatch(route) else ""


def _canonical_escapes(text: str) -> str:
    """Escape and unescape so that each character has one form."""
    if "%" in text:
        text = _ESCAPE.sub(_unescape_unreserved, _STRAY_PERCENT.sub("%25", text))
    if _TO_ESCAPE.search(text):
        text = _TO_ESCAPE.sub(_escape, text)
    before = None
    while "%" in text and before != text:
        before, text = text, _INVISIBLE_ESCAPES.sub("", text)
    return text


def _escape(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode())


def _unescape_unreserved(match: re.Match[str]) -> str:
    character = chr(int(match[0][1:], 16))
    return character if character in _UNRESERVED else match[0].upper()
