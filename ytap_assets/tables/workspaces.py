"""Tables of workspaces: their registries, the counts of their videos, the numbers of their reports.

Belongs here: what a workspace has and what came of its videos. Does not belong here: what is
observed on platforms and made of it (`trends`), or the scripts that become videos (`production`).
"""

from __future__ import annotations

from ytap_assets.tables.base import (
    WORKSPACE_ID,
    Bool,
    Bytes,
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

    workspace_id: Text = column(
        "The workspace's id, which is the name of its folder.", str_matches=WORKSPACE_ID
    )
    uid: Text = column(
        "The `uid` of the workspace's config, a ULID; null if the config has none.",
        null=True,
        str_matches=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}$",
    )
    name: Text = column("The workspace's display name.")
    vertical: Text = column("The workspace's subject area, such as `technology`.")
    language: Text = column("The workspace's language, as an ISO 639 code.")
    timezone: Text = column("The workspace's timezone, as an IANA name.")
    status: Text = column(
        "The status in the workspace's config.",
        isin={
            "active": "data is collected and processed",
            "paused": "nothing is collected",
            "archived": "nothing is processed",
        },
    )
    collects: Bool = column(
        "Whether data is collected: the status is active, and `data_collection_enabled` is true."
    )
    first_seen_at: Instant = column("When the workspace was registered in the lake.")
    tone: Text = column("The tone of the scripts: `brand.tone` of the config.", null=True)
    visual_style: Text = column(
        "The look of the videos: `brand.visual_style` of the config.", null=True
    )


class PushedFiles(Rows):
    """Inbox files and facts about videos that were pushed into the lake. Append-only.

    A file is stored in parts, each continuing the one before; a file that was replaced begins a new
    generation. Processes with `YTAP_WORKSPACES=lake` read them in place of the folders' files.
    """

    seq: Int = column("The part's number in the order of commits over all workspaces.", ge=1)
    file: Text = column(
        "The file in the workspace's folder: `config.yaml`; an inbox file, such as"
        " `scripts.jsonl`; or the manifest of a video, `videos/SCRIPT/manifest.json`."
    )
    generation: Int = column(
        "Number of times the file was pushed from its beginning: once at first, and again whenever"
        " it did not continue what was stored.",
        ge=1,
    )
    first_byte: Int = column("The position of the part in the file.", ge=0)
    content: Bytes = column("The bytes of the part. Untrusted input.")
    size_bytes: Int = column("Size of the file up to the end of the part.", ge=0)
    sha256: Text = column("SHA-256 of the file up to the end of the part, in hex.")
    facts: Text = column(
        "Of a manifest, the files that it names, as a JSON object: the sizes and checksums of those"
        " that were found, and why others could not be read. Of an inbox file that could not be"
        " read, the reason. Untrusted input.",
        null=True,
    )
    stamp: Text = column(
        "Device, inode, size and times of an inbox file that was pushed to its end; of a manifest,"
        " a hash of those of the video's files. Otherwise empty."
    )
    modified_at: Instant = column("When an inbox file was last changed.", null=True)
    pushed_at: Instant = column("When the part was pushed.")
    pushed_from: Text = column("The machine and data folder that it was pushed from.")


class PushedConfigs(PushedFiles):
    """Every version of a workspace's config that was pushed into the lake. Append-only.

    Processes with `YTAP_WORKSPACES=lake` read the newest ones in place of the folders' configs.
    """


class Channels(Rows):
    """The workspace's own and monitored channels, from its config."""

    channel_id: Text = column(
        "The YouTube id of the channel.", str_matches=r"^UC[A-Za-z0-9_-]{22}$"
    )
    title: Text = column("The channel's display name in the config.", null=True)
    is_own: Bool = column(
        "Whether the workspace publishes on the channel (true) or monitors it (false)."
    )
    status: Text = column(
        "The status in the config. A monitored channel is collected while it is active.",
        isin=("active", "paused", "archived"),
    )


class Accounts(Rows):
    """The workspace's accounts on platforms, from its config."""

    platform: Text = column("The platform's name: `youtube`, `instagram`, `mastodon` ...")
    handle: Text = column("The account's handle on the platform.")
    credential_ref: Text = column(
        "The name of the environment variable that contains the account's secret.", null=True
    )
    has_consent: Bool = column("Whether the account's owner consented to the collection.")
    is_enabled: Bool = column("Whether the account's metrics may be collected.")


