"""What counts as spam in a workspace: thresholds and lists, and how a workspace adds its own.

Belongs here: the settings of the rules. Does not belong here: the matching (`spam`), or the lists
that everyone starts from (`spam_lists`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from ytap_assets.domain.phrases import check_phrase, check_regex
from ytap_assets.domain.spam_lists import BLOCKLIST, LINK_FARMS, PATTERNS
from ytap_assets.domain.urls import read_host
from ytap_assets.errors import ConfigError

MAX_PATTERNS = 100

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


@dataclass(frozen=True)
class Minimum:
    """The least of a count that an item of a source must have."""

    count: Literal["points", "views"]
    at_least: int


def _default_minimums() -> Mapping[str, Minimum]:
    return {
        "reddit": Minimum("points", 100),
        "hn": Minimum("points", 50),
        "youtube": Minimum("views", 1000),
    }


@dataclass(frozen=True)
class SpamRules:
    """What counts as spam in a workspace.

    Emoji, capitals and long runs are signs of shouting, and honest titles shout: each is held
    against a title only where the signs add up to `style_signs`. Three times as many emoji, or
    three times as long a run, as is allowed are two signs.

    Attributes:
        minimums: The least engagement, by source. A source without an entry has none: a
            monitored channel was chosen, so its videos count from the first view.
        blocklist: Phrases that mark spam.
        allowlist: Phrases (and hosts, with their subdomains) that never do: the blocklist, the
            patterns and the link farms do not see them.
        patterns: Regular expressions that mark spam, by name.
        link_farms: Hosts that mark spam, with their subdomains.
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
        min_model_pct: How sure a model must be; honest titles reach 99.

    Raises:
        ConfigError: A phrase or a pattern is refused; the message names the key.
    """

    minimums: Mapping[str, Minimum] = field(default_factory=_default_minimums)
    blocklist: tuple[str, ...] = BLOCKLIST
    allowlist: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = PATTERNS
    link_farms: tuple[str, ...] = LINK_FARMS
    rules_off: frozenset[RuleName] = frozenset()
    max_emoji: int = 5
    max_capitals_pct: float = 90
    min_capitals: int = 25
    capitals_exempt: frozenset[str] = frozenset({"youtube", "youtube_channel"})
    max_run: int = 7
    style_signs: int = 2
    min_repeated_words: int = 6
    max_same_title: int = 3
    min_model_pct: float = 99.9

    def __post_init__(self) -> None:
        for name, check in _TERMS.items():
            for term in getattr(self, name):
                _refuse(f"spam.{name}", term, check)
        if len(self.patterns) > MAX_PATTERNS:
            raise ConfigError(f"spam.patterns: more than {MAX_PATTERNS}")
        for name, regex in self.patterns:
            _refuse("spam.patterns", name, check_pattern_name)
            _refuse(f"spam.patterns.{name}", regex, check_regex)

    @cached_property
    def farm_hosts(self) -> Mapping[str, str]:
        """The link farms in ASCII, each with its name as people read it."""
        hosts = map(read_host, self.link_farms)
        return {host: host.encode().decode("idna") for host in hosts}

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
            blocklist: More phrases.
            allowlist: More phrases and hosts.
            link_farms: More hosts.
            patterns: More patterns; one of our name replaces ours.
            limits: What replaces ours: `rules_off` and the numbers, by attribute.
        """
        return replace(
            self,
            minimums={**self.minimums, **(minimums or {})},
            blocklist=(*self.blocklist, *blocklist),
            allowlist=(*self.allowlist, *allowlist),
            link_farms=(*self.link_farms, *link_farms),
            patterns=tuple({**dict(self.patterns), **(patterns or {})}.items()),
            **(limits or {}),
        )


def check_allowed(text: str) -> str:
    """A phrase or a host, where it can be looked for.

    Raises:
        ValueError: It can be found nowhere, or is an address that is more than a host.
    """
    if "://" in text:
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


_TERMS = {"blocklist": check_phrase, "allowlist": check_allowed, "link_farms": check_host}


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
