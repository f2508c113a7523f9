"""The parts of a workspace's config, and what each value may be.

Every number has bounds and every phrase has words: what a config may hold, the rest of the program
can work with. No error repeats a value that may be a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from ytap_assets.domain.ids import is_channel_id
from ytap_assets.domain.languages import check_language
from ytap_assets.domain.phrases import check_phrase, check_regex
from ytap_assets.domain.scoring import SOURCE_WEIGHTS
from ytap_assets.domain.scoring_weights import BOUNDS, ScoringWeights
from ytap_assets.domain.spam_rules import (
    MAX_PATTERNS,
    RuleName,
    check_allowed,
    check_host,
    check_pattern_name,
)
from ytap_assets.errors import ConfigError

Status = Literal["active", "paused", "archived"]

_SECRET_NAME = re.compile(r"YTAP_SECRET_[A-Z0-9_]+")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,94}\.json")
_SUBREDDIT = re.compile(
    r"(?:(?:https?://)?(?:(?:www|old|new|m)\.)?reddit\.com)?/?(?:r/)?([A-Za-z0-9_]{2,21})/?",
    re.IGNORECASE | re.ASCII,
)
_SOURCE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SOURCE_SPELLINGS = {
    "hackernews": "hn",
    "hacker_news": "hn",
    "yt": "youtube",
    "youtube_channels": "youtube_channel",
    "subreddit": "reddit",
}
_MAX_COUNT = 10**12
_MAX_DAYS = 36_500
_MAX_SEARCHES = 10
_LONGEST_SEARCH = 100


Count = Annotated[int, Field(ge=0, le=_MAX_COUNT)]
Days = Annotated[int, Field(ge=1, le=_MAX_DAYS)]
Phrases = tuple[Annotated[str, AfterValidator(check_phrase)], ...]
Allowed = tuple[Annotated[str, AfterValidator(check_allowed)], ...]
Hosts = tuple[Annotated[str, AfterValidator(check_host)], ...]
Language = Annotated[str, AfterValidator(check_language)]
Patterns = Annotated[
    dict[
        Annotated[str, AfterValidator(check_pattern_name)],
        Annotated[str, AfterValidator(check_regex)],
    ],
    Field(max_length=MAX_PATTERNS),
]
Percent = Annotated[float, Field(ge=0, le=100)]
Times = Annotated[int, Field(ge=1, le=1000)]
Weight = Annotated[float, Field(ge=0, le=1000)]


class Section(BaseModel):
    """A part of the config: unknown keys are errors, so that a typing slip is seen."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Brand(Section):
    """What the channel sounds and looks like, and what it never talks about."""

    tone: str = ""
    visual_style: str = ""
    banned_topics: Phrases = ()


class Channel(Section):
    """A YouTube channel: an own one or a monitored one."""

    id: str
    title: str | None = None
    status: Status = "active"

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if not is_channel_id(value):
            raise ValueError("a channel id is UC followed by 22 letters, digits, _ or -")
        return value


class Account(Section):
    """A platform account whose metrics are collected."""

    platform: str
    handle: str
    credential_ref: str | None = None
    has_consent: bool = False
    is_enabled: bool = True

    @field_validator("credential_ref")
    @classmethod
    def _check_reference(cls, value: str | None) -> str | None:
        if value is not None and not _SECRET_NAME.fullmatch(value):
            raise ValueError(
                "only the name of a variable belongs here, YTAP_SECRET_ and A-Z, 0-9 or _;"
                " set the variable to the secret itself"
            )
        return value


def _read_subreddit(text: str) -> str:
    match = _SUBREDDIT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a subreddit's name such as rust")
    return match[1]


class HackerNews(Section):
    """What is asked of Hacker News."""

    enabled: bool = True
    min_points: Count = 50


class Reddit(Section):
    """What is asked of Reddit."""

    subreddits: tuple[str, ...] = ()
    min_score: Count = 100

    @field_validator("subreddits")
    @classmethod
    def _read_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """The bare names: ``r/rust``, ``/r/rust/`` and the page's address name it as well."""
        return tuple(map(_read_subreddit, value))


