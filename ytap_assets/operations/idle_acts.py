"""Decisions in a workspace's approvals file that do nothing, so that nobody waits for them."""

from __future__ import annotations

from ytap_assets.domain.production.acts import explain_idle_acts, parse_acts
from ytap_assets.domain.production.fold import fold_events
from ytap_assets.operations.inbox_files import APPROVALS, read_lines
from ytap_assets.operations.platform import Platform
from ytap_assets.tables import PRODUCTION_EVENTS


def list_idle_acts(platform: Platform, workspace_id: str) -> list[str]:
    """One text per decision that does nothing as things stand: whose, about what, and why.

    Script ids and names in them are hostile input.

    Raises:
        ConfigError: The workspace's name breaks the rule.
    """
    content = read_lines(platform.workspaces.folder(workspace_id), APPROVALS)
    acts = parse_acts(content).rows
    if not acts:
        return []
    events = platform.lake.reader(workspace_id).read(PRODUCTION_EVENTS)
    idle = explain_idle_acts(
        workspace_id, acts, fold_events(events), set(events.get_column("event_id"))
    )
    return [
        f"{act.script_id}: {act.act} by {act.actor} at {act.at.isoformat()}: {reason}"
        for act, reason in idle
    ]
