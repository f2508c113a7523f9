"""Reports of a batch: what they read of the days before, and what fails alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ytap_assets.domain.production.records import fold_events
from ytap_assets.domain.reporting.numbers import ReportInputs
from ytap_assets.domain.reporting.pages import summarize_days
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Batch, Platform, Results, Written
from ytap_assets.operations.records import refresh_tables
from ytap_assets.operations.reporting import make_reports, write_overview
from ytap_assets.reports.files import OVERVIEW, name_index, name_month, name_report
from ytap_assets.tables import (
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    VIDEO_METRICS,
    VIDEOS,
    WORKSPACE_REPORTS,
    Table,
)
from ytap_assets.workspace_sections import MaxHours, Production
from ytap_assets_tests.domain.reporting.examples import event, metric, video

RUN = Run("run", "test", "make reports")
TODAY = date(2026, 11, 20)
A, B, C = "vid-aaaaaaa", "vid-bbbbbbb", "vid-ccccccc"


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def append(platform: Platform, table: Table, rows: Iterable[dict[str, Any]]) -> None:
    frame = table.frame(list(rows))
    with platform.lake.write(RUN) as transaction:
        for (name,), part in frame.partition_by("workspace_id", as_dict=True).items():
            days = (part["day"].min(), part["day"].max()) if table.by_day else ()
            transaction.append(check_rows(table, part, Scope(str(name), *days)))


def publish(platform: Platform, table: Table, frame: pl.DataFrame) -> None:
    with platform.lake.write(RUN) as transaction:
        transaction.publish_all([check_rows(table, frame, Scope("tech"))])


def make(platform: Platform, *days: date, workspaces: tuple[str, ...] = ("tech",)) -> Results:
    slices = [platform.slice(name, (day, day), RUN) for name in workspaces for day in days]
    return make_reports(Batch(platform, tuple(slices), RUN))


def row(platform: Platform, day: date = TODAY, workspace_id: str = "tech") -> dict[str, Any]:
    [found] = platform.lake.reader(workspace_id).read(WORKSPACE_REPORTS, days=(day, day)).to_dicts()
    return found


def page(platform: Platform, day: date = TODAY, workspace_id: str = "tech") -> str:
    return (platform.settings.store / name_report(workspace_id, day)).read_text(encoding="utf-8")


@pytest.mark.parametrize("days", [1, 5, 30, 400])
def test_counts_of_a_video_that_is_no_longer_observed_are_carried_on(
    platform: Platform, days: int
) -> None:
    publish(platform, VIDEOS, VIDEOS.frame([video(A, ago(500)), video(B, ago(2))]))
    seen = [metric(ago(days + 3), A, 5, 1.0), metric(ago(days), A, 1_000, 4.0)]
    append(platform, VIDEO_METRICS, [*seen, metric(ago(1), B, 10, 2.0), metric(TODAY, B, 25, 3.0)])
    make(platform, TODAY)
    found = row(platform)
    assert (found["views"], found["views_gained"]) == (1_025, 15)
    assert found["engagement_rate_pct"] == 3.5
    assert found["missing"] == ["no trends observed"]
    assert f"as of {ago(days)}" in page(platform)


def test_a_count_that_is_hidden_is_carried_on(platform: Platform) -> None:
    publish(platform, VIDEOS, VIDEOS.frame([video(A, ago(500))]))
    hidden = [metric(ago(n), A, 100 - n, None) for n in (1, 0)]
    append(platform, VIDEO_METRICS, [metric(ago(4), A, 90, 7.5), *hidden])
    make(platform, TODAY)
    assert row(platform)["engagement_rate_pct"] == 7.5
    assert row(platform)["views_gained"] == 1


def test_counts_outlast_the_publication_of_their_script(platform: Platform) -> None:
    rows = [
        event(1, ago(90), "gone", "imported", "published", video_id=A),
        event(2, ago(60), "gone", "imported", "cancelled"),
    ]
    append(platform, PRODUCTION_EVENTS, rows)
    events = platform.lake.reader("tech").read(PRODUCTION_EVENTS)
    publish(platform, PRODUCTION_RECORDS, fold_events(events))
    append(platform, VIDEO_METRICS, [metric(ago(61), A, 70, 1.0)])
    make(platform, TODAY)
    assert row(platform)["views"] == 70


def test_scripts_stand_where_the_events_of_the_day_left_them(platform: Platform) -> None:
    rows = [
        event(1, ago(40), "old", "script_submitted", "script_pending_review", title="Old"),
        event(2, ago(3), "moved", "script_submitted", "script_pending_review", title="Moved"),
        event(3, ago(1), "moved", "imported", "ready_for_publish"),
        event(4, TODAY, "new", "script_submitted", "script_pending_review", title="New"),
    ]
    append(platform, PRODUCTION_EVENTS, rows)
    events = platform.lake.reader("tech").read(PRODUCTION_EVENTS)
    publish(platform, PRODUCTION_RECORDS, fold_events(events))
    make(platform, ago(2), ago(1), TODAY)
    waiting = [row(platform, day)["scripts_waiting"] for day in (ago(2), ago(1), TODAY)]
    assert waiting == [2, 1, 2]
    assert "Moved" in page(platform, ago(2))
    assert "Moved" not in page(platform, ago(1))
    assert "New" not in page(platform, ago(1))


def test_stays_before_the_day_and_limits_of_the_config_are_in_the_report(
    platform: Platform,
) -> None:
    rows = [
        event(1, ago(90), "older", "script_submitted", "script_pending_review"),
        event(2, ago(80), "older", "generation_started", "ready_for_generation"),
        event(3, ago(9), "old", "script_submitted", "script_pending_review"),
        event(4, ago(6), "old", "generation_started", "ready_for_generation"),
    ]
    append(platform, PRODUCTION_EVENTS, rows)
    with platform.lake.write(RUN) as transaction:
        refresh_tables(transaction, [Scope("tech")])
    tech = platform.workspaces.get("tech")
    limits = Production(max_hours=MaxHours(ready_for_generation=24 * 30))
    platform.workspaces.save(tech.model_copy(update={"production": limits}))

    make(platform, TODAY)

    html = page(platform).replace("\N{EN DASH}", "unknown")
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "Script in review 0 1 3 days 3 days 3 days unknown 2 days 0" in text
    assert "In generation 1 0 unknown unknown unknown 80 days 30 days 1" in text
    assert "Stuck 1 older In generation for 80 days, limit 30 days waits for a finished" in text


@pytest.mark.parametrize("folded", [0, 1])
def test_events_that_the_records_do_not_know_yet_are_counted(
    platform: Platform, folded: int
) -> None:
    rows = [
        event(1, ago(5), "one", "script_submitted", "script_pending_review"),
        event(2, ago(4), "two", "script_submitted", "script_pending_review"),
        event(3, ago(3), "one", "rejected", "rejected"),
    ]
    append(platform, PRODUCTION_EVENTS, rows)
    events = platform.lake.reader("tech").read(PRODUCTION_EVENTS).sort("seq")
    publish(platform, PRODUCTION_RECORDS, fold_events(events.head(folded)))
    make(platform, TODAY)
    assert row(platform)["scripts_waiting"] == 1


def test_a_workspace_of_a_batch_has_the_report_it_has_alone(platform: Platform) -> None:
    rows = [event(n, ago(n), f"s{n}", "imported", "script_pending_review") for n in (1, 2)]
    append(platform, PRODUCTION_EVENTS, [rows[0], {**rows[1], "workspace_id": "finance"}])
    append(
        platform,
        VIDEO_METRICS,
        [metric(TODAY, A, 5, 1.0), metric(TODAY, A, 7, 2.0, workspace_id="finance")],
    )
    alone = {}
    for name in ("tech", "finance"):
        make(platform, TODAY, workspaces=(name,))
        alone[name] = (row(platform, workspace_id=name), page(platform, workspace_id=name))
    make(platform, TODAY, workspaces=("tech", "finance"))
    for name, (numbers, html) in alone.items():
        again = row(platform, workspace_id=name)
        assert {**again, "snapshot_id": 0} == {**numbers, "snapshot_id": 0}
        text = page(platform, workspace_id=name)
        assert text.replace(f"snapshot {again['snapshot_id']}", "") == html.replace(
            f"snapshot {numbers['snapshot_id']}", ""
        )


def list_next(platform: Platform, day: date) -> list[str]:
    return re.findall(r'href="([^"]+)" rel="next"', page(platform, day))


def test_a_page_links_to_the_next_day_once_that_has_a_page(platform: Platform) -> None:
    first, yesterday = ago(2), ago(1)
    make(platform, yesterday)
    assert list_next(platform, yesterday) == []
    make(platform, TODAY)
    assert list_next(platform, yesterday) == [f"{TODAY}.html"]
    make_reports(Batch(platform, (platform.slice("tech", (first, TODAY), RUN),), RUN))
    assert list_next(platform, first) == [f"{yesterday}.html"]
    assert list_next(platform, yesterday) == [f"{TODAY}.html"]
    make(platform, TODAY)
    assert list_next(platform, yesterday) == [f"{TODAY}.html"]
    assert list_next(platform, TODAY) == []


def test_a_page_does_not_link_to_a_day_whose_page_cannot_be_written(platform: Platform) -> None:
    (platform.settings.store / name_report("tech", TODAY)).mkdir(parents=True)
    make_reports(Batch(platform, (platform.slice("tech", (ago(1), TODAY), RUN),), RUN))
    assert list_next(platform, ago(1)) == []


def test_a_page_that_was_edited_keeps_its_bytes_but_for_the_link(platform: Platform) -> None:
    make(platform, ago(1))
    path = platform.settings.store / name_report("tech", ago(1))
    edited = path.read_bytes().replace(b"\n", b"\r\n") + b"<!-- gesch\xe4tzt -->\r\n"
    path.write_bytes(edited)
    make(platform, TODAY)
    link = f'<a href="{TODAY}.html" rel="next">{TODAY} \N{RIGHTWARDS ARROW}</a>'.encode()
    assert path.read_bytes().count(link) == 1
    assert path.read_bytes().replace(link, b"") == edited


def test_a_page_of_yesterday_that_is_a_link_is_left_alone(
    platform: Platform, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(platform, ago(1))
    path = platform.settings.store / name_report("tech", ago(1))
    elsewhere = path.rename(tmp_path / "elsewhere.html")
    path.symlink_to(elsewhere)
    before = elsewhere.read_bytes()
    make(platform, TODAY)
    assert path.is_symlink()
    assert elsewhere.read_bytes() == before
    assert row(platform)["day"] == TODAY
    assert str(path) in caplog.text


def test_a_page_that_cannot_be_written_fails_alone(platform: Platform) -> None:
    folder = (platform.settings.store / name_report("tech", TODAY)).parent
    folder.parent.mkdir(parents=True)
    folder.write_text("a file in the place of the folder")
    found = make(platform, TODAY, workspaces=("tech", "finance"))
    assert isinstance(found[Scope("tech", TODAY, TODAY)], OSError)
    assert isinstance(found[Scope("finance", TODAY, TODAY)], Written)
    assert platform.lake.reader("tech").read(WORKSPACE_REPORTS).is_empty()
    assert row(platform, workspace_id="finance")["day"] == TODAY


def test_a_page_that_cannot_be_written_leaves_the_other_days(platform: Platform) -> None:
    first = TODAY - timedelta(days=1)
    (platform.settings.store / name_report("tech", first)).mkdir(parents=True)
    slice_ = platform.slice("tech", (first, TODAY), RUN)
    found = make_reports(Batch(platform, (slice_,), RUN))
    assert isinstance(found[Scope("tech", first, first)], OSError)
    written = found[Scope("tech", TODAY, TODAY)]
    assert isinstance(written, Written)
    assert written.frame["day"].to_list() == [TODAY]
    assert "essentials" in written.day_notes[TODAY]
    assert row(platform)["day"] == TODAY
    assert "</html>" in page(platform)


def test_an_index_that_cannot_be_written_loses_no_rows(platform: Platform) -> None:
    (platform.settings.store / name_index("tech")).mkdir(parents=True)
    slice_ = platform.slice("tech", (TODAY, TODAY), RUN)
    batch = Batch(platform, (slice_,), RUN)
    found = make_reports(batch)
    assert isinstance(found[slice_.scope], OSError)
    assert batch.published[slice_.scope].rows == 1
    assert row(platform)["day"] == TODAY
    assert "</html>" in page(platform)


def test_rows_that_cannot_be_counted_fail_alone(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(calendar: pl.DataFrame, inputs: ReportInputs) -> pl.DataFrame:
        if "tech" in calendar["workspace_id"]:
            raise ValueError("rows of tech")
        return summarize_days(calendar, inputs)

    monkeypatch.setattr("ytap_assets.operations.reporting.summarize_days", refuse)
    found = make(platform, TODAY, workspaces=("tech", "finance"))
    assert isinstance(found[Scope("tech", TODAY, TODAY)], ValueError)
    assert isinstance(found[Scope("finance", TODAY, TODAY)], Written)


def test_a_batch_is_one_commit_and_notes_each_day(platform: Platform) -> None:
    make(platform, ago(2), workspaces=("tech", "finance"))
    before = platform.lake.snapshot_id()
    found = make(platform, ago(1), TODAY, workspaces=("tech", "finance"))
    assert platform.lake.snapshot_id() == before + 1
    for scope, written in found.items():
        assert isinstance(written, Written)
        assert set(written.day_notes) == {scope.first_day}
        [note] = written.day_notes.values()
        assert note["report"].parent.name == scope.workspace_id
        assert note["report"].is_file()


def test_older_months_have_pages_of_their_own(platform: Platform) -> None:
    old, older = date(2026, 6, 30), date(2026, 6, 1)
    for days in ((older,), (old,), (TODAY,)):
        make(platform, *days)
    index = (platform.settings.store / name_index("tech")).read_text(encoding="utf-8")
    assert f"{TODAY}.html" in index
    assert f"{old}.html" not in index
    assert "3 daily reports" in index
    assert "2026-06.html" in index
    month = (platform.settings.store / name_month("tech", older)).read_text(encoding="utf-8")
    assert f"{old}.html" in month
    assert f"{older}.html" in month
    assert f"{TODAY}.html" not in month


def test_a_month_is_listed_again_when_one_of_its_reports_is_made(platform: Platform) -> None:
    make(platform, TODAY)
    make(platform, date(2026, 6, 2))
    file = platform.settings.store / name_month("tech", date(2026, 6, 1))
    assert "2026-06-02.html" in file.read_text(encoding="utf-8")
    make(platform, date(2026, 6, 3))
    assert "2026-06-03.html" in file.read_text(encoding="utf-8")
    index = (platform.settings.store / name_index("tech")).read_text(encoding="utf-8")
    assert f"{TODAY}.html" in index


def test_the_overview_shows_the_newest_report_of_each_workspace(platform: Platform) -> None:
    make(platform, ago(1), TODAY)
    make(platform, ago(2), workspaces=("finance",))
    write_overview(platform)
    html = (platform.settings.store / OVERVIEW).read_text(encoding="utf-8")
    assert f"tech/{TODAY}.html" in html
    assert f"finance/{ago(2)}.html" in html
    assert "3 daily reports" in html
