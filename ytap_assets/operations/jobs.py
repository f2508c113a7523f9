"""Generation jobs: store a generator's report, and the status of the pipeline.

Reports also arrive in ``jobs.jsonl``, where a run stores them (`production`); the events are the
same. Does not belong here: what a report says (`domain.production.jobs`).
"""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from ytap_assets.domain.production.events import admit_frame, current_states, events_to_frame
from ytap_assets.domain.production.inbox import read_name
from ytap_assets.domain.production.jobs import (
    STATUSES,
    WINDOW,
    JobReport,
    PipelineStatus,
    summarize_jobs,
)
from ytap_assets.domain.production.lines import FieldError
from ytap_assets.domain.production.rules import PERSON
from ytap_assets.errors import QuestionError, TransitionRefusedError, UnknownScriptError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.records import read_scripts, refresh_tables
from ytap_assets.tables import PRODUCTION_EVENTS

JOB_TYPES = tuple(f"job_{status}" for status in STATUSES)
_COLUMNS = ["workspace_id", "script_id", "type", "seq", "occurred_at", "payload"]


def report_job(
    platform: Platform, workspace_id: str, report: JobReport, *, actor: str, run: Run
) -> bool:
    """Store what a generator reports about a job, with the record that follows from it.

    Args:
        platform: The installation.
        workspace_id: The workspace.
        report: The report.
        actor: The name of the generator, or of the person who reports for it.
        run: What writes.

    Returns:
        Whether it is new; an equal report changes nothing.

    Raises:
        QuestionError: The name is invalid.
        ConfigError: There is no such workspace, or it is archived.
        UnknownScriptError: There is no such script.
        TransitionRefusedError: The script is in review, so nothing is generated from it yet.
    """
    try:
        name = read_name(actor)
    except FieldError as error:
        raise QuestionError(f"who reports: {error}") from error
    platform.workspaces.get_open(workspace_id)
    platform.register(workspace_id, run)
    now = platform.now()
    with platform.lake.write(run) as transaction:
        stored = transaction.reader(workspace_id).read(
            PRODUCTION_EVENTS, wanted={"script_id": [report.script_id]}
        )
        state = current_states(stored).get((workspace_id, report.script_id))
        if state is None:
            raise UnknownScriptError(f"workspace {workspace_id} has no script {report.script_id!r}")
        event = report.event(workspace_id, state, PERSON + name, now)
        rows, admission = admit_frame(events_to_frame([event], recorded_at=now), stored)
        for refusal in admission.refused:
            raise TransitionRefusedError(f"{refusal.reason}; nothing was stored")
        if not rows.is_empty():
            transaction.append(check_rows(PRODUCTION_EVENTS, rows, Scope(workspace_id)))
            refresh_tables(transaction, [Scope(workspace_id)])
    return not rows.is_empty()


def read_pipeline(platform: Platform, workspace_ids: Collection[str]) -> dict[str, PipelineStatus]:
    """The generation jobs of workspaces over the last 24 hours.

    Two reads for all workspaces: the jobs that had an event in the window, and all their events.

    Returns:
        The status by workspace, also of those without a job.
    """
    now = platform.now()
    reader = platform.lake.batch_reader(sorted(workspace_ids))
    recent = reader.read(
        PRODUCTION_EVENTS,
        columns=["workspace_id", "script_id"],
        wanted={"type": JOB_TYPES},
        at_least={"occurred_at": now - WINDOW},
    ).unique()
    events = read_scripts(reader, PRODUCTION_EVENTS, recent)
    found = summarize_jobs(events.filter(pl.col("type").is_in(JOB_TYPES)).select(_COLUMNS), now)
    return {name: found.get(name, PipelineStatus()) for name in workspace_ids}
