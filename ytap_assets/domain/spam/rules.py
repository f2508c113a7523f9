"""The settings of spam detection: the general lists, the thresholds, and a workspace's additions.

Belongs here: lists and numbers. Does not belong here: how they are matched (`detection`). Each
general entry was tested on tens of thousands of real titles; an entry that also matches legitimate
titles is not included. A single word is rarely enough: news about gambling is not gambling spam.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from ytap_assets.domain.phrases import MAX_PHRASES, check_phrase, check_regex
from ytap_assets.domain.source_profiles import SOURCE_PROFILES, Minimum, default_minimums
from ytap_assets.domain.urls import read_host, readable_host
from ytap_assets.errors import ConfigError

BLOCKLIST = (
    "bonus code no deposit",
    "buy followers",
    "buy subscribers",
    "buy viagra",
    "cheap essay writing",
    "cheap viagra",
    "cheat engine download",
    "click here to win",
    "crack serial key",
    "cracked apk",
    "crypto giveaway",
    "bitcoin giveaway",
    "double your bitcoin",
    "double your money",
    "essay writing service",
    "follow for follow",
    "free gift card",
    "free gift cards",
    "free robux generator",
    "free v bucks generator",
    "free v-bucks generator",
    "get rich quick",
    "hack followers",
    "instant approval loan",
    "judi online",
    "keto gummies",
    "make money fast",
    "mod apk unlimited",
    "no deposit bonus",
    "onlyfans leak",
    "onlyfans leaked",
    "onlyfans leaks",
    "payday loan online",
    "payday loans online",
    "situs slot",
    "slot gacor",
    "sub 4 sub",
    "sub for sub",
    "sub4sub",
    "weight loss gummies",
)
"""Phrases, matched as whole words without regard to case; any white space matches a space."""

PATTERNS = (
    (
        "earnings promise",
        r"(?i)\b(?:earn|make)\s+(?:up\s+to\s+)?[$€£]\s?\d[\d,.]*k?\s*"
        r"(?:/\s*|(?:a|per|every|each)\s+)(?:hour|hr|day)\b",
    ),
    (
        "messenger number",
        r"(?i)\b(?:whats\s?app|telegram|viber)\b\D{0,20}\+?\d[\d\s().-]{7,}\d",
    ),
    (
        "discount",
        r"(?i)\b\d{2}\s?%\s?(?:off|discount)\b.*\b(?:coupon|promo\s?code|discount\s?code)\b",
    ),
    (
        "bought audience",
        r"(?i)\bbuy\s+(?:cheap\s+|real\s+)?(?:instagram|youtube|tiktok|twitter)\s+"
        r"(?:followers|subscribers|views|likes)\b",
    ),
    (
        "begging for subscribers",
        r"(?i)\bsub(?:scribe)?\s+(?:(?:to|2)\s+)?(?:my|our|me)\b",
    ),
    (
        "own channel",
        r"(?i)\b(?:check(?:\s+out)?|visit|follow|like|watch|see)\s+(?:my|our)\s+"
        r"(?:(?:new|own|youtube|first|music|other)\s+){0,2}"
        r"(?:chann?ell?s?|pages?|videos?|vids?|music|songs?|covers?|instagram|twitter|facebook)\b",
    ),
    (
        # The text of a platform's share button.
        "shared video",
        r"(?i)\bcheck\s+out\s+this\s+(?:video|playlist)\s+on\s+youtube\b",
    ),
    (
        "follow me",
        r"(?i)\bfollow\s+me\s+(?:on|at)\b",
    ),
    (
        # Stickied posts, which feeds do not mark. 12 of 89,658 real titles, all of one such thread.
        "recurring thread",
        r"(?i)^\W*(?:daily|weekly|monthly|weekend)\b(?:.{0,60}\W)?(?:mega)?thread\b",
    ),
)
"""Name and regular expression, in the dialect of Polars: no look-around, no back-references."""

PINNED_PATTERNS = frozenset({"recurring thread"})
"""Patterns of posts pinned by moderators. A match always means spam, as for promoted items. Such
titles are not advertisements, so no model learns a precision for them."""

LINK_FARMS = (
    "adf.ly",
    "adfoc.us",
    "bc.vc",
    "clk.sh",
    "exe.io",
    "fc.lc",
    "gplinks.co",
    "j.gs",
    "linkvertise.com",
    "ouo.io",
    "ouo.press",
    "q.gs",
    "sh.st",
    "shorte.st",
    "shrinke.me",
    "shrinkme.io",
    "za.gl",
)
"""Hosts (with their subdomains) that pay for clicks on redirecting links."""


MAX_PATTERNS = 100
_ADDRESS = re.compile(
    r"(?:\*?\.|//)?(?:(?:[\w-]+\.)+[^\W\d_]{2,63}|\d{1,3}(?:\.\d{1,3}){3})\.?"
    r"(?::\d+\S*|/(?![A-Z])\S*|[?#](?![A-Z]|$)\S*)"
)
"""A host with a path or a port and without a scheme, but not names such as `Node.js/Express`."""

RuleName = Literal[
    "minimum_engagement",
    "blocklist",
    "pattern",
    "link_farm",
    "emoji_excess",
    "capitals_excess",
    "repeated_characters",
    "repeated_words",
    "repeated_title",
    "promoted",
    "model",
]
"""The rules, by the word with which their reasons begin."""

RULE_PRECISION = 0.6
"""The probability that a text is spam, given one match of a general list and nothing else.

