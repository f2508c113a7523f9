"""Fetches into the lake: many in a commit, and none lost by what comes after it.

Belongs here: when to commit. Does not belong here: what a commit holds (`store`).
"""

from __future__ import annotations

import logging
from types import TracebackType
from typing import Any, Self

import polars as pl

from ytap_assets.lakehouse.errors import PublishRefusedError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform, Written
from ytap_assets.operations.store import Stored, store_fetches
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import Table

_LOG = logging.getLogger(__name__)
_ROWS_PER_COMMIT = 50_000
_BYTES_PER_COMMIT = 64 * 1024 * 1024
_Refusal = PublishRefusedError | pl.exceptions.PolarsError


class Batches:
    """Takes fetches one by one and stores many in a commit: ``with Batches(...) as batches``.

    However the block ends, what was added is stored. A fetch whose frames are refused takes no
    other along; the first refusal is raised when the block ends.
    """

    def __init__(self, platform: Platform, workspace_id: str, table: Table, run: Run) -> None:
        """Take where the fetches of one workspace go, and who brings them."""
        self._platform = platform
        self._workspace_id = workspace_id
        self._table = table
        self._run = run
        self._waiting: list[Fetch] = []
        self._rows = self._bytes = 0
        self._stored: list[Stored] = []
        self._refusal: _Refusal | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.commit()
        if self._refusal is not None and error is None:
            raise self._refusal

    def add(self, fetch: Fetch) -> None:
        """Take a fetch; commit where enough has come together."""
        known = fetch.log["collection_id"]
        if any(one.log["collection_id"] == known for one in self._waiting):
            self.commit()  # in one commit, both would be given the counts of the two
        self._waiting.append(fetch)
        self._rows += fetch.rows.height + fetch.quarantined.height
        self._bytes += int(fetch.payloads.get_column("size_bytes").sum())
        if self._rows >= _ROWS_PER_COMMIT or self._bytes >= _BYTES_PER_COMMIT:
            self.commit()

    def commit(self) -> None:
        """Store what was added since the last commit."""
        waiting, self._waiting = self._waiting, []
        self._rows = self._bytes = 0
        if not waiting or self._try_to_store(waiting) is None:
            return
        # One of them is refused: alone, each of the others passes.
        for fetch in waiting:
            refusal = self._try_to_store([fetch])
            if refusal is not None:
                _LOG.error(
                    "%s %s is not stored: %s", fetch.log["source"], fetch.log["target"], refusal
                )
                self._refusal = self._refusal or refusal

    def _try_to_store(self, fetches: list[Fetch]) -> _Refusal | None:
        try:
            stored = store_fetches(
                self._platform, self._workspace_id, self._table, fetches, self._run
            )
        except (PublishRefusedError, pl.exceptions.PolarsError) as refusal:
            return refusal
        self._stored.append(stored)
        return None

    def total(self) -> Stored:
        """What was stored in all, as if it had been one commit; its snapshot is the last one."""
        stored = self._stored or [
            store_fetches(self._platform, self._workspace_id, self._table, [], self._run)
        ]
        parts = [one.written for one in stored]
        notes: dict[str, Any] = {}
        for part in parts:
            notes |= {name: notes.get(name, 0) + count for name, count in part.notes.items()}
        written = Written(
            rows=sum(part.rows for part in parts),
            snapshot_id=parts[-1].snapshot_id,
            results=tuple(result for part in parts for result in part.results),
            frame=pl.concat([part.frame for part in parts]),
            notes=notes,
        )
        return Stored(written, pl.concat([one.log for one in stored]))
