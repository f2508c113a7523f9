"""``ytap workspace``: create, list, show, identify, archive, push; and ``ytap inbox push``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ytap_assets.cli.common import (
    FAILED,
    FILE,
    complete_workspace,
    examples,
    new_run,
    open_platform,
    workspace_id,
)
from ytap_assets.cli.output import (
    clean,
    note,
    one_line,
    report_problems,
    say,
    terminal_columns,
    write_table,
)
from ytap_assets.errors import ConfigError

if TYPE_CHECKING:
    from ytap_assets.operations.workspaces import Listed, Survey
    from ytap_assets.workspaces import Workspaces


@click.group()
def workspace() -> None:
    """Create, list, archive, rename and delete workspaces."""


@workspace.command(
    "create",
    epilog=examples(
        'ytap workspace create tech --name "Tech Channel" --vertical tech',
        "ytap workspace create finance --from old/finance_master.json",
    ),
)
@click.argument("workspace_id", metavar="ID")
@click.option("--name", help="Display name; if omitted, the id.")
@click.option("--vertical", help="Subject area; if omitted, 'general'.")
@click.option("--language", help="Language, as an ISO 639 code; if omitted, 'en'.")
@click.option("--timezone", help="Timezone, as an IANA name; if omitted, 'UTC'.")
@click.option("--from", "origin", type=FILE, help="Convert an older JSON config, without loss.")
def create(
    workspace_id: str,
    name: str | None,
    vertical: str | None,
    language: str | None,
    timezone: str | None,
    origin: Path | None,
) -> None:
    """Create a workspace's folder and config.

    The config includes every key that is not set as a comment, with an example.
    """
    from ytap_assets.operations.workspaces import create_workspace

    made, path = create_workspace(
        _workspaces(),
        workspace_id,
        name=name,
        vertical=vertical,
        language=language,
        timezone=timezone,
        origin=origin,
    )
    say(f"{made.workspace_id} created: {clean(str(path))}")
    _note_push([made.workspace_id])
    if made.extra:
        say(f"kept under extra: {clean(', '.join(made.extra))}")
    if unread := [key for key in made.extra if key in type(made).model_fields]:
        note(
            f"warning: keys under extra have no effect, but the config has keys of the same name:"
            f" {', '.join(unread)}; set these in {clean(str(path))}"
        )


@workspace.command("list", epilog=examples("ytap workspace list"))
def show_all() -> None:
    """List the workspaces, also those in the lake without a folder.

    Exits with 1 if a config or the lake cannot be read, or a folder was renamed, copied or
    replaced.
    """
    from ytap_assets.operations.workspaces import list_workspaces

    names = ("workspace", "status", "collects", "vertical", "name", "channels", "problem")
    from ytap_assets.operations.pushed_files import open_workspaces
    from ytap_assets.settings import Settings

    workspaces = open_workspaces(Settings.from_env())
    survey, is_whole = _survey(workspaces)
    listed = list_workspaces(workspaces, survey.registered)
    rows = [_row(one) for one in listed]
    rows += [(one.workspace_id, "no folder", *[None] * 4, str(one)) for one in survey.orphans]
    has_problem = any(row[-1] for row in rows)
    shown = len(names) if has_problem else len(names) - 1
    write_table(
        names[:shown],
        [row[:shown] for row in rows],
        say,
        columns=terminal_columns(),
        whole_last=has_problem,
    )
    if not rows:
        _note_missing_lake()
    if not is_whole or any(one.problem for one in listed):
        raise click.exceptions.Exit(FAILED)


def _note_missing_lake() -> None:
    """Say that there is no lake either: the data folder may be a mistyped one."""
    from ytap_assets.lakehouse.connection import require_catalog
    from ytap_assets.lakehouse.errors import LakeMissingError
    from ytap_assets.settings import Settings

    try:
        require_catalog(Settings.from_env())
    except LakeMissingError as error:
        note(one_line(str(error)))


def _row(one: Listed) -> tuple[object, ...]:
    config = one.workspace
    if config is None:
        return (one.workspace_id, *[None] * 5, one.problem)
    known = (config.status, config.collects, config.vertical, config.name, len(config.channels))
    return (one.workspace_id, *known, one.problem)


def _survey(workspaces: Workspaces) -> tuple[Survey, bool]:
    """What the lake says, and whether it can be read; the list is shown all the same."""
    from ytap_assets.lakehouse.errors import LakeError
    from ytap_assets.operations.workspaces import Survey, survey_workspaces
    from ytap_assets.settings import Settings

    try:
        return survey_workspaces(Settings.from_env(), workspaces), True
    except LakeError as error:
        note(f"error: the list does not include the lake: {one_line(str(error))}")
        return Survey({}, ()), False


@workspace.command("show", epilog=examples("ytap workspace show tech"))
@workspace_id
def show(workspace_id: str) -> None:
    """Show a workspace's parsed config, without defaults.

    Also lists settings that have no effect, with the reason. Exits with 2 if its spam model cannot
    be read.
    """
    from ytap_assets.operations.pushed_files import open_workspaces
    from ytap_assets.operations.trends import spam_model
    from ytap_assets.operations.workspaces import find_idle_settings
    from ytap_assets.settings import Settings
    from ytap_assets.workspaces import dump_workspace

    workspaces = open_workspaces(Settings.from_env())
    config = workspaces.get(workspace_id)
    say(f"# {clean(workspaces.origin(workspace_id))}")
    for line in dump_workspace(config).splitlines():
        say(clean(line))
    for key, why in find_idle_settings(config):
        note(f"{key}: {why}")
    spam_model(Settings.from_env(), config)


@workspace.command(
    "identify",
    epilog=examples(
        "ytap workspace identify --all",
        "ytap workspace identify tech2 --new",
        "ytap workspace identify tech --adopt",
    ),
)
@click.argument("workspace_id", metavar="[ID]", required=False, shell_complete=complete_workspace)
@click.option("--all", "everyone", is_flag=True, help="All workspaces without a uid.")
@click.option("--new", is_flag=True, help="Write a new uid, for a copied folder.")
@click.option("--adopt", is_flag=True, help="Write the uid that the lake has for the workspace.")
def identify(workspace_id: str | None, everyone: bool, new: bool, adopt: bool) -> None:
    """Write a uid into a workspace's config.

    The file is not changed otherwise. The uid identifies the workspace if its folder is renamed,
    copied or replaced.
    """
    from ytap_assets.errors import ConfigError
    from ytap_assets.operations.workspaces import identify_workspace, read_registry
    from ytap_assets.settings import Settings

    if everyone == (workspace_id is not None):
        raise click.UsageError("give the ID of a workspace, or --all")
    if (new and adopt) or (everyone and (new or adopt)):
        raise click.UsageError("give one of --all, --new and --adopt")
    workspaces = _workspaces()
    registered = read_registry(Settings.from_env())
    problems: list[ConfigError] = []
    written: list[str] = []
    for name in [workspace_id] if workspace_id is not None else workspaces.ids():
        try:
            uid = identify_workspace(workspaces, name, registered, new=new, adopt=adopt)
        except ConfigError as error:
            if not everyone:
                raise
            problems.append(error)
        else:
            say(f"{name} now has the uid {uid}" if uid else f"{name} keeps its uid")
            written += [name] if uid else []
    _note_push(written)
    report_problems(problems)
    if problems:
        raise click.exceptions.Exit(FAILED)


@workspace.command("archive", epilog=examples("ytap workspace archive tech"))
@workspace_id
def archive(workspace_id: str) -> None:
    """Stop processing a workspace; its data is kept."""
    from ytap_assets.operations.workspaces import archive_workspace

    was_open = archive_workspace(_workspaces(), workspace_id)
    say(f"{workspace_id} {'is' if was_open else 'was already'} archived; its data stays")
    _note_push([workspace_id] if was_open else [])


@workspace.command("unarchive", epilog=examples("ytap workspace unarchive tech"))
@workspace_id
def unarchive(workspace_id: str) -> None:
    """Make an archived workspace active again."""
    from ytap_assets.operations.workspaces import unarchive_workspace

    was_archived = unarchive_workspace(_workspaces(), workspace_id)
    say(f"{workspace_id} {'is active again' if was_archived else 'was not archived'}")
    _note_push([workspace_id] if was_archived else [])


def _to_push(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments of the commands that push."""
    named = click.argument("names", metavar="[ID]...", nargs=-1, shell_complete=complete_workspace)
    every = click.option("--all", "everyone", is_flag=True, help="All workspaces with a folder.")
    replace = click.option(
        "--replace",
        "replaces",
        is_flag=True,
        help="Replace what another folder pushed; push videos again.",
    )
    return named(every(replace(command)))


