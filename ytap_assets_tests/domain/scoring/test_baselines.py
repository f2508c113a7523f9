from __future__ import annotations

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from ytap_assets.domain.scoring.baselines import (
    DEFAULT_BASELINES,
    TAKE_OFF,
    TOP_SHARES,
    measure_baselines,
    place,
)

SCHEMA = {
    "source": pl.String,
    "momentum_basis": pl.String,
    "expected_engagement": pl.Float64,
    "velocity": pl.Float64,
    "rank_share": pl.Float64,
}
NO_PAST = measure_baselines(pl.DataFrame(schema=SCHEMA))
REDDIT = DEFAULT_BASELINES["reddit", "points"]


def item(**given_values: Any) -> dict[str, Any]:
    return {
        "source": "reddit",
        "momentum_basis": "points",
        "expected_engagement": REDDIT.expected,
        "velocity": REDDIT.velocity,
        "rank_share": None,
        **given_values,
    }


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([item(**row) for row in rows], schema=SCHEMA)


def top_shares(rows: pl.DataFrame, baselines: pl.DataFrame = NO_PAST) -> list[float | None]:
    return place(rows, baselines)["top_share"].to_list()


def momenta(rows: pl.DataFrame, baselines: pl.DataFrame = NO_PAST) -> list[float]:
    return place(rows, baselines)["momentum"].to_list()


def test_declared_norms_rise() -> None:
    for baseline in DEFAULT_BASELINES.values():
        assert len(baseline.hotness) == len(TOP_SHARES)
        assert sorted(set(baseline.hotness)) == list(baseline.hotness)


def test_each_knot_is_reached_by_its_share_of_items() -> None:
    rows = frame(
        *(
            {"expected_engagement": hotness * REDDIT.expected, "velocity": 0.0}
            for hotness in REDDIT.hotness
        )
    )
    assert top_shares(rows) == pytest.approx(TOP_SHARES)


def test_momentum_of_known_shares() -> None:
    rows = frame(
        *({"momentum_basis": "rank", "rank_share": share} for share in (1.0, 0.5, 0.1, 0.01, 1e-8))
    )
    assert momenta(rows) == [0.0, 1.591, 4.3766, 6.8377, 9.9]


def test_the_unknown_is_taken_as_usual() -> None:
    (unknown,) = momenta(
        frame({"momentum_basis": "unknown", "expected_engagement": None, "rank_share": None})
    )
    (middle,) = momenta(frame({"momentum_basis": "rank", "rank_share": 0.5}))
    assert unknown == middle
    assert top_shares(frame({"momentum_basis": "unknown"})) == [None]


def test_what_takes_off_passes_what_has_more() -> None:
    fast = {"expected_engagement": 60.0, "velocity": 4 * REDDIT.velocity}
    large = {"expected_engagement": 600.0, "velocity": REDDIT.velocity}
    high, low = momenta(frame(fast, large))
    assert high > low


def test_below_take_off_speed_hardly_matters() -> None:
    usual = REDDIT.velocity
    slow, faster = top_shares(frame({"velocity": 0.1 * usual}, {}))
    assert slow == pytest.approx(faster, abs=0.01)
    assert (1 / TAKE_OFF) ** REDDIT.steepness < 0.01


def test_nothing_seen_yet_gives_the_declared_norms() -> None:
    assert NO_PAST.is_empty()
    rows = frame({}, {"source": "youtube", "momentum_basis": "views"}, {"source": "lobsters"})
    assert place(rows, NO_PAST)["top_share"].is_null().to_list() == [False, False, True]
    assert place(rows, NO_PAST)["is_compared"].to_list() == [True, True, False]


def liked(likes: float) -> dict[str, Any]:
    return {
        "source": "articles",
        "momentum_basis": "likes",
        "expected_engagement": likes,
        "velocity": likes / 10,
    }


@pytest.mark.parametrize(
    ("source", "basis"),
    [
        ("articles", "likes"),
        ("articles", "views"),
        ("youtube_channel", "views"),
        ("hn", "comments"),
    ],
)
@pytest.mark.parametrize("count", [0.0, 320.0, 32_000.0])
def test_a_source_without_a_norm_is_neutral_until_its_items_are_known(
    source: str, basis: str, count: float
) -> None:
    row = {**liked(count), "source": source, "momentum_basis": basis}
    assert momenta(frame(row)) == [1.591]
    one = measure_baselines(frame({**row, **liked(320), "source": source, "momentum_basis": basis}))
    assert momenta(frame(row), one) == pytest.approx([1.591], abs=0.3)


