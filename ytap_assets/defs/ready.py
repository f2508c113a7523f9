"""Which workspaces an automation may ask for; what stands in the way of one stops no other."""

from collections.abc import Iterable

import dagster as dg

from ytap_assets.defs.partitions import WORKSPACE
from ytap_assets.operations.platform import Platform
from ytap_assets.workspaces import Workspace

Context = dg.SensorEvaluationContext | dg.ScheduleEvaluationContext


def ready_workspaces(platform: Platform, context: Context) -> list[Workspace]:
    """The workspaces that can be asked for and worked on, in order of name.

    The log names who is left out.
    """
    usable, broken = platform.usable()
    for name, error in broken.items():
        context.log.warning(f"workspace {name!r} is left out: {error}")
    ids = (one.workspace_id for one in usable if one.status != "archived")
    ready = set(with_partition(ids, context))
    return [one for one in usable if one.workspace_id in ready]


def with_partition(workspace_ids: Iterable[str], context: Context) -> list[str]:
    """The workspaces whose partition Dagster knows; the log names the others.

    A run of an unknown partition is an error that costs the whole tick, so a folder that is newer
    than the last look of ``workspace_folders`` waits for it.
    """
    asked, known = list(workspace_ids), _known(context)
    new = [] if known is None else [one for one in asked if one not in known]
    if new:
        context.log.warning(f"no partition yet, so asked for next time: {', '.join(new)}")
    return [one for one in asked if one not in new]


def _known(context: Context) -> set[str] | None:
    """The workspaces that have a partition; None where there is no way to tell.

    A schedule that is tried in code gets no instance of the kind that forgets; then the partitions
    are those of the loading context around it, as they are for Dagster itself.
    """
    instance = None
    if isinstance(context, dg.SensorEvaluationContext) or context.instance_ref:
        instance = context.instance
    with dg.partition_loading_context(dynamic_partitions_store=instance) as at:
        store = at.dynamic_partitions_store
        return None if store is None else set(store.get_dynamic_partitions(WORKSPACE))
