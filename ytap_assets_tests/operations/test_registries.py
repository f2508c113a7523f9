"""Whose rows stand under a name: renamed, copied and replaced folders are noticed."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import PublishRefusedError, Scope, check_rows
from ytap_assets.lakehouse.inspection import Age
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import registries
from ytap_assets.operations.imports import import_trends
from ytap_assets.operations.maintenance import apply_retention
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.records import list_records
from ytap_assets.operations.registries import (
    describe_workspaces,
    find_conflict,
    find_orphans,
    find_outdated,
    list_channels,
)
from ytap_assets.operations.review import decide_on_script
from ytap_assets.tables import CHANNELS, TABLES, WORKSPACES
from ytap_assets.workspaces import Retention, Workspace
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "write")
UID = "01M6A6FT007CVZTYRQDW4HP9SJ"
OTHER = "01M6A6FT007TV89J3NXQMK1BJ0"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def workspace(name: str, uid: str | None = None, **changes: object) -> Workspace:
    content = {"workspace_id": name, "name": name, "vertical": "any", "uid": uid, **changes}
    return Workspace.model_validate(content)


def rename(platform: Platform, old: str, new: str) -> None:
    platform.workspaces.folder(old).rename(platform.workspaces.folder(new))


def copy(platform: Platform, old: str, new: str) -> None:
    shutil.copytree(platform.workspaces.folder(old), platform.workspaces.folder(new))


def registry(platform: Platform) -> dict[str, str | None]:
    rows = platform.lake.cross_reader().read_across(WORKSPACES)
    return dict(rows.select("workspace_id", "uid").iter_rows())


def open_slice(platform: Platform, name: str) -> None:
    platform.slice(name, None, RUN)


@pytest.mark.parametrize(
    ("config", "registered", "why"),
    [
        (workspace("tech", UID), {}, None),
        (workspace("tech", UID), {"tech": UID}, None),
        (workspace("tech", UID), {"tech": None}, None),
        (workspace("tech"), {}, None),
        (workspace("tech"), {"tech": None, "other": UID}, None),
        (workspace("tech"), {"tech": UID}, "has no uid"),
        (workspace("tech", OTHER), {"tech": UID}, f"belong to the uid {UID}"),
        (workspace("tech2", UID), {"tech": UID}, "the uid of workspace 'tech'"),
        (workspace("tech2", UID), {"tech": UID, "tech2": None}, "the uid of workspace 'tech'"),
        (workspace("tech", OTHER), {"tech": UID, "fitness": OTHER}, f"belong to the uid {UID}"),
    ],
)
def test_a_folder_is_the_workspace_that_the_lake_knows(
    config: Workspace, registered: dict[str, str | None], why: str | None
) -> None:
    found = find_conflict(config, registered, [config])
    if why is None:
        assert found is None
    else:
        assert why in str(found)
        assert "ytap workspace identify" in str(found)


def test_of_two_new_folders_with_one_uid_neither_goes_on(platform: Platform) -> None:
    platform.workspaces.save(workspace("one", UID))
    platform.workspaces.save(workspace("two", UID))
    for name, other in (("one", "two"), ("two", "one")):
        with pytest.raises(ConfigError, match=f"'{name}' has the uid of workspace '{other}'"):
            open_slice(platform, name)
    open_slice(platform, "tech")
    assert registry(platform) == {"tech": None, "finance": None}


def test_all_new_workspaces_are_entered_in_one_commit_before_anything_else(
    platform: Platform,
) -> None:
    for number in range(5):
        platform.workspaces.save(workspace(f"w{number}", None if number else UID))
    before = platform.lake.snapshot_id()
    for name in platform.workspaces.ids():
        open_slice(platform, name)
    assert platform.lake.snapshot_id() == before + 1
    assert registry(platform) == {
        **dict.fromkeys(["tech", "finance", "w1", "w2", "w3", "w4"]),
        "w0": UID,
    }


def test_a_batch_has_the_slices_of_all_workspaces_that_can_be_worked_on(
    platform: Platform,
) -> None:
    platform.workspaces.save(workspace("food", UID))
    open_slice(platform, "food")
    copy(platform, "food", "cooking")
    platform.workspaces.write_config("broken", b"name: [")
    platform.workspaces.save(workspace("new", OTHER))
    day, before = NOW.date(), platform.lake.snapshot_id()
    ranges = [(day, day), (day + timedelta(days=2), day + timedelta(days=3))]
    backwards = (day, day - timedelta(days=1))

    batch, problems = platform.batch(
        {
            "new": ranges,
            "cooking": ranges,
            "broken": [None],
            "absent": [None],
            "tech": [backwards, None],
        },
        RUN,
    )

    assert [(one.workspace_id, one.days) for one in batch.slices] == [
        ("new", ranges[0]),
        ("new", ranges[1]),
        ("tech", None),
    ]
    assert list(problems) == [
        Scope("cooking", *ranges[0]),
        Scope("cooking", *ranges[1]),
        Scope("broken"),
        Scope("absent"),
        Scope("tech", *backwards),
    ]
    assert {type(error) for error in problems.values()} == {ConfigError}
    assert "--new" in str(problems[Scope("cooking", *ranges[0])])
    assert set(registry(platform)) == {"tech", "finance", "food", "new"}
    assert platform.lake.snapshot_id() == before + 1


def test_a_row_of_the_registry_that_is_refused_stops_no_other_workspace(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No config that is read has such a row today, so one is made here."""
    platform.workspaces.save(workspace("food"))
    describe = registries.describe_workspaces

    def describe_wrongly(*arguments: Any) -> pl.DataFrame:
        unknown = pl.when(workspace_id="food").then(pl.lit("lost")).otherwise("status")
        return describe(*arguments).with_columns(status=unknown)

    monkeypatch.setattr(registries, "describe_workspaces", describe_wrongly)
    batch, problems = platform.batch({"food": [None], "tech": [None]}, RUN)
    assert batch.workspace_ids == ("tech",)
    assert isinstance(problems[Scope("food")], PublishRefusedError)
    assert set(registry(platform)) == {"tech", "finance"}