The lists' precision was higher on the texts they were written with, and lower on others. The value
is low on purpose: one match is enough without a model, and raises the odds given by a model by a
factor of 2.5 at most, so that a rule never outweighs it.
"""
STYLE_PRECISION = 0.5
"""The same for the style of a text, which is right about half of the time."""
STYLE_RULES: tuple[RuleName, ...] = (
    "emoji_excess",
    "capitals_excess",
    "repeated_characters",
    "repeated_words",
)


def declared_precision(evidence: str) -> float:
    """The precision of a match that no model has learned, 0 to 1.

    Args:
        evidence: The name of a match (`detection.match_texts`).
    """
    return STYLE_PRECISION if evidence in STYLE_RULES else RULE_PRECISION


def find_weak_rules(min_spam_pct: float) -> list[str]:
    """The rules of which one match, without a model, does not reach the threshold.

    Args:
        min_spam_pct: The minimum probability of spam, in percent, of a spam row.
    """
    evidence = ("blocklist", "pattern", "link_farm", *STYLE_RULES)
    return [name for name in evidence if 100 * declared_precision(name) < min_spam_pct]


@dataclass(frozen=True)
class OwnLists:
    """A workspace's own lists. A match always means spam."""

    blocklist: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()
    link_farms: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpamRules:
    """The settings of a workspace's spam detection.

    The general lists and the rules about style are evidence: each match has a precision
    (`declared_precision`, or a lower learned one), and all matches and the model are combined to
    one probability of spam. A match of any other rule means spam: the minimums, items promoted by a
    platform or its moderators, repeated titles, and the workspace's own lists.

    Emoji, capitals and long runs are signs of shouting, which legitimate titles have too: a title
    matches only if the signs add up to `style_signs`. Three times as many emoji, or three times as
    long a run, as allowed are two signs.

    Attributes:
        minimums: The minimum engagement, by source. A source without an entry has none: a
            monitored channel was selected, so its videos count from the first view.
        blocklist: General phrases that are evidence of spam.
        allowlist: Phrases (and hosts, with their subdomains) that blocklists, patterns and link
            farms ignore.
        patterns: General regular expressions that are evidence of spam, by name.
        link_farms: General hosts that are evidence of spam, with their subdomains.
        own: The workspace's own phrases, patterns and hosts. They take precedence over equal
            general ones, in any spelling.
        rules_off: Disabled rules.
        max_emoji: The maximum number of emoji without a sign.
        max_capitals_pct: The maximum share of capitals among letters that have a case ...
        min_capitals: ... in titles with at least this many capitals.
        capitals_exempt: Sources whose legitimate titles are often all capitals.
        max_run: The maximum run of one letter (Latin or Cyrillic), or of ``!`` or ``$``.
        style_signs: The number of signs that count as a match; 1: each alone.
        min_repeated_words: Titles of at least this many words match if at most a third of them are
            distinct.
        max_same_title: The maximum number of items of one channel with the same title on one day.
        min_spam_pct: The minimum probability of spam, in percent, of a spam row.

    Raises:
        ConfigError: A phrase or a pattern is invalid; the message names the key.
    """

    minimums: Mapping[str, Minimum] = field(default_factory=default_minimums)
    blocklist: tuple[str, ...] = BLOCKLIST
    allowlist: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = PATTERNS
    link_farms: tuple[str, ...] = LINK_FARMS
    own: OwnLists = OwnLists()
    rules_off: frozenset[RuleName] = frozenset()
    max_emoji: int = 5
    max_capitals_pct: float = 90
    min_capitals: int = 25
    capitals_exempt: frozenset[str] = frozenset(
        name for name, profile in SOURCE_PROFILES.items() if profile.allows_capitals
    )
    max_run: int = 7
    style_signs: int = 2
    min_repeated_words: int = 6
    max_same_title: int = 3
    min_spam_pct: float = 50

    def __post_init__(self) -> None:
        own = self.own
        terms = (
            ("blocklist", (*self.blocklist, *own.blocklist), check_phrase),
            ("allowlist", self.allowlist, check_allowed),
            ("link_farms", (*self.link_farms, *own.link_farms), check_host),
        )
        for name, given, check in terms:
            for term in given:
                _check(f"spam.{name}", term, check)
        for name, listed in (("blocklist", own.blocklist), ("allowlist", self.allowlist)):
            if len(listed) > MAX_PHRASES:
                raise ConfigError(f"spam.{name}: more than {MAX_PHRASES:,} phrases")
        patterns = (*self.patterns, *own.patterns)
        if len(patterns) > MAX_PATTERNS:
            raise ConfigError(f"spam.patterns: more than {MAX_PATTERNS}")
        for name, regex in patterns:
            _check("spam.patterns", name, check_pattern_name)
            _check(f"spam.patterns.{name}", regex, check_regex)

    @cached_property
    def farm_hosts(self) -> Mapping[str, str]:
        """The general link farms in ASCII, each with its display name."""
        hosts = _read_hosts(self.link_farms)
        return {host: shown for host, shown in hosts.items() if host not in self.own_farm_hosts}

    @cached_property
    def own_farm_hosts(self) -> Mapping[str, str]:
        """The workspace's own link farms, likewise."""
        return _read_hosts(self.own.link_farms)

    @cached_property
    def allowed_hosts(self) -> frozenset[str]:
        """The hosts of the allowlist, in ASCII."""
        return frozenset(host for term in self.allowlist if (host := _try_host(term)))

    def extended(
        self,
        *,
        minimums: Mapping[str, Minimum] | None = None,
        blocklist: Iterable[str] = (),
        allowlist: Iterable[str] = (),
        link_farms: Iterable[str] = (),
        patterns: Mapping[str, str] | None = None,
        limits: Mapping[str, Any] | None = None,
    ) -> SpamRules:
        """These rules with a workspace's additions.

        Args:
            minimums: Replacements by source.
            blocklist: More phrases.
            allowlist: More phrases and hosts.
            link_farms: More hosts.
            patterns: More patterns; one with the name of a general pattern replaces it.
            limits: Replacements of `rules_off` and the numbers, by attribute.
        """
        own = OwnLists(
            blocklist=(*self.own.blocklist, *blocklist),
            patterns=tuple({**dict(self.own.patterns), **(patterns or {})}.items()),
            link_farms=(*self.own.link_farms, *link_farms),
        )
        names = dict(own.patterns)
        return replace(
            self,
            minimums={**self.minimums, **(minimums or {})},
            allowlist=(*self.allowlist, *allowlist),
            patterns=tuple(one for one in self.patterns if one[0] not in names),
            own=own,
            **(limits or {}),
        )


def check_allowed(text: str) -> str:
    """Validate a phrase or a host.

    Raises:
        ValueError: It cannot match, or is an address with more than a host.
    """
    if "://" in text or _ADDRESS.fullmatch(text.strip()):
        read_host(text)
    return check_phrase(text)


def check_host(text: str) -> str:
    """Validate a host; it is returned as listed.

    Raises:
        ValueError: It is not a host.
    """
    read_host(text)
    return text


def check_pattern_name(text: str) -> str:
    """Validate a pattern's name.

    Raises:
        ValueError: It is not 1 to 60 printable characters.
    """
    if not (text.strip() and text.isprintable() and len(text) <= 60):
        raise ValueError("a pattern's name has 1 to 60 printable characters")
    return text


def _read_hosts(listed: Iterable[str]) -> Mapping[str, str]:
    return {host: readable_host(host) for host in map(read_host, listed)}


def _try_host(text: str) -> str | None:
    try:
        return read_host(text)
    except ValueError:
        return None


def _check(key: str, value: str, check: Any) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ConfigError(f"{key}: {value[:40]!r}: {error}") from error
