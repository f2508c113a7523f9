"""Fetches into the lake: many in a commit, and none lost by what comes after it.

Belongs here: when to commit. Does not belong here: what a commit holds (`store`).
"""

from __future__ import annotations

import logging
from datetime import date
from types import TracebackType
from typing import Self

import polars as pl

from ytap_assets.lakehouse.checks import CHECKS, CheckResult
from ytap_assets.lakehouse.reader import Days
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.store import Refusal, Stored, store_fetches
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import COLLECTION_LOG, Table

_LOG = logging.getLogger(__name__)
_ROWS_PER_COMMIT = 50_000
_BYTES_PER_COMMIT = 64 * 1024 * 1024


class Batches:
    """Takes fetches one by one and stores many in a commit: ``with Batches(...) as batches``.

    However the block ends, what was added is stored. A fetch whose frames are refused takes no
    other along.
    """

    def __init__(self, platform: Platform, table: Table, run: Run) -> None:
        """Create it for a table and a run."""
        self._platform = platform
        self._table = table
        self._run = run
        self._waiting: dict[tuple[str, str], Fetch] = {}
        self._rows = self._bytes = 0
        self._stored: dict[str, list[Stored]] = {}
        self._refused: dict[str, dict[date, Refusal]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.commit()

    def add(self, fetch: Fetch) -> None:
        """Take a fetch."""
        name = (str(fetch.log["workspace_id"]), str(fetch.log["collection_id"]))
        if name in self._waiting:
            self.commit()  # in one commit, both would be given the counts of the two
        self._waiting[name] = fetch
        self._rows += fetch.rows.height + fetch.quarantined.height
        self._bytes += int(fetch.payloads.get_column("size_bytes").sum())

    def commit_if_large(self) -> None:
        """Store the rows added since the last commit, if there are enough."""
        if self._rows >= _ROWS_PER_COMMIT or self._bytes >= _BYTES_PER_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Store what was added since the last commit."""
        waiting, self._waiting = list(self._waiting.values()), {}
        self._rows = self._bytes = 0
        if not waiting:
            return
        refused = self._store(waiting)
        # One fetch of each of these workspaces is refused: alone, each of the others passes.
        for fetch in waiting:
            name = str(fetch.log["workspace_id"])
            if name in refused and (refusal := self._store([fetch]).get(name)) is not None:
                _LOG.error(
                    "%s %s %s is not stored: %s",
                    name,
                    fetch.log["source"],
                    fetch.log["target"],
                    refusal,
                )
                self._refused.setdefault(name, {}).setdefault(fetch.log["day"], refusal)

    def _store(self, fetches: list[Fetch]) -> dict[str, Refusal]:
        """Store fetches; the refusals of the workspaces of which nothing was stored."""
        try:
            found = store_fetches(self._platform, self._table, fetches, self._run)
        except pl.exceptions.PolarsError as error:
            return {str(fetch.log["workspace_id"]): error for fetch in fetches}
        refused: dict[str, Refusal] = {}
        for name, one in found.items():
            if isinstance(one, Stored):
                self._stored.setdefault(name, []).append(one)
            else:
                refused[name] = one
        return refused

    def total(self, workspace_id: str, days: Days | None = None) -> Stored | Refusal:
        """What was stored of a workspace, as if it had been one commit.

        Args:
            workspace_id: The workspace.
            days: Of which days; of all if None.

        Returns:
            What was stored; or the first refusal, if a fetch of these days was refused. Then the
            others are stored nevertheless.
        """
        for day, refusal in self._refused.get(workspace_id, {}).items():
            if days is None or days[0] <= day <= days[1]:
                return refusal
        parts = self._stored.get(workspace_id)
        if parts is None:
            return Stored(
                frame=self._table.empty(),
                log=COLLECTION_LOG.empty(),
                payloads=pl.Series("day", dtype=pl.Date),
                results=tuple(CheckResult(name) for name in CHECKS),
                snapshot_id=self._platform.lake.snapshot_id(),
            )
        if len(parts) > 1:
            whole = Stored(
                frame=pl.concat([part.frame for part in parts]),
                log=pl.concat([part.log for part in parts]),
                payloads=pl.concat([part.payloads for part in parts]),
                results=tuple(result for part in parts for result in part.results),
                snapshot_id=parts[-1].snapshot_id,
            )
            self._stored[workspace_id] = parts = [whole]
        return parts[0].within(days)
