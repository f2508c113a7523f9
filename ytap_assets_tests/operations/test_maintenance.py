"""Maintenance: a copy first, then retention, then the lake; few copies are kept.

Copies among the backups: their order, which stay, restore drills, and what a check-up says.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.copies import Backup, Copy, list_copies, open_backup
from ytap_assets.lakehouse.errors import BackupError, LakeMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.doctor import Finding, examine_backups, examine_lake
from ytap_assets.operations.maintenance import (
    apply_retention,
    backup_lake,
    describe_dropped,
    drill_restore,
    find_doubt,
    last_drill,
    maintain_lake,
    new_backup_folder,
    prune_backups,
    restore_lake,
)
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.review import decide_on_script
from ytap_assets.settings import Settings
from ytap_assets.tables import RAW_PAYLOADS
from ytap_assets.workspaces import CONFIG_NAME, Retention
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "maintain")
TODAY = date(2026, 11, 20)


def append_payloads(platform: Platform, workspace_id: str, *ages_days: int) -> None:
    """One payload for each age, counted back from the platform's today."""
    rows: list[dict[str, Any]] = [
        {
            "workspace_id": workspace_id,
            "day": TODAY - timedelta(days=age),
            "payload_id": f"p{age}",
            "collection_id": "c1",
            "source": "hn",
            "url": "https://example.org",
            "http_status": 200,
            "fetched_at": datetime(2026, 11, 20, tzinfo=UTC),
            "size_bytes": 2,
            "sha256": "0" * 64,
            "is_truncated": False,
            "body": b"{}",
        }
        for age in ages_days
    ]
    with platform.lake.write(RUN) as transaction:
        checked = check_rows(RAW_PAYLOADS, RAW_PAYLOADS.frame(rows), Scope(workspace_id))
        transaction.append(checked)


def kept_payloads(platform: Platform, workspace_id: str) -> list[str]:
    frame = platform.lake.reader(workspace_id).read(RAW_PAYLOADS, columns=["payload_id"])
    return sorted(frame.get_column("payload_id").to_list())


def set_retention(platform: Platform, workspace_id: str, days: int) -> None:
    workspace = platform.workspaces.get(workspace_id)
    retention = Retention(raw_payloads_days=days)
    platform.workspaces.save(workspace.model_copy(update={"retention": retention}))


def test_payloads_are_kept_as_long_as_each_config_says(platform: Platform) -> None:
    set_retention(platform, "tech", 10)
    for workspace_id in ("tech", "finance"):
        append_payloads(platform, workspace_id, 0, 10, 11, 183, 184)
    done = maintain_lake(platform, RUN)
    assert done.payloads_deleted == {"finance": 1, "tech": 3}
    assert kept_payloads(platform, "tech") == ["p0", "p10"]
    assert kept_payloads(platform, "finance") == ["p0", "p10", "p11", "p183"]


