"""Commands of the pipeline: ``materialize``, ``import trends`` and ``trends top | explain``.

Belongs here: filling the lake, and showing what was ranked, with the reasons. Does not belong here:
SQL (`sql`), or decisions about scripts (`script`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ytap_assets.cli.common import (
    ANY_PATH,
    FAILED,
    MISUSED,
    Day,
    announce_transport,
    choose_workspaces,
    examples,
    new_run,
    one_workspace,
    open_platform,
    output_format,
    some_workspaces,
)
from ytap_assets.cli.output import (
    Format,
    clean,
    note,
    one_line,
    report_problems,
    say,
    show_steps,
    terminal_columns,
    write_rows,
    write_table,
)
from ytap_assets.domain.source_profiles import SOURCES

if TYPE_CHECKING:
    import polars as pl

    from ytap_assets.defs.launch import RunOutcome
    from ytap_assets.operations.platform import Platform
    from ytap_assets.operations.trends import StoryAccount

_MOST_REPORTS = 100
"""Over so many days an import advises no reports."""
_SHOWN_WORKSPACES = 3
_COUNTS = ("fetched", "accepted", "quarantined", "duplicates")
_SHORT_ID = 8
_FACTORS = {
    "momentum": "rank among the past items of its source, 0-10",
    "relevance": "how well it matches the workspace's topics",
    "cross_source_boost": "boost for several platforms",
    "learned_weight": "weight from past results",
    "production_factor": "0 if it was already produced",
    "spam_factor": "factor for spam",
}
_MEMBERS = ("source", "item_id", "joined_by", "similarity", "engagement", "hours_old", "title")


@click.command(
    epilog=examples(
        "ytap materialize '*' --all-workspaces",
        "ytap materialize scored_trends --workspace tech --from 2026-11-01 --to 2026-11-20",
        "ytap materialize '+key:workspace_reports' -w tech -w fitness",
    )
)
@click.argument("selection")
@some_workspaces
@click.option(
    "--from", "first", type=Day(), help="First day; if omitted, only the last day is materialized."
)
@click.option("--to", "last", type=Day(), help="Last day; if omitted, today.")
def materialize(
    selection: str,
    workspaces: tuple[str, ...],
    all_workspaces: bool,
    first: date | None,
    last: date | None,
) -> None:
    """Materialize assets for workspaces and days.

    Each stage of the graph is one run.
    """
    platform = open_platform()
    wanted, problems = choose_workspaces(platform, workspaces, all_workspaces=all_workspaces)
    to = last or platform.now().date()
    days = (first or to, to)

    from ytap_assets.defs.build import build_definitions
    from ytap_assets.defs.launch import materialize_range, plan_stages

    with quiet_dagster():
        stages = plan_stages(build_definitions(platform=platform), selection)
        batches = -(-len(wanted) // platform.settings.batch_workspaces)
        steps = sum(len(stage.assets) for stage in stages) * batches
        announce_transport(platform.settings)
        with show_steps(steps) as on_step:
            outcomes = materialize_range(
                platform, selection, workspace_ids=wanted, days=days, on_step=on_step
            )
    _report(outcomes, days)
    report_problems(problems)
    if problems or not all(one.ok for one in outcomes):
        raise click.exceptions.Exit(FAILED)


@click.group("import")
def imports() -> None:
    """Import files into the lake."""


@imports.command(
    "trends",
    epilog=examples(
        "ytap import trends archive/ --workspace tech --source youtube --region US",
        "ytap import trends hn.csv --workspace tech --source hn --observed-on 2016-09-16",
    ),
)
@click.argument("files", type=ANY_PATH, nargs=-1, required=True)
@one_workspace
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    required=True,
    help="The source of the rows; youtube_channel: videos of monitored channels.",
)
@click.option("--region", help="Region of the lists, if the files do not contain it.")
@click.option(
    "--observed-on", type=Day(), help="Day of the observations, if the files do not contain it."
)
def import_files(
    files: tuple[Path, ...],
    workspace: str,
    source: str,
    region: str | None,
    observed_on: date | None,
) -> None:
    """Import recorded trends as observations of their day.

    Importing a file again changes nothing. A missing file or an unknown format is an error, and a
    file without any valid row is a failure; all other files are imported.
    """
    from ytap_assets.operations.imports import ImportFailedError, import_trends

    found = list(expand_folders(files))
    platform = open_platform()
    first_before, _ = platform.day_range()
    try:
        with show_steps(len(found)) as on_step:
            outcome = import_trends(
                platform,
                found,
                workspace_id=workspace,
                source=source,
                run=new_run(f"import {source} trends"),
                region=region,
                observed_on=observed_on,
                progress=lambda path: on_step(str(path)),
                warn=lambda text: note(f"warning: {one_line(text)}"),
            )
    except ImportFailedError as error:
        _show_import(platform, workspace, error.outcome)
        for problem in error.problems:
            note(f"error: {one_line(problem)}")
        raise click.exceptions.Exit(MISUSED if error.only_refused else FAILED) from error
    _show_import(platform, workspace, outcome)
    first, _ = platform.day_range()
    if first < first_before:
        note(
            f"The first day is now {first}; it was {first_before}. In a running Dagster, reload the"
            " code location (Deployment, Reload) to see the days."
        )


@contextmanager
def quiet_dagster() -> Iterator[None]:
    """Without Dagster's notices of what is new in it: those are for who writes assets."""
    import dagster as dg

    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning):
            warnings.simplefilter("ignore", category)
        yield


