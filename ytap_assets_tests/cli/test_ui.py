"""What of Dagster's console is shown."""

from __future__ import annotations

import os
import subprocess
import sys

from ytap_assets.cli.ui import select_lines
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets_tests.cli.conftest import Ytap

SENSOR = "2026-11-20 09:00:00 +0000 - dagster.daemon.SensorDaemon"
RUN = "2026-11-20 09:00:00 +0000 - dagster - DEBUG - daily_collection - 0f0e8f6e - 12"


def shown(*lines: str) -> list[str]:
    return list(select_lines(lines))


def test_ticks_and_steps_are_left_out() -> None:
    assert (
        shown(
            f"{SENSOR} - INFO - Checking for new runs for sensor: clear_videos",
            f"{SENSOR} - INFO - Sensor clear_videos skipped: no script can be promoted",
            "a second line of the reason",
            f"{RUN} - raw_trends - STEP_START - Started execution of step",
        )
        == []
    )


def test_runs_that_start_and_end_warnings_and_errors_with_their_tracebacks_are_shown() -> None:
    lines = [
        "Traceback (most recent call last):",
        f"{RUN} - RUN_START - Started execution of run",
        f"{RUN} - RUN_SUCCESS - Finished execution of run",
        f"{SENSOR} - WARNING - workspace 'tech' could not be looked at",
        f"{SENSOR} - \x1b[31mERROR\x1b[0m - it failed",
        "Traceback (most recent call last):",
        "  ValueError: INFO",
        "2026-11-20 09:00:00 +0000 - dagster-webserver - INFO - Serving dagster-webserver on http",
    ]
    noise = f"{SENSOR} - INFO - Checking for new runs for sensor: clear_videos"

    assert shown(*lines, noise) == lines


def test_errors_outside_of_a_record_are_shown_after_one_that_is_left_out() -> None:
    noise = f"{SENSOR} - INFO - Checking for new runs for sensor: clear_videos"
    bind = "\x1b[31mERROR\x1b[0m:    [Errno 98] address already in use"
    lines = [
        "Traceback (most recent call last):",
        '  File "cli.py", line 1, in <module>',
        "    main()",
        "ValueError: no",
    ]

    assert shown(noise, bind) == [bind]
    assert shown(noise, "INFO:     Started server process", *lines) == lines
    assert shown(noise, "SystemError: no") == ["SystemError: no"]
    # Several processes write to one console.
    assert shown(noise, *lines[:2], noise, *lines[2:], noise, "the reason of the last") == lines


def test_a_failure_is_shown_without_its_stack_trace() -> None:
    record = f"{RUN} - STEP_FAILURE - Execution of step failed.".replace("DEBUG", "ERROR")
    reason = ["dagster._core.definitions.events.Failure: workspace 'gaming' does not exist", ""]
    trace = ["Stack Trace:", '  File "execute_plan.py", line 243, in sequence', "    yield", ""]
    other = "ValueError: no"

    assert shown(record, *reason, *trace, record, *reason) == [record, *reason] * 2
    assert shown(record, other, *trace) == [record, other, *trace]


# The port is taken by the process itself: sockets are blocked in this one.
OCCUPIED = """
import socket, sys
from ytap_assets.cli import main
other = socket.create_server(("127.0.0.1", 0))
port = str(other.getsockname()[1])
print(port, flush=True)
sys.argv = ["ytap", "ui", "--port", port]
main()
"""


def test_a_port_in_use_is_said_before_anything_is_started(
    platform: Platform, settings: Settings
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OCCUPIED],
        env={**os.environ, "YTAP_DATA": str(settings.data), "YTAP_TRANSPORT": "replay"},
        capture_output=True,
        text=True,
        check=False,
    )

    port = done.stdout.strip()
    assert done.returncode == 2, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: port {port} of 127.0.0.1 is in use")
    assert "--port N" in line
    assert not settings.transport_file.exists()
    assert not settings.dagster_home.exists()


def test_nothing_is_started_where_there_is_neither_a_lake_nor_a_workspace(nowhere: Ytap) -> None:
    assert "check YTAP_DATA" in nowhere.refused(1, "ui")
    assert not nowhere.data.exists()


WRITES = """
import os, sys
from ytap_assets.cli.ui import _filter_output
_filter_output()
code = "import sys; print(sys.argv[1]); print(sys.argv[2], file=sys.stderr); print(sys.argv[3])"
os.execv(sys.executable, [sys.executable, "-c", code, *sys.argv[1:]])
"""


def test_what_takes_the_place_of_the_process_is_filtered_too() -> None:
    lines = [
        f"{RUN} - RUN_START - Started execution of run",
        f"{SENSOR} - INFO - Checking for new runs for sensor: clear_videos",
        f"{SENSOR} - ERROR - it failed",
    ]
    done = subprocess.run(
        [sys.executable, "-c", WRITES, *lines], capture_output=True, text=True, check=True
    )

    assert set(done.stdout.splitlines()) == {lines[0], lines[2]}
    assert done.stderr == ""
