"""The interactive shell: lines in, statements run, rows out; piped input works alike.

No history is kept in a file: statements may hold what should not outlive the session.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from ytap_assets.cli.common import FAILED, MISUSED, is_interrupt, is_misuse
from ytap_assets.cli.context import note, say
from ytap_assets.cli.sql import run_statements
from ytap_assets.cli.text import one_line
from ytap_assets.errors import YtapError

if TYPE_CHECKING:
    import duckdb

    from ytap_assets.cli.output import Format

_PROMPT, _MORE = "ytap> ", "  ... "
_HELP = """\
A statement ends with a semicolon and may run over several lines.
.tables            the tables
.schema TABLE      a table's columns and what they mean
.format SHAPE      table, csv or json
.help              this
.quit              leave (so does the end of input)"""
_SHAPES: dict[str, Format] = {"table": "table", "csv": "csv", "json": "json"}
_WHOLE = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\$(\w*)\$.*?\$\1\$""", re.DOTALL
)
_OPEN = re.compile(r"""['"]|/\*|\$\w*\$""")
_TABLES = """
    SELECT table_name AS "table", estimated_size AS "rows" FROM duckdb_tables()
    WHERE database_name = current_database() ORDER BY ALL"""
_SCHEMA = """
    SELECT column_name AS "column", data_type AS "type", comment AS "meaning"
    FROM duckdb_columns()
    WHERE database_name = current_database() AND table_name = $1 ORDER BY column_index"""


def is_complete(text: str) -> bool:
    """Whether the text ends a statement: a semicolon outside of quotes and comments is last."""
    rest = _WHOLE.sub(" ", text).rstrip()
    return rest.endswith(";") and _OPEN.search(rest) is None


class Shell:
    """Reads statements and commands until there are no more."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        shape: Format,
        *,
        is_interactive: bool,
        seconds: int,
    ) -> None:
        self._connection = connection
        self._shape = shape
        self._is_interactive = is_interactive
        self._seconds = seconds
        self._failed = 0  # the exit code
        if is_interactive:
            import readline

            readline.set_auto_history(True)

    def run(self) -> int:
        """Run everything that is typed.

        Returns:
            The exit code: 0 if all statements ran, 1 if one failed, 2 if those that did not run
            were wrong themselves.
        """
        if self._is_interactive:
            note(_HELP)
        pending = ""
        while (line := self._read(_MORE if pending.strip() else _PROMPT)) is not None:
            if not pending.strip() and line.lstrip().startswith("."):
                if line.split()[0] in (".quit", ".exit"):
                    return self._failed
                self._command(line.split())
                continue
            pending += f"{line}\n"
            if is_complete(pending):
                self._execute(pending)
                pending = ""
        if pending.strip():
            self._execute(pending)
        return self._failed

    def _read(self, prompt: str) -> str | None:
        if not self._is_interactive:
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        try:
            return input(prompt)
        except EOFError:
            return None
        except KeyboardInterrupt:
            note("(.quit leaves)")
            return ""

    def _command(self, words: list[str]) -> None:
        match words:
            case [".help"]:
                say(_HELP)
            case [".tables"]:
                self._execute(_TABLES)
            case [".schema", table]:
                self._execute(_SCHEMA, [table])
            case [".format", shape] if shape in _SHAPES:
                self._shape = _SHAPES[shape]
            case _:
                self._fail(f"{' '.join(words)}: no such command; .help lists them", MISUSED)

    def _execute(self, text: str, values: list[str] | None = None) -> None:
        try:
            run_statements(self._connection, text, self._shape, values, seconds=self._seconds)
        except YtapError as error:
            self._fail(str(error), MISUSED if is_misuse(error) else FAILED)
        except (KeyboardInterrupt, RuntimeError) as error:
            if not self._is_interactive or not is_interrupt(error):
                raise
            self._fail("interrupted")

    def _fail(self, message: str, code: int = FAILED) -> None:
        self._failed = FAILED if FAILED in (self._failed, code) else code
        note(f"error: {one_line(message)}")