class YouTube(Section):
    """What is asked of YouTube: charts by region and category, monitored channels, searches.

    Searches are phrases; all workspaces together have 100 calls a day for them.
    """

    regions: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    min_views: Count = 1000
    monitored_channels: tuple[Channel, ...] = ()
    searches: tuple[str, ...] = Field(default=(), max_length=_MAX_SEARCHES)

    @field_validator("regions")
    @classmethod
    def _check_regions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for region in value:
            if not (len(region) == 2 and region.isascii() and region.isupper()):
                raise ValueError(f"{region!r} is not a region such as US")
            if region == "UK":
                raise ValueError("'UK' is no region to YouTube; write GB")
        return value

    @field_validator("categories")
    @classmethod
    def _check_categories(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for category in value:
            if not category.isdecimal():
                raise ValueError(f"{category!r} is not a numeric category id such as '28'")
        return value

    @field_validator("searches")
    @classmethod
    def _check_searches(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for phrase in value:
            is_phrase = phrase.isprintable() and phrase == phrase.strip() and phrase
            if not is_phrase or len(phrase) > _LONGEST_SEARCH:
                raise ValueError(
                    f"a search has 1 to {_LONGEST_SEARCH} printable characters,"
                    " none of them a space at either end"
                )
        if len({phrase.casefold() for phrase in value}) < len(value):
            raise ValueError("a search is listed once; capitals make no difference")
        return value


class Sources(Section):
    """Where trends come from."""

    hn: HackerNews = HackerNews()
    reddit: Reddit = Reddit()
    youtube: YouTube = YouTube()


class Spam(Section):
    """What this workspace adds to the spam rules, and what it sets otherwise.

    Lists add to the general ones. What is not given stays as `domain.spam_rules.SpamRules` has it;
    there each number is explained.
    """

    blocklist: Phrases = ()
    allowlist: Allowed = ()
    link_farms: Hosts = ()
    patterns: Patterns = Field(default_factory=dict)
    rules_off: tuple[RuleName, ...] = ()
    max_emoji: Times | None = None
    max_capitals_pct: Percent | None = None
    min_capitals: Times | None = None
    max_run: Times | None = None
    style_signs: Times | None = None
    min_repeated_words: Times | None = None
    max_same_title: Times | None = None
    model: str | None = None
    min_model_pct: Percent | None = None

    @field_validator("model")
    @classmethod
    def _check_model(cls, value: str | None) -> str | None:
        if value is not None and not _FILE_NAME.fullmatch(value):
            raise ValueError(
                "a file's name in the folder `models`: letters, digits, `_`, `-` and `.`,"
                " without a folder, ending in .json"
            )
        return value


class Scoring(Section):
    """Weights of the base score, and of the final one's factors (`ScoringWeights`)."""

    source_weights: dict[str, Weight] = Field(default_factory=dict)
    views_per_engagement: float = Field(default=50, ge=0.01, le=1_000_000)
    weights: dict[str, float] = Field(default_factory=dict)

    @field_validator("source_weights")
    @classmethod
    def _check_sources(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if not _SOURCE_NAME.fullmatch(name) or name in _SOURCE_SPELLINGS:
                plain = re.sub(r"[\s-]+", "_", name.strip().lower())
                known = _SOURCE_SPELLINGS.get(plain, plain)
                meant = f"write {known}" if known in SOURCE_WEIGHTS else "such as hn or reddit"
                raise ValueError(f"{name!r} is not the name of a source as in raw_trends: {meant}")
        return value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(BOUNDS))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(BOUNDS)}")
        try:
            ScoringWeights(**value)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return value


class Approval(Section):
    """Who approves: a person, or the policy as soon as all gates are green."""

    scripts: Literal["person", "policy"] = "person"
    videos: Literal["person", "policy"] = "person"


class Budget(Section):
    """What a video may cost."""

    per_video_usd: float = Field(default=3.0, ge=0, le=1_000_000)


class Retention(Section):
    """How long rows are kept."""

    raw_payloads_days: Days = 183
    metrics_days: Days = 730


class Reports(Section):
    """Who gets the reports."""

    recipients: tuple[str, ...] = ()
