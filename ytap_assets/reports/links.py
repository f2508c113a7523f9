"""Which URLs may be links. Everything else is shown as text, or not at all."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from ytap_assets.domain.ids import is_video_id

_MAX_URL = 2_000
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"'`{}|^\u2028\u2029]")


def find_link(url: str | None) -> str | None:
    """The URL if it is one a reader may be sent to, else None.

    Only absolute ``http`` and ``https`` URLs with a host, without credentials, blanks or control
    characters, of at most 2,000 characters.
    """
    if url is None or len(url) > _MAX_URL or _UNSAFE.search(url):
        return None
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        return None
    return url if port_is_valid else None


def find_video_link(platform: str | None, video_id: str) -> str | None:
    """The page of a video, where its id is one of YouTube's."""
    if platform not in {None, "youtube"} or not is_video_id(video_id):
        return None
    return f"https://www.youtube.com/watch?v={video_id}"
