"""The command line on a temporary installation, in this process."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ytap_assets.cli import app
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.tables import RAW_TRENDS

DAY = date(2026, 11, 20)
_OTHER_SETTINGS = (
    "YTAP_CATALOG",
    "YTAP_DATA_PATH",
    "YTAP_FIRST_DAY",
    "YTAP_SNAPSHOT_DAYS",
    "YTAP_SQL_MEMORY",
    "YTAP_SQL_SECONDS",
    "YTAP_WORKSPACES",
)


@dataclass(frozen=True)
class Ytap:
    """Runs the command line on one data folder, with a lake elsewhere where one is named."""

    data: Path
    transport: str = "replay"
    catalog: Path | None = None
    data_path: Path | None = None
    workspaces: str | None = None

    def __call__(self, *arguments: str | Path, stdin: str | None = None) -> Result:
        environment: dict[str, str | None] = dict.fromkeys(_OTHER_SETTINGS)
        environment |= {"YTAP_DATA": str(self.data), "YTAP_TRANSPORT": self.transport}
        elsewhere = {"YTAP_CATALOG": self.catalog, "YTAP_DATA_PATH": self.data_path}
        environment |= {name: str(path) for name, path in elsewhere.items() if path}
        environment["YTAP_WORKSPACES"] = self.workspaces
        return CliRunner(env=environment).invoke(app, list(map(str, arguments)), input=stdin)

    def ok(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """What a command that must not fail writes."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def refused(self, code: int, *arguments: str | Path, stdin: str | None = None) -> str:
        """The one line in which a command that must fail says why."""
        result = self(*arguments, stdin=stdin)
        assert result.exit_code == code, result.output
        [line] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
        assert "Traceback" not in result.stderr
        return line.removeprefix("error: ")


def trend(workspace_id: str, item_id: str, **changes: Any) -> dict[str, Any]:
    row = {
        "workspace_id": workspace_id,
        "day": DAY,
        "source": "hn",
        "item_id": item_id,
        "observed_at": datetime(2026, 11, 20, 8, 0, tzinfo=UTC),
        "title": f"About {item_id}",
        "points": 120,
        "collection_id": "fetch-1",
    }
    return row | changes


def append_trends(platform: Platform, *rows: dict[str, Any]) -> int:
    """Append rows of one workspace; the snapshot that holds them."""
    frame = RAW_TRENDS.frame(list(rows))
    scope = Scope(rows[0]["workspace_id"])
    with platform.lake.write(Run("run-1", "test", "append")) as transaction:
        transaction.append(check_rows(RAW_TRENDS, frame, scope))
    assert transaction.snapshot_id is not None
    return transaction.snapshot_id


@pytest.fixture
def ytap(settings: Settings) -> Ytap:
    """The command line where there is an empty lake and no workspace; it is the 20th there."""
    (settings.recordings / DAY.isoformat()).mkdir(parents=True)
    return Ytap(settings.data)


@pytest.fixture
def nowhere(tmp_path: Path) -> Ytap:
    """The command line where there is nothing at all."""
    return Ytap(tmp_path / "nothing")
