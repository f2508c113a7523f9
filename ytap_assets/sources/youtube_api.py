"""Asking the YouTube Data API: each page at the cost of one call, counted in its bucket.

The answers are the same for every workspace, since the key is the installation's. Belongs here:
how a page is asked for. Does not belong here: which pages (the sources), or what they hold
(`youtube_items`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from ytap_assets.domain.quota import YOUTUBE_UNITS, Bucket
from ytap_assets.sources.exchange import FRESH_S, Exchange
from ytap_assets.sources.source import Query
from ytap_assets.sources.youtube_data import KEY_HEADER, KEY_NAME, PER_PAGE, videos_url


async def get_page(
    query: Query, url: str, *, bucket: Bucket = YOUTUBE_UNITS, fresh_s: float = FRESH_S
) -> Exchange:
    """One page of a list.

    Raises:
        DisabledError: The key is not set.
        QuotaExhaustedError: The bucket is used up; it is not asked before its reset.
        SourceError: It did not work.
    """
    secrets = query.visit.key_header(KEY_NAME, KEY_HEADER)
    return await query.get(url, secrets=secrets, is_public=True, bucket=bucket, fresh_s=fresh_s)


async def get_videos(query: Query, video_ids: Iterable[str]) -> AsyncIterator[Exchange]:
    """What the API tells of given videos, 50 a page; each is asked for once.

    Raises:
        SourceError: A page could not be had.
    """
    for batch in batch_ids(video_ids, query.visit.find_recording):
        yield await get_page(query, videos_url(id=",".join(batch)))


def batch_ids(
    video_ids: Iterable[str], find_recording: Callable[[str], object | None]
) -> Iterator[list[str]]:
    """The ids that are asked for together: up to 50, each once, in order.

    On replay, the ids that were recorded together are: so one answer tells of one moment, whatever
    the list was when it was recorded. Those that were not recorded come last, by themselves: they
    keep no other from its answer.

    Args:
        video_ids: The ids.
        find_recording: See `Visit`.
    """
    groups: dict[object | None, list[str]] = {}
    for video_id in dict.fromkeys(video_ids):
        groups.setdefault(find_recording(videos_url(id=video_id)), []).append(video_id)
    for group in sorted(groups, key=lambda found: found is None):
        ids = groups[group]
        yield from (ids[first : first + PER_PAGE] for first in range(0, len(ids), PER_PAGE))
