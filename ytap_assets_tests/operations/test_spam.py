"""A workspace's spam rules come from its config, and its model from the file it names."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from ytap_assets.domain.spam.model import FEATURES_VERSION, FORMAT_VERSION, KIND, SpamModel
from ytap_assets.domain.spam.rules import OwnLists, SpamRules
from ytap_assets.errors import ConfigError
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.spam import spam_model, spam_rules
from ytap_assets.operations.stories import cluster_stories
from ytap_assets.settings import Settings
from ytap_assets.workspaces import Workspace, parse_workspace
from ytap_assets_tests.operations.alone import run_alone
from ytap_assets_tests.operations.test_store import AT, fetch, store, trend

MODEL = {
    "kind": KIND,
    "format_version": FORMAT_VERSION,
    "features_version": FEATURES_VERSION,
    "bias": -9000,
    "rules": {},
    "weights": {},
}
SURE = {**MODEL, "weights": {"subs": 20_000}}


def workspace(spam: str = "{}") -> Workspace:
    text = f"name: Tech\nvertical: technology\nspam: {spam}\n"
    return parse_workspace("tech", text, origin="here")


def write_model(settings: Settings, content: str | bytes) -> None:
    settings.models.mkdir(parents=True, exist_ok=True)
    (settings.models / "m.json").write_bytes(
        content.encode() if isinstance(content, str) else content
    )


def test_an_empty_config_leaves_the_general_rules() -> None:
    assert spam_rules(workspace()) == SpamRules()


def test_a_config_adds_to_lists_and_sets_numbers() -> None:
    rules = spam_rules(
        workspace(
            "{blocklist: [secret], patterns: {own: 'x+y'}, rules_off: [promoted], max_emoji: 2,"
            " max_capitals_pct: 50, min_spam_pct: 90}"
        )
    )
    assert (rules.blocklist, rules.patterns) == (SpamRules().blocklist, SpamRules().patterns)
    assert rules.own == OwnLists(blocklist=("secret",), patterns=(("own", "x+y"),))
    assert rules.rules_off == {"promoted"}
    assert (rules.max_emoji, rules.max_capitals_pct, rules.min_spam_pct) == (2, 50, 90)
    assert rules.max_run == SpamRules().max_run


def test_no_model_is_read_unless_the_config_names_one(settings: Settings) -> None:
    write_model(settings, "broken")
    assert spam_model(settings, workspace()) is None


def test_a_model_is_read_from_the_models_folder(settings: Settings) -> None:
    write_model(settings, json.dumps(MODEL))
    assert spam_model(settings, workspace("{model: m.json}")) == SpamModel(-9000, {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a spam model"),
        (json.dumps({**MODEL, "features_version": 99}), "features_version: 99"),
        (b" " * 20_000_001, "larger than"),
    ],
    ids=["missing", "empty", "bytes", "deep", "list", "version", "large"],
)
def test_a_model_that_cannot_be_read_is_refused_by_file_and_key(
    content: str | bytes | None, said: str, settings: Settings
) -> None:
    if content is not None:
        write_model(settings, content)
    with pytest.raises(ConfigError, match=rf"spam\.model of workspace 'tech': .*m\.json: .*{said}"):
        spam_model(settings, workspace("{model: m.json}"))


def test_a_pipe_in_place_of_a_model_is_not_waited_for(settings: Settings) -> None:
    settings.models.mkdir(parents=True)
    os.mkfifo(settings.models / "m.json")
    with pytest.raises(ConfigError, match=r"m\.json: a pipe, not a file"):
        spam_model(settings, workspace("{model: m.json}"))


def test_the_days_scores_say_what_the_model_held_against_a_title(platform: Platform) -> None:
    config: dict[str, Any] = {"name": "Tech", "vertical": "technology"}
    platform.workspaces.save(
        Workspace.model_validate({"workspace_id": "tech", **config, "spam": {"model": "m.json"}})
    )
    write_model(platform.settings, json.dumps(SURE))
    store(platform, fetch([trend("a", title="subscribe"), trend("b", title="A chip")]))
    members = run_alone(cluster_stories, platform, "tech", AT.date()).frame
    said = dict(members.select("item_id", "spam_reasons").iter_rows())
    assert [one for one in said["a"] if one.startswith("model")] == ["model: 0.9999"]
    assert not [one for one in said["b"] if one.startswith("model")]
