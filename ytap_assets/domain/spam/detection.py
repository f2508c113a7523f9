"""Rule-based spam detection: one probability of spam per trend, and a reason for each match.

Belongs here: how rules are matched, and how matches and a learned model are combined. Does not
belong here: thresholds and lists (`rules`), the model (`model`), or the effect of spam on a
score (`scoring`). A rule about a count does not run where the count is unknown.

A match of a general rule about texts is evidence. The model and the matches are treated as
independent, so a row is legitimate only if all of them are wrong (a noisy-or):

    probability = 1 - (1 - probability of the model) x (1 - precision of each rule that matches)

The other rules express decisions of a workspace or a platform; a match of one is always spam.

Of 90,000 real titles the signs of shouting (emoji, capitals, long runs of one character), each
alone, matched 65; of the 41 that a person read, 39 were legitimate. So signs are summed.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal, NamedTuple
from urllib.parse import unquote

import polars as pl

from ytap_assets.domain.phrases import find_phrases, join_regexes, mask_phrases
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.domain.spam.rules import PINNED_PATTERNS, RuleName, SpamRules
from ytap_assets.domain.text import (
    has_non_ascii,
    join_scripts,
    normalize_texts,
    plain_punctuation,
    replace_lists,
)
from ytap_assets.domain.urls import ascii_host, canonical_urls

# No reason contains it: it is not printable, and phrases are shown without it.
_SEPARATOR = "\x1f"
PATTERN_CHARACTERS = 2_000
"""Patterns are matched against the beginning of a text; no platform has longer titles."""
_NO_MODEL = SpamModel(0, {})
_HOST = r"^\s*(?:(?i:https?):[/\\]*|[/\\]{2,})(?:[^/\\?#]*@)?([^/\\?#:@]+)"


class Match(NamedTuple):
    """The result of a rule."""

    is_match: pl.Expr
    """A boolean; null is no match."""
    reason: pl.Expr
    """A text, computed for spam only; it is not read where the rule does not match."""
    evidence: str | None = None
    """The name under which a model learns its precision; None if a match alone means spam."""


def find_spam(
    trends: pl.DataFrame, rules: SpamRules, model: SpamModel | None = None
) -> pl.DataFrame:
    """Classify trends as spam, with a probability and the reasons.

    Args:
        trends: Has the columns workspace_id, day, source, item_id, title, url, points, views,
            channel_id, channel_title and is_promoted of `raw_trends`.
        rules: The workspace's rules.
        model: The workspace's learned model, if it has one.

    Returns:
        ``trends`` with ``is_spam``, ``spam_probability`` (0 to 1; 1 if a rule matches that
        alone means spam; without a model 0 if nothing matches) and ``spam_reasons``: for spam,
        texts such as ``blocklist: free robux``, none for other rows. Each begins with the name of
        its rule.
    """
    used = _NO_MODEL if model is None or "model" in rules.rules_off else model
    # One value per row: with every rule off, no other column is selected.
    unknown = pl.repeat(0.0, pl.len(), dtype=pl.Float64)
    by_model = unknown if used is _NO_MODEL else used.probabilities(trends["title"])
    # A rule whose learned precision is 0 gives no reason.
    matches = [
        one for one in _run_rules(rules) if one.evidence is None or used.precision(one.evidence) > 0
    ]
    prepared = _prepare(trends, rules)
    found = prepared.select(
        by_model.alias("by_model"),
        *(one.is_match.fill_null(value=False).alias(str(n)) for n, one in enumerate(matches)),
    )
    found = found.with_columns(
        pl.col("by_model").fill_null(0.0), by_rules=_join_rules(matches, used)
    ).with_columns(spam_probability=1 - (1 - pl.col("by_model")) * (1 - pl.col("by_rules")))
    least, likely = rules.min_spam_pct / 100, pl.col("spam_probability")
    found = found.with_columns(is_spam=(likely >= least) & (likely > 0))
    rows = found["is_spam"].arg_true()
    reasons = prepared[rows].hstack(found[rows]).select(_join_reasons(matches, least)).to_series()
    no_reasons = pl.Series([[]], dtype=pl.List(pl.String)).new_from_index(0, trends.height)
    return trends.with_columns(
        found["is_spam"],
        found["spam_probability"],
        spam_reasons=replace_lists(no_reasons, rows, reasons),
    )


def match_texts(texts: pl.Series) -> pl.DataFrame:
    """Match the general rules about texts: one boolean column per evidence.

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
            matches.setdefault(one.evidence, []).append(one.is_match.fill_null(value=False))
    return _prepare(trends, rules).select(
        pl.any_horizontal(found).alias(name) for name, found in matches.items()
    )


