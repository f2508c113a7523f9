"""The sections of a workspace's config, and the valid values of each key.

Every number has bounds and every phrase has words, so the rest of the program can use every valid
config. No error shows a value that may be a secret.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ytap_assets.config_keys import MISTYPED, find_nearest, fold_name, refuse_repeats
from ytap_assets.domain.ids import is_channel_id
from ytap_assets.domain.languages import check_country, check_language
from ytap_assets.domain.phrases import MAX_PHRASES, check_phrase, check_regex
from ytap_assets.domain.scoring.final_score import BOUNDS, ScoringWeights
from ytap_assets.domain.scoring.items import SOURCE_WEIGHTS, VIEWS_PER_ENGAGEMENT
from ytap_assets.domain.source_profiles import SOURCE_PROFILES, Minimum, default_minimums
from ytap_assets.domain.spam.rules import (
    MAX_PATTERNS,
    RULE_PRECISION,
    RuleName,
    SpamRules,
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
    spelling: name for name, profile in SOURCE_PROFILES.items() for spelling in profile.spellings
}
_PLATFORMS = (
    *("bluesky", "facebook", "hacker_news", "instagram", "linkedin", "mastodon", "pinterest"),
    *("reddit", "snapchat", "telegram", "threads", "tiktok", "twitch", "twitter", "youtube"),
)
_MAX_COUNT = 10**12
_MAX_DAYS = 36_500
_MAX_SEARCHES = 10
_LONGEST_SEARCH = 100
_LONGEST_NAME = 100
_TWO = 2


def suggest_source(name: str) -> str | None:
    """The source with a profile that an unknown name probably means; None for any other name."""
    if name in SOURCE_PROFILES:
        return None
    return _SOURCE_SPELLINGS.get(fold_name(name)) or find_nearest(name, SOURCE_PROFILES)


def _refuse_truth(value: object) -> object:
    """Refuse `yes` for a number: it would be 1."""
    if isinstance(value, bool):
        # Not a TypeError, which pydantic does not convert to an error of the key.
        raise ValueError("expected a number, not true or false (yes, no, on, off)")  # noqa: TRY004
    return value


def _refuse_many(value: object) -> object:
    """Refuse a list of phrases that is too long for the search."""
    if isinstance(value, list | tuple) and len(value) > MAX_PHRASES:
        raise ValueError(f"at most {MAX_PHRASES:,} phrases; it has {len(value):,}")
    return value


_Number = BeforeValidator(_refuse_truth)
Count = Annotated[int, _Number, Field(ge=0, le=_MAX_COUNT)]
Days = Annotated[int, _Number, Field(ge=1, le=_MAX_DAYS)]
Hours = Annotated[int, _Number, Field(ge=1, le=24)]
Phrases = Annotated[
    tuple[Annotated[str, AfterValidator(check_phrase)], ...], BeforeValidator(_refuse_many)
]
Allowed = Annotated[
    tuple[Annotated[str, AfterValidator(check_allowed)], ...], BeforeValidator(_refuse_many)
]
Hosts = tuple[Annotated[str, AfterValidator(check_host)], ...]
Language = Annotated[str, AfterValidator(check_language)]
Patterns = Annotated[
    dict[
        Annotated[str, AfterValidator(check_pattern_name)],
        Annotated[str, AfterValidator(check_regex)],
    ],
    Field(max_length=MAX_PATTERNS),
]
Dollars = Annotated[float, _Number, Field(ge=0, le=1_000_000)]
StateHours = Annotated[float, _Number, Field(gt=0, le=24 * _MAX_DAYS)]
Percent = Annotated[float, _Number, Field(ge=0, le=100)]
Times = Annotated[int, _Number, Field(ge=1, le=1000)]
Weight = Annotated[float, _Number, Field(ge=0, le=1000)]


class Section(BaseModel):
    """A section of the config; unknown keys are errors."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Brand(Section):
    """The channel's tone, its visual style and the topics that are banned."""

    tone: str = Field(
        default="",
        description="Tone of the scripts; shown in the table `workspaces`",
        examples=["curious, precise, a little dry"],
    )
    visual_style: str = Field(
        default="",
        description="Look of the videos; shown in the table `workspaces`",
        examples=["dark background, large captions"],
    )
    banned_topics: Phrases = Field(
        default=(),
        description="Phrases that close the gate `banned_topic` of a script that contains one",
        examples=[["crypto giveaway", "stolen data"]],
    )


