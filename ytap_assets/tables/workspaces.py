"""Tables of workspaces: their registries, the counts of their videos, the numbers of their reports.

Belongs here: what a workspace has and what came of its videos. Does not belong here: what is
observed on platforms and made of it (`trends`), or the scripts that become videos (`production`).
"""

from __future__ import annotations

from ytap_assets.tables.base import (
    Bool,
    Day,
    Float,
    Instant,
    Int,
    Rows,
    Table,
    Text,
    Texts,
    column,
)


class Workspaces(Rows):
    """One row per workspace of the lake, with the uid that identifies it.

    A workspace is registered before its first row is written.
    """

    uid: Text = column(
        "The identity in the workspace's config, a ULID; null if it has none.",
        null=True,
        str_matches=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$",
    )
    name: Text = column("The display name.")
    vertical: Text = column("Its subject area.")
    language: Text = column("Its language.")
    timezone: Text = column("Its timezone, an IANA name.")
    status: Text = column("active, paused or archived.", isin=("active", "paused", "archived"))
    collects: Bool = column("Whether data is collected for it.")
    first_seen_at: Instant = column("When it was registered.")
    tone: Text = column("The tone of its scripts.", null=True)
    visual_style: Text = column("The visual style of its videos.", null=True)


class Channels(Rows):
    """The workspace's own and monitored channels, from its config."""

    channel_id: Text = column("The YouTube channel id.", str_matches=r"^UC[A-Za-z0-9_-]{22}$")
    title: Text = column("The channel's name.", null=True)
    is_own: Bool = column("Own channel (true) or monitored (false).")
    status: Text = column("active, paused or archived.", isin=("active", "paused", "archived"))


class Accounts(Rows):
    """The workspace's accounts on platforms, from its config."""

    platform: Text = column("youtube, instagram, mastodon ...")
    handle: Text = column("The account's name on its platform.")
    credential_ref: Text = column(
        "The name of the environment variable that holds the secret.", null=True
    )
    has_consent: Bool = column("Whether the owner consented to the collection.")
    is_enabled: Bool = column("Whether its metrics may be collected.")


class Videos(Rows):
    """The videos a workspace published, from the production log."""

    video_id: Text = column("The YouTube id.", str_matches=r"^[A-Za-z0-9_-]{11}$")
    script_id: Text = column("The script it was made from.")
    channel_id: Text = column("The channel it is on.", null=True)
    title: Text = column("The script's title. Untrusted input.", null=True)
    generation_method: Text = column("How it was made.", null=True)
    published_at: Instant = column("When it was published.", null=True)


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


WORKSPACES = Table(
    name="workspaces",
    model=Workspaces,
    key=("workspace_id",),
    grain="workspace",
    mode="derived",
    group="registries",
    sort_by=("uid",),
)
CHANNELS = Table(
    name="channels",
    model=Channels,
    key=("workspace_id", "channel_id"),
    grain="workspace",
    mode="derived",
    group="registries",
    sort_by=("channel_id",),
    about={"channel": (("channel_id",), "follows")},
)
ACCOUNTS = Table(
    name="accounts",
    model=Accounts,
    key=("workspace_id", "platform", "handle"),
    grain="workspace",
    mode="derived",
    group="registries",
    sort_by=("platform", "handle"),
    about={"account": (("platform", "handle"), "follows")},
)
VIDEOS = Table(
    name="videos",
    model=Videos,
    key=("workspace_id", "video_id"),
    grain="workspace",
    mode="derived",
    group="registries",
    sort_by=("video_id",),
    about={"channel": (("channel_id",), "continues"), "video": (("video_id",), "stays")},
)
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
WORKSPACE_REPORTS = Table(
    name="workspace_reports",
    model=WorkspaceReports,
    key=("workspace_id", "day"),
    grain="workspace_day",
    mode="derived",
    group="reports",
    sort_by=("day",),
)
