"""Make the demo's recordings: what the platforms would have answered on five days of invention.

    python scripts/make_recordings.py [--into data/recordings]

Deterministic: the same content gives the same bytes. Sources are asked side by side, each for one
thing a second, so that a change of one source changes no other's recording. The requests are the
ones the collector makes for the demo workspaces, since they come from the sources' own modules.
Reddit is recorded in both of its ways, so that both run: the listing (as with an approved app) for
most subreddits, the keyless feed for those of the tech workspace.

A few things go wrong on purpose: a story without a title, a post from the far future, a server's
bad minute, a feed that answers 404, an item that is null, a video without an id.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import demo_documents as documents
import demo_items
import yaml
from demo_items import DAYS, RECORDED_FROM, Item

from ytap_assets.settings import Settings
from ytap_assets.sources import hn, reddit, youtube, youtube_data
from ytap_assets.sources.http.recordings import Recording, append_recording, day_folder
from ytap_assets.workspaces import Workspace, Workspaces

SOURCES = ("hn", "reddit", "youtube", "youtube_channel", "youtube_stats")
_HERE = Path(__file__).parent
_FEED_SUBREDDITS = frozenset({"technology", "programming"})
_JSON = "application/json; charset=utf-8"
_ATOM = "application/atom+xml; charset=UTF-8"
_HTML = "text/html; charset=utf-8"
_FRONT_PAGE = 30
_HOT_HOURS = 60.0
_CHART_HOURS = 120.0

_LOST_TITLE = (date(2026, 11, 17), "The compiler flag that halved our power bill")
_FUTURE_POST = (date(2026, 11, 16), "First marathon at 61, last place, best day")
_BAD_MINUTE = (date(2026, 11, 18), "r/personalfinance")
_LOST_FEED = (date(2026, 11, 19), "UCw8LmZ2yHkR5sVtQbN3oDfA")
_NULL_ITEM = (date(2026, 11, 19), "Writing a spreadsheet engine on a train")
_LOST_ID = (date(2026, 11, 20), "The bug that saved a launch")


@dataclass(frozen=True)
class Answer:
    """One answer to be recorded; most are as they should be."""

    source: str
    url: str
    body: bytes
    content_type: str = _JSON
    status: int = 200


class Demo:
    """The content and the workspaces, asked for one day at one moment."""

    def __init__(self, content: dict[str, Any], workspaces: list[Workspace], day: date) -> None:
        self.content = content
        self.workspaces = workspaces
        self.day = day
        self.at = datetime.combine(day, RECORDED_FROM)

    def answers(self) -> Iterator[Answer]:
        """Every answer of the day, each URL once, in the order they are recorded."""
        seen: set[str] = set()
        for workspace in self.workspaces:
            for answer in self._workspace_answers(workspace):
                if answer.url not in seen:
                    seen.add(answer.url)
                    yield answer

    def _workspace_answers(self, workspace: Workspace) -> Iterator[Answer]:
        yield self._by_date()
        yield from self._front_page()
        for target in reddit.RedditHot().targets(workspace):
            yield self._subreddit(target)
        for target in youtube.YouTubeCharts().targets(workspace):
            yield self._chart(target)
        for channel in workspace.sources.youtube.monitored_channels:
            if channel.status == "active":
                yield self._feed(channel.id, channel.title or "")
        yield from self._stats(workspace)

    def _shown(self, items: list[Item]) -> list[Item]:
        return [item for item in items if demo_items.posted_at(item) <= self.at]

    def _marked(self, items: list[Item], mishap: tuple[date, str]) -> list[Item]:
        day, title = mishap
        return [
            {**item, "broken": True} if (self.day, item["t"]) == (day, title) else item
            for item in items
        ]

    def _by_date(self) -> Answer:
        start = datetime.combine(self.day, time(), UTC)
        stories = [
            item
            for item in self._marked(self._shown(self.content["hn"]), _LOST_TITLE)
            if demo_items.posted_at(item) >= start
        ]
        url = hn.by_date_url(start, start + timedelta(days=1))
        return Answer("hn", url, documents.algolia_answer(stories, self.at))

    def _front_page(self) -> Iterator[Answer]:
        stories = self._top(self.content["hn"])[: _FRONT_PAGE - 1]
        job = self.content["hn_job"]
        if 0 < demo_items.age_hours(job, self.at) < _HOT_HOURS:
            stories.insert(7, job)
        ids = [demo_items.hn_id(item) for item in stories]
        yield Answer("hn", hn.top_stories_url(), documents.to_json(ids))
        for item in stories:
            is_null = (self.day, item["t"]) == _NULL_ITEM
            body = b"null" if is_null else documents.firebase_item(item, self.at)
            yield Answer("hn", hn.item_url(str(demo_items.hn_id(item))), body)

    def _top(self, items: list[Item], within: float = _HOT_HOURS) -> list[Item]:
        fresh = [
            item
            for item in self._shown(items)
            if demo_items.age_hours(item, self.at) < within or item.get("sticky")
        ]
        return sorted(fresh, key=lambda item: (not item.get("sticky"), -self._score(item)))

    def _score(self, item: Item) -> float:
        return demo_items.front_page_score(item, self.at)

    def _subreddit(self, target: str) -> Answer:
        name = target.removeprefix("r/")
        posts = self._marked(self._top(self.content["reddit"][name]), _FUTURE_POST)
        if name in _FEED_SUBREDDITS:
            feed = documents.reddit_feed(posts, name, self.at)
            return Answer("reddit", reddit.feed_url(target), feed, _ATOM)
        url = reddit.listing_url(target)
        if (self.day, target) == _BAD_MINUTE:
            page = b"<html><body><h1>503 Service Unavailable</h1></body></html>\n"
            return Answer("reddit", url, page, _HTML, 503)
        return Answer("reddit", url, documents.reddit_listing(posts, name, self.at))

    def _chart(self, target: str) -> Answer:
        category = target.partition("/")[2]
        entries = self._marked(self._top(self.content["charts"][category], _CHART_HOURS), _LOST_ID)
        videos = [{**item, "category": category} for item in entries]
        body = documents.youtube_answer(videos, self.at)
        return Answer("youtube", youtube.chart_url(target), body)

    def _feed(self, channel: str, title: str) -> Answer:
        url = youtube.channel_feed_url(channel)
        if (self.day, channel) == _LOST_FEED:
            page = b"<!DOCTYPE html>\n<title>Error 404 (Not Found)!!1</title>\n"
            return Answer("youtube_channel", url, page, _HTML, 404)
        shown = self._shown(self.content["feeds"][channel])
        videos = sorted(shown, key=demo_items.posted_at, reverse=True)[:15]
        body = documents.channel_feed(videos, channel, title, self.at)
        return Answer("youtube_channel", url, body, "text/xml; charset=UTF-8")

    def _stats(self, workspace: Workspace) -> Iterator[Answer]:
        own = workspace.channels[0]
        videos = {
            item["id"]: {**item, "ch": own.title, "channel": own.id}
            for item in self._shown(self.content["published"][workspace.workspace_id])
        }
        if videos:
            (batch,) = youtube.batch_videos(list(videos))
            asked = [videos[video_id] for video_id in batch.split(",")]
            body = documents.youtube_answer(asked, self.at)
            yield Answer("youtube_stats", youtube_data.videos_url(id=batch), body)


def make_recordings(into: Path, settings: Settings) -> int:
    """Write the recordings of all days anew; returns how many exchanges there are."""
    content = yaml.safe_load((_HERE / "demo_content.yaml").read_text(encoding="utf-8"))
    workspaces = [Workspaces(settings).get(name) for name in content["published"]]
    written = 0
    for day in DAYS:
        demo = Demo(content, workspaces, day)
        folder = day_folder(into, day)
        for source in SOURCES:  # recordings of other sources are left in place
            (folder / f"{source}.jsonl").unlink(missing_ok=True)
        asked: Counter[str] = Counter()
        for answer in demo.answers():
            recording = Recording(
                method="GET",
                url=answer.url,
                recorded_at=demo.at + timedelta(seconds=asked[answer.source]),
                status=answer.status,
                headers={"content-type": answer.content_type},
                body=answer.body,
            )
            append_recording(folder, answer.source, recording)
            asked[answer.source] += 1
        written += asked.total()
    return written


def main() -> None:
    """Read the arguments, write the recordings, say what was written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    settings = Settings.from_env()
    parser.add_argument("--into", type=Path, default=settings.recordings)
    into: Path = parser.parse_args().into
    written = make_recordings(into, settings)
    size = sum(path.stat().st_size for path in into.rglob("*.jsonl"))
    print(f"{written} exchanges of {len(DAYS)} days, {size / 1e6:.1f} MB, in {into}")


if __name__ == "__main__":
    main()
