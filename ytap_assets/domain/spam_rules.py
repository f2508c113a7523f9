"""What counts as spam in a workspace: thresholds and lists, and how a workspace adds its own.

Belongs here: the settings of the rules. Does not belong here: the matching (`spam`), or the lists
that everyone starts from (`spam_lists`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from ytap_assets.domain.spam_lists import BLOCKLIST, LINK_FARMS, PATTERNS
from ytap_assets.errors import ConfigError

MAX_TERM_CHARACTERS = 200


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

    Attributes:
        minimums: The least engagement, by source. A source without an entry has none: a
            monitored channel was chosen, so its videos count from the first view.
        blocklist: Phrases that mark spam.
        allowlist: Phrases (and hosts) that never do: the blocklist, the patterns and the link
            farms do not see them.
        patterns: Regular expressions that mark spam, by name.
        link_farms: Hosts that mark spam, with their subdomains.
        max_emoji: The most emoji a title may have.
        max_capitals_pct: The largest share of capitals among letters that have a case ...
        min_capitals: ... in titles with at least so many capitals.
        capitals_exempt: Sources whose honest titles often are all capitals.
        max_run: The longest run of one letter (Latin or Cyrillic), or of ``!`` or ``$``.
        min_repeated_words: Titles of at least so many words are spam where a third of them, or
            less, are different words.

    Raises:
        ConfigError: A phrase is empty or longer than `MAX_TERM_CHARACTERS`.
    """

    minimums: Mapping[str, Minimum] = field(default_factory=_default_minimums)
    blocklist: tuple[str, ...] = BLOCKLIST
    allowlist: tuple[str, ...] = ()
    patterns: tuple[tuple[str, str], ...] = PATTERNS
    link_farms: tuple[str, ...] = LINK_FARMS
    max_emoji: int = 5
    max_capitals_pct: float = 90
    min_capitals: int = 25
    capitals_exempt: frozenset[str] = frozenset({"youtube", "youtube_channel"})
    max_run: int = 7
    min_repeated_words: int = 6

    def __post_init__(self) -> None:
        for name in ("blocklist", "allowlist", "link_farms"):
            for term in getattr(self, name):
                if not term.strip() or len(term) > MAX_TERM_CHARACTERS:
                    raise ConfigError(
                        f"spam.{name}: {term[:40]!r} is not a phrase of 1 to"
                        f" {MAX_TERM_CHARACTERS} characters"
                    )

    def extended(
        self,
        *,
        minimums: Mapping[str, Minimum] | None = None,
        blocklist: Iterable[str] = (),
        allowlist: Iterable[str] = (),
        link_farms: Iterable[str] = (),
    ) -> SpamRules:
        """These rules with a workspace's own added; its minimums replace ours, by source."""
        return replace(
            self,
            minimums={**self.minimums, **(minimums or {})},
            blocklist=(*self.blocklist, *blocklist),
            allowlist=(*self.allowlist, *allowlist),
            link_farms=(*self.link_farms, *link_farms),
        )
