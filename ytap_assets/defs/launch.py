"""Materialize from the command line: the same runs as from the UI, in this process.

A stage is one step (`table_assets.build_stage`), so a selection is divided into one run for each of
its stages, for all workspaces and days. Assets without partitions are not supported.
"""

import json
import logging
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
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

from ytap_assets.config_keys import find_nearest
from ytap_assets.defs.assets import TABLE_ASSETS
from ytap_assets.defs.build import build_definitions
from ytap_assets.defs.checks import FAILED_TARGETS
from ytap_assets.defs.liveness import announce_process, fail_dead_runs
from ytap_assets.defs.partitions import describe_run, sync_workspaces
from ytap_assets.defs.table_assets import FAILED, Stage, batch_config, order_assets
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import Scope
from ytap_assets.lakehouse.reader import Days
from ytap_assets.operations.inboxes import count_bad_lines
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.tables import PRODUCTION_EVENTS

CODE_LOCATION = "ytap_assets.definitions"
_CONFIG = "dagster.yaml"
_GENERATED = (
    "# Dagster's own settings. `ytap` keeps the copy in DAGSTER_HOME (data/dagster_home) as"
)
"""The first line of a generated one, as of every version; what follows in it differs."""
EVENTS_PER_BATCH = 5_000
_VALUE = re.compile(r"""(?<=Value )".*?"(?= of type)|[^\s"'/]*@""")
"""What an error quotes of a config, and the user and password of a URL."""
_WORD = re.compile(r"\w+")
_OURS = re.compile(r"^ytap_assets(\.\w+)+: ")
_INTERRUPTED = "DagsterExecutionInterruptedError"
_COMMANDS = {"lake_maintenance": "ytap maintain", "restore_drill": "ytap backup --verify"}
"""What makes the assets without partitions."""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Planned:
    """The selected assets of one stage.

    Attributes:
        stage: The stage.
        assets: Each asset, with its upstream assets in the selection.
    """

    stage: Stage
    assets: Mapping[str, frozenset[str]]

    def without_downstream_of(self, failed: Collection[str]) -> list[str]:
        """The assets that need nothing that failed."""
        if self.stage.is_apart:
            return list(self.assets)
        return [name for name, above in self.assets.items() if not above & set(failed)]


