"""The base score and the spam rules row by row, in plain Python."""

from __future__ import annotations

import re
import unicodedata
from datetime import timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from ytap_assets.domain.scoring.items import (
    OTHER_SOURCE_WEIGHT,
    SOURCE_WEIGHTS,
    SPAM_FACTOR,
    VIEWS_PER_ENGAGEMENT,
)
from ytap_assets.domain.spam.rules import SpamRules

_HOUR = timedelta(hours=1)
_BASIS_OF_VIEWS = f"views/{VIEWS_PER_ENGAGEMENT:g}"


def score_row(row: dict[str, Any]) -> dict[str, Any]:
    """The base score of one trend, and its parts."""
    engagement, basis = _engagement(row)
    published_at = row["published_at"]
    hours_old = None
    if published_at is not None:
        hours_old = max((row["observed_at"] - published_at) / _HOUR, 0.0)
    engagement_score = 0.0 if engagement is None else min(engagement / 1000, 10.0)
    recency_score = 0.0 if hours_old is None else max(10 - hours_old / 2, 0.0)
    weight = SOURCE_WEIGHTS.get(row["source"], OTHER_SOURCE_WEIGHT)
    factor = SPAM_FACTOR if row["is_spam"] else 1.0
    return {
        "engagement": engagement,
        "engagement_basis": basis,
        "hours_old": hours_old,
        "engagement_score": engagement_score,
        "recency_score": recency_score,
        "source_weight": weight,
        "base_score": round((engagement_score + recency_score) * weight * factor, 2),
    }


def _engagement(row: dict[str, Any]) -> tuple[float | None, str]:
    comments = row["comments"]
    for name in ("points", "likes"):
        if row[name] is not None:
            if comments is None:
                return float(row[name]), name
            return float(row[name] + comments), f"{name}+comments"
    if row["views"] is not None:
        return row["views"] / VIEWS_PER_ENGAGEMENT, _BASIS_OF_VIEWS
    return (None, "none") if comments is None else (float(comments), "comments")


def score_row_with_spam(row: dict[str, Any], rules: SpamRules) -> dict[str, Any]:
    """The spam rules, and the score of one trend."""
    reasons = find_reasons(row, rules)
    judged = {**row, "is_spam": bool(reasons), "spam_reasons": reasons}
    return {**judged, **score_row(judged)}


def find_reasons(row: dict[str, Any], rules: SpamRules) -> list[str]:
    """The names of the rules that match one trend."""
    title = unicodedata.normalize("NFKC", row["title"])
    checks = {
        "minimum_engagement": _is_below_minimum(row, rules),
        "blocklist": _blocklist(rules.blocklist).search(title),
        "pattern": any(pattern.search(title) for pattern in _patterns(rules.patterns)),
        "link_farm": _is_link_farm(row["url"], rules),
        "repeated_words": _is_repetitive(title, rules),
        "promoted": row["is_promoted"],
    }
    signs = {
        "emoji_excess": sum(unicodedata.category(c) == "So" for c in title) > rules.max_emoji,
        "capitals_excess": _is_shouting(title, row["source"], rules),
        "repeated_characters": _runs(rules.max_run).search(title),
    }
    if sum(map(bool, signs.values())) >= rules.style_signs:
        checks |= signs
    return [name for name, found in checks.items() if found]


def _is_below_minimum(row: dict[str, Any], rules: SpamRules) -> bool:
    minimum = rules.minimums.get(row["source"])
    if minimum is None or row[minimum.count] is None:
        return False
    return bool(row[minimum.count] < minimum.at_least)


@lru_cache
def _blocklist(phrases: tuple[str, ...]) -> re.Pattern[str]:
    spaced = (r"\s+".join(map(re.escape, phrase.split())) for phrase in phrases)
    return re.compile(rf"(?i)\b(?:{'|'.join(spaced)})\b")


@lru_cache
def _patterns(patterns: tuple[tuple[str, str], ...]) -> list[re.Pattern[str]]:
    return [re.compile(regex) for _, regex in patterns]


@lru_cache
def _runs(longest: int) -> re.Pattern[str]:
    return re.compile(rf"(?i)([a-zа-я!$])\1{{{longest},}}")  # noqa: RUF001


def _is_link_farm(url: str | None, rules: SpamRules) -> bool:
    host = urlsplit(url or "").hostname or ""
    return any(host == farm or host.endswith(f".{farm}") for farm in rules.link_farms)


def _is_shouting(title: str, source: str, rules: SpamRules) -> bool:
    if source in rules.capitals_exempt:
        return False
    capitals, small = sum(map(str.isupper, title)), sum(map(str.islower, title))
    if capitals < rules.min_capitals:
        return False
    return 100 * capitals / (capitals + small) > rules.max_capitals_pct


def _is_repetitive(title: str, rules: SpamRules) -> bool:
    words = title.lower().split()
    return len(words) >= rules.min_repeated_words and len(set(words)) * 3 <= len(words)
