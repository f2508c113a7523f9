"""What is held against a trend: the spam rules, each with its reason (SPEC 2).

Belongs here: how the rules are matched. Does not belong here: their thresholds (`spam_rules`) and
lists (`spam_lists`), or what spam does to a score (`scoring`). A rule asks nothing that a source
does not tell: where a count is unknown, the rules about it do not run.
"""

from __future__ import annotations

import string
from collections.abc import Callable

import polars as pl

from ytap_assets.domain.phrases import join_regexes, mask_phrases, phrase_regexes
from ytap_assets.domain.spam_rules import Minimum, SpamRules

__all__ = ["Minimum", "SpamRules", "find_spam"]

# No reason holds it: it is neither white space to the matching engine nor part of any phrase.
_SEPARATOR = "\x1f"
_CYRILLIC = "".join(map(chr, range(0x430, 0x450)))
_RUN_CHARACTERS = f"{string.ascii_lowercase}{_CYRILLIC}!$"
# A family of four with skin tones is one emoji; a title of emoji joined without end is many.
_EMOJI = (
    r"\p{Regional_Indicator}{2}"
    r"|[\p{Emoji_Presentation}\p{Extended_Pictographic}--[©®™\p{Regional_Indicator}]]"
    r"(?:[\x{FE0F}\p{Emoji_Modifier}]|\x{200D}\p{Extended_Pictographic}){0,9}"
)
_INVISIBLE = r"[\x{00AD}\x{200B}-\x{200F}\x{2060}\x{FEFF}]"
_NOT_ASCII = r"[^\x00-\x7F]"
_HOST = r"^\s*(?i:https?):[/\\]*(?:[^/\\?#]*@)?([^/\\?#:@]+)"


def find_spam(trends: pl.DataFrame, rules: SpamRules) -> pl.DataFrame:
    """Tell which trends are spam, and by which rules.

    Args:
        trends: Has the columns source, title, url, points, views and is_promoted of `raw_trends`.
        rules: The workspace's rules.

    Returns:
        ``trends`` with ``is_spam`` and ``spam_reasons``: texts such as ``blocklist: free robux``,
        none where nothing was found.
    """
    seen = _observe(trends, rules)
    reasons = [reason for rule in _RULES for reason in rule(rules)]
    # Joined and split again: concat_list would take more time than all the rules together.
    joined = pl.concat_str(reasons, separator=_SEPARATOR, ignore_nulls=True)
    found = seen.select(
        spam_reasons=pl.when(joined != "").then(joined.str.split(_SEPARATOR)).otherwise([])
    )["spam_reasons"]
    return trends.with_columns(is_spam=found.list.len() > 0, spam_reasons=found)


def _observe(trends: pl.DataFrame, rules: SpamRules) -> pl.DataFrame:
    """What the rules look at, each thing computed once."""
    allowed_hosts = [term.strip().lower() for term in rules.allowlist]
    host = pl.col("url").str.extract(_HOST).str.to_lowercase().str.strip_chars_end(".")
    # Full-width and mathematical letters spell the same words; invisible characters none.
    # Normalizing is the dearest step, and ASCII needs none.
    foreign = pl.when(pl.col("title").str.contains(_NOT_ASCII)).then("title")
    plain = foreign.str.normalize("NFKC").str.replace_all(_INVISIBLE, "")
    seen = trends.select(
        "source",
        "points",
        "views",
        "is_promoted",
        emoji=pl.col("title").str.count_matches(_EMOJI),
        host=host,
        text=pl.coalesce(plain, "title"),
    )
    return seen.with_columns(
        unexcused=mask_phrases(pl.col("text"), rules.allowlist),
        host=pl.when(~pl.col("host").is_in(allowed_hosts)).then("host"),
        capitals=pl.col("text").str.count_matches(r"\p{Lu}"),
        words=pl.col("text").str.to_lowercase().str.split(" "),
    ).with_columns(
        words=pl.col("words").list.len() - pl.col("words").list.count_matches(""),
        different=pl.col("words").list.n_unique() - pl.col("words").list.contains(""),
    )


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
        _reason("blocklist", _tidy(pl.col("unexcused").str.extract(regex, 0)))
        for regex in phrase_regexes(rules.blocklist)
    ]


def _tidy(text: pl.Expr) -> pl.Expr:
    return text.str.replace_all(r"\s+", " ").str.to_lowercase()


def _patterns(rules: SpamRules) -> list[pl.Expr]:
    return [
        pl.when(pl.col("unexcused").str.contains(regex)).then(pl.lit(f"pattern: {name}"))
        for name, regex in rules.patterns
    ]


def _link_farm(rules: SpamRules) -> list[pl.Expr]:
    hosts = (pl.escape_regex(host.strip().lower()) for host in rules.link_farms)
    return [
        _reason("link_farm", pl.col("host").str.extract(rf"(?:^|\.)({regex})$"))
        for regex in join_regexes(hosts)
    ]


def _emoji_excess(rules: SpamRules) -> list[pl.Expr]:
    excess = pl.when(pl.col("emoji") > rules.max_emoji).then("emoji")
    return [pl.format("emoji_excess: {} emoji", excess)]


def _capitals_excess(rules: SpamRules) -> list[pl.Expr]:
    capitals = pl.col("capitals")
    many = (capitals >= rules.min_capitals) & ~pl.col("source").is_in(rules.capitals_exempt)
    small = pl.when(many).then("text").str.count_matches(r"\p{Ll}")
    share_pct = 100 * capitals / (capitals + small)
    return [
        pl.format(
            "capitals_excess: {} % capitals",
            pl.when(share_pct > rules.max_capitals_pct).then(share_pct.round(0).cast(pl.Int64)),
        )
    ]


def _repeated_characters(rules: SpamRules) -> list[pl.Expr]:
    shortest = rules.max_run + 1
    runs = "|".join(f"{pl.escape_regex(one)}{{{shortest},}}" for one in _RUN_CHARACTERS)
    run = pl.col("text").str.extract(rf"(?i)({runs})").str.slice(0, shortest)
    return [_reason("repeated_characters", run)]


def _repeated_words(rules: SpamRules) -> list[pl.Expr]:
    words, different = pl.col("words"), pl.col("different")
    return [
        pl.format(
            "repeated_words: {} different of {}",
            pl.when(words >= rules.min_repeated_words, different * 3 <= words).then(different),
            words,
        )
    ]


def _promoted(_rules: SpamRules) -> list[pl.Expr]:
    return [pl.when("is_promoted").then(pl.lit("promoted: stickied, pinned or paid for"))]


_RULES: tuple[Callable[[SpamRules], list[pl.Expr]], ...] = (
    _minimum_engagement,
    _blocklist,
    _patterns,
    _link_farm,
    _emoji_excess,
    _capitals_excess,
    _repeated_characters,
    _repeated_words,
    _promoted,
)


def _reason(rule: str, detail: pl.Expr) -> pl.Expr:
    return pl.format(f"{rule}: {{}}", detail)