def test_a_batch_that_only_looks_enters_nothing(platform: Platform) -> None:
    batch, problems = platform.batch({"tech": [None], "finance": [None]}, RUN, writes=False)
    assert (batch.workspace_ids, problems) == (("finance", "tech"), {})
    assert registry(platform) == {}


def test_a_look_enters_nothing(platform: Platform) -> None:
    platform.slice("tech", None, RUN, writes=False)
    list_records(platform, "tech")
    assert registry(platform) == {}


def test_a_renamed_folder_writes_nothing_by_any_path(platform: Platform) -> None:
    platform.workspaces.save(workspace("food", UID))
    open_slice(platform, "food")
    rename(platform, "food", "cooking")
    before = platform.lake.snapshot_id()
    for write in (
        lambda: open_slice(platform, "cooking"),
        lambda: import_trends(platform, [], workspace_id="cooking", source="hn", run=RUN),
        lambda: decide_on_script(
            platform, "cooking", "one", "cancel", actor="ada", reason=None, run=RUN
        ),
        lambda: list_records(platform, "cooking"),
    ):
        with pytest.raises(ConfigError, match="has the uid of workspace 'food'"):
            write()
    assert platform.lake.snapshot_id() == before
    usable, problems = platform.usable()
    assert [one.workspace_id for one in usable] == ["finance", "tech"]
    assert list(problems) == ["cooking"]

    rename(platform, "cooking", "food")
    open_slice(platform, "food")


def test_a_copied_folder_is_refused_and_the_original_goes_on(platform: Platform) -> None:
    platform.workspaces.save(workspace("food", UID))
    open_slice(platform, "food")
    copy(platform, "food", "cooking")
    with pytest.raises(ConfigError, match="--new"):
        open_slice(platform, "cooking")
    open_slice(platform, "food")
    platform.workspaces.save(workspace("cooking", OTHER))
    open_slice(platform, "cooking")
    assert registry(platform)["cooking"] == OTHER


def test_another_process_knows_what_this_one_entered(platform: Platform) -> None:
    platform.workspaces.save(workspace("food", UID))
    open_slice(platform, "food")
    rename(platform, "food", "cooking")
    again = Platform(platform.settings, now=platform.now)
    with again.lake, pytest.raises(ConfigError, match="'food'"):
        open_slice(again, "cooking")


def test_a_folder_that_was_made_again_is_refused(platform: Platform) -> None:
    platform.workspaces.save(workspace("food", UID))
    open_slice(platform, "food")
    platform.workspaces.save(workspace("food", OTHER))
    with pytest.raises(ConfigError, match="--adopt"):
        open_slice(platform, "food")
    platform.workspaces.save(workspace("food", UID))
    open_slice(platform, "food")


def test_a_uid_that_comes_later_is_entered_and_the_first_sight_stays(platform: Platform) -> None:
    open_slice(platform, "tech")
    first = platform.lake.reader("tech").read(WORKSPACES)["first_seen_at"].item()
    platform.workspaces.save(workspace("tech", UID))
    later = Platform(platform.settings, now=lambda: NOW + timedelta(days=1))
    with later.lake:
        open_slice(later, "tech")
        row = later.lake.reader("tech").read(WORKSPACES).row(0, named=True)
    assert (row["uid"], row["first_seen_at"]) == (UID, first)


def test_of_two_names_that_are_entered_at_once_with_one_uid_at_most_one_wins(
    platform: Platform,
) -> None:
    """Two data folders on one lake: each holds the same workspace under another name."""
    platforms = []
    for name in ("food", "cooking"):
        data = platform.settings.data / name
        settings = type(platform.settings).from_env(
            {
                "YTAP_DATA": str(data),
                "YTAP_CATALOG": str(platform.settings.catalog),
                "YTAP_DATA_PATH": str(platform.settings.data_path),
                "YTAP_TRANSPORT": "replay",
            }
        )
        one = Platform(settings, now=platform.now)
        one.workspaces.save(workspace(name, UID))
        one.lake  # noqa: B018 - attached before the race
        platforms.append((one, name))

    def enter(pair: tuple[Platform, str]) -> bool:
        one, name = pair
        try:
            open_slice(one, name)
        except ConfigError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        won = list(pool.map(enter, platforms))
    for one, _ in platforms:
        one.lake.close()
    assert sorted(won) == [False, True]
    assert list(registry(platform).values()) == [UID]


