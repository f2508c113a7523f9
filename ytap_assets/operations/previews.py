"""The state shared by the promotion sensors of a process: one preview per workspace.

A preview holds as long as its mark does. The mark is made of the workspace's last event and of the
state of its config, its inbox files and the manifests of the scripts that wait, so that neither the
log nor a config is read where nothing has changed. Belongs here: that memory. Does not belong here:
what a preview is (`production`), or what a sensor requests (`defs.automation`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.inbox_files import INBOX_FILES
from ytap_assets.operations.platform import Batch, Platform
from ytap_assets.operations.production import Preview, preview
from ytap_assets.operations.video_folders import stamp, stamp_folders
from ytap_assets.tables import PRODUCTION_EVENTS
from ytap_assets.workspaces import CONFIG_NAME

_RUN = Run("sensor", "dagster", "preview")


@dataclass(frozen=True)
class Previewed:
    """A workspace's preview and its mark.

    Attributes:
        mark: Changes with the workspace's log, files and time bucket.
        preview: What the next run would do; empty for an archived workspace.
    """

    mark: str
    preview: Preview


class Previews:
    """The previews of an installation's workspaces, each kept until its mark changes."""

    def __init__(self) -> None:
        """Begin without any."""
        self._lock = Lock()
        self._snapshot_id: int | None = None
        self._last_seqs: dict[str, int] = {}
        self._known: dict[str, Previewed] = {}
        self._requested: dict[str, tuple[str, str]] = {}

    def refresh(
        self, platform: Platform, workspace_ids: Iterable[str], bucket: Callable[[str], int]
    ) -> dict[str, Previewed | Exception]:
        """The preview of each workspace, or the error.

        Args:
            platform: The installation.
            workspace_ids: The workspaces.
            bucket: The number of the present time bucket of a workspace: what no mark shows (a
                channel's feed, a date that has come, a video file) is noticed in the next one.

        Raises:
            LakeError: The lake cannot be read.
        """
        with self._lock:
            snapshot_id = platform.lake.snapshot_id()
            if snapshot_id != self._snapshot_id:
                self._last_seqs = platform.lake.cross_reader().last_seqs(PRODUCTION_EVENTS)
                self._snapshot_id = snapshot_id
            found: dict[str, Previewed | Exception] = {}
            changed: dict[str, str] = {}
            for name in workspace_ids:
                folder = platform.workspaces.folder(name)
                base = f"{self._last_seqs.get(name, 0)} {bucket(name)} {_stamp_files(folder)}"
                known = self._known.get(name)
                if known is not None and known.mark == _mark(base, folder, known.preview):
                    found[name] = known
                else:
                    changed[name] = base
            names, size = list(changed), platform.settings.batch_workspaces
            for start in range(0, len(names), size):
                found |= self._preview(platform, names[start : start + size], changed)
            return found

    def _preview(
        self, platform: Platform, names: Iterable[str], bases: dict[str, str]
    ) -> dict[str, Previewed | Exception]:
        batch, unusable = platform.batch({name: [None] for name in names}, _RUN, writes=False)
        active = tuple(one for one in batch.slices if not one.workspace.is_archived)
        found: dict[str, Previewed | Exception] = {
            scope.workspace_id: error for scope, error in unusable.items()
        }
        previews: dict[str, Preview | Exception] = {
            one.workspace_id: Preview({}, [], frozenset(), {}) for one in batch.slices
        }
        previews |= preview(Batch(platform, active, _RUN)) if active else {}
        for name, one in previews.items():
            if isinstance(one, Exception):
                found[name] = one
            else:
                found[name] = self._known[name] = Previewed(_join(bases[name], one.stamps), one)
        return found

    def claim(self, workspace_id: str, mark: str, sensor: str) -> bool:
        """Whether a sensor is the first to request a run for a workspace at this mark.

        One run makes all promotions, so the sensors of the others have nothing to request.
        """
        with self._lock:
            if self._requested.get(workspace_id, ("", ""))[0] != mark:
                self._requested[workspace_id] = (mark, sensor)
            return self._requested[workspace_id] == (mark, sensor)


def _stamp_files(folder: Path) -> str:
    names = (CONFIG_NAME, *INBOX_FILES)
    return _digest([f"{name} {stamp(folder / name)}" for name in names])


def _mark(base: str, folder: Path, known: Preview) -> str:
    return _join(base, stamp_folders(folder, known.waiting))


def _join(base: str, stamps: dict[str, str]) -> str:
    return f"{base} {_digest([f'{name} {stamps[name]}' for name in sorted(stamps)])}"


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
