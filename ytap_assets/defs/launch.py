"""Materialize from the command line: the same runs as from the UI, in this process.

The selection is cut into stages (`stages`); each is one run per workspace, however many days it
covers.
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic
from uuid import uuid4

import dagster as dg
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import MAX_RETRIES_TAG
from dagster_shared.error import SerializableErrorInfo

from ytap_assets.defs.build import build_definitions
from ytap_assets.defs.checks import FAILED_TARGETS
from ytap_assets.defs.liveness import announce_process, fail_dead_runs
from ytap_assets.defs.partitions import describe_run, range_tags, sync_workspaces
from ytap_assets.defs.stages import Stage, plan_stages
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings

CODE_LOCATION = "ytap_assets.definitions"
_CONFIG = "dagster.yaml"
_EVENTS_PER_BATCH = 5_000
_OURS = re.compile(r"^ytap_assets(\.\w+)+: ")
_INTERRUPTED = "DagsterExecutionInterruptedError"
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class RunOutcome:
    """How one run went.

    Attributes:
        run_id: The run.
        workspace_id: For whom.
        assets: What was to be made.
        ok: Whether it was.
        error: Why not.
        seconds: How long it took.
        warnings: What did not go well though the run is ok: the targets that gave no answer.
    """

    run_id: str
    workspace_id: str
    assets: list[str]
    ok: bool
    error: str | None
    seconds: float
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Launch:
    job: dg.JobDefinition
    instance: dg.DagsterInstance
    on_step: Callable[[str], None]
    tags: dict[str, str]


def prepare_home(settings: Settings) -> Path:
    """Make DAGSTER_HOME and see that the tracked `dagster.yaml` is in it, for this home.

    It is replaced in one step, and only where it differs: another process may be reading it. What
    this process and its children write to the event log comes in batches.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(_EVENTS_PER_BATCH))
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    wanted = home_config(home)
    config = home / _CONFIG
    if not config.is_file() or config.read_text(encoding="utf-8") != wanted:
        partial = home / f"{_CONFIG}.{os.getpid()}.part"
        partial.write_text(wanted, encoding="utf-8")
        partial.replace(config)
    return home


def home_config(home: Path) -> str:
    """The tracked `dagster.yaml`, with the folder of the home's event log."""
    tracked = Path(__file__).with_name(_CONFIG).read_text(encoding="utf-8")
    folder = json.dumps(str(home.absolute() / "history" / "runs"))
    return tracked.replace("base_dir: HISTORY", f"base_dir: {folder}")


def materialize_range(
    platform: Platform,
    selection: str,
    *,
    workspace_ids: Sequence[str],
    days: Days,
    on_step: Callable[[str], None] = lambda _: None,
) -> list[RunOutcome]:
    """Materialize a selection for workspaces and a range of days.

    Args:
        platform: The installation.
        selection: Dagster's selection syntax: ``*``, ``scored_trends``, ``+workspace_reports``.
        workspace_ids: For whom.
        days: First and last day.
        on_step: Called with a line for every step that begins.

    Returns:
        One outcome per run, in order. What is downstream of a failed run is left out, except
        reports: they are made whatever failed, and say what is missing.

    Raises:
        ConfigError: No such asset or workspace, an archived one, or days outside the partitions.
        KeyboardInterrupt: The run was interrupted; what follows it is not begun.
    """
    _check_range(platform, workspace_ids, days)
    definitions = build_definitions(platform=platform)
    stages = plan_stages(definitions, selection)
    outcomes: list[RunOutcome] = []
    home = prepare_home(platform.settings)
    with dg.DagsterInstance.from_config(str(home)) as instance, announce_process(home) as tags:
        fail_dead_runs(instance, home, daemons_too=False)
        sync_workspaces(instance, platform.settings)
        job = definitions.resolve_implicit_global_asset_job_def()
        _place_runs(instance, job.name)
        # The daemon must not start again what was killed on a command line.
        launch = _Launch(job, instance, on_step, tags | {MAX_RETRIES_TAG: "0"})
        for workspace_id in workspace_ids:
            failed: set[str] = set()
            for planned in stages:
                stage = planned.without_downstream_of(failed)
                if stage.assets:
                    outcomes.append(_run_stage(launch, stage, workspace_id, days))
                    if not outcomes[-1].ok:
                        failed.update(stage.assets)
    return outcomes


