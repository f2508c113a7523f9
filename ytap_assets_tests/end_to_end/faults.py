"""Random faults over the commands that write, each followed by `doctor` and a count of the rows.

`python -m ytap_assets_tests.end_to_end.faults DISK FAULTS SEED` runs in a mount namespace of its
own, where DISK is a small disk that holds the installation. A model keeps what was acknowledged:
a command may fail, but nothing acknowledged may be missing, nothing may be there in part, and
every copy must bring back what it was made of.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import NamedTuple

from ytap_assets.lakehouse.connection import attach
from ytap_assets.settings import Settings
from ytap_assets.tables import TABLES

PROJECT = Path(__file__).parents[2]
DAY = date(2026, 11, 20)
WORKSPACE = "soak"
ITEMS = 30
_TIMEOUT_S = 300
_RUN = "from ytap_assets.cli import main; main()"
_AT = (
    "import sys, datetime, time_machine\n"
    "days = float(sys.argv.pop(1))\n"
    "moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)\n"
    "time_machine.travel(moment, tick=True).start()\n"
)
_HOLD = (
    "import sys, pathlib\n"
    "from ytap_assets.lakehouse.lock import WriteLock\n"
    "with WriteLock(pathlib.Path(sys.argv[1])).hold():\n"
    "    print('held', flush=True); sys.stdin.readline()\n"
)


class Content(NamedTuple):
    """What the lake holds: rows by table, the imported items, the stories of the imported day."""

    rows: dict[str, int]
    items: frozenset[str]
    stories: int


@dataclass
class Installation:
    """A data folder on a disk of its own."""

    disk: Path

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.disk / "data"

    @property
    def settings(self) -> Settings:
        """The installation's settings."""
        return Settings.from_env({"YTAP_DATA": str(self.data), "YTAP_TRANSPORT": "replay"})

    def start(self, *arguments: object, ahead_days: float | None = None) -> subprocess.Popen[str]:
        """Start a command, with the clock so many days ahead where given."""
        code = _RUN if ahead_days is None else _AT + _RUN
        moved = [] if ahead_days is None else [str(ahead_days)]
        return subprocess.Popen(
            [sys.executable, "-c", code, *moved, *map(str, arguments)],
            env={**os.environ, "YTAP_DATA": str(self.data), "YTAP_TRANSPORT": "replay"},
            cwd=PROJECT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *arguments: object, ahead_days: float | None = None) -> tuple[int, str]:
        """Run a command to its end; its exit code and its output."""
        with self.start(*arguments, ahead_days=ahead_days) as process:
            output, _ = process.communicate(timeout=_TIMEOUT_S)
        return process.returncode, output

    def remount(self, option: str) -> None:
        """Make the disk read-only (``ro``) or writable (``rw``)."""
        subprocess.run(["mount", "-o", f"remount,{option}", self.disk], check=True)

    def read(self) -> Content:
        """What the lake holds now, read without any command."""
        with closing(attach(self.settings, read_only=True)) as connection:
            counted = connection.execute(
                " UNION ALL ".join(f"SELECT '{name}', count(*) FROM {name}" for name in TABLES)
            ).fetchall()
            where = f"FROM raw_trends WHERE workspace_id = '{WORKSPACE}'"
            items = connection.execute(f"SELECT item_id {where}").fetchall()
            (stories,) = connection.execute(
                f"SELECT count(*) FROM trend_stories WHERE workspace_id = '{WORKSPACE}'"
            ).fetchall()[0]
        names = frozenset(item for (item,) in items)
        assert len(names) == len(items), "an imported item is there twice"
        return Content(dict(counted), names, stories)

    def first_snapshot(self) -> int:
        """The oldest snapshot that can be read."""
        with closing(attach(self.settings, read_only=True)) as connection:
            found = connection.execute("SELECT min(snapshot_id) FROM ducklake_snapshots('lake')")
            return int(found.fetchall()[0][0])

    def parquet_files(self) -> set[str]:
        """The data files that are there."""
        return {path.name for path in self.settings.data_path.rglob("*.parquet")}

    def files_aside(self) -> set[str]:
        """The data files of the lakes that restores replaced; they are kept beside the lake."""
        places = {self.settings.data_path.parent, self.settings.catalog.parent}
        asides = [aside for place in places for aside in place.glob("*.before-*")]
        return {path.name for aside in asides for path in aside.rglob("*.parquet")}

    def copies(self) -> set[Path]:
        """The complete copies that are there."""
        return {path.parent for path in (self.data / "backups").glob("*/manifest.json")}


