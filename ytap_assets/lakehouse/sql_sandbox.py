"""A sandbox for users' SQL: read-only over the whole lake, or on a copy of one workspace's rows.

An attached lake is readable as a whole, even with external access off and the configuration
locked. A statement of one workspace therefore runs in a separate DuckDB instance that holds a copy
of the workspace's rows and nothing else: no lake, no files, no settings of the first instance.

Without a workspace, the lake is attached read-only, and DuckDB may open only the lake's own files.
This is not enough: SQLite opens files on its own, and DuckDB can write to any folder that it can
read. A statement therefore runs only if its DuckDB parse tree names nothing but the lake's tables,
listed table functions, and functions that compute (`parse`). A statement whose parse tree cannot be
obtained does not run.

Imports neither Polars nor pandera, and attaches the lake only for statements that can read one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
from duckdb import StatementType

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.catalog import LAKE, Catalog, quote
from ytap_assets.lakehouse.connection import (
    attach,
    connect,
    find_catalog,
    find_files,
    list_tables,
    stored_at,
)
from ytap_assets.lakehouse.errors import LakeError, StatementRefusedError
from ytap_assets.settings import Settings

_MOST_MEMORY = 2 * 1024**3

_WORD = re.compile(r"\w+")
_UID_LINE = re.compile(rb"^uid: *['\"]?([0-9A-Za-z]{26})\b", re.MULTILINE)
_BY_TEXT = frozenset({"query", "query_table"})
_ABOUT_COMMENTS = frozenset({"comment", "duckdb_columns"})
_READING = frozenset({"from", "table", "show", "describe", "desc", "summarize", "pragma", "call"})
_HARMLESS = frozenset(
    {
        StatementType.SELECT,
        StatementType.EXPLAIN,
        StatementType.SET,
        StatementType.TRANSACTION,
        StatementType.VACUUM,
        StatementType.CREATE,
        StatementType.INSERT,
        StatementType.UPDATE,
        StatementType.DELETE,
        StatementType.MERGE_INTO,
        StatementType.ALTER,
        StatementType.DROP,
    }
)
MAX_STATEMENT_CHARS = 100_000
"""Planning takes time with the square of a statement's length: 24 s for 900,000 characters."""
_WAY_OUT = (
    "not allowed; a statement can only read the lake's tables, and has no access to other files,"
    " databases or settings; `ytap attach` prints the statements that attach the lake in DuckDB's"
    " own shell"
)
_EXPORTS = frozenset({StatementType.COPY, StatementType.EXPORT})


WRITING = frozenset(
    {
        StatementType.INSERT,
        StatementType.UPDATE,
        StatementType.DELETE,
        StatementType.MERGE_INTO,
        StatementType.ALTER,
        StatementType.DROP,
    }
)
"""Statements that change tables which are there."""
_READ_ONLY = (
    "not allowed; the lake is read-only here; `ytap materialize`, `import` and `script` write to"
    " it, and `retention` in a config deletes rows; with --workspace, the statement can change a"
    " copy of the rows"
)


def _list(words: str) -> frozenset[str]:
    return frozenset(_WORD.findall(words))


