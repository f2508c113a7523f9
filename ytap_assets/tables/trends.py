"""Tables of the trends: what was seen, and how it ranks."""

from __future__ import annotations

from ytap_assets.tables.base import Bool, Day, Float, Instant, Int, Rows, Table, Text, Texts, column

SOURCES = ("reddit", "hn", "youtube", "youtube_channel")
"""``youtube`` is charts and search; ``youtube_channel`` is monitored channels."""


class RawTrends(Rows):
    """One observation of one item that a source showed a workspace. Append-only."""

    day: Day = column("The UTC date the observation speaks of.")
    source: Text = column("The platform: reddit, hn, youtube, youtube_channel, or another.")
    item_id: Text = column("The item's id on its platform.", str_length={"min_value": 1})
    observed_at: Instant = column(
        "When we looked. An import known only to the day: its last second."
    )
    title: Text = column("The title as the platform gave it, entities decoded. Hostile input.")
    url: Text = column("What the item links to; its own page where it links to nothing.", null=True)
    discussion_url: Text = column("The item's page on its platform.", null=True)
    published_at: Instant = column("When the item was published.", null=True)
    points: Int = column("Upvotes (Reddit) or points (HN).", null=True)
    comments: Int = column(
        "Comments, as counted by the platform.", null=True, expected=(0, 10_000_000)
    )
    likes: Int = column("Likes, where the platform tells them.", null=True, expected=(0, 10**9))
    views: Int = column("Views.", null=True, expected=(0, 10**11))
    rank: Int = column("Position in the list it was seen in; 1 is the top.", null=True)
    region: Text = column("ISO 3166 country of the list, where there is one.", null=True)
    category: Text = column("Subreddit, chart, or category of the list.", null=True)
    channel_id: Text = column("The publishing channel's id.", null=True)
    channel_title: Text = column("The publishing channel's name.", null=True)
    duration_s: Int = column("Length in seconds, for videos.", null=True)
    is_promoted: Bool = column("Stickied, pinned or paid for.", null=True)
    collection_id: Text = column("The entry of collection_log that brought it.")


class ScoredTrends(Rows):
    """One row per workspace, day and story: the base score, its parts, what speaks against it."""

    day: Day = column("The UTC date.")
    story_id: Text = column("Names the story; the same from day to day.")
    source: Text = column("Where its best-scoring member was seen.")
    item_id: Text = column("The id of its best-scoring member.")
    title: Text = column("The title of its best-scoring member. Hostile input.")
    canonical_url: Text = column("The URL without tracking, mobile and short forms.")
    url: Text = column("The URL as the source gave it.", null=True)
    discussion_url: Text = column("Where it is discussed.", null=True)
    published_at: Instant = column("When its best-scoring member was published.", null=True)
    observed_at: Instant = column(
        "When that member was last observed; after the day: the day's last second."
    )
    engagement: Float = column(
        "Points + comments; YouTube: likes + comments, else views / 50.", null=True
    )
    engagement_basis: Text = column("What engagement was computed from.")
    hours_old: Float = column("observed_at - published_at, in hours.", null=True)
    engagement_score: Float = column("min(engagement / 1000, 10).")
    recency_score: Float = column("max(0, 10 - hours_old / 2); 0 where published_at is unknown.")
    source_weight: Float = column("The weight of the source.")
    is_spam: Bool = column("Whether a spam rule caught it.")
    spam_reasons: Texts = column("The rules that caught it.")
    base_score: Float = column("(engagement + recency) x weight, x 0.1 if spam; 2 decimals.")
    position: Int = column("Rank in the workspace's day; 1 is the best.", ge=1)
    members: Int = column("How many distinct items tell the story that day.", ge=1)
    sources: Texts = column("The platforms it was seen on.")


RAW_TRENDS = Table(
    name="raw_trends",
    model=RawTrends,
    key=("workspace_id", "source", "item_id", "observed_at"),
    grain="workspace_day",
    mode="append",
    group="trends",
    sort_by=("day", "source", "item_id"),
)
SCORED_TRENDS = Table(
    name="scored_trends",
    model=ScoredTrends,
    key=("workspace_id", "day", "story_id"),
    grain="workspace_day",
    mode="derived",
    group="trends",
    sort_by=("day", "position"),
)
