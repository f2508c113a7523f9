"""What counts as spam in a workspace: thresholds and lists, and how a workspace adds its own.

Belongs here: the settings of the rules. Does not belong here: the matching (`spam`), or the lists
that everyone starts from (`spam_lists`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from ytap_assets.domain.phrases import MAX_PHRASES, check_phrase, check_regex
from ytap_assets.domain.source_profiles import SOURCE_PROFILES, Minimum, default_minimums
from ytap_assets.domain.spam_lists import BLOCKLIST, LINK_FARMS, PATTERNS
from ytap_assets.domain.urls import read_host, readable_host
from ytap_assets.errors import ConfigError

MAX_PATTERNS = 100
_ADDRESS = re.compile(
    r"(?:\*?\.|//)?(?:(?:[\w-]+\.)+[^\W\d_]{2,63}|\d{1,3}(?:\.\d{1,3}){3})\.?"
    r"(?::\d+\S*|/(?![A-Z])\S*|[?#](?![A-Z]|$)\S*)"
)
"""A host with a path or a port, without its scheme; not two names such as `Node.js/Express`."""

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
"""Every rule, by the word its reasons begin with."""

RULE_PRECISION = 0.6
"""How likely a text is spam where one general list matches and nothing else is known.

Lists were right more often than that on the texts that they were written with, and less often on
others. The value is kept low on purpose: one match is enough where no model has an opinion, and
raises the odds that a model gives by 2.5 at most, so that a rule never outweighs it.
"""
LOOKS_PRECISION = 0.5
"""The same for how a text looks, which is about as often wrong as right."""
LOOKS: tuple[RuleName, ...] = (
    "emoji_excess",
    "capitals_excess",
    "repeated_characters",
    "repeated_words",
)


def declared_precision(evidence: str) -> float:
    """How likely a match is right where no model has learned about it, 0 to 1.

    Args:
        evidence: The name of a match (`spam.match_texts`).
    """
    return LOOKS_PRECISION if evidence in LOOKS else RULE_PRECISION


def find_too_weak(min_spam_pct: float) -> list[str]:
    """The rules of which one match is too little for spam where no model has an opinion.

    Args:
        min_spam_pct: The probability of spam, in percent, from which a row counts as spam.
    """
    evidence = ("blocklist", "pattern", "link_farm", *LOOKS)
    return [name for name in evidence if 100 * declared_precision(name) < min_spam_pct]


@dataclass(frozen=True)
class OwnLists:
    """What a workspace lists itself. A match decides alone, whatever the probability of spam."""

    blocklist: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = ()
    link_farms: tuple[str, ...] = ()


@dataclass(frozen=True)
class SpamRules:
    """What counts as spam in a workspace.

    The general lists and the rules about how a text looks are evidence: each match has a
    probability of being right (`declared_precision`, or less where a model learned so), and all
    of them and the model make one probability of spam. The other rules decide alone: the minimums,
    what a platform or its moderators promoted, repeated titles, and the workspace's own lists.

    Emoji, capitals and long runs are signs of shouting, and honest titles shout: each is held
    against a title only where the signs add up to `style_signs`. Three times as many emoji, or
    three times as long a run, as is allowed are two signs.

    Attributes:
        minimums: The least engagement, by source. A source without an entry has none: a
            monitored channel was chosen, so its videos count from the first view.
        blocklist: General phrases that are evidence of spam.
        allowlist: Phrases (and hosts, with their subdomains) that never are: the blocklists, the
            patterns and the link farms do not see them.
        patterns: General regular expressions that are evidence of spam, by name.
        link_farms: General hosts that are evidence of spam, with their subdomains.
        own: The workspace's own phrases, patterns and hosts. What is the same as a general one, in
            whatever spelling, is its own alone.
        rules_off: Rules that do not run.
        max_emoji: The most emoji a title may have before that is a sign.
        max_capitals_pct: The largest share of capitals among letters that have a case ...
        min_capitals: ... in titles with at least so many capitals.
        capitals_exempt: Sources whose honest titles often are all capitals.
        max_run: The longest run of one letter (Latin or Cyrillic), or of ``!`` or ``$``.
        style_signs: How many signs of shouting make spam; 1: each alone.
        min_repeated_words: Titles of at least so many words are spam where a third of them, or
            less, are different words.
        max_same_title: How many items of one channel may have the same title on one day.
        min_spam_pct: The probability of spam, in percent, from which a row counts as spam.

    Raises:
        ConfigError: A phrase or a pattern is refused; the message names the key.
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
                _refuse(f"spam.{name}", term, check)
        for name, listed in (("blocklist", own.blocklist), ("allowlist", self.allowlist)):
            if len(listed) > MAX_PHRASES:
                raise ConfigError(f"spam.{name}: more than {MAX_PHRASES:,} phrases")
        patterns = (*self.patterns, *own.patterns)
        if len(patterns) > MAX_PATTERNS:
            raise ConfigError(f"spam.patterns: more than {MAX_PATTERNS}")
        for name, regex in patterns:
            _refuse("spam.patterns", name, check_pattern_name)
            _refuse(f"spam.patterns.{name}", regex, check_regex)

    @cached_property
    def farm_hosts(self) -> Mapping[str, str]:
        """The general link farms in ASCII, each with its name as people read it."""
        hosts = _read_hosts(self.link_farms)
        return {host: shown for host, shown in hosts.items() if host not in self.own_farm_hosts}

    @cached_property
    def own_farm_hosts(self) -> Mapping[str, str]:
        """The workspace's own link farms, likewise."""
        return _read_hosts(self.own.link_farms)

    @cached_property
    def allowed_hosts(self) -> frozenset[str]:
        """What of the allowlist is a host, in ASCII."""
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
        """These rules with a workspace's own added.

        Args:
            minimums: Replace ours, by source.
            blocklist: More phrases, each decides alone.
            allowlist: More phrases and hosts.
            link_farms: More hosts, each decides alone.
            patterns: More patterns, each decides alone; one of our name replaces ours.
            limits: What replaces ours: `rules_off` and the numbers, by attribute.
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
    """A phrase or a host, where it can be looked for.

    Raises:
        ValueError: It can be found nowhere, or is an address that is more than a host.
    """
    if "://" in text or _ADDRESS.fullmatch(text.strip()):
        read_host(text)
    return check_phrase(text)


def check_host(text: str) -> str:
    """The host as it is listed, where it is one.

    Raises:
        ValueError: It is none.
    """
    read_host(text)
    return text


def check_pattern_name(text: str) -> str:
    """The name, where a reason can show it.

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


def _refuse(key: str, value: str, check: Any) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ConfigError(f"{key}: {value[:40]!r}: {error}") from error
