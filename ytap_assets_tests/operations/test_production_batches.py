"""A batch of workspaces stands as each of them alone would; one that fails stops no other."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import hypothesis
import polars as pl
import pytest
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.production.records import videos_from_records
from ytap_assets.domain.production.rules import Rules
from ytap_assets.lakehouse.checks import CheckedRows, PublishRefusedError, Scope
from ytap_assets.lakehouse.errors import CatalogBusyError, LockTimeoutError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations import inboxes, production, production_inputs, records
from ytap_assets.operations.platform import Batch, Platform, Written
from ytap_assets.operations.production import advance
from ytap_assets.operations.records import fold_records, list_videos, refold_records
from ytap_assets.operations.review import decide_on_script
from ytap_assets.settings import Settings
from ytap_assets.tables import PRODUCTION_EVENTS, PRODUCTION_RECORDS, Table
from ytap_assets.workspaces import Approval, Workspace, Workspaces
from ytap_assets_tests.conftest import NOW
from ytap_assets_tests.effort import examples
from ytap_assets_tests.operations.test_copies import forget_content, make_own
from ytap_assets_tests.operations.test_production import (
    RUN,
    script,
    slice_of,
    states,
    write_lines,
    write_video,
)
from ytap_assets_tests.promoting import advance_one, stored_records

NAMES = ("copied", "finance", "tech")
APPROVE = {"script_id": "one", "act": "approve_script", "actor": "A", "at": "2026-11-20T09:00:00Z"}


@pytest.fixture
def three(platform: Platform) -> Platform:
    """`tech`, `finance` and `copied`, with scripts and videos in several states."""
    approval = Approval(scripts="policy", videos="policy")
    platform.workspaces.save(
        Workspace(workspace_id="copied", name="C", vertical="any", approval=approval)
    )
    for name in NAMES:
        own = [script(f"{name}-{n}", body=f"{name} {n}") for n in range(3)]
        write_lines(platform, name, "scripts.jsonl", script("one", body=name), *own, "{no\n")
        make_own(write_video(platform, name, f"{name}-1"), name.encode())
        write_lines(platform, name, "approvals.jsonl", APPROVE, APPROVE | {"script_id": "nobody"})
    return platform


TABLES_OF_PRODUCTION = (
    "production_events",
    "production_records",
    "script_states",
    "videos",
    "inbox_lines",
)


def batch_of(platform: Platform, *names: str) -> Batch:
    batch, unusable = platform.batch({name: [None] for name in names}, RUN)
    assert not unusable
    return batch


def stored(platform: Platform, table: str = "production_events") -> pl.DataFrame:
    with platform.lake.cursor() as cursor:
        rows = cursor.execute(f"FROM lake.{table}").pl()
    return rows.sort(pl.all().exclude(pl.List(pl.String)))


def test_a_batch_stands_as_each_workspace_alone(
    three: Platform, tmp_path_factory: pytest.TempPathFactory
) -> None:
    alone = copy_of(three, tmp_path_factory.mktemp("alone"))
    for name in NAMES:
        advance_one(slice_of(alone, name), "all")
    results = advance(batch_of(three, *NAMES), "all")

    assert all(isinstance(one, Written) for one in results.values())
    for table in TABLES_OF_PRODUCTION:
        assert_frame_equal(stored(three, table), stored(alone, table))
    alone.lake.close()


def copy_of(platform: Platform, folder: Path) -> Platform:
    platform.lake.close()
    platform.__dict__.pop("lake")
    shutil.copytree(platform.settings.data, folder, dirs_exist_ok=True)
    settings = type(platform.settings).from_env(
        {"YTAP_DATA": str(folder), "YTAP_TRANSPORT": "replay"}
    )
    return Platform(settings, now=platform.now)


IDS = st.sampled_from(["one", "two"])
LINES = st.lists(
    st.one_of(
        st.builds(
            lambda script_id, text: ("scripts.jsonl", script(script_id, title=text, body=text)),
            IDS,
            st.sampled_from(["x", "y"]),
        ),
        st.builds(
            lambda script_id, act, hour: (
                "approvals.jsonl",
                {"script_id": script_id, "act": act, "actor": "A", "at": f"2026-11-19T{hour}:00Z"},
            ),
            IDS,
            st.sampled_from(["approve_script", "reject", "send_back", "cancel"]),
            st.sampled_from(["09:00", "11:00"]),
        ),
        st.builds(
            lambda script_id, video_id: (
                "uploads.jsonl",
                {"script_id": script_id, "video_id": video_id, "published_at": NOW.isoformat()},
            ),
            IDS,
            st.sampled_from(["ytapDemo001", "ytapDemo002"]),
        ),
    ),
    min_size=2,
    max_size=6,
)
PLANS = st.fixed_dictionaries(
    {
        "policy": st.fixed_dictionaries(
            {name: st.sampled_from(["policy", "person"]) for name in ("scripts", "videos")}
        ),
        "lines": LINES,
        "later": LINES,
        "videos": st.dictionaries(IDS, st.sampled_from([b"v", b"w"])),
    }
)
"""What is in a workspace: its policy, the lines of its inbox, those that come later, its videos."""
WITHOUT_SHRINKING = [one for one in hypothesis.Phase if one is not hypothesis.Phase.shrink]
"""An example takes two seconds."""


@pytest.mark.sqlite
@hypothesis.settings(max_examples=examples(4), phases=WITHOUT_SHRINKING)
@hypothesis.given(plans=st.lists(PLANS, min_size=3, max_size=3), forgets=st.booleans())
def test_one_batch_stands_as_one_workspace_after_another(
    plans: list[dict[str, Any]],
    forgets: bool,
    empty_lake: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("batch")
    shutil.copytree(empty_lake.data / "lake", folder / "lake")
    settings = Settings.from_env({"YTAP_DATA": str(folder), "YTAP_TRANSPORT": "replay"})
    batched = Platform(settings, now=lambda: NOW)
    for name, plan in zip(NAMES, plans, strict=True):
        make_workspace(batched, name, plan)
    advance(batch_of(batched, *NAMES), "all")
    if forgets:
        forget_content(batched)
    for name, plan in zip(NAMES, plans, strict=True):
        write_inbox(batched, name, [*plan["lines"], *plan["later"]])
    alone = copy_of(batched, tmp_path_factory.mktemp("alone"))
    with batched.lake, alone.lake:
        before = count_commits(batched)
        for name in NAMES:
            advance_one(slice_of(alone, name), "all")
        results = advance(batch_of(batched, *NAMES), "all")

        assert all(isinstance(one, Written) for one in results.values())
        assert count_commits(batched) <= before + 1
        for table in TABLES_OF_PRODUCTION:
            assert_frame_equal(stored(batched, table), stored(alone, table))


def make_workspace(platform: Platform, name: str, plan: dict[str, Any]) -> None:
    approval = Approval(**plan["policy"])
    Workspaces(platform.settings).save(
        Workspace(workspace_id=name, name=name, vertical="any", approval=approval)
    )
    write_inbox(platform, name, plan["lines"])
    for script_id, video in plan["videos"].items():
        make_own(write_video(platform, name, script_id, completed_at="2026-11-19T10:00:00Z"), video)


def write_inbox(platform: Platform, name: str, lines: list[tuple[str, dict[str, Any]]]) -> None:
    for file in ("scripts.jsonl", "approvals.jsonl", "uploads.jsonl"):
        write_lines(platform, name, file, *(line for where, line in lines if where == file))


def test_one_commit_holds_events_records_videos_and_cursors(three: Platform) -> None:
    before = three.lake.snapshot_id()
    results = advance(batch_of(three, *NAMES), "all")
    after = three.lake.snapshot_id()

    assert {one.snapshot_id for one in results.values() if isinstance(one, Written)} == {after}
    assert after - before <= 2  # the registry of workspaces, and this
    for make in (fold_records, list_videos):
        made = make(batch_of(three, *NAMES))
        assert all(isinstance(one, Written) for one in made.values())
    assert three.lake.snapshot_id() == after


def test_a_workspace_that_fails_stops_no_other(
    three: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = production_inputs.workspace_rules

    def refuse(workspace: Workspace) -> Rules:
        rules = whole(workspace)
        return replace(rules, banned_topics=3) if workspace.workspace_id == "finance" else rules  # type: ignore[arg-type]

    monkeypatch.setattr(production_inputs, "workspace_rules", refuse)
    results = advance(batch_of(three, *NAMES), "all")

    assert isinstance(results[Scope("finance")], TypeError)
    assert states(three, "tech")["tech-1"] == "ready_for_publish"
    assert states(three, "copied")["copied-1"] == "ready_for_publish"
    assert states(three, "finance") == {}
    monkeypatch.undo()
    assert isinstance(advance(batch_of(three, *NAMES), "all")[Scope("finance")], Written)
    assert states(three, "finance")["one"] == "ready_for_generation"


def test_rows_that_are_refused_stop_no_other_workspace(
    three: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = videos_from_records
    write_lines(
        three,
        "tech",
        "uploads.jsonl",
        {"script_id": "tech-1", "video_id": "ytapDemo001", "published_at": "2026-11-20T06:00:00Z"},
    )

    def refuse(records: pl.DataFrame) -> pl.DataFrame:
        return whole(records).with_columns(video_id=pl.lit("no id"))

    monkeypatch.setattr(records, "videos_from_records", refuse)
    results = advance(batch_of(three, *NAMES), "all")

    assert [type(one).__name__ for one in results.values()] == [
        "Written",
        "Written",
        "PublishRefusedError",
    ]
    assert three.lake.reader("tech").read(PRODUCTION_EVENTS).is_empty()
    assert len(states(three, "copied")) == 4


def test_of_two_workspaces_of_a_batch_with_one_script_one_is_the_copy(platform: Platform) -> None:
    for name in ("tech", "finance"):
        write_lines(platform, name, "scripts.jsonl", script("one"))

    advance(batch_of(platform, "finance", "tech"), "all")

    records = {
        name: stored_records(slice_of(platform, name))["failed_gates"].to_list()
        for name in ("finance", "tech")
    }
    assert records["finance"] == [[]]
    assert records["tech"][0][0].startswith("copy: script one of workspace finance")
    assert states(platform) == {"one": "script_pending_review"}


def save_many(platform: Platform, count: int) -> list[str]:
    """Workspaces with the same script."""
    names = [f"copy{number:02}" for number in range(count)]
    for name in names:
        platform.workspaces.save(Workspace(workspace_id=name, name=name, vertical="any"))
        write_lines(platform, name, "scripts.jsonl", script("one"))
    return names


def count_commits(platform: Platform) -> int:
    return platform.lake.snapshots().height


def advance_in_one_commit(batch: Batch) -> dict[Scope, Written | Exception]:
    before = count_commits(batch.platform)
    results = advance(batch, "all")
    assert count_commits(batch.platform) == before + 1
    return results


def test_any_number_of_copies_is_settled_in_one_commit(platform: Platform) -> None:
    names = save_many(platform, 24)
    batch = batch_of(platform, *names)

    advance_in_one_commit(batch)

    before = count_commits(platform)
    rows = stored(platform).filter(pl.col("type") == "gates_evaluated")
    assert rows["workspace_id"].to_list() == names[1:]
    advance(batch, "all")
    assert count_commits(platform) == before


@pytest.mark.parametrize("count", [2, 24])
def test_copies_that_are_rejected_at_once_are_settled_in_one_commit(
    platform: Platform, count: int
) -> None:
    names = save_many(platform, count)
    for name in names:
        write_lines(platform, name, "approvals.jsonl", APPROVE | {"act": "reject"})

    advance_in_one_commit(batch_of(platform, *names))

    moves = ["script_submitted", "rejected"]
    assert stored(platform).sort("seq")["type"].to_list() == moves * count


def test_the_first_that_is_not_rejected_is_the_original(platform: Platform) -> None:
    names = save_many(platform, 6)
    for name in names[:3]:
        write_lines(platform, name, "approvals.jsonl", APPROVE | {"act": "reject"})

    advance_in_one_commit(batch_of(platform, *names))

    rows = stored(platform).filter(pl.col("type") == "gates_evaluated")
    assert rows["workspace_id"].to_list() == names[4:]
    assert rows["reason"].str.contains(f"workspace {names[3]} has the same text").all()


def test_a_rejected_script_is_known_although_another_workspace_reviews_one_of_its_name(
    platform: Platform,
) -> None:
    late = {"at": "2026-11-20T10:00:00Z"}
    write_lines(platform, "tech", "scripts.jsonl", script("one", body="Other."))
    decisions = [APPROVE | {"act": "reject"}, APPROVE | {"act": "send_back"}]
    write_lines(platform, "tech", "approvals.jsonl", *decisions)
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    batch = batch_of(platform, "finance", "tech")
    advance(batch, "all")
    write_lines(platform, "finance", "approvals.jsonl", APPROVE | late)

    tech = advance_in_one_commit(batch)[Scope("tech")]

    assert isinstance(tech, Written)
    assert tech.notes["events_refused"] == 0


@pytest.mark.parametrize("act", ["send_back", "cancel"])
def test_an_earlier_decision_is_not_read_again_for_a_script_of_its_name_in_another_workspace(
    platform: Platform, act: str
) -> None:
    write_lines(platform, "tech", "scripts.jsonl", script("one", body="Other."))
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    batch = batch_of(platform, "finance", "tech")
    decisions = [APPROVE | {"act": "reject"}, APPROVE | {"act": act}]
    for count in (1, 2):
        write_lines(platform, "tech", "approvals.jsonl", *decisions[:count])
        advance(batch, "all")

    tech = advance(batch, "all")[Scope("tech")]

    assert states(platform, "finance") == {"one": "script_pending_review"}
    assert isinstance(tech, Written)
    assert tech.notes == advance_one(slice_of(platform, "tech"), "all").notes
    assert (tech.notes["events_refused"], tech.notes["ignored_decisions"]) == (0, 0)


def test_a_copy_of_rows_that_are_refused_is_no_copy(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = inboxes.check_slices

    def refuse(table: Table, rows: dict[Scope, pl.DataFrame]) -> list[CheckedRows]:
        wrong = {
            scope: own.with_columns(title=pl.lit(3)) if scope.workspace_id == "finance" else own
            for scope, own in rows.items()
        }
        return whole(table, wrong)

    for name in ("finance", "tech"):
        write_lines(platform, name, "scripts.jsonl", script("one"))
    monkeypatch.setattr(records, "check_slices", refuse)
    batch = batch_of(platform, "finance", "tech")

    results = advance(batch, "all")

    assert isinstance(results[Scope("finance")], PublishRefusedError)
    assert stored(platform)["workspace_id"].unique().to_list() == ["tech"]
    assert states(platform) == {"one": "ready_for_generation"}


def late_platform(platform: Platform, then: Callable[[], object]) -> Platform:
    """A platform in which something happens once, after the first decisions and before the lock."""
    calls = 0

    def now() -> datetime:
        nonlocal calls
        calls += 1
        if calls == 2:
            then()
        return platform.now()

    return Platform(platform.settings, now=now)


def test_originals_and_copies_of_a_batch_are_decided_again_where_another_was_faster(
    platform: Platform,
) -> None:
    [third] = save_many(platform, 1)
    for name in ("tech", "finance"):
        write_lines(platform, name, "scripts.jsonl", script("one"))
    batch = batch_of(platform, "finance", "tech")
    late = late_platform(platform, lambda: advance(batch_of(platform, third), "all"))
    before = count_commits(platform)

    with late.lake:
        advance(replace(batch, platform=late), "all")

    assert count_commits(platform) == before + 2
    rows = stored(platform).filter(pl.col("type") == "gates_evaluated")
    assert rows["workspace_id"].to_list() == ["finance", "tech"]
    assert rows["reason"].str.contains(f"workspace {third} has the same text").all()


def test_a_workspace_whose_scripts_never_settle_fails(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each round, another run changes what the scripts are copies of."""
    monkeypatch.setattr(production, "_MAX_ROUNDS", 2)
    [third] = save_many(platform, 1)
    for name in ("tech", "finance"):
        write_lines(platform, name, "scripts.jsonl", script("one"))

    def store_original() -> None:
        advance(batch_of(platform, third), "all")

    def reject_original() -> None:
        decide_on_script(platform, third, "one", "reject", actor="A", reason=None, run=RUN)

    # The clock is read at the beginning of a round, and before its commit.
    between = iter([lambda: None, store_original, lambda: None, reject_original])

    def now() -> datetime:
        next(between)()
        return platform.now()

    late = Platform(platform.settings, now=now)
    with late.lake:
        batch = replace(batch_of(platform, "finance", "tech"), platform=late)
        results = advance(batch, "all")

    assert isinstance(results[Scope("finance")], CatalogBusyError)
    assert isinstance(results[Scope("tech")], CatalogBusyError)


