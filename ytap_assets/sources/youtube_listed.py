"""Lists that name videos without their counts, followed by what `videos.list` tells of them.

A playlist's items and search results are such lists. Each video becomes one row: from
`videos.list` where it was told of there, else, with unknown counts, from the list itself, so that a
list that was paid for is not lost with the answer after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ytap_assets.sources.exchange import Exchange
from ytap_assets.sources.fields import UnreadableItemError
from ytap_assets.sources.http.exchange import MalformedError
from ytap_assets.sources.parsing import Item, Parsed, parse_exchanges
from ytap_assets.sources.source import Answers
from ytap_assets.sources.youtube_data import Video, list_items, read_video


@dataclass(frozen=True)
class Listing:
    """One kind of such a list.

    Attributes:
        path: Where in the API it is; tells its pages from those of `videos.list`.
        read: Reads one of its items; raises `UnreadableItemError` where it cannot.
    """

    path: str
    read: Callable[[Item], Video]

    def is_page(self, url: str) -> bool:
        """Whether a URL is that of such a list."""
        return urlsplit(url).path == self.path

    def videos(self, page: Exchange) -> list[Video]:
        """The videos of a page, without what cannot be read: the parser will tell of that."""
        read = (self._try_to_read(content, page) for content in _try_to_list(page))
        return [video for video in read if video is not None]

    def parse(
        self,
        answers: Answers,
        *,
        is_wanted: Callable[[Video], bool],
        make_row: Callable[[Video, Exchange], dict[str, Any]],
    ) -> Parsed:
        """Read the videos of a fetch.

        Args:
            answers: The list's pages and those of `videos.list`.
            is_wanted: Which videos of the list were asked for; the others are no part of it.
            make_row: A row of one video; raises `UnreadableItemError` where there is none.
        """
        told = {
            content.get("id")
            for exchange in answers.exchanges
            if exchange.is_answer and not self.is_page(exchange.url)
            for content in _try_to_list(exchange)
            if isinstance(content, dict)
        }

        def is_left(content: object, page: Exchange) -> bool:
            video = self._try_to_read(content, page)
            return video is None or (is_wanted(video) and video.video_id not in told)

        def list_left(exchange: Exchange) -> Sequence[object]:
            contents = list_items(exchange)
            if not self.is_page(exchange.url):
                return contents
            return [content for content in contents if is_left(content, exchange)]

        def read_item(item: Item) -> dict[str, Any]:
            read = self.read if self.is_page(item.exchange.url) else read_video
            return make_row(read(item), item.exchange)

        return parse_exchanges(
            answers.exchanges, list_items=list_left, read_item=read_item, noun="item"
        )

    def _try_to_read(self, content: object, page: Exchange) -> Video | None:
        try:
            return self.read(Item(content, "", 0, page))
        except UnreadableItemError:
            return None


def _try_to_list(exchange: Exchange) -> Sequence[object]:
    try:
        return list_items(exchange)
    except MalformedError:
        return ()
