"""Tables of the reports: the numbers in each report."""

from __future__ import annotations

from ytap_assets.tables.base import Day, Float, Instant, Int, Rows, Table, Text, Texts, column


class WorkspaceReports(Rows):
    """One row per workspace and day: the numbers of its report, and the path of the file."""

    day: Day = column("The UTC date.")
    report_path: Text = column("The HTML file, relative to the data folder.")
    snapshot_id: Int = column("The snapshot of the lake that it was generated from.")
    generated_at: Instant = column("When it was generated.")
    trends_observed: Int = column("Rows of raw_trends that day.", ge=0)
    stories: Int = column("Stories scored that day.", ge=0)
    stories_spam: Int = column("How many of them are spam.", ge=0)
    top_title: Text = column("The day's best story. Untrusted input.", null=True)
    top_score: Float = column("Its final score.", null=True)
    scripts_waiting: Int = column("Scripts waiting for a person at the end of the day.", ge=0)
    scripts_in_production: Int = column("Scripts in any of the four states.", ge=0)
    videos_published: Int = column("Videos published that day.", ge=0)
    views: Int = column(
        "Views of the workspace's videos, by the latest counts of that day.", null=True
    )
    views_gained: Int = column(
        "Views gained since the previous day, if both are known; a video's first day from 0.",
        null=True,
    )
    engagement_rate_pct: Float = column(
        "Mean engagement of those videos.", null=True, expected=(0, 100)
    )
    fetches: Int = column("Fetches that day.", ge=0)
    fetches_failed: Int = column("How many of them failed.", ge=0)
    rows_quarantined: Int = column("Rows quarantined that day.", ge=0)
    missing: Texts = column("What is stale, failed or missing in the report.")


WORKSPACE_REPORTS = Table(
    name="workspace_reports",
    model=WorkspaceReports,
    key=("workspace_id", "day"),
    grain="workspace_day",
    mode="derived",
    group="reports",
    sort_by=("day",),
)
