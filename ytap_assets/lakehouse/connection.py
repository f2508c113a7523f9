"""Attach the lake, and look up its snapshots. The only place that calls `duckdb.connect`.

Imports neither Polars nor pandera, so that `ytap sql` starts fast. Extensions come signed from
pinned packages. Unsigned ones are never loaded: a signature is checked once per process and file.
DuckDB downloads nothing by itself.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path

import duckdb

from ytap_assets.domain.ids import is_workspace_id
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.catalog import LAKE, WAY_BACK, Catalog, Mode, quote
from ytap_assets.lakehouse.errors import (
    FilesUnreachableError,
    LakeError,
    LakeMissingError,
    SnapshotMissingError,
    translate_errors,
)
from ytap_assets.lakehouse.files import MARK, Files, LocalFiles
from ytap_assets.lakehouse.sqlite_catalog import SqliteCatalog
from ytap_assets.settings import NO_CLUSTER, Settings

_END_OF_NUMBERS = 2**63
WRONG_OPTIMIZER = "statistics_propagation"
"""Must be disabled to read old snapshots (`_choose_optimizers`)."""
_FEW_FILES = 1_000
_LAKE_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
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
    catalog: Catalog | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> duckdb.DuckDBPyConnection:
    """Connect and attach the lake as the default database.

    Args:
        settings: Where it is.
        read_only: Whether it is only read.
        few_files: Up to so many data files, joins are left in the order in which they are written.
            None for statements of users, which may join anything in any order.
        catalog: A catalog of the same files that is not that of the settings.
        sleep: Waits so many seconds, while another program keeps the catalog locked.

    Raises:
        LakeMissingError: There is no lake; `Lake.create` makes one.
        LakeDamagedError: The catalog is there and is none that can be read.
        LakeReadOnlyError: It is to be written to, and its folder cannot be.
        DiskFullError: There is no space left for what SQLite keeps beside the catalog.
        CatalogBusyError: Another program keeps the catalog locked for too long.
        CatalogUnreachableError: The catalog's server cannot be reached.
    """
    if catalog is None:
        require_catalog(settings)
        catalog = find_catalog(settings, sleep=sleep)
    return _attach(settings, catalog, "read" if read_only else "write", few_files=few_files)


def find_catalog(settings: Settings, *, sleep: Callable[[float], None] = time.sleep) -> Catalog:
    """The catalog that the settings name, which need not exist.

    Args:
        settings: The installation.
        sleep: Waits so many seconds, while another program keeps a file locked.

    Raises:
        ConfigError: It is a PostgreSQL database, and the packages for it are not installed.
    """
    if settings.database is None:
        return SqliteCatalog(settings.catalog, settings.data_path, sleep=sleep)
    try:  # it is an extra, whose packages may be absent
        from ytap_assets.lakehouse.postgres_catalog import PostgresCatalog  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigError(NO_CLUSTER) from error
    return PostgresCatalog(settings.database)


def find_files(settings: Settings) -> Files:
    """The files of the lake that the settings name, of which there may be none.

    Raises:
        ConfigError: They are in S3, and the packages for it are not installed.
    """
    if settings.bucket is None:
        return LocalFiles(settings.data_path)
    # PyArrow's file system takes a while to be imported.
    from ytap_assets.lakehouse.s3_files import S3Files  # noqa: PLC0415

    files = S3Files(settings.bucket)
    if any(extension_file(name) is None for name in files.extensions):
        raise ConfigError(NO_CLUSTER)
    return files


def require_catalog(settings: Settings) -> None:
    """See that there is a catalog, which is not opened.

    Raises:
        LakeMissingError: There is none; the message names the place, what set it, and what to do.
        LakeDamagedError: It is empty.
    """
    catalog = find_catalog(settings)
    if not catalog.exists():
        raise LakeMissingError(_describe_missing(settings))
    catalog.check_content()


def find_obstacle(settings: Settings) -> str | None:
    """What speaks against making a lake here; None if nothing does.

    A catalog that was moved, lost or emptied leaves files behind: a new one beside them would refer
    to none of them, and all of them would be orphans.
    """
    if obstacle := find_catalog(settings).find_obstacle():
        return obstacle
    files = find_files(settings)
    if there := files.list_parquet():
        return f"{files} contains {len(there)} Parquet files of a missing catalog"
    try:
        mark = files.read_mark()
    except FilesUnreachableError:
        raise
    except LakeError as error:
        return str(error)
    if mark is not None:
        return (
            f"{files} is the place of another catalog's files: it contains {MARK}, which can be"
            " removed if no other catalog uses the place"
        )
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
    place = f"there is no lake at {settings.catalog_name}"
    if is_made_by_itself(settings) and settings.workspace_source == "lake":
        return (
            f"{place}; check YTAP_DATA and YTAP_CATALOG, or create an empty lake with `ytap lake"
            " create`, and push workspaces into it with `ytap workspace push`"
        )
    if is_made_by_itself(settings) and not _has_workspaces(settings):
        return (
            f"{place}, and no workspace in {settings.workspaces}; check YTAP_DATA, or create a"
            " workspace with `ytap workspace create` or an empty lake with `ytap lake create`"
        )
    if is_made_by_itself(settings):
        return f"{place}; `ytap materialize` and `ytap import` create it"
    values = {"YTAP_CATALOG": settings.catalog_name, "YTAP_DATA_PATH": settings.files_name}
    said = ", ".join(f"{name}={values[name]}" for name in moved) or f"YTAP_DATA={settings.data}"
    copies = f"{settings.backups} contains backups of a lake" if _has_copies(settings) else None
    found = f", and {obstacle or copies}" if obstacle or copies else ""
    create = "" if obstacle else ", or create an empty lake with `ytap lake create`"
    return (
        f"{place} ({said}){found}; correct the variable, or move the catalog back{create};"
        f" {WAY_BACK}"
    )


def _attach(
    settings: Settings, catalog: Catalog, mode: Mode, *, few_files: int | None = None
) -> duckdb.DuckDBPyConnection:
    files = find_files(settings)
    connection = connect(extensions=(*catalog.extensions, *files.extensions))
    try:
        # The other threads would only wait here, which took a third of the processor time.
        connection.execute("SET GLOBAL threads = 1")
        for variable in catalog.variables:
            connection.execute(f"SET GLOBAL {variable}")
        if preparation := files.prepare():
            _find_key(connection, preparation, files)
        with translate_errors(settings):
            if mode == "create":
                files.create()
            catalog.attach(connection, files.root, mode)
        disabled = _choose_optimizers(connection, catalog, few_files)
        connection.execute("RESET GLOBAL threads")
    except BaseException:
        connection.close()
        raise
    connection.execute(f"SET GLOBAL disabled_optimizers = '{disabled}'")
    # A file never changes once it is written, so its footer needs to be read only once.
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    return connection


def _find_key(connection: duckdb.DuckDBPyConnection, preparation: str, files: Files) -> None:
    """Let DuckDB find the key of the files.

    Raises:
        FilesUnreachableError: There is none.
    """
    try:
        connection.execute(preparation)
    except duckdb.Error as error:
        message = " ".join(str(error).split())
        raise FilesUnreachableError(
            f"{files}: no key was found: {message[:200]}; set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or a profile with AWS_PROFILE"
        ) from None


def _choose_optimizers(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, few_files: int | None
) -> str:
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
    [(count,)] = catalog.query(
        connection, "SELECT count(*) FROM ducklake_data_file WHERE end_snapshot IS NULL"
    )
    is_small = int(str(count)) <= few_files
    return f"{WRONG_OPTIMIZER},join_order" if is_small else WRONG_OPTIMIZER


def make_catalog(settings: Settings) -> None:
    """Make an empty lake; the caller holds the write lock."""
    find_catalog(settings).create(lambda new: _attach(settings, new, "create").close())


def attach_lines(settings: Settings, name: str | None = None) -> tuple[str, str, str]:
    """Statements for DuckDB's own command line, which read the lake correctly.

    Args:
        settings: Where it is.
        name: The name under which it is attached, beside other lakes; None for the default
            database, named `LAKE`.

    Returns:
        What loads the extensions and finds the key of the files, what attaches the lake read-only,
        and what is to be set.

    Raises:
        ConfigError: The name is not one of lower-case letters, digits and underscores.
    """
    if name is not None and not _LAKE_NAME.fullmatch(name):
        raise ConfigError(
            f"{name[:40]!r}: a lake's name has lower-case letters, digits and _, and begins with a"
            " letter"
        )
    catalog, files = find_catalog(settings), find_files(settings)
    loads = [
        f"LOAD {quote(str(file))};" if file else f"INSTALL {extension}; LOAD {extension};"
        for extension in (*catalog.extensions, *files.extensions)
        for file in (extension_file(extension),)
    ]
    if preparation := files.prepare(name or LAKE):
        loads.append(f"{preparation};")
    # GLOBAL, or they do not reach the connections on which DuckLake reads its catalog.
    variables = [f"GLOBAL {variable}" for variable in catalog.variables]
    use = f" USE {LAKE};" if name is None else ""
    return (
        " ".join(loads),
        f"{catalog.attach_statement(files.root, 'read', name or LAKE)};{use}",
        f"SET disabled_optimizers = {quote(WRONG_OPTIMIZER)};"
        + "".join(f" SET {variable};" for variable in variables),
    )


def commit_times(connection: duckdb.DuckDBPyConnection) -> list[datetime]:
    """When each readable snapshot was committed, by the clock of the machine, in their order."""
    rows = connection.execute(
        f"SELECT snapshot_time FROM ducklake_snapshots('{LAKE}') ORDER BY snapshot_id"
    ).fetchall()
    return [at for (at,) in rows]


def list_tables(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, *, as_of: int = _END_OF_NUMBERS - 1
) -> list[tuple[str, str]]:
    """Schema and name of every table of a snapshot, by default the newest, in order.

    `duckdb_tables()` estimates the rows of every table: 60 ms of processor time for empty ones.
    """
    rows = catalog.query(
        connection,
        "SELECT schema_name, table_name FROM ducklake_table t"
        " JOIN ducklake_schema s USING (schema_id)"
        f" WHERE t.begin_snapshot <= {as_of} AND s.begin_snapshot <= {as_of}"
        f" AND coalesce(t.end_snapshot > {as_of}, TRUE)"
        f" AND coalesce(s.end_snapshot > {as_of}, TRUE)",
    )
    # Here, since the databases sort by different rules.
    return sorted((str(schema), str(table)) for schema, table in rows)


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
    connection.execute(f"LOAD {quote(str(file))}")
