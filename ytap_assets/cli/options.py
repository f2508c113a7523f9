"""Options that several commands share, and what they need to be parsed and completed."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

_AGO = re.compile(r"([0-9]{1,5}) ?d(?:ays?)?(?: ago)?")
_NAMED_DAYS = {"today": 0, "yesterday": 1}


def examples(*lines: str) -> str:
    """An epilog of examples, which the help shows line by line as they are."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class Day(click.ParamType[date]):
    """A day such as 2026-11-20, or one that is counted back from today: ``yesterday``."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The day that the text names; today is that of the installation, in UTC."""
        if isinstance(value, date):
            return value
        words = " ".join(value.replace("-", " ").split()).casefold()
        if (ago := _AGO.fullmatch(words)) is not None:
            return self._count_back(int(ago[1]))
        if words in _NAMED_DAYS:
            return self._count_back(_NAMED_DAYS[words])
        try:
            return date.fromisoformat(value.strip())
        except ValueError:
            self.fail(
                f"{value!r} is not a day such as 2026-11-20, today, yesterday or '3 days ago'",
                param,
                ctx,
            )

    @staticmethod
    def _count_back(days: int) -> date:
        from ytap_assets.settings import Settings

        return Settings.from_env().now().date() - timedelta(days)


def complete_workspace(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The workspaces whose names begin like that."""
    from ytap_assets.domain.ids import is_workspace_id
    from ytap_assets.errors import ConfigError
    from ytap_assets.settings import Settings

    try:
        root = Settings.from_env().workspaces
    except ConfigError:
        return []
    names = sorted(path.parent.name for path in root.glob("*/config.yaml"))
    return [name for name in names if name.startswith(incomplete) and is_workspace_id(name)]


ANY_PATH = click.Path(path_type=Path)
FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

one_workspace = click.option(
    "--workspace",
    "-w",
    required=True,
    metavar="ID",
    help="The workspace.",
    shell_complete=complete_workspace,
)
maybe_workspace = click.option(
    "--workspace",
    "-w",
    metavar="ID",
    help="See a copy of this workspace's rows and nothing else.",
    shell_complete=complete_workspace,
)
workspace_id = click.argument("workspace_id", metavar="ID", shell_complete=complete_workspace)
as_of = click.option(
    "--as-of",
    type=click.IntRange(min=0),
    metavar="SNAPSHOT",
    help="See the lake as of this snapshot.",
)
output_format = click.option(
    "--format",
    "-f",
    "shape",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="How rows are written.",
)
