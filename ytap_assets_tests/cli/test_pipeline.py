"""Filling the lake, and the ranked list, on the command line."""

from __future__ import annotations

import csv
import io
import json
import shlex
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from ytap_assets.cli.common import Day
from ytap_assets.cli.pipeline import import_files
from ytap_assets.domain.source_profiles import SOURCES
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.trends import cluster_stories, score
from ytap_assets.sources import collect
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import SCORED_TRENDS
from ytap_assets.workspaces import Channel, Workspaces
from ytap_assets_tests.cli.conftest import DAY, Ytap, append_trends, trend
from ytap_assets_tests.operations.alone import run_alone
from ytap_assets_tests.operations.test_store import fetch

HEADER_OF_POINTS = (
    "video_id,title,fetched_at,published_at,view_count,like_count,comment_count,region,category_id,"
    "channel_id,channel_name,duration_seconds\n"
)
POINT = (
    "abcdefghijk,Ten knots,{year}-11-18T08:00:00Z,2026-11-17T08:00:00Z,5,1,0,US,10,"
    "UCkPc1TechDemoAb3dEfGh2A,Sailors,90\n"
)
HEADER = "id,title,url,num_points,num_comments,author,created_at\n"
COUNT = "select count(*) as n, count(distinct day) as days from raw_trends"


def write_stories(path: Path, *numbers: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{number},Story {number},https://example.org/{number},12,3,u_1,9/16/2016 3:2{number}\n"
        for number in numbers
    ]
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def importing(*paths: Path) -> list[str | Path]:
    options = ("--workspace", "tech", "--source", "hn", "--observed-on", "2016-09-17")
    return ["import", "trends", *paths, *options]