@dataclass(frozen=True)
class RunOutcome:
    """How one run went.

    Attributes:
        run_id: The run.
        workspace_ids: For whom.
        assets: What was to be made.
        failures: Why it failed, by workspace; under an empty name what concerns all of them.
        seconds: How long it took.
        warnings: What did not go well though the run is ok, and where to see more: targets that
            gave no answer, inbox lines that cannot be read.
    """

    run_id: str
    workspace_ids: list[str]
    assets: list[str]
    failures: dict[str, str]
    seconds: float
    warnings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything was made."""
        return not self.failures

    @property
    def error(self) -> str | None:
        """Why it failed, for all workspaces in one text."""
        texts = [f"{name}: {why}" if name else why for name, why in self.failures.items()]
        return "; ".join(texts) or None


@dataclass(frozen=True)
class _Launch:
    platform: Platform
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    on_step: Callable[[str], None]
    tags: dict[str, str]


def prepare_home(settings: Settings) -> Path:
    """Make DAGSTER_HOME and see that a `dagster.yaml` is in it.

    It is the tracked one, for this home, unless there is one that a deployment wrote itself: such a
    file does not begin with the tracked one's first line, and is left as it is. The tracked one is
    replaced in one step, and only where it differs: another process may be reading it. What this
    process and its children write to the event log comes in batches.
    """
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", str(EVENTS_PER_BATCH))
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    wanted = home_config(home)
    config = home / _CONFIG
    found = config.read_text(encoding="utf-8") if config.is_file() else _GENERATED
    if found.startswith(_GENERATED) and found != wanted:
        partial = home / f"{_CONFIG}.{os.getpid()}.part"
        partial.write_text(wanted, encoding="utf-8")
        partial.replace(config)
    return home


def open_instance(home: Path) -> dg.DagsterInstance:
    """Open Dagster's instance of a DAGSTER_HOME.

    Raises:
        ConfigError: Its `dagster.yaml` is invalid, names a variable that is not set, or its
            database cannot be reached.
    """
    try:
        instance = dg.DagsterInstance.from_config(str(home))
        _ = instance.run_launcher  # made on the first use
    except (ConfigError, OSError):
        raise
    except Exception as error:  # the file names classes, which may raise anything
        raise ConfigError(
            f"{home / _CONFIG}: Dagster cannot start with it: {explain_instance(error)}"
        ) from error
    return instance


def explain_instance(error: Exception) -> str:
    """Why an instance cannot be opened, without values of its config, which may be passwords."""
    if isinstance(error, ValueError):
        return type(error).__name__  # it may quote what it could not read: a password
    if isinstance(error, dg.DagsterInvalidConfigError):
        text = "; ".join(one.message.split("\n\nStack Trace")[0] for one in error.errors)
    elif isinstance(error, ModuleNotFoundError):
        text = f"{error}; the URL of a PostgreSQL database begins with postgresql+psycopg2://"
    else:
        text = str(error.__cause__ or error)
    text = _VALUE.sub("***", " ".join(text.split())) or "it is not what Dagster expects"
    return f"{type(error).__name__}: {text[:400]}"


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
        selection: Dagster's selection syntax: ``*``, ``scored_trends``, ``+key:workspace_reports``.
        workspace_ids: For whom.
        days: First and last day.
        on_step: Called with a line for every step that begins.

    Returns:
        One outcome per run, in order. What is downstream of a failure is left out for the
        workspaces that failed, except reports: they are made whatever failed, and say what is
        missing.

    Raises:
        ConfigError: No such asset or workspace, an archived one, or days outside the partitions.
        KeyboardInterrupt: The run was interrupted; what follows it is not begun.
    """
    _check_range(platform, workspace_ids, days)
    definitions = build_definitions(platform=platform)
    stages = plan_stages(definitions, selection)
    outcomes: list[RunOutcome] = []
    home = prepare_home(platform.settings)
    with (
        open_instance(home) as instance,
        announce_process(home, instance) as tags,
    ):
        fail_dead_runs(instance, home, daemons_too=False)
        sync_workspaces(instance, platform)
        # The daemon must not start again what was killed on a command line.
        launch = _Launch(platform, definitions, instance, on_step, tags | {MAX_RETRIES_TAG: "0"})
        failed: dict[str, set[str]] = {name: set() for name in sorted(set(workspace_ids))}
        for planned in stages:
            for assets, owners in group_by_assets(planned, failed).items():
                parts = [Scope(name, *(days if planned.stage.by_day else ())) for name in owners]
                outcome = _run_stage(launch, planned.stage, assets, parts)
                outcomes.append(outcome)
                for name in owners if "" in outcome.failures else outcome.failures:
                    failed[name].update(assets)
    return outcomes


def plan_stages(definitions: dg.Definitions, selection: str) -> list[Planned]:
    """Cut a selection into stages, in the order of the graph; those that are apart come last.

    Raises:
        ConfigError: The selection is no selection, or selects nothing that can be made.
    """
    graph = definitions.resolve_asset_graph()
    makeable = {k for k in graph.materializable_asset_keys if graph.get(k).is_partitioned}
    try:
        chosen = dg.AssetSelection.from_string(selection).resolve(graph) & makeable
    except dg.DagsterInvalidSubsetError as error:
        raise ConfigError(_explain_unknown(selection, makeable)) from error
    except dg.DagsterError as error:
        raise ConfigError(
            f"selection {selection!r} cannot be parsed; join several assets with `or`, as in"
            " 'key:scored_trends or key:video_metrics', and add the upstream assets with +, as in"
            " '+key:workspace_reports'"
        ) from error
    if not chosen:
        raise ConfigError(_explain_unknown(selection, makeable))
    names = {key.to_user_string() for key in chosen}
    above = {
        name: (asset, above & names)
        for name, (asset, above) in order_assets(TABLE_ASSETS).items()
        if name in names
    }
    stage_of = {name: asset.stage for name, (asset, _) in above.items()}
    planned = [
        Planned(
            stage,
            {name: upper for name, (asset, upper) in above.items() if asset.stage == stage},
        )
        for stage in dict.fromkeys(stage_of.values())
    ]
    return _order(planned, stage_of)


