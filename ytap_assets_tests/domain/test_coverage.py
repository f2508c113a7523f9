from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.coverage import (
    describe_coverage,
    find_failed_targets,
    find_healable,
    is_nothing_collected,
    summarize_by_source,
    summarize_failed_targets,
)
from ytap_assets.tables import COLLECTION_COVERAGE, COLLECTION_LOG
from ytap_assets.tables.evidence import COVERAGE_STATES, OUTCOMES
from ytap_assets_tests.effort import examples
from ytap_assets_tests.storable import check_storable

TODAY = date(2026, 11, 20)
PAST = date(2026, 11, 18)
AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
HN = {"source": "hn", "target": "by_date", "history": "date_queryable"}
REDDIT = {"source": "reddit", "target": "r/rust", "history": "snapshot_only"}
PLANNED = pl.Schema(
    {
        "workspace_id": pl.String,
        "day": pl.Date,
        "source": pl.String,
        "target": pl.String,
        "history": pl.String,
        "lacks_key": pl.Boolean,
    }
)


def plan(*rows: dict[str, Any], day: date = PAST) -> pl.DataFrame:
    common = {"workspace_id": "tech", "day": day, "lacks_key": False}
    return pl.DataFrame([{**common, **row} for row in rows], PLANNED)


def log(*rows: dict[str, Any]) -> pl.DataFrame:
    common = {
        "workspace_id": "tech",
        "day": PAST,
        "outcome": "ok",
        "attempts": 1,
        "fetched": 3,
        "accepted": 2,
        "quarantined": 0,
        "duplicates": 1,
        "run_id": "run",
    }
    return COLLECTION_LOG.frame(
        [
            {
                **common,
                "collection_id": str(number),
                "started_at": AT + timedelta(minutes=number),
                "finished_at": AT + timedelta(minutes=number, seconds=5),
                **row,
            }
            for number, row in enumerate(rows)
        ]
    )


def imported(*sources: str, day: date = PAST) -> pl.DataFrame:
    schema = {"workspace_id": pl.String, "day": pl.Date, "source": pl.String}
    return pl.DataFrame([("tech", day, source) for source in sources], schema, orient="row")


def judge(
    planned: pl.DataFrame, logged: pl.DataFrame | None = None, files: pl.DataFrame | None = None
) -> list[tuple[str, str, str]]:
    whole = describe_coverage(
        planned,
        COLLECTION_LOG.empty() if logged is None else logged,
        imported() if files is None else files,
        today=TODAY,
    )
    check_storable(COLLECTION_COVERAGE, whole)
    return whole.select("source", "target", "state").rows()


@pytest.mark.parametrize(
    ("history", "day", "outcomes", "state"),
    [
        ("date_queryable", PAST, [], "healable"),
        ("date_queryable", PAST, ["quota_exhausted"], "healable"),
        ("date_queryable", PAST, ["transient_error", "ok"], "answered"),
        ("date_queryable", PAST, ["ok", "transient_error"], "answered"),
        ("date_queryable", PAST, ["disabled"], "healable"),  # the key is there by now
        ("snapshot_only", PAST, ["disabled"], "unrecoverable"),
        ("date_queryable", PAST, ["not_recorded"], "not_recorded"),
        ("date_queryable", TODAY, [], "open"),
        ("snapshot_only", PAST, [], "unrecoverable"),
        ("snapshot_only", PAST, ["transient_error", "unrecoverable"], "unrecoverable"),
        ("snapshot_only", PAST, ["not_modified"], "answered"),
        ("snapshot_only", TODAY, ["transient_error"], "open"),
        ("as_of_now", PAST, [], "unrecoverable"),
    ],
)
def test_a_day_is_judged_by_what_the_source_can_do_and_how_it_was_asked(
    history: str, day: date, outcomes: list[str], state: str
) -> None:
    target = {"source": "hn", "target": "x", "history": history}
    fetches = log(*({**target, "day": day, "outcome": outcome} for outcome in outcomes))
    assert judge(plan(target, day=day), fetches) == [("hn", "x", state)]