def _run_rules(rules: SpamRules) -> Iterator[Match]:
    """The matches of every enabled rule, in the order of their reasons."""
    for name, rule in RULES.items():
        if name not in rules.rules_off:
            yield from rule(rules)


def _join_rules(matches: Sequence[Match], model: SpamModel) -> pl.Expr:
    """The probability of spam by the rules: 1 if one means spam, else their noisy-or.

    Args:
        matches: Whether each matches is the column named by its number.
        model: The model with the learned precisions.
    """
    decided, wrong = pl.lit(value=False), pl.lit(1.0)
    for number, one in enumerate(matches):
        is_found = pl.col(str(number))
        if one.evidence is None:
            decided |= is_found
        else:
            wrong *= pl.when(is_found).then(1 - model.precision(one.evidence)).otherwise(1.0)
    return pl.when(decided).then(1.0).otherwise(1 - wrong)


def _reason_of_model(least: float) -> pl.Expr:
    """The model's reason, if it suffices or the rules do not; else null.

    Its probability is truncated, not rounded, so it is never shown as 1.
    """
    by_model, by_rules = pl.col("by_model"), pl.col("by_rules")
    digits = (by_model * 10_000).floor().clip(0, 9_999).cast(pl.Int64).cast(pl.String)
    is_shown = (by_model > 0) & ((by_model >= least) | (by_rules < least))
    return pl.when(is_shown).then(_reason("model", "0." + digits.str.zfill(4)))


def _join_reasons(matches: Sequence[Match], least: float) -> pl.Expr:
    """The list of the reasons. concat_list takes many times as long as joining and splitting."""
    reasons = (pl.when(str(number)).then(one.reason) for number, one in enumerate(matches))
    joined = pl.concat_str(
        *reasons, _reason_of_model(least), separator=_SEPARATOR, ignore_nulls=True
    )
    return joined.str.split(_SEPARATOR)


def _prepare(trends: pl.DataFrame, rules: SpamRules) -> pl.DataFrame:
    """Compute the inputs of the rules once."""
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
        # Emoji are counted only in titles with characters outside ASCII.
        foreign=pl.when(has_non_ascii(pl.col("title"))).then("title"),
        host=_farm_host(trends["url"], rules),
    )
    seen = _observe_style(_count_same_titles(seen, rules), rules)
    return seen.with_columns(
        *_find_listed_phrases(forms, rules),
        *_count_words(seen["text"]),
        # A workspace's own pattern can take microseconds per character, and titles are untrusted.
        beginning=plain_punctuation(seen["text"].str.slice(0, PATTERN_CHARACTERS)),
    )


