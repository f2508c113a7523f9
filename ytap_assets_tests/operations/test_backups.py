"""Copies among the backups: their order, which stay, restore drills, and what a check-up says."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ytap_assets.lakehouse.copies import Copy, list_copies, open_backup
from ytap_assets.lakehouse.errors import BackupError, LakeMissingError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.manifest import Backup
from ytap_assets.operations.backups import (
    backup_lake,
    drill_restore,
    find_doubt,
    last_drill,
    new_backup_folder,
    prune_backups,
)
from ytap_assets.operations.doctor import Finding, examine_backups
from ytap_assets.operations.maintain import maintain_lake
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets_tests.operations.test_maintain import RUN, append_payloads

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
    with pytest.raises(BackupError, match=f"the newest good one is {made[-1]}"):
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
    with pytest.raises(BackupError, match="at least one"):
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
    with pytest.raises(BackupError, match="which is pruned: choose another name"):
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
    with pytest.raises(BackupError, match="is there already"):
        backup_lake(platform, tmp_path, now=now)
    assert "last backup" not in _findings(platform.settings, now)


def test_a_drill_needs_a_copy(settings: Settings) -> None:
    with pytest.raises(BackupError, match="no copy of the lake"):
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
