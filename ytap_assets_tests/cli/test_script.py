"""People's decisions from the command line."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.production import ALL_PROMOTIONS
from ytap_assets.workspace_sections import MaxHours, Production
from ytap_assets_tests.cli.conftest import Ytap
from ytap_assets_tests.operations.test_production import write_video
from ytap_assets_tests.promoting import advance_one

HOSTILE = "Title \x1b[31m"


@pytest.fixture
def submitted(platform: Platform) -> Platform:
    """A script that waits for a person's review."""
    line = {
        "script_id": "ep-1",
        "title": HOSTILE,
        "hook": "Did you know?",
        "body": "Something worth knowing.",
        "generation_method": "stock",
        "estimated_cost_usd": 1.25,
        "created_at": "2026-11-19T08:00:00+00:00",
    }
    inbox = platform.workspaces.folder("finance") / "scripts.jsonl"
    inbox.write_text(json.dumps(line) + "\n", encoding="utf-8")
    advance_one(platform.slice("finance", None, Run("run-1", "test", "promote")), ALL_PROMOTIONS)
    return platform


def test_scripts_are_listed(submitted: Platform, ytap: Ytap) -> None:
    listed = ytap.ok("script", "list", "-w", "finance")
    assert "ep-1" in listed
    assert "\x1b" not in listed
    assert "(0 rows)" in ytap.ok("script", "list", "-w", "finance", "--state", "published")
    assert "(0 rows)" in ytap.ok("script", "list", "-w", "tech")


def test_decisions_that_do_nothing_are_named_beside_the_list(
    submitted: Platform, ytap: Ytap
) -> None:
    line = {"act": "approve_script", "actor": "Ada", "at": "2026-11-20T09:00:00Z"}
    approvals = submitted.workspaces.folder("finance") / "approvals.jsonl"
    approvals.write_text(json.dumps(line | {"script_id": "ep-2"}) + "\n", encoding="utf-8")

    listed = ytap("script", "list", "-w", "finance")

    assert listed.stderr == (
        "approvals.jsonl: ignored: ep-2: approve_script by Ada at 2026-11-20T09:00:00+00:00:"
        " there is no script with this id yet\n"
    )


def test_waiting_decisions_and_unfinished_lines_are_named_beside_the_list(
    submitted: Platform, ytap: Ytap
) -> None:
    line = {"act": "approve_script", "actor": "Ada", "at": "2099-11-20T09:00:00Z"}
    approvals = submitted.workspaces.folder("finance") / "approvals.jsonl"
    approvals.write_text(json.dumps(line | {"script_id": "ep-1"}) + '\n{"script', encoding="utf-8")

    listed = ytap("script", "list", "-w", "finance")
    [row] = json.loads(ytap.ok("script", "list", "-w", "finance", "--format", "json"))

    assert "approvals.jsonl: waits: ep-1: approve_script by Ada" in listed.stderr
    assert "approvals.jsonl: line 2 is unfinished (8 bytes" in listed.stderr
    assert "takes effect then" in row["ignored_decisions"][0]


def test_a_public_video_that_nobody_approved_is_named_beside_the_list(
    submitted: Platform, ytap: Ytap
) -> None:
    line = {"script_id": "ep-1", "video_id": "ytapDemo001", "published_at": "2026-11-19T15:00:00Z"}
    uploads = submitted.workspaces.folder("finance") / "uploads.jsonl"
    uploads.write_text(json.dumps(line) + "\n", encoding="utf-8")

    listed = ytap("script", "list", "-w", "finance")

    assert "uploads.jsonl: script ep-1: the video ytapDemo001 is public since" in listed.stderr


def test_an_unknown_state_is_misuse(submitted: Platform, ytap: Ytap) -> None:
    result = ytap("script", "list", "-w", "finance", "--state", "forgotten")
    assert result.exit_code == 2
    assert "script_pending_review" in result.stderr


def test_an_approval_is_written_down_with_its_author(submitted: Platform, ytap: Ytap) -> None:
    decision = ("script", "approve", "ep-1", "-w", "finance", "--as", "Ada", "--reason", "good")
    assert "script approved by Ada" in ytap.ok(*decision)
    shown = ytap.ok("script", "show", "ep-1", "-w", "finance")
    assert "person:Ada" in shown
    assert "script_approved" in shown