def test_a_row_tells_how_often_it_was_asked_and_what_it_brought() -> None:
    fetches = log(
        {**HN, "outcome": "ok"},
        {**HN, "outcome": "transient_error", "detail": "503", "accepted": 0, "duplicates": 0},
    )
    (row,) = describe_coverage(plan(HN), fetches, imported(), today=TODAY).rows(named=True)
    assert (
        row
        | {
            "state": "answered",
            "outcome": "transient_error",
            "detail": "503",
            "fetches": 2,
            "rows": 3,
            "answered_at": AT + timedelta(seconds=5),
        }
        == row
    )


@pytest.mark.parametrize("detail", ["incomplete: 1,000 of 1,500 stories were returned", None])
def test_what_went_well_in_the_end_says_only_what_is_incomplete(detail: str | None) -> None:
    fetches = log({**HN, "outcome": "malformed", "detail": "HTML"}, {**HN, "detail": detail})
    told = describe_coverage(plan(HN), fetches, imported(), today=TODAY)["detail"]
    assert told.to_list() == [detail]


def test_a_source_without_its_key_is_told_apart_from_one_that_can_be_asked() -> None:
    keyless = {**HN, "lacks_key": True}
    assert judge(plan(keyless)) == [("hn", "by_date", "disabled")]
    assert judge(plan(keyless), log(HN)) == [("hn", "by_date", "answered")]


def test_what_was_asked_then_counts_though_nobody_wants_it_now() -> None:
    assert judge(plan(), log(REDDIT)) == [("reddit", "r/rust", "answered")]


def test_no_backfill_brings_what_nobody_wants_now() -> None:
    failed = log({**HN, "outcome": "transient_error"})
    assert judge(plan(), failed) == [("hn", "by_date", "unrecoverable")]
    assert judge(plan(HN), failed) == [("hn", "by_date", "healable")]


def test_days_to_come_are_nobodys_gap() -> None:
    assert judge(plan(HN, day=TODAY + timedelta(days=1))) == []


def test_files_cover_a_day_that_a_source_has_lost() -> None:
    whole = describe_coverage(
        plan(REDDIT), COLLECTION_LOG.empty(), imported("reddit", "reddit"), today=TODAY
    )
    assert whole.select("target", "state", "rows").rows() == [
        ("files", "imported", 2),
        ("r/rust", "unrecoverable", 0),
    ]
    assert summarize_by_source(whole).rows() == [(PAST, "reddit", "imported")]


def test_entries_of_imports_are_no_fetches() -> None:
    assert judge(plan(), log({"source": "hn", "target": "old.csv", "history": "file"})) == []


def test_healable_days_are_told_by_target() -> None:
    days = [PAST - timedelta(days=n) for n in range(3)]
    wanted = pl.concat([plan(HN, REDDIT, day=day) for day in days])
    whole = describe_coverage(wanted, log({**HN, "day": days[1]}), imported(), today=TODAY)
    assert find_healable(whole).rows() == [("tech", "hn", "by_date", 2, days[2], days[0])]


def test_healable_days_are_told_by_workspace() -> None:
    wanted = plan(HN, {**HN, "workspace_id": "finance"})
    whole = describe_coverage(wanted, COLLECTION_LOG.empty(), imported(), today=TODAY)
    assert find_healable(whole).rows() == [
        ("finance", "hn", "by_date", 1, PAST, PAST),
        ("tech", "hn", "by_date", 1, PAST, PAST),
    ]


def test_nothing_planned_and_nothing_logged_is_no_row() -> None:
    whole = describe_coverage(plan(), COLLECTION_LOG.empty(), imported(), today=TODAY)
    assert_frame_equal(whole, COLLECTION_COVERAGE.empty())
    assert summarize_by_source(whole).is_empty()


@settings(max_examples=examples(40))
@given(
    st.lists(
        st.tuples(st.sampled_from([HN, REDDIT]), st.integers(0, 3), st.sampled_from(OUTCOMES)),
        max_size=12,
    ),
    st.randoms(use_true_random=False),
)
def test_every_target_and_day_is_judged_once_whatever_the_order_of_the_log(
    asked: list[tuple[dict[str, Any], int, str]], shuffle: Any
) -> None:
    days = [TODAY - timedelta(days=n) for n in range(4)]
    wanted = pl.concat([plan(HN, REDDIT, day=day) for day in days])
    fetches = log(*({**target, "day": days[n], "outcome": outcome} for target, n, outcome in asked))
    whole = describe_coverage(wanted, fetches, imported(), today=TODAY)
    assert whole.height == 8
    assert whole["state"].is_in(COVERAGE_STATES).all()
    assert whole["fetches"].sum() == len(asked)
    rows = list(range(fetches.height))
    shuffle.shuffle(rows)
    again = describe_coverage(wanted.reverse(), fetches[rows], imported(), today=TODAY)
    assert_frame_equal(whole, again)


