"""Installations whose workspaces are in the lake: what tests write into folders is pushed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production_inputs import stamp
from ytap_assets.operations.push import Pushed, Pusher
from ytap_assets.operations.pushed_files import PushedConfigs, PushedWorkspaces
from ytap_assets.settings import Settings
from ytap_assets.workspaces import Workspaces

RUN = Run("run-0", "test", "push")


def push(
    platform: Platform, *names: str, settings: Settings | None = None, replaces: bool = False
) -> dict[str, Pushed]:
    """Push configs and inboxes of workspaces, or of all.

    Args:
        platform: An installation with an open lake.
        names: The workspaces.
        settings: Another data folder's, from which is pushed into this lake.
        replaces: See `Pusher`.
    """
    source = _Source(settings or platform.settings, platform)
    pusher = Pusher(source, RUN, replaces=replaces)
    chosen = list(names) or Workspaces(source.settings).ids()
    pushed = pusher.push_configs(chosen)
    for name, one in pusher.push_inboxes(chosen).items():
        pushed[name].files |= one.files
        pushed[name].problems += one.problems
    return pushed


class _Source(Platform):
    """A data folder that shares the lake of another installation."""

    def __init__(self, settings: Settings, other: Platform) -> None:
        super().__init__(replace(settings, workspace_source="folder"), now=other.now)
        self._other = other

    @property
    def lake(self) -> Lake:
        """The other installation's lake."""
        return self._other.lake


class _Both(PushedWorkspaces):
    """Workspaces that are read from the lake, and whose folders are written to."""

    def write_config(self, workspace_id: str, text: bytes) -> Path:
        return Workspaces.write_config(self, workspace_id, text)


class PushingPlatform(Platform):
    """Reads workspaces from the lake, and pushes its folders whenever a file has changed."""

    def __init__(self, other: Platform) -> None:
        """Take an installation whose folders and lake these are."""
        settings = replace(other.settings, workspace_source="lake")
        super().__init__(settings, now=other.now)
        self.workspaces = _Both(settings, PushedConfigs(lambda: self.lake).read)
        self._other = other
        self._pushed: list[str] | None = None

    @property
    def lake(self) -> Lake:
        """The lake, up to date with the folders."""
        found = self._fingerprint()
        if found != self._pushed:
            self._pushed = found
            push(self._other)
        return self._other.lake

    def _fingerprint(self) -> list[str]:
        places = sorted(self.settings.workspaces.rglob("*"))
        return [f"{place} {stamp(place)}" for place in places]