def test_a_line_per_file_and_a_total(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    folder = tmp_path / "stories"
    write_stories(folder / "a.csv", 1, 2)
    write_stories(folder / "below" / "b.csv", 2, 3)
    write_stories(folder / ".hidden.csv", 4)
    lines = ytap.ok(*importing(folder)).splitlines()
    assert [line.split() for line in lines[2:5]] == [
        ["a.csv", "2016-09-17", "2", "2", "0", "0"],
        ["b.csv", "2016-09-17", "2", "1", "0", "1"],
        ["total", "∅", "4", "3", "0", "1"],
    ]
    assert ytap.ok("sql", COUNT, "-f", "csv") == "n,days\n3,1\n"


def test_older_days_can_be_asked_for_once_they_are_imported(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    day = ("--from", "2016-09-16", "--to", "2016-09-16")
    rank = ("materialize", "key:trend_stories", "--workspace", "tech", *day)
    assert "the days must be between" in ytap.refused(2, *rank)
    stories = write_stories(tmp_path / "a.csv", 1, 2)

    assert "The first day is now 2016-09-16" in ytap(*importing(stories)).stderr
    assert "The first day" not in ytap(*importing(stories)).stderr
    ytap.ok(*rank)


def test_the_advice_after_an_import_names_the_days_that_are_new(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    file = tmp_path / "points.csv"
    points = [
        POINT.format(year=2026).replace("-18T", f"-{day}T").replace("ghijk", f"ghi{day}")
        for day in (18, 19)
    ]
    file.write_text(HEADER_OF_POINTS + "".join(points), encoding="utf-8")
    load = ("import", "trends", file, "-w", "tech", "--source", "youtube")

    said, again = ytap(*load).stderr, ytap(*load).stderr

    assert (
        "ytap materialize 'key:collection_coverage or key:trend_stories or key:scored_trends+'"
        " --workspace tech --from 2026-11-18 --to 2026-11-19\n"
    ) in said
    assert "ytap materialize" not in again


def test_years_of_history_are_not_advised_to_become_reports(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    file = tmp_path / "points.csv"
    file.write_text(
        HEADER_OF_POINTS + POINT.format(year=2024) + POINT.format(year=2026), encoding="utf-8"
    )

    said = ytap("import", "trends", file, "-w", "tech", "--source", "youtube").stderr

    assert (
        "'key:collection_coverage or key:trend_stories or key:scored_trends' --workspace tech"
        " --from 2024-11-18" in said
    )


def answer_with(monkeypatch: pytest.MonkeyPatch, *outcomes: str) -> None:
    """Every day's collection of trends has one target for each of these outcomes."""

    async def answer(_: object, day: date, **__: object) -> list[Fetch]:
        return [
            fetch(
                [],
                collection_id=f"{day} {number}",
                day=day,
                target=str(number),
                outcome=outcome,
                detail=None if outcome == "ok" else "example.org/x: connection refused",
            )
            for number, outcome in enumerate(outcomes)
        ]

    monkeypatch.setattr(collect, "collect_trends", answer)


COLLECT = ("materialize", "raw_trends", "--workspace", "tech")


def test_a_collection_in_which_every_target_failed_ends_with_1_and_says_why(
    platform: Platform, ytap: Ytap, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "transient_error", "transient_error")

    line = ytap.refused(1, *COLLECT)

    assert "2 of 2 targets failed: connection refused (2)" in line
    assert line.count("tech") == 1


def test_targets_that_failed_beside_others_are_a_warning(
    platform: Platform, ytap: Ytap, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, "ok", "transient_error")

    result = ytap(*COLLECT)

    assert result.exit_code == 0
    [line] = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert "raw_trends: 1 of 2 targets failed: connection refused (1)" in line


def test_again_changes_nothing(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    stories = write_stories(tmp_path / "a.csv", 1, 2)
    ytap.ok(*importing(stories))
    ytap.ok(*importing(stories))
    result = ytap(*importing(stories))
    assert (result.exit_code, "a.csv: nothing new: " in result.stderr) == (0, True)
    assert ytap.ok("sql", COUNT, "-f", "csv") == "n,days\n2,1\n"


def test_rows_in_quarantine_are_shown_by_the_advised_statement(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    stories = write_stories(tmp_path / "a.csv", 1, 2)
    assert "quarantined_rows" not in ytap(*importing(stories)).stderr
    with stories.open("a", encoding="utf-8") as file:
        file.write("x,Story,,1,2,u,9/16/2016 3:20\n")
    result = ytap(*importing(stories))
    assert result.exit_code == 0
    [line] = [line for line in result.stderr.splitlines() if "quarantined_rows" in line]
    shown = ytap.ok(*shlex.split(line.partition("ytap ")[2]), "-f", "csv")
    assert len(shown.splitlines()) == 2
    assert "column id contains 'x'" in shown


def test_a_file_of_which_no_row_can_be_read_fails_with_the_reason(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(HEADER + "x,Story,,1,2,u,9/16/2016 3:20\n" * 2, encoding="utf-8")
    result = ytap(*importing(bad, write_stories(tmp_path / "a.csv", 1)))
    assert result.exit_code == 1
    [line] = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: bad.csv: nothing was imported: of 2 rows 2 for this reason: ")
    assert "column id contains 'x'" in line
    assert "quarantined_rows" in line
    assert ["bad.csv", "2016-09-17", "2", "0", "2", "0"] in map(
        str.split, result.stdout.splitlines()
    )
    assert ytap.ok("sql", COUNT, "-f", "csv") == "n,days\n1,1\n"


def test_a_file_of_no_known_format_is_refused(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    unknown = tmp_path / "unknown\x1b[31m.csv"
    unknown.write_text("a,b\n1,2\n", encoding="utf-8")
    line = ytap.refused(2, *importing(write_stories(tmp_path / "a.csv", 1), unknown))
    assert "unknown format" in line
    assert "\x1b" not in line
    assert ytap.ok("sql", COUNT, "-f", "csv") == "n,days\n1,1\n"


def test_what_cannot_be_imported_is_misuse(platform: Platform, ytap: Ytap, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    stories = write_stories(tmp_path / "a.csv", 1)
    assert "contains no files" in ytap.refused(2, *importing(tmp_path / "empty"))
    assert "none.csv: no such file" in ytap.refused(2, *importing(tmp_path / "none.csv"))
    assert ytap("import", "trends", stories, "-w", "tech", "--source", "telex").exit_code == 2
    wrong_day = ("--source", "hn", "--observed-on", "17.9.2016")
    assert ytap("import", "trends", stories, "-w", "tech", *wrong_day).exit_code == 2
    assert "does not exist" in ytap.refused(
        2, "import", "trends", stories, "-w", "nobody", "--source", "hn"
    )


def test_materialize_makes_an_asset_for_every_workspace(platform: Platform, ytap: Ytap) -> None:
    workspaces = Workspaces(platform.settings)
    own = Channel(id="UC" + "a" * 22, title="Own \x1b[31m")
    workspaces.save(workspaces.get("tech").model_copy(update={"channels": (own,)}))
    archived = workspaces.get("finance").model_copy(update={"status": "archived"})
    workspaces.save(archived)
    result = ytap("materialize", "channels", "--all-workspaces")
    assert result.exit_code == 0, result.output
    assert "[1/1] channels: 1 row of tech" in result.stderr
    [row] = [line.split() for line in result.stdout.splitlines() if line.startswith("tech ")]
    assert (row[1], row[-1]) == ("ok", "channels")
    query = "select workspace_id, channel_id from channels"
    assert ytap.ok("sql", query, "-f", "csv").splitlines()[1:] == [f"tech,{own.id}"]


def test_folders_that_cannot_be_read_stop_nobody_else(platform: Platform, ytap: Ytap) -> None:
    for folder, text in (("broken", "name: ["), ("tech (copy)", "name: x\nvertical: y\n")):
        (platform.settings.workspaces / folder).mkdir()
        (platform.settings.workspaces / folder / "config.yaml").write_text(text, encoding="utf-8")
    result = ytap("materialize", "channels", "--all-workspaces")
    assert result.exit_code == 1
    made = [line.split()[:3] for line in result.stdout.splitlines() if "channels" in line]
    assert made == [["finance,", "tech", "ok"]]
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert ["broken" in errors[0], "tech (copy)" in errors[1], len(errors)] == [True, True, 2]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["*"],
        ["*", "--workspace", "tech", "--all-workspaces"],
        ["*", "--workspace", "tech", "--from", "tomorrow"],
    ],
)
def test_what_is_wanted_has_to_be_clear(
    platform: Platform, ytap: Ytap, arguments: list[str]
) -> None:
    assert ytap("materialize", *arguments).exit_code == 2


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nothing_like_it", "-w", "tech"], "selection 'nothing_like_it'"),
        (["channels", "-w", "nobody"], "does not exist"),
        (
            ["scored_trends", "-w", "tech", "--from", "2999-01-01", "--to", "2999-01-02"],
            "2999-01-01 is after 2026-11-20, the last recorded day",
        ),
        (
            ["scored_trends", "-w", "tech", "--from", "2999-01-01"],
            "2999-01-01 is after 2026-11-20, the last recorded day",
        ),
        (["scored_trends", "-w", "tech", "--from", "2026-11-02", "--to", "2026-11-01"], "is after"),
    ],
)
def test_what_cannot_be_made_is_told_in_a_line(
    platform: Platform, ytap: Ytap, arguments: list[str], reason: str
) -> None:
    assert reason in ytap.refused(2, "materialize", *arguments)


def test_no_workspace_at_all(ytap: Ytap) -> None:
    assert ytap("materialize", "*", "--all-workspaces").exit_code == 2


def test_a_path_that_is_missing_stops_no_other(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    stories = write_stories(tmp_path / "a.csv", 1)
    result = ytap(*importing(tmp_path / "none.csv", tmp_path / "empty", stories))
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert (result.exit_code, len(errors)) == (2, 2)
    assert ytap.ok("sql", COUNT, "-f", "csv") == "n,days\n1,1\n"


def test_rows_of_days_to_come_are_told_at_once(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    path = tmp_path / "points.csv"
    path.write_text(HEADER_OF_POINTS + POINT.format(year=2027), encoding="utf-8")
    result = ytap("import", "trends", path, "-w", "tech", "--source", "youtube")
    assert result.exit_code == 0, result.stderr
    assert "warning: points.csv: rows with a date in the future: 1, up to 2027-" in result.stderr


def test_videos_of_monitored_channels_can_be_imported(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    path = tmp_path / "points.csv"
    path.write_text(HEADER_OF_POINTS + POINT.format(year=2026), encoding="utf-8")
    ytap.ok("import", "trends", path, "-w", "tech", "--source", "youtube_channel")
    query = "select source from raw_trends"
    assert ytap.ok("sql", query, "-f", "csv") == "source\nyoutube_channel\n"


def test_every_source_of_trends_can_be_named() -> None:
    [option] = [one for one in import_files.params if one.name == "source"]
    assert isinstance(option.type, click.Choice)
    assert set(option.type.choices) == set(SOURCES)


def test_the_transport_is_told_remembered_and_may_differ(platform: Platform, ytap: Ytap) -> None:
    first = ytap("materialize", "channels", "-w", "tech")
    again = replace(ytap, transport="")("materialize", "channels", "-w", "tech")
    other = replace(ytap, transport="live")("materialize", "channels", "-w", "tech")
    assert "transport: replay (stored in" in first.stderr
    assert "transport: replay (stored in" in again.stderr
    assert "transport: live (YTAP_TRANSPORT); " in other.stderr


def test_an_archived_workspace_is_not_worked_on(
    platform: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    ytap.ok("workspace", "archive", "tech")
    for command in (
        ("materialize", "channels", "-w", "tech"),
        tuple(importing(write_stories(tmp_path / "a.csv", 1))),
    ):
        assert "`ytap workspace unarchive tech`" in ytap.refused(2, *command)
    ytap.ok("workspace", "unarchive", "tech")
    ytap.ok("materialize", "channels", "-w", "tech")


def test_a_mistyped_asset_is_answered_with_the_nearest(platform: Platform, ytap: Ytap) -> None:
    for selection in ("scored_trend", "key:scored_trend", "+scored-trends*"):
        line = ytap.refused(2, "materialize", selection, "-w", "tech")
        assert "AssetsDefinition" not in line
    assert "did you mean `scored_trends`?" in ytap.refused(
        2, "materialize", "scored_trend", "-w", "tech"
    )


@pytest.mark.parametrize(
    ("asset", "command"),
    [("lake_maintenance", "`ytap maintain`"), ("restore_drill", "`ytap backup --verify`")],
)
def test_an_asset_without_partitions_is_answered_with_its_command(
    platform: Platform, ytap: Ytap, asset: str, command: str
) -> None:
    assert command in ytap.refused(2, "materialize", asset, "-w", "tech")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("today", "2026-11-20"),
        ("Yesterday", "2026-11-19"),
        ("3 days ago", "2026-11-17"),
        ("1 day ago", "2026-11-19"),
        ("7d", "2026-11-13"),
        ("2026-11-01", "2026-11-01"),
    ],
)
def test_days_are_counted_back_from_today(
    ytap: Ytap, monkeypatch: pytest.MonkeyPatch, text: str, day: str
) -> None:
    monkeypatch.setenv("YTAP_DATA", str(ytap.data))
    monkeypatch.setenv("YTAP_TRANSPORT", "replay")
    assert Day().convert(text, None, None) == date.fromisoformat(day)


@pytest.mark.parametrize("text", ["tomorrow", "last week", "-1", "2026-13-01", "days ago"])
def test_other_words_are_no_days(ytap: Ytap, text: str) -> None:
    line = ytap.refused(2, "trends", "top", "-w", "tech", "--day", text)
    assert "today, yesterday or '3 days ago'" in line


HOSTILE = "Title \x1b[31m\u202eevil"


@pytest.fixture
def ranked(platform: Platform) -> Platform:
    """Twelve stories, the best of them hostile, and one that is spam."""
    morning = datetime(2026, 11, 20, 5, tzinfo=UTC)

    def see(name: str, **given: Any) -> dict[str, Any]:
        return trend("tech", name, url=f"https://{name}.example/", published_at=morning, **given)

    rows = [see(str(n), points=100 + 10 * n) for n in range(11)]
    talk = "http://www.best.example/?utm_source=x"  # another spelling of its page
    best = see("best", points=9000, title=HOSTILE, discussion_url=talk)
    append_trends(platform, *rows, best, see("spam", title="Free gift cards for all"))
    for work in (cluster_stories, score):
        run_alone(work, platform, "tech", DAY)
    return platform


def test_the_best_are_listed_with_their_reasons(ranked: Platform, ytap: Ytap) -> None:
    listed = ytap.ok("trends", "top", "-w", "tech")
    first, *lines = listed.splitlines()
    assert first == "tech, 2026-11-20: 10 of 12 stories"
    assert lines[0].split()[0] == "1"
    assert "evil" in lines[0]
    assert "Hacker News" in lines[1]
    assert "\x1b" not in listed
    assert "\u202e" not in listed
    assert "gift cards" not in listed


def test_more_are_listed_where_they_are_asked_for(ranked: Platform, ytap: Ytap) -> None:
    listed = ytap.ok("trends", "top", "-w", "tech", "--limit", "99", "--spam", "--day", str(DAY))
    assert "13 of 13 stories" in listed
    assert "blocklist: free gift cards" in listed


def test_programs_get_every_column(ranked: Platform, ytap: Ytap) -> None:
    rows = json.loads(ytap.ok("trends", "top", "-w", "tech", "-f", "json", "--limit", "2"))
    assert [set(row) for row in rows] == [set(SCORED_TRENDS.schema)] * 2
    assert rows[0]["title"] == HOSTILE
    table = csv.DictReader(io.StringIO(ytap.ok("trends", "top", "-w", "tech", "-f", "csv")))
    assert len(list(table)) == 10


def test_a_story_is_explained_by_its_place_and_by_its_id(ranked: Platform, ytap: Ytap) -> None:
    by_place = ytap.ok("trends", "explain", "1", "-w", "tech")
    assert "position 1 of 13" in by_place
    assert "https://best.example/" in by_place
    assert by_place.count("best.example") == 1
    assert "cross_source_boost     1.00" in by_place
    assert "\x1b" not in by_place
    story_id = by_place.partition("story ")[2].partition(",")[0]
    assert ytap.ok("trends", "explain", story_id[:8], "-w", "tech") == by_place


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["top", "-w", "finance"], "no scored trends yet"),
        (["top", "-w", "nobody"], "does not exist"),
        (["top", "-w", "tech", "--day", "2026-11-19"], "no scored trends on 2026-11-19"),
        (["explain", "99", "-w", "tech"], "no story at position 99"),
        (["explain", "nothing", "-w", "tech"], "no story 'nothing'"),
        (["explain", "\x1b[31m", "-w", "tech"], "no story"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(
    ranked: Platform, ytap: Ytap, arguments: list[str], said: str
) -> None:
    assert said in ytap.refused(2, "trends", *arguments)
