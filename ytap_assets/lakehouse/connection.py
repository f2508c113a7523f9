"""Attach the lake, and look up its snapshots. The only place that calls `duckdb.connect`.

Imports neither Polars nor pandera, so that `ytap sql` starts fast. Extensions come signed from
pinned packages. Unsigned ones are never loaded: a signature is checked once per process and file.
DuckDB downloads nothing by itself.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path

import duckdb

from ytap_assets.domain.ids import is_workspace_id
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.catalog import WAY_BACK, check_not_empty, list_journals, list_parquet
from ytap_assets.lakehouse.errors import (
    CatalogBusyError,
    DiskFullError,
    LakeDamagedError,
    LakeMissingError,
    LakeReadOnlyError,
    SnapshotMissingError,
    is_locked,
    translate_errors,
)
from ytap_assets.settings import Settings

LAKE = "lake"
_EXTENSIONS = ("ducklake", "sqlite_scanner")
BUSY_TIMEOUT_S, BUSY_POLL_S = 30.0, 0.1
_DAMAGES = (
    "disk image is malformed",
    "file is not a database",
    "No snapshot found in DuckLake",
    "new DuckLake is explicitly disabled",
)
_JOURNALS = ("-wal", "-journal")
_END_OF_NUMBERS = 2**63
WRONG_OPTIMIZER = "statistics_propagation"
"""Must be disabled to read old snapshots (`_choose_optimizers`)."""
WHOLE_CATALOG_SCANS = "sqlite_disable_multithreaded_scans = true"
"""The setting without which a table can be read as empty while its files are merged."""
_FEW_FILES = 1_000
# The extension files whose signature DuckDB has checked in this process, as they were then.
_checked: dict[Path, tuple[int, ...]] = {}


class _AbsentPandas(MetaPathFinder):
    """Says at once that pandas is not installed."""

    def find_spec(self, name: str, *_: object) -> None:
        """Find nothing.

        Raises:
            ModuleNotFoundError: It is pandas.
        """
        if name == "pandas":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def connect(*, extensions: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
    """A fresh in-memory DuckDB, in UTC, that downloads nothing by itself.

    Args:
        extensions: The names of the extensions that are loaded. DuckDB hashes a file to check its
            signature, which costs 0.1 s of processor time: it does so once per process and file,
            and again when the file has changed.

    Raises:
        ConfigError: A package holds an extension that is made for another DuckDB.
        duckdb.IOException: An extension's signature is missing or invalid.
    """
    # DuckDB tries to import pandas twice for every value that is bound. Where there is none, each
    # attempt searches the whole path: 50 values took 9 ms.
    is_known = any(isinstance(finder, _AbsentPandas) for finder in sys.meta_path)
    if not is_known and find_spec("pandas") is None:
        sys.meta_path.insert(0, _AbsentPandas())
    files = {name: extension_file(name) for name in extensions}
    states = {file: _identify(file) for file in files.values() if file and file.is_file()}
    is_checked = all(_checked.get(file) == state for file, state in states.items())
    connection = duckdb.connect(
        config={
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_unsigned_extensions": is_checked and len(states) == len(files) > 0,
        }
    )
    try:
        for name, file in files.items():
            _load_extension(connection, name, file)
    except BaseException:
        connection.close()
        raise
    _checked.update(states)
    # DuckDB refuses to set it to true again.
    connection.execute("SET GLOBAL allow_unsigned_extensions = false")
    # GLOBAL, or cursors would not inherit it. Without the first, a table's name that does not exist
    # would be looked up among Python's variables; without the second, the catalog's instants would
    # be written in the machine's own zone, as text that is compared as text.
    connection.execute("SET GLOBAL python_enable_replacements = false")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def attach(
    settings: Settings,
    *,
    read_only: bool,
    few_files: int | None = _FEW_FILES,
    sleep: Callable[[float], None] = time.sleep,
) -> duckdb.DuckDBPyConnection:
    """Connect and attach the lake as the default database.

    Args:
        settings: Where it is.
        read_only: Whether it is only read.
        few_files: Up to so many data files, joins are left in the order in which they are written.
            None for statements of users, which may join anything in any order.
        sleep: Waits so many seconds, while another program keeps the catalog locked.

    Raises:
        LakeMissingError: There is no lake; `Lake.create` makes one.
        LakeDamagedError: The catalog is there and is none that can be read.
        LakeReadOnlyError: It is to be written to, and its folder cannot be.
        DiskFullError: There is no space left for what SQLite keeps beside the catalog.
        CatalogBusyError: Another program keeps the catalog locked for too long.
    """
    require_catalog(settings)
    return _attach(settings, read_only=read_only, creates=False, few_files=few_files, sleep=sleep)


def require_catalog(settings: Settings) -> None:
    """See that there is a catalog, which is not opened.

    Raises:
        LakeMissingError: There is none; the message names the place, what set it, and what to do.
        LakeDamagedError: It is empty.
    """
    if not settings.catalog.is_file():
        raise LakeMissingError(_describe_missing(settings))
    check_not_empty(settings.catalog)


def find_obstacle(settings: Settings) -> str | None:
    """What speaks against making a lake here; None if nothing does.

    A catalog that was moved, lost or emptied leaves files behind: a new one beside them would refer
    to none of them, and all of them would be orphans.
    """
    catalog, data_path = settings.catalog, settings.data_path
    if catalog.is_symlink() and not catalog.exists():
        return f"{catalog} is a broken symbolic link"
    if catalog.exists():
        return f"{catalog} is {'a folder' if catalog.is_dir() else 'an existing file'}"
    for suffix in _JOURNALS:
        if (journal := catalog.with_name(catalog.name + suffix)).exists():
            return f"{journal} is the journal of a missing catalog"
    if files := list_parquet(data_path):
        return f"{data_path} contains {len(files)} Parquet files of a missing catalog"
    return None


def is_made_by_itself(settings: Settings) -> bool:
    """Whether a lake that is missing here never was: the place is the default one, and empty.

    Copies among the backups say that there was one; its disk may not be mounted.
    """
    return not (settings.lake_variables or find_obstacle(settings) or _has_copies(settings))


def _has_copies(settings: Settings) -> bool:
    return any(settings.backups.glob("*/manifest.json"))


def _has_workspaces(settings: Settings) -> bool:
    configs = settings.workspaces.glob("*/config.yaml")
    return any(is_workspace_id(path.parent.name) for path in configs)


def _describe_missing(settings: Settings) -> str:
    """Where no lake is, what put it there, and the ways out."""
    moved = settings.lake_variables
    obstacle = find_obstacle(settings)
    if is_made_by_itself(settings) and not _has_workspaces(settings):
        return (
            f"there is no lake at {settings.catalog}, and no workspace in {settings.workspaces};"
            " check YTAP_DATA, or create a workspace with `ytap workspace create` or an empty lake"
            " with `ytap lake create`"
        )
    if is_made_by_itself(settings):
        return (
            f"there is no lake at {settings.catalog}; `ytap materialize` and `ytap import` create"
            " it"
        )
    values = {"YTAP_CATALOG": settings.catalog, "YTAP_DATA_PATH": settings.data_path}
    said = ", ".join(f"{name}={values[name]}" for name in moved) or f"YTAP_DATA={settings.data}"
    copies = f"{settings.backups} contains backups of a lake" if _has_copies(settings) else None
    found = f", and {obstacle or copies}" if obstacle or copies else ""
    create = "" if obstacle else ", or create an empty lake with `ytap lake create`"
    return (
        f"there is no lake at {settings.catalog} ({said}){found}; correct the variable, or move the"
        f" catalog back{create}; {WAY_BACK}"
    )


def _attach(
    settings: Settings,
    *,
    read_only: bool,
    creates: bool,
    few_files: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> duckdb.DuckDBPyConnection:
    connection = connect(extensions=_EXTENSIONS)
    try:
        # The other threads would only wait here, which took a third of the processor time.
        connection.execute("SET GLOBAL threads = 1")
        # A parallel scan of a catalog's table reads up to the largest rowid of an earlier moment.
        # A merge of files that is committed in between replaces rows by ones with larger rowids,
        # so the list of a table's files was empty, and the table with it (`docs/ducklake.md`).
        connection.execute(f"SET GLOBAL {WHOLE_CATALOG_SCANS}")
        statement = attach_statement(settings, read_only=read_only, creates=creates)
        _attach_lake(connection, settings, statement, read_only=read_only, sleep=sleep)
        disabled = _choose_optimizers(connection, few_files)
        connection.execute("RESET GLOBAL threads")
    except BaseException:
        connection.close()
        raise
    connection.execute(f"SET GLOBAL disabled_optimizers = '{disabled}'")
    # A file never changes once it is written, so its footer needs to be read only once.
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    return connection


def _choose_optimizers(connection: duckdb.DuckDBPyConnection, few_files: int | None) -> str:
    """The optimizers that are disabled, as DuckDB's setting names them.

    DuckLake answers for every snapshot with the newest column statistics (its issue 1377): a
    condition on rows that were deleted since drops them from old snapshots, from the change feed
    and from transactions that began before. The setting is the whole instance's, whose cursors
    read old and new snapshots side by side, so it cannot be set for the old ones alone. It costs
    a count, minimum or maximum of a whole table its shortcut, and a new partition 8 ms: what it
    held before is looked for in the files (`docs/ducklake.md`).

    The optimizer of joins asks DuckLake for the statistics of every column that is read. Of a table
    that never had rows, DuckLake keeps none, and asks its catalog again for each column (its pull
    request 1313): 2 ms of processor time a column. On a lake of many files the optimizer is worth
    more, because it shortens DuckLake's own search for files.
    """
    if few_files is None:
        return WRONG_OPTIMIZER
    [count] = connection.execute(
        f"SELECT count(*) FROM __ducklake_metadata_{LAKE}.ducklake_data_file"
        " WHERE end_snapshot IS NULL"
    ).fetchall()[0]
    return f"{WRONG_OPTIMIZER},join_order" if count <= few_files else WRONG_OPTIMIZER


def _attach_lake(
    connection: duckdb.DuckDBPyConnection,
    settings: Settings,
    statement: str,
    *,
    read_only: bool,
    sleep: Callable[[float], None],
) -> None:
    with _translate_damage(settings.catalog):
        try:
            with translate_errors(settings):
                if not read_only:
                    settings.data_path.mkdir(parents=True, exist_ok=True)
                _execute_patiently(connection, statement, sleep)
                connection.execute(f"USE {LAKE}")
        except (LakeReadOnlyError, DiskFullError):
            if not (read_only and _attach_copy(connection, settings)):
                raise


def _execute_patiently(
    connection: duckdb.DuckDBPyConnection, statement: str, sleep: Callable[[float], None]
) -> None:
    """Execute a statement again while another program keeps the catalog locked.

    SQLite waits by itself for most locks, but never to change how a catalog keeps its journal.
    """
    began, waited = time.monotonic(), 0.0
    while True:
        try:
            connection.execute(statement)
        except duckdb.Error as error:
            # What SQLite waited by itself counts, less a second for its rounding.
            if not is_locked(error) or max(waited, time.monotonic() - began) >= BUSY_TIMEOUT_S - 1:
                raise
        else:
            return
        sleep(BUSY_POLL_S)
        waited += BUSY_POLL_S


@contextmanager
def _translate_damage(catalog: Path) -> Iterator[None]:
    """Turn what DuckDB raises over a damaged catalog into an error that says so.

    Raises:
        LakeDamagedError: The catalog cannot be read.
    """
    try:
        yield
    except (duckdb.Error, UnicodeDecodeError) as error:  # DuckDB may quote a damaged schema
        if isinstance(error, duckdb.Error) and not any(sign in str(error) for sign in _DAMAGES):
            raise
        message = " ".join(str(error).split())
        raise LakeDamagedError(
            f"{catalog}: the catalog is damaged: {message}; {WAY_BACK}"
        ) from error


def _attach_copy(connection: duckdb.DuckDBPyConnection, settings: Settings) -> bool:
    """Attach a copy of the catalog, for reading; the copy goes with the connection.

    SQLite makes files beside a catalog even to read it. Where it cannot, because the folder is
    read-only or the disk full, nobody else has the catalog open, so that a copy is whole.

    Returns:
        Whether there was a place for the copy.

    Raises:
        CatalogBusyError: Somebody wrote to it meanwhile.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix="ytap-catalog-"))
        weakref.finalize(connection, shutil.rmtree, folder, ignore_errors=True)
        before = _stamps(settings.catalog)
        for file in before:
            shutil.copyfile(file, folder / file.name)
    except OSError:
        return False
    if _stamps(settings.catalog) != before:
        raise CatalogBusyError(
            f"{settings.catalog}: another program wrote to it at the same time; run the command"
            " again"
        )
    copied = replace(settings, catalog=folder / settings.catalog.name)
    connection.execute(attach_statement(copied, read_only=True))
    connection.execute(f"USE {LAKE}")
    return True


