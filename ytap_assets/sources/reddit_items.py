"""What Reddit's documents hold: posts of a listing (JSON) and entries of a feed (Atom).

Belongs here: the two wire formats. Does not belong here: asking for them (`reddit`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from ytap_assets.sources.documents import load_json, load_xml
from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fields import (
    UnreadableItemError,
    as_object,
    decode_entities,
    read_count,
    read_flag,
    read_instant,
    read_text,
    read_title,
    read_unix,
    read_url,
    require_text,
)
from ytap_assets.sources.http.exchange import MalformedError, describe_url
from ytap_assets.sources.parsing import Item
from ytap_assets.sources.trend import Trend

API_HOST = "oauth.reddit.com"
FEED_HOST = "www.reddit.com"

_ATOM = "{http://www.w3.org/2005/Atom}"
_POST_ID = re.compile(r"[a-z0-9]{1,13}")
_FULLNAME = re.compile(r"t3_[a-z0-9]{1,13}")
_LINK = re.compile(r'<a href="([^"<>]{1,8192})">\s*\[link\]\s*</a>')


def list_posts(exchange: Exchange) -> Sequence[object]:
    """The children of a listing, or the entries of a feed.

    Raises:
        MalformedError: The document is neither.
    """
    if urlsplit(exchange.url).hostname == FEED_HOST:
        root = load_xml(exchange)
        if root.tag != f"{_ATOM}feed":
            raise MalformedError(f"{describe_url(exchange.url)}: not a feed", exchange=exchange)
        return root.findall(f"{_ATOM}entry")
    children = _listing(exchange).get("children")
    if not isinstance(children, list):
        raise MalformedError(f"{describe_url(exchange.url)}: no posts", exchange=exchange)
    return children


def next_page(exchange: Exchange) -> str | None:
    """Where the listing goes on, or None at its end and for a feed."""
    if urlsplit(exchange.url).hostname != API_HOST:
        return None
    try:
        after = _listing(exchange).get("after")
    except MalformedError:
        return None  # The parser will say so.
    return after if isinstance(after, str) and _FULLNAME.fullmatch(after) else None


def read_post(item: Item) -> dict[str, Any]:
    """One post as a trend.

    Raises:
        UnreadableItemError: It cannot be read.
    """
    if isinstance(item.content, Element):
        return _read_entry(item, item.content).to_row()
    return _read_child(item).to_row()


def _listing(exchange: Exchange) -> dict[str, Any]:
    document = load_json(exchange)
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise MalformedError(f"{describe_url(exchange.url)}: not a listing", exchange=exchange)
    return data


def _read_child(item: Item) -> Trend:
    child = as_object(item.content, "post")
    kind = read_text(child.get("kind"), "kind")
    if kind != "t3":
        raise UnreadableItemError(f"kind {(kind or 'unknown')[:20]!r} is not a post")
    post = as_object(child.get("data"), "data")
    post_id = read_text(post.get("id"), "id")
    if post_id is None or not _POST_ID.fullmatch(post_id):
        raise UnreadableItemError("id is missing or not a post's id")
    seen_at = item.exchange.fetched_at
    page = _on_reddit(post.get("permalink"), "permalink")
    stickied = read_flag(post.get("stickied"), "stickied")
    promoted = read_flag(post.get("promoted"), "promoted")
    return Trend(
        source="reddit",
        item_id=post_id,
        observed_at=seen_at,
        title=read_title(post.get("title")),
        url=_on_reddit(post.get("url"), "url") or page,
        discussion_url=page,
        published_at=read_unix(post.get("created_utc"), "created_utc", seen_at),
        points=read_count(post.get("score"), "score"),
        comments=read_count(post.get("num_comments"), "num_comments"),
        list_name=_list_name(item.exchange),
        rank=item.position,
        category=read_text(post.get("subreddit"), "subreddit"),
        is_promoted=bool(stickied or promoted) if (stickied, promoted) != (None, None) else None,
    )


def _read_entry(item: Item, entry: Element) -> Trend:
    fullname = require_text(entry.findtext(f"{_ATOM}id"), "id")
    if not _FULLNAME.fullmatch(fullname):
        raise UnreadableItemError("id is not a post's id")
    seen_at = item.exchange.fetched_at
    link = entry.find(f"{_ATOM}link")
    category = entry.find(f"{_ATOM}category")
    page = read_url(link.get("href") if link is not None else None, "link")
    return Trend(
        source="reddit",
        item_id=fullname.removeprefix("t3_"),
        observed_at=seen_at,
        title=read_title(entry.findtext(f"{_ATOM}title")),
        url=_linked_url(entry.findtext(f"{_ATOM}content")) or page,
        discussion_url=page,
        published_at=read_instant(entry.findtext(f"{_ATOM}published"), "published", seen_at),
        list_name=_list_name(item.exchange),
        rank=item.position,
        category=read_text(category.get("term"), "category") if category is not None else None,
    )


def _list_name(exchange: Exchange) -> str:
    """``r/NAME/hot``: the path that was asked for, of the listing and of the feed alike."""
    return urlsplit(exchange.url).path.strip("/").removesuffix("/.rss")


def _linked_url(content: str | None) -> str | None:
    """What the post links to: the feed tells it only inside the entry's HTML."""
    found = _LINK.search(content or "")
    return _on_reddit(decode_entities(found[1]), "link") if found else None


def _on_reddit(value: object, name: str) -> str | None:
    """A URL; a path, as galleries and crossposts have it, is one on Reddit."""
    text = read_text(value, name)
    if text is not None and text.startswith("//"):
        text = f"https:{text}"
    elif text is not None and text.startswith("/"):
        text = f"https://{FEED_HOST}{text}"
    return read_url(text, name)