def _run_stage(launch: _Launch, stage: Stage, workspace_id: str, days: Days) -> RunOutcome:
    run_id = str(uuid4())
    began = monotonic()
    launch.instance.add_event_listener(run_id, _announce(launch.on_step, workspace_id))
    result = launch.job.execute_in_process(
        instance=launch.instance,
        asset_selection=[dg.AssetKey(name) for name in stage.assets],
        run_config=_QUIET,
        run_id=run_id,
        raise_on_error=False,
        partition_key=None if stage.by_day else workspace_id,
        tags=launch.tags
        | describe_run([workspace_id], days if stage.by_day else None)
        | (range_tags(workspace_id, days) if stage.by_day else {}),
    )
    if _was_interrupted(result):
        raise KeyboardInterrupt
    return RunOutcome(
        run_id=run_id,
        workspace_id=workspace_id,
        assets=list(stage.assets),
        ok=result.success,
        error=_first_failure(result),
        seconds=monotonic() - began,
        warnings=_list_warnings(result),
    )


def _place_runs(instance: dg.DagsterInstance, job_name: str) -> None:
    """Let the instance's runs name the code location, so that the UI's Overview shows them.

    What runs in this process has no such origin by itself, and `execute_in_process` takes none.
    """
    location = RegisteredCodeLocationOrigin(CODE_LOCATION)
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job_name)
    create = partial(instance.create_run_for_job, remote_job_origin=origin)
    instance.create_run_for_job = create  # type: ignore[method-assign]


def _announce(
    on_step: Callable[[str], None], workspace_id: str
) -> Callable[[dg.EventLogEntry], None]:
    def listen(entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is not None and event.event_type == dg.DagsterEventType.STEP_START:
            on_step(f"{workspace_id} {event.step_key}")

    return listen


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether somebody pressed Ctrl-C; Dagster makes a failed step, or a canceled run, of it."""
    canceled = dg.DagsterEventType.PIPELINE_CANCELED
    return any(event.event_type == canceled for event in result.all_events) or any(
        _root_cause(event).cls_name == _INTERRUPTED for event in result.get_step_failure_events()
    )


def _first_failure(result: dg.ExecuteInProcessResult) -> str | None:
    """Why the first failed step failed: the error that its code raised, without its causes."""
    for event in result.get_step_failure_events():
        said = event.step_failure_data.user_failure_data
        if said and said.description:
            return said.description
        error = event.step_failure_data.error
        while error is not None and error.cause is not None and _is_dagsters(error):
            error = error.cause
        message = "no reason given" if error is None else " ".join(error.message.split())
        return _OURS.sub("", message)
    return None


def _list_warnings(result: dg.ExecuteInProcessResult) -> list[str]:
    """Which targets of the run's collections gave no answer, by asset, where the asset was made."""
    found = []
    for one in result.get_asset_check_evaluations():
        failed = one.metadata.get(FAILED_TARGETS)
        if failed is not None and result.success:
            found.append(f"{one.asset_key.to_user_string()}: {failed.value}")
    return found


def _is_dagsters(error: SerializableErrorInfo) -> bool:
    """Whether it only wraps what an asset's code raised."""
    return (error.cls_name or "").startswith("Dagster")


def _root_cause(event: dg.DagsterEvent) -> SerializableErrorInfo:
    """The innermost error of a failed step."""
    error = event.step_failure_data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error or SerializableErrorInfo("no reason given", [], None)


def _check_range(platform: Platform, workspace_ids: Sequence[str], days: Days) -> None:
    first, fixed = platform.day_range()
    last = fixed or max(platform.now().date(), datetime.now(UTC).date())
    if days[0] > days[1]:
        raise ConfigError(f"{days[0]} is after {days[1]}: the first day comes first")
    if not first <= days[0] <= days[1] <= last:
        end = f"{last}, the last recorded day" if fixed else f"today, {last}"
        raise ConfigError(
            f"{days[0]}..{days[1]}: days lie between {first} and {end};"
            " YTAP_FIRST_DAY sets an earlier first day"
        )
    for workspace_id in workspace_ids:
        platform.workspaces.get_open(workspace_id)
