"""The installation's settings, from the environment."""

from __future__ import annotations

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.settings import Settings


@pytest.mark.parametrize("text", ["0", "-1", "36501", "1e3", "9" * 5000, "٣", "ten"])
def test_snapshots_are_kept_for_a_number_of_days_that_can_be(text: str) -> None:
    with pytest.raises(ConfigError, match=r"YTAP_SNAPSHOT_DAYS=.*from 1 to 36500"):
        Settings.from_env({"YTAP_SNAPSHOT_DAYS": text})


@pytest.mark.parametrize(("text", "days"), [("", 30), ("1", 1), ("36500", 36_500)])
def test_snapshots_are_kept_for_thirty_days_by_default(text: str, days: int) -> None:
    assert Settings.from_env({"YTAP_SNAPSHOT_DAYS": text}).snapshot_days == days


@pytest.mark.parametrize("text", ["0", "-1", "86401", "1.5", "9" * 5000, "\u0663", "ten", "5m"])
def test_statements_run_for_a_number_of_seconds_that_can_be(text: str) -> None:
    with pytest.raises(ConfigError, match=r"YTAP_SQL_SECONDS=.*from 1 to 86400"):
        Settings.from_env({"YTAP_SQL_SECONDS": text})


@pytest.mark.parametrize(("text", "seconds"), [("", 300), ("1", 1), ("86400", 86_400)])
def test_statements_run_for_five_minutes_by_default(text: str, seconds: int) -> None:
    assert Settings.from_env({"YTAP_SQL_SECONDS": text}).sql_seconds == seconds


@pytest.mark.parametrize(
    "text", ["0", "2", "63MiB", "0GiB", "-1GiB", "2GB", "1.5GiB", "2gib", "\u0662GiB", "9" * 5000]
)
def test_statements_take_a_size_of_memory_that_can_be(text: str) -> None:
    with pytest.raises(ConfigError, match=r"YTAP_SQL_MEMORY=.*such as 512MiB or 2GiB"):
        Settings.from_env({"YTAP_SQL_MEMORY": text})


@pytest.mark.parametrize(
    ("text", "size"), [("", None), ("64MiB", 64 * 1024**2), ("3 GiB", 3 * 1024**3)]
)
def test_statements_take_what_the_machine_gives_by_default(text: str, size: int | None) -> None:
    assert Settings.from_env({"YTAP_SQL_MEMORY": text}).sql_memory == size
