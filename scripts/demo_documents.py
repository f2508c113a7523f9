"""The wire formats of the platforms, written from the demo's items.

Belongs here: what a platform would have answered about given items at a given moment. Does not
belong here: which requests there were (`make_recordings`), or the content (`demo_content.yaml`).
"""

from __future__ import annotations

import json
from datetime import datetime
from hashlib import sha256
from urllib.parse import urlsplit
from xml.sax.saxutils import escape, quoteattr

from demo_items import (
    Item,
    author,
    channel_id,
    grown,
    hn_id,
    letters,
    posted_at,
    reddit_id,
    reddit_path,
    video_id,
)

_RFC = "%Y-%m-%dT%H:%M:%S+00:00"


def to_json(document: object) -> bytes:
    """A JSON body."""
    return json.dumps(document, ensure_ascii=False).encode()


def algolia_answer(stories: list[Item], at: datetime) -> bytes:
    """`search_by_date`, newest first; an item marked ``broken`` has lost its title."""
    newest = sorted(stories, key=posted_at, reverse=True)
    hits = [
        {
            "created_at_i": int(posted_at(item).timestamp()),
            "num_comments": grown(item, "c", at),
            "objectID": str(hn_id(item)),
            "points": grown(item, "p", at),
            "title": None if item.get("broken") else item["t"],
            **({"url": item["u"]} if "u" in item else {}),
        }
        for item in newest
    ]
    return to_json(
        {
            "exhaustive": {"nbHits": True, "typo": True},
            "exhaustiveNbHits": True,
            "hits": hits,
            "hitsPerPage": 1000,
            "nbHits": len(hits),
            "nbPages": 1 if hits else 0,
            "page": 0,
            "query": "",
        }
    )


def firebase_item(item: Item, at: datetime) -> bytes:
    """One item of the front page; a job has neither points to win nor comments."""
    is_job = "p" not in item
    document = {
        "by": author(item["t"]),
        "id": hn_id(item),
        "score": 1 if is_job else grown(item, "p", at),
        "time": int(posted_at(item).timestamp()),
        "title": item["t"].replace("&", "&amp;"),
        "type": "job" if is_job else "story",
        **({} if is_job else {"descendants": grown(item, "c", at)}),
        **({"url": item["u"]} if "u" in item else {}),
    }
    return to_json(document)


def reddit_listing(posts: list[Item], subreddit: str, at: datetime) -> bytes:
    """The hot listing; a post marked ``broken`` claims to be from the year 5138."""
    children = []
    for item in posts:
        path = reddit_path(item, subreddit)
        url = item.get("u", f"https://www.reddit.com{path}")
        data = {
            "subreddit": subreddit,
            "title": item["t"],
            "id": reddit_id(item),
            "name": f"t3_{reddit_id(item)}",
            "author": author(item["t"]),
            "score": grown(item, "p", at),
            "ups": grown(item, "p", at),
            "upvote_ratio": 0.93,
            "num_comments": grown(item, "c", at),
            "num_crossposts": 0,
            "created_utc": 99999999999.0 if item.get("broken") else posted_at(item).timestamp(),
            "permalink": path,
            "url": url,
            "domain": urlsplit(url).hostname if "u" in item else f"self.{subreddit}",
            "is_self": "u" not in item,
            "selftext": "",
            "stickied": bool(item.get("sticky")),
            "over_18": False,
            "edited": False,
            "link_flair_text": None,
        }
        children.append({"kind": "t3", "data": data})
    listing = {"after": None, "before": None, "dist": len(children), "children": children}
    return to_json({"kind": "Listing", "data": listing})


