"""``ytap trends``: the ranked list, with the reasons for each position."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from ytap_assets.cli.common import Day, examples, one_workspace, open_platform, output_format
from ytap_assets.cli.output import Format, clean, say, terminal_columns, write_rows, write_table

if TYPE_CHECKING:
    import polars as pl

    from ytap_assets.operations.trends import StoryAccount

_SHORT_ID = 8
_FACTORS = {
    "momentum": "rank among the past items of its source, 0-10",
    "relevance": "how well it fits the workspace",
    "cross_source_boost": "boost for several platforms",
    "learned_weight": "weight from past results",
    "production_factor": "0 once it is produced",
    "spam_factor": "factor for spam",
}
_MEMBERS = ("source", "item_id", "joined_by", "similarity", "engagement", "hours_old", "title")

_day = click.option("--day", type=Day(), help="The day; by default the last scored day.")


@click.group("trends")
def trends() -> None:
    """Show ranked stories, with the reasons."""


@trends.command(
    "top",
    epilog=examples(
        "ytap trends top --workspace tech",
        "ytap trends top -w tech --day 2026-11-20 --limit 30 --spam",
        "ytap trends top -w tech --format csv > topics.csv",
    ),
)
@one_workspace
@_day
@click.option(
    "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Number of stories."
)
@click.option("--spam", "with_spam", is_flag=True, help="Include spam.")
@output_format
def top(workspace: str, day: date | None, limit: int, with_spam: bool, shape: Format) -> None:
    """List a day's best stories, with the reasons."""
    from ytap_assets.operations.trends import list_top

    day, stories = list_top(open_platform(may_only_read=True), workspace, day, with_spam=with_spam)
    shown = stories.head(limit)
    if shape == "table":
        say(f"{workspace}, {day}: {shown.height} of {stories.height} stories")
        _show_list(shown)
        say(f"`ytap trends explain STORY -w {workspace}` shows one story in detail")
        return
    names = shown.columns
    write_rows(names, shown.iter_rows(), shape, say)


@trends.command(
    "explain",
    epilog=examples(
        "ytap trends explain 1 --workspace tech",
        "ytap trends explain 3f9c20aa -w tech --day 2026-11-20",
    ),
)
@click.argument("story")
@one_workspace
@_day
def explain(story: str, workspace: str, day: date | None) -> None:
    """Show one story in detail: factors, members, days.

    STORY is its id, a former id, a prefix of one, or its position in the list.
    """
    from ytap_assets.operations.trends import explain_story

    account = explain_story(open_platform(may_only_read=True), workspace, story, day)
    _show_story(account)
    _show_members(account.members)
    _show_days(account.days)


def _show_list(stories: pl.DataFrame) -> None:
    """One story a paragraph: its line, then its reasons."""
    for row in stories.iter_rows(named=True):
        story_id = row["story_id"][:_SHORT_ID]
        say(f"{row['position']:>4}  {row['final_score']:>6.2f}  {story_id}  {clean(row['title'])}")
        reasons = [*row["reasons"], *(row["spam_reasons"] if row["is_spam"] else [])]
        if reasons:
            say(f"{'':>24}{clean('; '.join(reasons))}")


def _show_story(account: StoryAccount) -> None:
    row: dict[str, Any] = account.story
    say(clean(row["title"]))
    say(
        f"story {row['story_id']}, {account.day}: position {row['position']} of {account.of},"
        f" final score {row['final_score']:.2f}, base score {_spell_base_score(row)}"
    )
    if row["first_ranked_at"] is not None:
        say(f"first ranked {row['first_ranked_at']:%Y-%m-%d %H:%M} UTC: {row['first_position']}")
    if account.former_ids:
        say(f"formerly {', '.join(account.former_ids)}")
    for url in dict.fromkeys((row["url"], row["discussion_url"])):
        if url:
            say(clean(url))
    say("")
    say("why")
    for reason in (*row["reasons"], *row["spam_reasons"]):
        say(f"  {clean(reason)}")
    say("")
    say("factors")
    for name, words in _FACTORS.items():
        say(f"  {name:<20} {row[name]:>6.2f}  {words}")
    say(f"  {'momentum_basis':<20} {clean(row['momentum_basis'])}")


def _spell_base_score(row: dict[str, Any]) -> str:
    """The base score; not known where the source gives no engagement, which counts as 0 in it."""
    if row["engagement"] is None:
        return "unknown (the source gives no engagement)"
    return f"{row['base_score']:.2f}"


def _show_members(members: pl.DataFrame) -> None:
    say("")
    say("members")
    shown = members.select(_MEMBERS).with_columns(members["hours_old"].round(1))
    right = [name in ("similarity", "engagement", "hours_old") for name in _MEMBERS]
    write_table(_MEMBERS, shown.iter_rows(), say, right=right, columns=terminal_columns())


def _show_days(days: pl.DataFrame) -> None:
    names = ("day", "position", "final_score", "momentum", "members", "sources")
    say("")
    say("days")
    right = [name not in ("day", "sources") for name in names]
    write_table(names, days.select(names).iter_rows(), say, right=right, columns=terminal_columns())


COMMANDS = (trends,)
