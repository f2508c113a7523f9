"""What can be done inside one commit.

A `Transaction` exists only while the write lock is held, so what it reads is true at the commit.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb
import polars as pl

from ytap_assets.lakehouse.checks import CheckedRows
from ytap_assets.lakehouse.connection import LAKE
from ytap_assets.lakehouse.errors import CatalogBusyError
from ytap_assets.lakehouse.reader import CrossReader, Reader, comparable
from ytap_assets.lakehouse.schema import plan_changes
from ytap_assets.tables import Table

log = logging.getLogger(__name__)
_INCOMING = "incoming_rows"
_STORED = "__is_stored"


@dataclass(frozen=True)
class Run:
    """Who writes: kept with every snapshot.

    Attributes:
        run_id: The Dagster run, or the command's own id.
        actor: ``dagster``, ``cli`` or a test's name.
        what: What is being done, in a few words.
    """

    run_id: str
    actor: str
    what: str


@dataclass(frozen=True)
class Appended:
    """What an append did: the rows that were new, and those whose key was there already."""

    accepted: pl.DataFrame
    duplicates: pl.DataFrame


@dataclass(frozen=True)
class _Change:
    """A statement that changes the lake, with its values and the rows it takes."""

    statement: str
    values: tuple[object, ...] = ()
    rows: pl.DataFrame | None = None


class Transaction:
    """One commit in the making. Made by `Lake.write` only.

    Attributes:
        snapshot_id: Once committed, the snapshot that holds what was written.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, run: Run) -> None:
        self._cursor = cursor
        self._touched: list[str] = []
        self._changes: list[_Change] = []
        self._run = run
        self._before = 0
        self.snapshot_id: int | None = None

    def reader(self, workspace_id: str) -> Reader:
        """Read one workspace inside the transaction: what holds now holds at the commit."""
        return Reader(lambda: nullcontext(self._cursor), workspace_id)

    def cross_reader(self) -> CrossReader:
        """Read across workspaces inside the transaction."""
        return CrossReader(lambda: nullcontext(self._cursor))

    def publish(self, rows: CheckedRows) -> int:
        """Replace what the scope held with these rows.

        Returns:
            How many rows were replaced.
        """
        table, scope = rows.table, rows.scope
        if table.mode != "derived":
            raise ValueError(f"{table.name} is append-only: append to it")
        log.debug("delete %s %s", table.name, scope)
        removed = self._delete(table, scope.workspace_id, scope.first_day, scope.last_day)
        self._insert(table, rows.frame)
        self._touched.append(f"{table.name} {scope}")
        return removed

    def append(self, rows: CheckedRows) -> Appended:
        """Add the rows whose key is not there yet; number them where the table is sequenced."""
        table, scope = rows.table, rows.scope
        if table.mode != "append":
            raise ValueError(f"{table.name} is derived: publish it")
        key = list(table.key)
        stored = self._stored_keys(rows).with_columns(pl.lit(value=True).alias(_STORED))
        marked = rows.frame.join(stored, on=key, how="left", maintain_order="left")
        is_new = pl.col(_STORED).is_null() & pl.struct(key).is_first_distinct()
        accepted = marked.filter(is_new).drop(_STORED)
        duplicates = marked.filter(~is_new).drop(_STORED)
        if table.sequenced:
            first = self._last_seq(table) + 1
            seq = pl.int_range(first, first + accepted.height, dtype=pl.Int64).alias("seq")
            accepted = accepted.with_columns(seq)
        self._insert(table, accepted)
        self._touched.append(f"{table.name} {scope}")
        return Appended(accepted, duplicates)

    def delete_before(self, table: Table, workspace_id: str, day: date) -> int:
        """Delete a workspace's rows older than a day: retention, nothing else.

        Returns:
            How many rows were deleted.
        """
        log.debug("delete %s before %s", table.name, day)
        self._touched.append(f"{table.name} {workspace_id} before {day}")
        return self._changed(
            f"DELETE FROM {LAKE}.{table.name} WHERE workspace_id = ? AND day < ?",
            [workspace_id, day],
        )

    def evolve(self, tables: Iterable[Table]) -> list[str]:
        """Bring the stored tables up to their declarations; see `schema.plan_changes`."""
        statements = plan_changes(self._cursor, tables)
        for statement in statements:
            self._change(_Change(statement))
        return statements

    def compact(self, function: str, **options: float) -> None:
        """Let DuckLake rewrite files without changing a row; `maintenance` calls it.

        Args:
            function: One of DuckLake's table functions over a whole lake.
            options: Its named arguments.
        """
        log.debug("compact %s", function)
        self._touched.append(function)
        named = "".join(f", {name} => {value}" for name, value in options.items())
        self._change(_Change(f"CALL {function}('{LAKE}'{named})"))

    def begin(self) -> None:
        """Open the transaction; `Lake.write` calls it."""
        log.debug("begin")
        self._cursor.execute("BEGIN")

    def commit(self) -> None:
        """Commit with a message that names the run; `Lake.write` calls it."""
        extra = json.dumps({"run_id": self._run.run_id, "wrote": self._touched})
        self._cursor.execute(
            f"CALL {LAKE}.set_commit_message(?, ?, extra_info => ?)",
            [self._run.actor, self._run.what, extra],
        )
        self._before = self._ask("ducklake_current_snapshot")
        log.debug("commit")
        self._cursor.execute("COMMIT")
        log.debug("done")

    def repeat(self) -> None:
        """Begin again and make the same changes; `Lake.write` calls it where a commit was refused.

        Raises:
            CatalogBusyError: Somebody else committed meanwhile, so that what was read may no longer
                hold.
        """
        self.begin()
        if self._ask("ducklake_current_snapshot") != self._before:
            raise CatalogBusyError(
                "another program than ours wrote to the lake at the same time; nothing of this was"
                " written: run it again"
            )
        changes, self._changes = self._changes, []
        for change in changes:
            self._change(change)

    def note_snapshot(self) -> None:
        """Ask which snapshot holds what was written; `Lake.write` calls it, still under the lock.

        A commit that changed nothing makes no snapshot: then it is the one that was there. Where
        the question cannot be answered (the commit took the last of the disk), what is committed
        stays committed and the number stays unknown.
        """
        with suppress(duckdb.Error):
            self.snapshot_id = max(self._before, self._ask("ducklake_last_committed_snapshot"))

    def roll_back(self) -> None:
        """Undo; `Lake.write` calls it when something was raised inside."""
        with suppress(duckdb.TransactionException):  # a commit that failed has undone it already
            self._cursor.execute("ROLLBACK")

    def _ask(self, function: str) -> int:
        row = self._cursor.execute(f"SELECT id FROM {function}('{LAKE}')").fetchone()
        return int(row[0] or 0) if row else 0

    def _delete(
        self, table: Table, workspace_id: str, first: date | None, last: date | None
    ) -> int:
        statement = f"DELETE FROM {LAKE}.{table.name} WHERE workspace_id = ?"
        values: list[object] = [workspace_id]
        if table.by_day and first is not None:
            statement += " AND day BETWEEN ? AND ?"
            values += [first, last]
        return self._changed(statement, values)

    def _insert(self, table: Table, frame: pl.DataFrame) -> None:
        if frame.is_empty():
            return
        log.debug("insert %s", table.name)
        # DuckLake sorts by itself: the table is declared SORTED BY.
        insert = f"INSERT INTO {LAKE}.{table.name} BY NAME SELECT * FROM {_INCOMING}"
        self._change(_Change(insert, rows=frame))

    def _stored_keys(self, rows: CheckedRows) -> pl.DataFrame:
        """The keys that are stored already, among them all that the rows share.

        Bounds on every column of the key let the lake skip files. The day alone would not do: the
        same key may be stored under another day.
        """
        table, key = rows.table, list(rows.table.key)
        if rows.frame.is_empty():
            return rows.frame.select(key)
        lowest = rows.frame.select(pl.col(key).min()).row(0)
        highest = rows.frame.select(pl.col(key).max()).row(0)
        bounds = dict(zip(key, zip(lowest, highest, strict=True), strict=True))
        conditions = [f"{comparable(name, pair)} BETWEEN ? AND ?" for name, pair in bounds.items()]
        selected = ", ".join(f'"{name}"' for name in key)
        stored = self._cursor.execute(
            f"SELECT {selected} FROM {LAKE}.{table.name} WHERE {' AND '.join(conditions)}",
            [value for pair in bounds.values() for value in pair],
        ).pl()
        return stored.cast(pl.Schema({name: table.schema[name] for name in key}))

    def _last_seq(self, table: Table) -> int:
        row = self._cursor.execute(
            f"SELECT coalesce(max(seq), 0) FROM {LAKE}.{table.name}"
        ).fetchone()
        return int(row[0]) if row else 0

    def _changed(self, statement: str, values: list[object]) -> int:
        row = self._change(_Change(statement, tuple(values)))
        return int(row[0]) if row else 0

    def _change(self, change: _Change) -> tuple[Any, ...] | None:
        """Make a change, and remember it; the first row of its result, which is the count."""
        self._changes.append(change)
        if change.rows is not None:
            # The cursor lets go of the frame when it is closed, right after the transaction.
            self._cursor.register(_INCOMING, change.rows)
        found = self._cursor.execute(change.statement, list(change.values)).fetchall()
        return found[0] if found else None
