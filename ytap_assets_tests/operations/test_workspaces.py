"""Creating, listing, identifying and archiving workspaces."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ytap_assets.config_keys import list_keys
from ytap_assets.errors import ConfigError
from ytap_assets.operations.workspaces import (
    archive_workspace,
    create_workspace,
    find_idle_settings,
    identify_workspace,
    list_workspaces,
    unarchive_workspace,
)
from ytap_assets.plain_yaml import dump_yaml
from ytap_assets.settings import Settings
from ytap_assets.workspaces import CONFIG_NAME, Workspace, Workspaces

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


UID = "01M6A6FT007CVZTYRQDW4HP9SJ"
OTHER = "01M6A6FT007TV89J3NXQMK1BJ0"


def test_a_new_workspace_has_a_uid_of_its_own(workspaces: Workspaces) -> None:
    uids = {create_workspace(workspaces, name)[0].uid for name in ("tech", "finance")}
    assert len(uids) == 2
    assert None not in uids


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_identifying_adds_a_line_and_keeps_the_rest(workspaces: Workspaces, end: str) -> None:
    text = HAND_WRITTEN.format(status="status: paused").replace("\n", end)
    path = write(workspaces, text)
    before = workspaces.get("tech")
    uid = identify_workspace(workspaces, "tech", {})
    assert workspaces.get("tech") == before.model_copy(update={"uid": uid})
    name = next(line for line in text.split(end) if line.startswith("name:"))
    expected = text.replace(name, f"{name}{end}uid: {uid}")
    assert path.read_bytes() == expected.encode()
    assert identify_workspace(workspaces, "tech", {}) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "# Ours.\nname: Tech  # short\nvertical: t\n",
            "# Ours.\nname: Tech  # short\n{}vertical: t\n",
        ),
        ("# Ours.\n\nvertical: t\nname:\n  Tech\n", "# Ours.\n\n{}vertical: t\nname:\n  Tech\n"),
        ("---\nname: Tech\nvertical: t\n...\n", "---\nname: Tech\n{}vertical: t\n...\n"),
        ("vertical: t\nname: >-\n  Te\n  ch\n", "{}vertical: t\nname: >-\n  Te\n  ch\n"),
        ("vertical: t\nname: Te\n  ch\n", "{}vertical: t\nname: Te\n  ch\n"),
        ("vertical: t\nname: Tech", "vertical: t\nname: Tech\n{}"),
    ],
    ids=["below the name", "above the first key", "a document", "folded", "two lines", "no end"],
)
def test_an_adopted_uid_stands_at_the_top(workspaces: Workspaces, text: str, expected: str) -> None:
    path = write(workspaces, text)
    assert identify_workspace(workspaces, "tech", {"tech": UID}, adopt=True) == UID
    assert path.read_text("utf-8").rstrip("\n") == expected.format(f"uid: {UID}\n").rstrip("\n")


def test_a_copy_gets_another_uid_in_place_of_the_first(workspaces: Workspaces) -> None:
    text = f"name: Tech\nuid: {UID}  # the original's\nvertical: technology\n"
    path = write(workspaces, text)
    uid = identify_workspace(workspaces, "tech", {"food": UID}, new=True)
    assert uid not in (None, UID)
    kept = "  # the original's\nvertical: technology\n"
    assert path.read_text("utf-8") == f"name: Tech\nuid: {uid}{kept}"


@pytest.mark.parametrize("line", ["", f"uid: {OTHER}\n"])
def test_a_folder_that_was_made_again_adopts_the_uid_of_its_name(
    workspaces: Workspaces, line: str
) -> None:
    write(workspaces, f"name: Tech\nvertical: technology\n{line}")
    assert identify_workspace(workspaces, "tech", {"tech": UID}, adopt=True) == UID
    assert workspaces.get("tech").uid == UID
    assert identify_workspace(workspaces, "tech", {"tech": UID}, adopt=True) is None


@pytest.mark.parametrize(
    ("line", "registered", "options", "why"),
    [
        ("", {"tech": UID}, {}, "cut off"),
        (f"uid: {UID}\n", {"tech": UID}, {"new": True}, "nothing is"),
        ("", {}, {"adopt": True}, "none to adopt"),
        ("", {"tech": None}, {"adopt": True}, "none to adopt"),
        ("", {"tech": OTHER}, {"adopt": True}, "'food' has the uid"),
    ],
)
def test_a_uid_that_would_confuse_two_workspaces_is_not_written(
    workspaces: Workspaces,
    line: str,
    registered: dict[str, str | None],
    options: dict[str, bool],
    why: str,
) -> None:
    path = write(workspaces, f"name: Tech\nvertical: technology\n{line}")
    workspaces.save(Workspace(workspace_id="food", name="F", vertical="food", uid=OTHER))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=why):
        identify_workspace(workspaces, "tech", registered, **options)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["{name: Tech, vertical: technology}\n", "--- {name: Tech,\nvertical: technology}\n"]
)
def test_an_unusual_layout_is_left_to_people(workspaces: Workspaces, text: str) -> None:
    path = write(workspaces, text)
    with pytest.raises(ConfigError, match="by hand"):
        identify_workspace(workspaces, "tech", {})
    assert path.read_text("utf-8") == text


def test_a_copy_is_listed_with_its_problem(workspaces: Workspaces) -> None:
    for name in ("food", "tech"):
        workspaces.save(Workspace(workspace_id=name, name=name, vertical="any", uid=UID))
    food, tech = list_workspaces(workspaces, {"food": UID})
    assert (food.problem, tech.workspace is None) == (None, False)
    assert "'food'" in str(tech.problem)


def test_a_new_config_has_every_key_as_a_comment(workspaces: Workspaces) -> None:
    _, path = create_workspace(workspaces, "tech", name="Tech")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert "name: Tech" in lines
    assert any(line.startswith("#   banned_topics: [") for line in lines)
    assert workspaces.get("tech").brand.banned_topics == ()


@pytest.mark.parametrize("status", ["status: archived", "status: archived  # for good"])
def test_unarchiving_changes_the_status_and_keeps_the_rest(
    workspaces: Workspaces, status: str
) -> None:
    path = write(workspaces, HAND_WRITTEN.format(status=status))
    before = workspaces.get("tech")
    assert unarchive_workspace(workspaces, "tech")
    assert not unarchive_workspace(workspaces, "tech")
    assert workspaces.get("tech") == before.model_copy(update={"status": "active"})
    assert "# Why: nobody waits here." in path.read_text(encoding="utf-8")


def test_a_paused_workspace_stays_paused(workspaces: Workspaces) -> None:
    write(workspaces, HAND_WRITTEN.format(status="status: paused"))
    assert not unarchive_workspace(workspaces, "tech")
    assert workspaces.get("tech").status == "paused"


def test_a_line_behind_a_byte_order_mark_is_changed_not_added(workspaces: Workspaces) -> None:
    path = write(workspaces, "\ufeffstatus: active\nname: Tech  # kept\nvertical: technology\n")
    assert archive_workspace(workspaces, "tech")
    assert path.read_bytes() == (
        "\ufeffstatus: archived\nname: Tech  # kept\nvertical: technology\n".encode()
    )


def test_nobody_works_on_an_archived_workspace(workspaces: Workspaces) -> None:
    write(workspaces, HAND_WRITTEN.format(status="status: archived"))
    assert workspaces.get("tech").status == "archived"
    with pytest.raises(ConfigError, match=r"archived.*`ytap workspace unarchive tech`"):
        workspaces.get_open("tech")


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ("language: de", []),
        ("language: br", ["language"]),
        ("language: mul", ["language"]),
        ("spam: {min_spam_pct: 50}", []),
        ("spam: {min_spam_pct: 61}", ["spam.min_spam_pct"]),
        ("spam: {min_spam_pct: 80, model: m.json}", []),
        (
            "spam: {min_spam_pct: 80, model: m.json, rules_off: [model]}",
            ["spam.model", "spam.min_spam_pct"],
        ),
        ("spam: {blocklist: [free robux], rules_off: [promoted]}", []),
        ("spam: {blocklist: [free robux], rules_off: [blocklist]}", ["spam.blocklist"]),
        ("spam: {max_emoji: 3, rules_off: [emoji_excess]}", ["spam.max_emoji"]),
    ],
)
def test_settings_that_do_not_apply_are_named(
    workspaces: Workspaces, lines: str, keys: list[str]
) -> None:
    write(workspaces, f"name: Tech\nvertical: technology\n{lines}\n")
    assert [key for key, _ in find_idle_settings(workspaces.get("tech"))] == keys


def test_no_example_of_a_new_config_is_without_effect(workspaces: Workspaces) -> None:
    """Whoever takes a line of the template in has what it says."""
    examples = {
        key.name: yaml.safe_load(key.example) for key in list_keys(Workspace) if key.example
    }
    spam = {
        name.removeprefix("spam."): value
        for name, value in examples.items()
        if name.startswith("spam.")
    }
    for name, value in spam.items():
        text = dump_yaml({"name": "Tech", "vertical": "technology", "spam": {name: value}})
        write(workspaces, text)
        assert find_idle_settings(workspaces.get("tech")) == []