def expand_folders(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as they are; a folder's files, below it too, in order, hidden ones left out.

    A folder without any is handed on as it is, to be refused like a file that is not there.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        inside = [
            file
            for file in sorted(path.rglob("*"))
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        yield from inside or [path]


def _report(outcomes: Sequence[RunOutcome], days: tuple[date, date]) -> None:
    """A line per run, and one for each workspace that failed."""
    rows = [
        (
            _name_some(one.workspace_ids),
            "ok" if one.ok else "failed",
            round(one.seconds, 1),
            one.run_id,
            ", ".join(one.assets),
        )
        for one in outcomes
    ]
    say(f"{days[0]} to {days[1]}")
    names = ("workspaces", "outcome", "seconds", "run", "assets")
    right = (False, False, True, False, False)
    write_table(names, rows, say, right=right, columns=terminal_columns())
    for one in outcomes:
        for warning in one.warnings:
            note(f"warning: {clean(warning)}")
    for one in outcomes:
        for workspace_id, reason in one.failures.items():
            name = workspace_id or _name_some(one.workspace_ids)
            note(f"error: {_name_error(name, reason)}; see the run {one.run_id} in `ytap ui`")


def _name_some(workspace_ids: Sequence[str]) -> str:
    more = len(workspace_ids) - _SHOWN_WORKSPACES
    listed = ", ".join(workspace_ids[:_SHOWN_WORKSPACES])
    return f"{listed} and {more} more" if more > 0 else listed


def _name_error(name: str, reason: str) -> str:
    """Why a run failed, and for which workspace; an error may begin with its name, and days."""
    text = clean(reason)
    is_named = re.match(rf"{re.escape(name)}( [0-9][0-9.-]*)?: ", text)
    return text if is_named else f"{name}: {text}"


def _show_import(platform: Platform, workspace: str, outcome: pl.DataFrame) -> None:
    """A row per file, and how to rank the days of the rows that are new."""
    if outcome.is_empty():
        return
    names = ("target", "day", *_COUNTS)
    shown = outcome.select(names)
    totals = shown.select(_COUNTS).sum().row(0)
    rows = [*shown.iter_rows(), ("total", None, *totals)]
    right = [name in _COUNTS for name in names]
    write_table(
        ("file", *names[1:]), rows, say, right=right, columns=terminal_columns(), limit=None
    )
    if outcome["quarantined"].sum():
        query = "select origin, place, reason, original from quarantined_rows"
        note(f'Rows in quarantine: ytap sql "{query}" -w {workspace}')
    new = outcome.remove(accepted=0)
    last = platform.day_range()[1] or platform.now().date()
    days = [day for name in ("first_day", "day") for day in new[name].drop_nulls() if day <= last]
    if days:
        # A file may reach into days that are still to come: those cannot be asked for yet.
        end = last if any(day > last for day in new["day"]) else max(days)
        # What follows the ranks is a report of every day, of those without rows too.
        few = (end - min(days)).days < _MOST_REPORTS
        note(
            "To rank these days: ytap materialize 'key:collection_coverage or key:trend_stories or"
            f" key:scored_trends{'+' if few else ''}' --workspace {workspace} --from {min(days)}"
            f" --to {end}"
        )
        if not few:
            note("With `key:scored_trends+` each day gets a report, also those without rows")
    for row in outcome.filter(accepted=0).iter_rows(named=True):
        if row["duplicates"]:
            note(f"{clean(row['target'])}: nothing new: all its rows are in raw_trends already")


_day = click.option("--day", type=Day(), help="The day; if omitted, the last ranked day.")


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
    from ytap_assets.domain.urls import distinct_pages

    row: dict[str, Any] = account.story
    say(clean(row["title"]))
    say(
        f"story {row['story_id']}, {account.day}: position {row['position']} of {account.of},"
        f" final score {row['final_score']:.2f}, base score {_spell_base_score(row)}"
    )
    if row["first_ranked_at"] is not None:
        first = f"{row['first_ranked_at']:%Y-%m-%d %H:%M} UTC"
        say(f"first ranked {first} at position {row['first_position']}")
    if account.former_ids:
        say(f"formerly {', '.join(account.former_ids)}")
    for url in distinct_pages((row["url"], row["discussion_url"])):
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


COMMANDS = (materialize, imports, trends)
