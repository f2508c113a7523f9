"""``ytap script``: what people decide about scripts."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import click

from ytap_assets.cli.common import examples, new_run, one_workspace, open_platform, output_format
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
    from ytap_assets.operations.platform import Platform

_LIST = ("script_id", "state", "title", "state_since", "failed_gates")
_EVENTS = ("seq", "occurred_at", "type", "from_state", "to_state", "actor", "reason")
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
    ),
)
@one_workspace
@click.option("--state", help="Only scripts in this state.")
@output_format
def show_all(workspace: str, state: str | None, shape: Format) -> None:
    """List a workspace's scripts and their states.

    Also lists decisions that wait for their date or have no effect, with the reason (in JSON and
    CSV also in the column ignored_decisions), inbox lines that cannot be parsed, public videos of
    scripts that are not cleared, and what the next run will accept.
    """
    from ytap_assets.operations.review import survey_scripts

    check_state(state)
    platform = open_platform(may_only_read=True)
    found = survey_scripts(platform, workspace)
    records = found.records if state is None else found.records.filter(state=state)
    ordered = records.sort("state_since", "script_id")
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


@scripts.command("show", epilog=examples("ytap script show ep-12 --workspace tech"))
@_script
@one_workspace
def show(script: str, workspace: str) -> None:
    """Show a script's record, its text and all its events.

    The text is that of body and segments, with later edits.
    """
    from ytap_assets.domain.production.records import ScriptContext, read_contexts
    from ytap_assets.tables import PRODUCTION_EVENTS

    platform = open_platform(may_only_read=True)
    record = _find(platform, workspace, script)
    longest = max(map(len, record))
    for name, value in record.items():
        say(f"{name:<{longest}}  {to_cell(value, whole=True)}")
    events = platform.lake.reader(workspace).read(
        PRODUCTION_EVENTS,
        columns=["workspace_id", "script_id", *_EVENTS, "payload"],
        wanted={"script_id": [script]},
    )
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
    platform = open_platform()
    record = _find(platform, workspace, script)
    action = "approve_video" if is_video else "approve_script"
    _check_review(action, script, workspace, str(record["state"]))
    _decide(platform, workspace, script, action, actor, reason, seen)
    for gate in cast("list[str]", record["failed_gates"]):
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


def _find(platform: Platform, workspace: str, script: str) -> dict[str, object]:
    """The script's record.

    Raises:
        UnknownScriptError: There is no such script.
    """
    import polars as pl

    from ytap_assets.operations.records import list_records

    found = list_records(platform, workspace).filter(pl.col("script_id") == script)
    if found.is_empty():
        raise _unknown(platform, workspace, script)
    return found.row(0, named=True)


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


COMMANDS = (scripts,)