def test_a_copy_of_an_event_without_content_id_and_of_one_with_it_is_submitted(
    platform: Platform,
) -> None:
    platform.workspaces.save(Workspace(workspace_id="third", name="T", vertical="any"))
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    advance(batch_of(platform, "tech"), "all")
    with platform.lake.cursor() as cursor:
        cursor.execute("UPDATE lake.production_events SET content_id = NULL")
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    advance(batch_of(platform, "finance"), "all")
    write_lines(platform, "third", "scripts.jsonl", script("one"), script("other", body="Other."))

    advance_in_one_commit(batch_of(platform, "third"))

    assert states(platform, "third") == dict.fromkeys(("one", "other"), "script_pending_review")


def test_what_a_round_stored_is_reported_where_the_next_one_fails(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    [third] = save_many(platform, 1)
    write_lines(platform, "finance", "scripts.jsonl", script("own", body="Other."))
    write_lines(platform, "tech", "scripts.jsonl", script("one"))
    batch = batch_of(platform, "finance", "tech")
    late = late_platform(platform, lambda: advance(batch_of(platform, third), "all"))
    write, calls = Lake.write, []

    def fail_second(self: Lake, run: Run) -> Any:
        if self is late.lake:
            calls.append(run)
        if len(calls) == 2:
            raise LockTimeoutError("another process holds the lock")
        return write(self, run)

    monkeypatch.setattr(Lake, "write", fail_second)
    with late.lake:
        finance, tech = advance(replace(batch, platform=late), "all").values()

    assert isinstance(finance, Written)
    assert finance.rows == 1
    assert isinstance(tech, LockTimeoutError)
    assert list(batch.published) == [slice_of(platform, "finance").scope]


def test_a_decision_refreshes_records_and_videos(three: Platform) -> None:
    advance(batch_of(three, *NAMES), "all")
    decide_on_script(three, "tech", "tech-0", "cancel", actor="A", reason=None, run=RUN)

    assert states(three)["tech-0"] == "cancelled"
    assert refold_records(batch_of(three, *NAMES)) == dict.fromkeys(NAMES, 0)


def test_records_of_older_rules_are_computed_again(three: Platform) -> None:
    advance(batch_of(three, *NAMES), "all")
    expected = [stored(three, table) for table in ("production_records", "script_states")]
    with three.lake.cursor() as cursor:
        cursor.execute("UPDATE lake.production_records SET title = 'old', fold_version = 0")
        cursor.execute("DELETE FROM lake.script_states WHERE workspace_id <> 'tech'")
        cursor.execute("DELETE FROM lake.videos")

    fold_records(batch_of(three, *NAMES))

    for table, rows in zip(("production_records", "script_states"), expected, strict=True):
        assert_frame_equal(stored(three, table), rows)


def test_stays_that_were_changed_are_computed_again(three: Platform) -> None:
    advance(batch_of(three, *NAMES), "all")
    expected = stored(three, "script_states")
    with three.lake.cursor() as cursor:
        cursor.execute("UPDATE lake.script_states SET actor = 'x' WHERE script_id = 'one'")

    assert refold_records(batch_of(three, *NAMES)) == dict.fromkeys(NAMES, 1)
    assert_frame_equal(stored(three, "script_states"), expected)


def test_a_run_writes_the_stays_of_scripts_that_moved_alone(three: Platform) -> None:
    advance(batch_of(three, *NAMES), "all")
    with three.lake.cursor() as cursor:
        cursor.execute("UPDATE lake.script_states SET actor = 'kept'")
    decide_on_script(three, "tech", "tech-0", "cancel", actor="A", reason=None, run=RUN)

    rows = stored(three, "script_states")
    assert rows.filter(pl.col("actor") != "kept")["script_id"].unique().to_list() == ["tech-0"]
    assert rows.filter(pl.col("left_at").is_null(), script_id="tech-0")["state"].to_list() == [
        "cancelled"
    ]


def test_an_event_replaces_the_record_and_the_video_of_its_script_alone(three: Platform) -> None:
    for name in NAMES:
        upload = {"script_id": f"{name}-1", "video_id": f"{name:_<11}"}
        write_lines(three, name, "uploads.jsonl", upload | {"published_at": "2026-11-20T06:00:00Z"})
    advance(batch_of(three, *NAMES), "all")
    with three.lake.cursor() as cursor:
        cursor.execute("UPDATE lake.production_records SET hook = 'kept'")
        cursor.execute("UPDATE lake.videos SET title = 'kept'")
    write_lines(three, "tech", "scripts.jsonl", script("new", body="new"))

    advance(batch_of(three, *NAMES), "all")

    assert stored(three, "videos")["title"].unique().to_list() == ["kept"]
    for name in NAMES:
        records_of = three.lake.reader(name).read(PRODUCTION_RECORDS)
        others = records_of.filter(pl.col("script_id") != "new")
        assert others["hook"].unique().to_list() == ["kept"]
        assert records_of.height - others.height == (name == "tech")


def test_events_that_another_program_appended_are_folded_alone(three: Platform) -> None:
    advance(batch_of(three, *NAMES), "all")
    with three.lake.cursor() as cursor:
        cursor.execute("UPDATE lake.production_records SET hook = 'kept' WHERE script_id <> 'one'")
        cursor.execute(
            "INSERT INTO lake.production_events BY NAME SELECT * REPLACE ('x' AS event_id,"
            " 'cancelled' AS type, 1000 AS seq, 'ready_for_generation' AS from_state,"
            " 'cancelled' AS to_state) FROM lake.production_events"
            " WHERE workspace_id = 'tech' AND script_id = 'one' AND type = 'script_submitted'"
        )

    [made] = fold_records(batch_of(three, "tech")).values()

    assert isinstance(made, Written)
    by_script = {row["script_id"]: row for row in made.frame.iter_rows(named=True)}
    assert by_script["one"]["state"] == "cancelled"
    assert {by_script[name]["hook"] for name in by_script if name != "one"} == {"kept"}
    assert refold_records(batch_of(three, "tech")) == {"tech": 3}
