"""Schemas evolve: what is added reaches the lake, what would lose data is refused."""

from __future__ import annotations

import json
import re
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from polars.testing import assert_frame_equal

from ytap_assets.lakehouse.checks import check_key
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.errors import SchemaConflictError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.maintenance import maintain
from ytap_assets.lakehouse.schema import SchemaChange
from ytap_assets.settings import Settings
from ytap_assets.tables import RAW_TRENDS, TABLES, Table
from ytap_assets.tables.base import (
    Bool,
    Day,
    Float,
    Instant,
    Int,
    Rows,
    Text,
    Texts,
    column,
)
from ytap_assets_tests.databases import attach_plainly, change_catalog
from ytap_assets_tests.lakehouse.samples import (
    DAY,
    RUN,
    SAMPLES,
    SIGHTINGS,
    append,
    sightings,
)


class GrownSightings(Rows):
    """What was seen on a day, and what is known about it by now."""

    day: Day = column("The UTC date.")
    item_id: Text = column("What it's called; it's the key.")
    title: Text = column("Its title.", null=True)
    language: Text = column("Its language.", default="it's en")
    score: Float = column("Its score.", default=-1.5)
    rank: Int = column("Its rank.", default=7)
    is_new: Bool = column("Whether it was new.", default=True)
    is_gone: Bool = column("Whether it has gone.", default=False)
    seen_at: Instant = column("When it was seen.", null=True)
    tags: Texts = column("Its tags.", null=True)


class RetypedSightings(Rows):
    """Sightings whose title became a number."""

    day: Day = column("The UTC date.")
    item_id: Text = column("Names the sighting.")
    title: Int = column("Its title.", null=True)


class ShrunkSightings(Rows):
    """Sightings that lost their title."""

    day: Day = column("The UTC date.")
    item_id: Text = column("Names the sighting.")


class RenamedSightings(Rows):
    """Sightings whose columns have other names."""

    day: Day = column("The UTC date.")
    thing_id: Text = column("Names the thing.", renamed_from=("item_id",))
    score: Float = column("Its score.", default=0.5)
    headline: Text = column("Its title.", null=True, renamed_from=("heading", "title"))


class StrictSightings(Rows):
    """Sightings of which something must be known that old ones don't know."""

    day: Day = column("The UTC date.")
    item_id: Text = column("Names the sighting.")
    title: Text = column("Its title.", null=True)
    score: Float = column("Its score.")


GROWN = replace(SIGHTINGS, model=GrownSightings)
RENAMED = replace(
    SIGHTINGS,
    model=RenamedSightings,
    key=("workspace_id", "thing_id"),
    sort_by=("day", "thing_id"),
)
NEW_CELLS = {
    "language": "it's en",
    "score": -1.5,
    "rank": 7,
    "is_new": True,
    "is_gone": False,
    "seen_at": None,
    "tags": None,
}


class FormerTrends(Rows):
    """One observation of one item that a source showed a workspace. Append-only."""

    day: Day = column("The UTC date of the observation.")
    source: Text = column("The platform.")
    item_id: Text = column("The item's id on its platform.", str_length={"min_value": 1})
    observed_at: Instant = column("When we looked.")
    title: Text = column("The title.")
    url: Text = column("What the item links to.", null=True)
    discussion_url: Text = column("The item's page on its platform.", null=True)
    published_at: Instant = column("When the item was published.", null=True)
    points: Int = column("Upvotes.", null=True)
    comments: Int = column("Comments.", null=True)
    likes: Int = column("Likes.", null=True)
    views: Int = column("Views.", null=True)
    rank: Int = column("Position in the list it was seen in.", null=True)
    region: Text = column("ISO 3166 country of the list.", null=True)
    category: Text = column("Subreddit, chart, or category of the list.", null=True)
    channel_id: Text = column("The publishing channel's id.", null=True)
    channel_title: Text = column("The publishing channel's name.", null=True)
    duration_s: Int = column("Length in seconds.", null=True)
    is_promoted: Bool = column("Stickied, pinned or paid for.", null=True)
    collection_id: Text = column("The entry of collection_log that brought it.")