# What a parse tree may consist of. Expressions have a class, everything else a type.
_CLASSES = _list(
    "BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT DEFAULT FUNCTION LAMBDA"
    " LAMBDA_REF OPERATOR PARAMETER POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW"
)
_TYPES = _list(
    "SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE"
    " BASE_TABLE EMPTY EXPRESSION_LIST JOIN PIVOT SHOW_REF SUBQUERY TABLE_FUNCTION"
    " DISTINCT_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER"
    " ASCENDING DESCENDING ORDER_DEFAULT"
)
_TYPE_INFO = "_TYPE_INFO"
_TABLE_FUNCTIONS = _list(
    "range generate_series unnest repeat json_each json_tree"
    " ducklake_current_snapshot ducklake_last_committed_snapshot ducklake_list_files"
    " ducklake_options ducklake_settings ducklake_snapshots ducklake_table_changes"
    " ducklake_table_deletions ducklake_table_info ducklake_table_insertions"
    # The same, as functions of the lake: `lake.snapshots()`.
    " current_snapshot last_committed_snapshot list_files options settings snapshots table_changes"
    " table_deletions table_info table_insertions"
    " duckdb_columns duckdb_constraints duckdb_databases duckdb_extensions duckdb_functions"
    " duckdb_keywords duckdb_memory duckdb_optimizers duckdb_schemas duckdb_settings duckdb_tables"
    " duckdb_types duckdb_variables duckdb_views"
    " icu_calendar_names pg_timezone_names pragma_collations pragma_database_size pragma_platform"
    " pragma_show pragma_table_info pragma_user_agent pragma_version"
)
# In an expression DuckDB takes only functions that compute, and these few that do more: bind a
# statement of their own, read the environment, write to a log.
REFUSED_FUNCTIONS = frozenset({"getenv", "json_serialize_plan", "write_log"})
_VIEWS = {
    "main": _list(
        "duckdb_columns duckdb_constraints duckdb_databases duckdb_schemas duckdb_tables"
        " duckdb_types duckdb_views pragma_database_list"
    ),
    "information_schema": _list(
        "character_sets columns constraint_column_usage key_column_usage referential_constraints"
        " schemata table_constraints tables views"
    ),
}
_SHOWN = frozenset({"", "databases", "schemas", "tables", "variables", "__show_tables_expanded"})

# Statements that hold a SELECT: words, and then what can be checked by itself. A space stands for
# white space and comments, `~` for the same or nothing.
_GAP = r"(?>\s+|--[^\n]*(?:\n|$)|/\*.*?\*/)"
_FORMS: dict[StatementType, tuple[str, ...]] = {
    StatementType.EXPLAIN: (r"~(?P<head>EXPLAIN(?: ANALYZE)?(?:~\([\w\s,]*\))?)(?P<body>.+)",),
    StatementType.CREATE: (
        r"~(?P<head>CREATE(?: OR REPLACE)? TEMP(?:ORARY)? TABLE(?: IF NOT EXISTS)?"
        r" (?P<made>[a-z_]\w*) AS\b)(?P<body>.+)",
    ),
    StatementType.INSERT: (
        r"~(?P<head>INSERT INTO [a-z_]\w*(?:~\([\w\s,]*\))?(?: BY NAME)?)(?P<body>.+)",
    ),
    StatementType.SET: (
        r"~(?P<head>SET VARIABLE \w+~(?:=|TO\b))(?P<value>.+)",
        # Not any other database: the catalog's own may be in one with tables of others.
        r"~(?P<head>USE (?:lake|memory|temp)(?:\.main)?)~;?~",
    ),
    StatementType.DROP: (r"~(?P<head>DROP TABLE(?: IF EXISTS)? (?P<dropped>[a-z_]\w*))~;?~",),
    StatementType.TRANSACTION: (r"~(?P<head>\w+(?: \w+)*)~;?~",),
}