@workspace.command("push", epilog=examples("ytap workspace push tech", "ytap workspace push --all"))
@_to_push
def push_configs(names: tuple[str, ...], everyone: bool, replaces: bool) -> None:
    """Push configs into the lake.

    Processes with YTAP_WORKSPACES=lake read them there. Exits with 1 if a config was not pushed: it
    is invalid, its folder was renamed or copied, or another folder pushed another one.
    """
    folders = _workspaces()
    _push("push configs", _choose(names, everyone, folders.ids()), replaces=replaces)


@click.group()
def inbox() -> None:
    """Push inbox files into the lake."""


@inbox.command("push", epilog=examples("ytap inbox push tech", "ytap inbox push --all"))
@_to_push
def push_inboxes(names: tuple[str, ...], everyone: bool, replaces: bool) -> None:
    """Push inbox files and manifests into the lake.

    Only what is new is pushed. Processes with YTAP_WORKSPACES=lake read it there. The configs have
    to be pushed before. The files that a manifest names are compared with it here, and are not
    stored. Exits with 1 if a file was not pushed: it cannot be read, or does not continue what
    another folder pushed.
    """
    found = _workspaces().get_all()
    archived = {name for name, one in found.items() if getattr(one, "is_archived", False)}
    chosen = _choose(names, everyone, [name for name in found if name not in archived])
    _push("push inboxes", chosen, replaces=replaces)