def _order(planned: Sequence[Planned], stage_of: Mapping[str, Stage]) -> list[Planned]:
    """Each stage after those whose assets it needs; those that are apart last.

    Raises:
        ValueError: Stages need each other.
    """
    waiting = sorted(planned, key=lambda one: one.stage.is_apart)
    ordered: list[Planned] = []
    while waiting:
        done = {one.stage for one in ordered}
        ready = next(
            (
                one
                for one in waiting
                if {stage_of[name] for upper in one.assets.values() for name in upper}
                <= {*done, one.stage}
            ),
            None,
        )
        if ready is None:
            names = ", ".join(one.stage.name for one in waiting)
            raise ValueError(f"these stages depend on each other: {names}")
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def _explain_unknown(selection: str, makeable: Collection[dg.AssetKey]) -> str:
    """Why a selection is empty, and what can be selected."""
    known = sorted(key.to_user_string() for key in makeable)
    unknown = [word for word in _WORD.findall(selection) if word not in known]
    nearest = next((found for word in unknown if (found := find_nearest(word, known))), None)
    command = next((_COMMANDS[word] for word in unknown if word in _COMMANDS), None)
    advice = f"the assets are {', '.join(known)}"
    if nearest:
        advice = f"did you mean `{nearest}`?"
    if command:
        advice = f"run `{command}`"
    return f"selection {selection!r} selects no asset that can be materialized; {advice}"


