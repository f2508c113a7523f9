"""The write lock: one holder over threads and processes, free when its holder dies."""

from __future__ import annotations

import os
import re
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from ytap_assets.lakehouse.errors import LockTimeoutError
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets_tests.lakehouse.processes import Worker

LOCKS = Path("/proc/locks")
_WAIT_S = 300.0
"""Much longer than a process takes to start on a busy machine."""


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    return tmp_path / "lake" / "catalog.sqlite"


def test_it_makes_its_folder_and_stands_beside_the_catalog(catalog: Path) -> None:
    with WriteLock(catalog).hold():
        assert (catalog.parent / "catalog.sqlite.lock").is_file()


def test_a_held_lock_times_out_and_says_what_to_do(catalog: Path) -> None:
    refused: list[str] = []

    def try_it() -> None:
        try:
            with WriteLock(catalog, timeout_s=0.05).hold():
                refused.append("held twice")
        except LockTimeoutError as error:
            refused.append(str(error))

    # The message has no fractions, and the clock of a file's times is a few milliseconds behind.
    before = datetime.now(UTC) - timedelta(seconds=2)
    with WriteLock(catalog).hold():
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    [message] = refused
    assert message.startswith(f"{catalog}.lock: waited for 0 s while others wrote")
    assert "Try again" in message
    holder = re.search(r"it is held by (.*) since (.*) UTC now\.", message)
    assert holder is not None
    assert before <= datetime.fromisoformat(f"{holder[2]}Z") <= datetime.now(UTC)
    if LOCKS.is_file():
        assert holder[1].startswith(f"process {os.getpid()} (")


def test_an_exception_inside_frees_it(catalog: Path) -> None:
    with pytest.raises(ZeroDivisionError), WriteLock(catalog).hold():
        _ = 1 / 0
    with WriteLock(catalog, timeout_s=0.05).hold():
        pass


def test_threads_of_one_process_exclude_each_other(catalog: Path) -> None:
    lock = WriteLock(catalog)
    start = threading.Barrier(4)
    inside: list[int] = []
    crowds: list[int] = []

    def enter(number: int) -> None:
        start.wait()
        for _ in range(25):
            with lock.hold():
                inside.append(number)
                crowds.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=enter, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert crowds == [1] * 100


def wait_for_claim(catalog: Path) -> None:
    """Return when somebody has claimed the next turn."""
    place = catalog.with_name(f"{catalog.name}.next.lock")
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if place.is_file():
            try:
                FileLock(place).acquire(timeout=0).lock.release()
            except Timeout:
                return
    pytest.fail(f"{place}: nobody claimed the next turn within {_WAIT_S:.0f} s")


def test_who_has_waited_for_long_is_next(catalog: Path) -> None:
    order: list[str] = []

    def enter() -> None:
        with WriteLock(catalog, timeout_s=60, patience_s=0).hold():
            order.append("the one that waited")

    thread = threading.Thread(target=enter)
    with WriteLock(catalog).hold():
        thread.start()
        wait_for_claim(catalog)
    with WriteLock(catalog).hold():
        order.append("the one that had it")
    thread.join()
    assert order == ["the one that waited", "the one that had it"]


def test_a_wait_that_was_given_up_leaves_the_turn_to_others(catalog: Path) -> None:
    with WriteLock(catalog).hold():
        for _ in range(2):
            with (
                pytest.raises(LockTimeoutError),
                WriteLock(catalog, timeout_s=0.05, patience_s=0).hold(),
            ):
                pass
    with WriteLock(catalog, timeout_s=0).hold():
        pass


def test_a_waiter_that_is_killed_leaves_the_turn_to_others(catalog: Path) -> None:
    with Worker("hold", catalog=str(catalog), patience_s=0.0) as waiter:
        with WriteLock(catalog).hold():
            wait_for_claim(catalog)
            waiter.kill()
        with WriteLock(catalog, timeout_s=0).hold():
            pass


def test_a_process_holds_it_against_this_one_until_it_is_killed(catalog: Path) -> None:
    with Worker("hold", catalog=str(catalog)) as holder:
        holder.wait_for("held")
        with pytest.raises(LockTimeoutError), WriteLock(catalog, timeout_s=0.05).hold():
            pass
        holder.kill()
        with WriteLock(catalog, timeout_s=5).hold():
            pass
