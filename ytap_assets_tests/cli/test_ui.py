"""What of Dagster's console is shown."""

from __future__ import annotations

from ytap_assets.cli.ui import select_lines

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