def group_by_assets(
    planned: Planned, failed: Mapping[str, set[str]]
) -> dict[tuple[str, ...], list[str]]:
    """The workspaces by the assets of a stage that can be made for them."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, assets in failed.items():
        if makeable := planned.without_downstream_of(assets):
            groups.setdefault(tuple(makeable), []).append(name)
    return groups


def _run_stage(
    launch: _Launch, stage: Stage, assets: Sequence[str], parts: Sequence[Scope]
) -> RunOutcome:
    run_id = str(uuid4())
    _place_runs(launch.instance, stage.name)
    began, first_day = monotonic(), launch.platform.now().date()
    launch.instance.add_event_listener(run_id, _announce(launch.on_step))
    result = launch.definitions.resolve_job_def(stage.name).execute_in_process(
        instance=launch.instance,
        run_config=_QUIET | batch_config(stage, parts, tables=_name_subset(stage, assets)),
        run_id=run_id,
        raise_on_error=False,
        tags=launch.tags | describe_run(parts),
    )
    if _was_interrupted(result):
        raise KeyboardInterrupt
    failures = _list_failures(result)
    workspace_ids = [part.workspace_id for part in parts]
    warnings: list[str] = []
    if "" not in failures:
        warnings = _list_warnings(launch.instance, run_id)
        if PRODUCTION_EVENTS.name in assets:
            warnings += _list_bad_lines(launch.platform, workspace_ids, run_id, first_day)
    return RunOutcome(
        run_id=run_id,
        workspace_ids=workspace_ids,
        assets=list(assets),
        failures=failures,
        seconds=monotonic() - began,
        warnings=warnings,
    )


def _name_subset(stage: Stage, assets: Sequence[str]) -> Sequence[str]:
    """The assets; empty if they are all assets of the stage."""
    whole = {one.table.name for one in TABLE_ASSETS if one.stage == stage}
    return () if whole == set(assets) else assets


def _place_runs(instance: dg.DagsterInstance, job_name: str) -> None:
    """Let the instance's runs name the code location, so that the UI's Overview shows them.

    What runs in this process has no such origin by itself, and `execute_in_process` takes none.
    """
    location = RegisteredCodeLocationOrigin(CODE_LOCATION)
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(location, "__repository__"), job_name)
    create = partial(type(instance).create_run_for_job, instance, remote_job_origin=origin)
    instance.create_run_for_job = create  # type: ignore[method-assign]


def _announce(on_step: Callable[[str], None]) -> Callable[[dg.EventLogEntry], None]:
    """A line for every table that a run has made for a batch of workspaces."""

    def listen(entry: dg.EventLogEntry) -> None:
        if entry.dagster_event is None and entry.level == logging.INFO:
            on_step(entry.user_message)

    return listen


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    """Whether somebody pressed Ctrl-C; Dagster makes a failed step, or a canceled run, of it."""
    canceled = dg.DagsterEventType.PIPELINE_CANCELED
    return any(event.event_type == canceled for event in result.all_events) or any(
        _root_cause(event).cls_name == _INTERRUPTED for event in result.get_step_failure_events()
    )


def _list_failures(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Why a run failed, by workspace; failures of the whole run have an empty name."""
    failures: dict[str, str] = {}
    for event in result.get_step_failure_events():
        said = event.step_failure_data.user_failure_data
        shown = said and said.metadata.get(FAILED)
        if isinstance(shown, dg.TableMetadataValue):
            for row in shown.records:
                cells = {name: str(value) for name, value in row.data.items()}
                place = " ".join(filter(None, (cells["table"], cells["days"])))
                text = f"{place}: {cells['reason']}" if place else cells["reason"]
                known = failures.get(cells["workspace"])
                failures[cells["workspace"]] = f"{known}; {text}" if known else text
        elif said and said.description:
            failures[""] = said.description
        else:
            failures[""] = _explain(event.step_failure_data.error)
    if not result.success and not failures:
        failures[""] = "no reason given"
    return failures


def _explain(error: SerializableErrorInfo | None) -> str:
    """The error that a step's code raised, without its causes."""
    while error is not None and error.cause is not None and _is_dagsters(error):
        error = error.cause
    message = "no reason given" if error is None else " ".join(error.message.split())
    return _OURS.sub("", message)


def _list_warnings(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    """The targets of a run's collections that did not answer, by asset."""
    found = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        event = entry.dagster_event
        one = event.asset_check_evaluation_data if event else None
        failed = one and one.metadata.get(FAILED_TARGETS)
        if one and failed:
            name = one.asset_key.to_user_string()
            found.append(f"{name}: {failed.value}; see `collection_log`")
    return found


def _list_bad_lines(
    platform: Platform, workspace_ids: Sequence[str], run_id: str, first_day: date
) -> list[str]:
    """Warnings of the inbox lines that a run put into quarantine."""
    days = (first_day, platform.now().date())
    try:
        reader = platform.lake.batch_reader(workspace_ids)
        return _warn_of_lines(count_bad_lines(reader, run_id, days))
    except Exception as error:  # whatever it is: the run is over, and its outcome is known
        return [f"inbox lines in quarantine cannot be counted: {error}"]


def _warn_of_lines(counts: Mapping[str, int]) -> list[str]:
    """How many inbox lines a run put into quarantine, by workspace, and where they are shown."""
    return [
        f"{name}: lines that cannot be read, now in quarantine: {number}; `ytap script list -w"
        f" {name}` shows them"
        for name, number in counts.items()
    ]


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
    platform.check_days(days)
    for workspace_id in workspace_ids:
        platform.workspaces.get_open(workspace_id)
