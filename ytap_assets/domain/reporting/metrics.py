"""Views and engagement of the workspace's videos, as known on a day.

An observation speaks of its ``day``, whenever it was made; of several for one day, the latest
counts. A count that is not known on a day is the latest known before it; a gain is only ever the
difference of two days' own observations, since what was not looked at did not stand still. A video
that was published after the last observation of the day before had no views then: its first day
counts from 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import polars as pl

from ytap_assets.domain.reporting.inputs import carry_forward
from ytap_assets.domain.rounding import round_exactly

VIDEO = ("platform", "video_id")
_MILLIONTHS = 1_000_000
_COUNTS = ("views", "likes", "comments", "engagement_rate_pct", "title", "published_at")


def sum_views(calendar: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """The sum of the latest counts known on each day: ``day``, ``views``; null if none is."""
    known = _latest(metrics, "views").sort(*VIDEO, "day")
    before = pl.col("views").shift(1, fill_value=0).over(VIDEO)
    return carry_forward(calendar, known.select("day", pl.col("views") - before))


def sum_gains(metrics: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """Views gained since the day before: ``day``, ``views_gained``.

    Videos observed on both days count, and from 0 those published in between; a day without any is
    absent. A fall is kept.
    """
    gains = find_gains(metrics, videos)
    return gains.group_by("day").agg(pl.col("gained").sum().alias("views_gained"))


def find_gains(metrics: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """What each video gained on each day: ``platform``, ``video_id``, ``day``, ``gained``.

    Args:
        metrics: Rows of `video_metrics` of the days and of the one before.
        videos: ``video_id`` and ``published_at``, for videos whose metrics do not say it.
    """
    known = metrics.filter(pl.col("views").is_not_null()).sort("observed_at")
    daily = known.group_by(*VIDEO, "day").agg(
        pl.col("views", "observed_at").last(), pl.col("published_at").drop_nulls().last()
    )
    gains = _add_gains(daily, videos).filter(pl.col("gained").is_not_null())
    return gains.select(*VIDEO, "day", "gained")


def _add_gains(daily: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """Add ``gained``: views minus the same video's views of the day before; null if unknown.

    Args:
        daily: One row per video and day: ``platform``, ``video_id``, ``day``, ``views``,
            ``published_at`` and ``observed_at``, the last look for that day.
        videos: ``video_id`` and ``published_at``.
    """
    dated = videos.select("video_id", pl.col("published_at").alias("_published")).drop_nulls()
    next_day = pl.col("day") + timedelta(days=1)
    before = daily.select(*VIDEO, next_day, pl.col("views").alias("_was"))
    looks = daily.group_by(next_day).agg(pl.col("observed_at").max().alias("_looked"))
    begin = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    published = pl.coalesce("published_at", "_published")
    was_published_since = published.is_between(pl.min_horizontal(begin, "_looked"), "observed_at")
    was = pl.coalesce("_was", pl.when(was_published_since).then(0))
    return (
        daily.join(before, on=[*VIDEO, "day"], how="left", maintain_order="left")
        .join(looks, on="day", how="left", maintain_order="left")
        .join(dated.unique("video_id"), on="video_id", how="left", maintain_order="left")
        .with_columns((pl.col("views") - was).alias("gained"))
        .drop("_was", "_looked", "_published")
    )


def mean_engagement(calendar: pl.DataFrame, metrics: pl.DataFrame) -> pl.DataFrame:
    """The mean of the latest engagement rates known on each day (SPEC section 4).

    Rates above 100 % are flagged elsewhere and are left out of the mean.

    Returns:
        ``day``, ``engagement_rate_pct`` in percent, two decimals; null if no rate is known.
    """
    rates = metrics.with_columns(pl.col("engagement_rate_pct").fill_nan(None))
    known = _latest(rates, "engagement_rate_pct").sort(*VIDEO, "day")
    rate = pl.col("engagement_rate_pct")
    counted = rate.is_between(0, 100)
    # Whole numbers add up to the same sum in any order.
    parts = known.select(
        *VIDEO,
        "day",
        pl.when(counted).then(rate * _MILLIONTHS).otherwise(0).round().cast(pl.Int64).alias("sum"),
        counted.cast(pl.Int64).alias("n"),
    )
    before = pl.col("sum", "n").shift(1, fill_value=0).over(VIDEO)
    totals = carry_forward(calendar, parts.select("day", pl.col("sum", "n") - before))
    mean = pl.when(pl.col("n") > 0).then(pl.col("sum") / (pl.col("n") * _MILLIONTHS))
    return totals.select("day", round_exactly(mean, 2).alias("engagement_rate_pct"))


def count_published(videos: pl.DataFrame) -> pl.DataFrame:
    """Videos by the date they were published on: ``day``, ``videos_published``."""
    dated = videos.filter(pl.col("published_at").is_not_null())
    return dated.group_by(pl.col("published_at").dt.date().alias("day")).agg(
        pl.col("video_id").n_unique().alias("videos_published")
    )


def latest_by_video(
    calendar: pl.DataFrame, metrics: pl.DataFrame, videos: pl.DataFrame
) -> Iterator[tuple[date, pl.DataFrame]]:
    """What is known of every observed video at the end of each day.

    Yields:
        The day, and one row per video: ``platform``, ``video_id``, the counts, ``title``,
        ``published_at``, ``gained`` (null unless observed on this day, and on the one before or
        published since) and ``day``, the last one it was observed on.
    """
    daily = _all_by_day(metrics, videos)
    by_day = {when: frame for (when,), frame in daily.partition_by("day", as_dict=True).items()}
    waiting = sorted(by_day)
    known = daily.clear()
    for day in calendar["day"]:
        due = [when for when in waiting if when <= day]
        waiting = waiting[len(due) :]
        if due:
            news = pl.concat([*(by_day[when] for when in reversed(due)), known])
            known = news.unique(VIDEO, keep="first", maintain_order=True)
        current = pl.when(pl.col("day") == day).then(pl.col("gained"))
        yield day, known.with_columns(current.alias("gained"))


def _latest(metrics: pl.DataFrame, column: str) -> pl.DataFrame:
    """The latest known value per video and day."""
    known = metrics.filter(pl.col(column).is_not_null())
    return known.group_by(*VIDEO, "day").agg(pl.col(column).get(pl.col("observed_at").arg_max()))


def _all_by_day(metrics: pl.DataFrame, videos: pl.DataFrame) -> pl.DataFrame:
    """Everything known of a video on each day it was observed on."""
    observed = metrics.sort("observed_at").group_by(*VIDEO, "day")
    daily = observed.agg(pl.col(_COUNTS).drop_nulls().last(), pl.col("observed_at").last())
    gains = _add_gains(daily, videos).drop("observed_at").sort(*VIDEO, "day")
    return gains.with_columns(pl.col(_COUNTS).forward_fill().over(VIDEO))
