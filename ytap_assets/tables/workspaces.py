"""Registries: the workspaces, and the channels, accounts and videos of each."""

from __future__ import annotations

from ytap_assets.tables.base import Bool, Instant, Rows, Table, Text, column


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
