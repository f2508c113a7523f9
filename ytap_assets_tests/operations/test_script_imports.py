from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ytap_assets.domain.production.older_records import LEGACY_STATES
from ytap_assets.errors import ConfigError, ImportRefusedError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.imports import ImportFailedError
from ytap_assets.operations.platform import Batch, Platform
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.operations.records import list_records, refold_records
from ytap_assets.operations.review import decide_on_script
from ytap_assets.operations.script_imports import import_records
from ytap_assets.operations.workspaces import archive_workspace
from ytap_assets.tables import (
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    QUARANTINED_ROWS,
    VIDEOS,
)
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "import records")
COUNTS = ("workspace_id", "fetched", "accepted", "quarantined", "duplicates")


def record(script_id: str = "ep-1", **changes: Any) -> dict[str, Any]:
    return {
        "script_internal_id": script_id,
        "production_state": "SCRIPT_PENDING_REVIEW",
        "saved_at": "2025-10-25T18:18:04.536095",
        "title": f"A story called {script_id}",
        "script": {"hook": "Attention!", "full_voiceover_text": f"The text of {script_id}."},
    } | changes


def write(path: Path, *lines: Mapping[str, Any] | str) -> Path:
    text = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines)
    path.write_text(text, encoding="utf-8")
    return path


def stored(platform: Platform, workspace_id: str = "tech") -> dict[str, dict[str, Any]]:
    records = platform.lake.reader(workspace_id).read(PRODUCTION_RECORDS)
    return {row["script_id"]: row for row in records.iter_rows(named=True)}


@contextmanager
def nothing_is_written(platform: Platform) -> Iterator[None]:
    before = platform.lake.snapshot_id()
    yield
    assert platform.lake.snapshot_id() == before


def test_records_videos_and_events_are_stored_in_one_commit(
    platform: Platform, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "records.jsonl",
        record("ep-1"),
        record(
            "ep-2",
            workspace_id="money",
            production_state="PUBLISHED",
            youtube_video_id="ytapDemo001",
            actual_publish_at="2025-10-26T18:00:00Z",
        ),
    )
    for name in ("tech", "finance"):
        platform.register(name, RUN)
    before = platform.lake.snapshot_id()
    outcome = import_records(
        platform, [file], run=RUN, workspace_id="tech", owners={"money": "finance"}
    )
    assert platform.lake.snapshot_id() == before + 1
    assert outcome.select(COUNTS).sort("workspace_id").rows() == [
        ("finance", 1, 1, 0, 0),
        ("tech", 1, 1, 0, 0),
    ]
    assert stored(platform)["ep-1"]["state"] == "script_pending_review"
    assert stored(platform, "finance")["ep-2"]["state"] == "published"
    videos = platform.lake.reader("finance").read(VIDEOS)
    assert videos["video_id"].to_list() == ["ytapDemo001"]
    for name in ("tech", "finance"):
        slices = (platform.slice(name, None, RUN),)
        assert refold_records(Batch(platform, slices, RUN)) == {name: 0}

    with nothing_is_written(platform):
        outcome = import_records(
            platform, [file], run=RUN, workspace_id="tech", owners={"money": "finance"}
        )
    assert outcome["duplicates"].to_list() == [1, 1]


def test_lines_without_a_workspace_are_named_before_anything_is_written(
    platform: Platform, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "records.jsonl",
        record("ep-1", workspace_id="theirs"),
        record("ep-2"),
        record("ep-3", workspace_id="others"),
        record("ep-4", workspace_id=None),
        record("ep-5"),
        record("ep-6"),
        record("ep-7", workspace_id="theirs"),
    )
    with nothing_is_written(platform), pytest.raises(ImportRefusedError) as refused:
        import_records(platform, [file], run=RUN, owners={"theirs": "tech"})
    problems = str(refused.value).split("; ")
    assert problems[0].startswith("records.jsonl: line 3: the workspace_id 'others'")
    assert "add `--map others=WORKSPACE`" in str(refused.value)
    assert "records.jsonl: lines 2, 4-6: no workspace_id; add `--workspace" in str(refused.value)


