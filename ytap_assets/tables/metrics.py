"""Tables of the metrics of published videos."""

from __future__ import annotations

from ytap_assets.tables.base import Bool, Day, Float, Instant, Int, Rows, Table, Text, column


class VideoMetrics(Rows):
    """One observation of a video's counts on a platform, for a date. Append-only."""

    day: Day = column("The metric date (UTC).")
    platform: Text = column("The platform that returned the counts.")
    video_id: Text = column("The video's id on the platform.")
    observed_at: Instant = column("When the counts were fetched.")
    views: Int = column("Views, cumulative.", null=True, expected=(0, 10**11))
    likes: Int = column("Likes, cumulative.", null=True, expected=(0, 10**10))
    comments: Int = column("Comments, cumulative.", null=True, expected=(0, 10**9))
    engagement_rate_pct: Float = column(
        "(likes + comments + shares) / views x 100; null without views.",
        null=True,
        expected=(0, 100),
    )
    title: Text = column("The title at that time. Untrusted input.", null=True)
    channel_id: Text = column("The channel.", null=True)
    published_at: Instant = column("When it was published, according to the platform.", null=True)
    duration_s: Int = column("Length in seconds.", null=True, expected=(30, 3600))
    is_settled: Bool = column("Whether the platform no longer revises the date (4 days past it).")
    collection_id: Text = column("The entry of collection_log that stored it.")


VIDEO_METRICS = Table(
    name="video_metrics",
    model=VideoMetrics,
    key=("workspace_id", "platform", "video_id", "day", "observed_at"),
    grain="workspace_day",
    mode="append",
    group="metrics",
    sort_by=("day", "video_id"),
    cadence_minutes=60,
    about={"channel": (("channel_id",), "continues"), "video": (("video_id",), "stays")},
)