class Channel(Section):
    """A YouTube channel: an own one or a monitored one."""

    id: str = Field(
        description="`UC` and 22 letters, digits, `_` or `-`", examples=["UCbR7vQxk2mT9dWnLs4HyPzA"]
    )
    title: str | None = Field(default=None, description="Display name", examples=["The Bench Lab"])
    status: Status = Field(
        default="active",
        description="`active`, `paused` or `archived`; a monitored one is collected if `active`",
    )

    @field_validator("id")
    @classmethod
    def _check_id(cls, value: str) -> str:
        if not is_channel_id(value):
            found = next(filter(is_channel_id, re.split(r"[/?#]", value)), None)
            raise ValueError(
                "a channel id is UC followed by 22 letters, digits, _ or -, not an address or a"
                " name;"
                + (f" write {found}" if found else " `Share channel` on its page copies the id")
            )
        return value


class Account(Section):
    """A platform account; a row of the table `accounts`."""

    platform: str = Field(description="The platform", examples=["youtube"])
    handle: str = Field(description="Its handle on the platform", examples=["@kernelpanicclub"])
    credential_ref: str | None = Field(
        default=None,
        description="The name of the environment variable that holds its secret",
        examples=["YTAP_SECRET_YOUTUBE_KEY"],
    )
    has_consent: bool = Field(
        default=False, description="Whether its owner consented to the collection", examples=[True]
    )
    is_enabled: bool = Field(
        default=True,
        description="Whether its metrics may be collected; read by custom sources only",
    )

    @field_validator("platform")
    @classmethod
    def _check_platform(cls, value: str) -> str:
        """Accept any name, such as `youtube_de`, except a mistyped well-known one."""
        folded = fold_name(value)
        nearest = find_nearest(value, _PLATFORMS, cutoff=MISTYPED)
        if nearest is not None and not re.fullmatch(rf"{nearest}(?:_.+|\d+)?", folded):
            raise ValueError(f"{value!r} is not a platform; did you mean `{nearest}`?")
        if not folded:
            raise ValueError("the name of a platform is missing; write one such as youtube")
        return value

    @field_validator("credential_ref")
    @classmethod
    def _check_reference(cls, value: str | None) -> str | None:
        if value is not None and not _SECRET_NAME.fullmatch(value):
            raise ValueError(
                "expected the name of a variable: YTAP_SECRET_ and A-Z, 0-9 or _; set the variable"
                " to the secret"
            )
        return value


def _read_subreddit(text: str) -> str:
    match = _SUBREDDIT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a subreddit's name such as rust")
    return match[1]


def _default_minimum(source: str) -> int:
    return default_minimums()[source].at_least


class HackerNews(Section):
    """What is collected from Hacker News."""

    enabled: bool = Field(default=True, description="Whether it is collected")
    min_points: Count = Field(
        default_factory=lambda: _default_minimum("hn"),
        description="Minimum points of a story; a story with fewer is spam",
    )


