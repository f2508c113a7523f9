"""Days in any order give the same stories, ids and ranks; no published id is lost."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain, count

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.errors import CatalogBusyError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.collect import cover_slices
from ytap_assets.operations.later_days import Dependence, publish_with_later_days
from ytap_assets.operations.platform import Batch, Platform, Written
from ytap_assets.operations.trends import cluster_stories, explain_story, measure_results, score
from ytap_assets.tables import (
    PRODUCTION_EVENTS,
    RAW_TRENDS,
    SCORED_TRENDS,
    SOURCE_PERFORMANCE,
    STORY_ALIASES,
    TREND_STORIES,
)
from ytap_assets.workspaces import Workspace
from ytap_assets_tests.effort import examples
from ytap_assets_tests.operations.alone import publish_alone, run_alone
from ytap_assets_tests.operations.test_production import script, write_lines
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "rank")
FIRST = date(2026, 11, 10)
LAST = 4
TITLES = (
    "Undersea cable cut near Iceland leaves three countries offline",
    "Three countries offline after undersea cable cut near Iceland",
    "Iceland: undersea cable repaired, three countries back online",
    "Three countries back online as undersea cable is repaired",
    "A cheese museum opens its doors",
)
NUMBERS = count()
# A shrunk case would take minutes: each example is many commits.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


def day_of(number: int) -> date:
    return FIRST + timedelta(days=number)


def new_workspace(platform: Platform, **changes: object) -> str:
    name = f"w{next(NUMBERS)}"
    config = {"workspace_id": name, "name": name, "vertical": "technology", **changes}
    platform.workspaces.save(Workspace.model_validate(config))
    platform.register(name, RUN)
    return name


def observe(platform: Platform, name: str, seen: list[tuple[int, int, int, int]]) -> None:
    """Looks at items: day, page, title, hour."""
    rows = [
        {
            "workspace_id": name,
            "day": day_of(day),
            "source": ("hn", "reddit")[page % 2],
            "item_id": f"{page}-{title}",
            "observed_at": datetime.combine(day_of(day), time(hour), UTC),
            "published_at": datetime.combine(day_of(day), time(), UTC) - timedelta(hours=title),
            "title": TITLES[title],
            "url": f"https://page{page}.example/",
            "points": 50 * hour + page,
            "list_name": "front_page",
            "collection_id": "c1",
        }
        for day, page, title, hour in seen
    ]
    with platform.lake.write(RUN) as transaction:
        transaction.append(check_rows(RAW_TRENDS, RAW_TRENDS.frame(rows), Scope(name)))


def make(platform: Platform, name: str, first: int, last: int | None = None) -> None:
    for work in (cluster_stories, score, measure_results):
        run_alone(work, platform, name, (day_of(first), day_of(first if last is None else last)))


def rows_of(platform: Platform, name: str) -> list[pl.DataFrame]:
    """What has to be the same in whatever order days are made."""
    reader = platform.lake.reader(name)
    return [
        reader.read(table).sort(table.key).drop("workspace_id", *unlike)
        for table, unlike in (
            (TREND_STORIES, ()),
            (SCORED_TRENDS, ("first_position", "first_ranked_at")),
            (SOURCE_PERFORMANCE, ()),
        )
    ]


@pytest.fixture
def taken(platform: Platform) -> pl.DataFrame:
    """Events of a script on the first page, submitted on the second day."""
    created = datetime.combine(day_of(1), time(9), UTC).isoformat()
    line = script("cable", created_at=created, topic_url="https://page0.example/")
    write_lines(platform, "tech", "scripts.jsonl", line)
    advance_one(platform.slice("tech", None, RUN), "all")
    return platform.lake.reader("tech").read(PRODUCTION_EVENTS)


def take(platform: Platform, name: str, events: pl.DataFrame) -> None:
    events = events.with_columns(
        workspace_id=pl.lit(name), event_id=pl.format("{}-{}", pl.lit(name), "event_id")
    )
    with platform.lake.write(RUN) as transaction:
        transaction.append(check_rows(PRODUCTION_EVENTS, events, Scope(name)))


LOOKS = st.lists(
    st.tuples(
        st.integers(0, LAST), st.integers(0, 4), st.integers(0, len(TITLES) - 1), st.integers(1, 23)
    ),
    min_size=6,
    max_size=10,
    unique_by=lambda look: look[:3],
)
DAYS = st.lists(st.integers(0, LAST), max_size=2)


# A story of five days that its first day names, made from its last day on, and a late item.
CHAIN = [(day, day, day % 2, 5) for day in range(LAST + 1)] + [(2, 1, 4, 7)]


@settings(
    max_examples=examples(1),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=PHASES,
)
@example(looks=CHAIN, late=[(0, 3, 1, 2)], early_days=[4, 3], order=[4, 2, 0, 3, 1])
@given(looks=LOOKS, late=LOOKS, early_days=DAYS, order=st.permutations(range(LAST + 1)))
def test_any_order_of_days_gives_the_same(
    platform: Platform,
    taken: pl.DataFrame,
    looks: list[tuple[int, int, int, int]],
    late: list[tuple[int, int, int, int]],
    early_days: list[int],
    order: list[int],
) -> None:
    straight, mixed = new_workspace(platform), new_workspace(platform)
    for name in (straight, mixed):
        take(platform, name, taken)
        observe(platform, name, looks)
    published: set[str] = set()
    reader = platform.lake.reader(mixed)
    for number in early_days:
        make(platform, mixed, number)
        published.update(reader.read(TREND_STORIES)["story_id"])
    for name in (straight, mixed):
        observe(platform, name, late)
    make(platform, straight, 0, LAST)
    for number in order:
        make(platform, mixed, number)
        published.update(reader.read(TREND_STORIES)["story_id"])

    for one, other in zip(rows_of(platform, mixed), rows_of(platform, straight), strict=True):
        assert_frame_equal(one, other)
    in_use = set(reader.read(TREND_STORIES)["story_id"])
    aliases = dict(reader.read(STORY_ALIASES).select("former_story_id", "story_id").rows())
    assert set(aliases) == published - in_use
    assert set(aliases.values()) <= in_use


@settings(
    max_examples=examples(1),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=PHASES,
)
@example(looks=[CHAIN, CHAIN, CHAIN[1:]], late=[(0, 3, 1, 2)], order=[4, 2, 0, 3, 1])
@given(
    looks=st.lists(LOOKS, min_size=3, max_size=3),
    late=LOOKS,
    order=st.permutations(range(LAST + 1)),
)
def test_a_batch_gives_what_each_workspace_gives_alone(
    platform: Platform,
    taken: pl.DataFrame,
    looks: list[list[tuple[int, int, int, int]]],
    late: list[tuple[int, int, int, int]],
    order: list[int],
) -> None:
    """Three workspaces of which one has other settings: other days of each, twice."""
    strict = {
        "spam": {"blocklist": ["museum"]},
        "keywords": ["cable"],
        "language": "de",
        "scoring": {"weights": {"momentum": 0.5}},
    }
    names = [
        (new_workspace(platform, **changes), new_workspace(platform, **changes))
        for changes in ({}, {}, strict)
    ]
    for pair, seen in zip(names, looks, strict=True):
        for name in pair:
            take(platform, name, taken)
            observe(platform, name, seen)

    make_both(platform, names, [(order[0],) * 2, (order[1],) * 2, (min(order[2:4]), LAST)])
    for name in chain(*names):
        observe(platform, name, late)
    make_both(platform, names, [(order[3],) * 2, (order[4],) * 2, (0, LAST)])

    for together, alone in names:
        for one, other in zip(rows_of(platform, together), rows_of(platform, alone), strict=True):
            assert_frame_equal(one, other)
        aliases = [
            platform.lake.reader(name).read(STORY_ALIASES).sort("former_story_id")
            for name in (together, alone)
        ]
        assert_frame_equal(*(one.drop("workspace_id") for one in aliases))


def make_both(
    platform: Platform, names: list[tuple[str, str]], days: list[tuple[int, int]]
) -> None:
    """The first of each pair in one batch, the second alone; both say the same of what they did."""
    asked = [(day_of(first), day_of(last)) for first, last in days]
    parts = {name: [some] for (name, _), some in zip(names, asked, strict=True)}
    batch, _ = platform.batch(parts, RUN)
    for work in (cluster_stories, score, measure_results, cover_slices):
        results = work(batch)
        assert list(results) == [one.scope for one in batch.slices]
        for (_, alone), some, one in zip(names, asked, results.values(), strict=True):
            assert isinstance(one, Written)
            other = run_alone(work, platform, alone, some)
            assert (one.rows, one.later, one.day_notes) == (
                other.rows,
                other.later,
                other.day_notes,
            )


def test_slices_of_one_workspace_in_a_batch_are_as_one_after_the_other(
    platform: Platform, taken: pl.DataFrame
) -> None:
    """The first of them renames what the second, which was made before, has to be made again."""
    both, alone = new_workspace(platform), new_workspace(platform)
    for name in (both, alone):
        take(platform, name, taken)
        observe(platform, name, CHAIN)
    ranges = [(day_of(3), day_of(4)), (day_of(0), day_of(1))]
    for some in reversed(ranges):
        for work in (cluster_stories, score, measure_results):
            run_alone(work, platform, alone, some)
    batch, _ = platform.batch({both: ranges}, RUN)
    for work in (cluster_stories, score, measure_results):
        results = work(batch)
        assert list(results) == [one.scope for one in batch.slices]
        assert {type(one) for one in results.values()} == {Written}
    for one, other in zip(rows_of(platform, both), rows_of(platform, alone), strict=True):
        assert_frame_equal(one, other)


def test_a_workspace_that_fails_takes_no_other_along(platform: Platform) -> None:
    """One of five names a spam model that is not there."""
    names = [new_workspace(platform) for _ in range(4)]
    broken = new_workspace(platform, spam={"model": "gone.json"})
    for name in (*names, broken):
        observe(platform, name, CHAIN)
    batch, _ = platform.batch(
        {name: [(day_of(0), day_of(1))] for name in (*names[:2], broken, *names[2:])}, RUN
    )
    results = cluster_stories(batch)
    assert list(results) == [one.scope for one in batch.slices]
    failed = {one.workspace_id: one for one in results if not isinstance(results[one], Written)}
    assert list(failed) == [broken]
    assert isinstance(results[failed[broken]], ConfigError)
    stored = platform.lake.cross_reader().read_across(TREND_STORIES)
    assert set(stored["workspace_id"]) == set(names)


def test_an_earlier_day_renames_a_story_and_its_former_id_goes_on_to_work(
    platform: Platform, taken: pl.DataFrame
) -> None:
    name = new_workspace(platform)
    take(platform, name, taken)
    observe(platform, name, [(2, 1, 0, 5), (2, 2, 4, 5), (3, 1, 0, 5), (1, 0, 1, 5)])
    make(platform, name, 2, 3)
    reader = platform.lake.reader(name)
    [former] = reader.read(TREND_STORIES).filter(item_id="1-0")["story_id"].unique()
    assert explain_story(platform, name, former).former_ids == ()

    make(platform, name, 1)

    account = explain_story(platform, name, former[:8])
    assert account.former_ids == (former,)
    assert account.days["day"].to_list() == [day_of(1), day_of(2), day_of(3)]
    # The page of the script told it on the day before, so now it is known to be taken.
    assert account.days["production_factor"].to_list() == [1.0, 0.0, 0.0]
    assert reader.read(STORY_ALIASES)["renamed_at"].to_list() == [platform.now()]


def test_a_change_is_followed_beyond_days_that_hide_it(platform: Platform) -> None:
    """A story of more than 28 days is renamed by its first day.

    Its lists were ranked on the last day alone, and its counts are the same on all days but the
    last: there an item joins by the page that the story had on its second day.
    """
    last = 37
    looks = [(day, day, 0, 5) for day in range(1, last + 1, 3)] + [(last, 1, 4, 7)]
    straight, mixed = new_workspace(platform), new_workspace(platform)
    for name in (straight, mixed):
        observe(platform, name, looks)
    days = (day_of(1), day_of(last))
    run_alone(cluster_stories, platform, mixed, days)
    run_alone(score, platform, mixed, day_of(last))
    run_alone(measure_results, platform, mixed, days)
    for name in (straight, mixed):
        observe(platform, name, [(0, 0, 0, 5)])

    later = run_alone(cluster_stories, platform, mixed, day_of(0)).later
    assert list(later) == [day_of(day) for day in range(1, last + 1, 3)]
    assert list(run_alone(score, platform, mixed, day_of(0)).later) == [day_of(last)]
    run_alone(measure_results, platform, mixed, day_of(0))
    make(platform, straight, 0, last)
    ranked = pl.col("day").is_in([day_of(0), day_of(last)])
    for one, other in zip(rows_of(platform, mixed), rows_of(platform, straight), strict=True):
        assert_frame_equal(one.filter(ranked), other.filter(ranked))


def test_a_day_keeps_what_it_was_first_ranked_as(platform: Platform) -> None:
    clock = [datetime(2026, 11, 20, 8, tzinfo=UTC), datetime(2026, 11, 20, 20, tzinfo=UTC)]
    name = new_workspace(platform)
    observe(platform, name, [(1, 1, 0, 3), (1, 2, 4, 9)])
    platform.now = lambda: clock[0]
    make(platform, name, 1)
    observe(platform, name, [(1, 3, 1, 23), (0, 3, 1, 1)])
    platform.now = lambda: clock[1]
    make(platform, name, 0, 1)

    day = platform.lake.reader(name).read(SCORED_TRENDS, days=(day_of(1), day_of(1)))
    assert dict(day.select("title", "position").rows()) == {TITLES[0]: 1, TITLES[4]: 2}
    first = day.select("title", "first_position", "first_ranked_at")
    assert sorted(first.rows()) == [(TITLES[4], 1, clock[0]), (TITLES[0], 2, clock[0])]


def test_what_was_ranked_before_there_were_first_ranks_has_none(platform: Platform) -> None:
    name = new_workspace(platform)
    observe(platform, name, [(1, 1, 0, 3)])
    make(platform, name, 1)
    slice_ = platform.slice(name, (day_of(1), day_of(1)), RUN)
    unknown = [pl.lit(None).alias(column) for column in ("first_position", "first_ranked_at")]
    reader = platform.lake.reader(name)
    ranked = reader.read(SCORED_TRENDS, days=slice_.days)
    publish_alone(slice_, SCORED_TRENDS, ranked.with_columns(unknown))
    observe(platform, name, [(1, 2, 4, 9)])
    make(platform, name, 1)
    day = (
        platform.lake.reader(name)
        .read(SCORED_TRENDS, days=slice_.days)
        .sort("first_position", nulls_last=True)
    )
    assert day["first_position"].to_list() == [1, None]
    assert day["first_ranked_at"].to_list() == [platform.now(), None]


def test_days_are_needed(platform: Platform) -> None:
    name = new_workspace(platform)
    observe(platform, name, [(0, 0, 4, 5)])
    for work in (cluster_stories, score, measure_results, cover_slices):
        with pytest.raises(ValueError, match=f"{name}.*: days are missing"):
            run_alone(work, platform, name, None)
    assert platform.lake.reader(name).read(TREND_STORIES).is_empty()


def test_only_what_changes_is_written(platform: Platform) -> None:
    name = new_workspace(platform)
    observe(platform, name, [(day, day, 4, 5) for day in range(LAST + 1)])
    make(platform, name, 2, LAST)
    before = platform.lake.snapshot_id()

    told = run_alone(cluster_stories, platform, name, (day_of(0), day_of(1)))

    assert told.snapshot_id == before + 1
    assert told.frame["day"].unique().sort().to_list() == [day_of(0), day_of(1)]
    # It is named after its first page now, on every day.
    assert told.later == {day_of(day): 1 for day in range(2, LAST + 1)}
    assert told.notes["later_days_updated"] == LAST - 1
    for days in ((day_of(0), day_of(1)), day_of(LAST)):
        assert run_alone(cluster_stories, platform, name, days).later == {}


def test_days_that_another_run_changes_meanwhile_are_looked_at_again(platform: Platform) -> None:
    name = new_workspace(platform)
    observe(platform, name, [(day, day, 4, 5) for day in range(3)])
    make(platform, name, 0, 2)
    rows = platform.lake.reader(name).read(TREND_STORIES)
    asked: list[tuple[str, ...]] = []

    def meddle(part: Batch, stored: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
        asked.append(part.workspace_ids)
        if len(asked) == 1:
            other = platform.slice(name, (day_of(1), day_of(1)), RUN)
            late = rows.filter(day=day_of(1)).with_columns(title=pl.lit("Another"))
            publish_alone(other, TREND_STORIES, late)
        all_rows = pl.concat([before, stored]).sort("workspace_id", "day")
        titles = all_rows.with_columns(
            pl.col("title").shift(1).over("workspace_id").fill_null("First")
        )
        return titles.join(stored, on=["workspace_id", "day"], how="semi")

    other_name = new_workspace(platform)
    observe(platform, other_name, [(2, 0, 4, 5)])
    make(platform, other_name, 2)
    batch, _ = platform.batch({name: [(day_of(2),) * 2], other_name: [(day_of(2),) * 2]}, RUN)
    dependence = Dependence(TREND_STORIES, meddle, reach=1, before=1)
    results = publish_with_later_days(batch, dependence)

    assert {type(one) for one in results.values()} == {Written}
    # Only the workspace that changed is made again.
    assert asked == [tuple(sorted([name, other_name])), (name,)]
    now = platform.lake.reader(name).read(TREND_STORIES).sort("day")
    assert now["title"].to_list() == [TITLES[4], "Another", "Another"]


def test_days_that_never_rest_are_not_written(platform: Platform) -> None:
    name = new_workspace(platform)
    calm = new_workspace(platform)
    for one in (name, calm):
        observe(platform, one, [(0, 0, 4, 5), (1, 0, 4, 5)])
        make(platform, one, 0, 1)
    titles: Iterator[int] = count()

    def meddle(part: Batch, stored: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
        if name in part.workspace_ids:
            other = platform.slice(name, (day_of(0), day_of(0)), RUN)
            late = before.filter(workspace_id=name)
            changed = late.with_columns(title=pl.lit(f"Title {next(titles)}"))
            publish_alone(other, TREND_STORIES, changed)
        return stored.with_columns(title=pl.lit("Unread"))

    batch, _ = platform.batch({name: [(day_of(1),) * 2], calm: [(day_of(1),) * 2]}, RUN)
    restless, written = publish_with_later_days(
        batch, Dependence(TREND_STORIES, meddle, reach=1, before=1)
    ).values()
    assert isinstance(restless, CatalogBusyError)
    assert "run it again" in str(restless)
    assert isinstance(written, Written)
    titles_of = {
        one: platform.lake.reader(one).read(TREND_STORIES).sort("day")["title"].to_list()
        for one in (name, calm)
    }
    assert "Unread" not in titles_of[name]
    assert titles_of[calm] == [TITLES[4], "Unread"]
