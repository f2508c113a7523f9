"""A script or video that another workspace has is held back in the one that has it later."""

from __future__ import annotations

import hashlib
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.operations.platform import Batch, Platform
from ytap_assets.operations.production import Preview, preview
from ytap_assets.operations.records import list_records
from ytap_assets.operations.review import decide_on_script
from ytap_assets.tables import PRODUCTION_EVENTS
from ytap_assets.workspaces import Approval, Workspace
from ytap_assets_tests.operations.test_production import (
    RUN,
    script,
    slice_of,
    states,
    write_lines,
    write_video,
)
from ytap_assets_tests.promoting import advance_one


@pytest.fixture
def two(platform: Platform) -> Platform:
    """`tech` and `copied`, both without a uid, and both with a policy that approves."""
    approval = Approval(scripts="policy", videos="policy")
    platform.workspaces.save(
        Workspace(workspace_id="copied", name="C", vertical="any", approval=approval)
    )
    return platform


def run(platform: Platform, workspace_id: str, promotion: str = "all") -> None:
    advance_one(slice_of(platform, workspace_id), promotion)


def gates(platform: Platform, workspace_id: str, script_id: str = "one") -> list[str]:
    records = list_records(platform, workspace_id)
    [row] = [one for one in records.iter_rows(named=True) if one["script_id"] == script_id]
    return list(row["failed_gates"])


def upload(platform: Platform, workspace_id: str, video_id: str, script_id: str = "one") -> None:
    line = {"script_id": script_id, "video_id": video_id, "published_at": "2026-11-20T06:00:00Z"}
    write_lines(platform, workspace_id, "uploads.jsonl", line)


def forget_content(platform: Platform) -> None:
    """The log as it was before events named their content."""
    with platform.lake.cursor() as cursor:
        cursor.execute("UPDATE lake.production_events SET content_id = NULL")


def make_alike(platform: Platform) -> None:
    """Every script has the same words, in a log from before events named their content."""
    payload = json.dumps(script("one") | {"estimated_cost_usd_micros": 1})
    with platform.lake.cursor() as cursor:
        cursor.execute(
            "UPDATE lake.production_events SET payload = ?, content_id = NULL"
            " WHERE type = 'script_submitted'",
            [payload],
        )


@pytest.mark.parametrize("script_id", ["one", "another"])
def test_a_copied_script_is_held_back_and_says_where_it_is(two: Platform, script_id: str) -> None:
    write_lines(two, "tech", "scripts.jsonl", script("one", title="The same"))
    write_lines(two, "copied", "scripts.jsonl", script(script_id, title="The  SAME"))
    run(two, "tech")
    run(two, "copied", "submit_scripts")

    [gate] = gates(two, "copied", script_id)
    assert gate.startswith("copy: script one of workspace tech has the same text")
    assert "Something worth knowing" not in gate  # another workspace's words stay there
    for _ in range(2):
        run(two, "copied")
    assert states(two, "copied") == {script_id: "script_pending_review"}
    assert states(two, "tech") == {"one": "ready_for_generation"}
    events = two.lake.reader("copied").read(PRODUCTION_EVENTS).sort("seq")
    assert events["type"].to_list() == ["script_submitted", "gates_evaluated"]


def test_an_approval_does_not_release_a_copy(platform: Platform) -> None:
    for name in ("tech", "finance"):
        write_lines(platform, name, "scripts.jsonl", script("one"))
        run(platform, name)
    decide_on_script(platform, "finance", "one", "approve_script", actor="A", reason=None, run=RUN)
    run(platform, "finance")
    assert states(platform, "finance") == {"one": "script_pending_review"}


@pytest.mark.parametrize("way_out", ["tech", "copied"])
def test_cancelling_one_of_the_two_resolves_it(two: Platform, way_out: str) -> None:
    for name in ("tech", "copied"):
        write_lines(two, name, "scripts.jsonl", script("one"))
        run(two, name)
    decide_on_script(two, way_out, "one", "cancel", actor="ada", reason=None, run=RUN)
    run(two, "copied")
    other = {"tech": "copied", "copied": "tech"}[way_out]
    assert states(two, way_out) == {"one": "cancelled"}
    assert states(two, other) == {"one": "ready_for_generation"}


