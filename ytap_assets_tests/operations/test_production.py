"""Scripts move on evidence, once, and of two that decide at once one wins."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.domain.production.promotions import PROMOTIONS
from ytap_assets.errors import ConfigError, TransitionRefusedError
from ytap_assets.lakehouse.checks import CHECKS
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform, Slice
from ytap_assets.operations.production import (
    ALL_PROMOTIONS,
    act_on_script,
    advance,
    decide,
    fold_records,
    list_records,
    production_mark,
)
from ytap_assets.tables import COLLECTION_LOG, PRODUCTION_EVENTS, QUARANTINED_ROWS

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
    records = fold_records(slice_of(platform, workspace_id))
    return dict(records.select("script_id", "state").iter_rows())


def mark(platform: Platform, workspace_id: str = "tech") -> str:
    last = platform.lake.cross_reader().last_seqs(PRODUCTION_EVENTS)
    return production_mark(platform, workspace_id, last.get(workspace_id, 0))


def test_a_script_goes_all_the_way_where_the_policy_approves(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    write_video(platform, "tech", "one")
    upload = {
        "script_id": "one",
        "video_id": "ytapDemo001",
        "published_at": "2026-11-20T06:00:00Z",
    }
    write_lines(platform, "tech", "uploads.jsonl", upload)

    written = advance(slice_of(platform), ALL_PROMOTIONS)

    assert states(platform) == {"one": "published"}
    events = platform.lake.reader("tech").read(PRODUCTION_EVENTS).sort("seq")
    assert events.get_column("seq").to_list() == list(range(1, written.rows + 1))
    moves = events.drop_nulls("to_state").get_column("to_state").to_list()
    assert moves == [promotion.to_state for promotion in PROMOTIONS.values()]


def test_each_promotion_does_its_own_step_only(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))

    advance(slice_of(platform), "submit_scripts")

    assert states(platform) == {"one": "script_pending_review"}


def test_promoting_again_changes_nothing(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"), script("two"))
    advance(slice_of(platform), ALL_PROMOTIONS)
    before = mark(platform)

    again = advance(slice_of(platform), ALL_PROMOTIONS)

    assert again.rows == 0
    assert [result.name for result in again.results if result.passed] == list(CHECKS)
    assert mark(platform) == before
    assert all(decide(slice_of(platform), one) == [] for one in PROMOTIONS.values())


def test_a_new_line_or_video_changes_the_mark(platform: Platform) -> None:
    marks = {mark(platform)}
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    marks.add(mark(platform))
    write_video(platform, "tech", "one")
    marks.add(mark(platform))
    advance(slice_of(platform), "submit_scripts")
    marks.add(mark(platform))

    assert len(marks) == 4


def test_a_script_waits_for_a_person_where_people_approve(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    advance(slice_of(platform, "finance"), ALL_PROMOTIONS)
    assert states(platform, "finance") == {"one": "script_pending_review"}

    state = act_on_script(
        platform, "finance", "one", "approve_script", actor="Ada", reason="good", run=RUN
    )
    advance(slice_of(platform, "finance"), ALL_PROMOTIONS)

    assert state == "script_pending_review"
    assert states(platform, "finance") == {"one": "ready_for_generation"}
    record = list_records(platform, "finance", "ready_for_generation").row(0, named=True)
    assert record["script_approved_by"] == "person:Ada"


def test_a_closed_gate_holds_a_script_back_and_says_why(platform: Platform) -> None:
    lines = (
        script("banned", title="Gambling for beginners"),
        script("dear", estimated_cost_usd=3.01),
        script("fine"),
    )
    write_lines(platform, "tech", "scripts.jsonl", *lines)

    advance(slice_of(platform), ALL_PROMOTIONS)

    records = {r["script_id"]: r for r in fold_records(slice_of(platform)).iter_rows(named=True)}
    assert records["fine"]["state"] == "ready_for_generation"
    assert records["banned"]["state"] == records["dear"]["state"] == "script_pending_review"
    assert "ambling" in records["banned"]["failed_gates"][0]
    assert "3.01" in records["dear"]["failed_gates"][0]


def test_a_video_whose_file_does_not_match_its_manifest_waits(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    folder = write_video(platform, "tech", "one")
    (folder / "video.mp4").write_bytes(b"other pictures!")

    advance(slice_of(platform), ALL_PROMOTIONS)

    assert states(platform) == {"one": "ready_for_generation"}


def test_a_manifest_cannot_reach_out_of_its_folder(platform: Platform, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"secret")
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    folder = write_video(platform, "tech", "one")
    (folder / "video.mp4").unlink()
    (folder / "video.mp4").symlink_to(secret)

    advance(slice_of(platform), ALL_PROMOTIONS)

    assert states(platform) == {"one": "ready_for_generation"}


def test_bad_lines_are_put_aside_once(platform: Platform) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one"), "{not json\n")

    for _ in range(2):
        advance(slice_of(platform), ALL_PROMOTIONS)

    aside = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert aside.select("origin", "place").rows() == [("scripts.jsonl", "line 2")]
    log = platform.lake.reader("tech").read(COLLECTION_LOG)
    assert log.select("fetched", "accepted", "quarantined", "duplicates").rows() == [(2, 1, 1, 0)]


def test_each_line_of_a_growing_file_counts_in_one_entry(platform: Platform) -> None:
    lines: list[Any] = ["{not json\n", script("one")]
    for added in ([], [script("two"), script("two")], [], ["[]\n", script("three")]):
        lines += added
        write_lines(platform, "tech", "scripts.jsonl", *lines)
        advance(slice_of(platform), ALL_PROMOTIONS)

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
        advance(slice_of(platform), ALL_PROMOTIONS)

    log = platform.lake.reader("tech").read(COLLECTION_LOG)
    assert log.select("fetched", "accepted", "quarantined").rows() == [(3, 2, 1)]


def test_decisions_that_do_nothing_are_told(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    act = {"script_id": "one", "act": "approve_script", "actor": "Ada"}
    too_early = act | {"at": (CREATED - timedelta(seconds=1)).isoformat()}
    impossible = act | {"act": "approve_video", "at": "2026-11-20T09:00:00Z"}
    unknown = act | {"script_id": "nope", "at": "2026-11-20T09:00:00Z"}
    write_lines(platform, "finance", "approvals.jsonl", too_early, impossible, unknown)

    notes = advance(slice_of(platform, "finance"), ALL_PROMOTIONS).notes

    assert states(platform, "finance") == {"one": "script_pending_review"}
    assert notes["idle_acts"] == 3
    assert [text.split(": ", 2)[2] for text in notes["idle_acts_explained"]] == [
        "decided before the script came into script_pending_review"
        " (2026-11-19T08:00:00+00:00); decide again",
        "the script is in script_pending_review; approve_video needs video_pending_review",
        "there is no script of this id yet",
    ]


def test_decisions_that_did_something_are_not_told(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    act = {"script_id": "one", "act": "approve_script", "actor": "Ada"}
    write_lines(platform, "finance", "approvals.jsonl", act | {"at": "2026-11-20T09:00:00Z"})

    notes = advance(slice_of(platform, "finance"), ALL_PROMOTIONS).notes

    assert notes["idle_acts"] == 0
    assert "idle_acts_explained" not in notes


def test_of_two_who_decide_at_once_one_wins(platform: Platform) -> None:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    advance(slice_of(platform, "finance"), ALL_PROMOTIONS)

    def act(name: str) -> str:
        try:
            act_on_script(platform, "finance", "one", "reject", actor=name, reason=None, run=RUN)
        except TransitionRefusedError as error:
            return str(error)
        return "won"

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(act, ["Ada", "Bob", "Cy", "Di"]))

    assert results.count("won") == 1
    assert states(platform, "finance") == {"one": "rejected"}


def test_acts_on_unknown_scripts_and_promotions_are_refused(platform: Platform) -> None:
    with pytest.raises(TransitionRefusedError, match="has no script 'nope'"):
        act_on_script(platform, "tech", "nope", "reject", actor="Ada", reason=None, run=RUN)
    with pytest.raises(ConfigError, match="promotion 'nope' does not exist"):
        advance(slice_of(platform), "nope")