def set_up(disk: Path) -> Installation:
    """The demo of one day, a workspace for imports, and a first copy."""
    made = Installation(disk)
    for name in ("workspaces", "recordings"):
        shutil.copytree(PROJECT / "data" / name, made.data / name)
    for arguments in (
        ("materialize", "*", "--all-workspaces", "--from", DAY, "--to", DAY),
        ("workspace", "create", WORKSPACE),  # after the collection: it holds imports alone
        ("backup",),
    ):
        code, output = made.run(*arguments)
        assert code == 0, output
    return made


@dataclass
class Campaign:
    """The faults, one after the other, and the model of what the lake must hold.

    Attributes:
        held: What the lake held after the last step.
        imported: Number of files made for imports so far.
        by_copy: What the lake held when each copy was made.
        outcomes: How often each fault met each command, and how it ended.
        pending: The items that the command under way imports.
        restoring: What the copy holds that the command under way restores; None for others.
    """

    where: Installation
    chance: random.Random
    held: Content
    first_snapshot: int
    imported: int = 0
    by_copy: dict[Path, Content] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    pending: frozenset[str] = frozenset()
    restoring: Content | None = None

    def command(self) -> list[object]:
        """A random command that writes, and what it is expected to add."""
        self.pending, self.restoring = frozenset(), None
        kinds = ["import", "import", "materialize", "maintain", "backup", "restore"]
        kind = self.chance.choice(kinds)
        if kind == "restore":
            copy = [one for one in self.by_copy if one.exists()][-1]
            self.restoring = self.by_copy[copy]
            return [kind, copy, "--yes"]
        if kind == "import":
            return self._import()
        if kind == "materialize":
            asset = self.chance.choice(["trend_stories", "trend_stories+", "production_events+"])
            whose = ["--workspace", self.chance.choice([WORKSPACE, "tech"])]
            return ["materialize", asset, *whose, "--from", DAY, "--to", DAY]
        return [kind]

    def _import(self) -> list[object]:
        self.imported += 1
        names = [str(10_000_000 + self.imported * 1000 + number) for number in range(ITEMS)]
        self.pending = frozenset(names)
        hits = [
            {
                "objectID": name,
                "title": f"Item {name} about subject {self.chance.randrange(10**9)}",
                "points": 100,
                "num_comments": 5,
                "created_at": "2026-11-19T10:00:00Z",
                "url": f"https://site.example/{name}",
            }
            for name in names
        ]
        file = self.where.disk.parent / f"stories-{self.imported}.json"
        file.write_text(json.dumps({"hits": hits}), encoding="utf-8")
        day = ["--observed-on", DAY]
        return ["import", "trends", file, "--workspace", WORKSPACE, "--source", "hn", *day]

    def settle(self, fault: str, command: list[object], code: int | None, output: str) -> None:
        """Compare what is there with what may be there after a command that ended so.

        ``code`` is None where the process was killed.
        """
        label = f"{fault} during {command[0]}"
        assert "Traceback" not in output, f"{label}: {output}"
        now = self.where.read()
        if self.restoring is not None:
            self.settle_restore(label, now, code)
            return
        wanted = self.held.items | self.pending
        assert now.items in (self.held.items, wanted), f"{label}: a part of an import"
        if code == 0:
            assert now.items == wanted, f"{label}: acknowledged items are missing"
        for name, table in TABLES.items():
            if table.mode == "append":
                assert now.rows[name] >= self.held.rows[name], f"{label}: rows of {name} are gone"
        assert now.stories in (self.held.stories, len(now.items)), f"{label}: a torn partition"
        assert self.where.first_snapshot() == self.first_snapshot, f"{label}: snapshots are gone"
        self.check_copies(label)
        self.held = now
        self.count(label, code)

    def settle_restore(self, label: str, now: Content, code: int | None) -> None:
        """After a restore the lake is as it was, or as the copy is."""
        assert now in (self.held, self.restoring), f"{label}: neither before nor after"
        if code == 0:
            assert now == self.restoring, f"{label}: the copy was not put back"
        self.forget_earlier_lakes()
        self.held, self.first_snapshot = now, self.where.first_snapshot()
        self.count(label, code)

    def forget_earlier_lakes(self) -> None:
        """Remove what restores keep beside the lake: the disk is small."""
        for aside in self.where.settings.catalog.parent.glob("*.before-*"):
            if aside.is_dir():
                shutil.rmtree(aside)
            else:
                aside.unlink()

    def count(self, label: str, code: int | None) -> None:
        """Count how a command ended."""
        ended = "killed" if code is None else "error" if code else "ok"
        self.outcomes[f"{label}: {ended}"] += 1

    def check_copies(self, label: str) -> None:
        """Note the new copies; at least one that is known is always left."""
        copies = self.where.copies()
        for copy in copies - self.by_copy.keys():
            # Maintenance copies first, and none of the commands of this test changes rows in it.
            self.by_copy[copy] = self.where.read()
        assert copies & self.by_copy.keys(), f"{label}: no copy is left"

    def doctor(self) -> list[dict[str, str]]:
        """What `doctor` finds; it always ends in order."""
        code, output = self.where.run("doctor", "--format", "json")
        assert code in (0, 1), output
        assert "Traceback" not in output, output
        findings: list[dict[str, str]] = json.loads(output[output.index("[") :])
        return findings

    # The faults -------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL at a random moment of a command."""
        command = self.command()
        with self.where.start(*command) as process:
            time.sleep(self.chance.uniform(0.3, 4.0))
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        killed = process.returncode == -signal.SIGKILL
        self.settle("kill", command, None if killed else process.returncode, output)

    def stopped_lock_holder(self) -> None:
        """A process that holds the write lock is stopped for a while."""
        command = self.command()
        catalog = str(self.where.settings.catalog)
        with subprocess.Popen(
            [sys.executable, "-c", _HOLD, catalog],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            holder.send_signal(signal.SIGSTOP)
            with self.where.start(*command) as process:
                time.sleep(self.chance.uniform(1, 8))
                holder.kill()
                output, _ = process.communicate(timeout=_TIMEOUT_S)
        assert process.returncode == 0, output
        self.settle("stopped lock holder", command, process.returncode, output)

    def full_disk(self) -> None:
        """A command with next to no space left."""
        command = self.command()
        with self.ballast(self.chance.choice([0, 4096, 65_536, 262_144, 1_000_000])):
            code, output = self.where.run(*command)
            findings = self.doctor()
        assert any("disk" in one["subject"] and one["verdict"] != "ok" for one in findings)
        self.settle("full disk", command, code, output)

    @contextmanager
    def ballast(self, leave: int) -> Iterator[None]:
        """Fill the disk up to so many bytes."""
        file = self.where.disk / "ballast"
        try:
            with file.open("wb", buffering=0) as stream:
                while (free := _free(file)) > leave:
                    stream.write(bytes(min(free - leave, 1 << 20)))
            yield
        finally:
            file.unlink()

    def read_only(self) -> None:
        """A command on a read-only data folder changes nothing and says so."""
        command = self.command()
        self.where.remount("ro")
        try:
            code, output = self.where.run(*command)
            self.doctor()
        finally:
            self.where.remount("rw")
        assert code != 0, output
        self.pending = frozenset()
        self.settle("read-only folder", command, code, output)

    def wrong_clock(self) -> None:
        """A command whose clock is wrong deletes nothing that is still wanted."""
        command = self.command()
        files = self.where.parquet_files()
        days = self.chance.choice([-400, -1, 1, 40, 1200])
        code, output = self.where.run(*command, ahead_days=days)
        if command[0] != "maintain":
            kept = self.where.parquet_files() | self.where.files_aside()
            assert files <= kept, f"clock {days:+} days: files are gone"
        self.settle(f"clock {days:+} days", command, code, output)

    def damaged_page(self) -> None:
        """A page of the catalog is overwritten; what still runs deletes nothing."""
        catalog = self.where.settings.catalog
        # Not the first page alone: SQLite itself notices that one at once.
        pages = catalog.stat().st_size // 4096
        place = self.chance.randrange(pages)
        with catalog.open("r+b") as stream:
            stream.seek(place * 4096)
            stream.write(self.chance.randbytes(4096))
        self.damage("damaged page")

    def zero_byte_catalog(self) -> None:
        """The catalog is there and empty."""
        catalog = self.where.settings.catalog
        for suffix in ("-wal", "-shm"):
            catalog.with_name(catalog.name + suffix).unlink(missing_ok=True)
        catalog.write_bytes(b"")
        self.damage("zero-byte catalog")

    def damage(self, fault: str) -> None:
        """Nothing is deleted, the damage is named, and the newest copy brings the rows back."""
        files, copies = self.where.parquet_files(), self.where.copies()
        command = self.command()
        while command[0] == "restore":  # which is the way back, and comes below
            command = self.command()
        code, output = self.where.run(*command)
        assert "Traceback" not in output, f"{fault}: {output}"
        named = [one for one in self.doctor() if one["verdict"] == "fail" and "restore" in str(one)]
        if fault == "zero-byte catalog" or code:
            assert code, f"{fault}: {command} went on: {output}"
            assert named, f"{fault}: doctor does not name it after {output}"
        assert files <= self.where.parquet_files(), f"{fault}: data files are gone"
        assert copies <= self.where.copies(), f"{fault}: copies are gone"
        newest = [copy for copy in self.by_copy if copy in copies][-1]
        verified, output = self.where.run("backup", "--verify", newest)
        assert verified == 0, output
        restored, output = self.where.run("restore", newest, "--yes")
        assert restored == 0, output
        found = self.where.read()
        assert found == self.by_copy[newest], f"{fault}: {newest} brought back {found}"
        self.forget_earlier_lakes()
        self.held, self.first_snapshot = found, self.where.first_snapshot()
        self.outcomes[
            f"{fault} before {command[0]}: {'named' if code else 'unseen'}, restored"
        ] += 1


def _free(file: Path) -> int:
    state = os.statvfs(file.parent)
    return state.f_bavail * state.f_frsize


def main(disk: str, faults: str, seed: str) -> None:
    """Run so many faults; print how often each met each command, and how that ended."""
    where, chance = set_up(Path(disk)), random.Random(int(seed))
    campaign = Campaign(where, chance, where.read(), where.first_snapshot())
    campaign.check_copies("setup")
    kinds: list[Callable[[], None]] = [
        campaign.kill,
        campaign.kill,
        campaign.stopped_lock_holder,
        campaign.full_disk,
        campaign.read_only,
        campaign.wrong_clock,
        campaign.damaged_page,
        campaign.zero_byte_catalog,
    ]
    for number in range(int(faults)):
        fault = kinds[number] if number < len(kinds) else chance.choice(kinds)
        fault()
        campaign.doctor()
    for label, times in sorted(campaign.outcomes.items()):
        sys.stdout.write(f"{times:4} {label}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