def _count_words(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """``words`` of each text, and how many are ``different``, ignoring case."""
    parts = texts.str.to_lowercase().str.split(" ")
    is_empty = parts.list.count_matches("")
    words = parts.list.len() - is_empty
    different = parts.list.n_unique() - (is_empty > 0)
    return words.alias("words"), different.alias("different")


def _find_listed_phrases(forms: pl.DataFrame, rules: SpamRules) -> list[pl.Series]:
    """Match the lists of phrases with each title.

    Returns:
        ``blocked`` and ``blocked_by_own`` (the first phrase of the general blocklist and of the
        workspace's own, outside phrases of the allowlist), and for titles with a phrase of the
        allowlist the text ``with_allowed`` and ``without_allowed``.
    """
    unknown = pl.Series([None], dtype=pl.String).new_from_index(0, forms.height)
    allowed = mask_phrases(forms, rules.allowlist)
    rows = allowed["row"]
    whole = forms["normal"].gather(rows)
    outside_allowed = forms.with_columns(forms["normal"].scatter(rows, allowed["masked"]))
    # The workspace's own come first: of equal phrases, the first is reported.
    own = rules.own.blocklist
    blocked = find_phrases(outside_allowed, (*own, *rules.blocklist))
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
    """The host of URLs that lead to a link farm and are not allowed; in ASCII.

    It is the URL's own host, or that of the target of a known redirect.
    """
    farms = sorted({*rules.farm_hosts, *rules.own_farm_hosts})
    host = urls.clear(urls.len())
    if not farms:
        return host
    # The literal search covers ASCII only; hosts may have other letters, or be escaped.
    read = _unescape(urls).alias("url").to_frame()
    named = pl.col("url").str.contains_any(farms, ascii_case_insensitive=True)
    rows = read.select(named | has_non_ascii(pl.col("url"))).to_series().arg_true()
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
    foreign = hosts.filter(has_non_ascii(hosts)).unique()
    if foreign.is_empty():
        return hosts
    return hosts.replace(foreign, pl.Series(map(ascii_host, foreign), dtype=pl.String))


def _find_host(host: pl.Expr, known: Iterable[str]) -> list[pl.Expr]:
    """The known host that a host equals or is a subdomain of."""
    regexes = join_regexes(map(pl.escape_regex, sorted(known)))
    return [host.str.extract(rf"(?:^|\.)({regex})$") for regex in regexes]


def _count_same_titles(seen: pl.DataFrame, rules: SpamRules) -> pl.DataFrame:
    """Add ``same_title``: the number of a channel's items with the same title, if above the limit.

    Without a known channel a frequent title is not spam: many people post the same news, and these
    posts become one story. Repeated posts of one channel would also become one story, and their
    engagement would be summed.
    """
    same = ("workspace_id", "day", "source", "channel", "text")
    # Most titles are unique per day; two hashes show that at a fraction of the cost of a join.
    title_of_day = pl.col("text").hash() ^ pl.col("day").hash()
    counts = (
        seen.select(*same, "item_id")
        .filter(pl.col("channel").is_not_null())
        .filter(title_of_day.is_duplicated())
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
            is_less,
            pl.format(
                f"minimum_engagement: {{}} {minimum.count}, at least {minimum.at_least}",
                minimum.count,
            ),
        )


def _blocklist(_rules: SpamRules) -> Iterator[Match]:
    for blocked, evidence in (("blocked", "blocklist"), ("blocked_by_own", None)):
        shown = pl.col(blocked).str.replace_all(r"[\s\p{C}]+", " ").str.strip_chars()
        yield Match(pl.col(blocked).is_not_null(), _reason("blocklist", shown), evidence)


def _patterns(rules: SpamRules) -> Iterator[Match]:
    """A match that needs a phrase of the allowlist is ignored."""
    general = {name for name, _ in rules.patterns} - PINNED_PATTERNS
    for name, regex in (*rules.patterns, *rules.own.patterns):
        reason = f"pattern: {name}"
        matches = pl.col("beginning").str.contains(regex)
        if rules.allowlist:
            with_allowed = pl.col("with_allowed").str.contains(regex)
            is_allowed = with_allowed & ~pl.col("without_allowed").str.contains(regex)
            matches &= ~is_allowed.fill_null(value=False)
        yield Match(matches, pl.lit(reason), reason if name in general else None)


def _link_farm(rules: SpamRules) -> Iterator[Match]:
    for farms, evidence in ((rules.farm_hosts, "link_farm"), (rules.own_farm_hosts, None)):
        for farm in _find_host(pl.col("host"), farms):
            shown = farm.replace(list(farms), list(farms.values()))
            yield Match(farm.is_not_null(), _reason("link_farm", shown), evidence)


def _repeated_words(rules: SpamRules) -> Iterator[Match]:
    words, different = pl.col("words"), pl.col("different")
    is_repeated = (words >= rules.min_repeated_words) & (different * 3 <= words)
    reason = pl.format("repeated_words: {} different of {}", different, words)
    yield Match(is_repeated, reason, "repeated_words")


def _repeated_title(_rules: SpamRules) -> Iterator[Match]:
    same = pl.col("same_title")
    yield Match(same.is_not_null(), pl.format("repeated_title: {} items of one channel", same))


def _promoted(_rules: SpamRules) -> Iterator[Match]:
    yield Match(pl.col("is_promoted"), pl.lit("promoted: stickied, pinned or paid for"))


def _style(sign: Sign) -> Callable[[SpamRules], Iterator[Match]]:
    def run(rules: SpamRules) -> Iterator[Match]:
        column, reason = _explain_sign(sign, rules)
        has_signs = pl.col("signs") >= rules.style_signs
        yield Match(pl.col(column).is_not_null() & has_signs, reason, sign)

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
"""The rules by name, in the order of their reasons; the reason of the model is last."""


Sign = Literal["emoji_excess", "capitals_excess", "repeated_characters"]

_CYRILLIC = "".join(map(chr, range(0x430, 0x450)))
_RUN_CHARACTERS = f"{string.ascii_lowercase}{_CYRILLIC}!$"
# A family of four with skin tones is one emoji; the length of a joined sequence is limited.
_EMOJI = (
    r"\p{Regional_Indicator}{2}"
    r"|[\p{Emoji_Presentation}\p{Extended_Pictographic}--[©®™\p{Regional_Indicator}]]"
    r"(?:[\x{FE0F}\p{Emoji_Modifier}]|\x{200D}\p{Extended_Pictographic}){0,9}"
)
_MANY_TIMES = 3
"""An excess of this many times the limit counts as two signs."""


def _observe_style(seen: pl.DataFrame, rules: SpamRules) -> pl.DataFrame:
    """Add the signs of shouting of each text, null if there is none, and their number.

    Args:
        seen: Has source, ``text`` (normalized) and ``foreign`` (the title if it is not ASCII).
        rules: The limits.

    Returns:
        ``seen`` with emoji, capitals_pct, run and signs.
    """
    capitals = (
        pl.when(~pl.col("source").is_in(rules.capitals_exempt))
        .then("text")
        .str.count_matches(r"\p{Lu}")
    )
    emoji = pl.col("foreign").str.count_matches(_EMOJI)
    seen = seen.with_columns(
        emoji=pl.when(emoji > rules.max_emoji).then(emoji),
        capitals=pl.when(capitals >= rules.min_capitals).then(capitals),
        run=_run(rules.max_run),
    ).with_columns(capitals_pct=_capitals_pct(rules))
    signs = [sign for name, sign in _signs(rules).items() if name not in rules.rules_off]
    return seen.with_columns(signs=pl.sum_horizontal(pl.lit(0), *signs))


def _signs(rules: SpamRules) -> dict[Sign, pl.Expr]:
    emoji, run = pl.col("emoji"), pl.col("run").str.len_chars()
    return {
        "emoji_excess": emoji.is_not_null() + (emoji > _MANY_TIMES * rules.max_emoji),
        "capitals_excess": pl.col("capitals_pct").is_not_null().cast(pl.UInt32),
        "repeated_characters": run.is_not_null() + (run > _MANY_TIMES * rules.max_run),
    }


def _explain_sign(sign: Sign, rules: SpamRules) -> tuple[str, pl.Expr]:
    """The column that is null without a sign, and its reason."""
    run = pl.col("run").str.slice(0, rules.max_run + 1)
    explained: dict[Sign, tuple[str, pl.Expr]] = {
        "emoji_excess": ("emoji", pl.format("emoji_excess: {} emoji", "emoji")),
        "capitals_excess": (
            "capitals_pct",
            pl.format("capitals_excess: {} % capitals", "capitals_pct"),
        ),
        "repeated_characters": ("run", pl.format("repeated_characters: {}", run)),
    }
    return explained[sign]


def _capitals_pct(rules: SpamRules) -> pl.Expr:
    capitals = pl.col("capitals")
    small = pl.when(capitals.is_not_null()).then("text").str.count_matches(r"\p{Ll}")
    share_pct = 100 * capitals / (capitals + small)
    return pl.when(share_pct > rules.max_capitals_pct).then(share_pct.round(0).cast(pl.Int64))


def _run(max_run: int) -> pl.Expr:
    shortest = max_run + 1
    runs = "|".join(f"{pl.escape_regex(one)}{{{shortest},}}" for one in _RUN_CHARACTERS)
    return pl.col("text").str.extract(rf"(?i)({runs})")
