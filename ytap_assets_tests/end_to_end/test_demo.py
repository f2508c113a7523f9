"""What `make run` makes: whole, the same when made again, and honest about what failed."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import dagster as dg
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ytap_assets.cli.sql import QUESTIONS
from ytap_assets.defs.assets import PUSHED, WRITTEN_BESIDE
from ytap_assets.defs.launch import materialize_range
from ytap_assets.tables import TABLES
from ytap_assets_tests.end_to_end.conftest import DAYS, PROJECT, WORKSPACES, Demo

_MADE_ANEW = {"generated_at", "snapshot_id", "report_path", "run_id"}
_STATES = {
    "tech": {
        "script_pending_review": 3,
        "ready_for_generation": 2,
        "video_pending_review": 2,
        "ready_for_publish": 1,
        "published": 5,
        "rejected": 1,
    },
    "fitness": {
        "script_pending_review": 2,
        "ready_for_generation": 2,
        "video_pending_review": 1,
        "ready_for_publish": 1,
        "published": 4,
    },
    "finance": {
        "script_pending_review": 2,
        "ready_for_generation": 1,
        "video_pending_review": 1,
        "published": 3,
        "cancelled": 1,
    },
}
_README_QUESTION = re.compile(r'ytap sql "(?P<sql>[^"]+)"(?P<scope> --workspace \w+)?')


def snapshot_of(demo: Demo) -> dict[str, pl.DataFrame]:
    return {
        name: demo.rows(name).drop(_MADE_ANEW, strict=False)
        for name, table in TABLES.items()
        if table.mode == "derived"
    }


def heights_of(demo: Demo) -> dict[str, int]:
    return {name: demo.rows(name).height for name in TABLES}


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_rows_of_every_workspace(demo: Demo, table: str) -> None:
    # Ids are replaced where an earlier day becomes known; the demo's days are made in order. Its
    # workspaces are folders, and nothing is erased.
    is_empty = table in {"story_aliases", "erasures", *(one.name for one in PUSHED)}
    expected = set() if is_empty else set(WORKSPACES)
    assert set(demo.rows(table)["workspace_id"]) == expected


def test_every_run_succeeds_and_a_stage_is_one_run(demo: Demo) -> None:
    assert [run.error for run in demo.runs] == [None] * len(demo.runs)
    made = [asset for run in demo.runs for asset in run.assets]
    assert len(made) == len(set(made))
    beside = {table.name for table in WRITTEN_BESIDE}
    assert set(made) == set(TABLES) - beside
    assert all(run.workspace_ids == sorted(WORKSPACES) for run in demo.runs)


def test_a_run_again_leaves_the_same_rows(demo: Demo) -> None:
    tables, heights = snapshot_of(demo), heights_of(demo)
    again = materialize_range(demo.platform, "*", workspace_ids=["tech"], days=DAYS)
    assert [run.error for run in again] == [None] * len(again)
    for name, frame in snapshot_of(demo).items():
        assert_frame_equal(frame, tables[name])
    assert heights_of(demo) == heights


def test_every_fetch_adds_up(demo: Demo) -> None:
    log = demo.rows("collection_log")
    parts = pl.col("accepted") + pl.col("quarantined") + pl.col("duplicates")
    assert log.filter(pl.col("fetched") != parts).is_empty()
    stored = demo.rows("raw_trends").group_by("collection_id").len("stored")
    claimed = log.filter(
        pl.col("accepted") > 0, pl.col("collection_id").is_in(stored["collection_id"].implode())
    )
    assert claimed.height == stored.height
    assert (
        claimed.join(stored, on="collection_id")
        .filter(pl.col("accepted") != pl.col("stored"))
        .is_empty()
    )
    assert log["quarantined"].sum() == demo.rows("quarantined_rows").height


def test_every_observation_is_of_its_day(demo: Demo) -> None:
    trends = demo.rows("raw_trends")
    assert trends.filter(pl.col("observed_at").dt.date() != pl.col("day")).is_empty()
    assert set(trends["day"]) == set(pl.date_range(*DAYS, eager=True))


def test_positions_are_a_ranking_of_each_day(demo: Demo) -> None:
    days = (
        demo.rows("scored_trends")
        .group_by("workspace_id", "day")
        .agg(pl.col("position").sort(), pl.len())
    )
    assert days.height == len(WORKSPACES) * 5
    assert all(row["position"] == list(range(1, row["len"] + 1)) for row in days.to_dicts())


@pytest.mark.parametrize("workspace_id", WORKSPACES)
def test_scripts_stand_as_the_guide_says(demo: Demo, workspace_id: str) -> None:
    records = demo.rows("production_records").filter(workspace_id=workspace_id)
    assert dict(records["state"].value_counts().iter_rows()) == _STATES[workspace_id]


def test_the_guide_says_how_scripts_stand() -> None:
    guide = (PROJECT / "docs" / "production.md").read_text(encoding="utf-8")
    table = guide.partition("| state | tech | fitness | finance |\n")[2].partition("\n\n")[0]
    told: dict[str, dict[str, int]] = {"tech": {}, "fitness": {}, "finance": {}}
    for line in table.splitlines()[1:]:
        state, *counts = (cell.strip().strip("`") for cell in line.strip("|").split("|"))
        for workspace_id, count in zip(told, counts, strict=True):
            if count:
                told[workspace_id][state] = int(count)
    assert told == _STATES


def test_the_gains_of_a_video_add_up_to_its_views(demo: Demo) -> None:
    # Every video was published on a recorded day, so none of its views is left out.
    last = demo.rows("video_metrics").sort("day").group_by("workspace_id", "video_id").last()
    views = dict(last.group_by("workspace_id").agg(pl.col("views").sum()).iter_rows())
    for table in ("workspace_reports", "source_performance"):
        told = demo.rows(table).group_by("workspace_id").agg(pl.col("views_gained").sum())
        assert dict(told.iter_rows()) == views


def test_every_script_is_about_a_recorded_story_and_its_source_is_known(demo: Demo) -> None:
    performance = demo.rows("source_performance")
    strangers = performance.filter(pl.col("source") == "unattributed")
    no_topic = demo.rows("production_records").filter(pl.col("topic_url").is_null())
    assert no_topic["script_id"].to_list() == ["rents-in-nine-cities-again"]
    assert (strangers["chosen"].sum(), strangers["published"].sum()) == (1, 0)
    sums = performance.group_by("source").agg(pl.col("views_gained", "cost_usd_micros").sum())
    paid = sums.filter(pl.col("views_gained") > 0, pl.col("cost_usd_micros") > 0)
    assert set(paid["source"]) == {"hn", "reddit", "youtube", "youtube_channel"}


def test_one_story_stands_on_three_sources(demo: Demo) -> None:
    stories = demo.rows("scored_trends").filter(pl.col("sources").list.len() == 3)
    assert {tuple(one) for one in stories["sources"].to_list()} == {("hn", "reddit", "youtube")}
    assert stories["story_id"].n_unique() == 1


def test_no_number_of_the_demo_is_nan(demo: Demo) -> None:
    for name in TABLES:
        floats = demo.rows(name).select(pl.col(pl.Float64).is_nan().any())
        assert not any(floats.row(0)) if floats.width else True, name


def test_the_overview_names_every_workspace_and_links_pages_that_are_there(demo: Demo) -> None:
    reports = demo.platform.settings.store / "reports"
    page = (reports / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'href="([^"]+)"', page)
    assert sorted(links) == sorted(
        f"{workspace_id}/{name}"
        for workspace_id in WORKSPACES
        for name in ("index.html", f"{DAYS[1]}.html")
    )
    assert all((reports / link).is_file() for link in links)
    titles = demo.rows("workspace_reports")["top_title"].drop_nulls()
    assert not any(title in page for title in titles)
    assert str(reports / "index.html") in demo.ytap.ok("summary")


def test_the_essentials_of_a_report_are_shown_where_it_is_made(demo: Demo) -> None:
    home = demo.platform.settings.dagster_home
    with dg.DagsterInstance.from_config(str(home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("workspace_reports"))
    assert event is not None
    assert event.asset_materialization is not None
    shown = event.asset_materialization.metadata["essentials"]
    assert isinstance(shown, dg.MarkdownMetadataValue)
    assert shown.value is not None
    assert "In review" in shown.value


def test_a_failing_source_is_named_in_its_report_and_the_others_went_on(demo: Demo) -> None:
    day = date(2026, 11, 18)
    log = demo.rows("collection_log").filter(workspace_id="finance", day=day)
    failed = log.filter(pl.col("outcome") != "ok")
    assert failed.select("source", "target", "http_status").rows() == [
        ("reddit", "r/personalfinance", 503)
    ]
    assert {"hn", "youtube_channel"} <= set(log.filter(accepted=pl.col("fetched"))["source"])
    report = demo.rows("workspace_reports").filter(workspace_id="finance", day=day)
    assert report["missing"].to_list() == [["Reddit: no response for r/personalfinance (503)"]]
    path = demo.platform.settings.data / report["report_path"].item()
    assert "no response for r/personalfinance (503)" in path.read_text(encoding="utf-8")


class _Resources(HTMLParser):
    """Collects what a browser would load by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in {"script", "link", "iframe", "object", "embed", "base", "img"}:
            self.found.append(tag)
        self.found += [f"{tag} {name}" for name in named if name in {"src", "srcset", "background"}]
        self.found += [f"{tag} {name}" for name in named if name.startswith("on")]


