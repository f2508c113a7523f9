"""The check-up says what is well, what somebody should look at, and what does not work."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from ytap_assets.domain.source_profiles import YOUTUBE_SEARCH
from ytap_assets.domain.spam.model import SpamModel
from ytap_assets.lakehouse.catalog import INTENT_KEY
from ytap_assets.lakehouse.checks import Scope, check_rows
from ytap_assets.lakehouse.connection import attach
from ytap_assets.lakehouse.erasure import Intent
from ytap_assets.lakehouse.lock import WriteLock
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.doctor import AREAS, Finding, examine, judge_age, probe_host, span
from ytap_assets.operations.inboxes import inspect_inboxes
from ytap_assets.operations.maintenance import maintain_lake
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.records import refresh_tables
from ytap_assets.operations.trends import cluster_stories, score
from ytap_assets.operations.workspaces import identify_workspace
from ytap_assets.settings import Settings, parse_bucket
from ytap_assets.sources.catalog import CATALOG
from ytap_assets.sources.http.state import LEDGER, open_ledger
from ytap_assets.tables import (
    COLLECTION_LOG,
    PRODUCTION_EVENTS,
    QUARANTINED_ROWS,
    RAW_TRENDS,
    VIDEO_METRICS,
    Table,
)
from ytap_assets.workspace_sections import Spam
from ytap_assets.workspaces import CONFIG_NAME, Account
from ytap_assets_tests.databases import change_catalog
from ytap_assets_tests.operations.alone import run_alone
from ytap_assets_tests.promoting import advance_one

RUN = Run("run-1", "test", "append")


def append(platform: Platform, table: Table, *rows: dict[str, Any]) -> None:
    with platform.lake.write(RUN) as transaction:
        checked = check_rows(table, table.frame(list(rows)), Scope(rows[0]["workspace_id"]))
        transaction.append(checked)


def trend(workspace_id: str, observed_at: datetime) -> dict[str, Any]:
    return {
        "workspace_id": workspace_id,
        "day": observed_at.date(),
        "source": "hn",
        "item_id": "1",
        "observed_at": observed_at,
        "title": "A story",
        "collection_id": "c1",
    }


def fetch(outcome: str, finished_at: datetime) -> dict[str, Any]:
    return {
        "workspace_id": "tech",
        "day": finished_at.date(),
        "collection_id": f"{outcome} {finished_at}",
        "source": "hn",
        "target": "front page",
        "history": "snapshot_only",
        "outcome": outcome,
        "attempts": 1,
        "started_at": finished_at,
        "finished_at": finished_at,
        "fetched": 0,
        "accepted": 0,
        "quarantined": 0,
        "duplicates": 0,
        "run_id": "run-1",
    }


def find(platform: Platform, subject: str, **changes: Any) -> Finding:
    settings = replace(platform.settings, **changes)
    [found] = [one for one in examine(settings, now=platform.now()) if one.subject == subject]
    return found


def test_an_installation_that_is_well_has_no_failure(platform: Platform) -> None:
    (platform.settings.recordings / "2026-11-20").mkdir(parents=True)
    findings = examine(platform.settings, now=platform.now())
    assert [one for one in findings if one.verdict == "fail"] == []
    assert {one.area for one in findings} == set(AREAS)
    areas = [AREAS.index(one.area) for one in findings]
    assert areas == sorted(areas)


def test_a_broken_config_fails_and_names_the_key(platform: Platform) -> None:
    path = platform.workspaces.folder("tech") / CONFIG_NAME
    path.write_text("name: Tech\nvertical: technology\ncolour: blue\n", encoding="utf-8")
    found = find(platform, "workspace tech")
    assert (found.area, found.verdict) == ("setup", "fail")
    assert "colour" in found.detail


def test_inboxes_that_are_not_read_to_the_end_are_named(platform: Platform) -> None:
    assert find(platform, "inboxes").verdict == "ok"
    folder = platform.workspaces.folder("tech")
    (folder / "uploads.jsonl").symlink_to(folder / CONFIG_NAME)
    (folder / "scripts.jsonl").write_text('{"script_id":', encoding="utf-8")
    line = '{"script_id": "one", "act": "cancel", "actor": "Ada", "at": "2026-11-20T12:00:30Z"}\n'
    (folder / "approvals.jsonl").write_text(line, encoding="utf-8")

    link = find(platform, "inbox tech/uploads.jsonl")
    unfinished = find(platform, "inbox tech/scripts.jsonl")
    ahead = find(platform, "inbox tech/approvals.jsonl")

    assert (link.verdict, unfinished.verdict, ahead.verdict) == ("fail", "warn", "warn")
    assert "symbolic link" in link.detail
    assert "line 1 is unfinished" in unfinished.detail
    assert "date in the future" in ahead.detail


def test_lines_that_cannot_be_read_are_counted_by_file(platform: Platform) -> None:
    folder = platform.workspaces.folder("tech")
    (folder / "approvals.jsonl").write_text("{no\n" * 5 + "{never\n", encoding="utf-8")

    found = find(platform, "inbox tech/approvals.jsonl")

    assert (found.area, found.verdict) == ("health", "warn")
    assert "be read: 6, the last: line 6 could not be read" in found.detail
    assert "inboxes" not in {one.subject for one in examine(platform.settings, now=platform.now())}


def test_what_is_found_in_inboxes_does_not_depend_on_what_a_run_has_read(
    platform: Platform,
) -> None:
    folder = platform.workspaces.folder("tech")
    ahead = {"script_id": "one", "act": "cancel", "actor": "Ada", "at": "2026-11-21T12:00:00Z"}
    upload = {"script_id": "one", "video_id": "ytapDemo001", "channel_id": "UC" + "x" * 22}
    (folder / "approvals.jsonl").write_text(json.dumps(ahead) + "\n{no\n", encoding="utf-8")
    (folder / "uploads.jsonl").write_text(json.dumps(upload) + "\n", encoding="utf-8")

    def findings() -> list[Finding]:
        found = examine(platform.settings, now=platform.now())
        return [one for one in found if one.subject.startswith("inbox")]

    before = findings()
    advance_one(platform.slice("tech", None, RUN), "all")

    assert findings() == before
    assert [one.subject for one in before] == [
        "inbox tech/uploads.jsonl",
        "inbox tech/uploads.jsonl",
        "inbox tech/approvals.jsonl",
        "inbox tech/approvals.jsonl",
    ]
    states = inspect_inboxes(platform.settings, platform.workspaces, platform.now()) or {}
    state = states["tech"]
    assert all(not file.opened.tail for file in state.files.values())


def test_a_second_video_of_a_script_takes_no_public_one_out_of_sight(platform: Platform) -> None:
    """Neither before a run has refused its line nor after."""
    folder = platform.workspaces.folder("tech")
    public = {
        "script_id": "one",
        "video_id": "ytapDemo001",
        "published_at": "2026-11-20T06:00:00Z",
    }
    second = {"script_id": "one", "video_id": "ytapDemo002"}
    script = {"script_id": "one", "created_at": "2026-11-19T08:00:00Z"}
    (folder / "scripts.jsonl").write_text(json.dumps(script) + "\n", encoding="utf-8")
    (folder / "uploads.jsonl").write_text(json.dumps(public) + "\n", encoding="utf-8")
    advance_one(platform.slice("tech", None, RUN), "all")

    def find_public() -> list[str]:
        found = examine(platform.settings, now=platform.now())
        return [one.detail for one in found if "is public since" in one.detail]

    before = find_public()
    assert len(before) == 1
    with (folder / "uploads.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(second) + "\n")
    assert find_public() == before
    advance_one(platform.slice("tech", None, RUN), "all")
    assert find_public() == before


def test_scripts_that_wait_too_long_are_counted_by_state(platform: Platform) -> None:
    assert find(platform, "scripts").verdict == "ok"
    for name, days in (("tech", 3), ("tech", 9), ("tech", 1), ("finance", 8), ("gone", 50)):
        at = platform.now() - timedelta(days=days)
        row = {
            "workspace_id": name,
            "event_id": f"{name} {days}",
            "script_id": f"s{days}",
            "type": "imported",
            "to_state": "ready_for_publish" if name == "finance" else "video_pending_review",
            "actor": "import",
            "occurred_at": at,
            "recorded_at": at,
            "payload": "{}",
        }
        with platform.lake.write(RUN) as transaction:
            rows = check_rows(PRODUCTION_EVENTS, PRODUCTION_EVENTS.frame([row]), Scope(name))
            transaction.append(rows)
            refresh_tables(transaction, [Scope(name)])

    found = examine(platform.settings, now=platform.now())

    tech, finance = (find(platform, f"scripts of {name}") for name in ("tech", "finance"))
    assert (tech.area, tech.verdict) == ("health", "warn")
    assert "2 in video_pending_review (limit 48 h, longest 216 h)" in tech.detail
    assert "1 in ready_for_publish (limit 168 h, longest 192 h)" in finance.detail
    subjects = {one.subject for one in found}
    assert not subjects & {"scripts", "scripts of gone"}
    platform.workspaces.save(
        platform.workspaces.get("tech").model_copy(update={"status": "archived"})
    )
    assert "scripts of tech" not in {
        one.subject for one in examine(platform.settings, now=platform.now())
    }


def test_waits_are_not_judged_where_the_lake_cannot_be_read(platform: Platform) -> None:
    with platform.lake.cursor() as cursor:
        cursor.execute("ALTER TABLE lake.production_records DROP COLUMN failed_gates")
    subjects = {one.subject for one in examine(platform.settings, now=platform.now())}
    assert not any(subject.startswith("scripts") for subject in subjects)


def test_inboxes_are_read_from_their_beginning_where_a_table_cannot_be_read(
    platform: Platform,
) -> None:
    folder = platform.workspaces.folder("tech")
    ahead = {"script_id": "one", "act": "cancel", "actor": "Ada", "at": "2026-11-21T12:00:00Z"}
    (folder / "approvals.jsonl").write_text(json.dumps(ahead) + "\n", encoding="utf-8")
    advance_one(platform.slice("tech", None, RUN), "all")
    with platform.lake.cursor() as cursor:
        cursor.execute("ALTER TABLE lake.inbox_lines DROP COLUMN decided_at")

    states = inspect_inboxes(platform.settings, platform.workspaces, platform.now()) or {}
    state = states["tech"]

    assert state.ahead == 1


def test_a_spam_model_that_is_not_there_is_named_once(platform: Platform) -> None:
    subjects = {one.subject for one in examine(platform.settings, now=platform.now())}
    assert not any(subject.startswith("spam model") for subject in subjects)
    for name in ("tech", "finance"):
        workspace = platform.workspaces.get(name)
        changed = workspace.model_copy(update={"spam": Spam(model="nothere.json")})
        platform.workspaces.save(changed)

    missing = find(platform, "spam model nothere.json")
    (platform.settings.store / "models").mkdir()
    text = json.dumps(SpamModel(0, {}).to_dict())
    (platform.settings.store / "models/nothere.json").write_text(text, encoding="utf-8")
    there = find(platform, "spam model nothere.json")

    assert (missing.area, missing.verdict, there.verdict) == ("setup", "fail", "ok")
    assert "No such file" in missing.detail
    assert "2 workspaces" in missing.detail


def test_one_is_not_many(platform: Platform) -> None:
    append(platform, RAW_TRENDS, trend("tech", platform.now()))
    finance = platform.workspaces.get("finance")
    platform.workspaces.save(finance.model_copy(update={"status": "paused"}))
    assert find(platform, "raw_trends").detail.endswith("; 1 row in 1 workspace")


def test_an_upload_on_a_channel_that_the_config_does_not_list_is_named(platform: Platform) -> None:
    line = '{"script_id": "one", "video_id": "ytapDemo001", "channel_id": "UC%s"}\n' % ("x" * 22)
    folder = platform.workspaces.folder("tech")
    (folder / "uploads.jsonl").write_text(line, encoding="utf-8")
    script = '{"script_id": "one", "created_at": "2026-11-19T08:00:00Z"}\n'
    (folder / "scripts.jsonl").write_text(script, encoding="utf-8")

    found = find(platform, "inbox tech/uploads.jsonl")

    assert found.verdict == "warn"
    assert (
        "script one: channel UCxxxxxxxxxxxxxxxxxxxxxx is not a channel of the workspace"
        in found.detail
    )


def test_a_public_video_of_a_script_that_was_not_cleared_is_named(platform: Platform) -> None:
    folder = platform.workspaces.folder("finance")
    script = '{"script_id": "one", "created_at": "2026-11-19T08:00:00Z"}\n'
    (folder / "scripts.jsonl").write_text(script, encoding="utf-8")
    line = {"script_id": "one", "video_id": "ytapDemo001", "published_at": "2026-11-19T15:00:00Z"}
    (folder / "uploads.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert find(platform, "inboxes").verdict == "ok"

    advance_one(platform.slice("finance", None, RUN), "all")

    found = find(platform, "inbox finance/uploads.jsonl")
    assert found.verdict == "warn"
    assert "ytapDemo001 is public since 2026-11-19 15:00 UTC" in found.detail
    assert "script_pending_review" in found.detail


def test_secrets_are_told_by_name_and_never_by_value(platform: Platform) -> None:
    secrets = {"YTAP_SECRET_YOUTUBE_KEY": "sesame-open", "YTAP_SECRET_OTHER": "sesame-other"}
    pasted = "accounts: [{platform: x, handle: y, credential_ref: sesame-pasted}]"
    text = f"name: F\nvertical: f\n{pasted}\n"
    (platform.workspaces.folder("finance") / CONFIG_NAME).write_text(text, encoding="utf-8")
    unset = Account(platform="youtube", handle="@b", credential_ref="YTAP_SECRET_UNSET")
    tech = platform.workspaces.get("tech")
    platform.workspaces.save(tech.model_copy(update={"accounts": (unset,)}))
    settings = replace(platform.settings, secrets=secrets, transport="live")
    findings = examine(settings, now=platform.now())
    by_subject = {one.subject: one for one in findings}
    assert by_subject["secret YTAP_SECRET_YOUTUBE_KEY"].verdict == "ok"
    assert by_subject["secret YTAP_SECRET_REDDIT_ID"].verdict == "warn"
    names = {name for source in CATALOG.sources for name in source.losses}
    assert {f"secret YTAP_SECRET_{name}" for name in names} <= by_subject.keys()
    assert "scores and comment counts" in by_subject["secret YTAP_SECRET_REDDIT_ID"].detail
    assert by_subject["workspace finance"].verdict == "fail"
    assert "credential_ref" in by_subject["workspace finance"].detail
    assert "YTAP_SECRET_UNSET" in by_subject["account @b of tech"].detail
    assert "sesame" not in repr(findings)


def test_replay_needs_recordings(platform: Platform) -> None:
    assert find(platform, "recordings (replay)").verdict == "fail"
    (platform.settings.recordings / "2026-11-20").mkdir(parents=True)
    assert "2026-11-20" in find(platform, "recordings (replay)").detail


def test_hosts_are_asked_only_when_wanted(platform: Platform) -> None:
    live = replace(platform.settings, transport="live")
    asked: list[str] = []

    def probe(host: str) -> str | None:
        asked.append(host)
        return "no route" if host == "www.reddit.com" else None

    offline = examine(live, now=platform.now())
    assert {one.verdict for one in offline if one.area == "sources"} == {"not checked"}
    online = {one.subject: one for one in examine(live, now=platform.now(), probe=probe)}
    assert set(asked) == CATALOG.hosts
    assert (online["www.reddit.com"].verdict, online["www.reddit.com"].detail) == (
        "fail",
        "no route",
    )
    assert online["hn.algolia.com"].verdict == "ok"


@pytest.mark.parametrize("status", [200, 301, 404, 503])
def test_any_answer_means_reachable(status: int) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(status))
    assert probe_host("example.org", transport=transport) is None


def test_no_answer_is_told() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    assert probe_host("example.org", transport=httpx.MockTransport(refuse)) == (
        "ConnectError: refused"
    )


@pytest.mark.parametrize(
    ("table", "hours", "verdict"),
    [
        (RAW_TRENDS, 0, "ok"),
        (RAW_TRENDS, 48, "ok"),
        (RAW_TRENDS, 49, "warn"),
        (RAW_TRENDS, 288, "warn"),
        (RAW_TRENDS, 289, "fail"),
        (RAW_TRENDS, -5, "ok"),
        (VIDEO_METRICS, 2, "ok"),
        (VIDEO_METRICS, 3, "warn"),
        (VIDEO_METRICS, 13, "fail"),
    ],
)
def test_age_is_judged_by_the_tables_cadence(table: Table, hours: int, verdict: str) -> None:
    assert judge_age(table, timedelta(hours=hours)) == verdict


def test_days_that_were_not_ranked_since_their_stories_changed_are_named(
    platform: Platform,
) -> None:
    day = platform.now().date()
    append(platform, RAW_TRENDS, trend("tech", platform.now()))
    run_alone(cluster_stories, platform, "tech", day)
    found = find(platform, "ranks of tech")
    assert (found.area, found.verdict) == ("freshness", "warn")
    assert (
        f"`ytap materialize 'key:scored_trends+' -w tech --from {day} --to {day}`" in found.detail
    )
    run_alone(score, platform, "tech", day)
    assert find(platform, "ranks").verdict == "ok"


def test_stale_workspaces_are_named_and_idle_ones_are_not(platform: Platform) -> None:
    append(platform, RAW_TRENDS, trend("finance", datetime(2026, 11, 20, 8, tzinfo=UTC)))
    append(platform, RAW_TRENDS, trend("tech", datetime(2026, 11, 17, 8, tzinfo=UTC)))
    found = find(platform, "raw_trends")
    assert (found.area, found.verdict) == ("freshness", "warn")
    assert "tech 3 days" in found.detail
    assert "finance" not in found.detail
    assert "`status: paused`" in found.detail
    tech = platform.workspaces.get("tech")
    platform.workspaces.save(tech.model_copy(update={"status": "archived"}))
    assert find(platform, "raw_trends").verdict == "ok"


def test_a_workspace_without_rows_is_told(platform: Platform) -> None:
    found = find(platform, "raw_trends")
    assert (found.verdict, "tech has none" in found.detail) == ("warn", True)
    assert find(platform, "video_metrics").verdict == "ok"


def test_rows_that_no_file_holds_are_named(platform: Platform) -> None:
    subjects = {one.subject for one in examine(platform.settings, now=platform.now())}
    assert "inlined rows" not in subjects
    with closing(attach(platform.settings, read_only=False)) as writer:
        writer.execute("CALL lake.set_option('data_inlining_row_limit', 10)")
        writer.execute("USE memory; DETACH lake")
        settings = platform.settings
        writer.execute(
            f"ATTACH 'ducklake:sqlite:{settings.catalog}' AS lake"
            f" (DATA_PATH '{settings.data_path}/', OVERRIDE_DATA_PATH true)"
        )
        writer.execute("INSERT INTO lake.videos BY NAME SELECT 'tech' AS workspace_id")
    found = find(platform, "inlined rows")
    assert (found.verdict, "videos (1)" in found.detail) == ("warn", True)
    assert "pending changes: 1;" in find(platform, "lake schema").detail  # the option, once more


def test_an_interrupted_erasure_is_named_until_maintenance_completes_it(
    platform: Platform,
) -> None:
    subjects = {one.subject for one in examine(platform.settings, now=platform.now())}
    assert "erasure" not in subjects
    platform.lake.snapshot_id()
    intent = json.dumps(asdict(Intent("0" * 32, ("videos",), "then", is_deleted=True)))
    change_catalog(
        platform.settings,
        f"INSERT INTO ducklake_metadata (key, value) VALUES ('{INTENT_KEY}', '{intent}')",
    )
    assert find(platform, "erasure").verdict == "warn"
    maintain_lake(platform, RUN, now=platform.lake.commit_times()[-1])
    subjects = {one.subject for one in examine(platform.settings, now=platform.now())}
    assert "erasure" not in subjects


def test_failed_fetches_of_the_last_day_are_counted(platform: Platform, now: datetime) -> None:
    assert find(platform, "fetches").verdict == "ok"
    append(
        platform,
        COLLECTION_LOG,
        fetch("ok", now),
        fetch("transient_error", now - timedelta(hours=23)),
        fetch("malformed", now - timedelta(hours=25)),
        fetch("unrecoverable", now),
    )
    found = find(platform, "fetches")
    assert found.verdict == "warn"
    assert found.detail.startswith("1 of 3 failed in 24 h; tech hn front page: transient_error")


def test_a_channel_that_is_silent_for_days_is_named(platform: Platform, now: datetime) -> None:
    assert find(platform, "targets").verdict == "ok"
    days = [now - timedelta(days=ago) for ago in range(3)]
    lost = [
        {**fetch("transient_error", at), "target": "UC1", "detail": "its feed returned 404"}
        for at in days
    ]
    append(platform, COLLECTION_LOG, *lost, fetch("ok", now))
    found = find(platform, "hn UC1 of tech")
    assert (found.area, found.verdict) == ("freshness", "warn")
    assert (
        "no response on 3 days, since 2026-11-18; the last error: its feed returned 404"
        in found.detail
    )


def test_targets_that_never_responded_are_not_said_to_have_responded(
    platform: Platform, now: datetime
) -> None:
    lost = [
        {**fetch("transient_error", now), "target": name, "collection_id": name}
        for name in ("UC1", "UC2")
    ]
    append(platform, COLLECTION_LOG, *lost)
    found = find(platform, "targets")
    assert (found.verdict, found.detail[:6]) == ("warn", "0 of 2")
    append(platform, COLLECTION_LOG, {**fetch("ok", now), "target": "UC1"})
    found = find(platform, "targets")
    assert (found.verdict, found.detail[:6]) == ("ok", "1 of 2")


def test_many_silent_targets_are_counted(platform: Platform, now: datetime) -> None:
    for number in range(12):
        lost = [fetch("malformed", now - timedelta(days=ago)) for ago in range(3)]
        named = [
            {**row, "target": f"UC{number}", "collection_id": f"{number} {row['collection_id']}"}
            for row in lost
        ]
        append(platform, COLLECTION_LOG, *named)
    assert find(platform, "targets").detail.startswith("2 more do not respond")


def test_spent_quotas_are_told(platform: Platform, now: datetime) -> None:
    subject = f"quota {YOUTUBE_SEARCH.name}"
    assert subject not in {one.subject for one in examine(platform.settings, now=now)}
    ledger = open_ledger(platform.settings)
    ledger.reserve(YOUTUBE_SEARCH, now)
    found = find(platform, subject)
    assert (found.verdict, found.detail) == (
        "ok",
        "1 of 100 calls made until 2026-11-21 08:00 UTC",
    )
    ledger.mark_exhausted(YOUTUBE_SEARCH, now)
    assert find(platform, subject).verdict == "warn"
    (platform.settings.state / LEDGER).write_bytes(b"not a ledger at all" * 500)
    assert find(platform, subject).verdict == "fail"


def test_quarantined_rows_are_counted_by_reason(platform: Platform, now: datetime) -> None:
    row = {
        "workspace_id": "tech",
        "day": now.date(),
        "collection_id": "c1",
        "source": "hn",
        "origin": "o",
        "place": "line 1",
        "reason": "no title",
        "original": "{}",
        "quarantined_at": now,
    }
    append(platform, QUARANTINED_ROWS, *({**row, "quarantine_id": f"q{n}"} for n in range(2)))
    found = find(platform, "quarantined rows")
    assert (found.verdict, found.detail) == (
        "warn",
        "2 quarantined in 24 h; 2 x hn: no title",
    )


def test_the_lock_is_free_or_held_by_somebody(platform: Platform) -> None:
    assert find(platform, "write lock").detail == "free"
    with WriteLock(platform.settings.catalog).hold():
        found = find(platform, "write lock")
    assert found.verdict == "warn"
    assert found.detail.startswith("held by ")


def test_the_clock_is_compared_with_the_commits(platform: Platform) -> None:
    append(platform, RAW_TRENDS, trend("tech", platform.now()))
    settings, now = platform.settings, platform.now()

    def look(ahead: timedelta) -> dict[str, Finding]:
        found = examine(settings, now=now, clock=datetime.now(UTC) + ahead)
        return {one.subject: one for one in found if one.subject in ("clock", "snapshots")}

    assert [one.verdict for one in look(timedelta(0)).values()] == ["ok"]
    later = look(timedelta(days=1200))
    assert later["clock"].verdict == "fail"
    assert "no commit for 1200 days" in later["clock"].detail
    earlier = look(timedelta(days=-2))
    assert (earlier["clock"].verdict, earlier["snapshots"].verdict) == ("fail", "warn")
    assert "date in the future" in earlier["snapshots"].detail


def test_rows_of_days_to_come_are_named(platform: Platform) -> None:
    append(platform, RAW_TRENDS, trend("tech", platform.now() + timedelta(days=1200)))
    found = find(platform, "rows")
    assert found.verdict == "warn"
    assert (
        "raw_trends of tech have rows with a date in the future, up to 2030-03-04" in found.detail
    )


def test_a_folder_that_cannot_be_written_to_is_a_finding(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find(platform, "folders").verdict == "ok"
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != platform.settings.data_path)
    found = find(platform, "folders")
    assert found.verdict == "fail"
    assert str(platform.settings.data_path) in found.detail


@pytest.mark.parametrize("name", ["state", "reports", "dagster_home"])
def test_a_file_where_a_folder_belongs_is_a_finding(platform: Platform, name: str) -> None:
    (platform.settings.data / name).touch()
    found = find(platform, "folders")
    assert found.verdict == "fail"
    assert found.detail.startswith(f"{platform.settings.data / name}: a file,")


def test_no_lake_yet(tmp_path: Path, now: datetime) -> None:
    settings = Settings.from_env({"YTAP_DATA": str(tmp_path / "nothing")})
    findings = {one.subject: one for one in examine(settings, now=now)}
    assert findings["lake"].verdict == "warn"
    assert findings["workspaces"].verdict == "warn"
    assert not settings.data.exists()


def test_a_lake_that_cannot_be_read_is_a_finding(settings: Settings, now: datetime) -> None:
    settings.catalog.write_bytes(b"not a catalog at all" * 100)
    [found] = [one for one in examine(settings, now=now) if one.subject == "lake"]
    assert (found.area, found.verdict) == ("health", "fail")


def test_a_check_up_changes_nothing(platform: Platform) -> None:
    append(platform, RAW_TRENDS, trend("tech", platform.now()))
    snapshot = platform.lake.snapshot_id()
    files = {path: path.stat().st_mtime_ns for path in platform.settings.data_path.rglob("*")}
    examine(platform.settings, now=platform.now())
    assert platform.lake.snapshot_id() == snapshot
    assert files == {
        path: path.stat().st_mtime_ns for path in platform.settings.data_path.rglob("*")
    }


def test_versions_are_those_that_are_pinned(platform: Platform) -> None:
    assert find(platform, "duckdb").verdict == "ok"
    assert find(platform, "duckdb-extension-ducklake").verdict == "ok"
    assert find(platform, "catalog").detail.startswith("DuckLake ")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 min"), (90, "2 min"), (3600, "1 h"), (172_799, "48 h"), (259_200, "3 days")],
)
def test_spans_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_a_lake_without_any_folder_fails_with_the_way_back(platform: Platform) -> None:
    identify_workspace(platform.workspaces, "tech", {})
    platform.register("tech", RUN)
    append(platform, RAW_TRENDS, trend("tech", platform.now()))
    shutil.rmtree(platform.settings.workspaces)

    folders = find(platform, "workspaces")
    rows = find(platform, "rows of tech")

    assert folders.verdict == "fail"
    assert "finance, tech" in folders.detail
    assert "ytap workspace create`" not in folders.detail
    assert "backup" in rows.detail
    assert "`ytap workspace identify tech --adopt`" in rows.detail


def test_a_renamed_folder_fails_and_its_rows_are_named(platform: Platform) -> None:
    uid = "01M6A6FT007CVZTYRQDW4HP9SJ"
    tech = platform.workspaces.get("tech")
    platform.workspaces.save(tech.model_copy(update={"uid": uid}))
    platform.slice("tech", None, RUN)
    append(platform, RAW_TRENDS, trend("tech", platform.now()))
    folder = platform.workspaces.folder("tech")
    folder.rename(folder.with_name("tech2"))

    identity = find(platform, "identity of tech2")
    assert (identity.area, identity.verdict) == ("setup", "fail")
    assert "workspace 'tech'" in identity.detail
    rows = find(platform, "rows of tech")
    assert rows.verdict == "warn"
    assert "2 rows in 2 tables" in rows.detail
    assert "renamed to 'tech2'" in rows.detail
    assert "tech2" not in find(platform, "raw_trends").detail


def test_a_copy_is_seen_where_there_is_no_lake_yet(platform: Platform) -> None:
    uid = "01M6A6FT007CVZTYRQDW4HP9SJ"
    for name in ("tech", "finance"):
        one = platform.workspaces.get(name)
        platform.workspaces.save(one.model_copy(update={"uid": uid}))
    nowhere = platform.settings.data / "nowhere" / "catalog.sqlite"
    assert find(platform, "identity of tech", catalog=nowhere).verdict == "fail"


def test_a_config_without_a_uid_is_a_warning(platform: Platform) -> None:
    found = find(platform, "uid of tech")
    assert found.verdict == "warn"
    assert "ytap workspace identify tech" in found.detail


def test_the_transport_is_told_and_one_that_differs_is_a_warning(platform: Platform) -> None:
    assert find(platform, "transport").verdict == "ok"
    other = find(platform, "transport", remembered="live")
    assert (other.verdict, "has live" in other.detail) == ("warn", True)


def test_settings_that_do_not_apply_are_warnings(platform: Platform) -> None:
    path = platform.workspaces.folder("tech") / CONFIG_NAME
    text = "name: Tech\nvertical: technology\nlanguage: kr\nspam: {min_spam_pct: 80}\n"
    path.write_text(text, encoding="utf-8")
    language, least = (
        find(platform, f"{key} of tech") for key in ("language", "spam.min_spam_pct")
    )
    assert (language.verdict, least.verdict) == ("warn", "warn")
    assert "blocklist, pattern, link_farm" in least.detail


def test_a_weight_of_a_source_that_there_is_not_is_a_warning(platform: Platform) -> None:
    workspace = platform.workspaces.get("tech")
    scoring = workspace.scoring.model_copy(update={"source_weights": {"hn": 1.0, "telex": 2.0}})
    platform.workspaces.save(workspace.model_copy(update={"scoring": scoring}))
    found = find(platform, "scoring.source_weights of tech")
    assert (found.verdict, "'telex'" in found.detail) == ("warn", True)


def test_a_phrase_that_looks_like_several_is_a_warning(platform: Platform) -> None:
    workspace = platform.workspaces.get("tech")
    spam = workspace.spam.model_copy(update={"blocklist": ("free robux, free vbucks",)})
    platform.workspaces.save(workspace.model_copy(update={"spam": spam}))
    found = find(platform, "spam.blocklist of tech")
    assert (found.verdict, "'free robux, free vbucks'" in found.detail) == ("warn", True)


def test_a_mistyped_variable_is_named_with_the_one_it_is_like(platform: Platform) -> None:
    env = {"YTAP_TRANPORT": "live", "ytap_data": "/", "YTAP_SECRET_X": "s", "YTAP_DATA": "/x"}
    unknown = Settings.from_env(env).unknown
    assert unknown == ("YTAP_TRANPORT", "ytap_data")
    found = find(platform, "variable YTAP_TRANPORT", unknown=unknown)
    assert (found.verdict, found.detail) == (
        "warn",
        "unknown variable; did you mean YTAP_TRANSPORT?",
    )


def test_a_place_of_reports_in_s3_is_asked(
    platform: Platform, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "swordfish")
    gone = "s3://lakes/files?endpoint=http://127.0.0.1:9&region=us-east-1"
    found = [
        find(platform, "reports and models", store_bucket=parse_bucket(url, "url"))
        for url in (bucket, gone)
    ]
    assert [one.verdict for one in found] == ["ok", "fail"]
