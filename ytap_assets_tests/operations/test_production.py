"""Scripts move on evidence, once, and of two that decide at once one wins."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.errors import ConfigError, TransitionRefusedError
from ytap_assets.lakehouse.checks import CHECKS
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.due import Previewed, Previews
from ytap_assets.operations.inbox_files import MAX_INBOX_BYTES
from ytap_assets.operations.platform import Batch, Platform, Slice
from ytap_assets.operations.production import ALL_PROMOTIONS, Preview, preview
from ytap_assets.operations.records import list_records
from ytap_assets.operations.review import decide_on_script, survey_scripts
from ytap_assets.tables import COLLECTION_LOG, PRODUCTION_EVENTS, QUARANTINED_ROWS
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.promoting import advance_one, stored_records

RUN = Run("run-1", "test", "promote")
CREATED = datetime(2026, 11, 19, 8, 0, tzinfo=UTC)


def write_lines(platform: Platform, workspace_id: str, name: str, *lines: Any) -> None:
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    (platform.workspaces.folder(workspace_id) / name).write_text(text, encoding="utf-8")


def script(script_id: str, **changes: Any) -> dict[str, Any]:
    line = {
        "script_id": script_id,
        "title": f"About {script_id}",
        "hook": "Did you know?",
        "body": "Something worth knowing.",
        "generation_method": "stock",
        "estimated_cost_usd": 1.25,
        "created_at": CREATED.isoformat(),
    }
    return line | changes


def write_video(platform: Platform, workspace_id: str, script_id: str, **changes: Any) -> Path:
    folder = platform.workspaces.folder(workspace_id) / "videos" / script_id
    folder.mkdir(parents=True, exist_ok=True)
    content = b"moving pictures"
    (folder / "video.mp4").write_bytes(content)
    fact = {
        "name": "video.mp4",
        "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    manifest = {
        "script_id": script_id,
        "files": [fact],
        "cost_usd": 1.5,
        "quality_score": 91,
        "duration_s": 240,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | changes), encoding="utf-8")
    return folder


def slice_of(platform: Platform, workspace_id: str = "tech") -> Slice:
    return platform.slice(workspace_id, None, RUN)


def states(platform: Platform, workspace_id: str = "tech") -> dict[str, str]:
    records = stored_records(slice_of(platform, workspace_id))
    return dict(records.select("script_id", "state").iter_rows())


def mark(platform: Platform, workspace_id: str = "tech") -> str:
    found = Previews().refresh(platform, [workspace_id], lambda _: 0)[workspace_id]
    assert isinstance(found, Previewed)
    return found.mark


def test_a_script_goes_all_the_way_where_the_policy_approves(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    write_video(platform, "tech", "one")
    upload = {
        "script_id": "one",
        "video_id": "ytapDemo001",
        "published_at": "2026-11-20T06:00:00Z",
    }
    write_lines(platform, "tech", "uploads.jsonl", upload)

    written = advance_one(slice_of(platform), ALL_PROMOTIONS)

    assert states(platform) == {"one": "published"}
    events = platform.lake.reader("tech").read(PRODUCTION_EVENTS).sort("seq")
    assert events.get_column("seq").to_list() == list(range(1, written.rows + 1))
    moves = events.drop_nulls("to_state").get_column("to_state").to_list()
    assert moves == [
        "script_pending_review",
        "ready_for_generation",
        "video_pending_review",
        "ready_for_publish",
        "published",
    ]


def test_each_promotion_does_its_own_step_only(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))

    advance_one(slice_of(platform), "submit_scripts")

    assert states(platform) == {"one": "script_pending_review"}


def test_promoting_again_changes_nothing(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"), script("two"))
    advance_one(slice_of(platform), ALL_PROMOTIONS)
    before = mark(platform)

    again = advance_one(slice_of(platform), ALL_PROMOTIONS)

    assert again.rows == 0
    assert [result.name for result in again.results if result.passed] == list(CHECKS)
    assert mark(platform) == before
    looked_at = preview(Batch(platform, (slice_of(platform),), RUN))["tech"]
    assert isinstance(looked_at, Preview)
    assert looked_at.events == {}


def test_a_new_line_or_video_changes_the_mark(platform: Platform) -> None:
    marks = {mark(platform)}
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    marks.add(mark(platform))
    write_video(platform, "tech", "one")
    marks.add(mark(platform))
    advance_one(slice_of(platform), "submit_scripts")
    marks.add(mark(platform))

    assert len(marks) == 4


def test_a_script_waits_for_a_person_where_people_approve(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)
    assert states(platform, "finance") == {"one": "script_pending_review"}

    state = decide_on_script(
        platform, "finance", "one", "approve_script", actor="Ada", reason="good", run=RUN
    )
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)

    assert state == "script_pending_review"
    assert states(platform, "finance") == {"one": "ready_for_generation"}
    record = list_records(platform, "finance").row(0, named=True)
    assert record["script_approved_by"] == "person:Ada"


def test_a_closed_gate_holds_a_script_back_and_says_why(platform: Platform) -> None:
    lines = (
        script("banned", title="Gambling for beginners"),
        script("dear", estimated_cost_usd=3.01),
        script("fine"),
    )
    write_lines(platform, "tech", "scripts.jsonl", *lines)

    advance_one(slice_of(platform), ALL_PROMOTIONS)

    records = {r["script_id"]: r for r in stored_records(slice_of(platform)).iter_rows(named=True)}
    assert records["fine"]["state"] == "ready_for_generation"
    assert records["banned"]["state"] == records["dear"]["state"] == "script_pending_review"
    assert "ambling" in records["banned"]["failed_gates"][0]
    assert "3.01" in records["dear"]["failed_gates"][0]


def test_a_video_whose_file_does_not_match_its_manifest_waits(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    folder = write_video(platform, "tech", "one")
    (folder / "video.mp4").write_bytes(b"other pictures!")

    advance_one(slice_of(platform), ALL_PROMOTIONS)

    assert states(platform) == {"one": "ready_for_generation"}


def test_a_manifest_cannot_reach_out_of_its_folder(platform: Platform, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"secret")
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    folder = write_video(platform, "tech", "one")
    (folder / "video.mp4").unlink()
    (folder / "video.mp4").symlink_to(secret)

    advance_one(slice_of(platform), ALL_PROMOTIONS)

    assert states(platform) == {"one": "ready_for_generation"}


def outside_video(platform: Platform, tmp_path: Path) -> Path:
    """A finished video of the script `one` that lies outside of the workspace."""
    return write_video(platform, "finance", "one").rename(tmp_path / "elsewhere")


@pytest.mark.parametrize("link", ["videos", "videos/one", "videos/one/manifest.json"])
def test_a_video_behind_a_link_is_not_taken(platform: Platform, tmp_path: Path, link: str) -> None:
    elsewhere = outside_video(platform, tmp_path)
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    path = platform.workspaces.folder("tech") / link
    path.parent.mkdir(parents=True, exist_ok=True)
    target = {"videos": tmp_path, "videos/one": elsewhere}.get(link, elsewhere / "manifest.json")
    if link == "videos":
        elsewhere.rename(tmp_path / "one")
    path.symlink_to(target)

    advance_one(slice_of(platform), ALL_PROMOTIONS)

    [record] = stored_records(slice_of(platform)).iter_rows(named=True)
    assert record["state"] == "ready_for_generation"
    [failed] = record["failed_gates"]
    assert failed.startswith(f"manifest: {link} is a symbolic link")


def test_a_file_behind_a_link_is_named_on_the_record(platform: Platform, tmp_path: Path) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    video = write_video(platform, "tech", "one") / "video.mp4"
    video.rename(tmp_path / "video.mp4")
    video.symlink_to(tmp_path / "video.mp4")

    advance_one(slice_of(platform), ALL_PROMOTIONS)

    [record] = stored_records(slice_of(platform)).iter_rows(named=True)
    assert record["state"] == "ready_for_generation"
    assert "videos/one/video.mp4 is a symbolic link" in record["failed_gates"][0]


def test_a_manifest_that_is_too_large_is_named_on_the_record(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    manifest = write_video(platform, "tech", "one") / "manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" " * 1_000_000)

    advance_one(slice_of(platform), ALL_PROMOTIONS)

    [record] = stored_records(slice_of(platform)).iter_rows(named=True)
    assert "larger than 1,000,000 bytes" in record["failed_gates"][0]


def test_an_inbox_that_is_a_link_is_not_read_and_is_named(
    platform: Platform, tmp_path: Path
) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    foreign = tmp_path / "foreign.jsonl"
    foreign.write_text("a secret\n", encoding="utf-8")
    (platform.workspaces.folder("tech") / "uploads.jsonl").symlink_to(foreign)

    notes = advance_one(slice_of(platform), ALL_PROMOTIONS).notes

    assert states(platform) == {"one": "ready_for_generation"}
    assert platform.lake.reader("tech").read(QUARANTINED_ROWS).is_empty()
    [problem] = notes["inbox_problems"]
    assert problem.startswith("uploads.jsonl is a symbolic link")


def test_where_the_approvals_are_a_pipe_nothing_is_promoted(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    os.mkfifo(platform.workspaces.folder("tech") / "approvals.jsonl")

    advance_one(slice_of(platform), ALL_PROMOTIONS)

    [record] = stored_records(slice_of(platform)).iter_rows(named=True)
    assert record["state"] == "script_pending_review"
    assert record["failed_gates"] == ["approvals: approvals.jsonl is a pipe, not a file"]


def test_an_inbox_over_the_cap_is_named_and_not_read(platform: Platform) -> None:
    inbox = platform.workspaces.folder("tech") / "scripts.jsonl"
    inbox.touch()
    os.truncate(inbox, MAX_INBOX_BYTES + 1)

    notes = advance_one(slice_of(platform), ALL_PROMOTIONS).notes

    assert notes["bad_lines"] == 0
    assert "scripts.jsonl is larger than 268,435,456 bytes" in notes["inbox_problems"][0]


def test_an_unfinished_line_is_named_then_put_into_quarantine_and_read_once_complete(
    platform: Platform,
) -> None:
    inbox = platform.workspaces.folder("tech") / "scripts.jsonl"
    whole = json.dumps(script("one"))
    write_lines(platform, "tech", "scripts.jsonl", "{not json\n", whole[:40])
    os.utime(inbox, (NOW.timestamp() - 3600,) * 2)
    notes = advance_one(slice_of(platform), ALL_PROMOTIONS).notes
    assert "scripts.jsonl: line 2 is unfinished (40 bytes" in notes["inbox_problems"][0]
    assert notes["bad_lines"] == 1

    os.utime(inbox, (NOW.timestamp() - 24 * 3600,) * 2)
    for _ in range(2):
        notes = advance_one(slice_of(platform), ALL_PROMOTIONS).notes
        assert notes["bad_lines"] == 2
    aside = platform.lake.reader("tech").read(QUARANTINED_ROWS).sort("place")
    assert aside.get_column("original").to_list() == ["{not json", whole[:40]]
    assert aside.get_column("place").to_list() == ["line 1", "line 2"]
    log = platform.lake.reader("tech").read(COLLECTION_LOG)
    assert set(aside["collection_id"]) == set(log["collection_id"])
    assert log.get_column("quarantined").sum() == 2

    write_lines(platform, "tech", "scripts.jsonl", "{not json\n", whole + "\n")
    notes = advance_one(slice_of(platform), ALL_PROMOTIONS).notes
    assert states(platform) == {"one": "ready_for_generation"}
    assert "inbox_problems" not in notes
    assert platform.lake.reader("tech").read(QUARANTINED_ROWS).height == 2


def test_an_unfinished_line_of_a_file_from_the_future_is_named(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", '{"script_id":')
    os.utime(platform.workspaces.folder("tech") / "scripts.jsonl", (NOW.timestamp() + 10**8,) * 2)

    notes = advance_one(slice_of(platform), ALL_PROMOTIONS).notes

    assert (notes["bad_lines"], len(notes["inbox_problems"])) == (0, 1)


def test_bad_lines_are_put_aside_once(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"), "{not json\n")

    for _ in range(2):
        advance_one(slice_of(platform), ALL_PROMOTIONS)

    aside = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert aside.select("origin", "place").rows() == [("scripts.jsonl", "line 2")]
    log = platform.lake.reader("tech").read(COLLECTION_LOG)
    assert log.select("fetched", "accepted", "quarantined", "duplicates").rows() == [(2, 1, 1, 0)]


def test_the_same_bad_line_of_two_workspaces_is_new_for_each(platform: Platform) -> None:
    both = [slice_of(platform), slice_of(platform, "finance")]
    for one in both:
        write_lines(platform, one.workspace_id, "scripts.jsonl", "{not json\n")
    batch = Batch(platform, tuple(both), both[0].run)

    for number, later in enumerate([*both, None]):
        found = preview(batch)
        lines = [len(one.lines) for one in found.values() if not isinstance(one, Exception)]
        assert lines == [int(number < 1), int(number < 2)]
        if later is not None:
            advance_one(later, ALL_PROMOTIONS)


def test_each_line_of_a_growing_file_counts_in_one_entry(platform: Platform) -> None:
    lines: list[Any] = ["{not json\n", script("one")]
    for added in ([], [script("two"), script("two")], [], ["[]\n", script("three")]):
        lines += added
        write_lines(platform, "tech", "scripts.jsonl", *lines)
        advance_one(slice_of(platform), ALL_PROMOTIONS)

    log = platform.lake.reader("tech").read(COLLECTION_LOG).sort("fetched", "duplicates")
    counts = log.select("fetched", "accepted", "quarantined", "duplicates", "detail")
    assert counts.rows() == [
        (2, 1, 1, 0, "1 of 2 new lines could not be read"),
        (2, 1, 1, 0, "1 of 2 new lines could not be read"),
        (2, 1, 0, 1, None),
    ]
    aside = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert sorted(aside.get_column("place")) == ["line 1", "line 5"]
    assert set(aside["collection_id"]) < set(log["collection_id"])


def test_a_file_that_was_cut_counts_nothing_twice(platform: Platform) -> None:
    bad, good = "{not json\n", script("one")
    for lines in ([bad, good, script("two")], [bad, good], [bad, good, script("two")]):
        write_lines(platform, "tech", "scripts.jsonl", *lines)
        advance_one(slice_of(platform), ALL_PROMOTIONS)

    log = platform.lake.reader("tech").read(COLLECTION_LOG)
    assert log.select("fetched", "accepted", "quarantined").rows() == [(3, 2, 1)]


def test_decisions_that_do_nothing_are_told(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    act = {"script_id": "one", "act": "approve_script", "actor": "Ada"}
    too_early = act | {"at": (CREATED - timedelta(seconds=1)).isoformat()}
    impossible = act | {"act": "approve_video", "at": "2026-11-20T09:00:00Z"}
    unknown = act | {"script_id": "nope", "at": "2026-11-20T09:00:00Z"}
    write_lines(platform, "finance", "approvals.jsonl", too_early, impossible, unknown)

    notes = advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS).notes

    assert states(platform, "finance") == {"one": "script_pending_review"}
    assert notes["ignored_decisions"] == 3
    assert [text.split(": ", 2)[2] for text in notes["ignored_decisions_reasons"]] == [
        "decided before the script entered script_pending_review"
        " (2026-11-19T08:00:00+00:00); decide again",
        "the script has the state script_pending_review; approve_video needs video_pending_review",
        "there is no script with this id yet",
    ]


def test_decisions_that_did_something_are_not_told(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    act = {"script_id": "one", "act": "approve_script", "actor": "Ada"}
    write_lines(platform, "finance", "approvals.jsonl", act | {"at": "2026-11-20T09:00:00Z"})

    notes = advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS).notes

    assert notes["ignored_decisions"] == 0
    assert "ignored_decisions_reasons" not in notes


def test_a_public_video_of_no_cleared_script_is_reported_until_it_is_corrected(
    platform: Platform,
) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"), script("two"))
    write_video(platform, "tech", "one")
    advance_one(slice_of(platform), "submit_scripts")
    decide_on_script(platform, "tech", "two", "reject", actor="Ada", reason=None, run=RUN)

    def upload(script_id: str, number: int) -> dict[str, str]:
        video_id = f"ytapDemo{number:03}"
        return {
            "script_id": script_id,
            "video_id": video_id,
            "published_at": "2026-11-20T06:00:00Z",
        }

    write_lines(platform, "tech", "uploads.jsonl", upload("oen", 1), upload("two", 2))
    notes = advance_one(slice_of(platform), ALL_PROMOTIONS).notes
    unknown, rejected = notes["inbox_problems"]
    assert unknown.startswith("uploads.jsonl: script oen: ")
    assert rejected.startswith("uploads.jsonl: script two: the video ytapDemo002 is public")
    # A run names those of new lines; the list of scripts names all.
    assert "inbox_problems" not in advance_one(slice_of(platform), ALL_PROMOTIONS).notes
    assert survey_scripts(platform, "tech").problems == [unknown, rejected]

    # A line that says less of the same video takes nothing back.
    again = {"script_id": "two", "video_id": "ytapDemo002"}
    uploads = (upload("oen", 1), upload("two", 2), again)
    write_lines(platform, "tech", "uploads.jsonl", *uploads)
    problems = advance_one(slice_of(platform), ALL_PROMOTIONS).notes["inbox_problems"]
    assert problems == [rejected]

    write_lines(platform, "tech", "uploads.jsonl", upload("one", 1))
    advance_one(slice_of(platform), ALL_PROMOTIONS)
    assert survey_scripts(platform, "tech").problems == []
    assert states(platform) == {"one": "published", "two": "rejected"}


def test_uploads_without_a_cleared_script_are_counted_beyond_twenty(platform: Platform) -> None:
    lines = [{"script_id": f"s{n}", "video_id": f"ytapDemo{n:03}"} for n in range(22)]
    write_lines(platform, "tech", "uploads.jsonl", *lines)
    problems = advance_one(slice_of(platform), ALL_PROMOTIONS).notes["inbox_problems"]
    assert len(problems) == 21
    assert "2 more" in problems[-1]


def test_a_decision_at_the_keyboard_binds_those_that_wait(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    write_video(platform, "finance", "one")
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)

    def decide_as_ada(act: str) -> str:
        return decide_on_script(platform, "finance", "one", act, actor="Ada", reason=None, run=RUN)

    decide_as_ada("approve_script")
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)
    ahead = (NOW + timedelta(minutes=10)).isoformat()
    act = {"script_id": "one", "act": "approve_video", "actor": "Bob", "at": ahead}
    write_lines(platform, "finance", "approvals.jsonl", act)

    assert decide_as_ada("send_back") == "ready_for_generation"

    write_video(platform, "finance", "one", duration_s=241)
    later = Platform(platform.settings, now=lambda: NOW + timedelta(minutes=20))
    notes = advance_one(later.slice("finance", None, RUN), ALL_PROMOTIONS).notes
    later.lake.close()
    assert states(platform, "finance") == {"one": "video_pending_review"}
    assert (notes["ignored_decisions"], notes["waiting_decisions"]) == (1, 0)
    assert "decide again" in notes["ignored_decisions_reasons"][0]


def test_moves_at_a_keyboard_whose_clock_went_back_stay_in_order_of_time(
    platform: Platform,
) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)
    earlier = Platform(platform.settings, now=lambda: CREATED - timedelta(days=1))

    decide_on_script(earlier, "finance", "one", "cancel", actor="Ada", reason=None, run=RUN)

    earlier.lake.close()
    [record] = stored_records(slice_of(platform, "finance")).iter_rows(named=True)
    assert record["state_since"] > record["created_at"]


def test_what_was_decided_about_one_video_is_not_appended_for_another(
    platform: Platform, tmp_path: Path
) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    write_video(platform, "finance", "one")
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)
    decide_on_script(
        platform, "finance", "one", "approve_script", actor="Ada", reason=None, run=RUN
    )
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)
    decide_on_script(platform, "finance", "one", "approve_video", actor="Ada", reason=None, run=RUN)
    ticks = iter(range(1_000))

    def look_at_the_clock() -> datetime:
        # `clear_videos` has seen the first video, approved; by the time it appends, it is another.
        if next(ticks) == 1:
            decide_on_script(
                platform, "finance", "one", "send_back", actor="B", reason=None, run=RUN
            )
            write_video(platform, "finance", "one", duration_s=241)
            advance_one(slice_of(platform, "finance"), "review_videos")
        return NOW

    slow = Platform(platform.settings, now=look_at_the_clock)
    notes = advance_one(slow.slice("finance", None, RUN), "clear_videos").notes
    slow.lake.close()

    assert notes["events_refused"] == 1
    assert states(platform, "finance") == {"one": "video_pending_review"}


def test_of_two_who_decide_at_once_one_wins(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    advance_one(slice_of(platform, "finance"), ALL_PROMOTIONS)

    def act(name: str) -> str:
        try:
            decide_on_script(platform, "finance", "one", "reject", actor=name, reason=None, run=RUN)
        except TransitionRefusedError as error:
            return str(error)
        return "won"

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(act, ["Ada", "Bob", "Cy", "Di"]))

    assert results.count("won") == 1
    assert states(platform, "finance") == {"one": "rejected"}


def test_acts_on_unknown_scripts_and_promotions_are_refused(platform: Platform) -> None:
    with pytest.raises(TransitionRefusedError, match="has no script 'nope'"):
        decide_on_script(platform, "tech", "nope", "reject", actor="Ada", reason=None, run=RUN)
    with pytest.raises(ConfigError, match="promotion 'nope' does not exist"):
        advance_one(slice_of(platform), "nope")
