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

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import unquote

import polars as pl

from ytap_assets.domain.normal_form import join_scripts, normalize_texts, read_plainly
from ytap_assets.domain.phrases import find_phrases, join_regexes, mask_phrases
from ytap_assets.domain.source_profiles import Minimum
from ytap_assets.domain.spam_lists import PLACED_PATTERNS
from ytap_assets.domain.spam_model import SpamModel
from ytap_assets.domain.spam_rules import RuleName, SpamRules
from ytap_assets.domain.spam_style import Sign, excess_of_style, observe_style
from ytap_assets.domain.urls import ascii_host, canonical_urls

__all__ = ["PATTERN_CHARACTERS", "RULES", "Minimum", "SpamRules", "find_spam", "match_texts"]

# No reason holds it: phrases are shown without it, and it is not printable.
_SEPARATOR = "\x1f"
PATTERN_CHARACTERS = 2_000
"""Patterns see the beginning of a text; no platform has titles as long."""
_NOT_ASCII = r"[^\x00-\x7F]"
_NO_MODEL = SpamModel(0, {})
_HOST = r"^\s*(?:(?i:https?):[/\\]*|[/\\]{2,})(?:[^/\\?#]*@)?([^/\\?#:@]+)"


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
    # A value for each row: with every rule off, nothing else is selected beside it.
    unknown = pl.repeat(0.0, pl.len(), dtype=pl.Float64)
    by_model = unknown if used is _NO_MODEL else used.probabilities(trends["title"])
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
        host=_farm_host(trends["url"], rules),
    )
    seen = observe_style(_count_same_titles(seen, rules), rules)
    return seen.with_columns(
        *_observe_phrases(forms, rules),
        words=pl.col("text").str.to_lowercase().str.split(" "),
        # A pattern of a workspace's own can need microseconds a character; titles are hostile.
        beginning=read_plainly(seen["text"].str.slice(0, PATTERN_CHARACTERS)),
    ).with_columns(
        words=pl.col("words").list.len() - pl.col("words").list.count_matches(""),
        different=pl.col("words").list.n_unique() - pl.col("words").list.contains(""),
    )


def _observe_phrases(forms: pl.DataFrame, rules: SpamRules) -> list[pl.Series]:
    """What the lists of phrases say of each title.

    Returns:
        ``blocked`` and ``blocked_by_own`` (the first phrase of the general blocklist and of the
        workspace's own, beside those of the allowlist), and of titles with a phrase of the
        allowlist the text ``with_allowed`` and ``without_allowed``.
    """
    unknown = pl.Series([None], dtype=pl.String).new_from_index(0, forms.height)
    allowed = mask_phrases(forms, rules.allowlist)
    rows = allowed["row"]
    whole = forms["normal"].gather(rows)
    unexcused = forms.with_columns(forms["normal"].scatter(rows, allowed["masked"]))
    # The own ones first: of phrases that are the same, the first is found.
    own = rules.own.blocklist
    blocked = find_phrases(unexcused, (*own, *rules.blocklist))
    is_own = blocked["place"] < len(own)
    firsts = {
        name: blocked.filter(which).unique("row", keep="first")
        for name, which in (("blocked", ~is_own), ("blocked_by_own", is_own))
    }
    beside = pl.DataFrame({"with_allowed": whole, "without_allowed": allowed["masked"]}).select(
        join_scripts(pl.all()).str.slice(0, PATTERN_CHARACTERS)
    )
    return [
        *(
            unknown.clone().scatter(first["row"], first["phrase"]).alias(name)
            for name, first in firsts.items()
        ),
        *(unknown.clone().scatter(rows, one).alias(one.name) for one in beside),
    ]


def _farm_host(urls: pl.Series, rules: SpamRules) -> pl.Series:
    """The host of URLs that lead to a link farm, unless it is allowed; in ASCII.

    It is the URL's own, or that of the page to which a known redirect leads.
    """
    farms = sorted({*rules.farm_hosts, *rules.own_farm_hosts})
    host = urls.clear(urls.len())
    if not farms:
        return host
    # The plain search knows ASCII alone; hosts may be spelt with other letters, or escaped.
    read = _unescape(urls).alias("url").to_frame()
    named = pl.col("url").str.contains_any(farms, ascii_case_insensitive=True)
    rows = read.select(named | pl.col("url").str.contains(_NOT_ASCII)).to_series().arg_true()
    if rows.is_empty():
        return host
    urls = urls.gather(rows)
    hosts = pl.DataFrame({"own": urls, "behind": canonical_urls(urls)}).select(
        pl.all()
        .str.extract(_HOST)
        .str.to_lowercase()
        .map_batches(_in_ascii, return_dtype=pl.String)
        .str.strip_chars_end(".")
    )
    found = hosts.select(
        pl.coalesce(
            pl.when(_is_host(one, farms) & ~_is_host(one, rules.allowed_hosts)).then(one)
            for one in ("own", "behind")
        )
    )
    return host.scatter(rows, found.to_series())


def _unescape(urls: pl.Series) -> pl.Series:
    escaped = urls.filter(urls.str.contains("%", literal=True)).unique()
    if escaped.is_empty():
        return urls
    return urls.replace(escaped, pl.Series(map(unquote, escaped), dtype=pl.String))


def _is_host(name: str, known: Iterable[str]) -> pl.Expr:
    return pl.coalesce(pl.lit(None, pl.String), *_find_host(pl.col(name), known)).is_not_null()


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


def _minimum_engagement(rules: SpamRules) -> Iterator[Match]:
    for source, minimum in sorted(rules.minimums.items()):
        is_less = (pl.col("source") == source) & (pl.col(minimum.count) < minimum.at_least)
        yield Match(
            pl.format(
                f"minimum_engagement: {{}} {minimum.count}, at least {minimum.at_least}",
                pl.when(is_less).then(minimum.count),
            )
        )


def _blocklist(_rules: SpamRules) -> Iterator[Match]:
    for blocked, evidence in (("blocked", "blocklist"), ("blocked_by_own", None)):
        shown = pl.col(blocked).str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars()
        yield Match(_reason("blocklist", shown), evidence)


def _patterns(rules: SpamRules) -> Iterator[Match]:
    """A pattern is excused where a phrase of the allowlist is what made it match."""
    general = {name for name, _ in rules.patterns} - PLACED_PATTERNS
    for name, regex in (*rules.patterns, *rules.own.patterns):
        reason = f"pattern: {name}"
        matches = pl.col("beginning").str.contains(regex)
        if rules.allowlist:
            with_allowed = pl.col("with_allowed").str.contains(regex)
            is_excused = with_allowed & ~pl.col("without_allowed").str.contains(regex)
            matches &= ~is_excused.fill_null(value=False)
        yield Match(pl.when(matches).then(pl.lit(reason)), reason if name in general else None)


def _link_farm(rules: SpamRules) -> Iterator[Match]:
    for farms, evidence in ((rules.farm_hosts, "link_farm"), (rules.own_farm_hosts, None)):
        for farm in _find_host(pl.col("host"), farms):
            shown = farm.replace(list(farms), list(farms.values()))
            yield Match(_reason("link_farm", shown), evidence)


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
