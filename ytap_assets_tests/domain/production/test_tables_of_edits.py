from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ytap_assets.domain.production.edits import (
    COLUMNS,
    FIXED,
    MAX_CELL,
    EditPlan,
    defuse,
    find_overtaken,
    list_cells,
    make_edit,
    plan_edits,
    read_changes,
    restore,
)
from ytap_assets.domain.production.events import Event
from ytap_assets.domain.production.lines import FieldError
from ytap_assets.domain.production.records import fold_events
from ytap_assets_tests.domain.production.worlds import NOW, World, submission

FORMULAS = st.text("=+-@\t\r\n '\"\u200b\uff1da1", max_size=8)


@given(st.text(st.characters(exclude_categories=["Cs"])) | FORMULAS)
@example("'=1")
@example("''=1")
@example("' \t")
def test_a_cell_is_restored_to_its_text(text: str) -> None:
    assert restore(defuse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\ttext",
        "\rtext",
        "\ntext",
        '"=1+1"',
        "  =1+1",
        "'=1+1",
        "\u201c=1+1",
        "\uff1d1+1",
        "\ufeff=1",
        " \t=1",
    ],
)
def test_what_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert defuse(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "text", "a=b", "'quoted'", "1 - 1", "5"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert defuse(text) == restore(text) == text


def review(**changes: Any) -> World:
    world = World(submissions=[submission(**changes)])
    world.tick("submit_scripts")
    return world


def cells_of(
    world: World, text: str = "First this, then that.", views: Mapping[str, int] | None = None
) -> dict[str, dict[str, str]]:
    return list_cells(world.records, {"one": text}, views or {})


def plan(cells: Mapping[str, str], world: World | None = None, **current: Any) -> EditPlan:
    return plan_edits([("line 2", cells)], cells_of(world or review(), **current))


def exported(world: World | None = None, **changes: str) -> dict[str, str]:
    own = cells_of(world or review())["one"]
    return {name: defuse(value) for name, value in (own | changes).items()}


def changed(plan: EditPlan) -> list[tuple[str, Any, Any]]:
    return [(one.column, one.old, one.new) for edit in plan.edits for one in edit.changes]


def reasons(plan: EditPlan) -> list[tuple[str | None, str]]:
    return [(one.column, one.reason) for one in plan.refused]


def test_the_columns_begin_as_stated_and_have_texts() -> None:
    assert COLUMNS[:6] == ("id", "title", "hook", "created_at", "state", "views")
    cells = cells_of(review(estimated_cost_usd=1.85))["one"]
    assert list(cells) == list(COLUMNS)
    assert (cells["estimated_cost_usd"], cells["views"]) == ("1.85", "")


def test_an_export_that_was_not_edited_is_no_edit() -> None:
    assert plan(exported()) == EditPlan()


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")) | FORMULAS)
def test_any_title_comes_back_as_no_edit(title: str) -> None:
    world = review()
    records = world.records.with_columns(pl.lit(title[:500]).alias("title"))
    current = list_cells(records, {}, {})
    cells = {name: defuse(value) for name, value in current["one"].items()}
    assert plan_edits([("line 2", cells)], current) == EditPlan()


def test_edited_cells_are_named_with_their_old_and_new_values() -> None:
    found = plan(
        exported(title="Another", text="=Other\r\ntext", estimated_cost_usd="1.50"), review()
    )
    assert not found.refused
    assert changed(found) == [
        ("title", "A story called one", "Another"),
        ("estimated_cost_usd", 2_000_000, 1_500_000),
        ("text", "First this, then that.", "=Other\ntext"),
    ]


def test_missing_columns_are_left_alone_and_others_are_compared() -> None:
    found = plan({"title": "Another", "id": "one"})
    assert changed(found) == [("title", "A story called one", "Another")]
    assert plan({"id": "one"}) == EditPlan()
    assert plan({"id": " ", "title": ""}) == EditPlan()


def test_an_unknown_value_can_be_written_and_a_known_one_not_removed() -> None:
    world = review(generation_method=None)
    assert changed(plan({"id": "one", "generation_method": "stock"}, world)) == [
        ("generation_method", None, "stock")
    ]
    found = plan({"id": "one", "title": " ", "hook": "Another"})
    assert not found.edits
    assert [column for column, _ in reasons(found)] == ["title"]
    assert "does not remove a value" in reasons(found)[0][1]


@pytest.mark.parametrize(
    ("column", "cell", "says"),
    [
        ("title", "x" * 501, "longer than 500 characters"),
        ("estimated_cost_usd", "1,85", "not an amount of dollars"),
        ("estimated_cost_usd", "-1", "not an amount of dollars"),
        ("topic_url", "javascript:alert(1)", "not an http or https address"),
        ("hook", "a\x00b", "NUL"),
    ],
)
def test_an_invalid_value_is_refused(column: str, cell: str, says: str) -> None:
    found = plan({"id": "one", column: cell})
    assert not found.edits
    assert reasons(found)[0][0] == column
    assert says in reasons(found)[0][1]


@pytest.mark.parametrize("column", FIXED)
def test_a_cell_that_cannot_be_edited_is_refused_with_its_row(column: str) -> None:
    found = plan(exported(title="Another") | {column: "edited"})
    assert not found.edits
    assert [name for name, _ in reasons(found)] == [column]
    assert "cannot be edited here" in reasons(found)[0][1]


def test_the_command_that_changes_a_state_is_named() -> None:
    [(_, reason)] = reasons(plan(exported() | {"state": "published"}))
    assert "`ytap script approve`" in reason


def test_a_count_that_has_grown_since_the_export_is_no_edit() -> None:
    world = review()
    imported = Event(
        "i",
        "tech",
        "one",
        "imported",
        "script_pending_review",
        "script_pending_review",
        "import",
        NOW,
        payload={"video_id": "ytapDemo001"},
    )
    world.append([imported])
    cells = list_cells(world.records, {"one": "text"}, {"ytapDemo001": 100})["one"]
    grown = list_cells(world.records, {"one": "text"}, {"ytapDemo001": 150})
    assert plan_edits([("line 2", cells)], grown) == EditPlan()
    found = plan_edits([("line 2", cells | {"title": "Another"})], grown)
    assert (len(found.edits), found.refused) == (1, [])
    found = plan_edits([("line 2", cells | {"views": "9999"})], grown)
    assert [name for name, _ in reasons(found)] == ["views"]


def test_a_row_that_somebody_else_has_edited_since_is_refused() -> None:
    world = review()
    cells = exported(world, hook="Mine")
    current = list_cells(
        world.records.with_columns(title=pl.lit("Theirs")), {"one": "First this, then that."}, {}
    )
    found = plan_edits([("line 2", cells)], current)
    assert not found.edits
    assert "edited since the export" in found.refused[0].reason


def test_unknown_and_repeated_ids_are_refused() -> None:
    rows = [("line 2", {"id": "two"}), ("line 3", {"id": "one"}), ("line 4", {"id": "one"})]
    found = plan_edits(rows, cells_of(review()))
    assert [(one.place, one.reason) for one in found.refused] == [
        ("line 2", "there is no script with this id in the workspace"),
        ("line 4", "line 3 has the same id"),
    ]


def test_only_scripts_in_review_can_be_edited() -> None:
    world = review()
    moved = Event("r", "tech", "one", "rejected", "script_pending_review", "rejected", "p", NOW)
    world.append([moved])
    found = plan({"id": "one", "title": "Another"}, world)
    assert not found.edits
    assert "only scripts in script_pending_review" in found.refused[0].reason


def test_a_text_longer_than_a_cell_is_not_exported_and_cannot_be_edited() -> None:
    text = "word " * MAX_CELL
    world = review()
    current = cells_of(world, text)
    assert len(current["one"]["text"]) < 200
    same = plan_edits([("line 2", current["one"] | {"title": "Another"})], current)
    assert changed(same) == [("title", "A story called one", "Another")]
    cut = plan_edits([("line 2", current["one"] | {"text": text[:100]})], current)
    assert "longer than a cell" in cut.refused[0].reason


def test_an_edit_is_overtaken_when_its_old_value_is_no_longer_there() -> None:
    world = review()
    [edit] = plan({"id": "one", "title": "Another"}, world).edits
    now = cells_of(world)["one"]
    assert find_overtaken(edit, now) is None
    assert find_overtaken(edit, now | {"hook": "Theirs"}) is None
    assert "title: changed meanwhile" in (find_overtaken(edit, now | {"title": "Theirs"}) or "")
    assert "state is published" in (find_overtaken(edit, now | {"state": "published"}) or "")
    assert find_overtaken(edit, None) is not None


def test_the_event_of_an_edit_has_the_changed_fields_only() -> None:
    world = review()
    row = {"id": "one", "title": "Another", "estimated_cost_usd": "1.5"}
    [edit] = plan(row, world).edits
    event = make_edit(
        "tech",
        edit,
        title="A story called one",
        text="First this, then that.",
        event_id="e",
        actor="person:eve",
        at=NOW + timedelta(hours=1),
    )
    read_changes(event.payload)
    assert event.payload == {
        "title": {"old": "A story called one", "new": "Another"},
        "estimated_cost_usd_micros": {"old": 2_000_000, "new": 1_500_000},
    }
    world.append([event])
    record = fold_events(world.log).row(0, named=True)
    assert (record["title"], record["estimated_cost_usd_micros"]) == ("Another", 1_500_000)


@pytest.mark.parametrize(
    "change",
    [
        {"estimated_cost_usd_micros": {"old": 5, "new": -5}},
        {"topic_url": {"old": None, "new": "javascript:alert(1)"}},
        {"title": {"old": "a", "new": None}},
        {"title": {"old": "a", "new": "a" * 501}},
        {"state": {"old": "a", "new": "published"}},
    ],
)
def test_an_edit_from_a_file_is_checked_as_one_in_a_table(change: dict[str, Any]) -> None:
    with pytest.raises(FieldError, match="payload"):
        read_changes(change)
