"""Servers that fail, restart, stall and lose answers while a process writes: nothing is torn."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from ytap_assets.lakehouse.connection import find_files
from ytap_assets.lakehouse.files import COMMITS
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.settings import Settings
from ytap_assets_tests.databases import Lakes, OwnServer, place_of, run_server
from ytap_assets_tests.fault_proxies import Proxy, run_proxy
from ytap_assets_tests.lakehouse.processes import Worker
from ytap_assets_tests.lakehouse.samples import RUN, SAMPLES
from ytap_assets_tests.lakehouse.test_crash import Expected, find
from ytap_assets_tests.lakehouse.workers import LATER

DATABASE_FAULTS = ("lose-answer", "lose-commit", "commit-later", "lose-answer-and-server", "cut")
RESTARTS = ("fast", "immediate")
FILES_FAULTS = ("500", "503", "always-503", "half", "lose", "stall")
MOST_WRITES = 4
POLL_S = 0.02
IN_DOUBT = "it is not known whether"


@dataclass
class Stage:
    """A lake behind proxies, and what can be done to its servers.

    Attributes:
        settings: The lake.
        faults: What can be done, by name; each returns once it happened.
        proxies: The proxies.
    """

    settings: Settings
    faults: dict[str, Callable[[random.Random], None]]
    proxies: tuple[Proxy, ...]

    def heal(self) -> None:
        """End every fault."""
        for proxy in self.proxies:
            proxy.order("pass")


def _order(proxy: Proxy, fault: str) -> None:
    """Order a fault, and wait until it happened."""
    proxy.order(fault)
    while not proxy.order("ask"):
        time.sleep(POLL_S)


def _do_to_database(proxy: Proxy, fault: str) -> Callable[[random.Random], None]:
    return lambda _: _order(proxy, fault)


def _do_to_files(proxy: Proxy, fault: str) -> Callable[[random.Random], None]:
    return lambda chance: _order(proxy, f"{fault} {chance.randint(1, MOST_WRITES)}")


def _restart(server: OwnServer, mode: str) -> Callable[[random.Random], None]:
    return lambda _: server.restart(mode)


@pytest.fixture(params=["folder", "s3"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """A lake on a server of its own, with files in a folder or in S3, each behind a proxy."""
    with run_server() as server, run_proxy("postgres", *server.address) as database:
        faults = {fault: _do_to_database(database, fault) for fault in DATABASE_FAULTS}
        faults |= {f"restart {mode}": _restart(server, mode) for mode in RESTARTS}
        if request.param == "folder":
            settings = Lakes(server, None, database.port).place(tmp_path)
            yield Stage(settings, faults, (database,))
            return
        url = request.getfixturevalue("bucket")
        host, port = parse_qs(urlsplit(url).query)["endpoint"][0].removeprefix("http://").split(":")
        with run_proxy("s3", host, int(port)) as files:
            faults |= {f"s3 {fault}": _do_to_files(files, fault) for fault in FILES_FAULTS}
            through = url.replace(f":{port}", f":{files.port}")
            settings = Lakes(server, through, database.port).place(tmp_path)
            yield Stage(settings, faults, (database, files))


def _fold(reports: list[str], logged: set[int]) -> Expected:
    """What the lake must hold: what was acknowledged, and of what is in doubt what it logged.

    Fails where something acknowledged is missing, or something refused is there.
    """
    expected = Expected()
    outcome: dict[str, str] = {}
    for report in reports:
        word, _, rest = report.partition(" ")
        if word in {"ack", "refused"}:
            version, _, why = rest.partition(" ")
            outcome[version] = "doubt" if IN_DOUBT in why else word
    for report in reports:
        match report.split():
            case ["intent", kind, version, low, high]:
                is_logged = int(version) in logged
                said = outcome.get(version, "doubt")
                assert said == "doubt" or is_logged == (said == "ack"), (report, said)
                if is_logged:
                    expected = expected.after(kind, int(version), int(low), int(high))
    return expected


def _endure(stage: Stage, rounds: int, seed: int) -> Counter[str]:
    chance = random.Random(seed)
    happened: Counter[str] = Counter()
    Lake.create(stage.settings, tables=SAMPLES).close()
    with Worker("endure", **place_of(stage.settings), seed=seed) as worker:
        worker.go()
        names = [name for _ in range(rounds) for name in stage.faults]
        chance.shuffle(names)
        for name in names:
            worker.wait_for("ack")
            worker.wait_for("intent")
            stage.faults[name](chance)
            stage.heal()
            happened[name] += 1
        worker.wait_for("ack")
        worker.stop()
        assert worker.finish() == 0, worker.reports[-3:]
        reports = worker.reports
    with Lake.open(stage.settings, tables=SAMPLES) as lake:
        found = find(lake)
        assert _fold(reports, set(found.logged)) == found
        maintain(lake, datetime.now(UTC) + LATER, RUN)
        assert find(lake) == found
        assert find_files(stage.settings).beside(COMMITS).list_parquet() == {}
    happened["refused"] = sum(report.startswith("refused") for report in reports)
    happened["in doubt"] = sum(IN_DOUBT in report for report in reports)
    happened["acknowledged"] = sum(report.startswith("ack") for report in reports)
    return happened


@pytest.mark.soak
def test_servers_that_fail_tear_nothing_and_lose_nothing(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    happened = _endure(stage, rounds=8, seed=20261126)
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(happened)}\n")
    assert all(happened[name] == 8 for name in stage.faults)