def _choose(names: Sequence[str], everyone: bool, known: Sequence[str]) -> list[str]:
    if everyone == bool(names):
        raise click.UsageError("give the ID of a workspace, or --all")
    if everyone and not _workspaces().ids():
        raise ConfigError(f"{_workspaces().root} has no workspaces to push; check YTAP_DATA")
    return list(known) if everyone else list(dict.fromkeys(names))


def _push(
    what: Literal["push configs", "push inboxes"], names: list[str], *, replaces: bool
) -> None:
    """Push, and report what was stored."""
    from ytap_assets.operations.push import Pusher

    pusher = Pusher(open_platform(), new_run(what), replaces=replaces)
    push = pusher.push_configs if what == "push configs" else pusher.push_inboxes
    pushed = push(names)
    for name, one in pushed.items():
        for file, size in one.files.items():
            say(f"{name} {clean(file)}: {size:,} bytes pushed")
    problems = [problem for one in pushed.values() for problem in one.problems]
    if not problems and not any(one.files for one in pushed.values()):
        note(f"nothing to push; workspaces compared: {len(names)}")
    for problem in problems:
        note(f"error: {one_line(problem)}")
    if problems:
        raise click.exceptions.Exit(FAILED)


def _note_push(names: Sequence[str]) -> None:
    """Say that changed configs have to be pushed, where the lake's are read."""
    from ytap_assets.settings import Settings

    if names and Settings.from_env().workspace_source == "lake":
        note(f"push the change into the lake with `ytap workspace push {' '.join(names)}`")


def _workspaces() -> Workspaces:
    """The workspaces' folders, which commands that change a config write to."""
    from ytap_assets.settings import Settings
    from ytap_assets.workspaces import Workspaces

    settings = Settings.from_env()
    folders = Workspaces(settings)
    if settings.workspace_source == "lake":
        folders.first_step = "change configs where their folders are, and push them"
    return folders


COMMANDS = (workspace, inbox)