def test_an_approval_of_the_script_does_not_approve_its_video(
    submitted: Platform, ytap: Ytap
) -> None:
    command = ("script", "approve", "ep-1", "-w", "finance", "--as", "Ada")
    line = ytap.refused(1, *command, "--video")
    assert "`ytap script approve ep-1 -w finance` approves the script" in line
    ytap.ok(*command)
    advance_one(submitted.slice("finance", None, Run("run-2", "test", "go")), ALL_PROMOTIONS)
    write_video(submitted, "finance", "ep-1")
    advance_one(submitted.slice("finance", None, Run("run-3", "test", "go")), ALL_PROMOTIONS)
    shown = ytap.ok("script", "show", "ep-1", "-w", "finance")
    assert "video_pending_review" in shown

    line = ytap.refused(1, *command)

    assert "`ytap script approve ep-1 -w finance --video` approves the video" in line
    assert ytap.ok("script", "show", "ep-1", "-w", "finance") == shown
    assert "video approved by Ada" in ytap.ok(*command, "--video")


def test_show_prints_the_text_that_is_to_be_approved(submitted: Platform, ytap: Ytap) -> None:
    inbox = submitted.workspaces.folder("finance") / "scripts.jsonl"
    line = json.loads(inbox.read_text(encoding="utf-8")) | {"script_id": "ep-2", "title": "Two"}
    del line["body"]
    line["segments"] = ["First\x1b[2J", {"text": "second " * 300 + "in the end"}]
    with inbox.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    advance_one(submitted.slice("finance", None, Run("run-2", "test", "go")), ALL_PROMOTIONS)

    assert "\nSomething worth knowing.\n" in ytap.ok("script", "show", "ep-1", "-w", "finance")
    shown = ytap.ok("script", "show", "ep-2", "-w", "finance")
    assert "\nFirst\\x1b[2J\n" in shown
    assert "second " * 300 + "in the end\n" in shown


def test_show_prints_a_long_reason_in_full_and_the_list_names_it(
    submitted: Platform, ytap: Ytap
) -> None:
    reason = "too long " * 200 + "in the end"
    ytap.ok("script", "reject", "ep-1", "-w", "finance", "--reason", reason)
    assert reason in ytap.ok("script", "show", "ep-1", "-w", "finance")
    assert "`ytap script show SCRIPT -w finance`" in ytap.ok("script", "list", "-w", "finance")


def test_a_rejection_is_final(submitted: Platform, ytap: Ytap) -> None:
    assert ytap.ok("script", "reject", "ep-1", "-w", "finance", "--as", "Ada").endswith(
        "its state is rejected\n"
    )
    for act in ("approve", "reject", "send-back", "cancel"):
        assert "rejected" in ytap.refused(1, "script", act, "ep-1", "-w", "finance", "--as", "Bob")


def test_a_script_can_be_cancelled_and_not_sent_back_before_it_has_a_video(
    submitted: Platform, ytap: Ytap
) -> None:
    refused = ytap.refused(1, "script", "send-back", "ep-1", "-w", "finance", "--as", "Ada")
    assert "a video cannot be sent back" in refused
    assert "cancelled" in ytap.ok("script", "cancel", "ep-1", "-w", "finance", "--as", "Ada")


@pytest.mark.parametrize("act", ["show", "approve", "reject", "send-back", "cancel"])
def test_no_such_script(submitted: Platform, ytap: Ytap, act: str) -> None:
    line = ytap.refused(2, "script", act, "ep-1\x1b[2J", "-w", "finance")
    assert "has no script" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("name", ["", "two\nlines", "\x1b[31m", "x" * 101])
def test_a_name_is_one_line(submitted: Platform, ytap: Ytap, name: str) -> None:
    result = ytap("script", "reject", "ep-1", "-w", "finance", "--as", name)
    assert result.exit_code == 2
    assert "script_pending_review" in ytap.ok("script", "list", "-w", "finance")


def test_bad_lines_and_what_is_not_taken_in_yet_are_named_beside_the_list(
    submitted: Platform, ytap: Ytap
) -> None:
    folder = submitted.workspaces.folder("finance")
    decision = {"script_id": "ep-1", "actor": "Ada", "at": "2026-11-20T09:00:00Z"}
    acts = [{**decision, "act": "aprove"}, {**decision, "act": "approve_script"}]
    lines = [json.dumps(act) + "\n" for act in acts]
    (folder / "approvals.jsonl").write_text("".join([*lines, lines[1]]), encoding="utf-8")
    inbox = folder / "scripts.jsonl"
    text = inbox.read_text(encoding="utf-8")
    inbox.write_text(text + text.replace("ep-1", "ep-2"), encoding="utf-8")

    said = ytap("script", "list", "-w", "finance").stderr

    assert "approvals.jsonl: line 1 could not be read: act: 'aprove' is not one of" in said
    assert "approvals.jsonl: line 3 is equal to an earlier line" in said
    assert "not processed yet: submit_scripts: 1 (ep-2)" in said
    assert "not processed yet: start_generation: 1 (ep-1)" in said
    for act in ("show", "approve", "cancel"):
        line = ytap.refused(2, "script", act, "ep-2", "-w", "finance")
        assert "ep-2 is in scripts.jsonl and not processed yet" in line

    advance_one(submitted.slice("finance", None, Run("run-2", "test", "promote")), ALL_PROMOTIONS)

    assert "not processed yet" not in ytap("script", "list", "-w", "finance").stderr


