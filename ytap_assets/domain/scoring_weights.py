"""How much each factor of the final score weighs: the settings, and their bounds.

Belongs here: what a workspace's config may say about the final score. Does not belong here: the
factors themselves (`final_score`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from ytap_assets.errors import ConfigError

_EXPONENT = (0.0, 3.0)
BOUNDS = {
    "momentum": _EXPONENT,
    "relevance": _EXPONENT,
    "cross_source": _EXPONENT,
    "learned": _EXPONENT,
    "keyword_step": (0.0, 1.0),
    "no_keyword": (0.5, 1.0),
    "other_language": (0.5, 1.0),
    "source_step": (0.0, 0.5),
    "spam": (0.0, 1.0),
}
"""The least and the greatest value of each of `ScoringWeights`."""


@dataclass(frozen=True)
class ScoringWeights:
    """What the factors of the final score weigh.

    Attributes:
        momentum: The exponent of momentum; 0 leaves the factor out, 1 takes it as it is.
        relevance: The exponent of relevance.
        cross_source: The exponent of the boost for several platforms.
        learned: The exponent of the learned weight.
        keyword_step: What each matched phrase adds to relevance.
        no_keyword: The relevance of a story that matches none of the workspace's phrases.
        other_language: What relevance is multiplied with for a title clearly in another language.
        source_step: What each further platform adds to the boost.
        spam: The spam factor of a story all of whose members are spam.

    Raises:
        ConfigError: A value is outside its `BOUNDS`.
    """

    momentum: float = 1.0
    relevance: float = 1.0
    cross_source: float = 1.0
    learned: float = 1.0
    keyword_step: float = 0.25
    no_keyword: float = 0.75
    other_language: float = 0.5
    source_step: float = 0.25
    spam: float = 0.1

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            least, greatest = BOUNDS[name]
            if not least <= getattr(self, name) <= greatest:
                raise ConfigError(
                    f"{name}: {getattr(self, name)} is not between {least:g} and {greatest:g}"
                )
