"""``ytap script``: what people decide about scripts."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from ytap_assets.cli.common import (
    Moment,
    examples,
    new_run,
    one_workspace,
    open_platform,
    output_format,
)
from ytap_assets.cli.output import (
    Format,
    clean,
    note,
    one_line,
    say,
    terminal_columns,
    to_cell,
    write_rows,
    write_table,
)
from ytap_assets.errors import TransitionRefusedError, UnknownScriptError

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl

    from ytap_assets.domain.production.history import Clock
    from ytap_assets.operations.platform import Platform

_LIST = ("script_id", "state", "title", "state_since", "failed_gates")
_EVENTS = ("seq", "occurred_at", "type", "from_state", "to_state", "actor", "reason")
_WAITS = ("script_id", "state", "title", "hours", "max_hours", "waits_for")
_ALL_WAITS = (*_WAITS, "state_since", "is_stuck")
_SHOWN = 5
_APPROVALS = {"approve_script": "script_pending_review", "approve_video": "video_pending_review"}

_DONE = {
    "approve_script": "script approved",
    "approve_video": "video approved",
    "reject": "rejected",
    "send_back": "video sent back",
    "cancel": "cancelled",
}

_script = click.argument("script", metavar="SCRIPT")


def as_of_moment(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options ``--as-of`` and ``--known``."""
    at = click.option(
        "--as-of",
        "at",
        type=Moment(),
        metavar="WHEN",
        help="At this instant, such as 2026-11-20T09:30Z, or at the end of this day: by the time at"
        " which events occurred.",
    )
    known = click.option(
        "--known",
        "is_known",
        is_flag=True,
        help="With --as-of, what was known then: by the time at which events were recorded.",
    )
    return at(known(command))


def choose_clock(at: datetime | None, *, is_known: bool) -> Clock:
    """The time of events that ``--as-of`` compares.

    Raises:
        click.UsageError: ``--known`` was given without ``--as-of``.
    """
    if is_known and at is None:
        raise click.UsageError("--known needs --as-of")
    return "recorded_at" if is_known else "occurred_at"


def _describe_next_run(workspace: str) -> str:
    """When scripts move on, and the command that does it at once, with the tables made of them."""
    return (
        "`ytap ui` processes it within a minute; to process it now, run `ytap materialize"
        f" 'key:production_events or key:production_records or key:videos' -w {workspace}`"
    )


def check_state(state: str | None) -> None:
    """Refuse a ``--state`` that does not exist."""
    from ytap_assets.tables.production import STATES

    if state is not None and state not in STATES:
        raise click.BadParameter(f"expected one of {', '.join(STATES)}", param_hint="--state")


def _deciding(command: Callable[..., Any]) -> Callable[..., Any]:
    """The parameters of every decision."""
    for parameter in (
        click.option("--reason", metavar="TEXT", help="The reason."),
        click.option(
            "--as",
            "actor",
            metavar="NAME",
            help="Name of the person who decides; by default the login name.",
        ),
        click.option(
            "--seen",
            type=click.IntRange(min=1),
            metavar="SEQ",
            help="Decide only if the state has not changed since this event (`ytap review show`).",
        ),
        one_workspace,
        _script,
    ):
        command = parameter(command)
    return command


@click.group("script")
def scripts() -> None:
    """List scripts, and record decisions about them."""


@scripts.command(
    "list",
    epilog=examples(
        "ytap script list --workspace tech",
        "ytap script list --workspace tech --state video_pending_review",
        "ytap script list --workspace tech --state video_pending_review --as-of yesterday",
    ),
)
@one_workspace
@click.option("--state", help="Only scripts in this state.")
@as_of_moment
@output_format
def show_all(
    workspace: str, state: str | None, at: datetime | None, shape: Format, *, is_known: bool
) -> None:
    """List a workspace's scripts and their states.

    Also lists decisions that wait for their date or have no effect, with the reason (in JSON and
    CSV also in the column ignored_decisions), inbox lines that cannot be parsed, public videos of
    scripts that are not cleared, and what the next run will accept. With --as-of, lists the scripts
    and their states at an instant only.
    """
    from ytap_assets.operations.records import list_records_at
    from ytap_assets.operations.review import survey_scripts

    check_state(state)
    clock = choose_clock(at, is_known=is_known)
    platform = open_platform(may_only_read=True)
    if at is not None:
        past = _order(list_records_at(platform, workspace, at, clock), state)
        write_rows(_LIST, past.select(_LIST).iter_rows(), shape, say, columns=terminal_columns())
        return
    found = survey_scripts(platform, workspace)
    ordered = _order(found.records, state)
    rows: Iterable[Sequence[object]] = ordered.select(_LIST).iter_rows()
    names: Sequence[str] = _LIST
    if shape != "table":
        names = (*_LIST, "ignored_decisions")
        rows = [
            (*row, [one.text for one in found.ignored if one.script_id == row[0]]) for row in rows
        ]
    write_rows(names, rows, shape, say, columns=terminal_columns())
    if shape == "table" and not ordered.is_empty():
        say(f"`ytap script show SCRIPT -w {workspace}` shows a script with its text")
    for one in found.ignored:
        note(f"approvals.jsonl: {'waits' if one.waits else 'ignored'}: {one_line(one.text)}")
    for problem in found.problems:
        note(one_line(problem))
    for promotion, due in found.due.items():
        shown = ", ".join(due[:_SHOWN]) + (", ..." if len(due) > _SHOWN else "")
        note(
            f"not processed yet: {promotion}: {len(due)} ({clean(shown)});"
            f" {_describe_next_run(workspace)}"
        )


