"""The `Lake`: one attached lakehouse per process. Open it, read from it, write to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self
from uuid import uuid4

import duckdb
import polars as pl

from ytap_assets.lakehouse.catalog import (
    LAKE,
    LAKE_ID,
    MARK_KEY,
    READ_MARK,
    WAY_BACK,
    check_place,
    quote,
)
from ytap_assets.lakehouse.checks import CheckedRows
from ytap_assets.lakehouse.commit_files import CommitFiles
from ytap_assets.lakehouse.connection import (
    attach,
    commit_times,
    find_catalog,
    find_files,
    find_obstacle,
    is_made_by_itself,
    make_catalog,
    require_catalog,
)
from ytap_assets.lakehouse.errors import (
    CatalogBusyError,
    CatalogUnreachableError,
    DiskFullError,
    LakeError,
    LakeReadOnlyError,
    is_locked,
    translate_errors,
)
from ytap_assets.lakehouse.reader import BatchReader, CrossReader, Reader
from ytap_assets.lakehouse.schema import SchemaChange, plan_changes
from ytap_assets.lakehouse.sqlite_catalog import BUSY_POLL_S, BUSY_TIMEOUT_S
from ytap_assets.lakehouse.transaction import Appended, Run, Transaction
from ytap_assets.settings import Settings
from ytap_assets.tables import TABLES, Table

log = logging.getLogger(__name__)
_MOST_COMMITS = 5


class Lake:
    """A lakehouse, attached for reading and writing. Its tables are as `tables` declares them.

    Attributes:
        refusal: Why it is attached for reading only; None if it can be written to.
    """

    def __init__(
        self,
        settings: Settings,
        connection: duckdb.DuckDBPyConnection,
        *,
        refusal: LakeError | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.settings = settings
        self.refusal = refusal
        self._sleep = sleep
        self.catalog = find_catalog(settings)
        self.lock = self.catalog.lock()
        self._connection = connection
        # What a pipeline reads and writes at a time is small: handing pieces of it from thread to
        # thread cost a publish half as much CPU again, and runs stand side by side in any case.
        connection.execute("SET GLOBAL threads = 1")
        self._lake_id = self._find_identity()
        self._files = find_files(settings)
        self._commit_files = (
            CommitFiles(self.catalog, self._files, sleep) if self.catalog.may_lose_answers else None
        )

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        tables: dict[str, Table] | None = None,
        may_only_read: bool = False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Self:
        """Attach the lake and upgrade its tables.

        If there is none, it is created, but only at the default path of a data folder that contains
        no catalog, no data files and no copies of a lake.

        Args:
            settings: Its paths.
            tables: The declarations; those of the platform if None.
            may_only_read: Whether a lake on a read-only folder or a full disk is sufficient: it is
                then attached without an upgrade, and rejects writes.
            sleep: Waits the given number of seconds, while another program locks the catalog.

        Raises:
            LakeMissingError: There is none, and it has to be created with `Lake.create`.
            LakeDamagedError: The catalog cannot be read.
            SchemaConflictError: The stored tables cannot be upgraded to the declarations.
            DiskFullError: There is no space left.
            LakeReadOnlyError: Its folder cannot be written to.
            CatalogBusyError: Another program keeps the catalog locked.
            CatalogUnreachableError: The catalog's server cannot be reached.
        """
        is_new = not find_catalog(settings).exists()
        if is_new and not is_made_by_itself(settings):
            require_catalog(settings)
        if is_new:
            _make(settings)
        refusal: LakeError | None = None
        try:
            connection = attach(settings, read_only=False, sleep=sleep)
        except (LakeReadOnlyError, DiskFullError) as error:
            if not may_only_read:
                raise
            connection, refusal = attach(settings, read_only=True, sleep=sleep), error
        lake = cls(settings, connection, refusal=refusal, sleep=sleep)
        if lake._commit_files is not None and lake._commit_files.has_any():
            with lake.lock.hold():
                lake.recover_commits()
        if refusal is None and not (may_only_read or lake._has_one_mark()):
            # What cannot be marked now can be read, and is compared again before it is written to.
            with suppress(CatalogBusyError), lake.lock.hold():
                lake._check_place()
        lake.evolve(TABLES if tables is None else tables)
        return lake

    @classmethod
    def create(cls, settings: Settings, *, tables: dict[str, Table] | None = None) -> Self:
        """Create an empty lake at the configured paths.

        Raises:
            LakeError: A catalog, parts of one, or Parquet files exist there.
            DiskFullError: There is no space left.
            LakeReadOnlyError: The folder cannot be written to.
        """
        if obstacle := find_obstacle(settings):
            use = (
                "an existing lake needs no `ytap lake create`; "
                if find_catalog(settings).exists()
                else ""
            )
            raise LakeError(f"{obstacle}; no lake was created; {use}{WAY_BACK}")
        _make(settings)
        return cls.open(settings, tables=tables)

    def close(self) -> None:
        """Close the catalog."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A separate connection to the attached lake, for one read or one transaction.

        Raises:
            DiskFullError: There is no space left; a read needs some, too.
            CatalogBusyError: Another program keeps the catalog locked.
        """
        with translate_errors(self.settings), closing(self._connection.cursor()) as cursor:
            yield cursor

    @contextmanager
    def all_cores(self) -> Iterator[None]:
        """Let DuckDB use every core meanwhile: for work on whole tables."""
        self._connection.execute("RESET GLOBAL threads")
        try:
            yield
        finally:
            self._connection.execute("SET GLOBAL threads = 1")

    def reader(self, workspace_id: str, *, as_of: int | None = None) -> Reader:
        """Read one workspace, now or as of a snapshot."""
        return Reader(self.cursor, workspace_id, as_of=as_of)

    def batch_reader(
        self, workspace_ids: Sequence[str], *, as_of: int | None = None
    ) -> BatchReader:
        """Read several named workspaces in one statement, now or as of a snapshot."""
        return BatchReader(self.cursor, workspace_ids, as_of=as_of)

    def cross_reader(self) -> CrossReader:
        """Read across all workspaces; a separate call, so that it is explicit."""
        return CrossReader(self.cursor)

    @contextmanager
    def write(self, run: Run) -> Iterator[Transaction]:
        """One transaction under the write lock; committed at the end, undone by any exception.

        Raises:
            LockTimeoutError: Other processes wrote for too long.
            DiskFullError: There is no space left; nothing was written.
            LakeReadOnlyError: The lake's folder cannot be written to.
            CatalogBusyError: Another program kept the catalog locked for too long, or wrote to it
                at the same time; nothing was written.
        """
        if self.refusal is not None:
            raise self.refusal
        with (
            translate_errors(self.settings),
            self.lock.hold(),
            self._watch(),
            self.cursor() as cursor,
        ):
            # Each time: another catalog may have taken the place since this one was opened.
            if not self._has_one_mark():
                self.wait_for_catalog()
                self._check_place()
            self.recover_commits()
            transaction = Transaction(cursor, run, self.catalog)
            transaction.begin()
            try:
                self._check_identity()
                yield transaction
                run.check()
                if self._commit_files is None:
                    self._commit(transaction)
                else:
                    self._commit_kept(transaction, self._commit_files)
            except BaseException:
                transaction.roll_back()
                raise
            transaction.note_snapshot()

    def _watch(self) -> AbstractContextManager[None]:
        kept = self._commit_files
        return nullcontext() if kept is None else kept.watch(self._connection)

    def _check_place(self) -> None:
        """See that the place has this catalog's files, as `check_place` says; mark both if needed.

        The caller holds the write lock.

        Raises:
            LakeError: It has not.
            CatalogBusyError: Another program has the catalog locked, so that it cannot be marked.
        """
        facts = self.catalog.read_facts()
        # A new catalog's or an old one's, so that an error can name it.
        facts = replace(facts, mark=facts.mark or self._mark_catalog())
        if not check_place(facts, self.catalog, self._files):
            # A new one: the place where the files were before has the old one.
            self._files.write_mark(self._mark_catalog())

    def _has_one_mark(self) -> bool:
        with self.cursor() as cursor:
            ours = next((mark for (mark,) in self.catalog.query(cursor, READ_MARK)), None)
        return ours is not None and ours == self._files.read_mark()

    def _mark_catalog(self) -> str:
        mark, metadata = uuid4().hex, f"{self.catalog.tables}.ducklake_metadata"
        with translate_errors(self.settings), self.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"DELETE FROM {metadata} WHERE key = ?", [MARK_KEY])
            cursor.execute(f"INSERT INTO {metadata} (key, value) VALUES (?, ?)", [MARK_KEY, mark])
            cursor.execute("COMMIT")
        return mark

    def recover_commits(self, now: datetime | None = None) -> None:
        """Put back files of commits whose answer was lost, as `CommitFiles.recover` says."""
        if self._commit_files is not None and (count := self._commit_files.recover(now)):
            log.warning("%s: put back %d files of a commit", self.catalog, count)

    def _find_identity(self) -> str:
        # On a cursor of its own: a read that lasted until the commit would keep SQLite from ending
        # its journal.
        with closing(self._connection.cursor()) as cursor:
            return str(self.catalog.query(cursor, LAKE_ID)[0][0])

    def _check_identity(self) -> None:
        """See that the lake is still the one that was attached.

        After a restore of another one in its place, DuckLake writes by the old one's numbers of
        tables, where nobody finds the rows.

        Raises:
            LakeError: It is another one.
        """
        if self._find_identity() != self._lake_id:
            raise LakeError(
                f"{self.catalog}: another lake was restored in its place while this process had it"
                " open; nothing was written; start the process again"
            )

    def wait_for_catalog(self) -> None:
        """Wait until no other program holds the catalog's own lock, as SQLite does not by itself.

        A transaction that has read and then writes fails at once if the catalog is locked.

        Raises:
            CatalogBusyError: It was held for too long.
        """
        waited = 0.0
        while True:
            try:
                with self.cursor() as cursor:
                    self.catalog.touch(cursor)
            except CatalogBusyError:
                if waited >= BUSY_TIMEOUT_S:
                    raise
                self._sleep(BUSY_POLL_S)
                waited += BUSY_POLL_S
            else:
                return

    def _commit(self, transaction: Transaction) -> None:
        """Commit; where another program held the catalog, wait for it and write the same again."""
        for _ in range(_MOST_COMMITS - 1):
            try:
                transaction.commit()
            except duckdb.Error as error:
                if not is_locked(error):
                    raise
            else:
                return
            transaction.roll_back()
            self.wait_for_catalog()
            transaction.repeat()
        transaction.commit()

    def _commit_kept(self, transaction: Transaction, files: CommitFiles) -> None:
        """Commit to a server, whose answer may be lost; see `commit_files`.

        Raises:
            CatalogUnreachableError: It is not known whether the server made the commit.
        """
        files.keep(self._connection, transaction.commit_id)
        try:
            transaction.commit()
        except BaseException as error:
            try:
                transaction.snapshot_id = files.settle(transaction.commit_id)
            except (LakeError, OSError):
                raise self._describe_doubt(error) from error
            if transaction.snapshot_id is None or not isinstance(error, duckdb.Error):
                raise
            log.warning(
                "%s: the answer to a commit was lost; it was made, as snapshot %d",
                self.catalog,
                transaction.snapshot_id,
            )
        else:
            files.forget(transaction.commit_id)

    def _describe_doubt(self, error: BaseException) -> CatalogUnreachableError:
        message = " ".join(str(error).split())
        return CatalogUnreachableError(
            f"{self.catalog}: the connection ended during the commit, and the server or the place"
            " of the files does not answer, so it is not known whether the commit was made:"
            f" {message[-200:]}; its files"
            " are kept, and the next write to the lake puts them back if it was; run the command"
            " again when the server answers"
        )

    def preview_append(self, rows: CheckedRows) -> Appended:
        """Preview an append; nothing is written, and no lock is acquired."""
        with self.cursor() as cursor:
            run = Run("preview", "lakehouse", "preview an append")
            return Transaction(cursor, run, self.catalog).split(rows.table, rows.frame)

    def last_seq(self, table: Table) -> int:
        """An upper bound of the numbers in a sequenced table: higher after every append.

        It is stored in the catalog, so no file is read.
        """
        with self.cursor() as cursor:
            return Transaction(cursor, Run("", "lakehouse", "look"), self.catalog).last_seq(table)

    def snapshot_id(self) -> int:
        """The newest snapshot."""
        with self.cursor() as cursor:
            row = cursor.execute(f"SELECT id FROM ducklake_current_snapshot('{LAKE}')").fetchone()
        return int(row[0]) if row else 0

    def write_parquet(self, table: str, workspace_id: str, snapshot: int, file: Path) -> int:
        """Write a workspace's rows of a stored table, as of a snapshot, to a new Parquet file.

        Returns:
            How many rows were written.
        """
        with self.cursor() as cursor:
            row = cursor.execute(
                f'COPY (FROM {LAKE}."{table}" AT (VERSION => {int(snapshot)})'
                f" WHERE workspace_id = {quote(workspace_id)})"
                f" TO {quote(str(file))} (FORMAT parquet, COMPRESSION zstd)"
            ).fetchone()
        return int(row[0]) if row else 0

    def snapshots(self) -> pl.DataFrame:
        """Every readable snapshot: snapshot_id, snapshot_time, author, commit_message, run_id."""
        with self.cursor() as cursor:
            return cursor.execute(
                "SELECT snapshot_id, snapshot_time, author, commit_message,"
                " commit_extra_info->>'run_id' AS run_id, commit_extra_info"
                f" FROM ducklake_snapshots('{LAKE}') ORDER BY snapshot_id"
            ).pl()

    def commit_times(self) -> list[datetime]:
        """When each readable snapshot was committed, in their order."""
        with self.cursor() as cursor:
            return commit_times(cursor)

    def evolve(self, tables: dict[str, Table]) -> list[SchemaChange]:
        """Create missing tables, add missing columns and rename those with another name.

        Returns:
            The steps that were needed; empty if none was.

        Raises:
            SchemaConflictError: See `schema.plan_changes`.
        """
        with self.cursor() as cursor:
            # In one transaction: each statement outside one looks for the newest snapshot itself.
            cursor.execute("BEGIN")
            if not plan_changes(cursor, self.catalog, tables.values()):
                return []
        with self.write(Run("schema", "lakehouse", "bring the tables up to date")) as transaction:
            return transaction.evolve(tables.values())


def _make(settings: Settings) -> None:
    catalog = find_catalog(settings)
    with translate_errors(settings), catalog.lock().hold():
        # Another process may have made it meanwhile, and written to it.
        if not catalog.exists() and find_obstacle(settings) is None:
            make_catalog(settings)
