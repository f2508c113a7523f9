"""From observations to the ranked list, through the lake."""

from __future__ import annotations

import json
import os
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from ytap_assets.domain.spam.model import FEATURES_VERSION, FORMAT_VERSION, KIND, SpamModel
from ytap_assets.domain.spam.rules import OwnLists, SpamRules
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.collect import cover_slices
from ytap_assets.operations.platform import Picture, Platform
from ytap_assets.operations.trends import (
    cluster_stories,
    explain_story,
    list_top,
    measure_results,
    score,
    spam_model,
    spam_rules,
)
from ytap_assets.settings import Settings
from ytap_assets.tables import (
    COLLECTION_COVERAGE,
    PRODUCTION_RECORDS,
    SCORED_TRENDS,
    TREND_STORIES,
)
from ytap_assets.workspaces import Workspace, parse_workspace
from ytap_assets_tests.operations.alone import run_alone
from ytap_assets_tests.operations.test_production import script, write_lines
from ytap_assets_tests.operations.test_store import AT, fetch, store, trend
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "score")
DAY = AT.date()
NEXT = DAY + timedelta(days=1)
LAST = DAY + timedelta(days=2)
CABLE = "Undersea cable cut near Iceland leaves three countries offline"
AGAIN = "Three countries offline after undersea cable cut near Iceland"
MODEL = {
    "kind": KIND,
    "format_version": FORMAT_VERSION,
    "features_version": FEATURES_VERSION,
    "bias": -9000,
    "rules": {},
    "weights": {},
}
SURE = {**MODEL, "weights": {"subs": 20_000}}


def see(platform: Platform, item_id: str, day: date = DAY, **given: Any) -> None:
    """One look at one item."""
    source = given.get("source", "hn")
    name = given.pop("collection_id", f"{source}-{item_id}-{day}")
    noon = datetime.combine(day, time(12), UTC)
    known = {
        "observed_at": noon,
        "published_at": noon - timedelta(hours=3),
        "points": 400,
        "comments": 50,
        "url": f"https://{item_id}.example/",
    }
    row = trend(item_id, day=day, collection_id=name, **{**known, **given})
    store(platform, fetch([row], collection_id=name, day=day, source=source))


def make(platform: Platform, first: date, last: date | None = None) -> None:
    """The stories and the list over a range, as a run makes them."""
    for work in (cluster_stories, score):
        run_alone(work, platform, "tech", (first, last or first))


def story_ids(platform: Platform) -> dict[tuple[date, str], str]:
    rows = platform.lake.reader("tech").read(TREND_STORIES)
    return {(day, item): story for day, item, story in rows["day", "item_id", "story_id"].rows()}


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0, 1)])
def test_a_story_keeps_its_id_whatever_day_is_made_first(
    platform: Platform, order: tuple[int, ...]
) -> None:
    days = [DAY, NEXT, LAST]
    see(platform, "a", DAY, title=CABLE)
    see(platform, "b", NEXT, title=AGAIN, source="reddit")
    see(platform, "a", LAST, title=CABLE)
    see(platform, "z", NEXT, title="A cheese museum opens its doors")
    for number in order:
        make(platform, days[number])
    ids = story_ids(platform)
    assert ids[DAY, "a"] == ids[NEXT, "b"] == ids[LAST, "a"]
    assert ids[NEXT, "z"] != ids[NEXT, "b"]


def test_a_range_is_made_as_its_days_are(platform: Platform) -> None:
    see(platform, "a", DAY, title=CABLE)
    see(platform, "b", NEXT, title=AGAIN, source="reddit")
    for day in (DAY, NEXT):
        make(platform, day)
    one_by_one = platform.lake.reader("tech").read(SCORED_TRENDS).sort("day", "position")
    make(platform, DAY, NEXT)
    at_once = platform.lake.reader("tech").read(SCORED_TRENDS).sort("day", "position")
    assert one_by_one.equals(at_once)


def test_a_story_is_taken_from_the_day_after_its_script(platform: Platform) -> None:
    for day in (DAY, NEXT):
        see(platform, "a", day, title=CABLE)
    see(platform, "b", NEXT, title=AGAIN, source="reddit")
    make(platform, DAY)
    created = {"created_at": AT.isoformat(), "topic_url": "https://a.example/?utm_source=x"}
    write_lines(platform, "tech", "scripts.jsonl", script("cable", **created))
    advance_one(platform.slice("tech", None, RUN), "all")
    make(platform, DAY, NEXT)
    factors = platform.lake.reader("tech").read(SCORED_TRENDS).sort("day")
    assert factors["production_factor"].to_list() == [1.0, 0.0]
    assert factors["members"].to_list() == [1, 2]