FORMER_TRENDS = Table(
    name="raw_trends",
    model=FormerTrends,
    key=("workspace_id", "source", "item_id", "observed_at"),
    grain="workspace_day",
    mode="append",
    group="trends",
    sort_by=("day", "source", "item_id"),
)
"""As it was declared before a list was part of what is observed."""


def _evolve(lake: Lake, table: Table) -> list[SchemaChange]:
    return lake.evolve({table.name: table})


def _describe(lake: Lake) -> dict[str, list[tuple[object, ...]]]:
    """The stored tables, columns, comments and options."""
    with lake.cursor() as cursor:
        return {
            question: cursor.execute(question).fetchall()
            for question in (
                "SELECT table_name, comment FROM duckdb_tables() ORDER BY ALL",
                "SELECT table_name, column_index, column_name, data_type, comment, column_default"
                " FROM duckdb_columns() WHERE database_name = 'lake' ORDER BY ALL",
                "SELECT option_name, value FROM ducklake_options('lake') ORDER BY ALL",
            )
        }


def test_every_table_is_made_with_its_comments_and_order(empty_settings: Settings) -> None:
    with Lake.create(empty_settings) as lake:
        assert lake.evolve(TABLES) == []
        with lake.cursor() as cursor:
            tables = cursor.execute(
                "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'lake'"
            ).fetchall()
            columns = cursor.execute(
                "SELECT table_name, column_name, comment FROM duckdb_columns()"
                " WHERE database_name = 'lake'"
            ).fetchall()
        assert dict(tables) == {name: table.description for name, table in TABLES.items()}
        assert {(table, name): comment for table, name, comment in columns} == {
            (name, one.name): one.comment for name, table in TABLES.items() for one in table.columns
        }
        for table in TABLES.values():
            assert lake.cross_reader().read_across(table).schema == table.schema


def test_new_columns_are_added_and_old_rows_read_their_defaults(lake: Lake) -> None:
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "old")], title="t"), "tech")
    assert _evolve(lake, GROWN) != []
    assert _evolve(lake, GROWN) == []
    [row] = lake.reader("tech").read(GROWN).to_dicts()
    old = {"workspace_id": "tech", "day": DAY, "item_id": "old", "title": "t"}
    assert row == {**old, **NEW_CELLS}
    assert lake.reader("tech").read(GROWN, wanted={"language": ["it's en"]}).height == 1
    assert lake.reader("tech").read(GROWN, wanted={"language": ["de"]}).is_empty()


def _headlines(*rows: tuple[str, str]) -> list[dict[str, object]]:
    base = {"workspace_id": "tech", "day": DAY, "score": 0.5}
    return [{**base, "thing_id": item, "headline": title} for item, title in rows]


def test_a_renamed_column_keeps_its_rows_and_old_snapshots_are_readable(lake: Lake) -> None:
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "a")], title="one"), "tech")
    old = lake.snapshot_id()
    assert _evolve(lake, RENAMED) != []
    assert _evolve(lake, RENAMED) == []
    assert lake.reader("tech").read(RENAMED).to_dicts() == _headlines(("a", "one"))
    again = RENAMED.frame(_headlines(("a", "again"), ("b", "two")))
    assert append(lake, RENAMED, again, "tech").duplicates["thing_id"].to_list() == ["a"]
    both = _headlines(("a", "one"), ("b", "two"))
    for _ in range(2):
        stored = lake.reader("tech").read(RENAMED).sort("thing_id")
        assert stored.to_dicts() == both
        assert check_key(RENAMED, stored, is_stored=True).passed
        past = lake.reader("tech", as_of=old)
        assert past.read(RENAMED).to_dicts() == _headlines(("a", "one"))
        assert past.read(RENAMED, wanted={"headline": ["one"]}).height == 1
        assert past.read(RENAMED, wanted={"headline": ["two"]}).is_empty()
        # What was declared then reads the snapshot as it did.
        assert past.read(SIGHTINGS)["title"].to_list() == ["one"]
        maintain(lake, datetime.now(UTC), RUN)
    with lake.cursor() as cursor:
        tables = lake.catalog.tables
        [(order,)] = cursor.execute(
            "SELECT string_agg(expression, ', ' ORDER BY sort_key_index)"
            f" FROM {tables}.ducklake_sort_expression"
            f" JOIN {tables}.ducklake_sort_info USING (sort_id, table_id)"
            f" JOIN {tables}.ducklake_table t USING (table_id)"
            " WHERE t.table_name = 'sightings' AND ducklake_sort_info.end_snapshot IS NULL"
        ).fetchall()
    assert order.replace('"', "") == "day, thing_id"


