"""A full disk or a read-only one: named, nothing lost, reads go on, the next write works."""

from __future__ import annotations

import errno
import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import duckdb
import pytest

from ytap_assets.lakehouse.errors import (
    CatalogBusyError,
    DiskFailureError,
    DiskFullError,
    LakeReadOnlyError,
    translate_errors,
)
from ytap_assets.settings import Settings
from ytap_assets_tests.lakehouse.processes import Worker

_MOUNT = 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"'
_FREEZE = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
ROWS = 1500


def _own_disk(folder: Path) -> tuple[str, ...]:
    """The beginning of a command that sees a disk of 8 MB at the folder, gone when it ends."""
    folder.mkdir()
    return _mounted(_MOUNT, folder)


def _mounted(script: str, folder: Path) -> tuple[str, ...]:
    prefix = ("unshare", "-rm", "sh", "-c", script, str(folder))
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("no mounts of one's own here: a small disk cannot be made")
    return prefix


def _outcomes(worker: Worker) -> tuple[list[tuple[int, str, list[object], str]], list[object]]:
    worker.go()
    assert worker.finish() == 0, worker.reports
    found = [json.loads(r.removeprefix("outcome ")) for r in worker.reports if r[:7] == "outcome"]
    return [tuple(one) for one in found], json.loads(worker.reports[-1].removeprefix("swept "))


def _check(outcomes: list[tuple[int, str, list[object], str]]) -> list[str]:
    """The failures; every one told by its name, before and after it whole versions were read."""
    held = -1
    for version, (leave, outcome, seen, again) in enumerate(outcomes):
        if outcome == "ok":
            held = version
        else:
            assert outcome.startswith("DiskFullError: no space left"), (leave, outcome)
        assert seen == ([ROWS, [held]] if held >= 0 else [0, []]), (leave, outcome)
        assert again == "ok", leave
        held = version
    return [outcome for _, outcome, _, _ in outcomes if outcome != "ok"]