def test_workspaces_that_keep_payloads_alike_are_one_statement(
    platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    for workspace_id in ("tech", "finance"):
        append_payloads(platform, workspace_id, 0, 400)
    with caplog.at_level("DEBUG"):
        deleted, _, _ = apply_retention(platform, RUN, TODAY)
    assert deleted == {"finance": 1, "tech": 1}
    assert sum("delete raw_payloads" in line for line in caplog.messages) == 1


def test_the_copy_is_made_before_anything_is_deleted(platform: Platform) -> None:
    append_payloads(platform, "tech", 400)
    done = maintain_lake(platform, RUN)
    assert kept_payloads(platform, "tech") == []
    platform.lake.close()
    restore_lake(platform, done.backup.folder)
    again = Platform(platform.settings, now=platform.now)
    assert kept_payloads(again, "tech") == ["p400"]
    again.lake.close()


def test_a_broken_config_keeps_nobody_else_from_retention(platform: Platform) -> None:
    append_payloads(platform, "tech", 400)
    (platform.workspaces.folder("finance") / CONFIG_NAME).write_text("name: [", encoding="utf-8")
    done = maintain_lake(platform, RUN)
    assert done.payloads_deleted == {"tech": 1}
    assert "finance" in done.problems[0]
    assert done.as_metadata()["problems"] == done.problems[0]


def test_a_number_that_no_calendar_has_keeps_nobody_else_from_maintenance(
    platform: Platform,
) -> None:
    append_payloads(platform, "tech", 400)
    text = "name: F\nvertical: f\nretention: {raw_payloads_days: 1000000}\n"
    (platform.workspaces.folder("finance") / CONFIG_NAME).write_text(text, encoding="utf-8")
    done = maintain_lake(platform, RUN)
    assert done.payloads_deleted == {"tech": 1}
    assert "retention.raw_payloads_days" in done.problems[0]


def test_every_retention_that_a_config_takes_is_a_day(platform: Platform) -> None:
    set_retention(platform, "tech", 36_500)
    assert maintain_lake(platform, RUN).payloads_deleted == {"finance": 0, "tech": 0}


def test_every_snapshot_of_a_maintenance_names_its_run(platform: Platform) -> None:
    for age in (0, 1, 400):
        append_payloads(platform, "tech", age)
    before = platform.lake.snapshot_id()
    maintain_lake(platform, Run("run-9", "dagster", "maintain the lake"))
    made = platform.lake.snapshots().filter(pl.col("snapshot_id") > before)
    assert made.height >= 2
    assert set(made.get_column("run_id")) == {"run-9"}


def test_small_files_are_merged(platform: Platform) -> None:
    for age in range(4):
        append_payloads(platform, "tech", age)
    done = maintain_lake(platform, RUN)
    assert (done.lake.files_before, done.lake.files_after) == (4, 1)
    assert kept_payloads(platform, "tech") == ["p0", "p1", "p2", "p3"]


def test_counts_are_metadata(platform: Platform) -> None:
    append_payloads(platform, "tech", 0, 400)
    facts = maintain_lake(platform, RUN).as_metadata()
    assert facts["payloads_deleted"] == 1
    assert int(facts["backup_bytes"]) > 0
    assert facts["problems"] == "none"


def test_a_mistyped_data_path_forces_nothing(platform: Platform, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not the data path, which is"):
        maintain_lake(platform, RUN, sweep_anyway=tmp_path)
    assert not platform.settings.backups.exists()


def test_nothing_is_deleted_from_a_lake_that_lost_most_of_its_rows(platform: Platform) -> None:
    append_payloads(platform, "tech", *range(400))
    maintain_lake(platform, RUN, keep=1)
    with platform.lake.write(RUN) as transaction:
        transaction.delete_before(RAW_PAYLOADS, ["tech"], TODAY - timedelta(days=5))
    append_payloads(platform, "tech", 500)
    files, snapshots = _parquet(platform), platform.lake.snapshots().height
    for _ in range(3):
        done = maintain_lake(platform, RUN, keep=1, now=datetime.now(UTC) + timedelta(days=99))
        assert re.search(
            "all tables had [0-9]+ rows and has 7; no backup was deleted", done.refusals[0]
        )
        assert (done.backups_removed, done.payloads_deleted) == ((), {})
    assert files <= _parquet(platform)
    assert platform.lake.snapshots().height >= snapshots
    assert done.as_metadata()["refused"] == "; ".join(done.refusals)


def _parquet(platform: Platform) -> set[Path]:
    return set(platform.settings.data_path.rglob("*.parquet"))


def test_no_lake_is_made_for_the_sake_of_maintenance(tmp_path: Path) -> None:
    nowhere = Platform(Settings.from_env({"YTAP_DATA": str(tmp_path / "typo")}))
    with pytest.raises(LakeMissingError, match=r"no workspace in .*YTAP_DATA"):
        maintain_lake(nowhere, RUN)
    assert not (tmp_path / "typo").exists()


def test_a_config_of_no_workspace_is_no_error(settings: Settings, now: datetime) -> None:
    alone = Platform(settings, now=lambda: now)
    assert maintain_lake(alone, RUN).payloads_deleted == {}
    with pytest.raises(ConfigError):
        alone.workspaces.get("tech")
    alone.lake.close()


LATER = timedelta(days=1200)


def test_a_clock_that_is_far_ahead_deletes_nothing_and_merges(platform: Platform) -> None:
    live = Platform(
        replace(platform.settings, transport="live"), now=lambda: platform.now() + LATER
    )
    for age in range(4):
        append_payloads(live, "tech", age)
    snapshots = live.lake.snapshots().height
    for _ in range(2):  # the merges of the first are commits like any other
        done = maintain_lake(live, RUN, now=datetime.now(UTC) + LATER)
        assert "there was no commit for 1200 days" in done.refusals[0]
        assert "`ytap maintain --trust-clock`" in done.refusals[0]
        assert (done.payloads_deleted, done.lake.snapshots_expired) == ({}, 0)
        assert (done.lake.files_deleted, done.lake.files_after) == (0, 1)
        assert done.backup.folder.is_dir()
    assert kept_payloads(live, "tech") == ["p0", "p1", "p2", "p3"]
    assert live.lake.snapshots().height > snapshots
    trusted = maintain_lake(live, RUN, now=datetime.now(UTC) + LATER, trust_clock=True)
    assert trusted.payloads_deleted["tech"] == 4
    live.lake.close()


def test_a_clock_that_is_behind_is_named(platform: Platform) -> None:
    append_payloads(platform, "tech", 0)
    done = maintain_lake(platform, RUN, now=datetime.now(UTC) - timedelta(days=2))
    assert "before the newest commit" in done.refusals[0]


def test_under_replay_retention_goes_by_the_recordings(platform: Platform) -> None:
    append_payloads(platform, "tech", 0, 400)
    done = maintain_lake(platform, RUN, now=datetime.now(UTC) + LATER)
    assert done.refusals
    assert done.payloads_deleted == {"finance": 0, "tech": 1}
    assert kept_payloads(platform, "tech") == ["p0"]


def test_nearly_all_snapshots_expire_only_when_asked(platform: Platform) -> None:
    for age in range(12):
        append_payloads(platform, "tech", age)
    soon = datetime.now(UTC) + timedelta(days=60)
    done = maintain_lake(platform, RUN, now=soon)
    assert "snapshots would expire" in done.refusals[0]
    assert "`ytap maintain --allow-large-deletion`" in done.refusals[0]
    assert done.lake.snapshots_expired == 0
    soon += timedelta(seconds=1)
    again = maintain_lake(platform, RUN, now=soon, allow_large_deletion=True)
    assert again.refusals == ()
    assert again.lake.snapshots_expired >= 12


def test_most_payloads_of_a_workspace_go_only_when_asked(platform: Platform) -> None:
    append_payloads(platform, "tech", *range(60))
    append_payloads(platform, "finance", 0, 400)
    set_retention(platform, "tech", 10)
    done = maintain_lake(platform, RUN)
    assert done.payloads_deleted == {"finance": 1}
    assert "workspace tech: raw_payloads: 49 of 60 rows would be deleted" in done.refusals[0]
    assert len(kept_payloads(platform, "tech")) == 60
    again = maintain_lake(platform, RUN, allow_large_deletion=True)
    assert again.payloads_deleted == {"finance": 0, "tech": 49}


def _keep_state(platform: Platform, folder: Path) -> None:
    """Copy catalog and journal aside, as somebody does who knows nothing of `ytap backup`."""
    platform.lake.close()
    folder.mkdir()
    for file in platform.settings.catalog.parent.glob(f"{platform.settings.catalog.name}*"):
        if not file.name.endswith((".lock", ".copying")):
            shutil.copyfile(file, folder / file.name)


def _put_back(platform: Platform, folder: Path) -> Platform:
    """Put such a copy in place of the catalog that is there; the lake opened anew."""
    platform.lake.close()
    catalog = platform.settings.catalog
    for suffix in ("", "-wal", "-shm"):
        Path(f"{catalog}{suffix}").unlink(missing_ok=True)
    for file in folder.iterdir():
        shutil.copyfile(file, catalog.with_name(file.name))
    return Platform(platform.settings, now=platform.now)


def _list_files(platform: Platform) -> set[Path]:
    return set(platform.settings.data_path.rglob("*.parquet"))


def _find_history(platform: Platform) -> Finding:
    found = examine_lake(
        platform.settings, platform.workspaces, [], platform.now(), datetime.now(UTC)
    )
    return next(one for one in found if one.subject == "history")


@pytest.fixture
def older(platform: Platform, tmp_path: Path) -> Iterator[tuple[Platform, Path]]:
    """A lake whose catalog was replaced by an older one, and the copy with the newer state."""
    for age in range(4):
        append_payloads(platform, "tech", age)
    _keep_state(platform, tmp_path / "older")
    again = Platform(platform.settings, now=platform.now)
    append_payloads(again, "tech", 5)
    newest = maintain_lake(again, RUN, keep=1).backup.folder
    replaced = _put_back(again, tmp_path / "older")
    yield replaced, newest
    replaced.lake.close()


@pytest.mark.parametrize(("commits_since", "sweep_anyway"), [(0, True), (3, False)])
def test_an_older_catalog_in_place_of_the_newer_one_deletes_nothing(
    older: tuple[Platform, Path], commits_since: int, sweep_anyway: bool
) -> None:
    platform, newest = older
    for age in range(commits_since):
        append_payloads(platform, "finance", age)
    files = _list_files(platform)
    later = datetime.now(UTC) + timedelta(days=3)
    anyway = platform.settings.data_path if sweep_anyway else None
    for night in range(2):
        at = later + timedelta(hours=night)
        done = maintain_lake(
            platform,
            RUN,
            keep=1,
            now=at,
            sweep_anyway=anyway,
            trust_clock=True,
            allow_large_deletion=True,
        )
        assert any(str(newest) in refusal for refusal in done.refusals)
        assert (done.lake.orphans_deleted, done.lake.snapshots_expired) == (0, 0)
    assert newest.is_dir()
    assert files <= _list_files(platform)
    found = _find_history(platform)
    assert (found.verdict, str(newest) in found.detail) == ("fail", True)
    platform.lake.close()
    restore_lake(platform, newest)
    again = Platform(platform.settings, now=platform.now)
    assert "p5" in kept_payloads(again, "tech")
    assert maintain_lake(again, RUN, keep=9).refusals == ()
    again.lake.close()


def test_a_restore_of_an_older_copy_is_meant(platform: Platform) -> None:
    append_payloads(platform, "tech", 0)
    first = maintain_lake(platform, RUN).backup.folder
    append_payloads(platform, "tech", 1)
    append_payloads(platform, "tech", 2)
    maintain_lake(platform, RUN)
    platform.lake.close()
    restore_lake(platform, first)
    again = Platform(platform.settings, now=platform.now)
    assert kept_payloads(again, "tech") == ["p0"]
    assert maintain_lake(again, RUN).refusals == ()
    found = _find_history(again)
    assert found.verdict == "ok"
    again.lake.close()


def test_a_record_of_a_restore_does_not_excuse_what_is_older_or_was_copied_since(
    platform: Platform, tmp_path: Path
) -> None:
    append_payloads(platform, "tech", 0)
    _keep_state(platform, tmp_path / "oldest")
    platform = Platform(platform.settings, now=platform.now)
    append_payloads(platform, "tech", 1)
    first = maintain_lake(platform, RUN).backup.folder
    platform.lake.close()
    restore_lake(platform, first)
    _keep_state(platform, tmp_path / "restored")
    again = Platform(platform.settings, now=platform.now)
    append_payloads(again, "tech", 2)
    since = maintain_lake(again, RUN).backup.folder
    for state, copy in (("restored", since), ("oldest", first)):
        again = _put_back(again, tmp_path / state)
        if state == "oldest":
            shutil.rmtree(since)
        found = _find_history(again)
        assert (found.verdict, str(copy) in found.detail) == ("fail", True)
    again.lake.close()


def _submit(platform: Platform, *script_ids: str) -> None:
    inbox = platform.workspaces.folder("finance") / "scripts.jsonl"
    lines = [{"script_id": one, "created_at": "2026-11-19T08:00:00Z"} for one in script_ids]
    inbox.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    advance_one(platform.slice("finance", None, RUN), "submit_scripts")


def _cancel(platform: Platform, script_id: str) -> None:
    decide_on_script(platform, "finance", script_id, "cancel", actor="Ada", reason=None, run=RUN)


def test_a_restore_names_the_decisions_that_it_drops(platform: Platform) -> None:
    _submit(platform, *(f"s{number}" for number in range(13)))
    _cancel(platform, "s0")
    first = maintain_lake(platform, RUN).backup
    [text] = describe_dropped(platform.settings, first.folder)
    assert text.endswith(": 0")
    for number in range(1, 13):
        _cancel(platform, f"s{number}")
    maintain_lake(platform, RUN)  # merges the files of the events
    commits = platform.lake.snapshot_id() - (first.snapshot_id or 0)

    summary, *shown, more = describe_dropped(platform.settings, first.folder)

    assert f"backup: {commits}; decisions" in summary
    assert summary.endswith(": 12")
    assert shown[0] == f"cancel of script s12 of finance, {platform.now():%Y-%m-%d %H:%M} by Ada"
    assert len(shown) == 10
    assert "2 earlier" in more


def test_commits_after_a_restore_are_not_those_of_a_later_backup(platform: Platform) -> None:
    _submit(platform, "s0", "s1", "s2")
    first = maintain_lake(platform, RUN).backup.folder
    for script_id in ("s0", "s1"):
        _cancel(platform, script_id)
    second = maintain_lake(platform, RUN).backup.folder
    platform.lake.close()
    restore_lake(platform, first)
    again = Platform(platform.settings, now=platform.now)
    _submit(again, *(f"t{number}" for number in range(4)))
    for script_id in ("s2", "t0", "t1", "t2", "t3"):
        _cancel(again, script_id)

    before = describe_dropped(again.settings, second)
    assert before[0].endswith("decisions of people in them: 5")
    # The numbers that both histories used are not there any more.
    with again.lake.cursor() as cursor:
        cursor.execute("CALL ducklake_expire_snapshots('lake', older_than => now())")
    after = describe_dropped(again.settings, second)
    assert after[0].replace("at least ", "") == before[0]
    assert after[1:] == before[1:]
    again.lake.close()


def test_what_a_restore_drops_is_not_known_of_another_or_a_damaged_lake(
    platform: Platform, tmp_path: Path
) -> None:
    copy = backup_lake(platform, tmp_path / "copy").folder
    other = Settings(tmp_path, tmp_path / "other" / "catalog.sqlite", tmp_path / "other" / "files")
    Lake.create(other).close()
    platform.lake.close()

    assert "another lake" in describe_dropped(other, copy)[0]
    os.truncate(other.catalog, 0)
    [text] = describe_dropped(other, copy)
    assert "not known" in text


SECOND = timedelta(seconds=1)
YEARS = timedelta(days=1200)


def _maintain(platform: Platform, at: datetime, keep: int = 2) -> Path:
    return maintain_lake(platform, RUN, keep=keep, now=at).backup.folder


def test_only_the_newest_automatic_copies_stay(platform: Platform, now: datetime) -> None:
    by_hand = backup_lake(platform, None, now=now - timedelta(days=99))
    made = [_maintain(platform, now + number * SECOND) for number in range(4)]
    assert [folder.exists() for folder in made] == [False, False, True, True]
    assert open_backup(by_hand.folder) == by_hand
    assert [open_backup(folder).sequence for folder in made[2:]] == [4, 5]


def test_the_order_of_copies_does_not_depend_on_the_clock(
    platform: Platform, now: datetime
) -> None:
    ahead = _maintain(platform, now + YEARS)
    made = [_maintain(platform, now - number * SECOND) for number in range(3)]
    assert (ahead.exists(), [folder.exists() for folder in made]) == (False, [False, True, True])


def test_copies_without_a_sequence_are_the_oldest(platform: Platform, now: datetime) -> None:
    old = _maintain(platform, now + YEARS)
    manifest = json.loads((old / "manifest.json").read_text())
    kept = ("made_at", "duckdb_version", "catalog", "files")
    content = {"format": 2, **{name: manifest[name] for name in kept}}
    (old / "manifest.json").write_text(json.dumps(content))
    made = [_maintain(platform, now + number * SECOND) for number in range(2)]
    assert [copy.folder for copy in list_copies(platform.settings)] == made


def test_damaged_copies_do_not_count_among_those_that_stay(
    platform: Platform, now: datetime
) -> None:
    good = _maintain(platform, now)
    damaged = _maintain(platform, now + SECOND)
    os.truncate(damaged / "catalog.sqlite", 100)
    newest = _maintain(platform, now + 2 * SECOND)
    assert [folder.exists() for folder in (good, damaged, newest)] == [True, True, True]
    _maintain(platform, now + 3 * SECOND)
    assert [folder.exists() for folder in (good, damaged, newest)] == [False, False, True]


def test_nothing_is_removed_where_no_copy_could_be_made(platform: Platform, now: datetime) -> None:
    append_payloads(platform, "tech", 0)
    made = [_maintain(platform, now + number * SECOND, keep=9) for number in range(3)]
    for file in platform.settings.data_path.rglob("*.parquet"):
        os.truncate(file, 10)
    with pytest.raises(BackupError, match=f"the newest valid backup is {made[-1]}"):
        _maintain(platform, now + 4 * SECOND, keep=1)
    assert [copy.folder for copy in list_copies(platform.settings)] == made


def test_folders_that_are_no_copies_of_ours_stay(platform: Platform, now: datetime) -> None:
    backups = platform.settings.backups
    foreign = [backups / name for name in ("auto-pilot", "auto-20200101T000000.000000Z", "x.part")]
    for folder in foreign:
        folder.mkdir(parents=True)
    outside = backups.parent / "outside"
    shutil.copytree(backup_lake(platform, None, now=now).folder, outside)
    linked = backups / "auto-20200102T000000.000000Z"
    linked.symlink_to(outside)
    for number in range(2):
        _maintain(platform, now + number * SECOND, keep=1)
    assert all(folder.is_dir() for folder in (*foreign, linked, outside))


def test_unfinished_copies_of_older_versions_go_once_they_are_old(
    platform: Platform, now: datetime
) -> None:
    backups = platform.settings.backups
    ages = {"auto-20261101T000000Z.part": 25, "auto-20261120T000000Z.part": 1}
    for name, age in ages.items():
        (backups / name).mkdir(parents=True)
        moment = (now - timedelta(hours=age)).timestamp()
        os.utime(backups / name, (moment, moment))
    _maintain(platform, now)
    assert [(backups / name).exists() for name in ages] == [False, True]


def test_not_every_copy_can_be_given_up(platform: Platform, now: datetime) -> None:
    made = backup_lake(platform, None, now=now)
    with pytest.raises(BackupError, match="at least 1"):
        prune_backups(platform.settings, made, keep=0, now=now)


def _copy(settings: Settings, **facts: object) -> Backup:
    folder = new_backup_folder(settings, datetime(2026, 1, 1), is_automatic=True)  # noqa: DTZ001
    backup = backup_lake(Platform(settings), None)
    return replace(backup, folder=folder, **facts)  # type: ignore[arg-type]


def test_a_copy_that_falls_short_of_any_before_is_in_doubt(settings: Settings) -> None:
    first = _copy(settings, tables={"raw_trends": 1000, "production_events": 200})
    small = replace(first, tables={"raw_trends": 100, "production_events": 200})
    fewer = replace(first, tables={"raw_trends": 9000, "production_events": 9})
    other = replace(first, lake_id="another")
    copies = [Copy(first.folder, first, None), Copy(small.folder, small, None)]
    assert find_doubt(first, copies[:1]) is None
    assert "raw_trends had 1,000 rows and has 100" in (find_doubt(small, copies) or "")
    assert "production_events had 200 rows and has 9" in (find_doubt(fewer, copies) or "")
    assert "of another lake" in (find_doubt(other, copies) or "")
    assert find_doubt(small, [Copy(first.folder, first, "damaged")]) is None
    by_hand = Copy(first.folder.with_name("backup-1"), first, None)
    assert find_doubt(small, [by_hand]) is None


def test_a_lake_in_the_place_of_another_removes_no_copy(platform: Platform, now: datetime) -> None:
    settings = platform.settings
    kept = _maintain(platform, now, keep=1)
    platform.lake.close()
    shutil.move(settings.data / "lake", settings.data / "moved")
    Lake.create(settings).close()
    other = Platform(settings, now=platform.now)
    done = maintain_lake(other, RUN, keep=1, now=now + SECOND)
    other.lake.close()
    assert "of another lake" in done.refusals[0]
    assert kept.exists()


def test_no_copy_that_is_asked_for_is_put_where_it_would_be_pruned(
    platform: Platform, now: datetime
) -> None:
    made = _maintain(platform, now)
    with pytest.raises(BackupError, match="automatic backup"):
        backup_lake(platform, made.with_name("auto-20991231T000000.000000Z"))
    with pytest.raises(BackupError, match="is inside the backup"):
        backup_lake(platform, made / "files" / "mine")


def test_there_has_to_be_a_lake(tmp_path: Path) -> None:
    nowhere = Platform(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    with pytest.raises(LakeMissingError):
        backup_lake(nowhere, None)
    assert not list(tmp_path.iterdir())


def test_a_drill_restores_the_newest_copy(platform: Platform, now: datetime) -> None:
    append_payloads(platform, "tech", 0, 1)
    backup_lake(platform, None, now=now)
    newest = backup_lake(platform, None, now=now - SECOND)
    drill = drill_restore(platform.settings, now=now)
    assert (drill.problem, drill.folder, drill.rows) == (None, str(newest.folder), 2)
    assert last_drill(platform.settings) == drill
    assert len(list(platform.settings.backups.iterdir())) == 2


def test_a_drill_that_fails_is_kept(platform: Platform, now: datetime) -> None:
    append_payloads(platform, "tech", 0)
    made = backup_lake(platform, None, now=now)
    [file] = made.folder.rglob("*.parquet")
    file.write_bytes(bytes(file.stat().st_size))
    drill = drill_restore(platform.settings, now=now)
    assert "damaged" in (drill.problem or "")
    assert last_drill(platform.settings) == drill


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"at": "soon"}', '{"at": 3}', "a pipe"])
def test_a_record_that_cannot_be_read_is_one_of_a_failure(
    platform: Platform, now: datetime, content: str
) -> None:
    backup_lake(platform, None, now=now)
    drill_restore(platform.settings, now=now)
    for record in platform.settings.state.glob("*.json"):
        if content == "a pipe":  # to read it would wait for ever
            record.unlink()
            os.mkfifo(record)
        else:
            record.write_text(content)
    found = _findings(platform.settings, now)
    for subject in ("last backup", "restore drill"):
        assert found[subject].verdict == "fail"
        assert "cannot be read" in found[subject].detail


def test_a_check_up_of_a_backup_that_failed(platform: Platform, now: datetime) -> None:
    """A byte that changed in place is seen by the copy, and by no check-up."""
    append_payloads(platform, "tech", 0)
    _maintain(platform, now)
    drill_restore(platform.settings, now=now)
    [file] = platform.settings.data_path.rglob("*.parquet")
    content = file.read_bytes()
    at = len(content) // 2
    file.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(BackupError, match="damaged"):
        _maintain(platform, now + SECOND)
    found = _findings(platform.settings, now + timedelta(hours=5))["last backup"]
    assert (found.verdict, file.name in found.detail) == ("fail", True)
    assert "failed 5 h ago" in found.detail
    file.write_bytes(content)
    _maintain(platform, now + 2 * SECOND)
    assert {one.verdict for one in _findings(platform.settings, now).values()} == {"ok"}


def test_a_folder_that_cannot_be_copied_to_is_no_failure_of_the_lake(
    platform: Platform, now: datetime, tmp_path: Path
) -> None:
    backup_lake(platform, None, now=now)
    with pytest.raises(BackupError, match="already exists"):
        backup_lake(platform, tmp_path, now=now)
    assert "last backup" not in _findings(platform.settings, now)


def test_a_drill_needs_a_copy(settings: Settings) -> None:
    with pytest.raises(BackupError, match="no backup of the lake"):
        drill_restore(settings)


def _findings(settings: Settings, now: datetime) -> dict[str, Finding]:
    return {finding.subject: finding for finding in examine_backups(settings, now)}


def test_a_check_up_of_no_copies(platform: Platform, now: datetime) -> None:
    platform.lake.snapshot_id()
    assert _findings(platform.settings, now)["backups"].verdict == "warn"


def test_a_check_up_of_good_copies(platform: Platform, now: datetime) -> None:
    made = backup_lake(platform, None, now=now)
    drill_restore(platform.settings, now=now)
    found = _findings(platform.settings, now + timedelta(hours=5))
    assert {finding.verdict for finding in found.values()} == {"ok"}
    assert f"{made.folder.name}, sequence 1, 5 h old" in found["backups"].detail
    late = _findings(platform.settings, now + timedelta(days=20))
    assert {finding.verdict for finding in late.values()} == {"warn"}


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no manifest's content": lambda folder: (folder / "manifest.json").write_text("{"),
    "no catalog": lambda folder: (folder / "catalog.sqlite").unlink(),
    "a link": lambda folder: (folder / "files" / "x").symlink_to("/"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_check_up_of_a_damaged_copy(
    platform: Platform, now: datetime, damage: Callable[[Path], object]
) -> None:
    good = backup_lake(platform, None, now=now)
    bad = backup_lake(platform, None, now=now + SECOND)
    damage(bad.folder)
    found = _findings(platform.settings, now)
    assert found[f"backup {bad.folder.name}"].verdict == "fail"
    assert good.folder.name in found["backups"].detail
    shutil.rmtree(good.folder)
    assert _findings(platform.settings, now)["backups"].verdict == "fail"


def test_a_check_up_of_a_copy_from_the_future(platform: Platform, now: datetime) -> None:
    made = backup_lake(platform, None, now=now + YEARS)
    finding = _findings(platform.settings, now)["backups' clock"]
    assert (finding.verdict, made.folder.name in finding.detail) == ("warn", True)


def test_a_check_up_of_a_failed_drill(platform: Platform, now: datetime) -> None:
    made = backup_lake(platform, None, now=now)
    os.truncate(made.folder / "catalog.sqlite", 5)
    drill_restore(platform.settings, now=now)
    assert _findings(platform.settings, now)["restore drill"].verdict == "fail"
