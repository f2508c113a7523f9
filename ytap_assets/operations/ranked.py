"""Look at the ranked list: the best stories of a day, and everything about one of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import polars as pl

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.reader import Reader
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import SCORED_TRENDS, STORY_ALIASES, TREND_STORIES

_SHORTEST_PREFIX = 4


@dataclass(frozen=True, eq=False)
class StoryAccount:
    """All rows of the lake about one story.

    Attributes:
        day: The explained day.
        story: Its row of `scored_trends` on that day.
        of: The number of stories of the day.
        members: Its rows of `trend_stories` on that day, the hottest first.
        days: Its rows of `scored_trends` on all days, in order.
        former_ids: Its former ids, in order.
    """

    day: date
    story: dict[str, object]
    of: int
    members: pl.DataFrame
    days: pl.DataFrame
    former_ids: tuple[str, ...] = ()


def list_top(
    platform: Platform, workspace_id: str, day: date | None = None, *, with_spam: bool = False
) -> tuple[date, pl.DataFrame]:
    """The ranked list of a day, the best first.

    Args:
        platform: The installation.
        workspace_id: Whose list.
        day: Which day; the last one that was scored if None.
        with_spam: Whether stories that a spam rule caught are listed, too.

    Returns:
        The day, and rows of `scored_trends`.

    Raises:
        ConfigError: There is no such workspace, or nothing was scored.
    """
    reader = _open(platform, workspace_id)
    day = day or _last_day(reader)
    stories = reader.read(SCORED_TRENDS, days=(day, day)).sort("position")
    if stories.is_empty():
        raise ConfigError(
            f"workspace {workspace_id} has no scored trends on {day};"
            f" `ytap materialize '*' -w {workspace_id} --from {day} --to {day}` collects and ranks"
            " that day"
        )
    return day, stories if with_spam else stories.filter(~pl.col("is_spam"))


def explain_story(
    platform: Platform, workspace_id: str, story: str, day: date | None = None
) -> StoryAccount:
    """Everything about one story.

    Args:
        platform: The installation.
        workspace_id: Whose story.
        story: Its id, a former id, the beginning of one, or its position in the day's list.
        day: Which day; the last one the story was scored on if None (for a position: the last
            one that was scored).

    Raises:
        ConfigError: There is no such workspace or story, or several stories begin so.
    """
    reader = _open(platform, workspace_id)
    aliases = reader.read(STORY_ALIASES, columns=["former_story_id", "story_id"])
    if story.isdecimal() and len(story) < _SHORTEST_PREFIX:
        day, listed = list_top(platform, workspace_id, day, with_spam=True)
        chosen = listed.filter(pl.col("position") == int(story))
        if chosen.is_empty():
            raise ConfigError(f"{day} has no story at position {story}; it has {listed.height}")
        story_id = str(chosen["story_id"].item())
    else:
        story_id = _find_story(reader, aliases, story)
    days = reader.read(SCORED_TRENDS, wanted={"story_id": [story_id]}).sort("day")
    shown = days.filter(pl.col("day") == (day or days["day"].max()))
    if shown.is_empty():
        told = ", ".join(str(one) for one in days["day"].to_list())
        raise ConfigError(f"story {story_id} was not scored on {day}; it was on {told}")
    row = shown.row(0, named=True)
    that_day = (row["day"], row["day"])
    members = reader.read(TREND_STORIES, days=that_day, wanted={"story_id": [story_id]})
    ranked = reader.read(SCORED_TRENDS, days=that_day, columns=["position"])
    hottest = ["expected_engagement", "source", "item_id"]
    members = members.sort(hottest, descending=[True, False, False], nulls_last=True)
    former = aliases.filter(story_id=story_id)["former_story_id"].sort().to_list()
    return StoryAccount(row["day"], row, ranked.height, members, days, tuple(former))


def _open(platform: Platform, workspace_id: str) -> Reader:
    platform.workspace(workspace_id)
    return platform.lake.reader(workspace_id)


def _last_day(reader: Reader) -> date:
    last: date | None = reader.read(SCORED_TRENDS, columns=["day"])["day"].max()  # type: ignore[assignment]
    if last is None:
        raise ConfigError(
            f"workspace {reader.workspace_id} has no scored trends yet;"
            f" `ytap materialize '*' -w {reader.workspace_id}` collects and ranks today"
        )
    return last


def _find_story(reader: Reader, aliases: pl.DataFrame, beginning: str) -> str:
    """The story whose id, or a former id, begins so."""
    if len(beginning) < _SHORTEST_PREFIX:
        raise ConfigError(
            f"{beginning!r}: give a position, or at least {_SHORTEST_PREFIX} characters of an id"
        )
    ids = reader.read(SCORED_TRENDS, columns=["story_id"]).unique()
    names = pl.concat(
        [
            ids.with_columns(name="story_id"),
            aliases.join(ids, on="story_id", how="semi").select("story_id", name="former_story_id"),
        ]
    )
    begins = pl.col("name").str.starts_with(beginning.lower())
    found = names.filter(begins)["story_id"].unique().to_list()
    if not found:
        raise ConfigError(
            f"workspace {reader.workspace_id} has no story {beginning!r};"
            f" `ytap trends top -w {reader.workspace_id}` lists a day's"
        )
    if len(found) > 1:
        raise ConfigError(f"{len(found)} stories begin with {beginning!r}; give more of the id")
    return str(found[0])
