"""``ytap job``: what generators report about their jobs, and the status of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from ytap_assets.cli.output import Format, clean, report_problems, say, terminal_columns, write_rows
from ytap_assets.cli.script import read_actor
from ytap_assets.errors import QuestionError

_STATUS = (
    *("workspace_id", "queued", "processing", "completed", "failed"),
    *("avg_completion_minutes", "last_job_created", "health"),
)


@click.group("job")
def job() -> None:
    """Report generation jobs, and show their status."""


@job.command(
    "report",
    epilog=examples(
        "ytap job report ep-12 -w tech --job render-7 --status processing",
        "ytap job report ep-12 -w tech --job render-7 --status completed -q images=12 -q gpu_s=340",
    ),
)
@click.argument("script", metavar="SCRIPT")
@one_workspace
@click.option("--job", "job_id", required=True, metavar="ID", help="The job, within its script.")
@click.option("--status", required=True, help="queued, processing, completed or failed.")
@click.option("--at", metavar="INSTANT", help="When, with a timezone; by default now.")
@click.option("--attempt", type=int, help="The number of the attempt, from 1.")
@click.option("--method", help="How the video is generated, such as animation.")
@click.option("--content-type", help="What is generated, such as short.")
@click.option(
    "--quantity",
    "-q",
    "quantities",
    multiple=True,
    metavar="NAME=NUMBER",
    help="What the attempt has consumed so far; can be repeated.",
)
@click.option("--error", metavar="TEXT", help="Why it failed.")
@click.option("--as", "actor", metavar="NAME", help="Who reports; by default the login name.")
def report(script: str, workspace: str, actor: str | None, at: str | None, **given: Any) -> None:
    """Store a report about a generation job as an event of its script.

    The same report again, with the same --at, changes nothing. A line of jobs.jsonl has the same
    effect; about a script in review it waits, while this command refuses the report.
    """
    from ytap_assets.domain.production.jobs import read_job
    from ytap_assets.domain.production.lines import FieldError, Fields
    from ytap_assets.operations.jobs import report_job

    content = {key: value for key, value in given.items() if value not in (None, ())}
    platform = open_platform()
    content |= {"script_id": script, "at": at or platform.now().isoformat()}
    if "quantities" in content:
        content["quantities"] = _read_quantities(given["quantities"])
    try:
        found = read_job(Fields(content))
    except FieldError as error:
        raise QuestionError(f"the report is invalid: {error}") from error
    name = read_actor(actor)
    is_new = report_job(platform, workspace, found, actor=name, run=new_run(f"job of {script}"))
    effect = "stored" if is_new else "known already; nothing was stored"
    say(f"{clean(script)}: job {clean(found.job_id)} {found.status}: {effect}")


def _read_quantities(given: Sequence[str]) -> dict[str, float]:
    quantities: dict[str, float] = {}
    for text in given:
        name, _, number = text.partition("=")
        if name in quantities:
            raise click.BadParameter(f"{name} is given twice", param_hint="--quantity")
        try:
            quantities[name] = float(number)
        except ValueError:
            raise click.BadParameter(
                f"{text!r}: expected NAME=NUMBER such as images=12", param_hint="--quantity"
            ) from None
    return quantities


@job.command("status", epilog=examples("ytap job status --all-workspaces"))
@some_workspaces
@output_format
def status(workspaces: Sequence[str], shape: Format, *, all_workspaces: bool) -> None:
    """Show the generation jobs of the last 24 hours.

    It is degraded from five failed jobs on.
    """
    from ytap_assets.operations.jobs import read_pipeline

    platform = open_platform(may_only_read=True)
    names, skipped = choose_workspaces(platform, workspaces, all_workspaces=all_workspaces)
    for name in names:
        platform.workspace(name)
    found = read_pipeline(platform, names)
    rows = [
        (name, *(getattr(found[name], column) for column in _STATUS[1:])) for name in sorted(found)
    ]
    write_rows(_STATUS, rows, shape, say, columns=terminal_columns())
    report_problems(skipped)


COMMANDS = (job,)