def test_what_a_later_day_tells_takes_no_story_from_an_earlier_one(platform: Platform) -> None:
    for day in (DAY, NEXT):
        see(platform, "a", day, title=CABLE)
    see(platform, "p", LAST, title=AGAIN)
    created = {"created_at": AT.isoformat(), "topic_url": "https://p.example/"}
    write_lines(platform, "tech", "scripts.jsonl", script("cable", **created))
    advance_one(platform.slice("tech", None, RUN), "all")
    for _ in range(2):
        make(platform, DAY, LAST)
        ranked = platform.lake.reader("tech").read(SCORED_TRENDS).sort("day")
        assert ranked["story_id"].n_unique() == 1
        assert ranked["production_factor"].to_list() == [1.0, 1.0, 0.0]


def gates(platform: Platform, name: str = "tech") -> dict[str, list[str]]:
    records = platform.lake.reader(name).read(PRODUCTION_RECORDS)
    return dict(records.select("script_id", "failed_gates").rows())


def submit(platform: Platform, name: str, *scripts: tuple[str, str, str | None]) -> None:
    lines = [
        script(
            script_id,
            title=title,
            topic_url=url,
            created_at=AT.isoformat(),
            body=f"{name} {script_id}",
        )
        for script_id, title, url in scripts
    ]
    write_lines(platform, name, "scripts.jsonl", *lines)
    advance_one(platform.slice(name, None, RUN), "all")


def test_the_gate_and_the_rank_know_a_story_in_other_words(platform: Platform) -> None:
    series = "Dragon Prince Zadia explained, episode {}".format
    see(platform, "a", NEXT, title=AGAIN)
    see(platform, "b", NEXT, title="A cheese museum opens its doors")
    see(platform, "c", NEXT, title=series(2))
    told = [("told", CABLE, None), ("one", series(1), None)]
    submit(platform, "finance", ("other", AGAIN, None))
    submit(platform, "tech", *told)
    make(platform, NEXT)
    ranked = platform.lake.reader("tech").read(SCORED_TRENDS).sort("item_id")
    assert ranked["production_factor"].to_list() == [0.0, 1.0, 1.0]
    submit(platform, "tech", *told, ("again", AGAIN, None), ("two", series(2), None))
    reason = "topic: script told has the same story: similar title"
    assert gates(platform) == {"told": [], "one": [], "again": [reason], "two": []}
    assert gates(platform, "finance") == {"other": []}


def test_the_gate_knows_the_pages_of_a_story(platform: Platform) -> None:
    see(platform, "a", DAY, title=CABLE)
    see(platform, "b", DAY, title=AGAIN, source="reddit")
    see(platform, "c", DAY, title="A cheese museum opens its doors")
    make(platform, DAY)
    url = "https://{}.example/".format
    scripts = [("told", "Ours", url("a")), ("again", "Theirs", url("b")), ("c", "It", url("c"))]
    submit(platform, "finance", *scripts)
    submit(platform, "tech", scripts[0])
    submit(platform, "tech", *scripts)
    found = gates(platform)
    assert found["again"] == ["topic: script told has the same story: pages of one story"]
    assert found["told"] == found["c"] == []
    assert set(map(tuple, gates(platform, "finance").values())) == {()}