def test_a_column_renamed_twice_is_found_under_its_latest_former_name(lake: Lake) -> None:
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "a")], title="one"), "tech")
    snapshots = [lake.snapshot_id()]
    with lake.write(RUN), lake.cursor() as cursor:
        cursor.execute("ALTER TABLE lake.sightings RENAME COLUMN title TO heading")
    snapshots.append(lake.snapshot_id())
    _evolve(lake, RENAMED)
    for snapshot in (*snapshots, None):
        rows = lake.reader("tech", as_of=snapshot).read(RENAMED)
        assert rows.to_dicts() == _headlines(("a", "one"))


def test_a_column_beside_its_former_self_is_refused(lake: Lake) -> None:
    with lake.write(RUN), lake.cursor() as cursor:
        cursor.execute("ALTER TABLE lake.sightings ADD COLUMN headline VARCHAR")
    with pytest.raises(SchemaConflictError, match=r"sightings\.title is in the lake"):
        _evolve(lake, RENAMED)


def test_a_renamed_column_of_another_type_is_refused(lake: Lake) -> None:
    class Numbered(Rows):
        """Sightings whose title became a number under another name."""

        day: Day = column("The UTC date.")
        item_id: Text = column("Names the sighting.")
        number: Int = column("Its number.", null=True, renamed_from=("title",))

    with pytest.raises(SchemaConflictError, match=r"sightings\.number is VARCHAR in the lake"):
        _evolve(lake, replace(SIGHTINGS, model=Numbered))


@pytest.mark.parametrize("table", [GROWN, RENAMED, replace(GROWN, name="others")])
def test_every_change_can_be_undone(lake: Lake, table: Table) -> None:
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "a")], title="one"), "tech")
    before, rows = _describe(lake), lake.reader("tech").read(SIGHTINGS)
    changes = _evolve(lake, table)
    assert _describe(lake) != before
    recorded = lake.snapshots()["commit_extra_info"].to_list()[-1]
    assert json.loads(recorded)["undo"] == [change.undo for change in reversed(changes)]
    with lake.cursor() as cursor:
        for change in reversed(changes):
            cursor.execute(change.undo)
    assert _describe(lake) == before
    assert_frame_equal(lake.reader("tech").read(SIGHTINGS), rows)


def test_old_rows_keep_their_defaults_when_files_are_merged(lake: Lake) -> None:
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "old")]), "tech")
    _evolve(lake, GROWN)
    new = GROWN.frame([{"workspace_id": "tech", "day": DAY, "item_id": "new", **NEW_CELLS}])
    append(lake, GROWN, new.with_columns(rank=1), "tech")
    maintain(lake, datetime.now(UTC), RUN)
    rows = lake.reader("tech").read(GROWN).sort("item_id")
    assert rows.select("item_id", "rank").rows() == [("new", 1), ("old", 7)]


