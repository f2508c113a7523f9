from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.domain.production.manifest import (
    FileFact,
    ManifestError,
    VideoFolder,
    check_folder,
    check_manifest,
    is_file_name,
    parse_manifest,
)
from ytap_assets_tests.domain.production.worlds import hours

SHA = "a" * 64
ENTRY: dict[str, Any] = {"name": "video.mp4", "size_bytes": 10, "sha256": SHA}
CONTENT: dict[str, Any] = {
    "script_id": "one",
    "files": [ENTRY, {"name": "images/01.png", "size_bytes": 0, "sha256": SHA.upper()}],
    "cost_usd": 2.35,
    "quality_score": 91.5,
    "duration_s": 312,
    "completed_at": "2026-11-10T10:00:00+01:00",
    "renderer": "v2",
}
FOUND = {"video.mp4": FileFact(10, SHA), "images/01.png": FileFact(0, SHA)}


def manifest(**changes: Any) -> bytes:
    return json.dumps(CONTENT | changes).encode()


def test_a_manifest_says_what_the_video_is() -> None:
    parsed = parse_manifest(manifest())
    assert parsed.script_id == "one"
    assert parsed.files == FOUND
    assert (parsed.cost_usd_micros, parsed.quality_score, parsed.duration_s) == (
        2_350_000,
        91.5,
        312.0,
    )
    assert parsed.completed_at == hours(0)
    assert check_manifest(parsed, FOUND) == []


def test_what_is_not_known_is_none() -> None:
    parsed = parse_manifest(json.dumps({"script_id": "one", "files": [ENTRY]}).encode())
    assert (parsed.cost_usd_micros, parsed.quality_score, parsed.duration_s) == (None, None, None)
    assert parsed.completed_at is None


def test_its_name_depends_on_all_that_it_says_and_not_on_how_it_is_written() -> None:
    name = parse_manifest(manifest()).sha256
    assert parse_manifest(json.dumps(CONTENT, indent=4, sort_keys=True).encode()).sha256 == name
    assert parse_manifest(manifest(renderer="v3")).sha256 != name


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"[]", "expected a JSON object"),
        (manifest(script_id="../x"), "script_id: '../x' is not a script's id"),
        (manifest(files=None), "files: missing"),
        (manifest(files=[]), "files: expected 1 to 1000"),
        (manifest(files=[ENTRY] * 1001), "files: expected 1 to 1000"),
        (manifest(files={"video.mp4": 10}), "files: expected a list of objects"),
        (manifest(files=["video.mp4"]), "files: expected a list of objects"),
        (manifest(files=[ENTRY, ENTRY]), "file 2: 'video.mp4' is listed twice"),
        (manifest(files=[ENTRY | {"name": "../x"}]), "file 1: name: '../x' is not a relative path"),
        (manifest(files=[ENTRY | {"size_bytes": -1}]), "size_bytes: expected a number of bytes"),
        (manifest(files=[ENTRY | {"size_bytes": 1.5}]), "size_bytes: expected a number of bytes"),
        (manifest(files=[ENTRY | {"size_bytes": True}]), "size_bytes: expected a number of bytes"),
        (
            manifest(files=[ENTRY | {"sha256": "abc"}]),
            "sha256: expected 64 hexadecimal digits, not 'abc'",
        ),
        (manifest(cost_usd="2"), "cost_usd: expected a number"),
        (manifest(cost_usd=-2), "cost_usd: expected an amount"),
        (manifest(quality_score="high"), "quality_score: expected a number"),
        (manifest(costUsd=9), "'costUsd': unknown key; did you mean `cost_usd`?"),
        (manifest(duration_s=None, duration=9), "did you mean `duration_s`?"),
        (manifest(qualityScore=9), "did you mean `quality_score`?"),
        (
            manifest(files=[ENTRY | {"SHA-256": SHA}]),
            "file 1: 'SHA-256': unknown key; did you mean",
        ),
        (manifest(completed_at="2026"), "completed_at: '2026' "),
    ],
)
def test_what_is_no_manifest_is_refused_with_the_reason(content: bytes, says: str) -> None:
    with pytest.raises(ManifestError, match=r"^manifest\.json: ") as refused:
        parse_manifest(content)
    assert says in str(refused.value)


@pytest.mark.parametrize("name", ["video.mp4", "images/01.png", "..video", "a b.srt", "é.png"])
def test_names_within_the_folder(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../video.mp4",
        "images/../../video.mp4",
        "./video.mp4",
        "/etc/passwd",
        "images//01.png",
        "images/",
        "..\\video.mp4",
        "C:video.mp4",
        "C:/video.mp4",
        "a\x00b",
        "a\nb",
        "a" * 501,
    ],
)
def test_names_that_leave_the_folder_or_confuse(name: str) -> None:
    assert not is_file_name(name)


@given(st.text(st.sampled_from("./\\a:")))
def test_no_accepted_name_climbs(name: str) -> None:
    depth = 0
    for part in name.replace("\\", "/").split("/"):
        depth += -1 if part == ".." else 1
        assert depth > 0 or not is_file_name(name)


@pytest.mark.parametrize(
    ("found", "problems"),
    [
        ({}, ["video.mp4 is missing", "images/01.png is missing"]),
        (
            FOUND | {"video.mp4": FileFact(9, SHA)},
            ["video.mp4 has 9 bytes instead of 10"],
        ),
        (
            FOUND | {"video.mp4": FileFact(10, "b" * 64)},
            ["the checksum of video.mp4 differs from the manifest"],
        ),
        (FOUND | {"extra.txt": FileFact(1, SHA)}, []),
    ],
)
def test_files_that_are_not_what_the_manifest_says(
    found: dict[str, FileFact], problems: list[str]
) -> None:
    assert check_manifest(parse_manifest(manifest()), found) == problems


def test_a_folder_is_checked_as_a_whole() -> None:
    assert check_folder("one", VideoFolder(manifest(), FOUND))[1] == []
    assert check_folder("two", VideoFolder(manifest(), FOUND))[1] == [
        "manifest.json belongs to script one"
    ]
    parsed, problems = check_folder("one", VideoFolder(b"{", FOUND))
    assert parsed is None
    assert problems[0].startswith("manifest.json: not JSON")


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(ManifestError, match="the key 'cost_usd' occurs twice"):
        parse_manifest(b'{"script_id": "one", "cost_usd": 1, "cost_usd": 2}')
