"""Creating, listing and archiving workspaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.operations.workspaces import (
    archive_workspace,
    create_workspace,
    list_workspaces,
)
from ytap_assets.settings import Settings
from ytap_assets.workspaces import CONFIG_NAME, Workspaces

HAND_WRITTEN = """\
# Why: nobody waits here.
name: Tech   # the channel's own name
vertical: technology
{status}
sources:
  hn:
    enabled: true  # status: active is not this line
"""


@pytest.fixture
def workspaces(tmp_path: Path) -> Workspaces:
    return Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))


def write(workspaces: Workspaces, text: str) -> Path:
    path = workspaces.folder("tech") / CONFIG_NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_defaults(workspaces: Workspaces) -> None:
    made, path = create_workspace(workspaces, "tech")
    assert path == workspaces.folder("tech") / CONFIG_NAME
    assert (made.name, made.vertical, made.language, made.timezone) == (
        "tech",
        "general",
        "en",
        "UTC",
    )
    assert workspaces.get("tech") == made
    assert made.collects


@pytest.mark.parametrize("status", ["status: active", "status:   paused  # for now", ""])
def test_archiving_changes_the_status_and_keeps_the_rest(
    workspaces: Workspaces, status: str
) -> None:
    path = write(workspaces, HAND_WRITTEN.format(status=status))
    before = workspaces.get("tech")
    assert archive_workspace(workspaces, "tech")
    after = workspaces.get("tech")
    assert after == before.model_copy(update={"status": "archived"})
    assert not after.collects
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in HAND_WRITTEN.format(status="").splitlines() if line]
    assert [line for line in lines if line in kept] == kept


def test_line_ends_are_kept(workspaces: Workspaces) -> None:
    path = write(workspaces, "name: Tech\r\nstatus: active\r\nvertical: technology\r\n")
    archive_workspace(workspaces, "tech")
    assert path.read_bytes() == b"name: Tech\r\nstatus: archived\r\nvertical: technology\r\n"


@pytest.mark.parametrize(
    "text",
    [
        "{name: Tech, vertical: technology, status: active}\n",
        'name: Tech\nvertical: technology\n"status": active\n',
        "name: Tech\nvertical: technology\nstatus:\n  active\n",
    ],
)
def test_an_unusual_layout_is_archived_all_the_same(workspaces: Workspaces, text: str) -> None:
    write(workspaces, text)
    before = workspaces.get("tech")
    assert archive_workspace(workspaces, "tech")
    assert workspaces.get("tech") == before.model_copy(update={"status": "archived"})


def test_archiving_again_does_nothing(workspaces: Workspaces) -> None:
    create_workspace(workspaces, "tech")
    assert archive_workspace(workspaces, "tech")
    assert not archive_workspace(workspaces, "tech")


def test_a_config_that_cannot_be_read_is_left_alone(workspaces: Workspaces) -> None:
    path = write(workspaces, "name: [")
    with pytest.raises(ConfigError, match="not YAML"):
        archive_workspace(workspaces, "tech")
    assert path.read_text(encoding="utf-8") == "name: ["


def test_a_broken_config_is_listed_with_its_problem(workspaces: Workspaces) -> None:
    create_workspace(workspaces, "finance")
    write(workspaces, "name: Tech\nvertical: technology\ncolour: blue\n")
    [finance, tech] = list_workspaces(workspaces)
    assert (finance.workspace_id, finance.problem) == ("finance", None)
    assert tech.workspace is None
    assert "colour" in str(tech.problem)


def test_no_workspaces(workspaces: Workspaces) -> None:
    assert list_workspaces(workspaces) == []