@pytest.mark.parametrize("names", [{"workspace_id": "nowhere"}, {"owners": {"theirs": "nowhere"}}])
def test_an_unknown_workspace_is_an_error_before_anything_is_read(
    platform: Platform, tmp_path: Path, names: dict[str, Any]
) -> None:
    file = write(tmp_path / "records.jsonl", record())
    with nothing_is_written(platform), pytest.raises(ConfigError, match="nowhere"):
        import_records(platform, [file], run=RUN, **names)


def test_an_archived_workspace_is_an_error(platform: Platform, tmp_path: Path) -> None:
    archive_workspace(platform.workspaces, "tech")
    file = write(tmp_path / "records.jsonl", record())
    with nothing_is_written(platform), pytest.raises(ConfigError, match="archived"):
        import_records(platform, [file], run=RUN, workspace_id="tech")


def test_a_bad_line_goes_to_quarantine_of_its_workspace_and_the_others_are_stored(
    platform: Platform, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "records.jsonl",
        "{not json",
        record("ep-1"),
        record("ep-2", production_state="DONE", workspace_id="money"),
        record("UPPER"),
    )
    owners = {"money": "finance"}
    for again in (False, True):
        outcome = import_records(platform, [file], run=RUN, workspace_id="tech", owners=owners)
        assert outcome.select(COUNTS).sort("workspace_id").rows() == (
            [("finance", 1, 0, 0, 1), ("tech", 3, 0, 0, 3)]
            if again
            else [("finance", 1, 0, 1, 0), ("tech", 3, 1, 2, 0)]
        )
        for name, places in (("finance", ["line 3"]), ("tech", ["line 1", "line 4"])):
            aside = platform.lake.reader(name).read(QUARANTINED_ROWS).sort("place")
            assert aside["place"].to_list() == places
            assert set(aside["origin"]) == {"records.jsonl"}
            log = platform.lake.reader(name).read(COLLECTION_LOG)
            assert set(aside["collection_id"]) == set(log["collection_id"])
            assert log.height == 1
    assert "DONE" in platform.lake.reader("finance").read(QUARANTINED_ROWS)["reason"][0]
    assert list(stored(platform)) == ["ep-1"]


def test_a_line_that_was_cut_is_a_bad_line(platform: Platform, tmp_path: Path) -> None:
    file = write(tmp_path / "records.jsonl", record("ep-1"))
    file.write_text(file.read_text(encoding="utf-8") + '{"script_int', encoding="utf-8")
    import_records(platform, [file], run=RUN, workspace_id="tech")
    assert platform.lake.reader("tech").read(QUARANTINED_ROWS)["place"].to_list() == ["line 2"]


def test_files_that_cannot_be_read_or_hold_no_record_do_not_stop_the_others(
    platform: Platform, tmp_path: Path
) -> None:
    good = tmp_path / "good.jsonl.gz"
    good.write_bytes(gzip.compress(json.dumps(record()).encode(), mtime=0))
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(good.read_bytes()[:-9])
    missing = tmp_path / "missing.jsonl"
    with pytest.raises(ImportFailedError) as failed:
        import_records(platform, [missing, damaged, good], run=RUN, workspace_id="tech")
    assert failed.value.only_refused
    assert [problem.split(":")[0].rpartition("/")[2] for problem in failed.value.problems] == [
        "missing.jsonl",
        "damaged.jsonl.gz",
    ]
    assert list(stored(platform)) == ["ep-1"]

    bad = write(tmp_path / "bad.jsonl", "nothing", "at all")
    with pytest.raises(ImportFailedError, match="none of 2 lines can be read") as failed:
        import_records(platform, [bad, good], run=RUN, workspace_id="tech")
    assert not failed.value.only_refused


