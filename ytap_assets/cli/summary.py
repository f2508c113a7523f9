"""``ytap summary``: what the lake holds, where the reports are, what to ask next."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from ytap_assets.cli.context import own_command, say, tell_problems, terminal_columns
from ytap_assets.cli.options import examples
from ytap_assets.cli.statements import explain_duckdb
from ytap_assets.cli.text import clean
from ytap_assets.settings import Settings

if TYPE_CHECKING:
    import duckdb

_TABLES = """
    SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() ORDER BY ALL"""
_REPORTS = """
    SELECT workspace_id, count(*), max(day), arg_max(report_path, day) FROM workspace_reports
    GROUP BY ALL ORDER BY ALL"""
QUESTIONS = (
    "select workspace_id, day, position, final_score, title from scored_trends"
    " where position <= 3 and not is_spam order by all",
    "select workspace_id, state, count(*) as scripts from production_records"
    " group by all order by all",
    "select source, outcome, count(*) as fetches, sum(accepted)::bigint as accepted"
    " from collection_log group by all order by all",
)


@click.command(epilog=examples("ytap summary"))
def summary() -> None:
    """Show what the lake holds, and what to ask next."""
    from ytap_assets.lakehouse.sql_sandbox import open_shell
    from ytap_assets.workspaces import Workspaces

    settings = Settings.from_env()
    with explain_duckdb(), closing(open_shell(settings, workspace_id=None)) as lake:
        _show_rows(lake)
        _show_reports(lake, settings)
    tell_problems(Workspaces(settings).readable()[1].values())
    say("\nTo ask next:")
    for question in QUESTIONS:
        say(f'  {own_command()} sql "{question}"')


def _show_rows(lake: duckdb.DuckDBPyConnection) -> None:
    from ytap_assets.cli.results import write_table

    tables = [name for (name,) in lake.execute(_TABLES).fetchall()]
    counts: dict[str, dict[str, int]] = {}
    for table in tables:
        rows = lake.execute(f'SELECT workspace_id, count(*) FROM "{table}" GROUP BY ALL').fetchall()
        counts[table] = dict(rows)
    owners = sorted({owner for count in counts.values() for owner in count})
    shown = [
        (table, *(count.get(owner, 0) for owner in owners), sum(count.values()))
        for table, count in counts.items()
    ]
    names = ("table", *owners, "rows")
    right = [False, *[True] * (len(owners) + 1)]
    write_table(names, shown, say, right=right, columns=terminal_columns())


def _show_reports(lake: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    from ytap_assets.reports.files import overview_file

    reports = lake.execute(_REPORTS).fetchall()
    say(f"\nReports: {sum(count for _, count, _, _ in reports)}, the newest of each workspace:")
    for workspace_id, _, day, path in reports:
        say(f"  {workspace_id} {day}  {clean(str(settings.data / path))}")
    overview = overview_file(settings)
    if overview.is_file():
        say(f"All workspaces: {clean(str(overview))}")


COMMANDS = (summary,)