@settings(max_examples=examples(40))
@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from([HN, REDDIT]), st.integers(0, 3), st.sampled_from(OUTCOMES)),
            max_size=6,
        ),
        min_size=2,
        max_size=3,
    )
)
def test_workspaces_together_are_judged_as_one_at_a_time(
    asked: list[list[tuple[dict[str, Any], int, str]]],
) -> None:
    days = [TODAY - timedelta(days=n) for n in range(4)]
    plans: list[pl.DataFrame] = []
    logs: list[pl.DataFrame] = []
    files: list[pl.DataFrame] = []
    for number, fetches in enumerate(asked):
        name = pl.lit(f"w{number}")
        wanted = pl.concat([plan(HN, REDDIT, day=day) for day in days[number:]])
        rows = ({**target, "day": days[n], "outcome": outcome} for target, n, outcome in fetches)
        for frames, frame in (
            (plans, wanted),
            (logs, log(*rows)),
            (files, imported("hn", day=days[number])),
        ):
            frames.append(frame.with_columns(workspace_id=name))
    together = describe_coverage(*map(pl.concat, (plans, logs, files)), today=TODAY)
    alone = [describe_coverage(*each, today=TODAY) for each in zip(plans, logs, files, strict=True)]
    assert_frame_equal(together, pl.concat(alone))


DNS = "host name could not be resolved"
NO_DNS = {"outcome": "transient_error", "detail": f"hn.algolia.com/api/v1/search: {DNS}"}


def test_failed_targets_are_counted_by_reason_without_their_urls() -> None:
    fetches = log(
        HN | NO_DNS,
        HN | NO_DNS | {"target": "front_page"},
        REDDIT
        | {"outcome": "permanent_error", "detail": "oauth.reddit.com/r/x returned 404: no such"},
        REDDIT | {"target": "r/two"},
        REDDIT | {"target": "r/lost", "outcome": "unrecoverable"},
        REDDIT | {"target": "r/off", "outcome": "disabled"},
    )

    assert find_failed_targets(fetches).rows() == [
        ("tech", "hn", DNS, 2, "by_date"),
        ("tech", "reddit", "returned 404: no such", 1, "r/rust"),
    ]
    assert summarize_failed_targets(fetches) == (
        f"3 of 4 targets failed: {DNS} (2); returned 404: no such (1)"
    )


def test_a_target_that_fails_on_two_days_counts_twice() -> None:
    fetches = log(HN | NO_DNS, HN | NO_DNS | {"day": TODAY}, HN | NO_DNS)

    assert summarize_failed_targets(fetches) == f"2 of 2 targets failed: {DNS} (2)"


@pytest.mark.parametrize(("kinds", "ends"), [(6, "; 1 more reason"), (7, "; 2 more reasons")])
def test_reasons_that_are_not_shown_are_counted(kinds: int, ends: str) -> None:
    failed = HN | {"outcome": "malformed"}
    rows = [failed | {"detail": f"no {'abcdefg'[n]}", "target": f"t{n}"} for n in range(kinds)]
    summary = summarize_failed_targets(log(*rows))
    assert summary is not None
    assert summary.endswith(ends)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], False),
        (["ok"], False),
        (["not_modified", "transient_error"], False),
        (["transient_error", "quota_exhausted"], True),
        (["malformed", "unrecoverable"], True),
        (["unrecoverable", "disabled"], False),
        (["not_recorded"], False),
    ],
)
def test_nothing_is_collected_where_all_that_was_asked_failed(
    outcomes: list[str], expected: bool
) -> None:
    fetches = log(*(HN | {"outcome": outcome} for outcome in outcomes))
    assert is_nothing_collected(fetches) == expected


def test_where_nothing_failed_there_is_nothing_to_say() -> None:
    assert summarize_failed_targets(log(HN)) is None
    assert summarize_failed_targets(log()) is None
