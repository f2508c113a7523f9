"""Tables of the trends: observations, stories and ranks."""

from __future__ import annotations

from ytap_assets.tables.base import Bool, Day, Float, Instant, Int, Rows, Table, Text, Texts, column


class RawTrends(Rows):
    """One row per observation of an item in a list. Append-only.

    If an item has several rows for one instant and list, `part` numbers them.
    """

    day: Day = column("The UTC date of the observation.")
    source: Text = column(
        "The source's name: `reddit`, `hn`, `youtube` (charts and searches), `youtube_channel`"
        " (monitored channels), or that of a custom source."
    )
    item_id: Text = column("The item's id on its platform.", str_length={"min_value": 1})
    observed_at: Instant = column(
        "When the item was observed. If an import has only a date: the last second of that day."
    )
    title: Text = column("The title as the platform shows it. Untrusted input.")
    url: Text = column(
        "The page to which the item links; without a link, the item's own page.", null=True
    )
    discussion_url: Text = column("The item's page on its platform.", null=True)
    published_at: Instant = column("When the item was published.", null=True)
    points: Int = column("Upvotes (Reddit) or points (HN).", null=True)
    comments: Int = column(
        "Comments, as counted by the platform.", null=True, expected=(0, 10_000_000)
    )
    likes: Int = column("Likes, as counted by the platform.", null=True, expected=(0, 10**9))
    views: Int = column("Views, as counted by the platform.", null=True, expected=(0, 10**11))
    list_name: Text = column(
        "The list that contained the item: `r/python/hot`, `US/10`; empty in rows older than the"
        " column.",
        default="",
    )
    part: Int = column(
        "0 for the first row of an item, instant and list; 1, 2 ... for later rows with other"
        " values.",
        default=0,
        ge=0,
    )
    rank: Int = column("The item's position in the list; 1 is the top.", null=True)
    region: Text = column(
        "The country of the list, as an ISO 3166 code; null if the list has none.", null=True
    )
    category: Text = column("The subreddit, chart or category of the list.", null=True)
    channel_id: Text = column("The id of the channel that published the item.", null=True)
    channel_title: Text = column("The name of the channel that published the item.", null=True)
    duration_s: Int = column("Length of a video, in seconds.", null=True)
    is_promoted: Bool = column("Whether the item is stickied, pinned or paid for.", null=True)
    collection_id: Text = column("The fetch or import that stored the row; see collection_log.")


class TrendStories(Rows):
    """One row per workspace, day and item: its measures, and the story it belongs to.

    All members of a story are listed, with how each was matched.
    """

    day: Day = column("The UTC date on which the item was observed.")
    source: Text = column("The source's name, such as `reddit`.")
    item_id: Text = column("The item's id on its platform.")
    story_id: Text = column("The story's id, stable across days; see story_aliases.")
    joined_by: Text = column(
        "How the item was matched with the story.",
        isin={
            "first": "the story's first item that day",
            "url": "the same URL as another item",
            "title": "a similar title",
        },
    )
    similarity: Float = column(
        "Similarity of the item's title to the story's titles; 0: none, 1: equal.", null=True
    )
    title: Text = column("The item's title. Untrusted input.")
    canonical_url: Text = column(
        "The item's URL without tracking, mobile and short forms; if it identifies no page, the"
        " discussion's URL, else `source:item_id`."
    )
    url: Text = column("The item's URL as the source gave it.", null=True)
    discussion_url: Text = column("The page of the item's discussion.", null=True)
    category: Text = column("The subreddit, chart or category of the list.", null=True)
    channel_title: Text = column("The name of the channel that published the item.", null=True)
    published_at: Instant = column("When the item was published.", null=True)
    observed_at: Instant = column(
        "Time of the latest observation that counts for the day; one made after the day, or"
        " imported with a date only, is given as the day's last second."
    )
    first_observed_at: Instant = column(
        "When the item was first observed that day; if it was observed only after the day, the"
        " day's last second. Null in rows older than the column.",
        null=True,
    )
    observation_count: Int = column(
        "Number of observations of the item that day.", renamed_from=("looks",), ge=1
    )
    rank: Int = column("The item's position in the list; 1 is the top.", null=True)
    engagement: Float = column(
        "Points + comments; without points likes + comments, without these views / 50"
        " (`scoring.views_per_engagement`).",
        null=True,
    )
    engagement_basis: Text = column(
        "The counts in engagement: `points+comments`, `points`, `likes+comments`, `likes`,"
        " `views/50`, `comments` or `none`."
    )
    hours_old: Float = column(
        "observed_at - published_at, in hours; up to 24 too high if imported with a date only.",
        null=True,
    )
    momentum_basis: Text = column(
        "The count used for ranking: `points`, `views`, `likes` or `comments`; `rank` without a"
        " count or an age, `unknown` without a rank too."
    )
    engagement_per_hour: Float = column(
        "The `momentum_basis` count per hour since publication, for an age of hours_old.",
        null=True,
    )
    gained_per_hour: Float = column(
        "Gain of the `momentum_basis` count per hour between the last two observations; null if"
        " there is only one.",
        null=True,
    )
    velocity: Float = column(
        "engagement_per_hour, reduced if the latest observations show a slower gain.",
        null=True,
        renamed_from=("pace",),
    )
    expected_engagement: Float = column(
        "The projected final `momentum_basis` count, decayed by age.", null=True
    )
    rank_share: Float = column(
        "rank / (length of the list + 1), if rank is used for ranking.", null=True
    )
    engagement_score: Float = column("min(engagement / 1000, 10).")
    recency_score: Float = column("max(0, 10 - hours_old / 2); 0 if published_at is unknown.")
    source_weight: Float = column("The weight of the item's source in the base score.")
    is_spam: Bool = column("Whether the item counts as spam.")
    spam_probability: Float = column(
        "Probability that the item is spam, 0-1, from the rules and the model together.",
        null=True,
    )
    spam_reasons: Texts = column(
        "The spam rules that match, such as `blocklist: free robux`; empty if the item is not spam."
    )
    base_score: Float = column(
        "(engagement + recency) x weight, x 0.1 if spam; 2 decimals. An unknown engagement is 0."
    )