def _order(records: pl.DataFrame, state: str | None) -> pl.DataFrame:
    rows = records if state is None else records.filter(state=state)
    return rows.sort("state_since", "script_id")


@scripts.command(
    "show",
    epilog=examples(
        "ytap script show ep-12 --workspace tech",
        "ytap script show ep-12 --workspace tech --as-of 2026-11-20",
    ),
)
@_script
@one_workspace
@as_of_moment
def show(script: str, workspace: str, at: datetime | None, *, is_known: bool) -> None:
    """Show a script's record, its text and all its events.

    The text is that of body and segments, with later edits. With --as-of, shows the record at an
    instant and the events up to it.
    """
    from ytap_assets.domain.production.records import ScriptContext, read_contexts
    from ytap_assets.tables import PRODUCTION_EVENTS

    platform = open_platform(may_only_read=True)
    clock = choose_clock(at, is_known=is_known)
    record = _find(platform, workspace, script, at, clock)
    longest = max(map(len, record))
    for name, value in record.items():
        say(f"{name:<{longest}}  {to_cell(value, whole=True)}")
    events = platform.lake.reader(workspace).read(
        PRODUCTION_EVENTS,
        columns=["workspace_id", "script_id", *_EVENTS, "recorded_at", "payload"],
        wanted={"script_id": [script]},
    )
    if at is not None:
        events = events.filter(events[clock] <= at)
    text = read_contexts(events).get((workspace, script), ScriptContext()).text
    for line in ["", *text.splitlines()]:
        say(clean(line))
    say("")
    rows = events.select(_EVENTS).sort("seq").iter_rows()
    write_table(_EVENTS, rows, say, columns=terminal_columns(), whole_last=True)


@scripts.command(
    "approve",
    epilog=examples(
        "ytap script approve ep-12 -w tech --as Ada",
        "ytap script approve ep-12 -w tech --as Ada --video",
    ),
)
@_deciding
@click.option("--video", "is_video", is_flag=True, help="Approve the video, not the script.")
def approve(
    script: str,
    workspace: str,
    actor: str | None,
    reason: str | None,
    seen: int | None,
    *,
    is_video: bool,
) -> None:
    """Approve a script, or with --video its video.

    An approval is stored only while the script, or the video, is in review.
    """
    from ytap_assets.operations.review import show_review

    platform = open_platform()
    record = _find(platform, workspace, script)
    action = "approve_video" if is_video else "approve_script"
    _check_review(action, script, workspace, str(record["state"]))
    _decide(platform, workspace, script, action, actor, reason, seen)
    for gate in show_review(platform, workspace, script).review.closed:
        note(f"closed gate: {one_line(gate)}")


def _check_review(action: str, script: str, workspace: str, state: str) -> None:
    """See that what is to be approved is in review.

    Raises:
        TransitionRefusedError: It is not; the message names the command for what is in review.
    """
    if state == _APPROVALS[action]:
        return
    command = f"ytap script approve {script} -w {workspace}"
    if state == _APPROVALS["approve_video"]:
        problem = f"its video is in review, not the script; `{command} --video` approves the video"
    elif state == _APPROVALS["approve_script"]:
        problem = f"the script is in review, not a video; `{command}` approves the script"
    else:
        problem = (
            "neither the script nor a video waits for review;"
            f" `ytap script show {script} -w {workspace}` shows its history"
        )
    raise TransitionRefusedError(f"script {script} has the state {state}: {problem}")


@scripts.command(
    "reject", epilog=examples('ytap script reject ep-12 -w tech --reason "not our topic"')
)
@_deciding
def reject(
    script: str, workspace: str, actor: str | None, reason: str | None, seen: int | None
) -> None:
    """Reject the script or its video. This is final."""
    _decide(open_platform(), workspace, script, "reject", actor, reason, seen)


@scripts.command(
    "send-back", epilog=examples('ytap script send-back ep-12 -w tech --reason "no sound"')
)
@_deciding
def send_back(
    script: str, workspace: str, actor: str | None, reason: str | None, seen: int | None
) -> None:
    """Send a video back to be generated again."""
    _decide(open_platform(), workspace, script, "send_back", actor, reason, seen)


@scripts.command(
    "cancel", epilog=examples('ytap script cancel ep-12 -w tech --reason "no longer true"')
)
@_deciding
def cancel(
    script: str, workspace: str, actor: str | None, reason: str | None, seen: int | None
) -> None:
    """Cancel the script, in any state before publication."""
    _decide(open_platform(), workspace, script, "cancel", actor, reason, seen)


