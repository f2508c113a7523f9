"""The write lock: one holder over threads and processes, free when its holder dies."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from ytap_assets.lakehouse.errors import LockTimeoutError
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets_tests.lakehouse.processes import Worker


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

    with WriteLock(catalog).hold():
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    [message] = refused
    assert message.startswith(f"{catalog}.lock: held for more than 0 s by ")
    assert "wait for it, or end it" in message
    if Path("/proc/locks").is_file():
        assert f"process {os.getpid()} (" in message


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


def test_a_process_holds_it_against_this_one_until_it_is_killed(catalog: Path) -> None:
    with Worker("hold", catalog=str(catalog)) as holder:
        holder.wait_for("held")
        with pytest.raises(LockTimeoutError), WriteLock(catalog, timeout_s=0.05).hold():
            pass
        holder.kill()
        with WriteLock(catalog, timeout_s=5).hold():
            pass