def test_retention_of_a_folder_that_is_another_workspace_deletes_nothing(
    platform: Platform,
) -> None:
    platform.workspaces.save(workspace("food", UID, retention=Retention(raw_payloads_days=183)))
    open_slice(platform, "food")
    platform.workspaces.save(workspace("food", OTHER, retention=Retention(raw_payloads_days=1)))
    deleted, problems, _ = apply_retention(platform, RUN, NOW.date())
    assert "food" not in deleted
    assert "tech" in deleted
    assert "belong to the uid" in problems[0]


def test_orphans_are_counted_and_paired_with_the_folder_of_their_uid() -> None:
    day = datetime(2026, 11, 19, tzinfo=UTC)
    ages = [
        Age("raw_trends", "food", 40, day),
        Age("production_events", "food", 2, day + timedelta(days=1)),
        Age("channels", "gone", 1, None),
        Age("raw_trends", "tech", 5, day),
    ]
    registered = {"food": UID, "tech": OTHER}
    folders = [workspace("cooking", UID), workspace("tech", OTHER)]
    food, gone = find_orphans(ages, registered, folders, {"cooking", "tech", "broken"})
    assert (food.rows, food.tables, food.newest_at) == (42, 2, day + timedelta(days=1))
    assert (food.uid, food.renamed_to) == (UID, "cooking")
    assert "renamed to 'cooking'" in str(food)
    assert (gone.workspace_id, gone.uid, gone.renamed_to) == ("gone", None, None)


def test_the_asset_keeps_the_row_in_step_with_the_config() -> None:
    stored = describe_workspaces([workspace("tech", UID)], WORKSPACES.empty(), NOW)
    later = NOW + timedelta(days=3)
    now = [workspace("food"), workspace("tech", UID, status="paused")]
    new, kept = describe_workspaces(now, stored, later).iter_rows(named=True)
    assert (kept["status"], kept["collects"], kept["first_seen_at"]) == ("paused", False, NOW)
    assert (new["workspace_id"], new["collects"], new["first_seen_at"]) == ("food", True, later)


@pytest.mark.parametrize(
    ("changes", "is_outdated"),
    [
        ({}, False),
        ({"brand": {"banned_topics": ["gambling"]}}, False),
        ({"language": "de"}, True),
        ({"channels": []}, True),
        ({"channels": [{"id": f"UC{'a' * 22}", "title": "New"}]}, True),
        ({"accounts": [{"platform": "youtube", "handle": "food"}]}, True),
    ],
)
def test_a_registry_is_outdated_where_a_row_differs_is_missing_or_is_gone(
    platform: Platform, changes: dict[str, object], is_outdated: bool
) -> None:
    channel = {"id": f"UC{'a' * 22}", "title": "Food"}
    food = workspace("food", UID, channels=[channel])
    news = workspace("news", OTHER)
    now = platform.now()
    for made, rows in (
        (WORKSPACES, describe_workspaces([food, news], WORKSPACES.empty(), now)),
        (CHANNELS, list_channels([food, news])),
    ):
        with platform.lake.write(RUN) as transaction:
            for name in ("food", "news"):
                own = rows.filter(workspace_id=name)
                transaction.publish_all([check_rows(made, own, Scope(name))])

    changed = workspace("food", UID, **{"channels": [channel], **changes})
    reader = platform.lake.batch_reader(["food", "news"])
    found = find_outdated(reader, [changed, news], now + timedelta(days=1))

    assert found == ({"food"} if is_outdated else set())


def test_an_own_channel_that_is_monitored_is_listed_once() -> None:
    own, other = (f"UC{letter * 22}" for letter in "ab")
    monitored = [{"id": other, "title": "Other"}, {"id": own, "title": "Old title"}]
    config = workspace(
        "tech",
        channels=[{"id": own, "title": "Own"}],
        sources={"youtube": {"monitored_channels": monitored}},
    )
    rows = list_channels([config, workspace("food")])
    assert rows.select("workspace_id", "title", "is_own").rows() == [
        ("tech", "Own", True),
        ("tech", "Other", False),
    ]


def test_an_older_lake_enters_its_workspaces_at_the_first_run(platform: Platform) -> None:
    advance_one(platform.slice("tech", None, RUN), "all")
    with platform.lake.cursor() as cursor:
        cursor.execute("DROP TABLE lake.workspaces")
    platform.lake.evolve(TABLES)
    again = Platform(platform.settings, now=platform.now)
    with again.lake:
        advance_one(again.slice("tech", None, RUN), "all")
        assert set(registry(again)) == {"tech", "finance"}