def reddit_feed(posts: list[Item], subreddit: str, at: datetime) -> bytes:
    """The hot feed: rank and links, no scores and no comment counts."""
    entries = []
    for item in posts:
        page = f"https://www.reddit.com{reddit_path(item, subreddit)}"
        name = f"/u/{author(item['t'])}"
        content = (
            f'&#32; submitted by &#32; <a href="https://www.reddit.com{name}"> {name} </a> <br/>'
            f" <span><a href={quoteattr(item.get('u', page))}>[link]</a></span> &#32;"
            f' <span><a href="{page}">[comments]</a></span>'
        )
        posted = posted_at(item).strftime(_RFC)
        entries.append(
            f"<entry><author><name>{name}</name><uri>https://www.reddit.com{name}</uri></author>"
            f'<category term="{subreddit}" label="r/{subreddit}"/>'
            f'<content type="html">{escape(content)}</content><id>t3_{reddit_id(item)}</id>'
            f'<link href="{page}" /><updated>{posted}</updated><published>{posted}</published>'
            f"<title>{escape(item['t'])}</title></entry>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><feed xmlns="http://www.w3.org/2005/Atom">'
        f'<category term="{subreddit}" label="r/{subreddit}"/>'
        f"<updated>{at.strftime(_RFC)}</updated>"
        f"<id>/r/{subreddit}/hot/.rss</id><title>{subreddit}</title>{''.join(entries)}</feed>"
    ).encode()


def youtube_answer(videos: list[Item], at: datetime) -> bytes:
    """`videos.list`: counts are texts; a video marked ``broken`` has lost its id."""
    items = []
    for item in videos:
        views = grown(item, "v", at)
        hidden = item.get("hides_likes")
        snippet = {
            "publishedAt": posted_at(item).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "channelId": item.get("channel") or channel_id(item["ch"]),
            "title": item["t"],
            "description": "",
            "channelTitle": item["ch"],
            "categoryId": item.get("category", "28"),
        }
        minutes, seconds = divmod(item["s"], 60)
        items.append(
            {
                "kind": "youtube#video",
                "etag": letters("etag", item["t"], at.isoformat())[:27],
                **({} if item.get("broken") else {"id": video_id(item)}),
                "snippet": snippet,
                "contentDetails": {"duration": f"PT{minutes}M{seconds}S"},
                "statistics": {
                    "viewCount": str(views),
                    **(
                        {}
                        if hidden
                        else {"likeCount": str(views // _one_in(14, 44, "likes", item["t"]))}
                    ),
                    "favoriteCount": "0",
                    "commentCount": str(views // _one_in(180, 520, "comments", item["t"])),
                },
            }
        )
    return to_json(
        {
            "kind": "youtube#videoListResponse",
            "etag": letters("list", at.isoformat())[:27],
            "items": items,
            "pageInfo": {"totalResults": len(items), "resultsPerPage": len(items)},
        }
    )


def _one_in(least: int, most: int, what: str, title: str) -> int:
    """Of how many viewers one does it: a number of the video's own."""
    digest = sha256(f"{what} {title}".encode()).digest()
    return least + int.from_bytes(digest[:4]) % (most - least)


def channel_feed(videos: list[Item], channel: str, title: str, at: datetime) -> bytes:
    """A channel's feed; its own channelId has lost its UC, as they have since 2023."""
    entries = []
    for item in videos:
        name = video_id(item)
        views = grown(item, "v", at)
        form = "shorts/" if item.get("short") else "watch?v="
        posted = posted_at(item).strftime(_RFC)
        entries.append(
            f" <entry>\n  <id>yt:video:{name}</id>\n  <yt:videoId>{name}</yt:videoId>\n"
            f"  <yt:channelId>{channel}</yt:channelId>\n  <title>{escape(item['t'])}</title>\n"
            f'  <link rel="alternate" href="https://www.youtube.com/{form}{name}"/>\n'
            f"  <author><name>{escape(title)}</name></author>\n"
            f"  <published>{posted}</published>\n  <updated>{posted}</updated>\n"
            f"  <media:group>\n   <media:title>{escape(item['t'])}</media:title>\n"
            f'   <media:community><media:starRating count="{views // 25}" average="5.00"'
            f' min="1" max="5"/><media:statistics views="{views}"/></media:community>\n'
            "  </media:group>\n </entry>\n"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<feed xmlns:yt="http://www.youtube.com/xml/schemas/2015"'
        ' xmlns:media="http://search.yahoo.com/mrss/" xmlns="http://www.w3.org/2005/Atom">\n'
        f" <yt:channelId>{channel.removeprefix('UC')}</yt:channelId>\n"
        f" <title>{escape(title)}</title>\n{''.join(entries)}</feed>\n"
    ).encode()
