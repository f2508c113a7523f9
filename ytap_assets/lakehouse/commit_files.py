"""The files of a commit, kept until it is known whether the server of the catalog made the commit.

If the connection ends before the server's answer arrives, DuckLake takes the commit for failed and
deletes the files that it wrote. If the server has made it, the catalog refers to files that are
gone. So each file has a second name during the commit, under which it stays: a link in a folder,
a copy in S3. A catalog that is a file gives its answer always, and needs none of this.

Belongs here: finding, keeping and putting back these files. Does not belong here: looking for the
commit (`Catalog.find_commit`), or committing (`lake`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import duckdb

from ytap_assets.lakehouse.catalog import Catalog
from ytap_assets.lakehouse.errors import CatalogUnreachableError, FilesUnreachableError
from ytap_assets.lakehouse.files import COMMITS, Files

_ATTEMPTS, _PAUSE_S = 30, 2.0
_ABANDONED = timedelta(hours=1)
_WRITTEN = """
SELECT DISTINCT path FROM duckdb_logs_parsed('FileSystem')
WHERE op = 'WRITE' AND path LIKE '%.parquet'
"""


class CommitFiles:
    """Keeps the files of the commits of one process, one commit at a time."""

    def __init__(self, catalog: Catalog, files: Files, sleep: Callable[[float], None]) -> None:
        """Take the lake; nothing is asked yet.

        Args:
            catalog: Its catalog.
            files: Its files.
            sleep: Waits the given number of seconds, while the server cannot be reached.
        """
        self._catalog = catalog
        self._files = files
        self._sleep = sleep

    @contextmanager
    def watch(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Let DuckDB record the names of the files that are written meanwhile.

        DuckLake has no list of the files of an open transaction. The record is of the whole
        process, in which the write lock admits one transaction at a time. It also has each read, so
        it is ended with the transaction. It takes 10 ms.
        """
        connection.execute("CALL enable_logging('FileSystem')")
        try:
            yield
        finally:
            # An instance that a fatal error has ended refuses this; that error is the one to raise.
            with suppress(duckdb.FatalException):
                connection.execute("CALL disable_logging()")
                connection.execute("CALL truncate_duckdb_logs()")

    def keep(self, connection: duckdb.DuckDBPyConnection, commit_id: str) -> None:
        """Give the files that were written a second name, before the commit.

        Raises:
            OSError: The file system refused it.
            FilesUnreachableError: The server of the files refused it.
        """
        paths = [str(path) for (path,) in connection.execute(_WRITTEN).fetchall()]
        names = {name for path in paths if (name := self._files.find_name(path)) is not None}
        try:
            self._files.keep(names, self._place_of(commit_id))
        except (OSError, FilesUnreachableError):
            # What the transaction itself has replaced is gone.
            there = names & self._files.list_parquet().keys()
            if there == names:
                raise
            self._files.keep(there, self._place_of(commit_id))

    def settle(self, commit_id: str) -> int | None:
        """Find out whether a commit was made whose answer was lost, and put its files back if so.

        Returns:
            Its snapshot; None if it was not made.

        Raises:
            CatalogUnreachableError: The server cannot be asked; the files stay kept.
        """
        for attempt in range(_ATTEMPTS):
            try:
                snapshot = self._catalog.find_commit(commit_id)
            except CatalogUnreachableError:
                if attempt == _ATTEMPTS - 1:
                    raise
                self._sleep(_PAUSE_S)
            else:
                break
        if snapshot is not None:
            self._put_back([commit_id])
        self.forget(commit_id)
        return snapshot

    def forget(self, commit_id: str) -> None:
        """Remove the second names of a commit, once it is known."""
        self._place_of(commit_id).remove()

    def has_any(self) -> bool:
        """Whether files are kept: of commits under way, or of such that may be in doubt."""
        return self._files.beside(COMMITS).exists() and bool(
            self._files.beside(COMMITS).list_parquet()
        )

    def recover(self, now: datetime | None = None) -> int:
        """Put back what other processes could not, because they ended or no server answered.

        The caller holds the write lock, so that no other process puts the same files back.

        Args:
            now: The present, to remove also the second names that are older than an hour; None to
                remove none: their commits may be under way.

        Returns:
            How many files were put back.
        """
        kept = self._files.beside(COMMITS).list_parquet()
        count = self._put_back(sorted({name.split("/")[0] for name in kept}))
        if now is not None:
            limit = (now - _ABANDONED).astimezone(UTC).timestamp()
            self._files.beside(COMMITS).delete(
                [name for name, state in kept.items() if state.modified_at < limit]
            )
        return count

    def _put_back(self, commit_ids: list[str]) -> int:
        kept = {one: self._place_of(one).list_parquet().keys() for one in commit_ids}
        wanted = set().union(*kept.values())
        # The place of the files is only listed if a commit was made: it may have many.
        if wanted:
            wanted &= self._catalog.read_facts().files.keys()
        lost = wanted - self._files.list_parquet().keys() if wanted else wanted
        for commit_id, names in kept.items():
            self._place_of(commit_id).keep(lost & names, self._files)
        return len(lost)

    def _place_of(self, commit_id: str) -> Files:
        return self._files.beside(f"{COMMITS}/{commit_id}")
