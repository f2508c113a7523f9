"""Write the answers of the demo into the SQL cookbook and the page about trends.

    python scripts/fill_cookbook.py [DATA]

Every ```sql block of `docs/sql-cookbook.md` is run as `ytap sql` would run it; its rows become the
```text block right after it, in place of the one that stands there. So does the output of every
```sh block of `docs/trends.md` that is one `ytap` command and has a ```text block. DATA is a data
folder whose lake the demo has filled; without it one is made in a temporary folder, which takes a
minute or two.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import tempfile
from contextlib import closing
from datetime import date
from pathlib import Path

import duckdb
from click.testing import CliRunner

from ytap_assets.cli import app
from ytap_assets.cli.output import write_result
from ytap_assets.cli.pipeline import quiet_dagster
from ytap_assets.defs.launch import materialize_range
from ytap_assets.lakehouse.sql_sandbox import open_sql
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings

PROJECT = Path(__file__).parents[1]
COOKBOOK = PROJECT / "docs" / "sql-cookbook.md"
TRENDS = PROJECT / "docs" / "trends.md"
DAYS = (date(2026, 11, 16), date(2026, 11, 20))
_STATEMENT = re.compile(r"```sql\n(?P<sql>.*?)\n```\n(?:\n```text\n.*?\n```\n)?", re.DOTALL)


_COMMAND = re.compile(r"```sh\nytap (?P<words>[^\n]+)\n```\n```text\n.*?\n```\n", re.DOTALL)


def make_demo(data: Path) -> None:
    """Fill a data folder with what the demo makes of the tracked workspaces and recordings."""
    for name in ("workspaces", "recordings"):
        shutil.copytree(PROJECT / "data" / name, data / name)
    platform = Platform(Settings.from_env({"YTAP_DATA": str(data), "YTAP_TRANSPORT": "replay"}))
    with closing(platform.lake), quiet_dagster():
        for run in materialize_range(
            platform, "*", workspace_ids=platform.workspaces.ids(), days=DAYS, on_step=print
        ):
            if not run.ok:
                raise SystemExit(run.error)


def answer(settings: Settings, statement: str) -> str:
    """The rows of a statement as `ytap sql` shows them where there is no terminal."""
    lines: list[str] = []
    with closing(open_sql(settings, statement, workspace_id=None, as_of=None)) as lake:
        write_result(lake.execute(statement), "table", lines.append, columns=None)
    return "\n".join(line.rstrip() for line in lines)


def fill(text: str, settings: Settings) -> str:
    """The cookbook's text with every answer written anew."""

    def one(found: re.Match[str]) -> str:
        statement = found["sql"]
        try:
            rows = answer(settings, statement)
        except duckdb.Error as error:
            raise SystemExit(f"{statement}\n{error}") from error
        return f"```sql\n{statement}\n```\n\n```text\n{rows}\n```\n"

    return _STATEMENT.sub(one, text)


def fill_commands(text: str, settings: Settings) -> str:
    """The page with the output of every `ytap` command written anew."""
    runner = CliRunner(env={"YTAP_DATA": str(settings.data), "YTAP_TRANSPORT": "replay"})

    def one(found: re.Match[str]) -> str:
        shown = runner.invoke(app, shlex.split(found["words"]))
        if shown.exit_code:
            raise SystemExit(shown.output)
        return f"```sh\nytap {found['words']}\n```\n```text\n{shown.stdout.rstrip()}\n```\n"

    return _COMMAND.sub(one, text)


def main() -> None:
    """Read the arguments, make the demo where there is none, write the answers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", nargs="?", type=Path, help="a data folder the demo has filled")
    given: Path | None = parser.parse_args().data
    with tempfile.TemporaryDirectory(prefix="ytap-demo-") as made:
        data = given or Path(made)
        if given is None:
            make_demo(data)
        settings = Settings.from_env({"YTAP_DATA": str(data), "YTAP_TRANSPORT": "replay"})
        for page, write in ((COOKBOOK, fill), (TRENDS, fill_commands)):
            page.write_text(write(page.read_text(encoding="utf-8"), settings), encoding="utf-8")


if __name__ == "__main__":
    main()
