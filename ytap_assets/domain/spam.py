"""What is held against a trend: the spam rules, each with its reason (SPEC 2).

Belongs here: how the rules are matched. Does not belong here: their thresholds (`spam_rules`) and
lists (`spam_lists`), signs of shouting (`spam_style`), or what spam does to a score (`scoring`). A
rule asks nothing that a source does not tell: where a count is unknown, the rules about it do not
run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType

import polars as pl

from ytap_assets.domain.normal_form import join_scripts, normalize_texts
from ytap_assets.domain.phrases import find_phrases, join_regexes, mask_phrases
from ytap_assets.domain.spam_model import SpamModel
from ytap_assets.domain.spam_rules import Minimum, RuleName, SpamRules
from ytap_assets.domain.spam_style import excess_of_style, observe_style
from ytap_assets.domain.urls import ascii_host

__all__ = ["PATTERN_CHARACTERS", "RULES", "Minimum", "SpamRules", "find_spam"]

# No reason holds it: phrases are shown without it, and it is not printable.
_SEPARATOR = "\x1f"
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
    forms = normalize_texts(trends["title"])
    seen = trends.select(
        "workspace_id",
        "day",
        "source",
        "item_id",
        "points",
        "views",
        "is_promoted",
        forms["clean"].alias("text"),
        channel=pl.coalesce("channel_id", "channel_title"),
        # What characters look like matters only where some are not ASCII.
        foreign=pl.when(pl.col("title").str.len_bytes() > pl.col("title").str.len_chars()).then(
            "title"
        ),
        host=_suspicious_host(trends["url"], rules),
    )
    seen = observe_style(_count_same_titles(seen, rules), rules)
    return seen.with_columns(
        *_observe_phrases(forms, rules),
        words=pl.col("text").str.to_lowercase().str.split(" "),
        # A pattern of a workspace's own can need microseconds a character; titles are hostile.
        beginning=pl.col("text").str.slice(0, PATTERN_CHARACTERS),
    ).with_columns(
        words=pl.col("words").list.len() - pl.col("words").list.count_matches(""),
        different=pl.col("words").list.n_unique() - pl.col("words").list.contains(""),
    )


def _observe_phrases(forms: pl.DataFrame, rules: SpamRules) -> list[pl.Series]:
    """What the lists of phrases say of each title.

    Returns:
        ``blocked`` (the first phrase of the blocklist, beside those of the allowlist), and of
        titles with a phrase of the allowlist the text ``with_allowed`` and ``without_allowed``.
    """
    unknown = pl.Series([None], dtype=pl.String).new_from_index(0, forms.height)
    allowed = mask_phrases(forms, rules.allowlist)
    rows = allowed["row"]
    whole = forms["normal"].gather(rows)
    unexcused = forms.with_columns(forms["normal"].scatter(rows, allowed["masked"]))
    blocked = find_phrases(unexcused, rules.blocklist).unique("row", keep="first")
    beside = pl.DataFrame({"with_allowed": whole, "without_allowed": allowed["masked"]}).select(
        join_scripts(pl.all()).str.slice(0, PATTERN_CHARACTERS)
    )
    return [
        unknown.clone().scatter(blocked["row"], blocked["phrase"]).alias("blocked"),
        *(unknown.clone().scatter(rows, one).alias(one.name) for one in beside),
    ]


def _suspicious_host(urls: pl.Series, rules: SpamRules) -> pl.Series:
    """The host of URLs that somewhere name a link farm, unless it is allowed; in ASCII."""
    if not rules.farm_hosts:
        return urls.clear(urls.len())
    url = pl.col("url")
    named = url.str.contains_any(sorted(rules.farm_hosts), ascii_case_insensitive=True)
    # The plain search knows ASCII alone; hosts may be spelt with other letters.
    host = pl.when(named | url.str.contains(_NOT_ASCII)).then(url).str.extract(_HOST)
    host = host.str.to_lowercase().map_batches(_in_ascii, return_dtype=pl.String)
    hosts = urls.alias("url").to_frame().select(host=host.str.strip_chars_end("."))["host"]
    allowed = _find_host(pl.col("host"), rules.allowed_hosts)
    if not allowed:
        return hosts
    is_allowed = pl.coalesce(allowed).is_not_null()
    return hosts.to_frame().select(pl.when(~is_allowed).then("host")).to_series()


def _in_ascii(hosts: pl.Series) -> pl.Series:
    foreign = hosts.filter(hosts.str.contains(_NOT_ASCII)).unique()
    if foreign.is_empty():
        return hosts
    return hosts.replace(foreign, pl.Series(map(ascii_host, foreign), dtype=pl.String))


def _find_host(host: pl.Expr, known: Iterable[str]) -> list[pl.Expr]:
    """Which of the known hosts a host is, or is a subdomain of."""
    regexes = join_regexes(map(pl.escape_regex, sorted(known)))
    return [host.str.extract(rf"(?:^|\.)({regex})$") for regex in regexes]


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


def _blocklist(_rules: SpamRules) -> list[pl.Expr]:
    shown = pl.col("blocked").str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars()
    return [_reason("blocklist", shown)]


def _patterns(rules: SpamRules) -> list[pl.Expr]:
    """A pattern is excused where a phrase of the allowlist is what made it match."""
    reasons: list[pl.Expr] = []
    for name, regex in rules.patterns:
        found = pl.col("beginning").str.contains(regex)
        if rules.allowlist:
            with_allowed = pl.col("with_allowed").str.contains(regex)
            is_excused = with_allowed & ~pl.col("without_allowed").str.contains(regex)
            found &= ~is_excused.fill_null(value=False)
        reasons.append(pl.when(found).then(pl.lit(f"pattern: {name}")))
    return reasons


def _link_farm(rules: SpamRules) -> list[pl.Expr]:
    farms = rules.farm_hosts
    return [
        _reason("link_farm", farm.replace(list(farms), list(farms.values())))
        for farm in _find_host(pl.col("host"), farms)
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
