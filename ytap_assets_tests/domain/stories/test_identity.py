"""What former ids of stories stand for."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from ytap_assets.domain.stories import rename_stories
from ytap_assets_tests.domain.stories.days import FIRST

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
BEFORE = datetime(2026, 3, 1, 8, tzinfo=UTC)
ALIASES = pl.Schema(
    {
        "workspace_id": pl.String(),
        "former_story_id": pl.String(),
        "story_id": pl.String(),
        "renamed_at": pl.Datetime("us", "UTC"),
    }
)


def aliases(*rows: tuple[str, str]) -> pl.DataFrame:
    return pl.DataFrame([("w", *row, BEFORE) for row in rows], schema=ALIASES, orient="row")


def told(**stories: str) -> pl.DataFrame:
    """Items and the stories they tell."""
    return pl.DataFrame(
        {
            "workspace_id": "w",
            "day": FIRST,
            "source": "hn",
            "item_id": list(stories),
            "story_id": list(stories.values()),
        }
    )


def rename(known: pl.DataFrame, before: pl.DataFrame, after: pl.DataFrame, *in_use: str) -> object:
    ids = pl.DataFrame({"story_id": in_use}, schema={"story_id": pl.String})
    renamed = rename_stories(known, before, after, ids.with_columns(workspace_id=pl.lit("w")), AT)
    assert renamed.schema == ALIASES
    return renamed.select("former_story_id", "story_id").rows()


def test_an_id_that_is_gone_stands_for_the_story_of_most_of_its_items() -> None:
    before = told(a="old", b="old", c="old", d="other")
    after = told(a="one", b="two", c="two", d="other", new="three")
    assert rename(aliases(), before, after) == [("old", "two")]


def test_an_id_in_use_stands_for_itself() -> None:
    before, after = told(a="old", b="old"), told(a="new", b="old")
    assert rename(aliases(), before, after, "old") == []


def test_what_stood_for_an_id_that_is_gone_follows_it() -> None:
    known = aliases(("oldest", "old"), ("else", "other"))
    renamed = rename(known, told(a="old"), told(a="new"), "other")
    assert renamed == [("else", "other"), ("old", "new"), ("oldest", "new")]


def test_an_id_that_comes_back_is_no_alias() -> None:
    known = aliases(("old", "new"))
    assert rename(known, told(a="new"), told(a="old"), "old") == [("new", "old")]


def test_nothing_stands_for_a_story_without_items() -> None:
    assert rename(aliases(("old", "gone")), told(a="x"), told(a="x"), "x") == []


def test_workspaces_have_ids_of_their_own() -> None:
    def both(rows: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([rows, other.with_columns(workspace_id=pl.lit("x"))])

    before = both(told(a="old", b="kept"), told(a="kept", b="old"))
    after = both(told(a="new", b="kept"), told(a="new", b="old"))
    known = both(aliases(("oldest", "old")), aliases(("oldest", "kept")))
    renamed = rename_stories(known, before, after, after.select("workspace_id", "story_id"), AT)
    assert renamed.select("workspace_id", "former_story_id", "story_id").rows() == [
        ("w", "old", "new"),
        ("w", "oldest", "new"),
        ("x", "kept", "new"),
        ("x", "oldest", "new"),
    ]
