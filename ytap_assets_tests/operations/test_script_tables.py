from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.errors import ImportRefusedError, TransitionRefusedError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.imports import ImportFailedError
from ytap_assets.operations.platform import Batch, Platform
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.operations.records import refold_records
from ytap_assets.operations.review import decide_on_script
from ytap_assets.operations.script_imports import import_histories, import_records
from ytap_assets.operations.script_tables import (
    export_histories,
    export_table,
    read_edits,
    store_edits,
)
from ytap_assets.tables import PRODUCTION_EVENTS, QUARANTINED_ROWS, VIDEO_METRICS
from ytap_assets.workspaces import Approval, Workspace
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.operations.test_production import script, write_lines, write_video
from ytap_assets_tests.operations.test_script_imports import record, stored, write
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "scripts")
HOSTILE = '=HYPERLINK("https://evil.example";"x")'


@pytest.fixture
def lake(platform: Platform) -> Platform:
    """Two scripts of `finance` in review, and a published one of `tech`."""
    write_lines(platform, "finance", "scripts.jsonl", script("one", title=HOSTILE), script("two"))
    write_lines(platform, "tech", "scripts.jsonl", script("other", body="Another text."))
    write_video(platform, "tech", "other")
    upload = {"video_id": "ytapDemo001", "published_at": "2026-11-20T06:00:00Z"}
    write_lines(platform, "tech", "uploads.jsonl", {"script_id": "other"} | upload)
    for name in ("finance", "tech"):
        advance_one(platform.slice(name, None, RUN), ALL_PROMOTIONS)
    return platform


def add_workspace(platform: Platform, workspace_id: str) -> None:
    platform.workspaces.save(Workspace(workspace_id=workspace_id, name="New", vertical="none"))


def events_of(platform: Platform, workspace_id: str = "finance") -> pl.DataFrame:
    return platform.lake.reader(workspace_id).read(PRODUCTION_EVENTS).sort("seq")


def read_table(
    platform: Platform, workspace_id: str = "finance", **options: Any
) -> list[dict[str, str]]:
    text = "".join(export_table(platform, workspace_id, **options))
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write_table(path: Path, rows: list[dict[str, str]], **options: Any) -> Path:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), **options)
    table.writeheader()
    table.writerows(rows)
    path.write_bytes(text.getvalue().encode("utf-8"))
    return path


def apply(platform: Platform, file: Path, actor: str = "Eve") -> tuple[list[str], list[str]]:
    edits = read_edits(platform, file, "finance").plan.edits
    done, refused = store_edits(platform, edits, workspace_id="finance", actor=actor, run=RUN)
    return [one.script_id for one in done], [one.reason for one in refused]


@contextmanager
def nothing_is_written(platform: Platform) -> Iterator[None]:
    before = platform.lake.snapshot_id()
    yield
    assert platform.lake.snapshot_id() == before


def test_the_table_has_one_row_per_script_of_the_workspace(lake: Platform) -> None:
    text = "".join(export_table(lake, "finance"))
    assert text.startswith("id,title,hook,created_at,state,views,")
    rows = {row["id"]: row for row in read_table(lake)}
    assert set(rows) == {"one", "two"}
    assert rows["one"]["title"] == f"'{HOSTILE}"
    assert (rows["one"]["state"], rows["one"]["views"]) == ("script_pending_review", "")
    assert rows["one"]["text"] == "Something worth knowing."
    assert [row["id"] for row in read_table(lake, "tech", state="published")] == ["other"]
    assert read_table(lake, state="published") == []


def test_views_are_the_last_known_counts_of_the_workspace(lake: Platform) -> None:
    def observe(workspace_id: str, hours: int, views: int | None) -> None:
        row = {
            "workspace_id": workspace_id,
            "day": NOW.date(),
            "platform": "youtube",
            "video_id": "ytapDemo001",
            "observed_at": NOW - timedelta(hours=hours),
            "views": views,
            "is_settled": False,
            "collection_id": "fetch",
        }
        rows = VIDEO_METRICS.frame([row])
        with lake.lake.write(RUN) as transaction:
            transaction.append(check_rows(VIDEO_METRICS, rows, Scope(workspace_id)))

    observe("tech", 3, 100)
    observe("tech", 2, 250)
    observe("tech", 1, None)
    observe("finance", 0, 9_999)
    assert [row["views"] for row in read_table(lake, "tech")] == ["250"]
    assert [row["views"] for row in read_table(lake)] == ["", ""]