def test_every_workspace_and_day_has_a_report_that_loads_nothing(demo: Demo) -> None:
    reports = demo.rows("workspace_reports")
    assert reports.height == len(WORKSPACES) * 5
    for path in reports["report_path"]:
        page = (demo.platform.settings.data / path).read_text(encoding="utf-8")
        parser = _Resources()
        parser.feed(page)
        assert parser.found == []
        assert "<svg" in page
        assert not re.search(r"@import|url\(", page)


def test_a_report_tells_the_run_and_the_snapshot_it_was_made_from(demo: Demo) -> None:
    known = set(demo.platform.lake.snapshots()["snapshot_id"])
    for row in demo.rows("workspace_reports").iter_rows(named=True):
        assert row["snapshot_id"] in known
        page = (demo.platform.settings.data / row["report_path"]).read_text(encoding="utf-8")
        assert f"snapshot {row['snapshot_id']}" in page


def test_every_snapshot_names_the_run_that_wrote_it(demo: Demo) -> None:
    written = demo.platform.lake.snapshots().filter(pl.col("author") == "dagster")
    names = written["run_id"]
    assert names.null_count() == 0
    assert {run.run_id for run in demo.runs} <= set(names)
    others = demo.platform.lake.snapshots().filter(pl.col("author") != "dagster")
    assert set(others["run_id"]) == {"schema"}


@pytest.mark.parametrize("question", QUESTIONS)
def test_what_the_summary_suggests_can_be_asked(demo: Demo, question: str) -> None:
    assert question in demo.ytap.ok("summary")
    assert "(0 rows)" not in demo.ytap.ok("sql", question)


def test_what_the_readme_suggests_can_be_asked(demo: Demo) -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    asked = list(_README_QUESTION.finditer(readme))
    assert asked
    for found in asked:
        scope = (found["scope"] or "").split()
        assert "(5 rows)" in demo.ytap.ok("sql", found["sql"], *scope)


def test_the_check_up_finds_no_fault_where_only_the_folder_says_that_it_replays(
    demo: Demo,
) -> None:
    demo.platform.settings.remember_transport()
    report = replace(demo.ytap, transport="").ok("doctor")
    assert "replay (stored in" in report