@pytest.mark.parametrize("change", [{"title": "Another"}, {"body": "Another."}])
def test_a_template_of_a_series_is_no_copy(two: Platform, change: dict[str, Any]) -> None:
    write_lines(two, "tech", "scripts.jsonl", script("one"))
    write_lines(two, "copied", "scripts.jsonl", script("one", **change))
    run(two, "tech")
    run(two, "copied")
    assert states(two, "copied") == {"one": "ready_for_generation"}


def test_a_renamed_folder_without_a_uid_publishes_nothing_again(two: Platform) -> None:
    write_lines(two, "tech", "scripts.jsonl", script("one"), script("two"))
    write_video(two, "tech", "one")
    run(two, "tech")
    assert states(two, "tech")["one"] == "ready_for_publish"
    source, target = two.workspaces.folder("tech"), two.workspaces.folder("renamed")
    source.rename(target)
    run(two, "renamed")
    assert set(states(two, "renamed").values()) == {"script_pending_review"}


def test_a_log_from_before_events_named_their_content_is_compared_by_script_id(
    two: Platform,
) -> None:
    write_lines(two, "tech", "scripts.jsonl", script("one"))
    run(two, "tech")
    forget_content(two)
    write_lines(two, "copied", "scripts.jsonl", script("one"))
    run(two, "copied")
    assert states(two, "copied") == {"one": "script_pending_review"}
    assert gates(two, "copied")[0].startswith("copy: script one of workspace tech")


def test_copies_from_before_are_held_back_at_the_next_gate(two: Platform) -> None:
    write_lines(two, "tech", "scripts.jsonl", script("one"))
    run(two, "tech", "submit_scripts")
    write_lines(two, "copied", "scripts.jsonl", script("one", body="Other."))
    run(two, "copied", "submit_scripts")
    make_alike(two)
    run(two, "copied")
    run(two, "tech")
    assert gates(two, "copied")[0].startswith("copy: script one of workspace tech")
    assert states(two, "copied") == {"one": "script_pending_review"}
    assert states(two, "tech") == {"one": "ready_for_generation"}


@pytest.mark.parametrize("has_captions", [False, True])
def test_a_copied_video_is_not_cleared(two: Platform, has_captions: bool) -> None:
    write_lines(two, "tech", "scripts.jsonl", script("one"))
    write_lines(two, "copied", "scripts.jsonl", script("mine", body="Other words."))
    write_video(two, "tech", "one")
    write_video(two, "copied", "mine", cost_usd=2)
    if has_captions:
        add_captions(two.workspaces.folder("copied") / "videos" / "mine")
    run(two, "tech")
    run(two, "copied", "submit_scripts")
    run(two, "copied", "start_generation")
    run(two, "copied", "review_videos")
    assert gates(two, "copied", "mine")[0].startswith(
        "copy: script one of workspace tech has the same video"
    )
    run(two, "copied")
    assert states(two, "copied") == {"mine": "video_pending_review"}
    assert states(two, "tech") == {"one": "ready_for_publish"}


def make_ready(
    platform: Platform, workspace_id: str, script_id: str, video: bytes, **text: Any
) -> None:
    """A script that is ready to be published, with a video of its own."""
    write_lines(platform, workspace_id, "scripts.jsonl", script(script_id, **text))
    folder = platform.workspaces.folder(workspace_id) / "videos" / script_id
    write_video(platform, workspace_id, script_id)
    make_own(folder, video)
    run(platform, workspace_id)
    assert states(platform, workspace_id) == {script_id: "ready_for_publish"}