def test_a_process_with_the_old_declaration_can_still_write(lake: Lake) -> None:
    _evolve(lake, GROWN)
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "late")]), "tech")
    [row] = lake.reader("tech").read(GROWN).to_dicts()
    assert {name: row[name] for name in NEW_CELLS} == NEW_CELLS


def test_snapshots_from_before_a_column_are_readable(lake: Lake) -> None:
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "old")]), "tech")
    before = lake.snapshot_id()
    _evolve(lake, GROWN)
    append(lake, GROWN, GROWN.frame([_grown_row("new", rank=1)]), "tech")
    old = lake.reader("tech", as_of=before)
    assert old.read(GROWN).to_dicts() == [{**_grown_row("old"), "title": None}]
    assert old.read(GROWN, wanted={"language": ["de"]}).is_empty()
    assert old.read(GROWN, columns=["rank", "item_id"]).rows() == [(7, "old")]


def test_snapshots_from_before_a_table_hold_no_rows(empty_settings: Settings) -> None:
    with Lake.create(empty_settings, tables={}) as lake:
        before = lake.snapshot_id()
        _evolve(lake, GROWN)
        append(lake, GROWN, GROWN.frame([_grown_row("new")]), "tech")
        old = lake.reader("tech", as_of=before).read(GROWN)
        assert old.is_empty()
        assert old.schema == GROWN.schema


def test_changed_comments_reach_the_lake(lake: Lake) -> None:
    _evolve(lake, GROWN)
    with lake.cursor() as cursor:
        [(table,)] = cursor.execute(
            "SELECT comment FROM duckdb_tables() WHERE table_name = 'sightings'"
        ).fetchall()
        [(named,)] = cursor.execute(
            "SELECT comment FROM duckdb_columns()"
            " WHERE table_name = 'sightings' AND column_name = 'item_id'"
        ).fetchall()
    assert table == GROWN.description
    assert named == "What it's called; it's the key."


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            RetypedSightings,
            "sightings.title is VARCHAR in the lake and BIGINT in its declaration",
        ),
        (
            ShrunkSightings,
            "`ALTER TABLE lake.sightings DROP COLUMN title`",
        ),
        (
            StrictSightings,
            "sightings.score is new",
        ),
    ],
)
def test_what_would_lose_data_is_refused_with_the_way_out(
    lake: Lake, model: type[Rows], message: str
) -> None:
    append(lake, SIGHTINGS, sightings("tech", [(DAY, "old")], title="t"), "tech")
    before = lake.snapshot_id()
    with pytest.raises(SchemaConflictError, match=re.escape(message)):
        _evolve(lake, replace(SIGHTINGS, model=model))
    assert lake.snapshot_id() == before
    assert lake.reader("tech").read(SIGHTINGS).get_column("title").to_list() == ["t"]


@pytest.mark.parametrize("stored", ["MAP(VARCHAR, VARCHAR)", "STRUCT(a VARCHAR)", "VARCHAR[][]"])
def test_a_column_of_another_nested_type_is_refused(lake: Lake, stored: str) -> None:
    _evolve(lake, GROWN)
    with lake.cursor() as cursor:
        cursor.execute("ALTER TABLE lake.sightings DROP COLUMN tags")
        cursor.execute(f"ALTER TABLE lake.sightings ADD COLUMN tags {stored}")
    with pytest.raises(SchemaConflictError, match=r"sightings\.tags is .* and VARCHAR\[\] in"):
        _evolve(lake, GROWN)


def test_a_conflict_in_one_table_changes_no_other(lake: Lake) -> None:
    other = replace(GROWN, name="others")
    conflict = replace(SIGHTINGS, model=RetypedSightings)
    with pytest.raises(SchemaConflictError):
        lake.evolve({"others": other, "sightings": conflict})
    assert "CREATE TABLE lake.others" in _evolve(lake, other)[0].statements[0]


