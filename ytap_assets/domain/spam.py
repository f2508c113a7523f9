"""What is held against a trend: one probability of spam, each match with its reason (SPEC 2).

Belongs here: how the rules are matched, and how matches and a learned model make one probability.
Does not belong here: their thresholds (`spam_rules`) and lists (`spam_lists`), signs of shouting
(`spam_style`), the model (`spam_model`), or what spam does to a score (`scoring`). A rule asks
nothing that a source does not tell: where a count is unknown, the rules about it do not run.

A match of a general rule about texts is evidence. The model and each match are taken as independent
ways of finding spam, so a row is honest only where all of them are wrong (a noisy-or):

    probability = 1 - (1 - probability of the model) x (1 - precision of each rule that matches)

The other rules say what a workspace or a platform decided; a match of one is spam.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import polars as pl

from ytap_assets.domain.phrases import find_phrases, join_regexes, mask_phrases
from ytap_assets.domain.spam_lists import PLACED_PATTERNS
from ytap_assets.domain.spam_model import SpamModel
from ytap_assets.domain.spam_rules import Minimum, RuleName, SpamRules
from ytap_assets.domain.spam_style import Sign, excess_of_style, observe_style

__all__ = ["PATTERN_CHARACTERS", "RULES", "Minimum", "SpamRules", "find_spam", "match_texts"]

# No reason holds it: it is neither white space to the matching engine nor part of any phrase.
_SEPARATOR = "\x1f"
_INVISIBLE = r"[\x{00AD}\x{200B}-\x{200F}\x{2060}\x{FEFF}]"
PATTERN_CHARACTERS = 2_000
"""Patterns see the beginning of a text; no platform has titles as long."""
_NOT_ASCII = r"[^\x00-\x7F]"
_NO_MODEL = SpamModel(0, {})
_HOST = r"^\s*(?i:https?):[/\\]*(?:[^/\\?#]*@)?([^/\\?#:@]+)"


class Match(NamedTuple):
    """What a rule finds."""

    reason: pl.Expr
    """A text, null where the rule does not match."""
    evidence: str | None = None
    """The name under which a model learns its precision; None where a match decides alone."""


def find_spam(
    trends: pl.DataFrame, rules: SpamRules, model: SpamModel | None = None
) -> pl.DataFrame:
    """Tell which trends are spam, how likely each is, and by which rules.

    Args:
        trends: Has the columns workspace_id, day, source, item_id, title, url, points, views,
            channel_id, channel_title and is_promoted of `raw_trends`.
        rules: The workspace's rules.
        model: The workspace's learned model, where it has one.

    Returns:
        ``trends`` with ``is_spam``, ``spam_probability`` (0 to 1; 1 where a rule that decides
        alone matches; without a model 0 where nothing matches) and ``spam_reasons``: for spam,
        texts such as ``blocklist: free robux``, none for the others. Each begins with the name of
        its rule.
    """
    used = _NO_MODEL if model is None or "model" in rules.rules_off else model
    by_model = pl.lit(0.0) if used is _NO_MODEL else used.probabilities(trends["title"])
    # A rule that a model found to be no evidence gives no reason either.
    matches = [
        one for one in _run_rules(rules) if one.evidence is None or used.precision(one.evidence) > 0
    ]
    names = [str(number) for number in range(len(matches))]
    found = _observe(trends, rules).select(
        by_model.alias("by_model"),
        *(one.reason.alias(name) for name, one in zip(names, matches, strict=True)),
    )
    found = found.with_columns(
        pl.col("by_model").fill_null(0.0), by_rules=_join_rules(matches, used)
    ).with_columns(spam_probability=1 - (1 - pl.col("by_model")) * (1 - pl.col("by_rules")))
    least, likely = rules.min_spam_pct / 100, pl.col("spam_probability")
    found = found.with_columns(
        is_spam=(likely >= least) & (likely > 0), model=_reason_of_model(least)
    )
    return trends.with_columns(
        found["is_spam"],
        found["spam_probability"],
        spam_reasons=_join_reasons(found, [*names, "model"]),
    )


def match_texts(texts: pl.Series) -> pl.DataFrame:
    """Which general rules about texts match each text: a column of booleans by evidence.

    Args:
        texts: Strings; a null matches nothing.
    """
    rules = SpamRules(minimums={}, capitals_exempt=frozenset())
    columns = ("workspace_id", "day", "source", "item_id", "url", "channel_id", "channel_title")
    trends = (
        texts.cast(pl.String)
        .alias("title")
        .to_frame()
        .with_columns(
            *(pl.lit(None, pl.String).alias(name) for name in columns),
            points=pl.lit(None, pl.Int64),
            views=pl.lit(None, pl.Int64),
            is_promoted=pl.lit(None, pl.Boolean),
        )
    )
    matches: dict[str, list[pl.Expr]] = {}
    for one in _run_rules(rules):
        if one.evidence is not None:
            matches.setdefault(one.evidence, []).append(one.reason.is_not_null())
    return _observe(trends, rules).select(
        pl.any_horizontal(found).alias(name) for name, found in matches.items()
    )


def _run_rules(rules: SpamRules) -> Iterator[Match]:
    """The matches of every rule that is not off, in the order of their reasons."""
    for name, rule in RULES.items():
        if name not in rules.rules_off:
            yield from rule(rules)


def _join_rules(matches: Sequence[Match], model: SpamModel) -> pl.Expr:
    """The probability of spam by the rules alone: 1 where one decides, else their noisy-or.

    Args:
        matches: The reason of each is the column that its number names.
        model: What it learned of the rules' precisions.
    """
    decided, wrong = pl.lit(value=False), pl.lit(1.0)
    for number, one in enumerate(matches):
        is_found = pl.col(str(number)).is_not_null()
        if one.evidence is None:
            decided |= is_found
        else:
            wrong *= pl.when(is_found).then(1 - model.precision(one.evidence)).otherwise(1.0)
    return pl.when(decided).then(1.0).otherwise(1 - wrong)


def _reason_of_model(least: float) -> pl.Expr:
    """The model's reason, where it suffices or the rules do not; null elsewhere.

    Its probability is cut, not rounded: nothing is certain.
    """
    by_model, by_rules = pl.col("by_model"), pl.col("by_rules")
    digits = (by_model * 10_000).floor().clip(0, 9_999).cast(pl.Int64).cast(pl.String)
    speaks = (by_model > 0) & ((by_model >= least) | (by_rules < least))
    return pl.when(speaks).then(_reason("model", "0." + digits.str.zfill(4)))


def _join_reasons(found: pl.DataFrame, names: list[str]) -> pl.Series:
    """The reasons of the rows that are spam, from columns that are null where nothing was found.

    Lists are made for the rows that have reasons, and gathered: making them for all rows takes
    more time than all the rules together. So does concat_list, hence joined and split.
    """
    joined = pl.concat_str(names, separator=_SEPARATOR, ignore_nulls=True)
    lists = found.filter("is_spam").select(joined.str.split(_SEPARATOR)).to_series()
    none = pl.Series([[]], dtype=pl.List(pl.String))
    is_spam = pl.col("is_spam")
    places = found.select(pl.when(is_spam).then(is_spam.cum_sum()).otherwise(0)).to_series()
    return pl.concat([none, lists]).gather(places)


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
    farms = [host.strip() for host in (*rules.link_farms, *rules.own.link_farms)]
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


def _minimum_engagement(rules: SpamRules) -> Iterator[Match]:
    for source, minimum in sorted(rules.minimums.items()):
        is_less = (pl.col("source") == source) & (pl.col(minimum.count) < minimum.at_least)
        yield Match(
            pl.format(
                f"minimum_engagement: {{}} {minimum.count}, at least {minimum.at_least}",
                pl.when(is_less).then(minimum.count),
            )
        )


def _blocklist(rules: SpamRules) -> Iterator[Match]:
    for phrases, evidence in ((rules.blocklist, "blocklist"), (rules.own.blocklist, None)):
        for phrase in find_phrases(pl.col("unexcused"), phrases):
            yield Match(_reason("blocklist", _tidy(phrase)), evidence)


def _tidy(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s+", " ").str.to_lowercase()


def _patterns(rules: SpamRules) -> Iterator[Match]:
    general = {name for name, _ in rules.patterns} - PLACED_PATTERNS
    for name, regex in (*rules.patterns, *rules.own.patterns):
        reason = f"pattern: {name}"
        matches = pl.col("beginning").str.contains(regex)
        yield Match(pl.when(matches).then(pl.lit(reason)), reason if name in general else None)


def _link_farm(rules: SpamRules) -> Iterator[Match]:
    for farms, evidence in ((rules.link_farms, "link_farm"), (rules.own.link_farms, None)):
        for regex in join_regexes(pl.escape_regex(host.strip().lower()) for host in farms):
            host = pl.col("host").str.extract(rf"(?:^|\.)({regex})$")
            yield Match(_reason("link_farm", host), evidence)


def _repeated_words(rules: SpamRules) -> Iterator[Match]:
    words, different = pl.col("words"), pl.col("different")
    is_repeated = (words >= rules.min_repeated_words) & (different * 3 <= words)
    few = pl.when(is_repeated).then(different)
    yield Match(pl.format("repeated_words: {} different of {}", few, words), "repeated_words")


def _repeated_title(_rules: SpamRules) -> Iterator[Match]:
    yield Match(pl.format("repeated_title: {} items of one channel", "same_title"))


def _promoted(_rules: SpamRules) -> Iterator[Match]:
    yield Match(pl.when("is_promoted").then(pl.lit("promoted: stickied, pinned or paid for")))


def _style(sign: Sign) -> Callable[[SpamRules], Iterator[Match]]:
    def run(rules: SpamRules) -> Iterator[Match]:
        yield Match(excess_of_style(sign, rules), sign)

    return run


def _reason(rule: str, detail: pl.Expr) -> pl.Expr:
    return pl.format(f"{rule}: {{}}", detail)


RULES: Mapping[RuleName, Callable[[SpamRules], Iterator[Match]]] = MappingProxyType(
    {
        "minimum_engagement": _minimum_engagement,
        "blocklist": _blocklist,
        "pattern": _patterns,
        "link_farm": _link_farm,
        "emoji_excess": _style("emoji_excess"),
        "capitals_excess": _style("capitals_excess"),
        "repeated_characters": _style("repeated_characters"),
        "repeated_words": _repeated_words,
        "repeated_title": _repeated_title,
        "promoted": _promoted,
    }
)
"""The rules by name, in the order of their reasons; the model's comes last."""