def test_keys_that_no_rule_reads_are_named_once(submitted: Platform, ytap: Ytap) -> None:
    inbox = submitted.workspaces.folder("finance") / "scripts.jsonl"
    line = json.loads(inbox.read_text(encoding="utf-8").splitlines()[0])
    lines = [{**line, "script_id": f"ep-{number}", "mood\x1b": 1} for number in (2, 3)]
    lines.append({**line, "script_id": "ep-4", "Body": "free robux"})
    with inbox.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in lines)

    said = ytap("script", "list", "-w", "finance").stderr

    assert said.count("scripts.jsonl: unknown keys, which are ignored: 'mood") == 1
    assert "\x1b" not in said
    assert "could not be read: 'Body': unknown key; did you mean `body`?" in said
    assert "submit_scripts: 2 (ep-2, ep-3)" in said


def test_of_many_bad_lines_the_last_are_named(submitted: Platform, ytap: Ytap) -> None:
    folder = submitted.workspaces.folder("finance")
    (folder / "uploads.jsonl").write_text("{no\n" * 21, encoding="utf-8")
    said = ytap("script", "list", "-w", "finance").stderr.splitlines()
    assert [line for line in said if "line 1 could" in line] == []
    assert "uploads.jsonl: line 2 could not be read" in said[0]
    assert said[20] == "uploads.jsonl: 1 more such line"
    assert "quarantined_rows" not in "".join(said)

    advance_one(submitted.slice("finance", None, Run("run-2", "test", "promote")), ALL_PROMOTIONS)

    said = ytap("script", "list", "-w", "finance").stderr.splitlines()
    query = next(line.split("`")[1] for line in said if "quarantined_rows" in line)
    found = ytap.ok(*shlex.split(query)[1:], "--format", "csv")
    assert found.count("uploads.jsonl") == 0
    assert found.count("{no") == 21


def test_approving_what_waits_for_no_review_is_told_in_plain_words(
    submitted: Platform, ytap: Ytap
) -> None:
    ytap.ok("script", "cancel", "ep-1", "-w", "finance", "--as", "Ada")
    line = ytap.refused(1, "script", "approve", "ep-1", "-w", "finance", "--as", "Ada")
    assert line.startswith(
        "script ep-1 has the state cancelled: neither the script nor a video waits"
    )
    assert "script_approved" not in line


def test_a_restore_says_that_its_decisions_have_to_be_made_again(
    submitted: Platform, ytap: Ytap, tmp_path: Path
) -> None:
    ytap.ok("backup", tmp_path / "copy")
    ytap.ok("script", "approve", "ep-1", "-w", "finance", "--as", "Ada")
    submitted.lake.close()

    restored = ytap("restore", tmp_path / "copy", "--yes")

    assert "approve_script of script ep-1 of finance" in restored.stdout
    assert "repeat those" in restored.stderr


def test_a_second_approval_stores_nothing_and_says_so(submitted: Platform, ytap: Ytap) -> None:
    command = ("script", "approve", "ep-1", "-w", "finance", "--as")
    ytap.ok(*command, "Ada")
    shown = ytap.ok("script", "show", "ep-1", "-w", "finance")
    for name in ("Ada", "Bob"):
        assert "already approved by person:Ada" in ytap.refused(1, *command, name)
    assert ytap.ok("script", "show", "ep-1", "-w", "finance") == shown


def test_an_empty_name_is_called_empty(submitted: Platform, ytap: Ytap) -> None:
    said = ytap("script", "approve", "ep-1", "-w", "finance", "--as", " ").stderr
    assert "the name is empty" in said


def test_an_approval_names_the_gates_that_are_closed(submitted: Platform, ytap: Ytap) -> None:
    inbox = submitted.workspaces.folder("finance") / "scripts.jsonl"
    line = json.loads(inbox.read_text(encoding="utf-8"))
    del line["hook"]
    with inbox.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line | {"script_id": "ep-2", "title": "Another"}) + "\n")
    advance_one(submitted.slice("finance", None, Run("run-2", "test", "go")), ALL_PROMOTIONS)

    said = ytap("script", "approve", "ep-2", "-w", "finance", "--as", "Ada").stderr

    assert "closed gate: schema: missing hook\n" in said


def test_nothing_is_decided_in_an_archived_workspace(submitted: Platform, ytap: Ytap) -> None:
    ytap.ok("workspace", "archive", "finance")
    line = ytap.refused(2, "script", "approve", "ep-1", "-w", "finance", "--as", "Ada")
    assert "`ytap workspace unarchive finance`" in line
    assert "not processed yet" not in ytap("script", "list", "-w", "finance").stderr


