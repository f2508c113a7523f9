"""Only new lines are parsed; what was read stays reachable; another file is noticed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ytap_assets.domain.production.lines import Parsed
from ytap_assets.operations import inbox_files
from ytap_assets.operations.inbox_files import (
    APPROVALS,
    INBOX_FILES,
    JOBS,
    SCRIPTS,
    UPLOADS,
    Cursor,
    InboxFile,
    compare_inbox,
    open_inbox,
)
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.operations.review import survey_scripts
from ytap_assets.tables import INBOX_CURSORS, INBOX_LINES, PRODUCTION_EVENTS, QUARANTINED_ROWS
from ytap_assets_tests.effort import examples
from ytap_assets_tests.operations.test_production import (
    script,
    slice_of,
    states,
    write_lines,
    write_video,
)
from ytap_assets_tests.promoting import advance_one, stored_records

APPROVAL = {
    "script_id": "one",
    "act": "approve_script",
    "actor": "Ada",
    "at": "2026-11-20T09:00:00Z",
}


JOB = {"script_id": "one", "job_id": "j", "status": "queued", "at": "2026-11-20T09:00:00Z"}


def upload_line(script_id: str, video: int) -> dict[str, Any]:
    return {"script_id": script_id, "video_id": f"ytapDemo{video:03}"}


LINES: dict[str, list[str]] = {
    SCRIPTS: [json.dumps(script(name, hook=hook)) for name in "ab" for hook in "xy"],
    APPROVALS: [json.dumps(APPROVAL | {"script_id": name}) for name in "abc"],
    UPLOADS: [json.dumps(upload_line(name, video)) for name in "ab" for video in (1, 2)],
    JOBS: [json.dumps(JOB | {"script_id": name, "attempt": 1 + (name == "b")}) for name in "abc"],
}
ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n"])


def earlier_rows(name: str, files: list[InboxFile]) -> list[Any]:
    rows = [line.row for file in files for line in file.indexed()]
    return [(row.script_id, row.digest) for row in rows] if name == SCRIPTS else rows


def totals(file: InboxFile, indexed: list[Any]) -> dict[str, Any]:
    parsed: Parsed[Any] = file.parsed
    return {
        "accepted": file.accepted,
        "repeated": file.repeated,
        "bad": file.opened.cursor.bad + len(parsed.bad),
        "unfinished": parsed.unfinished,
        "lines": file.describe_lines(),
        "problems": file.find_problems(),
        "rows": [*indexed, *parsed.rows],
    }


@pytest.mark.parametrize("name", INBOX_FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(25))
@given(data=st.data())
def test_a_file_read_bit_by_bit_says_what_it_says_as_a_whole(
    tmp_path: Path, name: str, data: st.DataObject
) -> None:
    choices = st.sampled_from(
        [*LINES[name], "{no", "[]", '{"script_id": "a", "mood": 1}', "\ufeff"]
    )
    lines = data.draw(st.lists(st.tuples(choices, ENDS), max_size=24))
    content = "".join(line + end for line, end in lines).encode()
    content = content[: data.draw(st.integers(0, len(content)))]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    path = tmp_path / name
    path.unlink(missing_ok=True)
    cursor, read = Cursor(), list[InboxFile]()
    for cut in [*cuts, len(content)]:
        path.write_bytes(content[:cut])
        file = compare_inbox(open_inbox(tmp_path, name, cursor), earlier_rows(name, read))
        last = totals(file, [line.row for one in read for line in one.indexed()])
        read.append(file)
        cursor = file.next_cursor()

    assert last == totals(compare_inbox(open_inbox(tmp_path, name), ()), [])


@pytest.mark.parametrize("change", ["truncated", "rewritten", "rotated", "touched", "appended"])
def test_a_file_that_is_another_one_is_read_from_its_beginning(tmp_path: Path, change: str) -> None:
    path = tmp_path / APPROVALS
    first, second = (json.dumps(APPROVAL | {"script_id": name}) + "\n" for name in ("a1", "b1"))
    path.write_text(first + second)
    cursor = compare_inbox(open_inbox(tmp_path, APPROVALS), ()).next_cursor()

    if change == "truncated":
        path.write_text(first)
    elif change == "rewritten":  # of the same length
        path.write_text(first.replace("a1", "z1") + second)
    elif change == "rotated":
        path.rename(tmp_path / "old.jsonl")
        path.write_text(second.replace("b1", "c1"))
    elif change == "touched":
        os.utime(path, (1, 1))
    else:
        path.write_text(first + second + first.replace("a1", "c1"))
    opened = open_inbox(tmp_path, APPROVALS, cursor)

    if change in ("touched", "appended"):
        assert opened.cursor == cursor
        assert len(opened.lines.good) == (change == "appended")
    else:
        assert (opened.cursor.generation, opened.cursor.size_bytes) == (2, 0)
        assert len(opened.lines.good) == len(path.read_text().splitlines())


def test_a_run_without_news_parses_no_line_and_writes_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lines(platform, "tech", SCRIPTS, script("one"), "{not json\n", script("one"))
    write_lines(platform, "tech", APPROVALS, APPROVAL | {"script_id": "nobody"})
    first = advance_one(slice_of(platform), "all")
    monkeypatch.delattr("ytap_assets.domain.production.lines.parse_object")
    monkeypatch.setattr(inbox_files, "hash_start", None)

    again = advance_one(slice_of(platform), "all")

    assert (again.rows, again.snapshot_id) == (0, platform.lake.snapshot_id())
    assert first.snapshot_id == again.snapshot_id
    assert {key: first.notes[key] for key in again.notes} == again.notes
    assert again.notes["bad_lines"] == again.notes["ignored_decisions"] == 1


def test_a_decision_that_was_read_long_ago_counts_when_its_script_comes(platform: Platform) -> None:
    cancel = APPROVAL | {"act": "cancel"}
    write_lines(platform, "finance", APPROVALS, cancel)
    for _ in range(2):
        advance_one(slice_of(platform, "finance"), "all")
    write_lines(platform, "finance", SCRIPTS, script("one"))

    advance_one(slice_of(platform, "finance"), "all")

    assert states(platform, "finance") == {"one": "cancelled"}


def test_an_upload_that_was_read_long_ago_counts_when_its_video_is_ready(
    platform: Platform,
) -> None:
    line = upload_line("one", 1) | {"published_at": "2026-11-20T06:00:00Z"}
    write_lines(platform, "tech", UPLOADS, line)
    for _ in range(2):
        advance_one(slice_of(platform), "all")
    write_lines(platform, "tech", SCRIPTS, script("one"))
    write_video(platform, "tech", "one")

    advance_one(slice_of(platform), "all")

    assert states(platform) == {"one": "published"}


def test_lines_that_were_taken_may_be_moved_to_another_file(platform: Platform) -> None:
    write_lines(platform, "finance", SCRIPTS, script("one"), script("two"))
    write_lines(platform, "finance", APPROVALS, APPROVAL)
    advance_one(slice_of(platform, "finance"), "all")
    write_lines(platform, "finance", SCRIPTS, script("two"), script("three"))
    write_lines(platform, "finance", APPROVALS, APPROVAL | {"script_id": "three"})

    made = advance_one(slice_of(platform, "finance"), "all")

    assert set(made.frame["script_id"]) == {"three"}
    reader = platform.lake.reader("finance")
    cursors = reader.read(INBOX_CURSORS).sort("file")
    assert cursors.select("file", "generation", "accepted").rows() == [
        (APPROVALS, 2, 1),
        (SCRIPTS, 2, 2),
    ]
    assert reader.read(INBOX_LINES).height == 6


def test_an_edited_line_of_an_accepted_script_is_reported_once_and_has_no_effect(
    platform: Platform,
) -> None:
    folder = platform.workspaces.folder("tech")
    lines = [json.dumps(script(name)) + "\n" for name in ("one", "two")]
    inbox = folder / SCRIPTS
    inbox.write_text("".join(lines), encoding="utf-8")
    advance_one(slice_of(platform), ALL_PROMOTIONS)
    edited = json.dumps(script("two", estimated_cost_usd=0.5)) + "\n"
    inbox.write_text(lines[0] + edited, encoding="utf-8")
    problem = "scripts.jsonl: line 2 could not be read: script_id: the line differs"

    assert survey_scripts(platform, "tech").problems[0].startswith(problem)
    advance_one(slice_of(platform), ALL_PROMOTIONS)
    assert survey_scripts(platform, "tech").problems[0].startswith(problem)
    with inbox.open("a", encoding="utf-8") as file:
        file.write(edited)
    advance_one(slice_of(platform), ALL_PROMOTIONS)

    rows = platform.lake.reader("tech").read(QUARANTINED_ROWS)
    assert rows["place"].sort().to_list() == ["line 2", "line 3"]
    costs = stored_records(slice_of(platform))["estimated_cost_usd_micros"]
    assert costs.to_list() == [1_250_000, 1_250_000]
    inbox.write_text("".join(lines), encoding="utf-8")
    assert survey_scripts(platform, "tech").problems == []


def test_another_promotion_leaves_the_lines_for_the_one_that_reads_them(platform: Platform) -> None:
    write_lines(platform, "finance", SCRIPTS, script("one"))
    advance_one(slice_of(platform, "finance"), "all")
    write_lines(platform, "finance", APPROVALS, APPROVAL, APPROVAL | {"script_id": "later"})

    advance_one(slice_of(platform, "finance"), "start_generation")

    assert states(platform, "finance") == {"one": "ready_for_generation"}
    assert platform.lake.reader("finance").read(INBOX_LINES)["file"].to_list() == [SCRIPTS]
    advance_one(slice_of(platform, "finance"), "submit_scripts")
    received = platform.lake.reader("finance").read(PRODUCTION_EVENTS).sort("seq")[-1]
    assert received.select("script_id", "type").row(0) == ("later", "decision_received")