class StoryAliases(Rows):
    """Former ids of stories, with the ids that replaced them.

    An earlier day that is collected later, or a late item, can change a story's id.
    """

    former_story_id: Text = column("A former id; no story of trend_stories has it.")
    story_id: Text = column("The story to which most items of the former story belong now.")
    renamed_at: Instant = column("When the id was last replaced.")


class ScoredTrends(Rows):
    """One row per workspace, day and story: its rank, and every factor of its score."""

    day: Day = column("The UTC date whose stories are ranked.")
    position: Int = column(
        "The story's position in the workspace's day, by final score; 1 is the best.", ge=1
    )
    first_position: Int = column(
        "The story's position when it first appeared in the day's list. Null in rows older than the"
        " column.",
        null=True,
        ge=1,
    )
    first_ranked_at: Instant = column(
        "When the story first appeared in the day's list. Null in rows older than the column.",
        null=True,
    )
    story_id: Text = column("The story's id, stable across days; see story_aliases.")
    title: Text = column(
        "The title of the story's best member, the item with the highest base score. Untrusted"
        " input."
    )
    final_score: Float = column("Momentum x relevance x boost x weights; see docs/scoring.md.")
    momentum: Float = column(
        "The story's counts compared with past items of the same source, 0-10; higher is better:"
        " 1.6 is the median, 4.4 the top 10 %, 6.8 the top 1 %."
    )
    momentum_source: Text = column("The source in which the story's momentum is highest.")
    momentum_basis: Text = column(
        "The count of momentum_source used for ranking: `points`, `views`, `likes` or `comments`;"
        " `rank` without a count or an age, `unknown` without a rank too."
    )
    top_share: Float = column(
        "Share of the past items of momentum_source with the same or a higher hotness, 0-1; lower"
        " is better. See docs/scoring.md.",
        null=True,
    )
    engagement_per_hour: Float = column(
        "The `momentum_basis` count per hour since publication, summed over the story's members in"
        " momentum_source; ages are hours_old in trend_stories.",
        null=True,
    )
    gained_per_hour: Float = column(
        "Gain of the `momentum_basis` count per hour between the last two observations, summed over"
        " the story's members in momentum_source.",
        null=True,
    )
    expected_engagement: Float = column(
        "The projected final `momentum_basis` count, decayed by age, summed over the story's"
        " members in momentum_source.",
        null=True,
    )
    relevance: Float = column(
        "How well the story matches the workspace's topics, 0.5-2; higher is better.",
        ge=0.5,
        le=2,
    )
    relevance_reasons: Texts = column(
        "The workspace's keywords, and its vertical, that occur in the story's titles and"
        " categories."
    )
    is_other_language: Bool = column(
        "Whether every title of the story is clearly in another language than the workspace's."
    )
    cross_source_boost: Float = column(
        "Boost for members on several platforms, from 1 (one platform) to 1.5; members that are"
        " spam do not count.",
        ge=1,
        le=1.5,
    )
    learned_weight: Float = column(
        "Weight learned from the results of published videos about such stories, 0.5-2; 1 is"
        " neutral."
    )
    production_factor: Float = column(
        "0 if a script about the story was already produced by that day, else 1."
    )
    spam_factor: Float = column(
        "`scoring.weights.spam` of the config if every member is spam, else 1."
    )
    reasons: Texts = column("The explanation of the story's position, one text per factor.")
    is_spam: Bool = column("Whether every member is spam.")
    spam_reasons: Texts = column("The spam rules that match the best member, if it counts as spam.")
    base_score: Float = column(
        "The base score of the best member: (engagement + recency) x weight. An unknown"
        " engagement is 0."
    )
    source: Text = column("The source of the best member.")
    item_id: Text = column("The best member's id on its platform.")
    canonical_url: Text = column(
        "The best member's URL without tracking, mobile and short forms; see trend_stories."
    )
    url: Text = column("The best member's URL as the source gave it.", null=True)
    discussion_url: Text = column("The page of the best member's discussion.", null=True)
    published_at: Instant = column("When the best member was published.", null=True)
    observed_at: Instant = column(
        "When the best member was last observed; if that was after the day, or imported with a date"
        " only, the day's last second."
    )
    engagement: Float = column(
        "Points + comments; without points likes + comments, without these views / 50"
        " (`scoring.views_per_engagement`).",
        null=True,
    )
    engagement_basis: Text = column(
        "The counts in engagement: `points+comments`, `points`, `likes+comments`, `likes`,"
        " `views/50`, `comments` or `none`."
    )
    hours_old: Float = column(
        "observed_at - published_at, in hours; up to 24 too high if imported with a date only.",
        null=True,
    )
    engagement_score: Float = column("min(engagement / 1000, 10).")
    recency_score: Float = column("max(0, 10 - hours_old / 2); 0 if published_at is unknown.")
    source_weight: Float = column("The weight of the best member's source in the base score.")
    total_engagement: Float = column(
        "Sum of the engagement of all members.", null=True, renamed_from=("heat",)
    )
    members: Int = column("Number of distinct items of the story that day.", ge=1)
    sources: Texts = column("The sources of the story's members.")


