"""What is held against a trend: the spam rules, each with its reason (SPEC 2).

Belongs here: how the rules are matched. Does not belong here: their thresholds (`spam_rules`) and
lists (`spam_lists`), signs of shouting (`spam_style`), or what spam does to a score (`scoring`). A
rule asks nothing that a source does not tell: where a count is unknown, the rules about it do not
run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import polars as pl

from ytap_assets.domain.phrases import find_phrases, join_regexes, mask_phrases
from ytap_assets.domain.spam_model import SpamModel
from ytap_assets.domain.spam_rules import Minimum, RuleName, SpamRules
from ytap_assets.domain.spam_style import excess_of_style, observe_style

__all__ = ["PATTERN_CHARACTERS", "RULES", "Minimum", "SpamRules", "find_spam"]

# No reason holds it: it is neither white space to the matching engine nor part of any phrase.
_SEPARATOR = "\x1f"
_INVISIBLE = r"[\x{00AD}\x{200B}-\x{200F}\x{2060}\x{FEFF}]"
PATTERN_CHARACTERS = 2_000
"""Patterns see the beginning of a text; no platform has titles as long."""
_NOT_ASCII = r"[^\x00-\x7F]"
_HOST = r"^\s*(?i:https?):[/\\]*(?:[^/\\?#]*@)?([^/\\?#:@]+)"


def find_spam(
    trends: pl.DataFrame, rules: SpamRules, model: SpamModel | None = None
) -> pl.DataFrame:
    """Tell which trends are spam, and by which rules.

    Args:
        trends: Has the columns workspace_id, day, source, item_id, title, url, points, views,
            channel_id, channel_title and is_promoted of `raw_trends`.
        rules: The workspace's rules.
        model: The workspace's learned model, where it has one.

    Returns:
        ``trends`` with ``is_spam`` and ``spam_reasons``: texts such as ``blocklist: free robux``,
        none where nothing was found. Each begins with the name of its rule.
    """
    seen = _observe(trends, rules)
    if model is not None and "model" not in rules.rules_off:
        seen = seen.with_columns(probability=model.probabilities(trends["title"]))
    else:
        seen = seen.with_columns(probability=pl.lit(None, pl.Float64))
    running = [rule for name, rule in RULES.items() if name not in rules.rules_off]
    is_spam, reasons = _join_reasons(seen, [one for rule in running for one in rule(rules)])
    return trends.with_columns(is_spam=is_spam, spam_reasons=reasons)


def _join_reasons(seen: pl.DataFrame, reasons: Sequence[pl.Expr]) -> tuple[pl.Series, pl.Series]:
    """Whether anything was found, and what, from expressions that are null where nothing was.

    Lists are made for the rows that have reasons, and gathered: making them for all rows takes
    more time than all the rules together. So does concat_list, hence joined and split.
    """
    nothing = pl.lit(None, pl.String)
    found = seen.select(nothing.alias("none"), *(r.alias(str(n)) for n, r in enumerate(reasons)))
    is_spam = found.select(pl.any_horizontal(pl.all().is_not_null())).to_series()
    joined = pl.concat_str(pl.all(), separator=_SEPARATOR, ignore_nulls=True)
    lists = found.filter(is_spam).select(joined.str.split(_SEPARATOR)).to_series()
    none = pl.Series([[]], dtype=pl.List(pl.String))
    places = pl.select(pl.when(is_spam).then(is_spam.cum_sum()).otherwise(0)).to_series()
    return is_spam, pl.concat([none, lists]).gather(places)


def _observe(trends: pl.DataFrame, rules: SpamRules) -> pl.DataFrame:
    """What the rules look at, each thing computed once."""
    # Full-width and mathematical letters spell the same words; invisible characters none.
    # Normalizing is the dearest step, and ASCII needs none.
    foreign = pl.when(pl.col("title").str.contains(_NOT_ASCII)).then("title")
    plain = foreign.str.normalize("NFKC").str.replace_all(_INVISIBLE, "")
    seen = trends.select(
        "workspace_id",
        "day",
        "source",
        "item_id",
        "points",
        "views",
        "is_promoted",
        channel=pl.coalesce("channel_id", "channel_title"),
        foreign=foreign,
        host=_suspicious_host(rules),
        text=pl.coalesce(plain, "title"),
    )
    seen = observe_style(_count_same_titles(seen, rules), rules)
    return seen.with_columns(
        unexcused=mask_phrases(pl.col("text"), rules.allowlist),
        words=pl.col("text").str.to_lowercase().str.split(" "),
    ).with_columns(
        # A pattern of a workspace's own can need microseconds a character; titles are hostile.
        beginning=pl.col("unexcused").str.slice(0, PATTERN_CHARACTERS),
        words=pl.col("words").list.len() - pl.col("words").list.count_matches(""),
        different=pl.col("words").list.n_unique() - pl.col("words").list.contains(""),
    )


def _suspicious_host(rules: SpamRules) -> pl.Expr:
    """The host of URLs that somewhere name a link farm, unless it is allowed."""
    allowed = [term.strip().lower() for term in rules.allowlist]
    url = pl.col("url")
    farms = [host.strip() for host in rules.link_farms]
    if farms and all(host.isascii() for host in farms):
        # The plain search knows the case of ASCII alone; hosts may be spelt with other letters.
        named = url.str.contains_any(farms, ascii_case_insensitive=True)
        url = pl.when(named | url.str.contains(_NOT_ASCII)).then(url)
    host = url.str.extract(_HOST).str.to_lowercase().str.strip_chars_end(".")
    return pl.when(~host.is_in(allowed)).then(host)


def _count_same_titles(seen: pl.DataFrame, rules: SpamRules) -> pl.DataFrame:
    """Adds ``same_title``: how many items of its channel have a title, where those are too many.

    Without a known channel nothing is held against a title that comes often: a hundred people who
    post the news are no spam, and the same story is merged. One channel's posts would be merged
    as well, and their heat added up.
    """
    same = ("workspace_id", "day", "source", "channel", "text")
    # Most titles come once a day, and two hashes tell that at a fraction of what a join takes.
    title_of_day = pl.col("text").hash() ^ pl.col("day").hash()
    counts = (
        seen.filter(title_of_day.is_duplicated() & pl.col("channel").is_not_null())
        .filter(pl.col("text").str.contains(r"\S"))
        .group_by(same)
        .agg(same_title=pl.col("item_id").n_unique())
        .filter(pl.col("same_title") > rules.max_same_title)
    )
    if counts.is_empty():
        return seen.with_columns(same_title=pl.lit(None, pl.UInt32))
    return seen.join(counts, on=same, how="left", maintain_order="left")


def _minimum_engagement(rules: SpamRules) -> list[pl.Expr]:
    return [
        pl.format(
            f"minimum_engagement: {{}} {minimum.count}, at least {minimum.at_least}",
            pl.when(pl.col("source") == source, pl.col(minimum.count) < minimum.at_least).then(
                minimum.count
            ),
        )
        for source, minimum in sorted(rules.minimums.items())
    ]


def _blocklist(rules: SpamRules) -> list[pl.Expr]:
    return [
        _reason("blocklist", _tidy(phrase))
        for phrase in find_phrases(pl.col("unexcused"), rules.blocklist)
    ]


def _tidy(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s+", " ").str.to_lowercase()


def _patterns(rules: SpamRules) -> list[pl.Expr]:
    return [
        pl.when(pl.col("beginning").str.contains(regex)).then(pl.lit(f"pattern: {name}"))
        for name, regex in rules.patterns
    ]


def _link_farm(rules: SpamRules) -> list[pl.Expr]:
    hosts = (pl.escape_regex(host.strip().lower()) for host in rules.link_farms)
    return [
        _reason("link_farm", pl.col("host").str.extract(rf"(?:^|\.)({regex})$"))
        for regex in join_regexes(hosts)
    ]


def _repeated_words(rules: SpamRules) -> list[pl.Expr]:
    words, different = pl.col("words"), pl.col("different")
    return [
        pl.format(
            "repeated_words: {} different of {}",
            pl.when(words >= rules.min_repeated_words, different * 3 <= words).then(different),
            words,
        )
    ]


def _repeated_title(_rules: SpamRules) -> list[pl.Expr]:
    return [pl.format("repeated_title: {} items of one channel", "same_title")]


def _promoted(_rules: SpamRules) -> list[pl.Expr]:
    return [pl.when("is_promoted").then(pl.lit("promoted: stickied, pinned or paid for"))]


def _model(rules: SpamRules) -> list[pl.Expr]:
    sure = pl.when(pl.col("probability") * 100 >= rules.min_model_pct).then("probability")
    # Cut, not rounded: nothing is certain.
    digits = (sure * 10_000).floor().clip(0, 9_999).cast(pl.Int64).cast(pl.String)
    return [_reason("model", "0." + digits.str.zfill(4))]


def _reason(rule: str, detail: pl.Expr) -> pl.Expr:
    return pl.format(f"{rule}: {{}}", detail)


RULES: Mapping[RuleName, Callable[[SpamRules], list[pl.Expr]]] = MappingProxyType(
    {
        "minimum_engagement": _minimum_engagement,
        "blocklist": _blocklist,
        "pattern": _patterns,
        "link_farm": _link_farm,
        "emoji_excess": lambda rules: excess_of_style("emoji_excess", rules),
        "capitals_excess": lambda rules: excess_of_style("capitals_excess", rules),
        "repeated_characters": lambda rules: excess_of_style("repeated_characters", rules),
        "repeated_words": _repeated_words,
        "repeated_title": _repeated_title,
        "promoted": _promoted,
        "model": _model,
    }
)
"""The rules by name, in the order of their reasons."""
