"""Tables about the sources: their coverage and their performance."""

from __future__ import annotations

from typing import Literal, get_args

from ytap_assets.tables.base import Day, Float, Instant, Int, Rows, Table, Text, Texts, column
from ytap_assets.tables.evidence import HISTORIES

CoverageState = Literal[
    "answered", "imported", "open", "healable", "disabled", "unrecoverable", "not_recorded"
]
COVERAGE_STATES: tuple[CoverageState, ...] = get_args(CoverageState)
"""``answered``: the source responded at least once. ``imported``: files contain rows of that day.
``open``: no response yet, and the day is not over. ``healable``: no response, but the source can
still return that day. ``disabled``: a key is missing. ``unrecoverable``: the day is over, and the
source returns only the present, or the config no longer includes the target. ``not_recorded``: a
replay without a recording for it."""


class CollectionCoverage(Rows):
    """One row per day and target of a source: whether the day was collected, or still can be."""

    day: Day = column("The UTC date.")
    source: Text = column("The platform.")
    target: Text = column("A subreddit, a chart, a channel ...; `files` for what was imported.")
    history: Text = column("What the source returns for past days.", isin=HISTORIES)
    state: Text = column("The state of the day for this target.", isin=COVERAGE_STATES)
    outcome: Text = column("The outcome of the last fetch; null if there was none.", null=True)
    detail: Text = column("The error of the last fetch, or what is incomplete.", null=True)
    fetches: Int = column("Number of fetches for the day.", ge=0)
    rows: Int = column("Rows fetched for the day, including rows that were already stored.", ge=0)
    answered_at: Instant = column("When a fetch for the day last succeeded.", null=True)


class SourcePerformance(Rows):
    """One row per day and source: its items and stories, and the scripts and videos made of them.

    A script is attributed to the source that showed its topic first. Scripts whose topic was in no
    earlier trend are attributed to `unattributed`.
    """

    day: Day = column("The UTC date.")
    source: Text = column("The platform, or `unattributed`.")
    observations: Int = column("Rows of raw_trends.", ge=0)
    items: Int = column("Distinct items.", ge=0)
    spam_items: Int = column("How many of them are spam; null without items.", null=True, ge=0)
    spam_pct: Float = column(
        "spam_items / items x 100; null without items.", null=True, expected=(0, 100)
    )
    stories: Int = column("Stories with at least one of its items.", ge=0)
    top_ten: Int = column("How many of them are in the day's top ten.", ge=0)
    chosen: Int = column("Scripts submitted that day whose topic it showed first.", ge=0)
    published: Int = column("Videos of such scripts published that day.", ge=0)
    views_gained: Int = column(
        "Views such videos gained that day, from 0 on their first day; null if unknown.",
        null=True,
    )
    cost_usd_micros: Int = column(
        "Known costs of the videos published that day, in micro-dollars.", null=True
    )
    revenue_usd_micros: Int = column(
        "Revenue of such videos that day, in micro-dollars; null until revenue is collected.",
        null=True,
    )
    roi_pct: Float = column("(revenue - cost) / cost x 100; null without both.", null=True)
    missing: Texts = column(
        "Reasons for null values; null in rows older than the column.", null=True
    )


COLLECTION_COVERAGE = Table(
    name="collection_coverage",
    model=CollectionCoverage,
    key=("workspace_id", "day", "source", "target"),
    grain="workspace_day",
    mode="derived",
    group="evidence",
    sort_by=("day", "source", "target"),
    about={"source": (("source",), "stays"), "channel": (("target",), "stays")},
)
SOURCE_PERFORMANCE = Table(
    name="source_performance",
    model=SourcePerformance,
    key=("workspace_id", "day", "source"),
    grain="workspace_day",
    mode="derived",
    group="trends",
    sort_by=("day", "source"),
    about={"source": (("source",), "stays")},
)