class Videos(Rows):
    """The videos a workspace published, from the production log."""

    video_id: Text = column("The video's YouTube id.", str_matches=r"^[A-Za-z0-9_-]{11}$")
    script_id: Text = column("The id of the script of the video.")
    channel_id: Text = column("The id of the channel on which it was published.", null=True)
    title: Text = column("The script's title. Untrusted input.", null=True)
    generation_method: Text = column(
        "The `generation_method` of the script, such as `animation`.", null=True
    )
    published_at: Instant = column("When the video was published.", null=True)


class VideoMetrics(Rows):
    """One observation of a video's counts on a platform, for a date. Append-only."""

    day: Day = column("The UTC date that the counts are for.")
    platform: Text = column("The platform that returned the counts: `youtube`.")
    video_id: Text = column("The video's id on the platform.")
    observed_at: Instant = column("When the counts were fetched.")
    views: Int = column("Views since publication.", null=True, expected=(0, 10**11))
    likes: Int = column("Likes since publication.", null=True, expected=(0, 10**10))
    comments: Int = column("Comments since publication.", null=True, expected=(0, 10**9))
    engagement_rate_pct: Float = column(
        "(likes + comments + shares) / views x 100; null without views or likes.",
        null=True,
        expected=(0, 100),
    )
    title: Text = column(
        "The video's title when the counts were fetched. Untrusted input.", null=True
    )
    channel_id: Text = column("The id of the video's channel.", null=True)
    published_at: Instant = column(
        "When the video was published, according to the platform.", null=True
    )
    duration_s: Int = column("Length of the video, in seconds.", null=True, expected=(30, 3600))
    is_settled: Bool = column(
        "Whether the counts of the date are final: it is at least 4 days in the past, and the"
        " platform no longer revises them."
    )
    collection_id: Text = column("The fetch that returned the counts; see collection_log.")


class WorkspaceReports(Rows):
    """One row per workspace and day: the numbers of its report, and the path of the file."""

    day: Day = column("The UTC date that the report is about.")
    report_path: Text = column(
        "The path of the HTML file, relative to YTAP_FILES, by default the data folder."
    )
    snapshot_id: Int = column("The snapshot of the lake from which the report was generated.")
    generated_at: Instant = column("When the report was generated.")
    trends_observed: Int = column("Number of rows of raw_trends that day.", ge=0)
    stories: Int = column("Number of stories in scored_trends that day.", ge=0)
    stories_spam: Int = column("Number of stories of the day that are spam.", ge=0)
    top_title: Text = column(
        "The title of the story at the first position. Untrusted input.", null=True
    )
    top_score: Float = column("The final score of the story at the first position.", null=True)
    scripts_waiting: Int = column(
        "Number of scripts in one of the two review states at the end of the day.", ge=0
    )
    scripts_in_production: Int = column(
        "Number of scripts in one of the four states before publication at the end of the day.",
        ge=0,
    )
    videos_published: Int = column("Number of videos published that day.", ge=0)
    views: Int = column(
        "Total views of the workspace's videos, by their latest counts up to that day.", null=True
    )
    views_gained: Int = column(
        "Views gained since the previous day, of videos with counts on both days; a video's first"
        " day counts from 0.",
        null=True,
    )
    engagement_rate_pct: Float = column(
        "Mean engagement rate of the workspace's videos, by their latest counts up to that day;"
        " rates above 100 are not included.",
        null=True,
        expected=(0, 100),
    )
    fetches: Int = column("Number of rows of collection_log that day.", ge=0)
    fetches_failed: Int = column("Number of fetches of the day that failed.", ge=0)
    rows_quarantined: Int = column("Number of rows of quarantined_rows that day.", ge=0)
    missing: Texts = column("The data that is stale, failed or missing in the report, as texts.")


WORKSPACES = Table(
    name="workspaces",
    model=Workspaces,
    key=("workspace_id",),
    grain="workspace",
    mode="derived",
    group="registries",
    sort_by=("uid",),
)
PUSHED_FILES = Table(
    name="pushed_files",
    model=PushedFiles,
    key=("workspace_id", "file", "generation", "first_byte"),
    grain="workspace",
    mode="append",
    group="registries",
    sort_by=("file", "seq"),
    sequenced=True,
)
PUSHED_CONFIGS = Table(
    name="pushed_configs",
    model=PushedConfigs,
    key=("workspace_id", "file", "generation", "first_byte"),
    grain="workspace",
    mode="append",
    group="registries",
    sort_by=("seq",),
    sequenced=True,
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
    about={
        "script": (("script_id",), "stays"),
        "channel": (("channel_id",), "continues"),
        "video": (("video_id",), "stays"),
    },
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