def test_the_own_items_of_a_source_count_more_the_more_they_are() -> None:
    sizes = [10 * 1.1**n for n in range(50)]
    momentum = []
    for times in (1, 4, 40):
        baselines = measure_baselines(frame(*(liked(size) for size in sizes * times)))
        low, middle, high = place(frame(liked(10), liked(108), liked(2_000)), baselines).rows(
            named=True
        )
        assert middle["momentum"] == pytest.approx(1.6, abs=0.15)
        assert low["momentum"] < middle["momentum"] < high["momentum"]
        assert low["is_compared"]
        momentum.append((high["momentum"], -low["momentum"]))
    assert momentum == sorted(momentum)
    assert momentum[-1][0] > 5
    assert not place(frame(liked(10)), measure_baselines(frame(liked(10))))["is_compared"].item()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(0, 1e12), max_size=30),
    st.floats(0, 1e15),
    st.floats(0, 1e15),
    st.sampled_from(["likes", "views", "points", "comments"]),
)
def test_of_any_source_momentum_orders_as_heat_does(
    past: list[float], low: float, high: float, basis: str
) -> None:
    low, high = sorted((low, high))
    items = [{**liked(likes), "momentum_basis": basis} for likes in (*past, low, high)]
    baselines = measure_baselines(frame(*items[:-2]))
    smaller, larger = momenta(frame(*items[-2:]), baselines)
    assert 0 <= smaller <= larger <= 10


def test_many_past_items_outweigh_the_default_and_few_do_not() -> None:
    loud = {"expected_engagement": 4500.0, "velocity": 3600.0}
    many = measure_baselines(frame(*[loud] * 5000)).row(0, named=True)
    few = measure_baselines(frame(loud)).row(0, named=True)
    assert many["usual_expected"] == pytest.approx(4500, rel=0.1)
    assert few["usual_expected"] == pytest.approx(45, rel=0.15)


def test_a_community_is_measured_by_itself() -> None:
    rng = random.Random(1)
    sizes = [rng.lognormvariate(0, 1) for _ in range(2000)]
    for scale in (1.0, 100.0):
        past = frame(
            *({"expected_engagement": scale * size, "velocity": scale * size} for size in sizes)
        )
        (share,) = top_shares(
            frame({"expected_engagement": scale, "velocity": scale}),
            measure_baselines(past),
        )
        assert share == pytest.approx(0.5, abs=0.05)


def test_norms_of_unknown_and_ranked_items_are_not_taken() -> None:
    assert measure_baselines(
        frame({"momentum_basis": "unknown"}, {"momentum_basis": "rank", "rank_share": 0.1})
    ).is_empty()


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e15), min_size=1, max_size=30), st.randoms())
def test_the_order_of_past_items_changes_nothing(values: list[float], rng: random.Random) -> None:
    rows = [{"expected_engagement": v, "velocity": v / 2} for v in values]
    shuffled = rng.sample(rows, len(rows))
    assert_frame_equal(measure_baselines(frame(*rows)), measure_baselines(frame(*shuffled)))


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 1e18), max_size=20),
    st.floats(0, 1e18),
    st.floats(0, 1e18),
    st.floats(0, 1e18),
)
def test_momentum_never_falls_as_a_measure_rises(
    past: list[float], low: float, high: float, other: float
) -> None:
    low, high = sorted((low, high))
    baselines = measure_baselines(frame(*({"expected_engagement": v, "velocity": v} for v in past)))
    for name, fixed in (
        ("expected_engagement", "velocity"),
        ("velocity", "expected_engagement"),
    ):
        smaller, larger = momenta(
            frame({name: low, fixed: other}, {name: high, fixed: other}), baselines
        )
        assert 0 <= smaller <= larger <= 10


def test_placing_keeps_rows_and_their_order() -> None:
    rows = frame(
        {"source": "youtube", "momentum_basis": "views"}, {}, {"momentum_basis": "unknown"}
    )
    placed = place(rows, NO_PAST)
    assert_frame_equal(placed.select(rows.columns), rows)
    assert momenta(rows.clear()) == []