def test_a_table_that_was_not_edited_changes_nothing(lake: Platform, tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.csv", read_table(lake))
    with nothing_is_written(lake):
        table = read_edits(lake, file, "finance")
        assert (table.plan.edits, table.plan.refused) == ([], [])
        assert apply(lake, file) == ([], [])


@pytest.mark.parametrize(
    ("delimiter", "encoding"), [(",", "utf-8"), (";", "utf-8-sig"), ("\t", "utf-16")]
)
def test_a_table_of_a_spreadsheet_is_read(
    lake: Platform, tmp_path: Path, delimiter: str, encoding: str
) -> None:
    row = next(row for row in read_table(lake) if row["id"] == "one")
    edited = row | {"title": "Über uns; und, andere", "text": "One line.\nAnother, longer; one."}
    names = [*reversed(row)]
    file = write_table(
        tmp_path / "t.csv", [{name: edited[name] for name in names}], delimiter=delimiter
    )
    file.write_bytes(file.read_bytes().decode().encode(encoding))
    assert apply(lake, file) == (["one"], [])
    record = stored(lake, "finance")["one"]
    assert record["title"] == "Über uns; und, andere"
    assert record["edited_at"] == NOW
    [event] = events_of(lake).filter(type="script_edited").iter_rows(named=True)
    assert json.loads(event["payload"])["text"]["new"] == "One line.\nAnother, longer; one."
    assert event["actor"] == "person:Eve"
    assert refold_records(Batch(lake, (lake.slice("finance", None, RUN),), RUN)) == {"finance": 0}
    with nothing_is_written(lake):
        assert apply(lake, file) == ([], [])


def test_an_approval_before_an_edit_does_not_count(lake: Platform, tmp_path: Path) -> None:
    write_lines(lake, "finance", "scripts.jsonl", script("one"), script("two"), script("new"))
    advance_one(lake.slice("finance", None, RUN), "submit_scripts")

    def approve() -> None:
        decide_on_script(
            lake, "finance", "new", "approve_script", actor="Ada", reason=None, run=RUN
        )

    approve()
    file = write_table(tmp_path / "t.csv", [{"id": "new", "hook": "Another hook"}])
    assert apply(lake, file) == (["new"], [])
    assert stored(lake, "finance")["new"]["script_approved_by"] is None
    advance_one(lake.slice("finance", None, RUN), ALL_PROMOTIONS)
    assert stored(lake, "finance")["new"]["state"] == "script_pending_review"
    approve()
    advance_one(lake.slice("finance", None, RUN), ALL_PROMOTIONS)
    assert stored(lake, "finance")["new"]["state"] == "ready_for_generation"


def test_a_decision_of_the_file_that_was_not_read_yet_does_not_count(
    lake: Platform, tmp_path: Path
) -> None:
    write_lines(lake, "finance", "scripts.jsonl", script("one"), script("two"), script("new"))
    advance_one(lake.slice("finance", None, RUN), "submit_scripts")
    later = NOW + timedelta(hours=1)
    act = {"script_id": "new", "act": "approve_script", "actor": "Ada", "at": later.isoformat()}
    write_lines(lake, "finance", "approvals.jsonl", act)
    file = write_table(tmp_path / "t.csv", [{"id": "new", "hook": "Another hook"}])
    assert apply(lake, file) == (["new"], [])
    tomorrow = Platform(lake.settings, now=lambda: NOW + timedelta(days=1))
    advance_one(tomorrow.slice("finance", None, RUN), ALL_PROMOTIONS)
    assert stored(lake, "finance")["new"]["state"] == "script_pending_review"


def test_an_edit_of_a_value_that_changed_meanwhile_is_refused(
    lake: Platform, tmp_path: Path
) -> None:
    first = write_table(tmp_path / "a.csv", [{"id": "one", "title": "First"}])
    second = write_table(tmp_path / "b.csv", [{"id": "one", "title": "Second"}])
    late = read_edits(lake, second, "finance").plan.edits
    assert apply(lake, first) == (["one"], [])
    with nothing_is_written(lake):
        done, [refused] = store_edits(lake, late, workspace_id="finance", actor="Eve", run=RUN)
    assert not done
    assert str(refused) == (
        "b.csv, line 2: script one: title: changed meanwhile; export the scripts again"
    )
    decide_on_script(lake, "finance", "one", "reject", actor="A", reason=None, run=RUN)
    _, [refused] = store_edits(
        lake,
        late,
        workspace_id="finance",
        actor="Eve",
        run=RUN,
    )
    assert "its state is rejected by now" in refused.reason


def test_rows_of_another_workspace_are_unknown(lake: Platform, tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.csv", [{"id": "other", "title": "Mine"}])
    table = read_edits(lake, file, "finance")
    assert [one.reason for one in table.plan.refused] == [
        "there is no script with this id in the workspace"
    ]


def test_a_damaged_row_is_refused_and_the_others_are_edits(lake: Platform, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"id,title\none,Another\ntwo\nthree,\xff\n")
    plan = read_edits(lake, file, "finance").plan
    assert [edit.script_id for edit in plan.edits] == ["one"]
    assert [one.place for one in plan.refused] == ["t.csv, line 3", "t.csv, line 4"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("title,hook\na,b\n", "has no column `id`"),
        ("id,title,title\none,a,b\n", "`title` is there twice"),
        ("id,titel\none,a\n", "did you mean `title`"),
        ("", "has no column `id`"),
    ],
)
def test_what_is_no_table_of_scripts_is_refused(
    lake: Platform, tmp_path: Path, content: str, says: str
) -> None:
    file = tmp_path / "t.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ImportRefusedError, match=says):
        read_edits(lake, file, "finance")


def test_other_columns_are_ignored_and_named(lake: Platform, tmp_path: Path) -> None:
    file = write_table(tmp_path / "t.csv", [{"ID ": "one", "Title": "Another", "notes": "mine"}])
    table = read_edits(lake, file, "finance")
    assert (table.ignored, table.has_revision) == (("notes",), False)
    assert len(table.plan.edits) == 1


def test_imported_scripts_are_promoted_once_they_are_complete(
    platform: Platform, tmp_path: Path
) -> None:
    file = write(tmp_path / "records.jsonl", record("ep-1"))
    import_records(platform, [file], run=RUN, workspace_id="finance")
    advance_one(platform.slice("finance", None, RUN), ALL_PROMOTIONS)
    row = {"id": "ep-1", "generation_method": "stock", "estimated_cost_usd": "1.85"}
    assert apply(platform, write_table(tmp_path / "t.csv", [row])) == (["ep-1"], [])
    decide_on_script(
        platform, "finance", "ep-1", "approve_script", actor="Ada", reason=None, run=RUN
    )
    advance_one(platform.slice("finance", None, RUN), ALL_PROMOTIONS)
    found = stored(platform, "finance")["ep-1"]
    assert (found["state"], found["failed_gates"]) == ("ready_for_generation", [])


def export_to(path: Path, platform: Platform, **options: Any) -> Path:
    path.write_text("".join(export_histories(platform, "finance", **options)), encoding="utf-8")
    return path


def test_histories_come_back_into_an_empty_workspace_and_into_the_same(
    lake: Platform, tmp_path: Path
) -> None:
    apply(lake, write_table(tmp_path / "t.csv", [{"id": "one", "title": "Another"}]))
    file = export_to(tmp_path / "s.jsonl", lake)
    with nothing_is_written(lake):
        outcome, others = import_histories(lake, file, workspace_id="finance", run=RUN)
    assert (outcome["duplicates"].to_list(), others) == ([2], ())

    add_workspace(lake, "empty")
    outcome, others = import_histories(lake, file, workspace_id="empty", run=RUN)
    assert (outcome["accepted"].to_list(), others) == ([2], ("finance",))
    before, after = events_of(lake), events_of(lake, "empty")
    # What another workspace has already is marked as a copy.
    marks = after.filter(pl.col("payload").str.contains("copy: script"))
    own = after.join(marks, on="event_id", how="anti", maintain_order="left")
    assert own["seq"].is_sorted()
    assert own["seq"][0] > before["seq"][-1]
    assert marks.height == 2
    columns = [name for name in before.columns if name not in ("workspace_id", "seq")]
    for script_id in ("one", "two"):
        assert_frame_equal(
            own.filter(script_id=script_id)[columns], before.filter(script_id=script_id)[columns]
        )
    facts = ("state", "title", "video_id", "script_approved_by", "edited_at", "created_at")
    for script_id, row in stored(lake, "finance").items():
        copied = stored(lake, "empty")[script_id]
        assert {name: copied[name] for name in facts} == {name: row[name] for name in facts}
    with nothing_is_written(lake):
        import_histories(lake, file, workspace_id="empty", run=RUN)


def test_a_longer_history_is_continued_and_another_one_refused(
    lake: Platform, tmp_path: Path
) -> None:
    decide_on_script(lake, "finance", "two", "cancel", actor="A", reason=None, run=RUN)
    early = export_to(tmp_path / "early.jsonl", lake, state="script_pending_review")
    decide_on_script(lake, "finance", "one", "reject", actor="A", reason=None, run=RUN)
    late = export_to(tmp_path / "late.jsonl", lake, state="rejected")
    add_workspace(lake, "empty")
    other = json.loads(early.read_text(encoding="utf-8"))
    other["events"] = other["events"][:1]
    other["events"][0]["event_id"] = "other"
    import_histories(lake, early, workspace_id="empty", run=RUN)
    refused = write(tmp_path / "other.jsonl", other, "{not json")
    for _ in range(2):
        with pytest.raises(ImportFailedError) as failed:
            import_histories(lake, refused, workspace_id="empty", run=RUN)
        assert "other events here" in str(failed.value)
        aside = lake.lake.reader("empty").read(QUARANTINED_ROWS).sort("place")
        assert aside.select("source", "place").rows() == [
            ("scripts", "line 1"),
            ("scripts", "line 2"),
        ]
    outcome, _ = import_histories(lake, late, workspace_id="empty", run=RUN)
    assert outcome["accepted"].to_list() == [1]
    assert stored(lake, "empty")["one"]["state"] == "rejected"
    assert events_of(lake, "empty")["type"].to_list() == ["script_submitted", "rejected"]


def test_a_missing_file_is_refused(lake: Platform, tmp_path: Path) -> None:
    with pytest.raises(ImportRefusedError, match="no such file"):
        import_histories(lake, tmp_path / "none", workspace_id="finance", run=RUN)


def test_an_event_of_another_script_is_refused_and_nothing_is_lost(
    lake: Platform, tmp_path: Path
) -> None:
    [one, two] = map(json.loads, export_histories(lake, "finance"))
    other = one | {"script_id": "other"}
    mixed = two | {"events": [*two["events"], two["events"][-1] | {"event_id": "new"}]}
    mixed["events"][-1] |= {"type": "gates_evaluated", "to_state": None}
    mixed["events"][-1] |= {"from_state": "script_pending_review"}
    file = tmp_path / "forged.jsonl"
    file.write_text(f"{json.dumps(other)}\n{json.dumps(mixed)}\n", encoding="utf-8")
    before = events_of(lake)["event_id"].to_list()
    with pytest.raises(ImportFailedError, match="is one of script one"):
        import_histories(lake, file, workspace_id="finance", run=RUN)
    assert events_of(lake)["event_id"].to_list() == [*before, "new"]


def test_only_approvers_edit(lake: Platform, tmp_path: Path) -> None:
    workspace = lake.workspaces.get("finance")
    approval = Approval(approvers=("Ada",))
    lake.workspaces.save(workspace.model_copy(update={"approval": approval}))
    row = next(row for row in read_table(lake) if row["id"] == "one")
    file = write_table(tmp_path / "t.csv", [row | {"estimated_cost_usd": "0.9"}])
    with nothing_is_written(lake), pytest.raises(TransitionRefusedError, match="approvers"):
        apply(lake, file)
    assert apply(lake, file, "Ada") == (["one"], [])
