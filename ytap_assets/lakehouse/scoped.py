"""SQL for people: over the whole lake read-only, or on a copy of one workspace's rows.

With external access off and the configuration locked, an attached lake would still be readable
whole. So a statement bound to a workspace runs in another DuckDB, which holds a *copy* of that
workspace's rows and nothing else: no lake, no files, no settings of the first.

Without a workspace the lake is attached read-only, and of the files only its own can be reached.
That much DuckDB sees to; but SQLite opens files by itself, and a folder that can be read can be
written to. So statements that could do either are not run (`parse`).

Imports neither Polars nor pandera, and attaches the lake only for statements that can read one.
"""

from __future__ import annotations

import re

import duckdb
from duckdb import StatementType

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.connection import LAKE, attach, connect
from ytap_assets.lakehouse.errors import LakeError, StatementRefusedError
from ytap_assets.lakehouse.snapshots import stored_at
from ytap_assets.settings import Settings

MAX_COPY_BYTES = 2 * 1024**3
"""A workspace's rows are copied into memory; a copy larger than this is refused by DuckDB."""

_WORD = re.compile(r"\w+")
_BY_TEXT = frozenset({"query", "query_table"})
_READING = frozenset({"from", "table", "show", "describe", "desc", "summarize", "pragma", "call"})
_HARMLESS = frozenset(
    {
        StatementType.SELECT,
        StatementType.EXPLAIN,
        StatementType.SET,
        StatementType.TRANSACTION,
        StatementType.VACUUM,
        # The lake refuses these by itself; tables of the session's own may be made and filled.
        StatementType.CREATE,
        StatementType.INSERT,
        StatementType.UPDATE,
        StatementType.DELETE,
        StatementType.MERGE_INTO,
        StatementType.ALTER,
        StatementType.DROP,
    }
)
_REACHING = frozenset(
    {
        "sqlite_attach",
        "sqlite_query",
        "sqlite_scan",
        "enable_logging",
        "ducklake_cleanup_old_files",
        "ducklake_delete_orphaned_files",
    }
)
_WAY_OUT = (
    "not run here, where the lake is read and nothing else is reached; `ytap attach` attaches it in"
    " DuckDB's own shell"
)


