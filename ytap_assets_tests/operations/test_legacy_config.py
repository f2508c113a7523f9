"""Older configs are converted without loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.errors import ConfigError
from ytap_assets.operations.legacy_config import (
    PLACES,
    convert_legacy_config,
    read_legacy_config,
)
from ytap_assets.operations.workspaces import create_workspace
from ytap_assets.settings import Settings
from ytap_assets.workspaces import CONFIG_NAME, Workspaces, parse_workspace

FILES = ("finance_master.json", "tech_ai_creator.json", "tech_ai_creator.json.backup")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def recover(workspace_id: str, config: dict[str, Any]) -> dict[str, Any]:
    """The old config, from the new one alone."""
    old: dict[str, Any] = {"workspace_id": workspace_id}
    for key, (place, _) in PLACES.items():
        value: Any = config
        for name in place:
            value = value.get(name, {}) if isinstance(value, dict) else {}
        if value != {}:
            old[key] = value
    return {**old, **config.get("extra", {})}


def flatten(value: Any, path: tuple[object, ...] = ()) -> dict[tuple[object, ...], object]:
    """Every leaf of a document with its path."""
    if isinstance(value, dict) and value:
        pairs = value.items()
    elif isinstance(value, list) and value:
        pairs = dict(enumerate(value)).items()
    else:
        return {path: value}
    return {k: v for name, one in pairs for k, v in flatten(one, (*path, name)).items()}


@pytest.mark.real_data
@pytest.mark.parametrize("name", FILES)
def test_every_key_and_value_of_the_real_configs_is_found_again(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    path = real_data / "yt_autopilot" / "workspaces" / name
    old = json.loads(path.read_text(encoding="utf-8"))
    workspaces = Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    made, config = create_workspace(workspaces, "tech", origin=path)
    written = parse_workspace("tech", config.read_bytes(), origin=name)
    assert written == made
    found = recover("tech", written.model_dump(mode="json"))
    assert flatten(old).items() <= flatten(found).items()
    assert (written.name, written.vertical) == (old["workspace_name"], old["vertical_id"])
    assert list(written.brand.banned_topics) == old["banned_topics"]


def test_the_old_name_is_kept_only_where_it_differs() -> None:
    assert convert_legacy_config("tech", {"workspace_id": "tech"}) == {}
    assert convert_legacy_config("tech", {"workspace_id": "old"}) == {
        "extra": {"workspace_id": "old"}
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workspace_name", ""),
        ("workspace_name", 7),
        ("brand_tone", None),
        ("banned_topics", "gambling"),
        ("banned_topics", ["gambling", 7]),
        ("target_language", ["en"]),
    ],
)
def test_a_value_of_another_type_is_kept_as_it_is(key: str, value: object) -> None:
    assert convert_legacy_config("tech", {key: value}) == {"extra": {key: value}}


@given(st.dictionaries(st.sampled_from([*PLACES, "workspace_id", "voice", "extra", "name"]), JSON))
def test_nothing_is_lost_whatever_it_holds(old: dict[str, Any]) -> None:
    config = convert_legacy_config("tech", old)
    assert old.items() <= recover("tech", config).items()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a JSON config"),
        (b"\xff\xfe{}", "not a JSON config"),
        (b"[1]", "expected a JSON object"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'{"a": {"b": 1, "b": 2}}', "stands twice"),
        (b'{"a": NaN}', "NaN"),
        (b"[" * 100_000, "not a JSON config"),
        (b" " * 1_000_001, "larger than"),
    ],
)
def test_what_is_no_config_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "old.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        read_legacy_config(path)


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "1e3",
        "2020-01-01",
        "null",
        "~",
        "a: b",
        "\u2028",
        "\x85",
        "\x00",
        "  x ",
        "é漢🎬",
        1e16,
    ],
)
def test_yaml_keeps_values_that_look_like_others(tmp_path: Path, value: object) -> None:
    origin = tmp_path / "old.json"
    origin.write_text(json.dumps({"voice": {"name": value}}), encoding="utf-8")
    workspaces = Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    create_workspace(workspaces, "tech", origin=origin)
    assert workspaces.get("tech").extra == {"voice": {"name": value}}


def test_what_yaml_cannot_hold_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    origin = tmp_path / "old.json"
    origin.write_text(f'{{"a": {"[" * 900}{"]" * 900}}}', encoding="utf-8")
    workspaces = Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    with pytest.raises(ConfigError, match=r"old\.json"):
        create_workspace(workspaces, "tech", origin=origin)
    assert not (workspaces.root / "tech" / CONFIG_NAME).exists()
