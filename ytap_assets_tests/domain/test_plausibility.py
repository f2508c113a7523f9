from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.silence import find_silent
from ytap_assets.tables import COLLECTION_LOG

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def log(*looks: tuple[int, str], target: str = "UC1", **changes: Any) -> list[dict[str, Any]]:
    """Looks at a target: how many days ago, and how each ended."""
    return [
        {
            "workspace_id": "tech",
            "source": "youtube_channel",
            "target": target,
            "outcome": outcome,
            "detail": f"{outcome} {ago} days ago",
            "http_status": 404,
            "started_at": NOW - timedelta(days=ago),
            "day": (NOW - timedelta(days=ago)).date(),
            **changes,
        }
        for ago, outcome in looks
    ]


def silent(*looks: dict[str, Any]) -> pl.DataFrame:
    frame = COLLECTION_LOG.frame([*looks])
    return find_silent(frame, asked_since=NOW.date() - timedelta(days=2))


LOST, ODD, WELL = "transient_error", "malformed", "ok"


@pytest.mark.parametrize(
    ("looks", "days"),
    [
        ([(0, LOST)], None),
        ([(1, LOST), (0, LOST)], None),
        ([(2, LOST), (1, ODD), (0, "permanent_error")], 3),
        ([(3, WELL), (2, LOST), (1, LOST), (0, LOST)], 3),
        ([(2, LOST), (1, WELL), (0, LOST)], None),
        ([(2, LOST), (1, "not_modified"), (0, LOST)], None),
        ([(0, LOST), (0, LOST), (0, LOST), (0, LOST)], None),
        ([(4, LOST), (2, LOST), (0, LOST)], 3),
        ([(9, LOST), (5, LOST), (4, LOST), (3, LOST)], None),
        ([(3, LOST), (2, "quota_exhausted"), (1, "disabled"), (0, LOST)], None),
        ([(3, LOST), (2, LOST), (1, LOST), (0, LOST), (0, WELL)], None),
    ],
)
def test_days_in_a_row_without_an_answer_are_counted(
    looks: list[tuple[int, str]], days: int | None
) -> None:
    found = silent(*log(*looks))
    assert found["days"].to_list() == ([] if days is None else [days])


def test_the_last_look_is_told_and_when_it_began() -> None:
    (row,) = silent(*log((2, LOST), (1, LOST), (0, ODD))).iter_rows(named=True)
    assert row == {
        "workspace_id": "tech",
        "source": "youtube_channel",
        "target": "UC1",
        "days": 3,
        "since": NOW.date() - timedelta(days=2),
        "outcome": "malformed",
        "detail": "malformed 0 days ago",
        "http_status": 404,
    }


def test_a_backfill_in_vain_is_one_look() -> None:
    looks = log(*[(0, LOST)] * 30)
    for number, look in enumerate(looks):
        look["day"] = (NOW - timedelta(days=number)).date()
    assert silent(*looks).is_empty()


def test_targets_and_workspaces_are_told_apart() -> None:
    lost = [(2, LOST), (1, LOST), (0, LOST)]
    found = silent(
        *log(*lost, target="UC1"),
        *log((2, LOST), (1, WELL), (0, LOST), target="UC2"),
        *log(*lost, target="UC2", workspace_id="finance"),
        *log((3, LOST), *lost, target="r/gone", source="reddit"),
    )
    assert found.select("workspace_id", "target", "days").rows() == [
        ("tech", "r/gone", 4),
        ("finance", "UC2", 3),
        ("tech", "UC1", 3),
    ]


def test_nothing_was_asked() -> None:
    assert silent().is_empty()
