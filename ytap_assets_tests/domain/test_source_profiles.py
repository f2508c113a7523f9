"""The profiles, complete for every source and the only place of its defaults, and the quotas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain import source_profiles
from ytap_assets.domain.scoring.baselines import TOP_SHARES
from ytap_assets.domain.source_profiles import (
    PACIFIC,
    SOURCE_NAMES,
    SOURCE_PROFILES,
    Minimum,
    last_quota_reset,
    next_quota_reset,
)
from ytap_assets.domain.spam.rules import SpamRules
from ytap_assets.operations.trends import spam_rules
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.workspaces import Workspace


def workspace(**sources: object) -> Workspace:
    return Workspace.model_validate(
        {"workspace_id": "tech", "name": "Tech", "vertical": "technology", "sources": sources}
    )


def test_every_source_of_trends_has_a_profile_and_a_name() -> None:
    assert {source.name for source in CATALOG.trends} == set(SOURCE_PROFILES)
    assert {source.name for source in CATALOG.sources} <= set(SOURCE_NAMES)


@pytest.mark.parametrize("profile", SOURCE_PROFILES.values(), ids=SOURCE_PROFILES)
def test_a_profile_is_consistent(profile: source_profiles.SourceProfile) -> None:
    assert profile.weight > 0
    assert profile.platform in {"", *SOURCE_PROFILES} - {profile.name}
    assert 0 < profile.growth.first_hours <= profile.growth.decay_hours
    if profile.baseline is not None:
        assert len(profile.baseline.hotness) == len(TOP_SHARES)
        assert list(profile.baseline.hotness) == sorted(profile.baseline.hotness)


@pytest.mark.parametrize("name", ["hn", "reddit", "youtube"])
def test_a_changed_minimum_applies_everywhere_unless_the_config_sets_it(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    profile = SOURCE_PROFILES[name]
    assert profile.minimum is not None
    changed = replace(profile, minimum=replace(profile.minimum, at_least=77))
    profiles = {**SOURCE_PROFILES, name: changed}
    monkeypatch.setattr(source_profiles, "SOURCE_PROFILES", profiles)

    assert SpamRules().minimums[name] == changed.minimum
    assert spam_rules(workspace()).minimums[name] == changed.minimum
    assert spam_rules(workspace()).minimums == SpamRules().minimums
    assert workspace().sources.minimums[name] == changed.minimum


def test_a_minimum_of_the_config_replaces_the_profiles() -> None:
    rules = spam_rules(workspace(hn={"min_points": 5}))
    assert rules.minimums["hn"] == Minimum("points", 5)
    assert rules.minimums["reddit"] == SpamRules().minimums["reddit"]


def test_a_source_without_a_section_in_the_config_has_its_profiles_minimum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lobsters = source_profiles.SourceProfile(
        name="lobsters", title="Lobsters", minimum=Minimum("points", 10)
    )
    profiles = {**SOURCE_PROFILES, "lobsters": lobsters}
    monkeypatch.setattr(source_profiles, "SOURCE_PROFILES", profiles)
    assert spam_rules(workspace()).minimums["lobsters"] == Minimum("points", 10)


def test_worked_resets(vectors: Callable[[str], list[dict[str, Any]]]) -> None:
    for case in vectors("quota_reset"):
        reset = next_quota_reset(datetime.fromisoformat(case["at"]))
        assert reset == datetime.fromisoformat(case["next_reset"]), case


def test_any_timezone_will_do() -> None:
    at = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert next_quota_reset(at.astimezone(PACIFIC)) == next_quota_reset(at)


@given(st.integers(0, 10 * 366 * 24 * 3600))
def test_a_reset_is_ahead_at_most_a_day_and_at_midnight(seconds: int) -> None:
    at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    reset = next_quota_reset(at)
    assert at < reset <= at + timedelta(hours=25)
    assert last_quota_reset(reset - timedelta(microseconds=1)) <= at
    assert last_quota_reset(reset) == reset
    assert reset.tzinfo is UTC
    assert reset.astimezone(PACIFIC).time().isoformat() == "00:00:00"