def open_sql(
    settings: Settings, statement: str, *, workspace_id: str | None, as_of: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a sandbox for one statement.

    Args:
        settings: Where the lake is.
        statement: The statement: only the rows of tables that it may name are copied.
        workspace_id: The workspace whose rows are visible; None: all rows, read-only.
        as_of: The snapshot to read; None: the newest.

    Raises:
        ConfigError: The workspace's name breaks the rule, or there is no such workspace.
        LakeMissingError: There is no lake yet.
        SnapshotMissingError: The snapshot does not exist, or has expired.
    """
    if workspace_id is not None:
        check_workspace_id(workspace_id)
    if as_of is None and _reads_nothing(statement):
        return _lock_down(_limit_memory(connect(), settings), reads_files=False)
    if workspace_id is None:
        return _open_whole(settings, as_of)
    return _open_copy(settings, statement, workspace_id, as_of)


def open_shell(
    settings: Settings, *, workspace_id: str | None, as_of: int | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a sandbox for several statements; arguments and errors as in `open_sql`."""
    if workspace_id is None:
        return _open_whole(settings, as_of)
    check_workspace_id(workspace_id)
    return _open_copy(settings, None, workspace_id, as_of)


def parse(
    connection: duckdb.DuckDBPyConnection, text: str, catalog: Catalog
) -> list[duckdb.Statement | str]:
    """Split a text into statements, all of which may run in a sandbox.

    Args:
        connection: From `open_sql` or `open_shell`.
        text: The statements.
        catalog: The catalog of the lake.

    Raises:
        StatementRefusedError: One could reach more than the lake, or cannot be checked.
        duckdb.Error: They cannot be understood.
    """
    statements = connection.extract_statements(text)
    for statement in statements:
        if len(statement.query) > MAX_STATEMENT_CHARS:
            raise StatementRefusedError(
                f"a statement has {len(statement.query):,} characters, more than"
                f" {MAX_STATEMENT_CHARS:,}: DuckDB would plan it for minutes and could not be"
                " interrupted; use a join with a table, or a VALUES list of fewer rows"
            )
        if statement.type not in _HARMLESS:
            raise StatementRefusedError(f"{statement.type.name}: {_advise(statement.type)}")
    if not reads_lake(connection):
        return [*statements]
    checker = _Checker(connection, catalog)
    return [checker.check(statement) for statement in statements]


def reads_lake(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether the lake is attached; a copy needs no checks, since it can reach nothing else."""
    # On a cursor: a transaction that failed takes no question until it is rolled back.
    with connection.cursor() as cursor:
        found = cursor.execute(
            "SELECT 1 FROM duckdb_databases() WHERE database_name = ?", [LAKE]
        ).fetchone()
    return found is not None


def _advise(kind: StatementType) -> str:
    """Why a kind of statement is not allowed, and what to do instead."""
    if kind not in _EXPORTS:
        return _WAY_OUT
    return f"{_WAY_OUT}; to write a result to a file: `ytap sql --format csv STATEMENT > FILE`"


class _Checker:
    """Checks statements over the whole lake by their parse trees."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> None:
        self._connection = connection
        self._catalog = catalog
        self._made: set[str] = set()

    def check(self, statement: duckdb.Statement) -> str:
        """Check a statement.

        Returns:
            The text that was checked; only this text may run.

        Raises:
            StatementRefusedError: It could reach more than the lake, or cannot be checked.
        """
        text, kind = statement.query, statement.type
        if kind == StatementType.SELECT and text:
            self._check_select(text)
            return text
        for form in _FORMS.get(kind, ()):
            pattern = form.replace("~", f"{_GAP}*+").replace(" ", f"{_GAP}++")
            if match := re.fullmatch(pattern, text, re.IGNORECASE | re.DOTALL | re.ASCII):
                return self._check_parts(match)
        if not text:
            raise StatementRefusedError(
                "a PIVOT without a list of values cannot be checked; list them, as in `PIVOT t ON"
                " day IN ('2026-11-01', '2026-11-02')`"
            )
        reason = _READ_ONLY if kind in WRITING else _WAY_OUT
        raise StatementRefusedError(f"this {kind.name} statement: {reason}")

    def _check_parts(self, match: re.Match[str]) -> str:
        parts = match.groupdict()
        # Rebuilt from its parts, so that the parser and this check agree where the SELECT begins.
        head = re.sub(_GAP, " ", parts["head"], flags=re.DOTALL)
        if (value := parts.get("value")) is not None:
            self._check_select(f"SELECT {value}")
            return f"{head} {value}"
        if (body := parts.get("body")) is not None:
            self._check_select(body)
            head = f"{head} {body}"
        if made := parts.get("made"):
            self._made.add(_fold(made))
            self._tables.add(_fold(made))
        if self._made and head.upper().startswith(("ROLLBACK", "ABORT")):
            # What was made is gone: such a name would be looked for elsewhere.
            self._tables -= self._made
        if dropped := parts.get("dropped"):
            self._tables.discard(_fold(dropped))
        return head

    def _check_select(self, text: str) -> None:
        row = self._connection.execute("SELECT json_serialize_sql($1::VARCHAR)", [text]).fetchone()
        try:
            tree = json.loads(row[0]) if row else {}
            if tree.get("error", True) or len(tree["statements"]) != 1:
                raise StatementRefusedError(f"not a SELECT statement: {_WAY_OUT}")
            self._walk(tree["statements"][0]["node"], frozenset())
        except RecursionError as error:
            raise StatementRefusedError("the statement is nested too deeply") from error

    def _walk(self, node: Any, scope: frozenset[str]) -> None:
        """Check a part of a tree; ``scope`` holds the common table expressions it can name."""
        if isinstance(node, list):
            for part in node:
                self._walk(part, scope)
        if isinstance(node, dict):
            self._check_node(node, scope)
            for part, inner in _parts(node, scope):
                self._walk(part, inner)

    def _check_node(self, node: dict[str, Any], scope: frozenset[str]) -> None:
        kind = node.get("class", node.get("type"))
        match kind:
            case "BASE_TABLE":
                self._check_table(node, scope)
            case "SHOW_REF":
                name = _fold(node["table_name"]).strip('"')
                if name not in _SHOWN and name not in self._tables:
                    raise self._unknown_table(name)
            case "TABLE_FUNCTION":
                self._check_function(node["function"], _TABLE_FUNCTIONS)
            case "FUNCTION" | "WINDOW":
                self._check_function(node, None)
            case str() if not (
                kind in (_CLASSES if "class" in node else _TYPES) or kind.endswith(_TYPE_INFO)
            ):
                raise StatementRefusedError(f"{kind}: {_WAY_OUT}")

    def _check_table(self, node: dict[str, Any], scope: frozenset[str]) -> None:
        name = _fold(node["table_name"])
        places = {_fold(node["catalog_name"]), _fold(node["schema_name"])} - {""}
        if name in scope and places <= {"recurring"}:
            return
        if places <= {LAKE, "main", "temp"} and name in self._tables:
            return
        for schema, views in _VIEWS.items():
            if name in views and places <= {"system", schema} and name not in self._stored:
                return
        raise self._unknown_table(".".join((*sorted(places), name)))

    def _check_function(self, node: dict[str, Any], allowed: frozenset[str] | None) -> None:
        name = _fold(node["function_name"])
        is_refused = name in REFUSED_FUNCTIONS if allowed is None else name not in allowed
        if is_refused or name in self._stored:
            raise StatementRefusedError(f"{name}: {_WAY_OUT}")

    def _unknown_table(self, name: str) -> StatementRefusedError:
        nearest = get_close_matches(name, self._tables, n=1)
        advice = f"; did you mean {nearest[0]}?" if nearest else f": {_WAY_OUT}"
        return StatementRefusedError(
            f"{name} is not a table of the lake (`ytap sql 'show tables'` lists the tables){advice}"
        )

    @cached_property
    def _tables(self) -> set[str]:
        """The lake's tables, and those that the session made."""
        rows = self._connection.execute(
            "SELECT table_name FROM duckdb_tables()"
            " WHERE database_name IN (?, 'temp') AND schema_name = 'main'",
            [LAKE],
        ).fetchall()
        return {_fold(name) for (name,) in rows}

    @cached_property
    def _stored(self) -> set[str]:
        """Macros and views that a writer stored in the lake.

        They would replace the function or view of their name, with any effect.
        """
        metadata = self._catalog.tables
        rows = self._connection.execute(
            f"SELECT macro_name FROM {metadata}.ducklake_macro"
            f" UNION ALL SELECT view_name FROM {metadata}.ducklake_view"
        ).fetchall()
        return {_fold(name) for (name,) in rows}


def _parts(node: dict[str, Any], scope: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """The children of a node, each with the common table expressions that it can name."""
    for entry in node.get("cte_map", {}).get("map", ()):
        yield entry["value"], scope
        scope |= {_fold(entry["key"])}
    for key, part in node.items():
        if key == "right" and node.get("type") == "RECURSIVE_CTE_NODE":
            yield part, scope | {_fold(node["cte_name"])}
        elif key != "cte_map":
            yield part, scope


def _fold(name: str) -> str:
    """A name as DuckDB compares it: only ASCII letters are folded."""
    return name.lower() if name.isascii() else name


def _reads_nothing(statement: str) -> bool:
    """Whether the statement is a bare SELECT that cannot name a table, such as `select 1`."""
    words = _words(statement)
    return "select" in words and not words & _READING


def _open_whole(settings: Settings, as_of: int | None) -> duckdb.DuckDBPyConnection:
    connection = _limit_memory(attach(settings, read_only=True, few_files=None), settings)
    if as_of is not None:
        for table in _tables(connection, settings):
            source = _source(connection, table, int(as_of))
            connection.execute(f"CREATE TEMP VIEW {table} AS {source}")
    connection.execute(f"SET allowed_directories = [{quote(find_files(settings).root)}]")
    return _lock_down(connection, reads_files=True)


def _open_copy(
    settings: Settings, statement: str | None, workspace_id: str, as_of: int | None
) -> duckdb.DuckDBPyConnection:
    words = None if statement is None else _words(statement)
    copy = _limit_memory(connect(), settings)
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
        if words is None or words & _ABOUT_COMMENTS:
            copy.execute("".join(_comments(lake)))
    except duckdb.OutOfMemoryException as error:
        raise LakeError(
            f"the rows of {workspace_id} need more memory than YTAP_SQL_MEMORY allows; name fewer"
            " tables, replace --workspace by a WHERE clause, or raise the setting"
        ) from error
    finally:
        lake.close()
    return _lock_down(copy, reads_files=False)


def _check_known(
    lake: duckdb.DuckDBPyConnection, settings: Settings, workspace_id: str, as_of: int | None
) -> None:
    """Check that the workspace exists or has rows: rows stay readable without their folder.

    A folder that was renamed, copied or replaced is refused: the rows of its name are not its own.
    Configs in the lake are compared when they are pushed.

    Raises:
        ConfigError: There is neither, or the folder is not the workspace that the lake knows.
    """
    config = settings.workspaces / workspace_id / "config.yaml"
    if settings.workspace_source == "folder" and config.is_file():
        _check_identity(lake, settings, config, workspace_id)
        return
    for table in _tables(lake, settings):
        source = f"FROM {LAKE}.{table}" if as_of is None else _source(lake, table, int(as_of))
        found = lake.execute(
            f"SELECT 1 FROM ({source}) WHERE workspace_id = ? LIMIT 1", [workspace_id]
        )
        if found.fetchone():
            return
    raise ConfigError(
        f"workspace {workspace_id!r} does not exist, and the lake has no rows of it; `ytap"
        " workspace list` lists the workspaces"
    )


def _check_identity(
    lake: duckdb.DuckDBPyConnection, settings: Settings, config: Path, workspace_id: str
) -> None:
    """Compare the uid in the folder's config with the uid in the lake.

    The uid is first searched for in the form that `ytap workspace create` writes. The config is
    parsed, which takes as long as a small statement, only if that uid differs from the lake's.
    """
    if "workspaces" not in _tables(lake, settings):
        return  # a lake from before there were uids
    rows = lake.execute(f"SELECT workspace_id, upper(uid) FROM {LAKE}.workspaces").fetchall()
    owners: dict[str, str | None] = dict(rows)
    try:
        content = config.read_bytes()
        written = _UID_LINE.search(content)
        if _find_owners(owners, workspace_id, written[1].decode() if written else None) is None:
            return
        from ytap_assets.plain_yaml import load_mapping  # noqa: PLC0415

        uid = load_mapping(content, origin=str(config)).get("uid")
    except (OSError, ConfigError):
        return  # its rows can be read although its config cannot
    others = _find_owners(owners, workspace_id, str(uid) if uid else None)
    if others is not None:
        whose = f"is that of workspace {others[0]!r}" if others else "differs from the lake's"
        raise ConfigError(
            f"workspace {workspace_id!r} was renamed, copied or replaced: the lake's rows of that"
            f" name belong to another workspace (its uid {whose}); `ytap workspace list` shows what"
            " to do"
        )


def _find_owners(
    owners: dict[str, str | None], workspace_id: str, uid: str | None
) -> list[str] | None:
    """The workspaces whose uid a folder has in place of its own; None if it is its own."""
    uid = uid and uid.upper()
    others = sorted(name for name, other in owners.items() if uid is not None and other == uid)
    known = owners.get(workspace_id)
    is_other = known != uid if known is not None else bool(others)
    return others if is_other else None


def _copy_rows(
    lake: duckdb.DuckDBPyConnection,
    copy: duckdb.DuckDBPyConnection,
    table: str,
    source: str,
    workspace_id: str,
    *,
    has_rows: bool,
) -> None:
    """Copy a table's rows of a workspace; with ``has_rows`` false, only its columns."""
    condition = "workspace_id = $1" if has_rows else "workspace_id = $1 AND false"
    incoming = lake.execute(f"SELECT * FROM ({source}) WHERE {condition}", [workspace_id])
    copy.register("incoming", incoming.to_arrow_reader())
    copy.execute(f"CREATE TABLE {table} AS FROM incoming")
    copy.unregister("incoming")


def _source(connection: duckdb.DuckDBPyConnection, table: str, snapshot: int) -> str:
    """A table as of a snapshot; empty if the table did not exist then."""
    if stored_at(connection, table, snapshot) is None:
        return f"FROM {LAKE}.{table} WHERE false"
    return f"FROM {LAKE}.{table} AT (VERSION => {snapshot})"


def _newest(connection: duckdb.DuckDBPyConnection) -> int:
    row = connection.execute(f"SELECT id FROM ducklake_current_snapshot('{LAKE}')").fetchone()
    return int(row[0]) if row else 0


def _tables(connection: duckdb.DuckDBPyConnection, settings: Settings) -> list[str]:
    return [name for _, name in list_tables(connection, find_catalog(settings))]


def _shapes(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Column definitions by table, from one query."""
    rows = connection.execute(
        "SELECT table_name, string_agg(format('\"{}\" {}', column_name, data_type), ', '"
        " ORDER BY column_index) FROM duckdb_columns() WHERE database_name = ?"
        " GROUP BY ALL ORDER BY ALL",
        [LAKE],
    ).fetchall()
    return dict(rows)


def _comments(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Statements that copy the comments of the lake's columns."""
    rows = connection.execute(
        "SELECT table_name, column_name, comment FROM duckdb_columns()"
        " WHERE database_name = ? AND comment IS NOT NULL ORDER BY ALL",
        [LAKE],
    ).fetchall()
    for table, column, comment in rows:
        text = comment.replace("'", "''")
        yield f"COMMENT ON COLUMN {table}.\"{column}\" IS '{text}';"


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def _limit_memory(
    connection: duckdb.DuckDBPyConnection, settings: Settings
) -> duckdb.DuckDBPyConnection:
    limit = settings.sql_memory
    if limit is None:
        # DuckDB's own default is four fifths of what the machine, or the container, has. A quarter
        # leaves room for two statements beside a pipeline.
        row = connection.execute(
            "SELECT parse_formatted_bytes(current_setting('memory_limit'))"
        ).fetchone()
        limit = min(_MOST_MEMORY, int(row[0]) * 5 // 16) if row else _MOST_MEMORY
    connection.execute(f"SET memory_limit = '{limit}B'")
    return connection


def _lock_down(
    connection: duckdb.DuckDBPyConnection, *, reads_files: bool
) -> duckdb.DuckDBPyConnection:
    # The folder for what does not fit into memory would stay within reach.
    connection.execute("SET temp_directory = ''")
    if not reads_files:
        # Without it, DuckDB ends the process over a log file that it may not write.
        connection.execute("SET disabled_filesystems = 'LocalFileSystem'")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection
