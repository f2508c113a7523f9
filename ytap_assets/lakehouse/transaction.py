"""What can be done inside one commit.

A `Transaction` exists only while the write lock is held, so what it reads is true at the commit.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import duckdb
import polars as pl

from ytap_assets.lakehouse.catalog import LAKE, Catalog, quote
from ytap_assets.lakehouse.checks import CheckedRows, Scope
from ytap_assets.lakehouse.errors import CatalogBusyError
from ytap_assets.lakehouse.reader import BatchReader, CrossReader, Reader, comparable, select_rows
from ytap_assets.lakehouse.schema import SchemaChange, plan_changes
from ytap_assets.tables import Table
from ytap_assets.tables.base import PART

log = logging.getLogger(__name__)
_INCOMING = "incoming_rows"
_STORED = "__is_stored"
_WANTED = "__wanted_"
_ROW = "__row"
_FIRST = "__first"
_UNKNOWN = "__unknown"
_BEFORE_ALL = -1
_BROUGHT_BY = "collection_id"
_NEWEST_SEQ = """
SELECT known.max_value
FROM ducklake_table_column_stats known
JOIN ducklake_column c USING (table_id, column_id)
JOIN ducklake_table t USING (table_id)
JOIN ducklake_schema s USING (schema_id)
WHERE s.schema_name = 'main' AND t.table_name = {table} AND c.column_name = 'seq'
  AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL AND c.end_snapshot IS NULL
