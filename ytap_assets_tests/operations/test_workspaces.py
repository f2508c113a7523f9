"""Creating, listing and archiving workspaces, older configs, and what a removal means."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ytap_assets.config_keys import list_keys
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.registries import list_accounts, list_channels
from ytap_assets.operations.workspaces import (
    LEGACY_PLACES,
    archive_workspace,
    convert_legacy_config,
    create_workspace,
    explain_no_rows,
    find_idle_settings,
    identify_workspace,
    list_workspaces,
    preview_removal,
    read_legacy_config,
    unarchive_workspace,
)
from ytap_assets.plain_yaml import dump_yaml
from ytap_assets.settings import Settings
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.tables import (
    ACCOUNTS,
    CHANNELS,
    COLLECTION_LOG,
    RAW_TRENDS,
    TABLES,
    VIDEO_METRICS,
    VIDEOS,
    Table,
)
from ytap_assets.tables.base import Entity, Removal
from ytap_assets.workspaces import (
    CONFIG_NAME,
    Account,
    Channel,
    Workspace,
    Workspaces,
    parse_workspace,
)
from ytap_assets_tests.operations.alone import publish_alone
from ytap_assets_tests.operations.test_store import AT, RUN, fetch, trend

HAND_WRITTEN = """\
# Why: nobody waits here.
name: Tech   # the channel's own name
vertical: technology
{status}
sources:
  hn:
    enabled: true  # status: active is not this line
