"""The job by which a person decides in the Dagster UI."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from ytap_assets.defs.review import decision_job
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.records import list_records
from ytap_assets_tests.operations.test_production import script, write_lines
from ytap_assets_tests.operations.test_review import promote


@pytest.fixture
def submitted(platform: Platform) -> Platform:
    write_lines(platform, "finance", "scripts.jsonl", script("one"))
    promote(platform, "finance")
    return platform


def run(platform: Platform, **changes: Any) -> dg.ExecuteInProcessResult:
    form = {
        "workspace": "finance",
        "script": "one",
        "decision": "approve_script",
        "decided_by": "Ada",
    }
    return decision_job.execute_in_process(
        run_config={"ops": {"decide": {"config": form | changes}}},
        resources={"platform": platform},
        raise_on_error=False,
    )


def test_a_decision_is_stored_and_the_run_shows_the_history(submitted: Platform) -> None:
    result = run(submitted, decision="reject", reason="no story")
    assert result.success
    [output] = result.filter_events(lambda event: event.is_successful_output)
    metadata = output.step_output_data.metadata
    assert metadata["state"].value == "rejected"
    history = metadata["history"]
    assert isinstance(history, dg.TableMetadataValue)
    last = history.records[-1].data
    assert (last["actor"], last["reason"]) == ("person:Ada", "no story")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"decision": "approve_video"}, "cannot be approved"),
        ({"script": "two"}, "has no script"),
        ({"workspace": "nowhere"}, "nowhere"),
        ({"decided_by": " "}, "decided_by"),
        ({"workspace": ""}, "workspace"),
        ({"seen": -1}, "-1"),
        ({"decided_by": "a\nb"}, "actor"),
    ],
)
def test_a_refused_decision_fails_the_run_with_the_reason(
    submitted: Platform, changes: dict[str, Any], said: str
) -> None:
    result = run(submitted, **changes)
    assert not result.success
    [failure] = result.filter_events(lambda event: event.is_step_failure)
    assert said in str(failure.step_failure_data.error)
    assert list_records(submitted, "finance")["script_approvers"].to_list() == [[]]


def test_the_form_as_it_is_offered_decides_nothing(submitted: Platform) -> None:
    result = decision_job.execute_in_process(
        resources={"platform": submitted}, raise_on_error=False
    )
    assert not result.success
