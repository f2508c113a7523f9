"""Upgrade the lake to the declarations in `tables`: options, tables, columns, comments.

A new column is added with its default, a renamed one is renamed in place, and old rows stay
readable. What would lose or reinterpret data is refused, with the way out in the message. Every
change names the statement that undoes it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

import duckdb
import polars as pl

from ytap_assets.lakehouse.catalog import LAKE, Catalog
from ytap_assets.lakehouse.errors import SchemaConflictError
from ytap_assets.tables import Column, Table

_SQL_TYPES: dict[pl.DataType, str] = {
    pl.String(): "VARCHAR",
    pl.Int64(): "BIGINT",
    pl.Float64(): "DOUBLE",
    pl.Boolean(): "BOOLEAN",
    pl.Date(): "DATE",
    pl.Binary(): "BLOB",
    pl.Datetime("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
    pl.List(pl.String): "VARCHAR[]",
}


_STORED_TYPES = {
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
}
"""DuckDB's names of declared types that DuckLake stores under another name."""

_COLUMNS = """
SELECT t.table_name, c.column_name, c.column_type, item.column_type AS item_type, note.value
FROM ducklake_column c
JOIN ducklake_table t USING (table_id)
JOIN ducklake_schema s USING (schema_id)
LEFT JOIN ducklake_column item
    ON c.column_type = 'list' AND item.table_id = c.table_id
    AND item.parent_column = c.column_id AND item.end_snapshot IS NULL
LEFT JOIN ducklake_column_tag note
    ON note.table_id = c.table_id AND note.column_id = c.column_id
    AND note.key = 'comment' AND note.end_snapshot IS NULL
WHERE s.schema_name = 'main' AND c.parent_column IS NULL
  AND s.end_snapshot IS NULL AND t.end_snapshot IS NULL AND c.end_snapshot IS NULL
ORDER BY t.table_id, c.column_order
"""

# Rows of a small insert would be kept in the catalog, never become Parquet, and run into several
# faults of DuckLake (docs/ducklake.md). Stored in the lake, it holds for whoever writes to it.
_OPTIONS = {"data_inlining_row_limit": ("0", "10")}
"""By name: the value the lake is given, and DuckLake's default."""


@dataclass(frozen=True)
class SchemaChange:
    """One step of an upgrade.

    Attributes:
        statements: What is executed, in this order. No step rewrites a data file.
        undo: The statement that takes the step back. What was written meanwhile to a column or
            table that is new is lost by it.
    """

    statements: tuple[str, ...]
    undo: str


@dataclass(frozen=True)
class Stored:
    """A column as the lake has it.

    Attributes:
        sql_type: Its type.
        comment: Its comment, if it has one.
    """

    sql_type: str
    comment: str | None


def plan_changes(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog, tables: Iterable[Table]
) -> list[SchemaChange]:
    """The steps that upgrade the lake to the declarations; empty if there are none.

    Raises:
        SchemaConflictError: A column's type changed, a column is no longer declared, or a new one
            has neither null nor a default for existing rows.
    """
    stored = stored_columns(connection, catalog)
    descriptions = _stored_descriptions(connection, catalog)
    changes = _set_options(connection)
    for table in tables:
        if table.name not in stored:
            changes.append(_create(table))
            continue
        changes += _evolve(table, stored[table.name])
        if (have := descriptions.get(table.name)) != table.description:
            undo = _describe(table, have)
            changes.append(SchemaChange((_describe(table, table.description),), undo))
    return changes


def select_declared(column: Column, stored: Container[str]) -> str:
    """How a column is read from a snapshot that may be older than its declaration.

    Args:
        column: The column, as it is declared.
        stored: The names of the columns that the snapshot has.

    Returns:
        An expression with the column's name: the stored column, under this name or a former one,
        or else the column's default.
    """
    if column.name in stored:
        return f'"{column.name}"'
    if former := _former_name(column, stored):
        return f'"{former}" AS "{column.name}"'
    return f'CAST({_literal(column.default)} AS {_SQL_TYPES[column.dtype]}) AS "{column.name}"'


def _former_name(column: Column, stored: Container[str]) -> str | None:
    return next((name for name in column.renamed_from if name in stored), None)


def _set_options(connection: duckdb.DuckDBPyConnection) -> list[SchemaChange]:
    rows = connection.execute(
        f"SELECT option_name, value FROM ducklake_options('{LAKE}') WHERE scope = 'GLOBAL'"
    ).fetchall()
    stored = dict(rows)
    return [
        SchemaChange((_set_option(name, value),), _set_option(name, stored.get(name, default)))
        for name, (value, default) in _OPTIONS.items()
        if stored.get(name) != value
    ]