@scripts.command("refold", epilog=examples("ytap script refold --workspace tech"))
@one_workspace
def refold(workspace: str) -> None:
    """Recompute all records of a workspace from its events.

    Every run keeps the stored records up to date. This command verifies them, and replaces those
    that differ.
    """
    from ytap_assets.operations.records import refold_records

    platform = open_platform()
    batch, unusable = platform.batch({workspace: [None]}, new_run("refold records"))
    for error in unusable.values():
        raise error
    differing = refold_records(batch)[workspace]
    say(
        f"{workspace}: stored records that differed from the events, and were replaced: {differing}"
    )


def _decide(
    platform: Platform,
    workspace: str,
    script: str,
    action: str,
    actor: str | None,
    reason: str | None,
    seen: int | None,
) -> None:
    from ytap_assets.operations.review import decide_on_script

    name = read_actor(actor)
    run = new_run(f"{action} {script}")
    try:
        state = decide_on_script(
            platform, workspace, script, action, actor=name, reason=reason, run=run, seen=seen
        )
    except UnknownScriptError as error:
        raise _unknown(platform, workspace, script) from error
    say(f"{clean(script)}: {_DONE[action]} by {clean(name)}; its state is {clean(state)}")
    if action in _APPROVALS:
        note(
            "It is promoted in the next run, if all its gates are open;"
            f" {_describe_next_run(workspace)}"
        )


def read_actor(actor: str | None) -> str:
    """The name given with ``--as``, or that of the login."""
    from ytap_assets.domain.production.inbox import read_name
    from ytap_assets.domain.production.lines import FieldError

    name = (getpass.getuser() if actor is None else actor).strip()
    if not name:
        raise click.BadParameter("the name is empty", param_hint="--as")
    try:
        return read_name(name)
    except FieldError as error:
        raise click.BadParameter(str(error), param_hint="--as") from error


def _find(
    platform: Platform,
    workspace: str,
    script: str,
    at: datetime | None = None,
    clock: Clock = "occurred_at",
) -> dict[str, object]:
    """The script's record, now or as of an instant.

    Raises:
        UnknownScriptError: There is no such script, or it had no record then.
    """
    from ytap_assets.operations.records import list_records, list_records_at

    if at is None:
        found = list_records(platform, workspace).filter(script_id=script)
    else:
        found = list_records_at(platform, workspace, at, clock).filter(script_id=script)
    if not found.is_empty():
        return found.row(0, named=True)
    if at is not None and not list_records(platform, workspace).filter(script_id=script).is_empty():
        raise UnknownScriptError(
            f"script {script} had no record at {at:%Y-%m-%d %H:%M} UTC;"
            f" `ytap script show {script} -w {workspace}` shows its events"
        )
    raise _unknown(platform, workspace, script)


def _unknown(platform: Platform, workspace: str, script: str) -> UnknownScriptError:
    """Why there is no record of a script, and what to do."""
    from ytap_assets.operations.inbox_files import SCRIPTS
    from ytap_assets.operations.production import SUBMIT
    from ytap_assets.operations.review import survey_scripts

    if script in survey_scripts(platform, workspace).due.get(SUBMIT, ()):
        return UnknownScriptError(
            f"script {script} is in {SCRIPTS} and not processed yet;"
            f" {_describe_next_run(workspace)}"
        )
    return UnknownScriptError(
        f"workspace {workspace} has no script {script!r};"
        f" `ytap script list --workspace {workspace}` lists them"
    )


@scripts.command(
    "stuck",
    epilog=examples(
        "ytap script stuck --workspace tech",
        "ytap script stuck --workspace tech --all --format csv",
    ),
)
@one_workspace
@click.option("--all", "is_all", is_flag=True, help="All scripts in production.")
@output_format
def stuck(workspace: str, shape: Format, *, is_all: bool) -> None:
    """List scripts that are in a state for too long.

    The limits are production.max_hours of the workspace's config. Longest waits come first.
    """
    from ytap_assets.operations.history import list_waits

    waits = list_waits(open_platform(may_only_read=True), workspace)
    shown = waits if is_all else waits.filter("is_stuck")
    names = _WAITS if shape == "table" else _ALL_WAITS
    rows = shown.with_columns(shown["hours"].round(1)).select(names).iter_rows()
    write_rows(names, rows, shape, say, columns=terminal_columns())


@scripts.command(
    "times",
    epilog=examples(
        "ytap script times --workspace tech", "ytap script times --workspace tech --days 7"
    ),
)
@one_workspace
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=28,
    show_default=True,
    help="The last days, of 24 hours each.",
)
@output_format
def times(workspace: str, days: int, shape: Format) -> None:
    """Show throughput and time in each state.

    The hours are those of the scripts that left the state in these days.
    """
    import polars.selectors as cs

    from ytap_assets.operations.history import measure_states

    found = measure_states(open_platform(may_only_read=True), workspace, days).drop("workspace_id")
    rows = found.with_columns(cs.float().round(1)).iter_rows()
    write_rows(found.columns, rows, shape, say, columns=terminal_columns())


COMMANDS = (scripts,)
