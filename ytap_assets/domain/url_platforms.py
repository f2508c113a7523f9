"""The forms that a few platforms have for one page: YouTube, Reddit, X, Hacker News.

Belongs here: what is known of one platform's addresses. Does not belong here: what holds for every
URL (`urls`). Hosts and paths arrive normalized: lower-case hosts without ``www.``, ``m.`` and the
like, paths without AMP forms and trailing slashes, parameters without tracking.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from ytap_assets.domain.ids import is_video_id

_HOSTS = {
    "twitter.com": "x.com",
    "youtube-nocookie.com": "youtube.com",
    "music.youtube.com": "youtube.com",
    "gaming.youtube.com": "youtube.com",
    **{f"{name}.reddit.com": "reddit.com" for name in ("old", "np", "new", "sh", "i", "en", "ssl")},
}
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
_DIGITS = re.compile(r"[0-9]+")


def platform_host(host: str) -> str:
    """The host that a platform's other hosts stand for."""
    return _HOSTS.get(host, host)


def platform_form(host: str, path: str, parameters: Sequence[str]) -> str | None:
    """The one form of a platform's page, or None where the page is of no known kind."""
    known = _FORMS.get(host)
    return known(path, parameters) if known else None


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
