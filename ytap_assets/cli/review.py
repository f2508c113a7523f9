"""``ytap review``: what waits for people, on what evidence; its decisions are those of `script`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.common import (
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
    terminal_columns,
    to_cell,
    write_rows,
    write_table,
)
from ytap_assets.cli.script import approve, reject, send_back

if TYPE_CHECKING:
    from ytap_assets.domain.production.promotions import Review

_LIST = ("workspace_id", "script_id", "review", "since", "waits_for", "title")
_EVENTS = ("seq", "occurred_at", "type", "actor", "reason")


@click.group("review")
def review() -> None:
    """List, show and decide what is in review.

    The decisions are the same commands as those of `ytap script`.
    """


@review.command(
    "list",
    epilog=examples("ytap review list --workspace tech", "ytap review list --all-workspaces"),
)
@some_workspaces
@output_format
def list_all(workspaces: Sequence[str], shape: Format, *, all_workspaces: bool) -> None:
    """List what is in review, the longest waiting first.

    The gates are evaluated as in the next run, with the decisions that it will apply. Files of
    videos are compared by size only.
    """
    from ytap_assets.operations.review import find_reviews

    platform = open_platform(may_only_read=True)
    names, skipped = choose_workspaces(platform, workspaces, all_workspaces=all_workspaces)
    batch, unusable = platform.batch({name: [None] for name in names}, new_run("review"))
    found = find_reviews(batch)
    problems = [*skipped, *unusable.values()]
    problems += [one for one in found.values() if isinstance(one, Exception)]
    reviews = [one for own in found.values() if not isinstance(own, Exception) for one in own]
    reviews.sort(key=lambda one: one.record.state_since)
    rows = [
        (
            one.workspace_id,
            one.record.script_id,
            "video" if one.is_video else "script",
            one.record.state_since,
            one.waits_for,
            one.record.title,
        )
        for one in reviews
    ]
    write_rows(_LIST, rows, shape, say, columns=terminal_columns())
    if shape == "table" and rows:
        say("`ytap review show SCRIPT -w WORKSPACE` shows one with its evidence")
    report_problems(problems)
    if problems:
        raise SystemExit(1)


@review.command("show", epilog=examples("ytap review show ep-12 --workspace tech"))
@click.argument("script", metavar="SCRIPT")
@one_workspace
def show(script: str, workspace: str) -> None:
    """Show what is in review, with its evidence."""
    from ytap_assets.operations.review import show_review

    platform = open_platform(may_only_read=True)
    found = show_review(platform, workspace, script)
    one, record = found.review, found.review.record
    facts = {
        "in review": "the video" if one.is_video else "the script",
        "since": record.state_since,
        "title": record.title,
        "hook": record.hook,
        "estimated cost": _dollars(record.estimated_cost_usd_micros),
        "script quality": record.script_quality,
        "video cost": _dollars(record.cost_usd_micros) if one.is_video else None,
        "video quality": record.quality_score if one.is_video else None,
        "approved by": ", ".join(one.approvers) or None,
        "waits for": one.waits_for,
    }
    longest = max(map(len, facts))
    for name, value in facts.items():
        if value is not None:
            say(f"{name:<{longest}}  {to_cell(value, whole=True)}")
    say("")
    gates = [
        (gate.name, "open" if gate.passed else "closed", clean(gate.why or ""))
        for gate in one.gates
    ]
    write_table(("gate", "is", "reason"), gates, say, columns=terminal_columns(), whole_last=True)
    if not found.stories.is_empty():
        say("\nThe topic's stories, as last ranked:")
        rows = found.stories.iter_rows()
        write_table(tuple(found.stories.columns), rows, say, columns=terminal_columns())
    if one.is_video:
        place = f"{platform.workspaces.place}/{workspace}/videos/{clean(script)}"
        say(f"\nFiles that came into review, in {place}:")
        write_table(("name", "size_bytes"), found.files, say, columns=terminal_columns())
    say("")
    for line in one.text.splitlines():
        say(clean(line))
    say("")
    events = found.events.select(_EVENTS)
    write_table(_EVENTS, events.iter_rows(), say, columns=terminal_columns(), whole_last=True)
    for ignored in found.ignored:
        effect = "waits" if ignored.waits else "ignored"
        note(f"approvals.jsonl: {effect}: {one_line(ignored.text)}")
    say(_describe_decisions(one, workspace, found.events["seq"].max()))


def _describe_decisions(one: Review, workspace: str, seen: object) -> str:
    """The commands that decide about what was shown, and nothing else."""
    options = f"{clean(one.record.script_id)} -w {workspace} --as NAME --seen {seen}"
    video = " --video" if one.is_video else ""
    back = f", `ytap review send-back {options}`" if one.is_video else ""
    return f"`ytap review approve {options}{video}`, `ytap review reject {options}`{back}"


def _dollars(micros: int | None) -> str | None:
    from ytap_assets.domain.production.rules import format_usd

    return None if micros is None else format_usd(micros)


for _command in (approve, reject, send_back):
    review.add_command(_command)

COMMANDS = (review,)
