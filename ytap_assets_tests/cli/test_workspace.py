"""Workspaces from the command line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ytap_assets.settings import Settings
from ytap_assets.workspaces import Workspaces
from ytap_assets_tests.cli.conftest import Ytap


def test_create_list_show_archive(ytap: Ytap, settings: Settings) -> None:
    options = ("--vertical", "technology", "--language", "de", "--timezone", "Europe/Berlin")
    made = ytap.ok("workspace", "create", "tech", "--name", "Tech \x1b[1mChannel", *options)
    assert made == f"tech created: {settings.workspaces / 'tech' / 'config.yaml'}\n"
    assert "\x1b" not in ytap.ok("workspace", "list")
    assert "timezone: Europe/Berlin" in ytap.ok("workspace", "show", "tech").splitlines()
    assert ytap.ok("workspace", "archive", "tech") == "tech is archived; its data stays\n"
    assert "already" in ytap.ok("workspace", "archive", "tech")
    assert Workspaces(settings).get("tech").status == "archived"


@pytest.mark.parametrize("name", ["../up", "Upper", ".", "a/b", "a" * 64, "a.b", "é"])
def test_a_name_that_breaks_the_rule_is_refused(ytap: Ytap, name: str) -> None:
    for command in ("create", "show", "archive"):
        assert "a workspace's name is" in ytap.refused(2, "workspace", command, name)
    assert not Workspaces(Settings.from_env({"YTAP_DATA": str(ytap.data)})).ids()


def test_what_is_there_stays(ytap: Ytap, settings: Settings) -> None:
    ytap.ok("workspace", "create", "tech")
    before = (settings.workspaces / "tech" / "config.yaml").read_text(encoding="utf-8")
    assert "already exists" in ytap.refused(2, "workspace", "create", "tech", "--name", "Other")
    assert (settings.workspaces / "tech" / "config.yaml").read_text(encoding="utf-8") == before


def test_a_wrong_value_names_its_key(ytap: Ytap) -> None:
    line = ytap.refused(2, "workspace", "create", "tech", "--timezone", "Mars/Olympus")
    assert "timezone" in line
    assert "Mars/Olympus" in line


def test_an_older_config_is_converted(ytap: Ytap, settings: Settings, tmp_path: Path) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"workspace_name": "Old", "voice": {"speed": 1.1}}), encoding="utf-8")
    made = ytap.ok("workspace", "create", "tech", "--from", old, "--vertical", "technology")
    assert made.splitlines()[1] == "kept under extra: voice"
    workspace = Workspaces(settings).get("tech")
    assert (workspace.name, workspace.vertical) == ("Old", "technology")
    assert workspace.extra == {"voice": {"speed": 1.1}}


def test_config_keys_of_an_older_config_that_are_kept_under_extra_are_named(
    ytap: Ytap, tmp_path: Path
) -> None:
    old = tmp_path / "old.json"
    old.write_text(json.dumps({"name": "Old", "budget": 5, "voice": "echo"}), encoding="utf-8")
    made = ytap("workspace", "create", "tech", "--from", old)
    assert made.exit_code == 0
    assert "name, budget" in made.stderr
    old.write_text(json.dumps({"voice": "echo"}), encoding="utf-8")
    assert ytap("workspace", "create", "finance", "--from", old).stderr == ""


def test_an_older_config_that_cannot_be_read(ytap: Ytap, tmp_path: Path) -> None:
    bad = tmp_path / "bad\x1b[31m.json"
    bad.write_text("{", encoding="utf-8")
    assert "\\x1b[31m" in ytap.refused(2, "workspace", "create", "tech", "--from", bad)
    assert ytap("workspace", "create", "tech", "--from", tmp_path / "none").exit_code == 2


def test_a_broken_config_does_not_hide_the_others(ytap: Ytap, settings: Settings) -> None:
    ytap.ok("workspace", "create", "tech")
    ytap.ok("workspace", "create", "fitness")
    (settings.workspaces / "fitness" / "config.yaml").write_text("name: [", encoding="utf-8")
    result = ytap("workspace", "list")
    assert result.exit_code == 1
    assert "not YAML" in result.stdout
    assert any(line.startswith("tech ") for line in result.stdout.splitlines())


def test_no_such_workspace(ytap: Ytap) -> None:
    assert "does not exist" in ytap.refused(2, "workspace", "show", "tech")


def test_settings_that_do_not_apply_are_named_beside_the_config(ytap: Ytap) -> None:
    ytap.ok("workspace", "create", "tech", "--language", "deu")
    shown = ytap("workspace", "show", "tech")
    assert "language: de" in shown.stdout.splitlines()
    assert shown.stderr == ""
    ytap.ok("workspace", "create", "bretagne", "--language", "br")
    assert "language: the script of br is not known" in ytap("workspace", "show", "bretagne").stderr


def test_a_config_of_aliases_ends_in_a_line(ytap: Ytap, settings: Settings) -> None:
    ytap.ok("workspace", "create", "tech")
    text = "name: x\nvertical: y\nextra: {a: &a [1], b: [*a, *a]}\n"
    (settings.workspaces / "tech" / "config.yaml").write_text(text, encoding="utf-8")
    for command in ("show", "archive"):
        assert "repeat the value" in ytap.refused(2, "workspace", command, "tech")


def test_a_renamed_folder_is_listed_with_the_rows_it_left(ytap: Ytap, settings: Settings) -> None:
    ytap.ok("workspace", "create", "tech")
    ytap.ok("workspace", "create", "food")
    ytap.ok("materialize", "channels", "--workspace", "tech")
    assert "no folder" not in ytap.ok("workspace", "list")
    (settings.workspaces / "tech").rename(settings.workspaces / "tech2")

    listed = ytap("workspace", "list")
    assert listed.exit_code == 1
    assert "workspace 'tech2' has the uid of workspace 'tech'" in listed.stdout
    assert "the folder was renamed to 'tech2'" in listed.stdout

    done = ytap("materialize", "key:workspaces", "--all-workspaces")
    assert done.exit_code == 1
    assert "'tech2' has the uid of workspace 'tech'" in done.stderr
    refused = ytap("materialize", "key:workspaces", "-w", "food", "-w", "tech2")
    assert refused.exit_code == 1
    rows = ytap.ok("sql", "select workspace_id from workspaces order by all", "--format", "csv")
    assert rows.splitlines() == ["workspace_id", "food", "tech"]

    for command in ("sql", "from channels", "-w", "tech2"), ("shell", "-w", "tech2"):
        assert "was renamed, copied or replaced" in ytap.refused(2, *command)
    ytap.ok("sql", "from channels", "-w", "tech")

    assert "has the uid" in ytap.ok("workspace", "identify", "tech2", "--new")
    ytap.ok("sql", "from channels", "-w", "tech2")
    listed = ytap("workspace", "list")
    assert listed.exit_code == 0  # rows of a folder that is gone are no mistake
    assert "no folder" in listed.stdout


def test_identify_all_goes_on_after_a_config_that_cannot_be_read(
    ytap: Ytap, settings: Settings
) -> None:
    for name, text in (("a", "name: ["), ("b", "name: B\nvertical: any\n")):
        (settings.workspaces / name).mkdir(parents=True)
        (settings.workspaces / name / "config.yaml").write_text(text, encoding="utf-8")
    done = ytap("workspace", "identify", "--all")
    assert done.exit_code == 1
    assert "b now has the uid" in done.stdout
    assert "not YAML" in done.stderr
    assert Workspaces(settings).get("b").uid is not None


@pytest.mark.parametrize(
    "options", [(), ("tech", "--all"), ("--all", "--new"), ("tech", "--new", "--adopt")]
)
def test_identify_asks_for_one_thing(ytap: Ytap, options: tuple[str, ...]) -> None:
    assert "give " in ytap.refused(2, "workspace", "identify", *options)


def test_a_mistyped_workspace_is_told_with_the_nearest_one(ytap: Ytap) -> None:
    assert "check YTAP_DATA" in ytap.refused(2, "workspace", "show", "gamng")
    for name in ("cooking", "gaming"):
        ytap.ok("workspace", "create", name)
    line = ytap.refused(2, "workspace", "show", "gamng")
    assert "did you mean gaming?" in line
    assert "cooking, gaming" in line


def test_a_choice_of_workspaces_is_one_or_the_other(ytap: Ytap) -> None:
    ytap.ok("workspace", "create", "tech")
    both = ytap("materialize", "*", "-w", "tech", "--all-workspaces")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)


def test_the_list_is_shown_where_the_lake_cannot_be_read(ytap: Ytap, settings: Settings) -> None:
    ytap.ok("workspace", "create", "tech")
    settings.catalog.write_bytes(b"no catalog")
    listed = ytap("workspace", "list")
    assert listed.exit_code == 1
    assert "tech" in listed.stdout
    assert "the list does not include the lake" in listed.stderr
    assert "Traceback" not in listed.stderr


def test_an_archived_workspace_can_be_made_active_again(ytap: Ytap, settings: Settings) -> None:
    ytap.ok("workspace", "create", "tech")
    ytap.ok("workspace", "archive", "tech")
    assert ytap.ok("workspace", "unarchive", "tech") == "tech is active again\n"
    assert ytap.ok("workspace", "unarchive", "tech") == "tech was not archived\n"
    assert Workspaces(settings).get("tech").collects
    assert "does not exist" in ytap.refused(2, "workspace", "unarchive", "nobody")


def test_a_mistake_in_a_config_is_told_with_file_key_and_line(
    ytap: Ytap, settings: Settings
) -> None:
    ytap.ok("workspace", "create", "tech")
    config = settings.workspaces / "tech" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(f"{text}brand: {{}}\nbrand: {{}}\n", encoding="utf-8")
    lines = text.count("\n")
    said = f"{config}: the key `brand` occurs twice, in lines {lines + 1} and {lines + 2}"
    assert said in ytap.refused(2, "workspace", "show", "tech")
    doctor = ytap("doctor")
    assert (doctor.exit_code, said in doctor.stdout) == (1, True)


def test_a_folder_in_another_ones_place_does_not_show_its_rows(
    ytap: Ytap, settings: Settings
) -> None:
    ytap.ok("workspace", "create", "tech")
    ytap.ok("materialize", "channels", "--workspace", "tech")
    (settings.workspaces / "tech" / "config.yaml").unlink()
    ytap.ok("workspace", "create", "tech")
    assert "was renamed, copied or replaced" in ytap.refused(2, "sql", "from videos", "-w", "tech")
    ytap.ok("workspace", "identify", "tech", "--adopt")
    ytap.ok("sql", "from videos", "-w", "tech")


def test_a_spam_model_that_is_not_there_is_an_error_behind_the_config(
    ytap: Ytap, settings: Settings
) -> None:
    ytap.ok("workspace", "create", "tech")
    config = settings.workspaces / "tech" / "config.yaml"
    text = config.read_text(encoding="utf-8")
    config.write_text(f"{text}spam: {{model: nothere.json}}\n", encoding="utf-8")

    shown = ytap("workspace", "show", "tech")

    assert shown.exit_code == 2
    assert "model: nothere.json" in shown.stdout
    assert (
        f"error: spam.model of workspace 'tech': {settings.store}/models/nothere.json"
        in shown.stderr
    )


def test_workspaces_are_pushed_and_read_without_a_folder(ytap: Ytap, settings: Settings) -> None:
    worker = replace(ytap, workspaces="lake")
    assert "ytap workspace push" in worker.refused(2, "materialize", "workspaces", "-w", "tech")
    created = worker("workspace", "create", "tech")
    assert "ytap workspace push tech" in created.stderr
    (settings.workspaces / "tech" / "scripts.jsonl").write_text("{no\n", encoding="utf-8")
    assert "ytap workspace push tech" in ytap.refused(1, "inbox", "push", "--all")

    size = (settings.workspaces / "tech" / "config.yaml").stat().st_size
    assert ytap.ok("workspace", "push", "--all") == f"tech config.yaml: {size:,} bytes pushed\n"
    assert ytap.ok("inbox", "push", "tech") == "tech scripts.jsonl: 4 bytes pushed\n"
    again = ytap("inbox", "push", "tech")
    assert (again.exit_code, again.stdout) == (0, "")
    assert "workspaces compared: 1" in again.stderr
    shutil.rmtree(settings.workspaces)

    assert "tech" in worker.ok("workspace", "list")
    assert "name: tech" in worker.ok("workspace", "show", "tech")
    assert "tech" in worker.ok("sql", "select workspace_id from pushed_files", "-w", "tech")
    worker.ok("materialize", "workspaces", "-w", "tech")
    worker.ok("summary")


def test_archiving_changes_the_folder_and_is_pushed(ytap: Ytap) -> None:
    worker = replace(ytap, workspaces="lake")
    worker.ok("workspace", "create", "tech")
    worker.ok("workspace", "push", "tech")
    archived = worker("workspace", "archive", "tech")
    assert "ytap workspace push tech" in archived.stderr
    assert "active" in worker.ok("workspace", "list")
    worker.ok("workspace", "push", "tech")
    assert "archived" in worker.ok("workspace", "list")
    assert worker.ok("inbox", "push", "--all") == ""
    assert "archived" in worker.refused(1, "inbox", "push", "tech")


@pytest.mark.parametrize("command", ["workspace", "inbox"])
def test_what_is_pushed_is_named(ytap: Ytap, command: str) -> None:
    assert "--all" in ytap.refused(2, command, "push")
    assert "--all" in ytap.refused(2, command, "push", "tech", "--all")
    assert "does not exist" in ytap.refused(1, command, "push", "nobody")
