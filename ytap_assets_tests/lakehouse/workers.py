"""What the fault tests run as processes of their own: `python -m ... ROLE ARGUMENTS`.

A worker imports what it needs, reports ``ready``, waits for a line on its input, and then plays its
role. It reports by lines on its output, each written at once: what it intends, the phases of its
transactions, and what was acknowledged to it.
"""

from __future__ import annotations

import json
import logging
import os
import random
import select
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl

from ytap_assets.errors import YtapError
from ytap_assets.lakehouse.backup import back_up, restore, verify
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.erasure import Target, erase, list_owned_tables
from ytap_assets.lakehouse.errors import LakeError
from ytap_assets.lakehouse.inspection import inspect_lake
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.lakehouse.sql_sandbox import open_sql
from ytap_assets.lakehouse.transaction import Run, Transaction
from ytap_assets.settings import Settings
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    NOTES,
    RUN,
    SAMPLES,
    days,
    logs,
    notes,
    one_day,
    publish,
)

CHURN_DAYS = days(6)
SHARED_DAYS = days(3)
ROWS = [f"note-{number}" for number in range(40)]
ENTRIES = 5
PAUSE_S = 0.1
_HTTP_TIMEOUT_S = 2
LATER = timedelta(days=3)
"""Maintenance that thinks it is so much later expires everything that can expire."""


def report(*words: object) -> None:
    """Tell the parent, at once."""
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


