"""What in a workspace's inbox files has no effect, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ytap_assets.domain.production.acts import explain_idle_acts
from ytap_assets.domain.production.fold import fold_events
from ytap_assets.operations.inbox_files import APPROVALS, InboxFile
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import PRODUCTION_EVENTS


@dataclass(frozen=True)
class IdleAct:
    """A decision in the approvals file that has no effect as things stand.

    Script ids and names in the text are hostile input.

    Attributes:
        script_id: The script.
        text: Whose decision, about what, and why it has no effect.
        waits: Whether it will have one when its date has come.
    """

    script_id: str
    text: str
    waits: bool


def list_idle_acts(
    platform: Platform, workspace_id: str, files: Mapping[str, InboxFile]
) -> list[IdleAct]:
    """The decisions that have no effect, in the order of the file.

    Args:
        platform: The installation.
        workspace_id: The workspace.
        files: Its inbox files.
    """
    acts = files[APPROVALS].parsed.rows
    if not acts:
        return []
    events = platform.lake.reader(workspace_id).read(PRODUCTION_EVENTS)
    idle = explain_idle_acts(workspace_id, acts, fold_events(events), events, now=platform.now())
    return [
        IdleAct(
            act.script_id,
            f"{act.script_id}: {act.act} by {act.actor} at {act.at.isoformat()}: {obstacle.reason}",
            obstacle.waits,
        )
        for act, obstacle in idle
    ]
