"""What a day looked like: the numbers of `workspace_reports`, and everything its page shows.

Belongs here: counting, comparing and naming what is missing, on frames. Does not belong here:
reading the lake (`operations`), or how a page looks (`reports`).

- ``inputs``     the frames a report is made from.
- ``trends``     stories, spam, the best of the day.
- ``production`` where every script stood at the end of a day.
- ``metrics``    views and engagement as known on a day.
- ``collection`` fetches: how they went, by source.
- ``missing``    what is stale, failed or missing, in words.
- ``summary``    one row of numbers per day: `summarize_days`.
- ``records``    what a page is made of: `ReportDay`.
- ``pages``      one `ReportDay` per day: `report_days`.
"""

from __future__ import annotations

from ytap_assets.domain.reporting.inputs import INPUT_COLUMNS, ReportInputs
from ytap_assets.domain.reporting.pages import report_days
from ytap_assets.domain.reporting.records import Edition, ReportDay
from ytap_assets.domain.reporting.summary import summarize_days

__all__ = [
    "INPUT_COLUMNS",
    "Edition",
    "ReportDay",
    "ReportInputs",
    "report_days",
    "summarize_days",
]
