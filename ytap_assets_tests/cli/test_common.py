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