@pytest.mark.parametrize("created_at", ["0001-01-02T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_pages_of_scripts_with_any_date_are_compared(platform: Platform, created_at: str) -> None:
    see(platform, "a", DAY, title=CABLE)
    see(platform, "b", DAY, title=AGAIN, source="reddit")
    make(platform, DAY)
    submit(platform, "tech", ("told", "Ours", "https://a.example/"))
    late = script("late", created_at=created_at, title="Theirs", topic_url="https://b.example/")
    write_lines(platform, "tech", "scripts.jsonl", late)
    advance_one(platform.slice("tech", None, RUN), "all")
    reason = "topic: script told has the same story: pages of one story"
    assert gates(platform)["late"] == [reason]


def test_weights_and_keywords_come_from_the_config(platform: Platform) -> None:
    see(platform, "a", title=CABLE)
    see(platform, "b", title="A cheese museum opens its doors", points=900)
    make(platform, DAY)
    assert list_top(platform, "tech")[1]["item_id"].to_list() == ["b", "a"]
    config = {"name": "Tech", "vertical": "technology", "keywords": ["cable", "Iceland"]}
    scoring = {"weights": {"relevance": 3.0}}
    platform.workspaces.save(
        Workspace.model_validate({"workspace_id": "tech", **config, "scoring": scoring})
    )
    make(platform, DAY)
    day, listed = list_top(platform, "tech")
    assert (day, listed["item_id"].to_list()) == (DAY, ["a", "b"])
    assert listed["relevance_reasons"].to_list() == [["Iceland", "cable"], []]


def test_sources_are_credited_with_what_came_of_them(platform: Platform) -> None:
    see(platform, "a", title=CABLE)
    make(platform, DAY)
    late = (AT + timedelta(hours=8)).isoformat()
    scripts = [
        script("cable", created_at=late, topic_url="https://a.example/"),
        script("own", created_at=late, title="Ours"),
    ]
    write_lines(platform, "tech", "scripts.jsonl", *scripts)
    whole = platform.slice("tech", None, RUN)
    advance_one(whole, "all")
    rows = run_alone(measure_results, platform, "tech", (DAY, NEXT)).frame
    counts = rows.select("day", "source", "items", "top_ten", "chosen").sort("source")
    assert counts.rows() == [(DAY, "hn", 1, 1, 1), (DAY, "unattributed", 0, 0, 1)]


def test_a_later_look_takes_no_credit_from_the_first(platform: Platform) -> None:
    see(platform, "a", title=CABLE, observed_at=AT)
    see(platform, "a", title=CABLE, observed_at=AT + timedelta(days=1), collection_id="night")
    make(platform, DAY)
    chosen = {"created_at": (AT + timedelta(hours=2)).isoformat()}
    before = {"created_at": (AT - timedelta(hours=2)).isoformat()}
    scripts = [
        script("after", topic_url="https://a.example/", **chosen),
        script("before", topic_url="https://a.example/", **before),
    ]
    write_lines(platform, "tech", "scripts.jsonl", *scripts)
    whole = platform.slice("tech", None, RUN)
    advance_one(whole, "all")
    rows = run_alone(measure_results, platform, "tech", DAY).frame
    assert rows.select("source", "chosen").rows() == [("hn", 1), ("unattributed", 1)]


def test_coverage_is_a_table_and_a_picture(platform: Platform) -> None:
    see(platform, "a", DAY)
    written = run_alone(cover_slices, platform, "tech", (DAY - timedelta(days=1), DAY))
    states = written.frame.select("day", "target", "state").rows()
    assert (DAY, "front_page", "answered") in states
    assert (DAY - timedelta(days=1), "front_page", "unrecoverable") in states
    (picture,) = [note for note in written.notes.values() if isinstance(note, Picture)]
    assert "2026-11-20 Hacker News: collected" in picture.svg
    stored = platform.lake.reader("tech").read(COLLECTION_COVERAGE)
    assert stored.height == written.rows == len(states)


def test_the_list_and_a_story_can_be_asked_for(platform: Platform) -> None:
    see(platform, "a", DAY, title=CABLE)
    see(platform, "b", NEXT, title=AGAIN, source="reddit")
    see(platform, "s", NEXT, title="Free gift cards for all")
    make(platform, DAY, NEXT)
    assert list_top(platform, "tech")[0] == NEXT
    assert list_top(platform, "tech", NEXT)[1].height == 1
    assert list_top(platform, "tech", NEXT, with_spam=True)[1].height == 2
    account = explain_story(platform, "tech", "1")
    assert (account.day, account.of, account.members.height) == (NEXT, 2, 1)
    assert account.days["day"].to_list() == [DAY, NEXT]
    story_id = str(account.story["story_id"])
    assert explain_story(platform, "tech", story_id[:6].upper(), DAY).story["title"] == CABLE


@pytest.mark.parametrize(
    ("story", "day", "said"),
    [
        ("9", None, "no story at position 9"),
        ("ffffffff", None, "no story 'ffffffff'"),
        ("ab", None, "at least 4 characters"),
        ("1", LAST, "no scored trends on 2026-11-22"),
    ],
)
def test_what_is_not_there_is_told(
    platform: Platform, story: str, day: date | None, said: str
) -> None:
    see(platform, "a", title=CABLE)
    make(platform, DAY)
    with pytest.raises(ConfigError, match=said):
        explain_story(platform, "tech", story, day)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(2000, 1, 1), "2000-01-01: the days must be between"),
        (date(2999, 1, 1), "2999-01-01 is in the future"),
        (DAY - timedelta(days=1), "from the sources that return past days"),
    ],
)
def test_only_a_day_that_can_be_made_is_advised(platform: Platform, day: date, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        list_top(platform, "tech", day)
    assert said in str(error.value)
    assert ("ytap materialize" in str(error.value)) is (day < DAY and day.year > 2000)


def test_a_workspace_without_scores_says_how_to_make_them(platform: Platform) -> None:
    with pytest.raises(ConfigError, match=r"no scored trends yet; `ytap materialize"):
        list_top(platform, "finance")
    with pytest.raises(ConfigError, match="nowhere"):
        list_top(platform, "nowhere")


def test_nothing_observed_is_an_empty_list(platform: Platform) -> None:
    make(platform, DAY)
    assert platform.lake.reader("tech").read(SCORED_TRENDS).is_empty()


def workspace(spam: str = "{}") -> Workspace:
    text = f"name: Tech\nvertical: technology\nspam: {spam}\n"
    return parse_workspace("tech", text, origin="here")


def write_model(settings: Settings, content: str | bytes) -> None:
    (settings.store / "models").mkdir(parents=True, exist_ok=True)
    (settings.store / "models/m.json").write_bytes(
        content.encode() if isinstance(content, str) else content
    )


def test_an_empty_config_leaves_the_general_rules() -> None:
    assert spam_rules(workspace()) == SpamRules()


def test_a_config_adds_to_lists_and_sets_numbers() -> None:
    rules = spam_rules(
        workspace(
            "{blocklist: [secret], patterns: {own: 'x+y'}, rules_off: [promoted], max_emoji: 2,"
            " max_capitals_pct: 50, min_spam_pct: 90}"
        )
    )
    assert (rules.blocklist, rules.patterns) == (SpamRules().blocklist, SpamRules().patterns)
    assert rules.own == OwnLists(blocklist=("secret",), patterns=(("own", "x+y"),))
    assert rules.rules_off == {"promoted"}
    assert (rules.max_emoji, rules.max_capitals_pct, rules.min_spam_pct) == (2, 50, 90)
    assert rules.max_run == SpamRules().max_run


def test_no_model_is_read_unless_the_config_names_one(settings: Settings) -> None:
    write_model(settings, "broken")
    assert spam_model(settings, workspace()) is None


def test_a_model_is_read_from_the_models_folder(settings: Settings) -> None:
    write_model(settings, json.dumps(MODEL))
    assert spam_model(settings, workspace("{model: m.json}")) == SpamModel(-9000, {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        ("", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a spam model"),
        (json.dumps({**MODEL, "features_version": 99}), "features_version: 99"),
        (b" " * 20_000_001, "larger than"),
    ],
    ids=["missing", "empty", "bytes", "deep", "list", "version", "large"],
)
def test_a_model_that_cannot_be_read_is_refused_by_file_and_key(
    content: str | bytes | None, said: str, settings: Settings
) -> None:
    if content is not None:
        write_model(settings, content)
    with pytest.raises(ConfigError, match=rf"spam\.model of workspace 'tech': .*m\.json: .*{said}"):
        spam_model(settings, workspace("{model: m.json}"))


def test_a_pipe_in_place_of_a_model_is_not_waited_for(settings: Settings) -> None:
    (settings.store / "models").mkdir(parents=True)
    os.mkfifo(settings.store / "models/m.json")
    with pytest.raises(ConfigError, match=r"m\.json is a pipe, not a file"):
        spam_model(settings, workspace("{model: m.json}"))


def test_the_days_scores_say_what_the_model_held_against_a_title(platform: Platform) -> None:
    config: dict[str, Any] = {"name": "Tech", "vertical": "technology"}
    platform.workspaces.save(
        Workspace.model_validate({"workspace_id": "tech", **config, "spam": {"model": "m.json"}})
    )
    write_model(platform.settings, json.dumps(SURE))
    store(platform, fetch([trend("a", title="subscribe"), trend("b", title="A chip")]))
    members = run_alone(cluster_stories, platform, "tech", AT.date()).frame
    said = dict(members.select("item_id", "spam_reasons").iter_rows())
    assert [one for one in said["a"] if one.startswith("model")] == ["model: 0.9999"]
    assert not [one for one in said["b"] if one.startswith("model")]
