"""Workspaces are renamed, exported, restored and deleted as a whole."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.lakehouse.backup import back_up
from ytap_assets.lakehouse.copies import list_copies
from ytap_assets.operations.exports import (
    MANIFEST,
    export_workspace,
    restore_workspace,
    verify_export,
)
from ytap_assets.operations.maintenance import maintain_lake
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.workspace_life import (
    Deleted,
    Subject,
    delete_workspace,
    erase_subject,
    find_remainders,
    plan_erasure,
    rename_workspace,
)
from ytap_assets.operations.workspaces import survey_workspaces
from ytap_assets.settings import Settings
from ytap_assets.tables import (
    ERASURES,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    SCRIPT_STATES,
    TABLES,
    Table,
)
from ytap_assets.workspaces import Approval
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.operations.test_production import script, write_lines
from ytap_assets_tests.operations.test_review import promote
from ytap_assets_tests.planting import ROWS, RUN, plant
from ytap_assets_tests.traces import find_traces

GONE, KEPT = "zqgone", "zqkept"
UIDS = {GONE: "01M6A6FT007CVZTYRQDW4HP9SJ", KEPT: "01M6A6FT007CVZTYRQDW4HP9SK"}
OWNED = {name: table for name, table in TABLES.items() if table is not ERASURES}


@pytest.fixture
def planted(settings: Settings) -> Iterator[Platform]:
    """Two workspaces with rows in every table, files in their folders, and reports."""
    platform = Platform(settings, now=lambda: NOW)
    for marker, uid in UIDS.items():
        plant(platform, marker, uid)
    yield platform
    platform.lake.close()


def _read(platform: Platform, workspace: str) -> dict[str, pl.DataFrame]:
    reader = platform.lake.reader(workspace)
    return {name: reader.read(table).sort(table.key) for name, table in OWNED.items()}


def _check_equal(found: dict[str, pl.DataFrame], expected: dict[str, pl.DataFrame]) -> None:
    for name, frame in expected.items():
        assert not frame.is_empty(), name
        assert_frame_equal(found[name], frame)


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _delete(platform: Platform, target: Path, **changes: Any) -> Deleted:
    options = {"confirmed": GONE, "actor": "ann", "export_to": target, **changes}
    return delete_workspace(platform, GONE, RUN, **options)


def test_nothing_of_a_deleted_workspace_is_left_but_its_export(
    planted: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings, target = planted.settings, tmp_path_factory.mktemp("out") / "gone.zip"
    others, files = _read(planted, KEPT), _files(planted.workspaces.folder(KEPT))
    assert len(find_traces(settings, GONE)) > len(OWNED)
    done = _delete(planted, target)
    assert find_traces(settings, GONE) == []
    assert sum(done.erased.rows.values()) == done.export.rows == ROWS * (len(OWNED) - 1) + 1
    assert (done.has_folder, done.reports) == (True, 2)
    assert str(target) in {one.where for one in done.remainders}
    _check_equal(_read(planted, KEPT), others)
    assert _files(planted.workspaces.folder(KEPT)) == files
    again = Platform(settings, now=lambda: NOW)
    _check_equal(_read(again, KEPT), others)
    assert maintain_lake(again, RUN, now=again.lake.commit_times()[-1]).refusals == ()
    again.lake.close()


def test_the_record_of_a_deletion_has_no_content(planted: Platform, tmp_path: Path) -> None:
    before = planted.lake.snapshot_id()
    done = _delete(planted, tmp_path / "gone.zip")
    rows = planted.lake.cross_reader().read_across(ERASURES)
    assert dict(rows.select("table_name", "rows").iter_rows()) == dict(done.erased.rows)
    assert rows.select(pl.col("actor", "uid", "entity", "export_sha256").unique()).row(0) == (
        "ann",
        UIDS[GONE],
        "workspace",
        done.export.sha256,
    )
    assert rows["snapshot_id"].min() >= before  # type: ignore[operator]
    assert GONE not in str(rows.to_dicts())
    assert survey_workspaces(planted.settings, planted.workspaces).orphans == []


def _refuse_name(platform: Platform, tmp_path: Path) -> None:
    _delete(platform, tmp_path / "gone.zip", confirmed="zqgona")


def _refuse_runs(platform: Platform, tmp_path: Path) -> None:
    _delete(platform, tmp_path / "gone.zip", find_active=lambda: ["run-7"])


def _refuse_link(platform: Platform, tmp_path: Path) -> None:
    folder = platform.workspaces.folder(GONE)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    _delete(platform, tmp_path / "gone.zip")


def _refuse_target(platform: Platform, tmp_path: Path) -> None:
    (tmp_path / "gone.zip").write_bytes(b"mine")
    _delete(platform, tmp_path / "gone.zip")


def _refuse_place(platform: Platform, tmp_path: Path) -> None:
    del tmp_path
    _delete(platform, platform.workspaces.folder(GONE) / "gone.zip")


def test_a_deletion_that_is_refused_changes_nothing(planted: Platform, tmp_path: Path) -> None:
    before, snapshot = _read(planted, GONE), planted.lake.snapshot_id()
    for attempt in (_refuse_name, _refuse_runs, _refuse_target, _refuse_place, _refuse_link):
        with pytest.raises(ConfigError):
            attempt(planted, tmp_path)
    _check_equal(_read(planted, GONE), before)
    assert planted.lake.snapshot_id() == snapshot
    assert not planted.workspaces.get(GONE).is_archived
    assert (planted.workspaces.folder(GONE) / "scripts.jsonl").is_file()


def test_a_workspace_that_does_not_exist_cannot_be_deleted(
    planted: Platform, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        delete_workspace(
            planted, "other", RUN, confirmed="other", actor="a", export_to=tmp_path / "o.zip"
        )
    assert not (tmp_path / "o.zip").exists()


def test_a_run_that_began_meanwhile_keeps_the_rows(planted: Platform, tmp_path: Path) -> None:
    before = _read(planted, GONE)
    found = iter([[], ["run-7"]])
    with pytest.raises(ConfigError, match="run-7"):
        _delete(planted, tmp_path / "gone.zip", find_active=lambda: next(found))
    _check_equal(_read(planted, GONE), before)
    assert planted.workspaces.get(GONE).is_archived  # so that no other run begins


def test_a_deletion_that_was_interrupted_is_run_again(planted: Platform, tmp_path: Path) -> None:
    folder, root = planted.workspaces.folder(GONE), planted.workspaces.root
    shutil.copytree(folder, tmp_path / "copy")
    _delete(planted, tmp_path / "first.zip")
    shutil.copytree(tmp_path / "copy", folder)  # as if it had been killed before this was deleted
    shutil.copytree(tmp_path / "copy", root / f".deleting-{'0' * 32}")
    done = _delete(planted, tmp_path / "second.zip")
    assert sum(done.erased.rows.values()) == 0
    assert [path.name for path in root.iterdir()] == [KEPT]


def test_rows_without_a_folder_can_be_deleted(planted: Platform, tmp_path: Path) -> None:
    for path in sorted(planted.workspaces.folder(GONE).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    planted.workspaces.folder(GONE).rmdir()
    assert not _delete(planted, tmp_path / "gone.zip").has_folder
    assert find_traces(planted.settings, GONE, but=(tmp_path / "gone.zip",)) == []


def test_backups_are_named_that_still_hold_the_data(planted: Platform, tmp_path: Path) -> None:
    folder = planted.settings.backups / "mine"
    back_up(planted.settings, folder, NOW)
    assert [copy.folder for copy in list_copies(planted.settings)] == [folder]
    done = _delete(planted, tmp_path / "gone.zip")
    assert str(folder) in {one.where for one in done.remainders}
    assert str(folder) in {one.where for one in find_remainders(planted, KEPT)}


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_an_export_is_restored_as_it_was(planted: Platform, tmp_path: Path, name: str) -> None:
    before, files = _read(planted, GONE), _files(planted.workspaces.folder(GONE))
    export_workspace(planted, GONE, tmp_path / name, NOW)
    export = _delete(planted, tmp_path / "second.zip").export
    assert export.manifest.tables == verify_export(tmp_path / name).manifest.tables
    made = restore_workspace(planted, tmp_path / name, RUN)
    assert (made.workspace_id, made.uid) == (GONE, UIDS[GONE])
    found = _read(planted, GONE)
    for table in before:  # numbers are new, and what refers to them
        assert_frame_equal(_drop_numbers(found[table]), _drop_numbers(before[table]))
    assert _files(planted.workspaces.folder(GONE)) == files
    planted.slice(GONE, None, RUN)  # it is the workspace of its rows


def _drop_numbers(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.drop("seq", "last_seq", "entered_seq", "stamp", strict=False)


def test_restored_numbers_follow_all_others_in_their_order(
    planted: Platform, tmp_path: Path
) -> None:
    events = planted.lake.reader(GONE).read(PRODUCTION_EVENTS).sort("seq")
    export_workspace(planted, GONE, tmp_path / "out.zip", NOW)
    last = planted.lake.last_seq(PRODUCTION_EVENTS)
    made = restore_workspace(planted, tmp_path / "out.zip", RUN, name="zqcopy")
    assert made.uid not in {None, UIDS[GONE]}
    assert planted.workspaces.get("zqcopy").uid == made.uid
    copied = planted.lake.reader("zqcopy").read(PRODUCTION_EVENTS).sort("seq")
    assert copied["seq"].to_list() == list(range(last + 1, last + 1 + ROWS))
    assert copied["event_id"].to_list() == events["event_id"].to_list()
    old = dict(zip(events["seq"], events["event_id"], strict=True))
    new = dict(zip(copied["seq"], copied["event_id"], strict=True))

    def referred(workspace: str, ids: dict[int, str], table: Table, column: str) -> list[Any]:
        rows = planted.lake.reader(workspace).read(table).sort("script_id")
        return [ids.get(number) for number in rows[column]]

    for table, column in ((PRODUCTION_RECORDS, "last_seq"), (SCRIPT_STATES, "entered_seq")):
        assert referred("zqcopy", new, table, column) == referred(GONE, old, table, column)
        assert None not in referred("zqcopy", new, table, column)
    planted.slice("zqcopy", None, RUN)


def test_a_workspace_that_is_there_is_not_restored(planted: Platform, tmp_path: Path) -> None:
    export_workspace(planted, GONE, tmp_path / "out.zip", NOW)
    before = planted.lake.snapshot_id()
    for name in (None, GONE, KEPT, "../other", "Upper"):
        with pytest.raises(ConfigError):
            restore_workspace(planted, tmp_path / "out.zip", RUN, name=name)
    assert planted.lake.snapshot_id() == before


def _change(folder: Path) -> None:
    (folder / "workspace" / "scripts.jsonl").write_bytes(b"other")


def _lose(folder: Path) -> None:
    (folder / "tables" / "channels.parquet").unlink()


def _lead_out(folder: Path) -> None:
    _edit(folder, lambda found: found["files"].update({"../../out": found["files"].popitem()[1]}))


def _link_out(folder: Path) -> None:
    (folder / "workspace" / "scripts.jsonl").rename(folder.parent / "real")
    (folder / "workspace" / "scripts.jsonl").symlink_to(folder.parent / "real")


def _add_a_table(folder: Path) -> None:
    _edit(folder, lambda found: found["tables"].update({"more": found["tables"]["channels"]}))
    (folder / "tables" / "more.parquet").write_bytes(
        (folder / "tables" / "channels.parquet").read_bytes()
    )


def _claim_more_rows(folder: Path) -> None:
    _edit(folder, lambda found: found["tables"]["channels"].update(rows=99))


def _add_a_key(folder: Path) -> None:
    _edit(folder, lambda found: found.update(more=1))


def _edit(folder: Path, change: Any) -> None:
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    change(manifest)
    (folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def test_a_spoilt_export_is_refused_before_anything_is_written(
    planted: Platform, tmp_path: Path
) -> None:
    export_workspace(planted, GONE, tmp_path / "out", NOW)
    before, there = planted.lake.snapshot_id(), planted.workspaces.ids()
    spoils = (_change, _lose, _lead_out, _link_out, _add_a_table, _claim_more_rows, _add_a_key)
    for number, spoil in enumerate(spoils):
        copy = tmp_path / f"copy-{number}" / "out"
        shutil.copytree(tmp_path / "out", copy)
        spoil(copy)
        with pytest.raises(FileRefusedError):
            restore_workspace(planted, copy, RUN, name="zqcopy")
    assert planted.lake.snapshot_id() == before
    assert planted.workspaces.ids() == there
    assert not list(planted.workspaces.root.glob(".*"))


def test_what_is_no_export_is_refused(planted: Platform, tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_bytes(b"text")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    for name in ("text.zip", "empty.zip", "missing.zip"):
        with pytest.raises(FileRefusedError):
            restore_workspace(planted, tmp_path / name, RUN)


def test_links_of_a_folder_are_named_and_not_exported(planted: Platform, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("swordfish", encoding="utf-8")
    (planted.workspaces.folder(GONE) / "link").symlink_to(secret)
    made = export_workspace(planted, GONE, tmp_path / "out", NOW)
    assert list(made.manifest.skipped) == ["link"]
    assert b"swordfish" not in b"".join(_files(tmp_path / "out").values())


def test_a_renamed_workspace_keeps_its_rows_files_and_uid(planted: Platform) -> None:
    before, others = _read(planted, GONE), _read(planted, KEPT)
    files = _files(planted.workspaces.folder(GONE))
    snapshot = planted.lake.snapshot_id()
    rows = rename_workspace(planted, GONE, "zqnew", RUN)
    assert sum(rows.values()) == sum(frame.height for frame in before.values())
    found = _read(planted, "zqnew")
    renamed = pl.lit("zqnew").alias("workspace_id")
    for name, frame in before.items():
        assert_frame_equal(found[name], frame.with_columns(renamed).sort(TABLES[name].key))
    assert all(frame.is_empty() for frame in _read(planted, GONE).values())
    _check_equal(_read(planted, KEPT), others)
    assert _files(planted.workspaces.folder("zqnew")) == files
    assert not planted.workspaces.folder(GONE).exists()
    assert planted.slice("zqnew", None, RUN).workspace.uid == UIDS[GONE]
    assert planted.lake.snapshot_id() == snapshot + 1
    old = planted.lake.reader(GONE, as_of=snapshot).read(PRODUCTION_EVENTS)
    assert old.height == ROWS


def test_a_name_that_is_taken_or_invalid_is_refused(planted: Platform, tmp_path: Path) -> None:
    plant(planted, "zqold", "01M6A6FT007CVZTYRQDW4HP9SM")
    planted.workspaces.folder("zqold").rename(tmp_path / "zqold")  # rows in the lake, no folder
    before = planted.lake.snapshot_id()
    for new in (KEPT, GONE, "Upper", "../out", "zqold"):
        with pytest.raises(ConfigError):
            rename_workspace(planted, GONE, new, RUN)
    assert planted.lake.snapshot_id() == before
    assert planted.workspaces.get(GONE).uid == UIDS[GONE]


def test_a_workspace_that_is_worked_on_is_not_renamed(planted: Platform) -> None:
    with pytest.raises(ConfigError, match="run-7"):
        rename_workspace(planted, GONE, "zqnew", RUN, active=["run-7"])
    assert planted.workspaces.folder(GONE).is_dir()


def test_the_rows_about_a_script_are_erased(planted: Platform) -> None:
    script = f"{GONE}-1"
    subject = Subject(GONE, "script", script)
    before, others = _read(planted, GONE), _read(planted, KEPT)
    tables = {"production_events", "production_records", "script_states", "inbox_lines", "videos"}
    [video] = before["videos"].filter(script_id=script)["video_id"]
    about_video = {"video_metrics": "video_id"} | dict.fromkeys(
        ("raw_trends", "trend_stories", "scored_trends"), "item_id"
    )
    rows = dict.fromkeys(tables, 1) | {
        name: before[name].filter(pl.col(column) == video).height
        for name, column in about_video.items()
    }
    assert rows["video_metrics"] == 1
    assert plan_erasure(planted, subject) == rows
    erased = erase_subject(planted, subject, RUN, actor="ann")
    assert dict(erased.rows) == rows
    found = _read(planted, GONE)
    for name, frame in before.items():
        kept = frame.filter(pl.col("script_id") != script) if name in tables else frame
        if name in about_video:
            kept = frame.filter(pl.col(about_video[name]) != video)
        assert_frame_equal(found[name], kept)
    _check_equal(_read(planted, KEPT), others)
    record = planted.lake.cross_reader().read_across(ERASURES)
    assert set(record["table_name"]) == rows.keys()
    assert script not in str(record.to_dicts())
    with pytest.raises(ConfigError, match="nothing was erased"):
        erase_subject(planted, subject, RUN, actor="ann")


def test_a_subject_of_another_workspace_is_not_found(planted: Platform) -> None:
    subject = Subject(KEPT, "video", f"{GONE:x<10}1")
    assert not any(plan_erasure(planted, subject).values())


def test_the_video_of_a_script_is_erased_with_the_script(planted: Platform) -> None:
    video = Subject(GONE, "video", f"{GONE:x<10}1")
    with pytest.raises(ConfigError, match=f"ytap erase script {GONE}-1"):
        erase_subject(planted, video, RUN, actor="ann")


def test_a_renamed_workspace_goes_on_where_it_was(platform: Platform) -> None:
    """What its inbox files said before has its effect once, under either name."""
    workspace = platform.workspaces.get("tech").model_copy(
        update={"uid": UIDS[GONE], "approval": Approval()}
    )
    platform.workspaces.save(workspace)
    at = NOW.isoformat()
    approval = {"script_id": "one", "act": "approve_script", "actor": "Ada", "at": at}
    early = approval | {"act": "approve_video"}
    job = {"script_id": "one", "job_id": "j", "status": "queued", "at": at}
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    promote(platform)
    write_lines(platform, "tech", "approvals.jsonl", approval, early)
    write_lines(platform, "tech", "jobs.jsonl", job)
    promote(platform)
    events = platform.lake.reader("tech").read(PRODUCTION_EVENTS).sort("seq")
    assert {"job_queued", "decision_received", "generation_started"} <= set(events["type"])
    rename_workspace(platform, "tech", "technik", RUN)
    for name in ("approvals.jsonl", "jobs.jsonl"):  # read again from the beginning
        inbox = platform.workspaces.folder("technik") / name
        inbox.write_text("\n" + inbox.read_text(encoding="utf-8"), encoding="utf-8")
    promote(platform, "technik")
    later = platform.lake.reader("technik").read(PRODUCTION_EVENTS).sort("seq")
    assert later["event_id"].to_list() == events["event_id"].to_list()


@pytest.mark.parametrize("name", [b"notes\tfinal.txt", b"caf\xe9.txt"])
def test_a_file_that_the_export_would_lack_is_not_deleted(
    planted: Platform, tmp_path: Path, name: bytes
) -> None:
    kept = planted.workspaces.folder(GONE) / os.fsdecode(name)
    kept.write_text("precious", encoding="utf-8")
    with pytest.raises(ConfigError, match="would lack 1 entries"):
        _delete(planted, tmp_path / "out.zip")
    assert kept.read_text(encoding="utf-8") == "precious"
    export = export_workspace(planted, GONE, tmp_path / "out.zip", NOW)
    assert len(export.manifest.skipped) == 1


def test_a_config_with_another_uid_than_the_rows_is_refused(
    planted: Platform, tmp_path: Path
) -> None:
    export_workspace(planted, GONE, tmp_path / "out", NOW)
    _delete(planted, tmp_path / "second.zip")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    manifest["uid"] = None
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(FileRefusedError, match="another uid"):
        restore_workspace(planted, tmp_path / "out", RUN)
    assert not planted.workspaces.folder(GONE).exists()


def test_a_damaged_archive_is_refused(planted: Platform, tmp_path: Path) -> None:
    file = tmp_path / "out.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", "{" + " " * 10_000)
    content = bytearray(file.read_bytes())
    content[len("manifest.json") + 32] ^= 0xFF
    file.write_bytes(content)
    with pytest.raises(FileRefusedError):
        verify_export(file)
