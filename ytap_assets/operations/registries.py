"""The registries that come from a workspace's config."""

from __future__ import annotations

import polars as pl

from ytap_assets.tables import ACCOUNTS, CHANNELS
from ytap_assets.workspaces import Workspace


def list_channels(workspace: Workspace) -> pl.DataFrame:
    """The own and monitored channels, as rows of ``channels``; an own one is not repeated."""
    own = {channel.id: channel for channel in workspace.channels}
    monitored = {
        channel.id: channel
        for channel in workspace.sources.youtube.monitored_channels
        if channel.id not in own
    }
    return CHANNELS.frame(
        [
            {
                "workspace_id": workspace.workspace_id,
                "channel_id": channel.id,
                "title": channel.title,
                "is_own": channel.id in own,
                "status": channel.status,
            }
            for channel in (own | monitored).values()
        ]
    )


def list_accounts(workspace: Workspace) -> pl.DataFrame:
    """The platform accounts, as rows of ``accounts``."""
    return ACCOUNTS.frame(
        [
            {
                "workspace_id": workspace.workspace_id,
                "platform": account.platform,
                "handle": account.handle,
                "credential_ref": account.credential_ref,
                "has_consent": account.has_consent,
                "is_enabled": account.is_enabled,
            }
            for account in workspace.accounts
        ]
    )
