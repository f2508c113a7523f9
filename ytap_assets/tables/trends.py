"""Tables of the trends: observations, stories and ranks."""

from __future__ import annotations

from ytap_assets.tables.base import Bool, Day, Float, Instant, Int, Rows, Table, Text, Texts, column


class RawTrends(Rows):
    """One row per observation of an item in a list. Append-only.

    If an item has several rows for one instant and list, `part` numbers them.
    """

    day: Day = column("The UTC date of the observation.")
    source: Text = column("The platform: reddit, hn, youtube, youtube_channel, or another.")
    item_id: Text = column("The item's id on its platform.", str_length={"min_value": 1})
    observed_at: Instant = column(
        "When it was observed. If an import gives only the day: the last second of that day."
    )
    title: Text = column("The title as the platform shows it. Untrusted input.")
    url: Text = column("What the item links to; its own page if it has no link.", null=True)
    discussion_url: Text = column("The item's page on its platform.", null=True)
    published_at: Instant = column("When the item was published.", null=True)
    points: Int = column("Upvotes (Reddit) or points (HN).", null=True)
    comments: Int = column(
        "Comments, as counted by the platform.", null=True, expected=(0, 10_000_000)
    )
    likes: Int = column("Likes, if the platform reports them.", null=True, expected=(0, 10**9))
    views: Int = column("Views.", null=True, expected=(0, 10**11))
    list_name: Text = column(
        "The list it was in: `r/python/hot`, `US/10`; empty in rows older than the column.",
        default="",
    )
    part: Int = column(
        "0 for the first row of an item, instant and list; 1, 2 ... for later rows with other"
        " values.",
        default=0,
        ge=0,
    )
    rank: Int = column("Position in the list; 1 is the top.", null=True)
    region: Text = column("ISO 3166 country of the list, if there is one.", null=True)
    category: Text = column("Subreddit, chart, or category of the list.", null=True)
    channel_id: Text = column("The publishing channel's id.", null=True)
    channel_title: Text = column("The publishing channel's name.", null=True)
    duration_s: Int = column("Length in seconds, for videos.", null=True)
    is_promoted: Bool = column("Stickied, pinned or paid for.", null=True)
    collection_id: Text = column("The entry of collection_log that stored it.")


class TrendStories(Rows):
    """One row per workspace, day and item: its measures, and the story it belongs to.

    All members of a story are listed, with how each was matched.
    """

    day: Day = column("The UTC date.")
    source: Text = column("The platform.")
    item_id: Text = column("The item's id on its platform.")
    story_id: Text = column("The story's id, stable across days; see story_aliases.")
    joined_by: Text = column(
        "How it was matched: the story's `first` item that day, the same `url`, or its `title`.",
        isin=("first", "url", "title"),
    )
    similarity: Float = column("Similarity of its title to the story's titles, 0-1.", null=True)
    title: Text = column("The title. Untrusted input.")
    canonical_url: Text = column(
        "The URL without tracking, mobile and short forms; if it identifies no page, that of the"
        " discussion, else `source:item_id`."
    )
    url: Text = column("The URL as the source gave it.", null=True)
    discussion_url: Text = column("The page of its discussion.", null=True)
    category: Text = column("Subreddit, chart, or category of the list.", null=True)
    channel_title: Text = column("The publishing channel's name.", null=True)
    published_at: Instant = column("When it was published.", null=True)
    observed_at: Instant = column(
        "Time of the latest observation that counts for the day; one made after the day, or"
        " imported with a date only, is given as the day's last second."
    )
    first_observed_at: Instant = column(
        "When it was first observed that day; after the day: its last second. Null in rows older"
        " than the column.",
        null=True,
    )
    observation_count: Int = column(
        "Number of observations that day.", renamed_from=("looks",), ge=1
    )
    rank: Int = column("Position in the list; 1 is the top.", null=True)
    engagement: Float = column(
        "Points + comments; YouTube: likes + comments, else views / 50.", null=True
    )
    engagement_basis: Text = column("What engagement was computed from.")
    hours_old: Float = column(
        "observed_at - published_at, in hours; up to 24 too high if imported with a date only.",
        null=True,
    )
    momentum_basis: Text = column("The count used for ranking, or `rank`, or `unknown`.")
    engagement_per_hour: Float = column(
        "The `momentum_basis` count per hour since publication, for an age of hours_old.",
        null=True,
    )
    gained_per_hour: Float = column(
        "Gain per hour between the last two observations; null if there is only one.", null=True
    )
    velocity: Float = column(
        "engagement_per_hour, reduced if the latest observations show a slower gain.",
        null=True,
        renamed_from=("pace",),
    )
    expected_engagement: Float = column("The projected final count, decayed by age.", null=True)
    rank_share: Float = column(
        "rank / (length of the list + 1), if rank is used for ranking.", null=True
    )
    engagement_score: Float = column("min(engagement / 1000, 10).")
    recency_score: Float = column("max(0, 10 - hours_old / 2); 0 if published_at is unknown.")
    source_weight: Float = column("The weight of the source.")
    is_spam: Bool = column("Whether it counts as spam.")
    spam_probability: Float = column(
        "Probability of spam, 0-1, from the rules and the model together.", null=True
    )
    spam_reasons: Texts = column("The rules that match, if it counts as spam.")
    base_score: Float = column(
        "(engagement + recency) x weight, x 0.1 if spam; 2 decimals. An unknown engagement is 0."
    )


class StoryAliases(Rows):
    """Former ids of stories, with the ids that replaced them.

    An earlier day that is collected later, or a late item, can change a story's id.
    """

    former_story_id: Text = column("A former id; no story of trend_stories has it.")
    story_id: Text = column("The story that most of its items belong to now.")
    renamed_at: Instant = column("When the id was last replaced.")


