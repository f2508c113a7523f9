"""What is stale, failed or missing in a day's report, in words.

Belongs here: one function per kind of gap, each giving ``workspace_id``, ``day`` and
``text``. Does not belong here: counting, or what is wrong with single rows. Texts hold names that
came from outside: hostile input, like titles.
"""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from ytap_assets.domain.reporting.numbers import (
    ANSWERED,
    FAILED,
    KEY,
    ReportInputs,
    carry_forward,
    join_before,
)
from ytap_assets.domain.scoring.items import latest_observations
from ytap_assets.domain.source_profiles import SOURCE_NAMES

_NAMED = 3
_TOLERANCE = timedelta(hours=1)
_CLOCK = "%H:%M"

_FAILED_WORDS = {
    "transient_error": "no answer for",
    "permanent_error": "no answer for",
    "quota_exhausted": "quota used up before",
    "malformed": "unreadable answer for",
    "too_large": "answer too large for",
    "not_recorded": "nothing recorded for",
}
_ABSENT_WORDS = {
    "unrecoverable": "unrecoverable for this day:",
    "disabled": "not asked for",
}


def find_missing(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """The gaps that every day's report lists.

    Args:
        calendar: ``workspace_id`` and ``day`` to report, in order.
        inputs: The frames the report is made from.

    Returns:
        ``workspace_id``, ``day``, ``missing``: a list of texts, the gravest first; days without a
        gap are absent.
    """
    found = [
        _trends(calendar, inputs),
        _stale_scores(inputs),
        _targets(inputs.log, _FAILED_WORDS),
        _targets(inputs.log, _ABSENT_WORDS),
        _metrics(calendar, inputs),
        _unreadable(inputs.quarantined),
    ]
    texts = pl.concat(
        frame.select(*KEY, pl.lit(rank).alias("rank"), "text") for rank, frame in enumerate(found)
    )
    return (
        texts.join(calendar, on=KEY, how="semi")
        .sort(*KEY, "rank", "text")
        .group_by(KEY, maintain_order=True)
        .agg(pl.col("text").unique(maintain_order=True).alias("missing"))
    )


def _trends(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """Days on which nothing was observed, or nothing was made of it."""
    there = calendar
    for name, rows in (("raw", inputs.raw), ("scored", inputs.scored)):
        days = rows.select(KEY).unique().with_columns(pl.lit(value=True).alias(name))
        there = there.join(days, on=KEY, how="left")
    text = (
        pl.when(pl.col("raw").is_null())
        .then(pl.lit("no trends observed"))
        .when(pl.col("scored").is_null())
        .then(pl.lit("trends observed, but not scored"))
    )
    return there.select(*KEY, text.alias("text")).drop_nulls()


def _stale_scores(inputs: ReportInputs) -> pl.DataFrame:
    """Days whose scores are not made from everything observed: a publish was refused or not run."""
    items = latest_observations(inputs.raw)
    observed = items.group_by(KEY).agg(
        pl.len().cast(pl.Int64).alias("items"), pl.col("observed_at").max().alias("observed")
    )
    scored = inputs.scored.group_by(KEY).agg(
        pl.col("members").sum(), pl.col("observed_at").max().alias("scored")
    )
    both = observed.join(scored, on=KEY)
    text = (
        pl.when(pl.col("items") != pl.col("members"))
        .then(
            pl.format(
                "scores are stale: {} of {} observed items are in them; the checks of scored_trends"
                " say whether a publish was refused",
                "members",
                "items",
            )
        )
        # A story shows its best member's time, which may be a little before the day's last.
        .when(pl.col("observed") - pl.col("scored") > _TOLERANCE)
        .then(
            pl.format(
                "scores are stale: made from observations until {}, there are some until {} UTC",
                pl.col("scored").dt.strftime(_CLOCK),
                pl.col("observed").dt.strftime(_CLOCK),
            )
        )
    )
    return both.select(*KEY, text.alias("text")).drop_nulls()


def _targets(log: pl.DataFrame, words: dict[str, str]) -> pl.DataFrame:
    """Targets that gave nothing, and those that answered once but no longer."""
    never = pl.col("answer_at").is_null()
    relevant = pl.col("outcome").is_in(list(words)) & (never | pl.col("outcome").is_in(FAILED))
    said = pl.col("outcome").replace_strict(words, default=None, return_dtype=pl.String)
    stale = pl.format("no answer since {} UTC for", pl.col("answer_at").dt.strftime(_CLOCK))
    why = (
        pl.when(pl.col("outcome") == "disabled")
        .then("detail")
        .otherwise(pl.col("http_status").cast(pl.String))
    )
    gaps = (
        _last_outcomes(log)
        .filter(relevant)
        .select(
            *KEY,
            "source",
            "target",
            pl.when(never).then(said).otherwise(stale).alias("words"),
            pl.when(why.is_null()).then(pl.lit("")).otherwise(pl.format(" ({})", why)).alias("why"),
        )
    )
    grouped = gaps.group_by(*KEY, "source", "words", "why").agg(pl.col("target").sort())
    text = pl.format("{}: {} {}{}", _name_source(), "words", _enumerate("target"), "why")
    return grouped.select(*KEY, text.alias("text"))


def _last_outcomes(log: pl.DataFrame) -> pl.DataFrame:
    """How each target's last fetch of the day ended.

    Returns:
        ``workspace_id``, ``day``, ``source``, ``target``, ``outcome``, ``detail``, ``http_status``
        and ``answer_at``: when it last answered on that day; null if it never did.
    """
    answered = pl.col("outcome").is_in(ANSWERED)
    return (
        log.sort("started_at", "collection_id")
        .group_by(*KEY, "source", "target")
        .agg(
            pl.col("outcome", "detail", "http_status").last(),
            pl.col("finished_at").filter(answered).max().alias("answer_at"),
        )
    )


def _name_source() -> pl.Expr:
    return pl.col("source").replace(SOURCE_NAMES)


def _enumerate(column: str) -> pl.Expr:
    """The first names of a list, and how many more there are."""
    names = pl.col(column)
    more = names.list.len().cast(pl.Int64) - _NAMED
    first = names.list.head(_NAMED).list.join(", ")
    return pl.when(more > 0).then(pl.format("{} and {} more", first, more)).otherwise(first)


def _metrics(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
    """Videos that nothing is known of, and days on which none was looked at."""
    owned = ("workspace_id", "video_id")
    first = inputs.metrics.group_by(owned).agg(pl.col("day").min().alias("known"))
    # A video whose time of publication is unknown may have been there on any day.
    since = pl.col("published_at").dt.date().fill_null(date.min)
    videos = inputs.videos.select(*owned, since.alias("day")).unique(owned)
    here = videos.select(*KEY, pl.lit(1).alias("videos"), pl.lit(1).alias("unknown"))
    learned = (
        videos.join(first, on=owned)
        .select("workspace_id", pl.max_horizontal("day", "known").alias("day"))
        .with_columns(pl.lit(0).alias("videos"), pl.lit(-1).alias("unknown"))
    )
    counts = carry_forward(calendar, pl.concat([here, learned])).filter(pl.col("videos") > 0)
    last = inputs.metrics.select("workspace_id", pl.col("day").alias("last")).unique().sort("last")
    dated = join_before(counts, last, right="last")
    text = (
        pl.when(pl.col("unknown") > 0)
        .then(pl.format("no metrics for {} of {} videos", "unknown", "videos"))
        .when(pl.col("last") < pl.col("day"))
        .then(pl.format("no metrics from this day; views are as of {}", "last"))
    )
    return dated.select(*KEY, text.alias("text")).drop_nulls()


def _unreadable(quarantined: pl.DataFrame) -> pl.DataFrame:
    """Rows that could not be read: how many of each source, and the first of them by name."""
    # By the length first: `line 9` comes before `line 12`.
    first = quarantined.sort("origin", pl.col("place").str.len_chars(), "place", "reason")
    counts = first.group_by(*KEY, "source", maintain_order=True).agg(
        pl.len().alias("rows"), pl.col("origin", "place", "reason").first()
    )
    rows = pl.when(pl.col("rows") == 1).then(pl.lit("row")).otherwise(pl.lit("rows"))
    count = pl.format("{}: {} {} could not be read", _name_source(), "rows", rows)
    which = pl.when(pl.col("rows") == 1).then(pl.lit("")).otherwise(pl.lit("the first: "))
    # A URL's query is long, and says nothing to a reader.
    origin = pl.col("origin").str.replace(r"^(https?://[^?#]*)[?#].*$", "$1")
    place = pl.format("{}{}, {}: {}", which, origin, "place", "reason")
    return counts.select(*KEY, pl.format("{}; {}", count, place).alias("text"))
