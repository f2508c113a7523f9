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