class Reddit(Section):
    """What is collected from Reddit."""

    subreddits: tuple[str, ...] = Field(
        default=(),
        description="Their names, with or without `r/`; a name of digits only needs quotes",
        examples=[["technology", "programming", "196"]],
    )
    min_score: Count = Field(
        default_factory=lambda: _default_minimum("reddit"),
        description="Minimum score of a post; a post with a lower score is spam",
    )

    @field_validator("subreddits")
    @classmethod
    def _read_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Extract the names from ``r/rust``, ``/r/rust/`` or the URL of the page."""
        names = tuple(map(_read_subreddit, value))
        refuse_repeats((name.casefold(), text) for name, text in zip(names, value, strict=True))
        return names


class YouTube(Section):
    """What is collected from YouTube: charts by region and category, monitored channels, searches.

    Searches are phrases; all workspaces share 100 search calls a day.
    """

    regions: tuple[str, ...] = Field(
        default=(),
        description="Countries whose charts are collected, as ISO 3166 codes; Norway is `'NO'`",
        examples=[["US", "DE"]],
    )
    categories: tuple[str, ...] = Field(
        default=(),
        description="Categories whose charts are collected in each region, as numbers in quotes:"
        " 10 music, 20 gaming; the chart of all categories if not given",
        examples=[["10", "20"]],
    )
    min_views: Count = Field(
        default_factory=lambda: _default_minimum("youtube"),
        description="Minimum views of a video of a chart; a video with fewer is spam",
    )
    monitored_channels: tuple[Channel, ...] = Field(
        default=(), description="Other channels whose videos are collected"
    )
    searches: tuple[str, ...] = Field(
        default=(),
        max_length=_MAX_SEARCHES,
        description=f"Phrases that are searched once a day; at most {_MAX_SEARCHES}",
        examples=[["rust async", "self-hosting"]],
    )

    @field_validator("regions")
    @classmethod
    def _check_regions(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for region in value:
            check_country(region)
        refuse_repeats((region, region) for region in value)
        return value

    @field_validator("categories")
    @classmethod
    def _check_categories(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        # Invalid regions are reported separately.
        if value and info.data.get("regions") == ():
            raise ValueError("no chart is requested without `regions`; list them, such as [US]")
        for category in value:
            if not category.isdecimal():
                raise ValueError(f"{category!r} is not a numeric category id such as '28'")
        refuse_repeats((int(category), category) for category in value)
        return value

    @field_validator("monitored_channels")
    @classmethod
    def _check_channels(cls, value: tuple[Channel, ...]) -> tuple[Channel, ...]:
        refuse_repeats((channel.id.casefold(), channel.id) for channel in value)
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

    every_hours: Hours | None = Field(
        default=None,
        description="Hours between two collections of a day, 1 to 24; `YTAP_EVERY_HOURS` if not"
        " given, which is 6 by default",
        examples=[3],
    )
    hn: HackerNews = Field(default_factory=HackerNews)
    reddit: Reddit = Field(default_factory=Reddit)
    youtube: YouTube = Field(
        default_factory=YouTube,
        description="What is collected from YouTube: charts, channels and searches",
    )

    @property
    def minimums(self) -> dict[str, Minimum]:
        """The minimum of each source, by its name."""
        return {
            "hn": Minimum("points", self.hn.min_points),
            "reddit": Minimum("points", self.reddit.min_score),
            "youtube": Minimum("views", self.youtube.min_views),
        }


def _limit(about: str, name: str, example: float) -> Any:
    """A threshold of the spam rules; the default is its general value."""
    general = f"; {getattr(SpamRules, name)} if not given"
    return Field(default=None, description=f"{about}{general}", examples=[example])


class Spam(Section):
    """What this workspace adds to the spam rules, and the limits that it overrides.

    Lists extend the general ones. `domain.spam.rules.SpamRules` has the defaults and the meaning of
    each number.
    """

    blocklist: Phrases = Field(
        default=(), description="Phrases that mark spam", examples=[["free vbucks", "airdrop"]]
    )
    allowlist: Allowed = Field(
        default=(),
        description="Phrases and hosts (with their subdomains) that never mark spam",
        examples=[["secret management"]],
    )
    link_farms: Hosts = Field(
        default=(),
        description="Hosts (with their subdomains) that mark spam",
        examples=[["clickmill.example"]],
    )
    patterns: Patterns = Field(
        default_factory=dict,
        description="Regular expressions that mark spam, by a name of your choice",
        examples=[{"coupon code": "(?i)code:[A-Z0-9]{5,}"}],
    )
    rules_off: tuple[RuleName, ...] = Field(
        default=(), description="Rules that do not run", examples=[["promoted"]]
    )
    max_emoji: Times | None = _limit(
        "Most emoji in a title that are not a sign of shouting", "max_emoji", 3
    )
    max_capitals_pct: Percent | None = _limit(
        "Largest percentage of capitals that is not a sign of shouting", "max_capitals_pct", 80
    )
    min_capitals: Times | None = _limit(
        "Fewest capitals for which the percentage is checked", "min_capitals", 20
    )
    max_run: Times | None = _limit(
        "Longest run of one letter, `!` or `$` that is not a sign of shouting", "max_run", 5
    )
    style_signs: Times | None = _limit("How many signs of shouting make spam", "style_signs", 1)
    min_repeated_words: Times | None = _limit(
        "Fewest words of a title that is checked for repeated words", "min_repeated_words", 8
    )
    max_same_title: Times | None = _limit(
        "Most items of a channel with the same title on a day", "max_same_title", 2
    )
    model: str | None = Field(
        default=None,
        description="A learned model: a file in the data folder's `models`",
        examples=["comments.json"],
    )
    min_spam_pct: Percent | None = _limit(
        "Probability, in percent, from which a row counts as spam; above"
        f" {RULE_PRECISION * 100:.0f}, one match of a general list is not enough without a model",
        "min_spam_pct",
        40,
    )

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
    """Weights of the base score and of the factors of the final score (`ScoringWeights`)."""

    source_weights: dict[str, Weight] = Field(
        default_factory=dict,
        description="Weight of each source in the base score; if not given, "
        + ", ".join(f"{name} {weight:g}" for name, weight in SOURCE_WEIGHTS.items())
        + ", others 1",
        examples=[{"hn": 1.2, "youtube": 0.8}],
    )
    views_per_engagement: Annotated[float, _Number] = Field(
        default=VIEWS_PER_ENGAGEMENT,
        ge=0.01,
        le=1_000_000,
        description="How many views are equivalent to one vote",
    )
    weights: dict[str, Annotated[float, _Number]] = Field(
        default_factory=dict,
        description=f"Weights of the factors of the final score: {', '.join(BOUNDS)}",
        examples=[{"keyword_step": 0.5}],
    )

    @field_validator("source_weights")
    @classmethod
    def _check_sources(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            nearest = suggest_source(name)
            # An added source may have any other name.
            if nearest is not None or not _SOURCE_NAME.fullmatch(name):
                meant = f"did you mean `{nearest}`?" if nearest else "names have a-z, 0-9 and _"
                raise ValueError(f"{name!r} is not a source; {meant}")
        return value

    @field_validator("weights")
    @classmethod
    def _check_weights(cls, value: dict[str, float]) -> dict[str, float]:
        unknown = sorted(set(value) - set(BOUNDS))
        if unknown:
            nearest = find_nearest(unknown[0], BOUNDS)
            advice = f"; did you mean `{nearest}`?" if nearest else ""
            raise ValueError(f"{unknown[0]!r} is not one of {', '.join(BOUNDS)}{advice}")
        try:
            ScoringWeights(**value)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return value


def _check_approver(value: str) -> str:
    name = value.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"expected a name in one line of up to {_LONGEST_NAME} characters")
    if name == "policy" or ":" in name:
        raise ValueError("expected the name of a person, without `person:`")
    return name


class Approval(Section):
    """Who approves: a person, or the policy as soon as all gates are open."""

    scripts: Literal["person", "policy"] = Field(
        default="person",
        description="Who approves scripts: `person` or `policy`",
        examples=["policy"],
    )
    videos: Literal["person", "policy"] = Field(
        default="person", description="Who approves videos: `person` or `policy`"
    )
    approvers: tuple[Annotated[str, AfterValidator(_check_approver)], ...] = Field(
        default=(),
        description="Names of the persons whose decisions count; those of any person if not given",
        examples=[["Mira Holt", "Ada"]],
    )
    policy_min_score: Percent | None = Field(
        default=None,
        description="The policy approves only from this score on: of a script its `quality`, of a"
        " video its `quality_score`",
        examples=[80],
    )
    policy_max_cost_usd: Dollars | None = Field(
        default=None,
        description="The policy approves only up to this cost, in US dollars: of a script the"
        " estimate, of a video its cost",
        examples=[1.5],
    )
    two_persons_above_usd: Dollars | None = Field(
        default=None,
        description="Above this cost, in US dollars, two of the `approvers` must approve, and the"
        " policy does not",
        examples=[2.5],
    )

    @field_validator("approvers")
    @classmethod
    def _check_approvers(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        refuse_repeats((fold_name(name), name) for name in value)
        return value

    @model_validator(mode="after")
    def _check_limits(self) -> Approval:
        if self.two_persons_above_usd is not None and len(self.approvers) < _TWO:
            raise ValueError("two_persons_above_usd needs at least two names in `approvers`")
        if "policy" not in (self.scripts, self.videos):
            for key in ("policy_min_score", "policy_max_cost_usd"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} has no effect; set `scripts` or `videos` to policy")
        return self


class Budget(Section):
    """Limits on the cost of a video."""

    per_video_usd: Dollars = Field(
        default=3.0,
        description="Maximum of a video's estimated cost, and of the cost of its last version"
        " alone, in US dollars",
    )


def _limit_hours(state: str, default: float) -> Any:
    about = f"Hours in the state `{state}` after which a script counts as stuck; `null` for never"
    return Field(default=default, description=about)


class MaxHours(Section):
    """After how many hours in a state a script counts as stuck."""

    script_pending_review: StateHours | None = _limit_hours("script_pending_review", 48)
    ready_for_generation: StateHours | None = _limit_hours("ready_for_generation", 24)
    video_pending_review: StateHours | None = _limit_hours("video_pending_review", 48)
    ready_for_publish: StateHours | None = _limit_hours("ready_for_publish", 168)


class Production(Section):
    """Limits on the time that a script takes."""

    max_hours: MaxHours = Field(default_factory=MaxHours)


class Retention(Section):
    """How long rows are kept."""

    raw_payloads_days: Days = Field(default=183, description="Days for which responses are kept")