def _set_option(name: str, value: str) -> str:
    return f"CALL {LAKE}.set_option('{name}', {_literal(value)})"


def _create(table: Table) -> SchemaChange:
    columns = ", ".join(f'"{c.name}" {_SQL_TYPES[c.dtype]}' for c in table.columns)
    name = f"{LAKE}.{table.name}"
    statements = (
        f"CREATE TABLE {name} ({columns})",
        f"ALTER TABLE {name} SET PARTITIONED BY (workspace_id)",
        f"ALTER TABLE {name} SET SORTED BY ({', '.join(table.sort_by)})",
        _describe(table, table.description),
        *(_comment(table, column, column.comment) for column in table.columns),
    )
    return SchemaChange(statements, f"DROP TABLE {name}")


def _evolve(table: Table, stored: dict[str, Stored]) -> list[SchemaChange]:
    changes: list[SchemaChange] = []
    remaining = dict(stored)
    for column in table.columns:
        have = remaining.pop(column.name, None)
        if have is None and (former := _former_name(column, remaining)):
            have = remaining.pop(former)
            changes.append(_rename(table, former, column.name))
        if have is None:
            changes.append(_add(table, column))
            continue
        if have.sql_type != _SQL_TYPES[column.dtype]:
            raise SchemaConflictError(
                f"{table.name}.{column.name} is {have.sql_type} in the lake and"
                f" {_SQL_TYPES[column.dtype]} in its declaration; declare a new column with another"
                " name and fill it, or restore the old type"
            )
        if have.comment != column.comment:
            undo = _comment(table, column, have.comment)
            changes.append(SchemaChange((_comment(table, column, column.comment),), undo))
    for name in sorted(remaining):
        raise SchemaConflictError(
            f"{table.name}.{name} is in the lake, but is not declared; declare it again as"
            f" nullable, or make a backup and drop it with `ALTER TABLE {LAKE}.{table.name} DROP"
            f" COLUMN {name}`"
        )
    return changes


def _rename(table: Table, former: str, name: str) -> SchemaChange:
    rename = f"ALTER TABLE {LAKE}.{table.name} RENAME COLUMN"
    return SchemaChange((f'{rename} "{former}" TO "{name}"',), f'{rename} "{name}" TO "{former}"')


def _add(table: Table, column: Column) -> SchemaChange:
    if not column.nullable and column.default is None:
        raise SchemaConflictError(
            f"{table.name}.{column.name} is new and not nullable, but the table has rows without a"
            " value for it; declare a default, or make it nullable"
        )
    default = "" if column.default is None else f" DEFAULT {_literal(column.default)}"
    alter = f"ALTER TABLE {LAKE}.{table.name}"
    add = f'{alter} ADD COLUMN "{column.name}" {_SQL_TYPES[column.dtype]}{default}'
    undo = f'{alter} DROP COLUMN "{column.name}"'
    return SchemaChange((add, _comment(table, column, column.comment)), undo)


def _describe(table: Table, text: str | None) -> str:
    return f"COMMENT ON TABLE {LAKE}.{table.name} IS {_literal(text)}"


def _comment(table: Table, column: Column, text: str | None) -> str:
    return f'COMMENT ON COLUMN {LAKE}.{table.name}."{column.name}" IS {_literal(text)}'


def stored_columns(
    connection: duckdb.DuckDBPyConnection, catalog: Catalog
) -> dict[str, dict[str, Stored]]:
    """The columns of every table of the newest snapshot, by table and name, in order."""
    # `duckdb_columns()` looks into every attached database and view, which takes ten times as long.
    stored: dict[str, dict[str, Stored]] = {}
    for table, column, kind, item, comment in catalog.query(connection, _COLUMNS):
        sql_type = _name_type(str(kind)) if item is None else f"{_name_type(str(item))}[]"
        text = None if comment is None else str(comment)
        stored.setdefault(str(table), {})[str(column)] = Stored(sql_type, text)
    return stored


def _name_type(kind: str) -> str:
    return _STORED_TYPES.get(kind, kind.upper())


def _stored_descriptions(connection: duckdb.DuckDBPyConnection, catalog: Catalog) -> dict[str, str]:
    # `duckdb_tables()` estimates the rows of every table, which takes five times as long.
    rows = catalog.query(
        connection,
        "SELECT t.table_name, note.value FROM ducklake_table t JOIN ducklake_tag note"
        " ON note.object_id = t.table_id AND note.key = 'comment'"
        " WHERE t.end_snapshot IS NULL AND note.end_snapshot IS NULL",
    )
    return {str(table): str(text) for table, text in rows}


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    # A bare true is no literal to DuckDB but a cast; the text is one, and becomes the same.
    return "'" + str(value).replace("'", "''") + "'"