def test_a_script_that_another_workspace_has_is_marked_as_a_copy(
    platform: Platform, tmp_path: Path
) -> None:
    file = write(tmp_path / "records.jsonl", record(), record(workspace_id="money"))
    import_records(platform, [file], run=RUN, workspace_id="tech", owners={"money": "finance"})
    assert stored(platform, "finance")["ep-1"]["failed_gates"] == []
    [gate] = stored(platform)["ep-1"]["failed_gates"]
    assert gate.startswith("copy: script ep-1 of workspace finance has the same text")
    with nothing_is_written(platform):
        import_records(platform, [file], run=RUN, workspace_id="tech", owners={"money": "finance"})


def test_an_older_file_does_not_move_a_script_back(platform: Platform, tmp_path: Path) -> None:
    later = record(production_state="READY_FOR_GENERATION", saved_at="2025-10-26T08:00:00")
    for name, line in (("later", later), ("earlier", record(title="Before"))):
        file = write(tmp_path / f"{name}.jsonl", line)
        import_records(platform, [file], run=RUN, workspace_id="tech")
    [row] = stored(platform).values()
    assert (row["state"], row["title"], row["events"]) == (
        "ready_for_generation",
        "A story called ep-1",
        2,
    )


def test_people_and_gates_decide_on_imported_scripts(platform: Platform, tmp_path: Path) -> None:
    file = write(tmp_path / "records.jsonl", record("ep-1"), record("ep-2"))
    import_records(platform, [file], run=RUN, workspace_id="finance")
    finance = platform.slice("finance", None, RUN)
    advance_one(finance, ALL_PROMOTIONS)
    assert stored(platform, "finance")["ep-1"]["failed_gates"] == [
        "schema: missing generation_method",
        "budget: the cost is unknown",
    ]
    state = decide_on_script(
        platform, "finance", "ep-2", "reject", actor="Ada", reason=None, run=RUN
    )
    assert state == "rejected"


@pytest.mark.real_data
def test_the_real_datastores_are_imported_once_with_their_history(
    platform: Platform, real_data: Path
) -> None:
    files = sorted((real_data / "yt_autopilot" / "data").iterdir())
    lines = [
        json.loads(line)
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]
    snapshots: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for line in lines:
        name = json.dumps(line, sort_keys=True)
        snapshots[line["script_internal_id"]][name] = line
    newest = {
        script_id: max(own.values(), key=lambda one: one["saved_at"])
        for script_id, own in snapshots.items()
    }
    owners = {name: "tech" for line in lines if (name := line.get("workspace_id"))}

    with nothing_is_written(platform), pytest.raises(ImportRefusedError) as refused:
        import_records(platform, files, run=RUN, owners=owners)
    assert "no workspace_id; add `--workspace" in str(refused.value)

    outcome = import_records(platform, files, run=RUN, workspace_id="tech", owners=owners)
    distinct = sum(map(len, snapshots.values()))
    assert outcome["fetched"].sum() == len(lines)
    assert outcome["accepted"].sum() == distinct
    assert outcome["quarantined"].sum() == 0
    records = stored(platform)
    assert {script_id: row["state"] for script_id, row in records.items()} == {
        script_id: LEGACY_STATES[line["production_state"]] for script_id, line in newest.items()
    }
    log = platform.lake.reader("tech").read(PRODUCTION_EVENTS).filter(type="imported").sort("seq")
    assert log.height == distinct
    for script_id, own in snapshots.items():
        history = log.filter(script_id=script_id)
        expected = sorted(own.values(), key=lambda one: one["saved_at"])
        kept = [json.loads(payload)["extra"] for payload in history["payload"]]
        assert kept == expected
        assert records[script_id]["title"] == newest[script_id]["title"]
        approvers = [
            line["script_approved_by"] for line in expected if "script_approved_by" in line
        ]
        assert records[script_id]["script_approved_by"] == (
            f"person:{approvers[-1]}" if approvers else None
        )

    with nothing_is_written(platform):
        import_records(platform, files, run=RUN, workspace_id="tech", owners=owners)
    assert list_records(platform, "tech").height == len(snapshots)
