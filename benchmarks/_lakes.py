"""A lake of a year: 250 workspaces x 365 days x 20 rows of ``scored_trends``."""

from __future__ import annotations

from _rows import day_after, scored_trends

from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.tables import SCORED_TRENDS

WORKSPACES = 250
DAYS = 365
PER_DAY = 20
_QUARTERS = ((0, 90), (90, 91), (181, 92), (273, 92))
_RUN = Run("benchmark", "benchmark", "publish a year")


def fill_year(lake: Lake) -> None:
    """A commit per quarter, which writes a file per workspace."""
    names = [f"channel-{number:03}" for number in range(WORKSPACES)]
    for first, days in _QUARTERS:
        checked = [
            check_rows(
                SCORED_TRENDS,
                scored_trends(name, days, PER_DAY, first=first),
                Scope(name, day_after(first), day_after(first + days - 1)),
            )
            for name in names
        ]
        with lake.write(_RUN) as transaction:
            transaction.publish_all(checked)