"""
UID = "01M6A6FT007CVZTYRQDW4HP9SJ"
OTHER = "01M6A6FT007TV89J3NXQMK1BJ0"
FILES = ("finance_master.json", "tech_ai_creator.json", "tech_ai_creator.json.backup")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ROOT = Path(__file__).parents[2]
CHANNEL = f"UC{'a' * 22}"
VIDEO = "abcdefghijk"
WITH: Mapping[str, Any] = {
    "channels": (Channel(id=CHANNEL),),
    "accounts": (Account(platform="youtube", handle="@a"),),
    "sources": {"youtube": {"monitored_channels": [{"id": f"UC{'b' * 22}"}]}},
}
NAMES: Sequence[tuple[Entity, str | None]] = (
    ("workspace", None),
    ("source", "youtube"),
    ("channel", CHANNEL),
    ("account", "youtube @a"),
    ("video", VIDEO),
)


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
        ("", {"tech": UID}, {}, "--adopt"),
        (f"uid: {UID}\n", {"tech": UID}, {"new": True}, "nothing to do"),
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
    with pytest.raises(ConfigError, match="add the line `uid: "):
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


def recover(workspace_id: str, config: dict[str, Any]) -> dict[str, Any]:
    """The old config, from the new one alone."""
    old: dict[str, Any] = {"workspace_id": workspace_id}
    for key, (place, _) in LEGACY_PLACES.items():
        value: Any = config
        for name in place:
            value = value.get(name, {}) if isinstance(value, dict) else {}
        if value != {}:
            old[key] = value
    return {**old, **config.get("extra", {})}


def flatten(value: Any, path: tuple[object, ...] = ()) -> dict[tuple[object, ...], object]:
    """Every leaf of a document with its path."""
    if isinstance(value, dict) and value:
        pairs = value.items()
    elif isinstance(value, list) and value:
        pairs = dict(enumerate(value)).items()
    else:
        return {path: value}
    return {k: v for name, one in pairs for k, v in flatten(one, (*path, name)).items()}


@pytest.mark.real_data
@pytest.mark.parametrize("name", FILES)
def test_every_key_and_value_of_the_real_configs_is_found_again(
    real_data: Path, tmp_path: Path, name: str
) -> None:
    path = real_data / "yt_autopilot" / "workspaces" / name
    old = json.loads(path.read_text(encoding="utf-8"))
    workspaces = Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    made, config = create_workspace(workspaces, "tech", origin=path)
    written = parse_workspace("tech", config.read_bytes(), origin=name)
    assert written == made
    found = recover("tech", written.model_dump(mode="json"))
    assert flatten(old).items() <= flatten(found).items()
    assert (written.name, written.vertical) == (old["workspace_name"], old["vertical_id"])
    assert list(written.brand.banned_topics) == old["banned_topics"]


def test_the_old_name_is_kept_only_where_it_differs() -> None:
    assert convert_legacy_config("tech", {"workspace_id": "tech"}) == {}
    assert convert_legacy_config("tech", {"workspace_id": "old"}) == {
        "extra": {"workspace_id": "old"}
    }


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workspace_name", ""),
        ("workspace_name", 7),
        ("brand_tone", None),
        ("banned_topics", "gambling"),
        ("banned_topics", ["gambling", 7]),
        ("target_language", ["en"]),
    ],
)
def test_a_value_of_another_type_is_kept_as_it_is(key: str, value: object) -> None:
    assert convert_legacy_config("tech", {key: value}) == {"extra": {key: value}}


@given(
    st.dictionaries(
        st.sampled_from([*LEGACY_PLACES, "workspace_id", "voice", "extra", "name"]), JSON
    )
)
def test_nothing_is_lost_whatever_it_holds(old: dict[str, Any]) -> None:
    config = convert_legacy_config("tech", old)
    assert old.items() <= recover("tech", config).items()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not a JSON config"),
        (b"\xff\xfe{}", "not a JSON config"),
        (b"[1]", "expected a JSON object"),
        (b'{"a": 1, "a": 2}', "occurs twice"),
        (b'{"a": {"b": 1, "b": 2}}', "occurs twice"),
        (b'{"a": NaN}', "NaN"),
        (b"[" * 100_000, "not a JSON config"),
        (b" " * 1_000_001, "larger than"),
    ],
)
def test_what_is_no_config_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "old.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=reason):
        read_legacy_config(path)


@pytest.mark.parametrize(
    "value",
    [
        "yes",
        "1e3",
        "2020-01-01",
        "null",
        "~",
        "a: b",
        "\u2028",
        "\x85",
        "\x00",
        "  x ",
        "é漢🎬",
        1e16,
    ],
)
def test_yaml_keeps_values_that_look_like_others(tmp_path: Path, value: object) -> None:
    origin = tmp_path / "old.json"
    origin.write_text(json.dumps({"voice": {"name": value}}), encoding="utf-8")
    workspaces = Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    create_workspace(workspaces, "tech", origin=origin)
    assert workspaces.get("tech").extra == {"voice": {"name": value}}


def test_what_yaml_cannot_hold_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    origin = tmp_path / "old.json"
    origin.write_text(f'{{"a": {"[" * 900}{"]" * 900}}}', encoding="utf-8")
    workspaces = Workspaces(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    with pytest.raises(ConfigError, match=r"old\.json"):
        create_workspace(workspaces, "tech", origin=origin)
    assert not (workspaces.root / "tech" / CONFIG_NAME).exists()


def configure(platform: Platform, **changes: Any) -> Workspace:
    """Save a config, and materialize the tables that follow it."""
    content = {"workspace_id": "tech", "name": "Tech", "vertical": "technology", **changes}
    workspace = Workspace.model_validate(content)
    platform.workspaces.save(workspace)
    slice_ = platform.slice("tech", None, RUN)
    publish_alone(slice_, CHANNELS, list_channels([workspace]))
    publish_alone(slice_, ACCOUNTS, list_accounts([workspace]))
    return workspace


def append(platform: Platform, table: Table, row: dict[str, Any]) -> None:
    with platform.lake.write(RUN) as transaction:
        transaction.append(check_rows(table, table.frame([row]), Scope("tech")))


@pytest.fixture
def filled(platform: Platform) -> Platform:
    """A workspace with a row about its channel, account and video in the tables that have some."""
    configure(platform, **WITH)
    seen = {"channel_id": CHANNEL, "item_id": VIDEO, "source": "youtube"}
    append(platform, RAW_TRENDS, trend(VIDEO) | seen)
    log = fetch([]).log | {"source": "youtube", "target": CHANNEL}
    append(platform, COLLECTION_LOG, log)
    video = {"workspace_id": "tech", "video_id": VIDEO, "channel_id": CHANNEL}
    metric = {"day": AT.date(), "platform": "youtube", "observed_at": AT, "is_settled": False}
    append(platform, VIDEO_METRICS, video | metric | {"collection_id": "c1"})
    slice_ = platform.slice("tech", None, RUN)
    publish_alone(slice_, VIDEOS, VIDEOS.frame([video | {"script_id": "s"}]))
    return platform


def count(platform: Platform, entity: Entity, name: str | None) -> dict[str, tuple[int, Removal]]:
    """The rows and what is said of them, of the tables that have some."""
    impacts = preview_removal(platform, "tech", entity, name)
    return {one.table: (one.rows, one.removal) for one in impacts if one.rows}


def test_the_rows_about_something_are_counted(filled: Platform) -> None:
    assert count(filled, "channel", CHANNEL) == {
        "channels": (1, "follows"),
        "collection_log": (1, "stays"),
        "raw_trends": (1, "stays"),
        "videos": (1, "continues"),
        "video_metrics": (1, "continues"),
    }
    assert count(filled, "account", "youtube @a") == {"accounts": (1, "follows")}
    assert count(filled, "account", "mastodon @a") == {}
    assert set(count(filled, "video", VIDEO)) == {"raw_trends", "videos", "video_metrics"}
    assert set(count(filled, "source", "youtube")) == {"raw_trends", "collection_log"}
    assert len(preview_removal(filled, "tech", "workspace", None)) == len(TABLES)


def test_what_is_removed_from_a_config_does_what_was_said(filled: Platform) -> None:
    said = {entity: count(filled, entity, name) for entity, name in NAMES}
    configure(filled)
    for entity, name in NAMES[1:]:
        found = count(filled, entity, name)
        expected = {table: one for table, one in said[entity].items() if one[1] != "follows"}
        assert found == expected, entity


def test_what_is_removed_or_switched_off_is_not_asked() -> None:
    def targets(**changes: Any) -> list[str]:
        content = {"workspace_id": "tech", "name": "T", "vertical": "t", **changes}
        workspace = Workspace.model_validate(content)
        return [target for source in CATALOG.trends for target in source.targets(workspace)]

    def monitored(status: str) -> dict[str, Any]:
        return {"youtube": {"monitored_channels": [{"id": CHANNEL, "status": status}]}}

    assert CHANNEL in targets(sources=monitored("active"))
    assert CHANNEL not in targets(sources=monitored("paused"))
    assert CHANNEL not in targets(sources={})
    assert targets(sources={"hn": {"enabled": False}}) == []


def test_archiving_keeps_every_row(filled: Platform) -> None:
    before = count(filled, "workspace", None)
    workspace = filled.workspaces.get("tech").model_copy(update={"status": "archived"})
    filled.workspaces.save(workspace)
    assert not workspace.collects
    assert count(filled, "workspace", None) == before


def test_another_workspace_is_not_counted(filled: Platform) -> None:
    impacts = preview_removal(filled, "finance", "channel", CHANNEL)
    assert {one.rows for one in impacts} == {0}


@pytest.mark.parametrize(
    ("entity", "name"), [("channel", None), ("workspace", "tech"), ("account", "@a")]
)
def test_a_wrong_name_is_refused(platform: Platform, entity: Entity, name: str | None) -> None:
    with pytest.raises(ConfigError, match=entity):
        preview_removal(platform, "tech", entity, name)


@pytest.mark.parametrize(
    ("entity", "listed"),
    [
        ("source", "raw_trends"),
        ("channel", "channels"),
        ("account", "accounts"),
        ("video", "videos"),
    ],
)
def test_a_missing_name_is_explained_with_where_names_are(
    platform: Platform, entity: Entity, listed: str
) -> None:
    with pytest.raises(ConfigError, match=rf"{entity} needs a NAME.*from {listed}\b.*-w tech"):
        preview_removal(platform, "tech", entity, None)


@pytest.mark.parametrize(
    ("entity", "name", "nearest"),
    [
        ("source", "hackernews", "hn"),
        ("source", "redit", "reddit"),
        ("source", "reddit", None),
        ("source", "letterboxd", None),
        ("video", "hackernews", None),
    ],
)
def test_a_source_without_rows_is_named_with_the_one_meant(
    entity: Entity, name: str, nearest: str | None
) -> None:
    warning = explain_no_rows(entity, name)
    assert repr(name) in warning
    assert re.findall("`(.*?)`", warning) == ([nearest] if nearest else [])


def test_the_page_is_in_step_with_the_tables() -> None:
    script = ROOT / "scripts" / "make_removal_docs.py"
    spec = importlib.util.spec_from_file_location("make_removal_docs", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "removal.md").read_text(encoding="utf-8")
    assert module.fill_page(page) == page, "run `python scripts/make_removal_docs.py`"