class ScoredTrends(Rows):
    """One row per workspace, day and story: its rank, and every factor of its score."""

    day: Day = column("The UTC date.")
    position: Int = column("Rank in the workspace's day, by final score; 1 is the best.", ge=1)
    first_position: Int = column(
        "Its rank when it first appeared in the day's list. Null in rows older than the column.",
        null=True,
        ge=1,
    )
    first_ranked_at: Instant = column(
        "When it first appeared there. Null in rows older than the column.",
        null=True,
    )
    story_id: Text = column("The story's id, stable across days; see story_aliases.")
    title: Text = column("The title of its best member. Untrusted input.")
    final_score: Float = column("Momentum x relevance x boost x weights; see docs/scoring.md.")
    momentum: Float = column("Rank of the story compared with past items of its source, 0-10.")
    momentum_source: Text = column("The source in which it ranks highest.")
    momentum_basis: Text = column("The count used for ranking there, or `rank`, or `unknown`.")
    top_share: Float = column(
        "Share of that source's items with the same or a higher hotness (docs/scoring.md).",
        null=True,
    )
    engagement_per_hour: Float = column(
        "The `momentum_basis` count of its members there, per hour since publication; ages are"
        " hours_old in trend_stories.",
        null=True,
    )
    gained_per_hour: Float = column(
        "Their gain per hour between the last two observations.", null=True
    )
    expected_engagement: Float = column("The projected final count, decayed by age.", null=True)
    relevance: Float = column("How well it matches the workspace's topics, 0.5-2.", ge=0.5, le=2)
    relevance_reasons: Texts = column("The workspace's phrases in its titles and categories.")
    is_other_language: Bool = column("Whether every title is clearly in another language.")
    cross_source_boost: Float = column(
        "Boost for members on several platforms, 1-1.5; members that are spam do not count.",
        ge=1,
        le=1.5,
    )
    learned_weight: Float = column("Weight learned from past results of such stories, 0.5-2.")
    production_factor: Float = column("0 if it was already produced by that day, else 1.")
    spam_factor: Float = column("Factor for spam; 1 if the story is not spam.")
    reasons: Texts = column("The explanation of its rank, one line per factor.")
    is_spam: Bool = column("Whether every member is spam.")
    spam_reasons: Texts = column("The spam rules that match its best member.")
    base_score: Float = column(
        "The base score of its best member: (engagement + recency) x weight. An unknown"
        " engagement is 0."
    )
    source: Text = column("The source of its best member.")
    item_id: Text = column("Its id.")
    canonical_url: Text = column("Its URL without tracking, mobile and short forms.")
    url: Text = column("Its URL as the source gave it.", null=True)
    discussion_url: Text = column("The page of its discussion.", null=True)
    published_at: Instant = column("When it was published.", null=True)
    observed_at: Instant = column(
        "When that member was last observed; after the day, or imported with a date only: the day's"
        " last second."
    )
    engagement: Float = column(
        "Points + comments; YouTube: likes + comments, else views / 50.", null=True
    )
    engagement_basis: Text = column("What engagement was computed from.")
    hours_old: Float = column(
        "observed_at - published_at, in hours; up to 24 too high if imported with a date only.",
        null=True,
    )
    engagement_score: Float = column("min(engagement / 1000, 10).")
    recency_score: Float = column("max(0, 10 - hours_old / 2); 0 if published_at is unknown.")
    source_weight: Float = column("The weight of the source.")
    total_engagement: Float = column(
        "Engagement of all members together.", null=True, renamed_from=("heat",)
    )
    members: Int = column("Number of distinct items in the story that day.", ge=1)
    sources: Texts = column("The sources of its members.")


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
        "Known costs of the published versions of the videos published that day, in micro-dollars;"
        " earlier versions and videos that were not published are not included.",
        null=True,
    )
    revenue_usd_micros: Int = column(
        "Revenue of such videos that day, in micro-dollars; null until revenue is collected.",
        null=True,
    )
    roi_pct: Float = column("(revenue - cost) / cost x 100; null without both.", null=True)
    missing: Texts = column(
        "Reasons for null values; null in rows older than the column.", null=True
    )


RAW_TRENDS = Table(
    name="raw_trends",
    model=RawTrends,
    key=("workspace_id", "source", "item_id", "observed_at", "list_name", "part"),
    grain="workspace_day",
    mode="append",
    group="trends",
    sort_by=("day", "source", "item_id"),
    in_parts=True,
    place="rank",
    about={
        "source": (("source",), "stays"),
        "channel": (("channel_id",), "stays"),
        "video": (("item_id",), "stays"),
    },
)
TREND_STORIES = Table(
    name="trend_stories",
    model=TrendStories,
    key=("workspace_id", "day", "source", "item_id"),
    grain="workspace_day",
    mode="derived",
    group="trends",
    sort_by=("day", "story_id", "source"),
    about={"source": (("source",), "stays"), "video": (("item_id",), "stays")},
)
STORY_ALIASES = Table(
    name="story_aliases",
    model=StoryAliases,
    key=("workspace_id", "former_story_id"),
    grain="workspace",
    mode="derived",
    group="trends",
    sort_by=("former_story_id",),
)
SCORED_TRENDS = Table(
    name="scored_trends",
    model=ScoredTrends,
    key=("workspace_id", "day", "story_id"),
    grain="workspace_day",
    mode="derived",
    group="trends",
    sort_by=("day", "position"),
    about={"source": (("source",), "stays"), "video": (("item_id",), "stays")},
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