class _Phases(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        report("phase", record.getMessage())


def _watch_phases() -> None:
    for name in ("transaction", "maintenance"):
        log = logging.getLogger(f"ytap_assets.lakehouse.{name}")
        log.setLevel(logging.DEBUG)
        log.addHandler(_Phases())


_place: dict[str, str] = {}
"""The catalog, where it is a database."""


def _settings(data: str, **others: str) -> Settings:
    return Settings.from_env({"YTAP_DATA": data, "YTAP_SNAPSHOT_DAYS": "1", **_place, **others})


def _newest_version(lake: Lake) -> int:
    """The newest version that any commit wrote, which every commit also wrote into the log."""
    entries = lake.cross_reader().read_across(LOGS, columns=["left"])
    return int(entries.select(pl.col("left").max().fill_null(0)).item())


def hold(*, catalog: str, patience_s: float = 5.0) -> None:
    """Hold the write lock until killed."""
    with WriteLock(Path(catalog), patience_s=patience_s).hold():
        report("held")
        sys.stdin.readline()


def commit(*, catalog: str, lock: str = "EXCLUSIVE") -> None:
    """Hold the catalog as tightly as a commit does, until the input closes, and change nothing."""
    with closing(sqlite3.connect(catalog)) as connection:
        connection.execute(f"BEGIN {lock}")
        connection.execute("DELETE FROM ducklake_snapshot")
        report("committing")
        sys.stdin.readline()
        connection.rollback()


class _Stop(logging.Handler):
    """Reports the phases of an erasure, and waits for ever in one of them."""

    def __init__(self, phase: str) -> None:
        super().__init__(logging.DEBUG)
        self._phase = phase

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        report("phase", message)
        if message.startswith(self._phase):
            sys.stdin.readline()


def erase_until(*, data: str, workspace: str, phase: str) -> None:
    """Erase the rows of a workspace, and wait to be killed before a phase."""
    log = logging.getLogger("ytap_assets.lakehouse")
    log.setLevel(logging.DEBUG)
    log.addHandler(_Stop(phase))
    with Lake.open(_settings(data), tables=SAMPLES) as lake:
        targets = [Target(table, workspace) for table in list_owned_tables(lake)]
        erase(lake, targets, RUN, datetime(2026, 11, 20, tzinfo=UTC))


def make(*, data: str) -> None:
    """Open a lake where there is none, and write to it."""
    with Lake.open(_settings(data), tables=SAMPLES) as lake:
        workspace = f"ws-{os.getpid()}"
        publish(lake, NOTES, notes(workspace, [DAY], ROWS), one_day(workspace))
        report("rows", lake.reader(workspace).read(NOTES).height)


def churn(*, data: str, seed: int) -> None:
    """Publish, append and maintain until killed, saying what is next and what is done."""
    _watch_phases()
    chance = random.Random(seed)
    with Lake.open(_settings(data), tables=SAMPLES) as lake:
        for version in count(_newest_version(lake) + 1):
            _write_once(lake, chance, version)
            report("ack", version)


def endure(*, data: str, seed: int) -> None:
    """`churn` over servers that fail, until the input closes: what they refuse is left out."""
    chance, settings = random.Random(seed), _settings(data)
    with Lake.open(settings, tables=SAMPLES) as lake:
        if settings.bucket is not None:
            with lake.cursor() as cursor:
                cursor.execute(f"SET GLOBAL http_timeout = {_HTTP_TIMEOUT_S}")
        for version in count(_newest_version(lake) + 1):
            if select.select([sys.stdin], [], [], 0)[0]:
                return
            try:
                _write_once(lake, chance, version)
            except LakeError as error:
                report("refused", version, f"{type(error).__name__}: {error}")
                time.sleep(PAUSE_S)
            else:
                report("ack", version)


def _write_once(lake: Lake, chance: random.Random, version: int) -> None:
    kind = "maintain" if version % 7 == 0 else chance.choice(["publish", "append", "both"])
    low = chance.randrange(len(CHURN_DAYS))
    high = min(low + chance.randrange(3), len(CHURN_DAYS) - 1)
    report("intent", kind, version, low, high)
    if kind == "maintain":
        maintain(lake, datetime.now(UTC) + LATER, RUN)
        low, high, kind = 0, 0, "append"
    with lake.write(Run(f"run-{version}", "churn", kind)) as transaction:
        if kind in {"publish", "both"}:
            _publish(transaction, "tech", version, low, high)
        _append(transaction, "tech", version)


def _publish(
    transaction: Transaction, workspace_id: str, version: int, low: int, high: int
) -> None:
    span = CHURN_DAYS[low : high + 1]
    frame = notes(workspace_id, span, ROWS, version=version)
    transaction.publish_all([check_rows(NOTES, frame, Scope(workspace_id, span[0], span[-1]))])


def _append(transaction: Transaction, workspace_id: str, version: int) -> None:
    names = [f"{version}-{number}" for number in range(ENTRIES)]
    frame = logs(workspace_id, names, left=version)
    transaction.append(check_rows(LOGS, frame, Scope(workspace_id)))


def write(*, data: str, number: int, rounds: int) -> None:
    """Write to partitions of one's own and to shared ones, and now and then maintain."""
    own = f"own-{number}"
    with Lake.open(_settings(data), tables=SAMPLES) as lake:
        for turn in range(rounds):
            version = number * 1000 + turn
            frame = notes(own, [DAY], ROWS, version=version)
            publish(lake, NOTES, frame, one_day(own))
            with lake.write(RUN) as transaction:
                _take_turn(transaction, version)
            if number == 0:
                maintain(lake, datetime.now(UTC), RUN)
            report("turn", turn)


def _take_turn(transaction: Transaction, version: int) -> None:
    """Publish all shared days, and log whose version was found and whose was left."""
    frame = notes("shared", SHARED_DAYS, ROWS, version=version)
    scope = Scope("shared", SHARED_DAYS[0], SHARED_DAYS[-1])
    transaction.publish_all([check_rows(NOTES, frame, scope)])
    before = transaction.reader("shared").read(LOGS).sort("seq").get_column("left")
    entry = logs("shared", [f"turn-{version}"], found=before.last(), left=version)
    transaction.append(check_rows(LOGS, entry, Scope("shared")))


def read(*, data: str, in_sandbox: bool) -> None:
    """Read until the input closes; report every inconsistency, and how often it read."""
    reads = 0
    settings, turns = _settings(data), Turns()
    with Lake.open(settings, tables=SAMPLES) as lake:
        report("reading")
        while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
            for problem in _look_in_sandbox(settings) if in_sandbox else _look(lake, turns):
                report("inconsistent", problem)
            # The first read of a connection takes longest, so that most can happen meanwhile.
            with Lake.open(settings, tables=SAMPLES) as fresh:
                for problem in _look(fresh, turns):
                    report("inconsistent", problem)
            reads += 1
    report("reads", reads)


@dataclass
class Turns:
    """How many turns were seen; none is ever lost."""

    seen: int = 0


def _look(lake: Lake, turns: Turns) -> Iterator[str]:
    shared = lake.reader("shared").read(NOTES)
    versions = shared.get_column("version").unique().to_list()
    if (len(versions), shared.height) not in {(0, 0), (1, len(SHARED_DAYS) * len(ROWS))}:
        yield f"versions {versions} on {shared.height} rows"
    entries = lake.reader("shared").read(LOGS).sort("seq")
    if entries.get_column("found").to_list()[1:] != entries.get_column("left").to_list()[:-1]:
        yield f"turns {entries.select('seq', 'found', 'left').rows()}"
    if entries.height < turns.seen:
        yield f"{entries.height} turns, after {turns.seen}"
    turns.seen = max(turns.seen, entries.height)
    if entries.get_column("seq").to_list() != list(range(1, entries.height + 1)):
        yield f"seq {entries.get_column('seq').to_list()}"


def _look_in_sandbox(settings: Settings) -> Iterator[str]:
    statement = 'SELECT (SELECT max(version) FROM notes), (SELECT max_by("left", seq) FROM logs)'
    with closing(open_sql(settings, statement, workspace_id="shared")) as connection:
        row = connection.execute(statement).fetchone()
    if row is None or row[0] != row[1]:
        yield f"tables of two commits: {row}"


def put_back(*, data: str, backups: list[str]) -> None:
    """Restore one backup after the other until killed; never may the catalog be missing."""
    settings = _settings(data)
    is_file = settings.database is None

    def look(event: str, _: tuple[object, ...]) -> None:
        is_change = event in {"os.rename", "os.remove", "os.link"}
        if is_file and is_change and not settings.catalog.is_file():
            report("missing", event)

    sys.addaudithook(look)
    for number in count():
        folder = backups[number % len(backups)]
        report("restoring", folder)
        restore(settings, Path(folder), datetime.now(UTC))


def copy_often(*, data: str) -> None:
    """Make one copy after the other until killed."""
    settings = _settings(data)
    for number in count():
        report("copying")
        back_up(settings, settings.backups / f"{os.getpid()}-{number}", datetime.now(UTC))


def fill(*, data: str, disk: str, where: dict[str, str], free: list[int]) -> None:
    """Publish on a small disk with ever so little space left; report how it went."""
    settings = _settings(data, **where)
    with Lake.create(settings, tables=SAMPLES) as lake:
        for version, leave in enumerate(free):
            ballast = _fill_up(Path(disk), leave)
            outcome = _try_to_publish(lake, version)
            ballast.unlink()
            seen = _summary(lake)
            report("outcome", json.dumps([leave, outcome, seen, _try_to_publish(lake, version)]))
        orphans = maintain(lake, datetime.now(UTC) + LATER, RUN).orphans_deleted
        files = len(list(settings.data_path.rglob("*.parquet")))
        report("swept", json.dumps([orphans, files, _summary(lake)]))


def create(*, disk: str, free: list[int]) -> None:
    """Create lakes on a small disk with ever so little space left; write when there is some."""
    for number, leave in enumerate(free):
        settings = _settings(f"{disk}/{number}")
        ballast = _fill_up(Path(disk), leave)
        made = _attempt(partial(Lake.create, settings, tables=SAMPLES))
        ballast.unlink()
        with Lake.open(settings, tables=SAMPLES) as lake:
            again = _try_to_publish(lake, 1)
            report("outcome", json.dumps([leave, made, again, _summary(lake)]))
        shutil.rmtree(settings.data)


def copy(*, data: str, disk: str, free: list[int]) -> None:
    """Back up onto a small disk, and restore there, with ever so little space left."""
    source, target = _settings(data), _settings(f"{disk}/data")
    now = datetime.now(UTC)
    with Lake.open(source, tables=SAMPLES) as lake:
        _try_to_publish(lake, 1)
    made = back_up(source, Path(data) / "copy", now)
    restore(target, made.folder, now)
    verify(target, made.folder, now)  # the folder of backups is there from now on
    Lake.open(target, tables=SAMPLES).close()  # marks the place of the files
    before = _names(target.data)
    for number, leave in enumerate(free):
        ballast = _fill_up(Path(disk), leave)
        folder = Path(disk) / "copies" / "one"
        copied = _attempt(partial(back_up, source, folder, now))
        left = [name for name in _names(Path(disk) / "copies") if name.endswith(".part")]
        shutil.rmtree(folder, ignore_errors=True)
        moment = now + timedelta(seconds=number)
        restored = _attempt(partial(restore, target, made.folder, moment))
        if restored != "ok":
            left += sorted(set(_names(target.data)) ^ set(before))
        verified = _attempt(partial(verify, target, made.folder, now))
        left += _names(target.backups)
        ballast.unlink()
        with Lake.open(target, tables=SAMPLES) as lake:
            report("outcome", json.dumps([leave, copied, restored, verified, left, _summary(lake)]))
        before = _names(target.data)


def copy_read_only(*, data: str, folder: str) -> None:
    """Back up into a folder that cannot be written to, restore there, back up from there."""
    now = datetime.now(UTC)
    source, frozen = _settings(data), _settings(folder)
    made = back_up(source, Path(data) / "copy", now)
    report("outcome", _attempt(lambda: back_up(source, Path(folder) / "copy", now)))
    report("outcome", _attempt(lambda: restore(frozen, made.folder, now)))
    report("outcome", _attempt(lambda: back_up(frozen, Path(data) / "other", now)))
    report("left", _names(Path(data) / "other"))


def degrade(*, disk: str, how: str) -> None:
    """Make a lake on a small disk, fill the disk or make it read-only, and try what there is."""
    settings = _settings(f"{disk}/data")
    with Lake.open(settings, tables=SAMPLES) as lake:
        publish(lake, NOTES, notes("tech", [DAY], "ab"), one_day("tech"))
    copies = Path(disk).with_name("copies")
    copies.mkdir()
    tempfile.tempdir = str(copies)
    if how == "full":
        _fill_up(Path(disk), 0)
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    statement = "SELECT count(*) FROM notes"
    for name, workspace_id in (("sql", None), ("sandbox", "tech")):
        with closing(open_sql(settings, statement, workspace_id=workspace_id)) as connection:
            report(name, *(connection.execute(statement).fetchone() or ()))
    report("open", _attempt(lambda: Lake.open(settings, tables=SAMPLES).close()))
    with Lake.open(settings, tables=SAMPLES, may_only_read=True) as lake:
        report("reader", lake.reader("tech").read(NOTES).height)
        report("write", _try_to_publish(lake, 1))
    with inspect_lake(settings) as inspection:
        report("inspected", "ok" if inspection.facts(SAMPLES).snapshots else "none")


def _attempt(action: Callable[[], object]) -> str:
    try:
        action()
    except (YtapError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "ok"


def _names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def _try_to_publish(lake: Lake, version: int) -> str:
    chance = random.Random(version)
    rows = [
        {"workspace_id": "tech", "day": DAY, "note_id": f"n{number}", "version": version}
        | {"body": chance.randbytes(300)}
        for number in range(1500)
    ]
    return _attempt(lambda: publish(lake, NOTES, NOTES.frame(rows), one_day("tech")))


def _summary(lake: Lake) -> tuple[int, list[int]]:
    rows = lake.reader("tech").read(NOTES)
    return rows.height, rows.get_column("version").unique().sort().to_list()


def _fill_up(disk: Path, leave: int) -> Path:
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        while (free := _free(disk)) > leave:
            stream.write(bytes(min(free - leave, 1 << 16)))
    return ballast


def _free(disk: Path) -> int:
    state = os.statvfs(disk)
    return state.f_bavail * state.f_frsize


ROLES: dict[str, Callable[..., None]] = {
    role.__name__: role
    for role in (
        *(hold, commit, make, create, churn, endure, write, read, put_back, fill),
        *(copy, copy_often, copy_read_only, degrade, erase_until),
    )
}


def main(role: str, arguments: str) -> None:
    """Play a role once the parent says so."""
    keywords: dict[str, Any] = json.loads(arguments)
    for name, variable in {"database": "YTAP_CATALOG", "bucket": "YTAP_DATA_PATH"}.items():
        if place := keywords.pop(name, None):
            _place[variable] = place
    if role != "hold":
        report("ready")
        sys.stdin.readline()
    ROLES[role](**keywords)


if __name__ == "__main__":
    main(*sys.argv[1:])
