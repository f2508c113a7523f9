"""The time until the command line responds, compared with the libraries that it is built on.

Every command is started in a new process. The commands run in turn, so that a busy machine slows
all of them alike; medians are compared. The last line is one JSON object.

    python benchmarks/startup.py [DATA_FOLDER]

The data folder is used if it has a lake with the workspace `tech`; otherwise an empty lake is
created in a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from _report import finish, median_ms, print_table, read_arguments, take_turns, temporary_folder

BIN = Path(sys.executable).parent
BASE = "import duckdb"
RUNS = 15
COMMANDS: dict[str, list[str]] = {
    BASE: [sys.executable, "-c", "import duckdb"],
    "ytap --help": [str(BIN / "ytap"), "--help"],
    "ytap sql": [str(BIN / "ytap"), "sql", "select 1"],
    "ytap sql --workspace": [
        str(BIN / "ytap"),
        "sql",
        "select count(*) from raw_trends",
        "--workspace",
        "tech",
    ],
    "dagster --version": [sys.executable, "-m", "dagster", "--version"],
}
LIMITS = {"ytap --help": 2.0, "ytap sql": 4.0}
_MAKE = """
from ytap_assets.operations.platform import Platform
from ytap_assets.workspaces import Workspace
platform = Platform.from_env()
platform.workspaces.save(Workspace(workspace_id="tech", name="Tech", vertical="technology"))
platform.lake.close()
"""


def main() -> int:
    """Measure, print a table and one JSON object."""
    data = read_arguments(__doc__)
    with temporary_folder() as folder:
        environment = {**os.environ, "YTAP_DATA": str(pick_data(data, folder))}
        times = take_turns(
            {name: partial(start, command, environment) for name, command in COMMANDS.items()}, RUNS
        )
    medians = {name: median_ms(values) for name, values in times.items()}
    ratios = {name: round(median / medians[BASE], 2) for name, median in medians.items()}
    print_table(
        f"median of {RUNS} starts, ms",
        ["", "median", "fastest", f"to {BASE}", "limit"],
        [
            [name, medians[name], f"{min(values) * 1000:.2f}", ratios[name], LIMITS.get(name, "")]
            for name, values in times.items()
        ],
    )
    held = {f"{name} within {limit:g}x": ratios[name] <= limit for name, limit in LIMITS.items()}
    return finish("startup", {"median_ms": medians, f"ratio to {BASE}": ratios}, held)


def pick_data(given: Path, folder: Path) -> Path:
    """The given data folder if it has a lake, otherwise a new one with an empty lake."""
    if (given / "lake" / "catalog.sqlite").is_file():
        return given.absolute()
    environment = {**os.environ, "YTAP_DATA": str(folder)}
    for name in ("YTAP_CATALOG", "YTAP_DATA_PATH"):
        environment.pop(name, None)
    subprocess.run([sys.executable, "-c", _MAKE], env=environment, check=True)
    return folder


def start(command: list[str], environment: dict[str, str]) -> None:
    """Run a command until it ends."""
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    sys.exit(main())