class SourcePerformance(Rows):
    """One row per day and source: its items and stories, and the scripts and videos made of them.

    A script is attributed to the source that showed its topic first. Scripts whose topic was in no
    earlier trend are attributed to `unattributed`.
    """

    day: Day = column("The UTC date that is counted.")
    source: Text = column(
        "The source's name, such as `reddit`; `unattributed` for scripts without an earlier trend."
    )
    observations: Int = column("Number of rows of raw_trends.", ge=0)
    items: Int = column("Number of distinct items.", ge=0)
    spam_items: Int = column("Number of items that are spam; null without items.", null=True, ge=0)
    spam_pct: Float = column(
        "spam_items / items x 100; null without items.", null=True, expected=(0, 100)
    )
    stories: Int = column("Number of stories with at least one item of the source.", ge=0)
    top_ten: Int = column(
        "Number of stories with an item of the source in the day's top ten.", ge=0
    )
    chosen: Int = column(
        "Number of scripts submitted that day that are attributed to the source.", ge=0
    )
    published: Int = column(
        "Number of videos published that day whose script is attributed to the source.", ge=0
    )
    views_gained: Int = column(
        "Views that videos attributed to the source gained that day; a video's first day counts"
        " from 0. Null if unknown.",
        null=True,
    )
    cost_usd_micros: Int = column(
        "Known costs of the published versions of the videos counted in `published`, in"
        " micro-dollars; earlier versions and unpublished videos are not included.",
        null=True,
    )
    revenue_usd_micros: Int = column(
        "Revenue of videos attributed to the source that day, in micro-dollars; always null,"
        " because no revenue is collected.",
        null=True,
    )
    roi_pct: Float = column("(revenue - cost) / cost x 100; null without both.", null=True)
    missing: Texts = column(
        "Why values of the row are null, as texts; null in rows older than the column.", null=True
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