def open_sql(
    settings: Settings, statement: str, *, workspace_id: str | None, as_of: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection on which the statement can be run.

    Args:
        settings: Where the lake is.
        statement: What will be run: only the tables it may name are copied.
        workspace_id: The workspace to see; None sees all of them, read-only.
        as_of: The snapshot to see; the newest where None.

    Raises:
        ConfigError: The workspace's name breaks the rule, or there is no such workspace.
        LakeMissingError: There is no lake yet.
        SnapshotMissingError: The snapshot never was, or has expired.
    """
    if workspace_id is not None:
        check_workspace_id(workspace_id)
    if _reads_nothing(statement):
        return _lock_down(connect())
    if workspace_id is None:
        return _open_whole(settings, as_of)
    return _open_copy(settings, statement, workspace_id, as_of)


def open_shell(
    settings: Settings, *, workspace_id: str | None, as_of: int | None = None
) -> duckdb.DuckDBPyConnection:
    """A connection for any statement to come; arguments and errors as `open_sql`."""
    if workspace_id is None:
        return _open_whole(settings, as_of)
    check_workspace_id(workspace_id)
    return _open_copy(settings, None, workspace_id, as_of)


def parse(connection: duckdb.DuckDBPyConnection, text: str) -> list[duckdb.Statement]:
    """The statements of a text, all of which may be run on a connection of this module.

    Raises:
        StatementRefusedError: One could reach a file or another database.
        duckdb.Error: They cannot be understood.
    """
    statements = connection.extract_statements(text)
    for statement in statements:
        # EXPLAIN ANALYZE runs what it explains, and a copy is all it can explain that writes files.
        copies = statement.type == StatementType.EXPLAIN and "copy" in _words(statement.query)
        if copies or statement.type not in _HARMLESS:
            raise StatementRefusedError(f"{'COPY' if copies else statement.type.name}: {_WAY_OUT}")
        if reaching := sorted(_words(statement.query) & _REACHING):
            raise StatementRefusedError(f"{', '.join(reaching)}: {_WAY_OUT}")
    return statements


def _reads_nothing(statement: str) -> bool:
    """Whether the statement is a bare SELECT that cannot name a table, such as `select 1`."""
    words = _words(statement)
    return "select" in words and not words & _READING


def _open_whole(settings: Settings, as_of: int | None) -> duckdb.DuckDBPyConnection:
    connection = attach(settings, read_only=True)
    if as_of is not None:
        for table in _tables(connection):
            source = _source(connection, table, int(as_of))
            connection.execute(f"CREATE TEMP VIEW {table} AS {source}")
    folder = f"{settings.data_path}/".replace("'", "''")
    connection.execute(f"SET allowed_directories = ['{folder}']")
    return _lock_down(connection)


def _open_copy(
    settings: Settings, statement: str | None, workspace_id: str, as_of: int | None
) -> duckdb.DuckDBPyConnection:
    words = None if statement is None else _words(statement)
    copy = connect()
    copy.execute(f"SET memory_limit = '{MAX_COPY_BYTES // 1024**2}MiB'")
    copy.execute("SET temp_directory = ''")
    lake = attach(settings, read_only=True)
    try:
        _check_known(lake, settings, workspace_id, as_of)
        # All tables as of one snapshot, or a commit in between would be seen by half.
        newest = f"AT (VERSION => {_newest(lake)})"
        empty = []
        for table, columns in _shapes(lake).items():
            is_named = words is None or table in words or bool(words & _BY_TEXT)
            if as_of is not None:
                source = _source(lake, table, int(as_of))
                _copy_rows(lake, copy, table, source, workspace_id, has_rows=is_named)
            elif is_named:
                source = f"FROM {LAKE}.{table} {newest}"
                _copy_rows(lake, copy, table, source, workspace_id, has_rows=True)
            else:
                # A table the statement does not name is there, but empty: listings stay true.
                empty.append(f"CREATE TABLE {table} ({columns});")
        copy.execute("".join(empty))
    except duckdb.OutOfMemoryException as error:
        raise LakeError(
            f"{workspace_id}'s rows need more than {MAX_COPY_BYTES // 1024**3} GiB of memory: name"
            " fewer tables, or ask without --workspace and with a WHERE of your own"
        ) from error
    finally:
        lake.close()
    return _lock_down(copy)


def _check_known(
    lake: duckdb.DuckDBPyConnection, settings: Settings, workspace_id: str, as_of: int | None
) -> None:
    """See that there is such a workspace, or was: rows stay readable without their folder."""
    if (settings.workspaces / workspace_id / "config.yaml").is_file():
        return
    for table in _tables(lake):
        source = f"FROM {LAKE}.{table}" if as_of is None else _source(lake, table, int(as_of))
        found = lake.execute(
            f"SELECT 1 FROM ({source}) WHERE workspace_id = ? LIMIT 1", [workspace_id]
        )
        if found.fetchone():
            return
    raise ConfigError(
        f"workspace {workspace_id!r} does not exist, and the lake holds no rows of it;"
        " `ytap workspace list` lists those that do"
    )


def _copy_rows(
    lake: duckdb.DuckDBPyConnection,
    copy: duckdb.DuckDBPyConnection,
    table: str,
    source: str,
    workspace_id: str,
    *,
    has_rows: bool,
) -> None:
    """Make a table of a workspace's rows; of none where only its shape is wanted."""
    condition = "workspace_id = $1" if has_rows else "workspace_id = $1 AND false"
    incoming = lake.execute(f"SELECT * FROM ({source}) WHERE {condition}", [workspace_id])
    copy.register("incoming", incoming.to_arrow_reader())
    copy.execute(f"CREATE TABLE {table} AS FROM incoming")
    copy.unregister("incoming")


def _source(connection: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> str:
    """A table as of a snapshot; without rows where there was no such table then."""
    if stored_at(connection, table, snapshot) is None:
        return f"FROM {LAKE}.{table} WHERE false"
    return f"FROM {LAKE}.{table} AT (VERSION => {snapshot})"


def _newest(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute(f"SELECT id FROM ducklake_current_snapshot('{LAKE}')").fetchone()
    return int(row[0]) if row else 0


def _tables(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = ? ORDER BY ALL", [LAKE]
    ).fetchall()
    return [name for (name,) in rows]


def _shapes(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Every table's columns as a definition, by table: asked for at once, not one by one."""
    rows = connection.execute(
        "SELECT table_name, string_agg(format('\"{}\" {}', column_name, data_type), ', '"
        " ORDER BY column_index) FROM duckdb_columns() WHERE database_name = ?"
        " GROUP BY ALL ORDER BY ALL",
        [LAKE],
    ).fetchall()
    return dict(rows)


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _lock_down(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    # The folder for what does not fit into memory would stay within reach.
    connection.execute("SET temp_directory = ''")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
