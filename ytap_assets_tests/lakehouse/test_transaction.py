"""What one commit does: replace a range, add what is new, number it; or nothing at all."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.checks import PublishRefusedError, Scope, check_rows
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.inspection import inspect_lake
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run, split_parts
from ytap_assets_tests.databases import attach_plainly, change_catalog
from ytap_assets_tests.effort import examples
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    LOGS,
    LOOKS,
    MARKS,
    NOTES,
    RUN,
    SIGHTINGS,
    append,
    days,
    logs,
    looks,
    marks,
    notes,
    one_day,
    publish,
    sightings,
)


def _versions(lake: Lake, workspace: str) -> list[tuple[object, ...]]:
    rows = lake.reader(workspace).read(NOTES, columns=["day", "note_id", "version"])
    return sorted((day.day, name, version) for day, name, version in rows.rows())


def test_a_publish_replaces_its_day_and_nothing_else(shared_lake: Lake, workspace: str) -> None:
    scope = Scope(workspace, *days(2))
    publish(shared_lake, NOTES, notes(workspace, days(2), "ab", version=1), scope)
    publish(
        shared_lake, NOTES, notes(f"{workspace}x", [DAY], "a", version=1), one_day(f"{workspace}x")
    )
    publish(shared_lake, NOTES, notes(workspace, [DAY], "bc", version=2), one_day(workspace))
    assert _versions(shared_lake, workspace) == [
        (1, "b", 2),
        (1, "c", 2),
        (2, "a", 1),
        (2, "b", 1),
    ]
    assert _versions(shared_lake, f"{workspace}x") == [(1, "a", 1)]


def test_a_range_is_published_in_one_commit(shared_lake: Lake, workspace: str) -> None:
    span = days(4)
    publish(
        shared_lake,
        NOTES,
        notes(workspace, span, "a", version=1),
        Scope(workspace, span[0], span[3]),
    )
    before = shared_lake.snapshot_id()
    with shared_lake.write(RUN) as transaction:
        gap = notes(workspace, [span[2]], "a", version=2)
        replaced = transaction.publish_all(
            [check_rows(NOTES, gap, Scope(workspace, span[1], span[2]))]
        )
    assert replaced == 2
    assert shared_lake.snapshot_id() == before + 1
    assert _versions(shared_lake, workspace) == [(1, "a", 1), (3, "a", 2), (4, "a", 1)]


def test_an_empty_frame_clears_its_partition(shared_lake: Lake, workspace: str) -> None:
    publish(shared_lake, NOTES, notes(workspace, days(2), "a"), Scope(workspace, *days(2)))
    publish(shared_lake, NOTES, NOTES.empty(), one_day(workspace))
    assert [day for day, _, _ in _versions(shared_lake, workspace)] == [2]


def test_a_whole_history_is_replaced_whole(shared_lake: Lake, workspace: str) -> None:
    publish(shared_lake, MARKS, marks(workspace, a=1, b=2), Scope(workspace))
    publish(shared_lake, MARKS, marks(workspace, b=3), Scope(workspace))
    assert shared_lake.reader(workspace).read(MARKS).rows() == [(workspace, "b", 3)]


@pytest.mark.parametrize(
    "frame",
    [
        notes("{}", [DAY], "a").with_columns(pl.col("version").cast(pl.String)),
        notes("{}", [DAY], "a").drop("tags"),
        notes("{}", [DAY], "a").with_columns(more=1),
        notes("{}", [DAY], "aa"),
        notes("{}", days(2), "a"),
        notes("other", [DAY], "a"),
        NOTES.frame([{"workspace_id": "{}", "day": DAY}]),
        notes("{}", [DAY], "a", weight=float("nan")),
    ],
    ids=["type", "missing", "extra", "twice", "other day", "other workspace", "null key", "nan"],
)
def test_after_a_refusal_the_previous_rows_are_readable(
    shared_lake: Lake, workspace: str, frame: pl.DataFrame
) -> None:
    good = notes(workspace, [DAY], "ab", version=1)
    publish(shared_lake, NOTES, good, one_day(workspace))
    before = shared_lake.snapshot_id()
    bad = frame.with_columns(pl.col("workspace_id").replace("{}", workspace))
    with pytest.raises(PublishRefusedError, match="the previous rows are unchanged"):
        publish(shared_lake, NOTES, bad, one_day(workspace))
    assert shared_lake.snapshot_id() == before
    assert_frame_equal(shared_lake.reader(workspace).read(NOTES), good, check_row_order=False)


def test_reordered_columns_land_where_they_belong(shared_lake: Lake, workspace: str) -> None:
    frame = notes(workspace, [DAY], "a", version=1, weight=2.0, is_read=True, tags=["x"])
    publish(shared_lake, NOTES, frame.select(reversed(frame.columns)), one_day(workspace))
    assert_frame_equal(shared_lake.reader(workspace).read(NOTES), frame)


def test_an_exception_undoes_everything_in_the_transaction(
    shared_lake: Lake, workspace: str
) -> None:
    def fail_halfway() -> None:
        with shared_lake.write(RUN) as transaction:
            transaction.publish_all([check_rows(MARKS, marks(workspace, a=1), Scope(workspace))])
            transaction.append(check_rows(LOGS, logs(workspace, "a"), Scope(workspace)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_halfway()
    reader = shared_lake.reader(workspace)
    assert (reader.read(MARKS).height, reader.read(LOGS).height) == (0, 0)
    publish(shared_lake, MARKS, marks(workspace, b=2), Scope(workspace))
    assert reader.read(MARKS).height == 1


def test_a_statement_that_fails_is_told_by_its_own_error(shared_lake: Lake, workspace: str) -> None:
    missing = replace(MARKS, name="no_such_table")
    rows = check_rows(missing, marks(workspace, a=1), Scope(workspace))
    with pytest.raises(duckdb.CatalogException), shared_lake.write(RUN) as transaction:
        transaction.publish_all([rows])


def test_two_tables_change_in_one_commit(shared_lake: Lake, workspace: str) -> None:
    before = shared_lake.snapshot_id()
    with shared_lake.write(RUN) as transaction:
        transaction.publish_all([check_rows(MARKS, marks(workspace, a=1), Scope(workspace))])
        transaction.append(check_rows(LOGS, logs(workspace, "a"), Scope(workspace)))
    assert transaction.snapshot_id == before + 1
    old = shared_lake.reader(workspace, as_of=before)
    assert (old.read(MARKS).height, old.read(LOGS).height) == (0, 0)


def test_an_append_takes_what_is_new_and_counts_the_rest(shared_lake: Lake, workspace: str) -> None:
    first = append(
        shared_lake, SIGHTINGS, sightings(workspace, [(DAY, "a"), (DAY, "b")]), workspace
    )
    assert (first.accepted.height, first.duplicates.height) == (2, 0)
    again = sightings(workspace, [(DAY, "b"), (DAY, "c"), (DAY, "c")], title="later")
    second = append(shared_lake, SIGHTINGS, again, workspace)
    assert second.accepted.rows() == [(workspace, DAY, "c", "later")]
    assert second.duplicates.get_column("item_id").to_list() == ["b", "c"]
    stored = shared_lake.reader(workspace).read(SIGHTINGS, columns=["item_id", "title"])
    assert sorted(stored.rows()) == [("a", None), ("b", None), ("c", "later")]


def test_a_key_stored_under_another_day_is_a_duplicate(shared_lake: Lake, workspace: str) -> None:
    first, second = days(2)
    append(shared_lake, SIGHTINGS, sightings(workspace, [(first, "a")]), workspace)
    again = append(shared_lake, SIGHTINGS, sightings(workspace, [(second, "a")]), workspace)
    assert (again.accepted.height, again.duplicates.height) == (0, 1)


def test_another_workspaces_key_is_no_duplicate(shared_lake: Lake, workspace: str) -> None:
    append(shared_lake, SIGHTINGS, sightings(workspace, [(DAY, "a")]), workspace)
    other = f"{workspace}x"
    assert append(shared_lake, SIGHTINGS, sightings(other, [(DAY, "a")]), other).accepted.height


@pytest.mark.parametrize(
    "key", ["a\x00b", "\x00", "a'; --", "é" * 300, "x" * 5000, "", "\U0010ffff"]
)
def test_hostile_keys_are_found_again(shared_lake: Lake, workspace: str, key: str) -> None:
    frame = sightings(workspace, [(DAY, key), (DAY, "between"), (DAY, "\x00z")])
    assert append(shared_lake, SIGHTINGS, frame, workspace).accepted.height == 3
    again = append(shared_lake, SIGHTINGS, frame.head(1), workspace)
    assert (again.accepted.height, again.duplicates.height) == (0, 1)


def test_a_log_is_numbered_in_the_order_of_commits_over_all_workspaces(lake: Lake) -> None:
    append(lake, LOGS, logs("tech", "ab"), "tech")
    append(lake, LOGS, logs("fitness", "c"), "fitness")
    with lake.write(RUN) as transaction:
        transaction.append(check_rows(LOGS, logs("tech", "bde"), Scope("tech")))
        transaction.append(check_rows(LOGS, logs("fitness", "f"), Scope("fitness")))
    rows = lake.cross_reader().read_across(LOGS, columns=["seq", "log_id"]).sort("seq")
    assert rows.rows() == [(1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"), (6, "f")]


def _seqs(lake: Lake) -> dict[str, int]:
    rows = lake.cross_reader().read_across(LOGS, columns=["log_id", "seq"])
    return dict(rows.iter_rows())


def test_two_appends_of_a_commit_are_numbered_on(lake: Lake) -> None:
    with lake.write(RUN) as transaction:
        for name in ("a", "b", "b"):
            transaction.append(check_rows(LOGS, logs("tech", [name]), Scope("tech")))
    append(lake, LOGS, logs("tech", ["c"]), "tech")
    assert _seqs(lake) == {"a": 1, "b": 2, "c": 3}


def test_the_last_number_is_known_without_reading_the_files(lake: Lake) -> None:
    append(lake, LOGS, logs("art", ["a", "b"]), "art")
    for file in lake.settings.data_path.rglob("*.parquet"):
        file.unlink()
    assert append(lake, LOGS, logs("tech", ["c"]), "tech").accepted["seq"].to_list() == [3]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ducklake_table_column_stats",
        "UPDATE ducklake_table_column_stats SET max_value = NULL",
    ],
)
def test_rows_without_statistics_are_read_for_the_last_number(lake: Lake, change: str) -> None:
    append(lake, LOGS, logs("art", ["a", "b"]), "art")
    change_catalog(lake.settings, change)
    append(lake, LOGS, logs("tech", ["c"]), "tech")
    assert _seqs(lake) == {"a": 1, "b": 2, "c": 3}


def _write_elsewhere(lake: Lake, *statements: str) -> None:
    """What a program does that attached the lake with options of its own: rows in the catalog."""
    with closing(attach(lake.settings, read_only=False)) as writer:
        writer.execute("CALL lake.set_option('data_inlining_row_limit', 10)")
        writer.execute("USE memory; DETACH lake")
        writer.execute(attach_plainly(lake.settings))
        for statement in statements:
            writer.execute(statement)


@pytest.mark.folder
def test_numbers_go_on_after_whatever_became_of_the_rows(lake: Lake) -> None:
    append(lake, LOGS, logs("tech", "abc"), "tech")
    append(lake, LOGS, logs("art", "de"), "art")
    _write_elsewhere(
        lake,
        "INSERT INTO lake.logs BY NAME SELECT 'art' AS workspace_id, 'f' AS log_id, 6 AS seq,"
        " 's' AS subject",
    )
    with inspect_lake(lake.settings) as inspection:
        assert inspection.inlined_rows() == {"logs": 1}
    append(lake, LOGS, logs("tech", "g"), "tech")
    assert _seqs(lake) == {name: number for number, name in enumerate("abcdefg", start=1)}
    _write_elsewhere(
        lake,
        "DELETE FROM lake.logs WHERE log_id IN ('a', 'b', 'e')",
        "CALL ducklake_rewrite_data_files('lake', delete_threshold => 0.0)",
        "CALL ducklake_merge_adjacent_files('lake')",
    )
    append(lake, LOGS, logs("tech", "h"), "tech")
    assert _seqs(lake) == {"c": 3, "d": 4, "f": 6, "g": 7, "h": 8}


def test_what_a_transaction_reads_holds_at_its_commit(lake: Lake) -> None:
    append(lake, LOGS, logs("tech", "a", left=1), "tech")
    with lake.write(RUN) as transaction:
        transaction.append(check_rows(LOGS, logs("tech", "b", left=2), Scope("tech")))
        inside = transaction.reader("tech").read(LOGS, wanted={"log_id": ["b"]})
        assert inside.get_column("left").to_list() == [2]
        assert transaction.cross_reader().read_across(LOGS).height == 2
        assert lake.reader("tech").read(LOGS).height == 1


def test_tables_are_written_in_their_own_way_only(shared_lake: Lake, workspace: str) -> None:
    log = check_rows(LOGS, logs(workspace, "a"), Scope(workspace))
    mark = check_rows(MARKS, marks(workspace, a=1), Scope(workspace))
    with (
        pytest.raises(ValueError, match="logs is append-only"),
        shared_lake.write(RUN) as transaction,
    ):
        transaction.publish_all([log])
    with (
        pytest.raises(ValueError, match="marks is derived"),
        shared_lake.write(RUN) as transaction,
    ):
        transaction.append(mark)


def test_retention_deletes_old_days_of_the_named_workspaces(
    shared_lake: Lake, workspace: str
) -> None:
    named, other = [workspace, f"{workspace}y"], f"{workspace}x"
    for name in (*named, other):
        append(shared_lake, SIGHTINGS, sightings(name, [(day, str(day)) for day in days(3)]), name)
    with shared_lake.write(RUN) as transaction:
        deleted = transaction.delete_before(SIGHTINGS, named, days(3)[2])
    assert deleted == 4
    for name in named:
        rows = shared_lake.reader(name).read(SIGHTINGS)
        assert rows.get_column("day").to_list() == [days(3)[2]]
    assert shared_lake.reader(other).read(SIGHTINGS).height == 3


def test_every_snapshot_names_its_run_and_what_it_wrote(lake: Lake) -> None:
    run = Run("run-7", "dagster", "materialize notes")
    with lake.write(run) as transaction:
        transaction.publish_all([check_rows(NOTES, notes("tech", [DAY], "a"), one_day("tech"))])
        transaction.append(check_rows(LOGS, logs("tech", "a"), Scope("tech")))
    named = lake.snapshots().filter(pl.col("snapshot_id") == transaction.snapshot_id)
    assert named.select("author", "commit_message", "run_id", "commit_extra_info").rows() == [
        (
            "dagster",
            "materialize notes",
            "run-7",
            f'{{"run_id": "run-7", "commit_id": "{transaction.commit_id}",'
            ' "wrote": ["notes tech 2026-11-01", "logs tech"]}',
        )
    ]


def test_no_snapshot_is_nobodys(lake: Lake) -> None:
    publish(lake, NOTES, notes("tech", [DAY], "a"), one_day("tech"))
    append(lake, LOGS, logs("tech", "a"), "tech")
    made = lake.snapshots().filter(pl.col("snapshot_id") > 0)  # 0 is the catalog as it was made
    assert made.height >= 3
    assert made.select("author", "commit_message", "run_id").null_count().row(0) == (0, 0, 0)


def test_hostile_words_in_a_runs_name_are_kept_as_they_are(lake: Lake) -> None:
    run = Run("r'); DROP TABLE lake.notes; --", 'a"\n', "w'\x1b")
    with lake.write(run) as transaction:
        transaction.publish_all([check_rows(NOTES, notes("tech", [DAY], "a"), one_day("tech"))])
    [last] = lake.snapshots().tail(1).select("run_id", "author", "commit_message").rows()
    assert last == (run.run_id, run.actor, run.what)


def test_a_commit_that_changes_nothing_tells_the_snapshot_that_was_there(lake: Lake) -> None:
    append(lake, LOGS, logs("tech", "a"), "tech")
    before = lake.snapshot_id()
    rows = check_rows(LOGS, logs("tech", "a"), Scope("tech"))
    with lake.write(RUN) as transaction:
        assert transaction.append(rows).accepted.is_empty()
    assert transaction.snapshot_id == lake.snapshot_id() == before


@pytest.mark.folder
def test_rows_are_stored_in_the_declared_order(shared_lake: Lake, workspace: str) -> None:
    frame = notes(workspace, reversed(days(3)), ["c", "a", "b"])
    publish(shared_lake, NOTES, frame, Scope(workspace, days(3)[0], days(3)[2]))
    [file] = shared_lake.settings.data_path.glob(f"**/workspace_id={workspace}/*.parquet")
    stored = pl.read_parquet(file, columns=["day", "note_id"])
    assert_frame_equal(stored, frame.select("day", "note_id").sort("day", "note_id"))


def _parts(lake: Lake, workspace: str) -> list[tuple[object, ...]]:
    rows = lake.reader(workspace).read(LOOKS, columns=["list_name", "part", "views", "region"])
    return rows.sort("list_name", "part").rows()


@pytest.mark.parametrize("in_one_frame", [True, False])
@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        ({"views": 1}, {"views": 1}, [("", 0, 1, None)]),
        ({"views": 1}, {}, [("", 0, 1, None)]),
        ({"views": 1}, {"day": DAY.replace(day=2), "collection_id": "d"}, [("", 0, 1, None)]),
        ({}, {"views": 1}, [("", 0, None, None), ("", 1, 1, None)]),
        ({"views": 1}, {"region": "US"}, [("", 0, 1, None), ("", 1, None, "US")]),
        ({"views": 1}, {"views": 2}, [("", 0, 1, None), ("", 1, 2, None)]),
        (
            {"list_name": "x", "views": 1},
            {"list_name": "y", "views": 1},
            [("x", 0, 1, None), ("y", 0, 1, None)],
        ),
    ],
    ids=["same", "less", "same elsewhere", "more", "other", "contrary", "another list"],
)
def test_what_says_nothing_new_is_a_duplicate_and_all_else_is_stored(
    shared_lake: Lake,
    workspace: str,
    first: dict[str, object],
    second: dict[str, object],
    left: list[tuple[object, ...]],
    *,
    in_one_frame: bool,
) -> None:
    frames = [looks(workspace, first, second)]
    if not in_one_frame:
        frames = [looks(workspace, first), looks(workspace, second)]
    appended = [append(shared_lake, LOOKS, frame, workspace) for frame in frames]
    assert _parts(shared_lake, workspace) == left
    assert sum(one.accepted.height for one in appended) == len(left)
    assert sum(one.duplicates.height for one in appended) == 2 - len(left)


def test_values_of_different_rows_are_not_taken_for_one(shared_lake: Lake, workspace: str) -> None:
    seen = [{"views": 1, "region": "US"}, {"views": 2, "region": "CA"}]
    append(shared_lake, LOOKS, looks(workspace, *seen), workspace)
    crossed = looks(workspace, {"views": 2, "region": "US"}, *seen)
    appended = append(shared_lake, LOOKS, crossed, workspace)
    assert (appended.accepted["part"].to_list(), appended.duplicates.height) == ([2], 2)


def test_a_second_place_in_one_list_says_nothing_more(shared_lake: Lake, workspace: str) -> None:
    twice: list[dict[str, object]] = [
        {"rank": 1, "views": 5},
        {"rank": 9},
        {"rank": 9, "region": "US"},
    ]
    other: list[dict[str, object]] = [{"rank": 2, "views": 5, "collection_id": "d"}]
    appended = [
        append(shared_lake, LOOKS, looks(workspace, *seen), workspace) for seen in (twice, other)
    ]
    assert [one.accepted["rank"].to_list() for one in appended] == [[1, 9], [2]]
    assert appended[0].duplicates["rank"].to_list() == [9]
    again = append(shared_lake, LOOKS, looks(workspace, *twice, *other), workspace)
    assert again.accepted.is_empty()


def test_a_row_older_than_lists_stands_for_any_list(shared_lake: Lake, workspace: str) -> None:
    append(shared_lake, LOOKS, looks(workspace, {"views": 1, "region": "US"}), workspace)
    again = [{"list_name": name, "views": 1, "region": "US"} for name in "xy"]
    assert append(shared_lake, LOOKS, looks(workspace, *again), workspace).accepted.is_empty()
    more = [{"list_name": "x", "views": 1, "region": "CA"}, {"list_name": "y", "views": 5}]
    append(shared_lake, LOOKS, looks(workspace, *more), workspace)
    assert _parts(shared_lake, workspace) == [
        ("", 0, 1, "US"),
        ("x", 0, 1, "CA"),
        ("y", 0, 5, None),
    ]


_VALUES = st.sampled_from([None, 1, 2])
_SEEN = st.fixed_dictionaries(
    {
        "item_id": st.sampled_from("ab"),
        "list_name": st.sampled_from(["", "x", "y"]),
        "title": st.sampled_from([None, "t", "u"]),
        "views": _VALUES,
        "region": st.sampled_from([None, "US", "CA"]),
    }
)


@settings(max_examples=examples(40))
@given(stored=st.lists(_SEEN, max_size=6), incoming=st.lists(_SEEN, max_size=6))
def test_every_row_is_said_by_a_stored_one_and_none_is_stored_twice(
    stored: list[dict[str, object]], incoming: list[dict[str, object]]
) -> None:
    known = split_parts(LOOKS, looks("w", *stored), looks("w")).accepted
    first = split_parts(LOOKS, looks("w", *incoming), known)
    assert first.accepted.height + first.duplicates.height == len(incoming)
    kept = pl.concat([known, first.accepted])
    assert kept.select(LOOKS.key).is_unique().all()
    for row in [*stored, *incoming]:
        said = {
            name: value
            for name, value in row.items()
            if value is not None and name not in {"item_id", "list_name"}
        }
        lists = ["", str(row["list_name"])]
        same = kept.filter(pl.col("list_name").is_in(lists), item_id=row["item_id"])
        assert not same.filter(**said).is_empty()
    again = split_parts(LOOKS, looks("w", *incoming), kept)
    assert again.accepted.is_empty()


def test_whole_histories_of_many_workspaces_are_replaced_together(
    shared_lake: Lake, workspace: str
) -> None:
    names = [f"{workspace}-{number}" for number in range(3)]
    publish(shared_lake, MARKS, marks(names[0], a=1, b=2), Scope(names[0]))
    publish(shared_lake, MARKS, marks(names[2], z=9), Scope(names[2]))
    parts = [check_rows(MARKS, marks(name, c=3), Scope(name)) for name in names[:2]]
    before = shared_lake.snapshot_id()
    with shared_lake.write(RUN) as transaction:
        transaction.publish_all(parts)
        transaction.publish_all([])
    assert shared_lake.snapshot_id() == before + 1
    stored = [shared_lake.reader(name).read(MARKS)["mark_id"].to_list() for name in names]
    assert stored == [["c"], ["c"], ["z"]]


def test_several_ranges_of_days_are_replaced_together(shared_lake: Lake, workspace: str) -> None:
    names, days = [f"{workspace}-{number}" for number in range(3)], [DAY, DAY + timedelta(days=1)]
    for name in names:
        publish(shared_lake, NOTES, notes(name, days, "a"), Scope(name, *days))
    scopes = [Scope(names[0], *days), one_day(names[1])]
    parts = [
        check_rows(NOTES, notes(scopes[0].workspace_id, days, "b"), scopes[0]),
        check_rows(NOTES, notes(scopes[1].workspace_id, [DAY], "b"), scopes[1]),
    ]
    with shared_lake.write(RUN) as transaction:
        removed = transaction.publish_all(parts)
    stored = {name: shared_lake.reader(name).read(NOTES).sort("day") for name in names}
    assert removed == 3
    assert [stored[name]["note_id"].to_list() for name in names] == [
        ["b", "b"],
        ["b", "a"],
        ["a", "a"],
    ]


def test_single_rows_are_replaced_and_all_others_stay(shared_lake: Lake, workspace: str) -> None:
    names = [f"{workspace}-{number}" for number in range(3)]
    for name in names:
        publish(shared_lake, MARKS, marks(name, a=1, b=2, c=3), Scope(name))
    parts = [check_rows(MARKS, marks(name, b=7), Scope(name)) for name in names[:2]]
    keys = pl.DataFrame(
        {"workspace_id": [*names[:2], names[1]], "mark_id": ["b", "b", "c"]}
    )  # the third row goes, and none comes for it
    before = shared_lake.snapshot_id()
    with shared_lake.write(RUN) as transaction:
        transaction.replace_all(parts, keys)
    assert shared_lake.snapshot_id() == before + 1
    now, then = (
        [
            shared_lake.reader(name, as_of=snapshot).read(MARKS).sort("mark_id")["value"].to_list()
            for name in names
        ]
        for snapshot in (None, before)
    )
    assert now == [[1, 7, 3], [1, 7], [1, 2, 3]]
    assert then == [[1, 2, 3]] * 3


@pytest.mark.parametrize("key", ["'; --", "a\x00b", "é" * 10, " "])
def test_rows_with_hostile_keys_are_replaced(shared_lake: Lake, workspace: str, key: str) -> None:
    publish(shared_lake, MARKS, marks(workspace, **{"a": 1, key: 2, "z": 3}), Scope(workspace))
    rows = check_rows(MARKS, marks(workspace, **{key: 5}), Scope(workspace))
    with shared_lake.write(RUN) as transaction:
        transaction.replace_all([rows], rows.frame)
    stored = shared_lake.reader(workspace).read(MARKS)
    assert dict(stored.select("mark_id", "value").iter_rows()) == {"a": 1, key: 5, "z": 3}


def test_what_cannot_be_replaced_by_row_is_refused(shared_lake: Lake, workspace: str) -> None:
    keys = pl.DataFrame({"workspace_id": [workspace], "mark_id": ["a"]})
    own = check_rows(MARKS, marks(workspace, b=1), Scope(workspace))
    log = check_rows(LOGS, logs(workspace, "a"), Scope(workspace))
    day = check_rows(NOTES, notes(workspace, [DAY], "a", version=1), one_day(workspace))
    with (
        pytest.raises(ValueError, match="not among the replaced keys"),
        shared_lake.write(RUN) as write,
    ):
        write.replace_all([own], keys)
    for rows in (log, day):
        with pytest.raises(ValueError, match="row by row"), shared_lake.write(RUN) as write:
            write.replace_all([rows], keys)


def test_a_statement_takes_parts_of_one_derived_table(shared_lake: Lake, workspace: str) -> None:
    own = check_rows(MARKS, marks(workspace, c=3), Scope(workspace))
    other = check_rows(NOTES, notes(workspace, [DAY], "a", version=1), one_day(workspace))
    with pytest.raises(ValueError, match="different tables"), shared_lake.write(RUN) as write:
        write.publish_all([own, other])


def test_several_workspaces_rows_are_appended_together(shared_lake: Lake, workspace: str) -> None:
    one, other = f"{workspace}-1", f"{workspace}-2"
    append(shared_lake, LOGS, logs(one, "a"), one)
    parts = [
        check_rows(LOGS, logs(one, "abb"), Scope(one)),
        check_rows(LOGS, logs(other, "a"), Scope(other)),
    ]
    with shared_lake.write(RUN) as transaction:
        first, second = transaction.append_all(parts)
    assert (first.accepted["log_id"].to_list(), first.duplicates["log_id"].to_list()) == (
        ["b"],
        ["a", "b"],
    )
    assert second.accepted["log_id"].to_list() == ["a"]
    stored = shared_lake.batch_reader([one, other]).read(LOGS)
    assert stored["seq"].n_unique() == stored.height == 3


def test_a_workspaces_rows_are_appended_as_one_part(shared_lake: Lake, workspace: str) -> None:
    parts = [check_rows(LOGS, logs(workspace, name), Scope(workspace)) for name in "ab"]
    with pytest.raises(ValueError, match="one part"), shared_lake.write(RUN) as transaction:
        transaction.append_all(parts)
