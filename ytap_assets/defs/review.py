"""The job `decide_on_script`: a decision of a person from the Dagster UI.

Its config is a form in the launchpad: workspace, script, decision, name and reason. The decision is
stored by the same function as that of `ytap review`.
"""

from enum import Enum

import dagster as dg
from pydantic import Field

from ytap_assets.errors import YtapError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.review import decide_on_script
from ytap_assets.tables import PRODUCTION_EVENTS

_EVENTS = ("seq", "occurred_at", "type", "to_state", "actor", "reason")


class Action(Enum):
    """What a person can decide."""

    approve_script = "approve_script"
    approve_video = "approve_video"
    reject = "reject"
    send_back = "send_back"
    cancel = "cancel"


class DecisionConfig(dg.Config):
    """A decision about one script."""

    workspace: str = Field(description="The workspace, such as tech.")
    script: str = Field(description="The id of the script.")
    decision: Action = Field(
        description="approve_script and reject are for scripts in review; approve_video, reject and"
        " send_back for videos in review; cancel is possible in any state before publication."
    )
    decided_by: str = Field(
        description="Your name, as in the workspace's approval.approvers. It is not authenticated."
    )
    reason: str = Field(default="", description="The reason.")
    seen: int = Field(
        default=0,
        description="The number of the last event of the script that you saw: if its state has"
        " changed since, the decision is refused. 0 to decide about whatever is in review.",
    )


_FORM = {
    "workspace": "",
    "script": "",
    "decision": Action.approve_script.value,
    "decided_by": "",
    "reason": "",
    "seen": 0,
}


@dg.op(description="Stores a person's decision about a script, and shows the script's history.")
def decide(
    context: dg.OpExecutionContext, config: DecisionConfig, platform: dg.ResourceParam[Platform]
) -> None:
    """Store the decision; a refused one fails the run with the reason, and stores nothing."""
    for key in ("workspace", "script", "decided_by"):
        if not getattr(config, key).strip():
            raise dg.Failure(f"{key}: missing; nothing was stored", allow_retries=False)
    try:
        state = decide_on_script(
            platform,
            config.workspace,
            config.script,
            config.decision.value,
            actor=config.decided_by,
            reason=config.reason,
            run=Run(context.run_id, "dagster", f"{config.decision.value} {config.script}"),
            seen=config.seen or None,
        )
    except YtapError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    events = platform.lake.reader(config.workspace).read(
        PRODUCTION_EVENTS, columns=list(_EVENTS), wanted={"script_id": [config.script]}
    )
    history = [
        dg.TableRecord({key: "" if value is None else str(value) for key, value in row.items()})
        for row in events.sort("seq").iter_rows(named=True)
    ]
    context.log.info(
        f"{config.script}: {config.decision.value} by {config.decided_by}; its state is {state}"
    )
    context.add_output_metadata(
        {"state": state, "history": dg.MetadataValue.table(records=history)}
    )


@dg.job(
    name="decide_on_script",
    description="Stores a person's decision about a script or its video: approve, reject, send back"
    " or cancel. Fill in the config in the launchpad. The sensors promote the script afterwards.",
    executor_def=dg.in_process_executor,
    # The form in the launchpad. What is left empty is refused, so nothing is decided by accident.
    config={"ops": {"decide": {"config": _FORM}}},
)
def decision_job() -> None:
    """One decision of one person."""
    decide()
