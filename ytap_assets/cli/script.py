"""``ytap script``: what people decide about scripts."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from ytap_assets.cli.context import new_run, note, open_platform, say, terminal_columns
from ytap_assets.cli.options import examples, one_workspace
from ytap_assets.cli.text import clean, one_line

if TYPE_CHECKING:
    from ytap_assets.operations.platform import Platform

_LIST = ("script_id", "state", "title", "state_since", "failed_gates")
_EVENTS = ("seq", "occurred_at", "type", "from_state", "to_state", "actor", "reason")
_MAX_NAME = 100
_BY_STATE = {"script_pending_review": "approve_script", "video_pending_review": "approve_video"}

_script = click.argument("script", metavar="SCRIPT")


def _deciding(command: Callable[..., Any]) -> Callable[..., Any]:
    """The parameters of every decision."""
    for parameter in (
        click.option("--reason", metavar="TEXT", help="Why, in words."),
        click.option("--as", "actor", metavar="NAME", help="Who decides; else the login's name."),
        one_workspace,
        _script,
    ):
        command = parameter(command)
    return command


@click.group("script")
def scripts() -> None:
    """See scripts, and decide about them."""


@scripts.command(
    "list",
    epilog=examples(
        "ytap script list --workspace tech",
        "ytap script list --workspace tech --state video_pending_review",
    ),
)
@one_workspace
@click.option("--state", help="Only scripts in this state.")
def show_all(workspace: str, state: str | None) -> None:
    """List a workspace's scripts and where they stand."""
    from ytap_assets.cli.results import write_table
    from ytap_assets.operations.idle_acts import list_idle_acts
    from ytap_assets.operations.production import list_records
    from ytap_assets.tables.production import STATES

    if state is not None and state not in STATES:
        raise click.BadParameter(f"expected one of {', '.join(STATES)}", param_hint="--state")
    platform = open_platform(may_only_read=True)
    records = list_records(platform, workspace, state).sort("state_since", "script_id")
    write_table(_LIST, records.select(_LIST).iter_rows(), say, columns=terminal_columns())
    for line in list_idle_acts(platform, workspace):
        note(f"approvals.jsonl: did nothing: {one_line(line)}")


@scripts.command("show", epilog=examples("ytap script show ep-12 --workspace tech"))
@_script
@one_workspace
def show(script: str, workspace: str) -> None:
    """Show a script's record and everything that happened to it."""
    from ytap_assets.cli.results import to_cell, write_table
    from ytap_assets.tables import PRODUCTION_EVENTS

    platform = open_platform(may_only_read=True)
    record = _find(platform, workspace, script)
    longest = max(map(len, record))
    for name, value in record.items():
        say(f"{name:<{longest}}  {to_cell(value)}")
    events = platform.lake.reader(workspace).read(
        PRODUCTION_EVENTS, columns=_EVENTS, wanted={"script_id": [script]}
    )
    say("")
    write_table(_EVENTS, events.sort("seq").iter_rows(), say, columns=terminal_columns())


@scripts.command("approve", epilog=examples("ytap script approve ep-12 -w tech --as Ada"))
@_deciding
def approve(script: str, workspace: str, actor: str | None, reason: str | None) -> None:
    """Approve the script, or its video: whichever waits for review."""
    platform = open_platform()
    state = str(_find(platform, workspace, script)["state"])
    act = _BY_STATE.get(state, _BY_STATE["script_pending_review"])
    _act(platform, workspace, script, act, actor, reason)


@scripts.command(
    "reject", epilog=examples('ytap script reject ep-12 -w tech --reason "not our topic"')
)
@_deciding
def reject(script: str, workspace: str, actor: str | None, reason: str | None) -> None:
    """Reject the script or its video, for good."""
    _act(open_platform(), workspace, script, "reject", actor, reason)


@scripts.command(
    "send-back", epilog=examples('ytap script send-back ep-12 -w tech --reason "no sound"')
)
@_deciding
def send_back(script: str, workspace: str, actor: str | None, reason: str | None) -> None:
    """Send a video back to be generated again."""
    _act(open_platform(), workspace, script, "send_back", actor, reason)


@scripts.command(
    "cancel", epilog=examples('ytap script cancel ep-12 -w tech --reason "no longer true"')
)
@_deciding
def cancel(script: str, workspace: str, actor: str | None, reason: str | None) -> None:
    """Cancel the script, wherever it is before publishing."""
    _act(open_platform(), workspace, script, "cancel", actor, reason)


def _act(
    platform: Platform,
    workspace: str,
    script: str,
    act: str,
    actor: str | None,
    reason: str | None,
) -> None:
    from ytap_assets.operations.production import act_on_script

    name = (getpass.getuser() if actor is None else actor).strip()
    if not (name and name.isprintable() and len(name) <= _MAX_NAME):
        raise click.BadParameter(
            f"a name is one line of up to {_MAX_NAME} characters", param_hint="--as"
        )
    state = act_on_script(
        platform,
        workspace,
        script,
        act,
        actor=name,
        reason=reason,
        run=new_run(f"{act} {script}"),
    )
    waits = ", and moves on as soon as its gates are green" if act in _BY_STATE.values() else ""
    say(f"{clean(script)}: {act} by {clean(name)}; it is in {clean(state)}{waits}")


def _find(platform: Platform, workspace: str, script: str) -> dict[str, object]:
    """The script's record.

    Raises:
        TransitionRefusedError: There is no such script.
    """
    import polars as pl

    from ytap_assets.errors import TransitionRefusedError
    from ytap_assets.operations.production import list_records

    found = list_records(platform, workspace).filter(pl.col("script_id") == script)
    if found.is_empty():
        raise TransitionRefusedError(
            f"workspace {workspace} has no script {script!r};"
            f" `ytap script list --workspace {workspace}` lists them"
        )
    return found.row(0, named=True)


COMMANDS = (scripts,)