def test_a_lake_that_cannot_be_reconciled_is_not_opened(settings: Settings) -> None:
    conflict = replace(SIGHTINGS, model=RetypedSightings)
    with pytest.raises(SchemaConflictError):
        Lake.open(settings, tables={"sightings": conflict})
    with Lake.open(settings, tables={"sightings": SIGHTINGS}) as lake:
        assert lake.reader("tech").read(SIGHTINGS).is_empty()


def _chart(*videos: str, region: str, **cells: object) -> list[dict[str, object]]:
    """A country's chart of a day, the first video on top."""
    at = datetime(2026, 11, 1, 23, 59, 59, tzinfo=UTC)
    row = {"workspace_id": "tech", "day": DAY, "source": "youtube", "observed_at": at}
    row |= {"title": "t", "region": region, "collection_id": region, **cells}
    return [{**row, "item_id": video, "rank": n} for n, video in enumerate(videos, start=1)]


def test_a_lake_from_before_lists_reads_the_same_and_takes_what_it_had_dropped(
    settings: Settings,
) -> None:
    american, canadian = _chart("a", "b", region="US"), _chart("c", "a", region="CA")
    with Lake.open(settings, tables={"raw_trends": FORMER_TRENDS}) as lake:
        for rows in (american, canadian):
            append(lake, FORMER_TRENDS, FORMER_TRENDS.frame(rows), "tech")
        before = lake.reader("tech").read(FORMER_TRENDS).sort("item_id")
        snapshot = lake.snapshot_id()
    assert before.height == 3
    with Lake.open(settings, tables={"raw_trends": RAW_TRENDS}) as lake:
        for reader in (lake.reader("tech"), lake.reader("tech", as_of=snapshot)):
            after = reader.read(RAW_TRENDS).sort("item_id")
            assert_frame_equal(after.select(before.columns), before)
            assert after.select("list_name", "part").unique().rows() == [("", 0)]
        again = [
            append(lake, RAW_TRENDS, RAW_TRENDS.frame(rows), "tech")
            for rows in (
                _chart("a", "b", region="US", list_name="chart"),
                _chart("c", "a", region="CA", list_name="chart"),
            )
        ]
        assert [one.accepted["item_id"].to_list() for one in again] == [[], ["a"]]
        # A process that still has the former declaration goes on, and takes nothing away.
        append(lake, FORMER_TRENDS, FORMER_TRENDS.frame(_chart("d", region="US")), "tech")
        stored = lake.reader("tech").read(RAW_TRENDS)
        assert sorted(stored["item_id"]) == ["a", "a", "b", "c", "d"]
        assert check_key(RAW_TRENDS, stored, is_stored=True).passed


def _grown_row(item: str, **cells: object) -> dict[str, object]:
    return {"workspace_id": "tech", "day": DAY, "item_id": item, **NEW_CELLS, **cells}


def _insert_plainly(settings: Settings) -> None:
    """Insert a row as somebody does who attaches the lake without our options."""
    with closing(attach(settings, read_only=True)) as plain:
        plain.execute("USE memory; DETACH lake")
        plain.execute(attach_plainly(settings))
        plain.execute(
            "INSERT INTO lake.sightings BY NAME SELECT 'x' AS workspace_id, 'i' AS item_id"
        )


def test_a_writer_that_knows_nothing_of_us_writes_files_too(settings: Settings) -> None:
    _insert_plainly(settings)
    assert len(list(settings.data_path.rglob("*.parquet"))) == 1


def test_a_lake_without_the_option_gets_it_once(settings: Settings) -> None:
    change_catalog(settings, "DELETE FROM ducklake_metadata WHERE key = 'data_inlining_row_limit'")
    with Lake.open(settings, tables=SAMPLES) as lake:
        snapshot = lake.snapshot_id()
    _insert_plainly(settings)
    assert len(list(settings.data_path.rglob("*.parquet"))) == 1
    with Lake.open(settings, tables=SAMPLES) as lake:
        assert lake.snapshot_id() == snapshot + 1  # the row; nothing was to be brought up to date