"""

_MARKED_FILES = """
SELECT t.table_name, count(*) FROM ducklake_delete_file d JOIN ducklake_table t USING (table_id)
WHERE d.end_snapshot IS NULL AND t.end_snapshot IS NULL GROUP BY t.table_name
"""


@dataclass(frozen=True)
class Run:
    """The author of a write, recorded with every snapshot.

    Attributes:
        run_id: The Dagster run, or the command's own id.
        actor: ``dagster``, ``cli`` or a test's name.
        what: A short description of the operation.
        check: Called before a commit; raises if the run may not write any more.
    """

    run_id: str
    actor: str
    what: str
    check: Callable[[], None] = field(default=lambda: None, compare=False, repr=False)


@dataclass(frozen=True)
class Appended:
    """What an append did: the rows that were new, and those that were stored already."""

    accepted: pl.DataFrame
    duplicates: pl.DataFrame


@dataclass(frozen=True)
class _Change:
    """A statement that changes the lake, with its parameters and its input rows."""

    statement: str
    values: tuple[object, ...] = ()
    rows: pl.DataFrame | None = None


class Transaction:
    """One commit in the making. Made by `Lake.write` only.

    Attributes:
        snapshot_id: After the commit, its snapshot.
        commit_id: Identifies the commit in its snapshot's extra information.
    """

    def __init__(self, cursor: duckdb.DuckDBPyConnection, run: Run, catalog: Catalog) -> None:
        self._cursor = cursor
        self._catalog = catalog
        self._touched: list[str] = []
        self._undo: list[str] = []
        self._changes: list[_Change] = []
        self._last_seqs: dict[str, int] = {}
        self._run = run
        self._before = 0
        self.snapshot_id: int | None = None
        self.commit_id = uuid4().hex

    def reader(self, workspace_id: str) -> Reader:
        """Read one workspace inside the transaction; the rows are unchanged at the commit."""
        return Reader(lambda: nullcontext(self._cursor), workspace_id)

    def batch_reader(self, workspace_ids: Sequence[str]) -> BatchReader:
        """Read several workspaces inside the transaction."""
        return BatchReader(lambda: nullcontext(self._cursor), workspace_ids)

    def cross_reader(self) -> CrossReader:
        """Read across workspaces inside the transaction."""
        return CrossReader(lambda: nullcontext(self._cursor))

    def publish_all(self, parts: Sequence[CheckedRows]) -> int:
        """Replace what each of several scopes of one table held, in two statements.

        A statement costs as much for 50 scopes as for one, so the cost of a scope is that of its
        rows and of the files they are written to.

        Returns:
            How many rows were replaced, in all scopes.
        """
        if not parts:
            return 0
        table = _single_table(parts)
        if table.mode != "derived":
            raise ValueError(f"{table.name} is append-only; use append")
        scopes = [part.scope for part in parts]
        log.debug("delete %s %s", table.name, ", ".join(map(str, scopes)))
        removed = self._delete(table, scopes)
        self._insert(table, pl.concat([part.frame for part in parts]))
        self._touched += [f"{table.name} {scope}" for scope in scopes]
        return removed

    def replace_all(self, parts: Sequence[CheckedRows], keys: pl.DataFrame) -> None:
        """Replace single rows of one derived table of whole histories, in two statements.

        What a scope holds besides stays: the cost is that of the rows that change.

        Args:
            parts: The new rows, each of another workspace.
            keys: The keys of the rows that go, which include those of the new rows: the columns of
                the table's key.

        Raises:
            ValueError: The table is append-only or by day, or a new row has another key.
        """
        if not parts:
            return
        table = _single_table(parts)
        if table.mode != "derived" or table.by_day:
            raise ValueError(
                f"{table.name}: only tables that are not partitioned by day are replaced row by row"
            )
        rows, key = pl.concat([part.frame for part in parts]), list(table.key)
        if not rows.join(keys, on=key, how="anti").is_empty():
            raise ValueError(
                f"{table.name}: a new row has a key that is not among the replaced keys"
            )
        if not keys.is_empty():
            log.debug("delete %s by key", table.name)
            conditions, values = _is_between(keys, key)
            names = ", ".join(f'"{name}"' for name in key)
            self._change(
                _Change(
                    f"DELETE FROM {LAKE}.{table.name} WHERE {conditions}"
                    f" AND ({names}) IN (SELECT ({names}) FROM {_INCOMING})",
                    tuple(values),
                    keys.select(key),
                )
            )
        self._insert(table, rows)
        self._touched += [f"{table.name} {part.scope}" for part in parts]

    def append(self, rows: CheckedRows) -> Appended:
        """Add the rows that are not stored yet; number them where the table is sequenced.

        A row is stored already where its key is. In a table in parts, it is where a row of the
        same identity says all that it says (`split_parts`).
        """
        return self.append_all([rows])[0]

    def append_all(self, parts: Sequence[CheckedRows]) -> list[Appended]:
        """`append` for several workspaces' rows of one table, in one statement.

        Args:
            parts: The rows, each of another workspace.

        Returns:
            What became of each part, in their order.
        """
        if not parts:
            return []
        table = _single_table(parts)
        owners = [part.scope.workspace_id for part in parts]
        if len(set(owners)) < len(owners):
            raise ValueError(f"{table.name}: more than one part for one workspace")
        frame = pl.concat([part.frame for part in parts])
        split = self.split(table, frame)
        accepted = self._number(table, split.accepted)
        self._insert(table, accepted)
        self._touched += [f"{table.name} {part.scope}" for part in parts]
        if len(parts) == 1:
            return [Appended(accepted, split.duplicates)]
        new, known = (
            rows.partition_by("workspace_id", as_dict=True) for rows in (accepted, split.duplicates)
        )
        return [
            Appended(new.get((owner,), accepted.clear()), known.get((owner,), accepted.clear()))
            for owner in owners
        ]

    def split(self, table: Table, frame: pl.DataFrame) -> Appended:
        """Preview `append` for checked rows, without their numbers; nothing is written."""
        if table.mode != "append":
            raise ValueError(f"{table.name} is derived; use publish")
        if table.in_parts:
            return self._split_by_parts(table, frame)
        return self._split_by_key(table, frame)

    def delete_before(self, table: Table, workspace_ids: Sequence[str], day: date) -> int:
        """Delete the rows of some workspaces older than a day: retention, nothing else.

        Returns:
            How many rows were deleted.
        """
        log.debug("delete %s before %s", table.name, day)
        self._touched += [f"{table.name} {name} before {day}" for name in workspace_ids]
        names = ", ".join("?" for _ in workspace_ids)
        return self._changed(
            f"DELETE FROM {LAKE}.{table.name} WHERE workspace_id IN ({names}) AND day < ?",
            [*workspace_ids, day],
        )

    def erase(
        self, erasure_id: str, table: str, workspace_id: str, wanted: Mapping[str, Sequence[str]]
    ) -> int:
        """Delete rows of a workspace; `erasure` then removes what the deletion leaves of them.

        The commit's information has the id of the erasure, and nothing that was in the rows.

        Args:
            erasure_id: Identifies the erasure.
            table: The name of a stored table.
            workspace_id: The workspace.
            wanted: Column -> values of the rows that are deleted; all rows of the workspace if
                empty.

        Returns:
            How many rows were deleted.
        """
        log.debug("erase %s", table)
        if (note := f"erasure {erasure_id}") not in self._touched:
            self._touched.append(note)
        conditions, values = select_rows({"workspace_id": [workspace_id], **wanted})
        return self._changed(f'DELETE FROM {LAKE}."{table}" WHERE {conditions}', values)

    def rename_workspace(self, table: str, old: str, new: str) -> int:
        """Give the rows of a workspace in a stored table to another name, in which it has none.

        Returns:
            How many rows were changed.

        Raises:
            ValueError: The table has rows of the new name.
        """
        log.debug("rename in %s", table)
        self._touched.append(f"{table} {old} -> {new}")
        if not self.is_absent([table], new):
            raise ValueError(f"{table} has rows of {new}")
        return self._changed(
            f'UPDATE {LAKE}."{table}" SET workspace_id = ? WHERE workspace_id = ?', [new, old]
        )

    def is_absent(self, tables: Iterable[str], workspace_id: str) -> bool:
        """Whether stored tables have no row of a workspace."""
        return not any(
            self._cursor.execute(
                f'SELECT 1 FROM {LAKE}."{table}" WHERE workspace_id = ? LIMIT 1', [workspace_id]
            ).fetchone()
            for table in tables
        )

    def take_in(self, rows: CheckedRows) -> None:
        """Insert rows of an export as they were stored, none of them for a duplicate.

        The rows of a sequenced table get the next numbers, in their order.

        Raises:
            ValueError: The table has rows of their workspace.
        """
        if not self.is_absent([rows.table.name], rows.scope.workspace_id):
            raise ValueError(f"{rows.table.name} has rows of {rows.scope.workspace_id}")
        self._insert(rows.table, self._number(rows.table, rows.frame))
        self._touched.append(f"{rows.table.name} {rows.scope}")

    def evolve(self, tables: Iterable[Table]) -> list[SchemaChange]:
        """Upgrade the stored tables to their declarations; see `schema.plan_changes`.

        The snapshot keeps the statements that undo it, in the order in which they are to be run.
        """
        changes = plan_changes(self._cursor, self._catalog, tables)
        for change in changes:
            for statement in change.statements:
                self._change(_Change(statement))
        self._undo = [change.undo for change in reversed(changes)]
        return changes

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

    def rewrite_marked_files(self, table: str) -> None:
        """Write the data files of a stored table that have deleted rows again, without these."""
        log.debug("compact %s", table)
        self._touched.append(f"rewrite {table}")
        self._change(
            _Change(
                f"CALL ducklake_rewrite_data_files('{LAKE}', {quote(table)}, delete_threshold => 0)"
            )
        )

    def count_marked_files(self) -> dict[str, int]:
        """How many data files have rows that are marked as deleted, by table."""
        # On a cursor of its own, as in `last_seq`.
        with closing(self._cursor.cursor()) as cursor:
            return {
                str(table): int(str(count))
                for table, count in self._catalog.query(cursor, _MARKED_FILES)
            }

    def newest_snapshot(self) -> int:
        """The newest snapshot before this commit."""
        return self._ask("ducklake_current_snapshot")

    def begin(self) -> None:
        """Open the transaction; `Lake.write` calls it."""
        log.debug("begin")
        self._cursor.execute("BEGIN")

    def commit(self) -> None:
        """Commit with a message that names the run; `Lake.write` calls it."""
        facts = {
            "run_id": self._run.run_id,
            "commit_id": self.commit_id,
            "wrote": self._touched,
        }
        extra = json.dumps(facts | ({"undo": self._undo} if self._undo else {}))
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
            CatalogBusyError: Another process committed meanwhile, so that the rows read may have
                changed.
        """
        self.begin()
        if self._ask("ducklake_current_snapshot") != self._before:
            raise CatalogBusyError(
                "another program wrote to the lake at the same time; nothing was written; run the"
                " command again"
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
        if self.snapshot_id is not None:
            return
        with suppress(duckdb.Error):
            self.snapshot_id = max(self._before, self._ask("ducklake_last_committed_snapshot"))

    def roll_back(self) -> None:
        """Roll back; `Lake.write` calls it after an exception inside."""
        # A commit that failed has undone it already, and so has a server that ended the connection.
        with suppress(duckdb.Error):
            self._cursor.execute("ROLLBACK")

    def _ask(self, function: str) -> int:
        row = self._cursor.execute(f"SELECT id FROM {function}('{LAKE}')").fetchone()
        return int(row[0] or 0) if row else 0

    def _delete(self, table: Table, scopes: Iterable[Scope]) -> int:
        owners: dict[tuple[date | None, date | None], list[str]] = {}
        for scope in scopes:
            days = (scope.first_day, scope.last_day) if table.by_day else (None, None)
            owners.setdefault(days, []).append(scope.workspace_id)
        conditions: list[str] = []
        values: list[object] = []
        for (first, last), names in owners.items():
            condition = f"workspace_id IN ({', '.join('?' for _ in names)})"
            values += names
            if first is not None:
                condition += " AND day BETWEEN ? AND ?"
                values += [first, last]
            conditions.append(f"({condition})")
        where = " OR ".join(conditions)
        return self._changed(f"DELETE FROM {LAKE}.{table.name} WHERE {where}", values)

    def _number(self, table: Table, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with the next numbers, where the table is sequenced."""
        if not table.sequenced:
            return frame
        first = self.last_seq(table) + 1
        self._last_seqs[table.name] = first + frame.height - 1
        return frame.with_columns(
            pl.int_range(first, first + frame.height, dtype=pl.Int64).alias("seq")
        )

    def _insert(self, table: Table, frame: pl.DataFrame) -> None:
        if frame.is_empty():
            return
        log.debug("insert %s", table.name)
        # DuckLake sorts by itself: the table is declared SORTED BY.
        insert = f"INSERT INTO {LAKE}.{table.name} BY NAME SELECT * FROM {_INCOMING}"
        self._change(_Change(insert, rows=frame))

    def _split_by_key(self, table: Table, frame: pl.DataFrame) -> Appended:
        key = list(table.key)
        stored = self._read_stored(table, frame, key)
        marked = frame.join(
            stored.with_columns(pl.lit(value=True).alias(_STORED)),
            on=key,
            how="left",
            maintain_order="left",
        )
        is_new = pl.col(_STORED).is_null() & pl.struct(key).is_first_distinct()
        return Appended(marked.filter(is_new).drop(_STORED), marked.filter(~is_new).drop(_STORED))

    def _split_by_parts(self, table: Table, frame: pl.DataFrame) -> Appended:
        """Whole rows are read only where there are some to compare with: mostly there are none."""
        anchor = _anchor(table)
        shared = self._read_stored(table, frame, anchor)
        columns = [*table.key, *table.said, _BROUGHT_BY]
        return split_parts(table, frame, self._read_stored(table, shared, anchor, columns))

    def _read_stored(
        self,
        table: Table,
        frame: pl.DataFrame,
        on: Sequence[str],
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """The stored rows that share their values of ``on`` with a row of the frame.

        Bounds on every one of these columns let the lake skip files. The day alone would not do:
        the same key may be stored under another day. Within the bounds there may be a whole
        history, which stays in the lake.
        """
        names = list(columns or on)
        schema = pl.Schema({name: table.schema[name] for name in names})
        if frame.is_empty():
            return pl.DataFrame(schema=schema)
        conditions, values = _is_between(frame, on)
        selected = ", ".join(f'"{name}"' for name in names)
        # A join is also a search for files: its values take the way of those of a condition.
        shared = " AND ".join(f'{comparable(name, frame[name])} = "{_WANTED}{name}"' for name in on)
        self._cursor.register(_INCOMING, frame.select(pl.col(on).name.prefix(_WANTED)))
        stored = self._cursor.execute(
            f"SELECT {selected} FROM (FROM {LAKE}.{table.name} WHERE {conditions})"
            f" SEMI JOIN {_INCOMING} ON {shared}",
            values,
        ).pl()
        return stored.cast(schema)

    def last_seq(self, table: Table) -> int:
        """An upper bound of the stored ``seq``; the maximum, unless rows were deleted.

        DuckLake stores it in the statistics of the table; `max(seq)` reads every file. The
        statistics are those of the newest snapshot, which is this transaction's, since it holds the
        write lock. They do not include the rows of this transaction.
        """
        if (last := self._last_seqs.get(table.name)) is not None:
            return last
        # On a cursor of its own: a read that lasted until the commit would keep SQLite from ending
        # its journal.
        with closing(self._cursor.cursor()) as cursor:
            found = self._catalog.query(cursor, _NEWEST_SEQ.format(table=quote(table.name)))
        if len(found) == 1 and found[0][0] is not None:
            return int(str(found[0][0]))
        # An empty table, one made just now, or files that another program added without any.
        row = self._cursor.execute(f"SELECT max(seq) FROM {LAKE}.{table.name}").fetchone()
        return int(row[0] or 0) if row else 0

    def _changed(self, statement: str, values: Sequence[object]) -> int:
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


def _is_between(frame: pl.DataFrame, on: Sequence[str]) -> tuple[str, list[object]]:
    """A condition that a row's values are between those of a frame, and its parameters."""
    lowest = frame.select(pl.col(on).min()).row(0)
    highest = frame.select(pl.col(on).max()).row(0)
    bounds = dict(zip(on, zip(lowest, highest, strict=True), strict=True))
    conditions = [f"{comparable(name, pair)} BETWEEN ? AND ?" for name, pair in bounds.items()]
    return " AND ".join(conditions), [value for pair in bounds.values() for value in pair]


def _single_table(parts: Sequence[CheckedRows]) -> Table:
    table = parts[0].table
    if any(part.table != table for part in parts):
        raise ValueError(f"{table.name}: the parts belong to different tables")
    return table


def split_parts(table: Table, incoming: pl.DataFrame, stored: pl.DataFrame) -> Appended:
    """Separate new rows from those whose values a stored row already has.

    A row says its non-null values of `Table.said`. It is a duplicate where a stored row, or an
    earlier one of the frame, has the same identity and the same value wherever this row has one.
    Everything else is accepted, numbered on from the stored parts: what completes a row, and what
    contradicts it. So nothing that differs is lost, and the same rows again change nothing. Only
    the place in a list is no difference where one collection lists the same twice.

    A column that joined the identity later has a default. A stored row that holds it is older than
    the column, and is compared with rows of any value.

    Args:
        table: A table in parts.
        incoming: Rows of the table, in the order in which they came.
        stored: The stored rows that may be of the same identity: key, `Table.said` and
            ``collection_id``.
    """
    identity, said = list(table.identity), list(table.said)
    numbered = incoming.with_row_index(_ROW).with_columns(pl.col(_ROW).cast(pl.Int64))
    known = pl.concat([stored, *_older_than_identity(table, stored, incoming)])
    pool = pl.concat(
        [
            known.select(*identity, *said, _BROUGHT_BY, pl.lit(_BEFORE_ALL, pl.Int64).alias(_ROW)),
            numbered.select(*identity, *said, _BROUGHT_BY, _ROW),
        ]
    ).filter(pl.len().over(identity) > 1)
    # Rows that know the same columns are looked for at once: a pool of n rows costs n, not n x n.
    unknown = pl.concat_str(pl.col(name).is_null().cast(pl.Int8) for name in said)
    asking = pool.filter(pl.col(_ROW) != _BEFORE_ALL).with_columns(unknown.alias(_UNKNOWN))
    repeated = [_find_repeated(table, rows, pool) for rows in asking.partition_by(_UNKNOWN)]
    is_new = ~pl.col(_ROW).is_in(pl.concat([pl.Series(dtype=pl.Int64), *repeated]).implode())
    accepted = _number_parts(numbered.filter(is_new).drop(_ROW), stored, identity)
    return Appended(accepted, numbered.filter(~is_new).drop(_ROW))


def _anchor(table: Table) -> list[str]:
    """The columns of the identity that rows of all ages have."""
    late = {column.name for column in table.columns if column.default is not None}
    return [name for name in table.identity if name not in late]


def _older_than_identity(
    table: Table, stored: pl.DataFrame, incoming: pl.DataFrame
) -> list[pl.DataFrame]:
    """Rows that are older than a column of the identity, once for each incoming value of it."""
    anchor, identity = _anchor(table), list(table.identity)
    late = [column for column in table.columns if column.name in set(identity) - set(anchor)]
    if not late:
        return []
    old = stored.filter(pl.all_horizontal(pl.col(one.name) == one.default for one in late))
    wanted = incoming.select(identity).unique()
    known = wanted.join(old.drop(one.name for one in late), on=anchor)
    return [known.select(stored.columns)]


def _find_repeated(table: Table, rows: pl.DataFrame, pool: pl.DataFrame) -> pl.Series:
    """The numbers of the rows of which an earlier one of the pool says all.

    Args:
        table: A table in parts.
        rows: Rows that know the same columns.
        pool: All rows to look among, these included.
    """
    known = [name for name in table.said if rows.get_column(name).null_count() == 0]
    repeated = _find_earlier(rows, pool, [*table.identity, *known])
    if table.place not in known:
        return repeated
    placed = pool.filter(pl.col(table.place).is_not_null())
    rest = [name for name in known if name != table.place]
    return repeated.append(_find_earlier(rows, placed, [*table.identity, *rest, _BROUGHT_BY]))


def _find_earlier(rows: pl.DataFrame, pool: pl.DataFrame, names: list[str]) -> pl.Series:
    """The numbers of the rows that an earlier one of the pool agrees with in these columns."""
    first = pool.group_by(names).agg(pl.col(_ROW).min().alias(_FIRST))
    found = rows.join(first, on=names).filter(pl.col(_FIRST) < pl.col(_ROW))
    return found.get_column(_ROW)


def _number_parts(
    accepted: pl.DataFrame, stored: pl.DataFrame, identity: list[str]
) -> pl.DataFrame:
    """The rows with the next free ``part`` of their identity, in their order."""
    following = stored.group_by(identity).agg((pl.col(PART).max() + 1).alias(_FIRST))
    place = pl.int_range(pl.len(), dtype=pl.Int64).over(identity)
    return (
        accepted.join(following, on=identity, how="left", maintain_order="left")
        .with_columns((pl.col(_FIRST).fill_null(0) + place).alias(PART))
        .drop(_FIRST)
    )