def test_the_advised_command_makes_what_is_made_of_the_events(
    submitted: Platform, ytap: Ytap
) -> None:
    said = ytap("script", "approve", "ep-1", "-w", "finance", "--as", "Ada").stderr
    command = next(part for part in said.split("`") if part.startswith("ytap materialize"))

    ytap.ok(*shlex.split(command)[1:])

    state = "select state from production_records where script_id = 'ep-1'"
    listed = json.loads(ytap.ok("script", "list", "-w", "finance", "-f", "json"))
    assert json.loads(ytap.ok("sql", state, "-f", "json")) == [{"state": listed[0]["state"]}]
    assert "videos" in command


def ids(ytap: Ytap, *arguments: str) -> list[str]:
    listed = json.loads(ytap.ok("script", *arguments, "-w", "finance", "-f", "json"))
    return [row["script_id"] for row in listed]


def test_the_list_as_of_a_day_has_the_states_of_its_end(submitted: Platform, ytap: Ytap) -> None:
    ytap.ok("script", "reject", "ep-1", "-w", "finance", "--as", "Ada")
    listed = ("list", "--state", "script_pending_review", "--as-of")
    assert ids(ytap, "list", "--as-of", "2026-11-18") == []
    assert ids(ytap, *listed, "2026-11-19") == ["ep-1"]
    assert ids(ytap, *listed, "yesterday") == ["ep-1"]
    assert ids(ytap, *listed, "2026-11-19T07:59:59Z") == []
    assert ids(ytap, *listed, "2026-11-19T09:00+01:00") == ["ep-1"]
    assert ids(ytap, *listed, "2026-11-20") == []


def test_what_was_not_recorded_yet_was_not_known(submitted: Platform, ytap: Ytap) -> None:
    assert ids(ytap, "list", "--as-of", "2026-11-19", "--known") == []
    assert ids(ytap, "list", "--as-of", "2026-11-20", "--known") == ["ep-1"]
    assert "--known needs --as-of" in ytap.refused(2, "script", "list", "-w", "finance", "--known")


def test_a_script_is_shown_as_of_an_instant(submitted: Platform, ytap: Ytap) -> None:
    ytap.ok("script", "reject", "ep-1", "-w", "finance", "--as", "Ada")
    show = ("script", "show", "ep-1", "-w", "finance")
    then = ytap.ok(*show, "--as-of", "2026-11-19")
    assert "script_pending_review" in then
    assert "rejected" not in then
    assert "Something worth knowing." in then
    line = ytap.refused(2, *show, "--as-of", "2026-11-18")
    assert "script ep-1 had no record at 2026-11-18 23:59 UTC" in line
    assert "has no script" in ytap.refused(
        2, "script", "show", "ep-2", "-w", "finance", "--as-of", "2026-11-18"
    )


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("2026-11-19T09:00", "has no time zone; write 2026-11-19T09:00Z"),
        ("9:99Z", "is not an instant"),
        ("last friday", "is not a day"),
        ("2026-11-21", "in the future"),
        ("2026-11-20T23:00-05:00", "in the future"),
    ],
)
def test_an_instant_that_is_ambiguous_is_misuse(
    submitted: Platform, ytap: Ytap, when: str, said: str
) -> None:
    assert said in ytap.refused(2, "script", "list", "-w", "finance", "--as-of", when)


def test_scripts_that_wait_too_long_are_listed_with_what_they_wait_for(
    submitted: Platform, ytap: Ytap
) -> None:
    assert ids(ytap, "stuck") == []
    assert ids(ytap, "stuck", "--all") == ["ep-1"]
    finance = submitted.workspaces.get("finance")
    strict = Production(max_hours=MaxHours(script_pending_review=1))
    submitted.workspaces.save(finance.model_copy(update={"production": strict}))

    listed = ytap.ok("script", "stuck", "-w", "finance")

    assert "approval by a person" in listed
    assert "\x1b" not in listed


def test_times_are_of_the_scripts_that_left_a_state(submitted: Platform, ytap: Ytap) -> None:
    ytap.ok("script", "reject", "ep-1", "-w", "finance", "--as", "Ada")
    found = json.loads(ytap.ok("script", "times", "-w", "finance", "-f", "json"))
    assert [(row["state"], row["entered"], row["left"]) for row in found] == [
        ("script_pending_review", 1, 1),
        ("rejected", 1, 0),
    ]
    assert found[0]["median_hours"] == found[0]["max_hours"] > 24
    assert found[1]["p90_hours"] is None
    assert "(0 rows)" in ytap.ok("script", "times", "-w", "tech", "--days", "1")


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00+12:00"])
def test_an_instant_outside_the_calendar_is_refused(ytap: Ytap, moment: str) -> None:
    line = ytap.refused(2, "script", "list", "-w", "finance", "--as-of", moment)
    assert "is not an instant" in line
