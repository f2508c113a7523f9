"""Options that commands share."""

from __future__ import annotations

import pytest

from ytap_assets_tests.cli.conftest import Ytap


@pytest.mark.parametrize(
    "command", [("trends", "top"), ("script", "list"), ("sql", "select 1"), ("shell",)]
)
def test_a_second_workspace_of_a_command_for_one_is_refused(
    nowhere: Ytap, command: tuple[str, ...]
) -> None:
    reason = nowhere.refused(2, *command, "-w", "tech", "--workspace", "finance")
    assert "--workspace" in reason
    assert "tech, finance" in reason


@pytest.mark.parametrize("group", [(), ("lake",), ("script",), ("trends",), ("workspace",)])
def test_a_list_of_commands_shows_each_summary_in_full(
    nowhere: Ytap, group: tuple[str, ...]
) -> None:
    _, _, listed = nowhere.ok(*group, "--help").partition("Commands:\n")
    assert len(listed.splitlines()) > 1
    assert [line for line in listed.splitlines() if line.endswith("...")] == []
