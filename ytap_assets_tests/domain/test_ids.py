from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.ids import (
    WORKSPACE_ID_RULE,
    check_workspace_id,
    is_channel_id,
    is_video_id,
)
from ytap_assets.errors import ConfigError

Vectors = Callable[[str], list[dict[str, Any]]]


def is_workspace_id(text: str) -> bool:
    try:
        return check_workspace_id(text) == text
    except ConfigError:
        return False


def test_worked_workspace_ids(vectors: Vectors) -> None:
    for case in vectors("workspace_ids"):
        assert is_workspace_id(case["workspace_id"]) is case["valid"], case


def test_worked_youtube_ids(vectors: Vectors) -> None:
    valid = {"video": is_video_id, "channel": is_channel_id}
    for case in vectors("youtube_ids"):
        assert valid[case["kind"]](case["id"]) is case["valid"], case


@pytest.mark.parametrize("text", ["..", "a\x00", "con.txt", "a\\b", "\u0430bc", "\uff11"])
def test_a_refusal_holds_the_rule(text: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        check_workspace_id(text)
    assert WORKSPACE_ID_RULE in str(refusal.value)
    assert "\x00" not in str(refusal.value)


@given(st.text(max_size=70))
def test_a_workspace_id_is_one_harmless_path_segment(text: str) -> None:
    if is_workspace_id(text):
        assert text.isascii()
        assert 0 < len(text) <= 63
        assert not set(text) - set("abcdefghijklmnopqrstuvwxyz0123456789_-")


@given(st.from_regex(r"[A-Za-z0-9_-]{11}", fullmatch=True))
def test_video_ids_are_whole_texts(text: str) -> None:
    assert is_video_id(text)
    assert not is_video_id(f"{text}\n")
    assert not is_video_id(f" {text}")
    assert not is_channel_id(text)