def test_no_space_for_files_and_catalog(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    prefix = _own_disk(disk)
    free = [0, 4096, 65536, 200_000, 400_000, 1_000_000]
    arguments = {"data": str(disk / "data"), "disk": str(disk), "where": {}, "free": free}
    with Worker("fill", prefix=prefix, **arguments) as worker:
        outcomes, swept = _outcomes(worker)
    assert len(_check(outcomes)) >= 4
    orphans, files, seen = swept
    assert isinstance(orphans, int)
    assert orphans >= 1
    assert (files, seen) == (1, [ROWS, [len(free) - 1]])


def test_no_space_for_a_new_lake(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    prefix = _own_disk(disk)
    free = [4096, *range(80_000, 400_000, 20_000), 1_000_000]
    with Worker("create", prefix=prefix, disk=str(disk), free=free) as worker:
        worker.go()
        assert worker.finish() == 0, worker.reports
    outcomes = [
        json.loads(r.removeprefix("outcome ")) for r in worker.reports if r[:7] == "outcome"
    ]
    assert len(outcomes) == len(free)
    for leave, made, again, seen in outcomes:
        assert made == "ok" or made.startswith("DiskFullError: "), (leave, made)
        assert (again, seen) == ("ok", [ROWS, [1]]), leave
    assert outcomes[0][1] != "ok"
    assert outcomes[-1][1] == "ok"


def test_no_space_for_the_commit_alone(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    prefix = _own_disk(disk)
    free = [36_864, 32_768, 36_864, 40_960, 1_000_000]
    arguments = {
        "data": str(tmp_path / "data"),
        "disk": str(disk),
        "where": {"YTAP_CATALOG": str(disk / "catalog.sqlite")},
        "free": free,
    }
    with Worker("fill", prefix=prefix, **arguments) as worker:
        outcomes, swept = _outcomes(worker)
    assert _check(outcomes)
    assert swept[1:] == [1, [ROWS, [len(free) - 1]]]


def test_no_space_for_a_copy_or_a_restore(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    prefix = _own_disk(disk)
    free = [0, 4096, 65_536, 200_000, 450_000, 600_000, 2_000_000]
    arguments = {"data": str(tmp_path / "data"), "disk": str(disk), "free": free}
    with Worker("copy", prefix=prefix, **arguments) as worker:
        worker.go()
        assert worker.finish() == 0, worker.reports
    outcomes = [
        json.loads(r.removeprefix("outcome ")) for r in worker.reports if r[:7] == "outcome"
    ]
    assert len(outcomes) == len(free)
    for leave, copied, restored, verified, left, seen in outcomes:
        for outcome in (copied, restored, verified):
            assert outcome == "ok" or outcome.startswith("DiskFullError: "), (leave, outcome)
        assert verified == "ok" or "were not verified" in verified
        assert (left, seen) == ([], [ROWS, [1]]), leave
    assert [copied for _, copied, *_ in outcomes].count("ok") < len(free) - 2
    assert outcomes[0][3] != "ok"
    assert outcomes[-1][1:4] == ["ok", "ok", "ok"]


@pytest.mark.sqlite
def test_a_folder_that_cannot_be_written_to(tmp_path: Path, settings: Settings) -> None:
    frozen = tmp_path / "frozen"
    shutil.copytree(settings.data, frozen)
    prefix = _mounted(_FREEZE, frozen)
    before = sorted(frozen.rglob("*"))
    arguments = {"data": str(settings.data), "folder": str(frozen)}
    with Worker("copy_read_only", prefix=prefix, **arguments) as worker:
        worker.go()
        assert worker.finish() == 0, worker.reports
    outcomes = [r.removeprefix("outcome ") for r in worker.reports if r.startswith("outcome ")]
    assert len(outcomes) == 3
    assert all("Read-only file system" in outcome for outcome in outcomes), outcomes
    assert worker.reports[-1] == "left []"
    assert sorted(frozen.rglob("*")) == before


@pytest.mark.parametrize(
    "error",
    [
        duckdb.IOException('Could not write file "x.parquet": No space left on device'),
        duckdb.TransactionException('Failed to execute query "COMMIT": database or disk is full'),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_every_name_of_a_full_disk_is_known(settings: Settings, error: Exception) -> None:
    expected = pytest.raises(DiskFullError, match="no space left on the disk")
    with expected as caught, translate_errors(settings):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error",
    [
        duckdb.ConversionException("no such thing"),
        duckdb.BinderException("column 'database is locked' does not exist"),
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
    ],
)
def test_other_failures_keep_their_name(settings: Settings, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, translate_errors(settings):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "error",
    [
        duckdb.Error("Failed to execute query: disk I/O error"),
        duckdb.IOException('Could not write file "x.parquet": File too large'),
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.EFBIG, "File too large"),
        sqlite3.OperationalError("disk I/O error"),
    ],
)
def test_a_disk_that_fails_is_named_and_no_restore_advised(
    settings: Settings, error: Exception
) -> None:
    expected = pytest.raises(DiskFailureError, match="check the disk")
    with expected as caught, translate_errors(settings):
        raise error
    assert "restore" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        duckdb.Error("Failed to execute query: attempt to write a readonly database"),
        OSError(errno.EROFS, "Read-only file system"),
        PermissionError(errno.EACCES, "Permission denied"),
    ],
)
def test_a_place_that_cannot_be_written_to_is_named(settings: Settings, error: Exception) -> None:
    with pytest.raises(LakeReadOnlyError, match=str(settings.data)), translate_errors(settings):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        duckdb.Error("Failed to delete snapshots in DuckLake: database is locked"),
        duckdb.TransactionException("Failed to commit: database is locked"),
        sqlite3.OperationalError("database is locked"),
        duckdb.TransactionException("Transaction conflict - attempting to delete from table"),
    ],
)
def test_another_program_is_named(settings: Settings, error: Exception) -> None:
    with pytest.raises(CatalogBusyError, match="another program"), translate_errors(settings):
        raise error


@pytest.mark.parametrize(
    ("how", "refusal"), [("full", "DiskFullError"), ("read-only", "LakeReadOnlyError")]
)
def test_a_lake_that_cannot_be_written_to_is_still_read(
    tmp_path: Path, how: str, refusal: str
) -> None:
    disk = tmp_path / "disk"
    prefix = _own_disk(disk)
    with Worker("degrade", prefix=prefix, disk=str(disk), how=how) as worker:
        worker.go()
        assert worker.finish() == 0, worker.reports
    found = dict(report.split(" ", 1) for report in worker.reports if " " in report)
    assert found["sql"] == found["sandbox"] == "2"
    assert found["reader"] == "2"
    assert found["open"].startswith(f"{refusal}: ")
    assert found["write"].startswith(f"{refusal}: ")
    assert found["inspected"] == "ok"
    assert list((tmp_path / "copies").iterdir()) == []  # of the catalog
