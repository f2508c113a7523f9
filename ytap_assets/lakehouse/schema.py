"""Bring the lake up to the declarations in `tables`: options, tables, columns, comments.

A new column is added with its default, a renamed one is renamed, and old rows stay readable. What
would lose or reinterpret data is refused, with the way out in the message.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

import duckdb
import polars as pl

from ytap_assets.lakehouse.connection import LAKE
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


# Rows of a small insert would be kept in the catalog, never become Parquet, and run into several
# faults of DuckLake (docs/ducklake.md). Stored in the lake, it holds for whoever writes to it.
_OPTIONS = {"data_inlining_row_limit": "0"}


@dataclass(frozen=True)
class _Stored:
    sql_type: str
    comment: str | None


def plan_changes(connection: duckdb.DuckDBPyConnection, tables: Iterable[Table]) -> list[str]:
    """The statements that bring the lake up to the declarations; empty where nothing is to do.

    Raises:
        SchemaConflictError: A column's type changed, a column is no longer declared, or a new one
            has neither null nor a default for the rows that are there.
    """
    stored = _stored_columns(connection)
    descriptions = _stored_descriptions(connection)
    statements = _set_options(connection)
    for table in tables:
        if table.name not in stored:
            statements += _create(table)
            continue
        statements += _evolve(table, stored[table.name])
        if descriptions.get(table.name) != table.description:
            statements.append(_describe(table))
    return statements


def read_earlier(column: Column, stored: Container[str]) -> str:
    """A column that a snapshot lacks: under its former name, or the value of rows without it.

    Args:
        column: The declared column.
        stored: The columns that the snapshot has.

    Returns:
        An SQL expression with the column's name.
    """
    if column.renamed_from in stored:
        return f'"{column.renamed_from}" AS "{column.name}"'
    value = "NULL" if column.default is None else _literal(column.default)
    return f'CAST({value} AS {_SQL_TYPES[column.dtype]}) AS "{column.name}"'


def _set_options(connection: duckdb.DuckDBPyConnection) -> list[str]:
    stored = connection.execute(
        f"SELECT option_name, value FROM ducklake_options('{LAKE}') WHERE scope = 'GLOBAL'"
    ).fetchall()
    return [
        f"CALL {LAKE}.set_option('{name}', '{value}')"
        for name, value in _OPTIONS.items()
        if (name, value) not in stored
    ]


def _create(table: Table) -> list[str]:
    columns = ", ".join(f'"{c.name}" {_SQL_TYPES[c.dtype]}' for c in table.columns)
    name = f"{LAKE}.{table.name}"
    return [
        f"CREATE TABLE {name} ({columns})",
        f"ALTER TABLE {name} SET PARTITIONED BY (workspace_id)",
        f"ALTER TABLE {name} SET SORTED BY ({', '.join(table.sort_by)})",
        _describe(table),
        *(_comment(table, column) for column in table.columns),
    ]


def _evolve(table: Table, stored: dict[str, _Stored]) -> list[str]:
    statements: list[str] = []
    stored = dict(stored)
    for column in table.columns:
        have = stored.get(column.name)
        if have is None and column.renamed_from in stored:
            have = stored.pop(column.renamed_from)
            statements.append(_rename(table, column.renamed_from, column.name))
        if have is None:
            statements += _add(table, column)
            continue
        if have.sql_type != _SQL_TYPES[column.dtype]:
            raise SchemaConflictError(
                f"{table.name}.{column.name} is {have.sql_type} in the lake and"
                f" {_SQL_TYPES[column.dtype]} in its declaration: declare a new column under"
                " another name and fill it, or take the old type back"
            )
        if have.comment != column.comment:
            statements.append(_comment(table, column))
    for name in sorted(stored.keys() - table.schema.keys()):
        raise SchemaConflictError(
            f"{table.name}.{name} is in the lake but no longer declared: declare it again as"
            " nullable, or drop it after a backup with"
            f" `ALTER TABLE {LAKE}.{table.name} DROP COLUMN {name}`"
        )
    return statements


def _rename(table: Table, former: str, name: str) -> str:
    return f'ALTER TABLE {LAKE}.{table.name} RENAME COLUMN "{former}" TO "{name}"'


def _add(table: Table, column: Column) -> list[str]:
    if not column.nullable and column.default is None:
        raise SchemaConflictError(
            f"{table.name}.{column.name} is new and allows no null, but the rows that are there"
            " have no value for it: declare a default, or allow null"
        )
    default = "" if column.default is None else f" DEFAULT {_literal(column.default)}"
    return [
        f'ALTER TABLE {LAKE}.{table.name} ADD COLUMN "{column.name}"'
        f" {_SQL_TYPES[column.dtype]}{default}",
        _comment(table, column),
    ]


def _describe(table: Table) -> str:
    return f"COMMENT ON TABLE {LAKE}.{table.name} IS {_literal(table.description)}"


def _comment(table: Table, column: Column) -> str:
    return f'COMMENT ON COLUMN {LAKE}.{table.name}."{column.name}" IS {_literal(column.comment)}'


def _stored_columns(connection: duckdb.DuckDBPyConnection) -> dict[str, dict[str, _Stored]]:
    rows = connection.execute(
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns()"
        " WHERE database_name = ? AND schema_name = 'main'",
        [LAKE],
    ).fetchall()
    stored: dict[str, dict[str, _Stored]] = {}
    for table, column, sql_type, comment in rows:
        stored.setdefault(table, {})[column] = _Stored(sql_type, comment)
    return stored


def _stored_descriptions(connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = connection.execute(
        "SELECT table_name, comment FROM duckdb_tables()"
        " WHERE database_name = ? AND schema_name = 'main'",
        [LAKE],
    ).fetchall()
    return dict(rows)


def _literal(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    # A bare true is no literal to DuckDB but a cast; the text is one, and becomes the same.
    return "'" + str(value).replace("'", "''") + "'"
