"""Tables about the sources: what they could answer, and what came of what they brought."""

from __future__ import annotations

from typing import Literal, get_args

from ytap_assets.tables.base import Day, Float, Instant, Int, Rows, Table, Text, Texts, column
from ytap_assets.tables.evidence import HISTORIES

CoverageState = Literal[
    "answered", "imported", "open", "healable", "disabled", "unrecoverable", "not_recorded"
]
COVERAGE_STATES: tuple[CoverageState, ...] = get_args(CoverageState)
"""``answered``: the source did, at least once. ``imported``: files tell of that day. ``open``: the
day is not over, ask again. ``healable``: not answered, but the source can still be asked for that
day. ``disabled``: a key is missing. ``unrecoverable``: the day is over, and the source only shows
the present, or the config wants it no more. ``not_recorded``: a replay, and the recordings hold
nothing."""


class CollectionCoverage(Rows):
    """One row per day and target of a source: whether the day was collected, or still can be."""

    day: Day = column("The UTC date.")
    source: Text = column("The platform.")
    target: Text = column("A subreddit, a chart, a channel ...; `files` for what was imported.")
    history: Text = column("What the source can answer for past days.", isin=HISTORIES)
    state: Text = column("The state of the day for this target.", isin=COVERAGE_STATES)
    outcome: Text = column("How the last fetch ended; null where none was made.", null=True)
    detail: Text = column("What went wrong in the last fetch, or what is incomplete.", null=True)
    fetches: Int = column("How often it was asked about the day.", ge=0)
    rows: Int = column("Rows fetched for the day, including rows that were already stored.", ge=0)
    answered_at: Instant = column("When it last answered for the day.", null=True)


class SourcePerformance(Rows):
    """One row per day and source: its items and stories, and the scripts and videos made of them.

    A script counts for the source that showed its topic first. Scripts whose topic was in no
    earlier trend count for the source `unattributed`.
    """

    day: Day = column("The UTC date.")
    source: Text = column("The platform, or `unattributed`.")
    observations: Int = column("Rows of raw_trends.", ge=0)
    items: Int = column("Distinct items.", ge=0)
    spam_items: Int = column("Of them, spam; null without items.", null=True, ge=0)
    spam_pct: Float = column(
        "spam_items / items x 100; null without items.", null=True, expected=(0, 100)
    )
    stories: Int = column("Stories with at least one of its items.", ge=0)
    top_ten: Int = column("Of them, among the day's ten best.", ge=0)
    chosen: Int = column("Scripts submitted that day whose topic it showed first.", ge=0)
    published: Int = column("Videos of such scripts published that day.", ge=0)
    views_gained: Int = column(
        "Views such videos gained that day, from 0 on their first; null where none is known.",
        null=True,
    )
    cost_usd_micros: Int = column(
        "What the videos published that day cost, in micro-dollars, where known.", null=True
    )
    revenue_usd_micros: Int = column(
        "What such videos earned that day, in micro-dollars; unknown until revenue is counted.",
        null=True,
    )
    roi_pct: Float = column("(revenue - cost) / cost x 100; null without both.", null=True)
    missing: Texts = column("Why values are null; null in rows older than the column.", null=True)


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
