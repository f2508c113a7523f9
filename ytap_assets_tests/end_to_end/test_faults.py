"""Random faults over materialize, maintain, backup, restore and import: nothing is lost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ytap_assets_tests.end_to_end.conftest import PROJECT

_MOUNT = 'mount -t tmpfs -o size=400m tmpfs "$0" && exec "$@"'


@pytest.mark.soak
def test_a_hundred_faults_lose_nothing_that_was_acknowledged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    prefix = ["unshare", "-rm", "sh", "-c", _MOUNT, str(disk)]
    if shutil.which("unshare") is None or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("no mounts of one's own here: a small disk cannot be made")
    faults = os.environ.get("YTAP_SOAK_FAULTS", "100")
    seed = os.environ.get("YTAP_SOAK_SEED", "20261125")
    module = "ytap_assets_tests.end_to_end.faults"
    command = [*prefix, sys.executable, "-m", module, str(disk), faults, seed]
    with capsys.disabled():
        done = subprocess.run(command, cwd=PROJECT, check=False)
    assert done.returncode == 0