def _stamps(catalog: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of the catalog and of its journal, where there is one."""
    files = [catalog, catalog.with_name(f"{catalog.name}-wal")]
    states = {file: file.stat() for file in files if file.exists()}
    return {file: (state.st_size, state.st_mtime_ns) for file, state in states.items()}


def make_catalog(settings: Settings) -> None:
    """Make an empty lake; the caller holds the write lock.

    The catalog gets its name only when it is complete: a process that finds the file may attach it
    without waiting, and one that was killed here leaves nothing behind that counts.
    """
    making = settings.catalog.with_name(f"{settings.catalog.name}.making")
    for file in (making, *list_journals(making)):
        file.unlink(missing_ok=True)
    _attach(replace(settings, catalog=making), read_only=False, creates=True).close()
    making.rename(settings.catalog)


def attach_statement(settings: Settings, *, read_only: bool, creates: bool = False) -> str:
    """The ATTACH statement; the plain DuckDB command line takes it too.

    The data path is overridden so that a data folder can be moved. The inlining limit holds for
    this attachment alone: it is for the tables that a new lake begins with, before the lake's own
    option is stored (`schema.plan_changes`).
    """
    options = [
        f"DATA_PATH {_quote(f'{settings.data_path}/')}",
        "OVERRIDE_DATA_PATH true",
        f"META_BUSY_TIMEOUT {BUSY_TIMEOUT_S * 1000:.0f}",
    ]
    if not read_only and not creates:
        options.append("CREATE_IF_NOT_EXISTS false")
    if read_only:
        options.append("READ_ONLY")
    else:
        options += ["META_JOURNAL_MODE 'WAL'", "DATA_INLINING_ROW_LIMIT 0"]
    return (
        f"ATTACH {_quote(f'ducklake:sqlite:{settings.catalog}')} AS {LAKE} ({', '.join(options)})"
    )


def commit_times(connection: duckdb.DuckDBPyConnection) -> list[datetime]:
    """When each readable snapshot was committed, by the clock of the machine, in their order."""
    rows = connection.execute(
        f"SELECT snapshot_time FROM ducklake_snapshots('{LAKE}') ORDER BY snapshot_id"
    ).fetchall()
    return [at for (at,) in rows]


def list_tables(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Schema and name of every table of the newest snapshot, in order.

    `duckdb_tables()` estimates the rows of every table: 60 ms of processor time for empty ones.
    """
    catalog = f"__ducklake_metadata_{LAKE}"
    return connection.execute(
        f"SELECT schema_name, table_name FROM {catalog}.ducklake_table t"
        f" JOIN {catalog}.ducklake_schema s USING (schema_id)"
        " WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL ORDER BY ALL"
    ).fetchall()


def stored_at(
    connection: duckdb.DuckDBPyConnection, table: str, snapshot: int
) -> frozenset[str] | None:
    """A table's columns at a snapshot; None if there was no such table then.

    Raises:
        SnapshotMissingError: The snapshot does not exist, or has expired.
    """
    if not 0 <= snapshot < _END_OF_NUMBERS:
        raise SnapshotMissingError(_explain_missing(snapshot))
    try:
        empty = connection.execute(f"FROM {LAKE}.{table} AT (VERSION => {snapshot}) LIMIT 0")
    except duckdb.CatalogException:
        return None
    except duckdb.InvalidInputException as error:
        if "No snapshot found" not in str(error):
            raise
        raise SnapshotMissingError(_explain_missing(snapshot)) from error
    return frozenset(name for name, *_ in empty.description or ())


def _explain_missing(snapshot: int) -> str:
    return (
        f'snapshot {snapshot} does not exist or has expired; `ytap sql "FROM'
        " ducklake_snapshots('lake')\"` lists the available snapshots"
    )


def extension_file(name: str) -> Path | None:
    """Where a pinned package holds an extension for this DuckDB; None if it is not installed."""
    package = find_spec(f"duckdb_extension_{name}")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return folder / f"{name}.duckdb_extension"


def _identify(file: Path) -> tuple[int, ...]:
    state = file.stat()
    return (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


def _load_extension(connection: duckdb.DuckDBPyConnection, name: str, file: Path | None) -> None:
    if file is None:
        connection.execute(f"INSTALL {name}")
        connection.execute(f"LOAD {name}")
        return
    if not file.is_file():
        raise ConfigError(
            f"duckdb-extension-{name.replace('_', '-')} is not built for DuckDB"
            f" {duckdb.__version__}; install the versions pinned in requirements.lock"
        )
    connection.execute(f"LOAD {_quote(str(file))}")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
