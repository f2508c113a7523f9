"""Load the extensions and attach the lake. The only place that calls `duckdb.connect`.

Imports neither Polars nor pandera: `ytap sql` answers through here. Extensions come signed from
pinned packages; unsigned ones are never allowed, and DuckDB fetches nothing by itself.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import duckdb

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.errors import LakeMissingError
from ytap_assets.settings import Settings

LAKE = "lake"
_EXTENSIONS = ("ducklake", "sqlite_scanner")
_BUSY_TIMEOUT_MS = 30_000
_PATTERN = frozenset("*?[]")


def connect() -> duckdb.DuckDBPyConnection:
    """A fresh in-memory DuckDB, in UTC, that downloads nothing by itself."""
    connection = duckdb.connect(
        config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    )
    # GLOBAL, or cursors would not inherit it. Without the first, a table's name that does not exist
    # would be looked up among Python's variables; without the second, the catalog's instants would
    # be written in the machine's own zone, as text that is compared as text.
    connection.execute("SET GLOBAL python_enable_replacements = false")
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def attach(settings: Settings, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """Connect and attach the lake as the default database.

    Raises:
        LakeMissingError: There is no lake yet; `make_catalog` makes one.
        ConfigError: The data path cannot be used.
    """
    if not settings.catalog.is_file():
        raise LakeMissingError(
            f"there is no lake at {settings.catalog}: materialize or import something first"
        )
    if not read_only:
        settings.data_path.mkdir(parents=True, exist_ok=True)
    connection = connect()
    for name in _EXTENSIONS:
        _load_extension(connection, name)
    connection.execute(attach_statement(settings, read_only=read_only))
    connection.execute(f"USE {LAKE}")
    # A file never changes once it is written, so its footer needs to be read only once.
    connection.execute("SET GLOBAL parquet_metadata_cache = true")
    # DuckLake answers for every snapshot with the newest column statistics (its issue 1377): a
    # condition on rows that were deleted since drops them from old snapshots, from the change feed
    # and from transactions that began before. The setting is the whole instance's, whose cursors
    # read old and new snapshots side by side, so it cannot be set for the old ones alone. It costs
    # a count, minimum or maximum of a whole table its shortcut, and nothing else.
    connection.execute("SET GLOBAL disabled_optimizers = 'statistics_propagation'")
    return connection


def make_catalog(settings: Settings) -> None:
    """Make an empty lake; the caller holds the write lock.

    The catalog gets its name only when it is complete: a process that finds the file may attach it
    without waiting, and one that was killed here leaves nothing behind that counts.

    Raises:
        ConfigError: The data path cannot be used.
    """
    making = settings.catalog.with_name(f"{settings.catalog.name}.making")
    for suffix in ("", "-journal", "-wal", "-shm"):
        making.with_name(making.name + suffix).unlink(missing_ok=True)
    making.touch()
    attach(replace(settings, catalog=making), read_only=False).close()
    making.rename(settings.catalog)


def attach_statement(settings: Settings, *, read_only: bool) -> str:
    """The ATTACH statement; the plain DuckDB command line takes it too.

    The data path is overridden so that a data folder can be moved. The inlining limit holds for
    this attachment alone: it is for the tables that a new lake begins with, before the lake's own
    option is stored (`schema.plan_changes`).

    Raises:
        ConfigError: The data path holds a character that file patterns are made of: the sweep of
            orphans lists the folder as a pattern, and would reach into other folders.
    """
    if unsafe := sorted(set(str(settings.data_path)) & _PATTERN):
        raise ConfigError(
            f"YTAP_DATA_PATH={str(settings.data_path)!r} holds {' '.join(unsafe)}:"
            " choose a folder without such characters"
        )
    options = [
        f"DATA_PATH {_quote(f'{settings.data_path}/')}",
        "OVERRIDE_DATA_PATH true",
        f"META_BUSY_TIMEOUT {_BUSY_TIMEOUT_MS}",
    ]
    if read_only:
        options.append("READ_ONLY")
    else:
        options += ["META_JOURNAL_MODE 'WAL'", "DATA_INLINING_ROW_LIMIT 0"]
    return (
        f"ATTACH {_quote(f'ducklake:sqlite:{settings.catalog}')} AS {LAKE} ({', '.join(options)})"
    )


def extension_file(name: str) -> Path | None:
    """Where a pinned package holds an extension for this DuckDB; None where it is not installed."""
    package = find_spec(f"duckdb_extension_{name}")
    if package is None or package.origin is None:
        return None
    folder = Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}"
    return folder / f"{name}.duckdb_extension"


def _load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    file = extension_file(name)
    if file is None:
        connection.execute(f"INSTALL {name}")
        connection.execute(f"LOAD {name}")
        return
    if not file.is_file():
        raise ConfigError(
            f"duckdb-extension-{name.replace('_', '-')} is not made for DuckDB"
            f" {duckdb.__version__}: install the versions pinned in requirements.lock"
        )
    connection.execute(f"LOAD {_quote(str(file))}")


def _quote(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