def add_captions(folder: Path) -> None:
    captions = b"WEBVTT"
    (folder / "captions.vtt").write_bytes(captions)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    facts = {"size_bytes": len(captions), "sha256": hashlib.sha256(captions).hexdigest()}
    manifest["files"].append({"name": "captions.vtt", **facts})
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def make_own(folder: Path, video: bytes) -> None:
    (folder / "video.mp4").write_bytes(video)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["files"][0] |= {"size_bytes": len(video), "sha256": hashlib.sha256(video).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_youtube_video_is_published_by_one_workspace(two: Platform) -> None:
    make_ready(two, "tech", "one", b"a")
    make_ready(two, "copied", "mine", b"b", body="Other words.")
    upload(two, "tech", "ytapDemo001")
    upload(two, "copied", "ytapDemo001", "mine")
    run(two, "tech")
    for _ in range(2):
        run(two, "copied")
    assert states(two, "tech") == {"one": "published"}
    assert states(two, "copied") == {"mine": "ready_for_publish"}
    assert gates(two, "copied", "mine") == [
        "upload: video ytapDemo001 belongs to script one of workspace tech already"
    ]


def test_what_was_published_all_the_same_carries_a_flag(two: Platform) -> None:
    make_ready(two, "tech", "one", b"a")
    make_ready(two, "copied", "one", b"b", body="Other words.")
    make_alike(two)  # as if both had been let through before
    upload(two, "copied", "ytapDemo002")
    run(two, "copied")
    assert states(two, "copied") == {"one": "published"}
    assert gates(two, "copied")[0].startswith("copy: script one of workspace tech")


def test_a_sensor_does_not_ask_for_a_copy_again_and_again(two: Platform) -> None:
    make_ready(two, "tech", "one", b"a")
    make_ready(two, "copied", "mine", b"b", body="Other words.")
    lines = [script("mine", body="Other words."), script("one")]
    write_lines(two, "copied", "scripts.jsonl", *lines)
    upload(two, "tech", "ytapDemo001")
    upload(two, "copied", "ytapDemo001", "mine")
    for name in ("tech", "copied"):
        run(two, name)
    assert states(two, "copied") == {
        "mine": "ready_for_publish",
        "one": "script_pending_review",
    }
    slice_ = slice_of(two, "copied")
    found = preview(Batch(two, (slice_,), slice_.run))["copied"]
    assert isinstance(found, Preview)
    assert found.events == {}


def test_of_two_that_submit_the_same_at_once_one_is_the_copy(two: Platform) -> None:
    for name in ("tech", "copied"):
        write_lines(two, name, "scripts.jsonl", *(script(f"s{n}") for n in range(5)))

    def submit(workspace_id: str) -> None:
        one = Platform(two.settings, now=two.now)
        with one.lake:
            run(one, workspace_id)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(submit, ["tech", "copied"]))

    for number in range(5):
        found = {states(two, name)[f"s{number}"] for name in ("tech", "copied")}
        assert found == {"script_pending_review", "ready_for_generation"}


def test_what_another_took_between_the_look_and_the_lock_is_decided_again(two: Platform) -> None:
    for name in ("tech", "copied"):
        write_lines(two, name, "scripts.jsonl", script("one"))
    slice_ = slice_of(two, "copied")
    calls = 0

    def now() -> datetime:
        nonlocal calls
        calls += 1
        if calls == 2:  # it is decided, and about to be appended
            run(two, "tech")
        return two.now()

    late = Platform(two.settings, now=now)
    with late.lake:
        written = advance_one(replace(slice_, platform=late), "submit_scripts")
    assert written.frame["type"].to_list() == ["script_submitted", "gates_evaluated"]
    assert gates(two, "copied")[0].startswith("copy: script one of workspace tech")


def test_a_deleted_folder_leaves_its_scripts_live(two: Platform) -> None:
    write_lines(two, "tech", "scripts.jsonl", script("one"))
    run(two, "tech")
    shutil.rmtree(two.workspaces.folder("tech"))
    write_lines(two, "copied", "scripts.jsonl", script("one"))
    run(two, "copied")
    assert states(two, "copied") == {"one": "script_pending_review"}
