"""Materializing from the command line: stages, ranges, what is left out, what is refused."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from ytap_assets.defs import launch
from ytap_assets.defs.build import build_definitions
from ytap_assets.defs.launch import (
    explain_instance,
    group_by_assets,
    materialize_range,
    open_instance,
    plan_stages,
    prepare_home,
)
from ytap_assets.errors import ConfigError
from ytap_assets.lakehouse.errors import LakeDamagedError
from ytap_assets.lakehouse.lake import Lake
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.settings import Settings
from ytap_assets.sources import collect
from ytap_assets.sources.source import Fetch
from ytap_assets.tables import ACCOUNTS, WORKSPACE_REPORTS
from ytap_assets.workspaces import Account, Workspace, Workspaces
from ytap_assets_tests.lakehouse.processes import Worker
from ytap_assets_tests.operations.test_store import fetch

DAY = date(2026, 11, 16)
DAYS = (DAY, DAY + timedelta(2))


def names(platform: Platform, selection: str, failed: Collection[str] = ()) -> list[set[str]]:
    stages = plan_stages(build_definitions(platform=platform), selection)
    return [set(stage.without_downstream_of(failed)) for stage in stages]


class ListsAnAccountTwice(Workspaces):
    """Reads what no config can say, so that a publish is refused."""

    def parse(self, workspace_id: str, text: bytes) -> Workspace:
        """The workspace; `tech` with an account twice."""
        account = Account(platform="youtube", handle="@one")
        accounts = (account, account) if workspace_id == "tech" else ()
        return super().parse(workspace_id, text).model_copy(update={"accounts": accounts})


def test_everything_comes_in_stages_with_reports_at_the_end(
    platform: Platform,
) -> None:
    stages = plan_stages(build_definitions(platform=platform), "*")

    made = [name for stage in stages for name in stage.assets]
    assert len(made) == len(set(made))
    assert set(stages[-1].assets) == {"workspace_reports"}
    assert [one.stage.is_apart for one in stages] == [False] * (len(stages) - 1) + [True]
    for name, before in (
        ("scored_trends", "raw_trends"),
        ("videos", "production_records"),
        ("video_metrics", "videos"),
        ("source_performance", "production_records"),
        ("source_performance", "video_metrics"),
    ):
        assert made.index(before) < made.index(name)
    by_day = {name: one.stage.by_day for one in stages for name in one.assets}
    assert by_day["scored_trends"]
    assert not by_day["videos"]


def test_one_asset_is_one_stage(platform: Platform) -> None:
    assert names(platform, "scored_trends") == [{"scored_trends"}]


def test_what_needs_something_that_failed_is_left_out_and_reports_are_not(
    platform: Platform,
) -> None:
    left = set().union(*names(platform, "*", failed={"production_events"}))

    assert not left & {"production_records", "videos", "video_metrics"}
    assert {"raw_trends", "scored_trends", "accounts", "workspace_reports"} <= left


@pytest.mark.parametrize("selection", ["no_such_asset", "collection_log", "key:("])
def test_a_selection_of_nothing_is_refused(platform: Platform, selection: str) -> None:
    with pytest.raises(ConfigError, match="selection"):
        plan_stages(build_definitions(platform=platform), selection)


def test_documented_selections_with_a_plus_reach_the_end_of_the_graph(platform: Platform) -> None:
    root = Path(launch.__file__).parents[2]
    pages = [*root.glob("*.md"), *root.glob("docs/**/*.md"), *root.glob("ytap_assets/**/*.py")]
    found = {
        (page.name, selection)
        for page in pages
        for selection in re.findall(
            r"['`](\+[a-z][a-z_: ]*|[a-z][a-z_: ]*\+)['`]", page.read_text(encoding="utf-8")
        )
    }
    assert {"cli.md", "trends.md", "importing.md", "pipeline.py", "launch.py", "doctor.py"} <= {
        name for name, _ in found
    }
    for _, selection in found:
        chosen = set().union(*names(platform, selection))
        ends = {"scored_trends", "workspace_reports"}
        assert ends | ({"raw_trends"} if selection.startswith("+") else set()) <= chosen, selection


def test_a_range_of_days_is_one_run_and_one_snapshot(platform: Platform) -> None:
    platform.register("tech", Run("run-1", "test", "register"))
    before = platform.lake.snapshot_id()
    steps: list[str] = []

    [outcome] = materialize_range(
        platform, "workspace_reports", workspace_ids=["tech"], days=DAYS, on_step=steps.append
    )

    assert outcome.ok
    assert outcome.failures == {}
    assert outcome.assets == ["workspace_reports"]
    assert steps == ["workspace_reports: 3 rows of tech"]
    assert platform.lake.snapshot_id() == before + 1
    days = platform.lake.reader("tech").read(WORKSPACE_REPORTS)["day"]
    assert days.to_list() == [DAY + timedelta(n) for n in range(3)]


def test_a_step_says_what_is_new_and_what_failed(platform: Platform) -> None:
    platform.workspaces = ListsAnAccountTwice(platform.settings)
    steps: list[str] = []

    outcomes = materialize_range(
        platform,
        "key:accounts or key:production_events",
        workspace_ids=["tech"],
        days=(DAY, DAY),
        on_step=steps.append,
    )

    assert [one.ok for one in outcomes] == [False, True]
    assert steps == ["accounts: failed", "production_events: 0 new rows of tech"]


def test_a_refusal_is_told_and_the_report_and_the_other_workspace_are_made(
    platform: Platform,
) -> None:
    platform.workspaces = ListsAnAccountTwice(platform.settings)

    outcomes = materialize_range(
        platform,
        "key:accounts or key:workspace_reports",
        workspace_ids=["tech", "finance"],
        days=(DAY, DAY),
    )

    assert [(one.workspace_ids, one.assets, one.ok) for one in outcomes] == [
        (["finance", "tech"], ["accounts"], False),
        (["finance", "tech"], ["workspace_reports"], True),
    ]
    [(name, reason)] = outcomes[0].failures.items()
    assert name == "tech"
    assert "the previous rows are unchanged" in reason
    assert "@one" in reason
    assert platform.lake.reader("tech").read(ACCOUNTS).is_empty()


def test_a_later_stage_takes_the_workspaces_for_which_nothing_before_it_failed(
    platform: Platform,
) -> None:
    failed: dict[str, set[str]] = {"finance": {"production_events"}, "tech": set()}
    stages = plan_stages(build_definitions(platform=platform), "*")

    groups = {one.stage.name: group_by_assets(one, failed) for one in stages}

    assert groups["metrics"] == {("video_metrics",): ["tech"]}
    assert groups["reports"] == {("workspace_reports",): ["finance", "tech"]}


def test_a_first_day_after_the_last_is_refused(platform: Platform) -> None:
    with pytest.raises(ConfigError, match="2026-11-16 is after 2026-11-15"):
        materialize_range(platform, "*", workspace_ids=["tech"], days=(DAY, DAY - timedelta(1)))


@pytest.mark.parametrize(
    "days",
    [
        (date(2000, 1, 1), DAY),
        (DAY, date(2999, 1, 1)),
    ],
)
def test_days_outside_the_partitions_are_refused(
    platform: Platform, days: tuple[date, date]
) -> None:
    with pytest.raises(ConfigError, match="the days must be between"):
        materialize_range(platform, "accounts", workspace_ids=["tech"], days=days)


def test_a_first_day_in_the_future_is_called_that(platform: Platform) -> None:
    with pytest.raises(ConfigError, match="2999-01-01 is in the future"):
        materialize_range(
            platform, "accounts", workspace_ids=["tech"], days=(date(2999, 1, 1), DAY)
        )


def test_a_workspace_that_is_not_there_is_refused(platform: Platform) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        materialize_range(platform, "accounts", workspace_ids=["nowhere"], days=(DAY, DAY))


def test_days_after_the_last_recorded_one_are_refused(platform: Platform) -> None:
    (platform.settings.recordings / str(DAY)).mkdir(parents=True)

    with pytest.raises(ConfigError, match="2026-11-16, the last recorded day"):
        materialize_range(platform, "accounts", workspace_ids=["tech"], days=DAYS)


def test_a_run_says_whose_it_is_and_the_ui_can_place_it(platform: Platform) -> None:
    outcomes = materialize_range(
        platform, "key:accounts or key:workspace_reports", workspace_ids=["tech"], days=DAYS
    )

    with dg.DagsterInstance.from_config(str(platform.settings.dagster_home)) as instance:
        runs = [instance.get_run_by_id(one.run_id) for one in outcomes]
    shown = [
        {
            tag: value
            for tag, value in run.tags.items()
            if not tag.startswith((".dagster/", "dagster/"))
        }
        for run in runs
        if run
    ]
    assert shown == [
        {"workspace": "tech"},
        {"workspace": "tech", "days": "2026-11-16..2026-11-18"},
    ]
    for run in runs:
        assert run is not None
        assert run.remote_job_origin is not None
        assert run.remote_job_origin.location_name == "ytap_assets.definitions"
        assert run.tags["dagster/max_retries"] == "0"


def test_targets_that_did_not_answer_are_told(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"collection_id": "a", "target": "one"}, {"collection_id": "b", "target": "two"}

    async def answer(*_: object, **__: object) -> list[Fetch]:
        failed = {"outcome": "transient_error", "detail": "example.org/x: timed out"}
        return [fetch([], day=DAY, **names[0]), fetch([], day=DAY, **names[1], **failed)]

    monkeypatch.setattr(collect, "collect_trends", answer)
    (outcome,) = materialize_range(platform, "raw_trends", workspace_ids=["tech"], days=(DAY, DAY))

    assert outcome.ok
    assert outcome.warnings == [
        "raw_trends: 1 of 2 targets failed: timed out (1); see `collection_log`"
    ]


def test_bad_inbox_lines_are_a_warning_of_the_run_that_quarantines_them(platform: Platform) -> None:
    inbox = platform.workspaces.folder("tech") / "scripts.jsonl"
    inbox.write_text("no JSON\nnor this\n", encoding="utf-8")
    names = ["finance", "tech"]

    first, again = (
        materialize_range(platform, "production_events", workspace_ids=names, days=(DAY, DAY))[0]
        for _ in range(2)
    )

    [warning] = first.warnings
    assert warning.startswith("tech: lines that cannot be read, now in quarantine: 2")
    assert "`ytap script list -w tech`" in warning
    assert again.warnings == []


@pytest.mark.parametrize(
    ("selection", "count"), [("channels", 0), ("key:production_events or key:videos", 1)]
)
def test_a_damaged_log_does_not_hide_how_the_run_went(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, selection: str, count: int
) -> None:
    def fail(*_: object) -> dict[str, int]:
        raise LakeDamagedError("collection_log is damaged")

    monkeypatch.setattr(launch, "count_bad_lines", fail)

    outcomes = materialize_range(platform, selection, workspace_ids=["tech"], days=(DAY, DAY))

    assert [one.ok for one in outcomes] == [True]
    assert [text for one in outcomes for text in one.warnings] == [
        "inbox lines in quarantine cannot be counted: collection_log is damaged"
    ] * count


def test_an_interrupted_run_is_the_last_one(platform: Platform) -> None:
    begun: list[str] = []

    def interrupt(step: str) -> None:
        begun.append(step)
        os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        materialize_range(
            platform,
            "key:accounts or key:workspace_reports",
            workspace_ids=["tech", "finance"],
            days=DAYS,
            on_step=interrupt,
        )
    assert begun == ["accounts: 0 rows of 2 workspaces"]


def test_the_home_has_the_tracked_config_and_nothing_half_written(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = prepare_home(settings) / "dagster.yaml"
    wanted = config.read_text(encoding="utf-8")
    assert str(settings.dagster_home.absolute() / "history" / "runs") in wanted
    first = config.stat()

    prepare_home(settings)
    assert (config.stat().st_ino, config.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)

    older = wanted.splitlines()[0] + "\nrun_monitoring: {}"
    config.write_text(older, encoding="utf-8")
    seen: list[str] = []
    replace = Path.replace

    def note(partial: Path, target: Path) -> Path:
        seen.append(target.read_text(encoding="utf-8"))
        return replace(partial, target)

    monkeypatch.setattr(Path, "replace", note)
    prepare_home(settings)
    assert seen == [older]
    assert config.read_text(encoding="utf-8") == wanted
    assert [path.name for path in settings.dagster_home.iterdir()] == ["dagster.yaml"]


def test_a_deployments_own_config_is_left_as_it_is(settings: Settings) -> None:
    config = prepare_home(settings) / "dagster.yaml"
    own = "\n".join(config.read_text(encoding="utf-8").splitlines()[1:])
    config.write_text(own, encoding="utf-8")
    prepare_home(settings)
    assert config.read_text(encoding="utf-8") == own


@pytest.mark.parametrize("text", ["run_launcher: [", "run_launchr: {}", "storage: {sqlite: {}}"])
def test_an_invalid_config_is_named(settings: Settings, text: str) -> None:
    config = prepare_home(settings) / "dagster.yaml"
    config.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"dagster\.yaml") as raised:
        open_instance(prepare_home(settings))
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize(
    "error",
    [
        ValueError("invalid literal for int() with base 10: 'Swordfish99'"),
        OSError('could not translate host name "Swordfish99@127.0.0.1" to address'),
        RuntimeError("postgresql+psycopg2://ytap:Swordfish99@db/dagster"),
        RuntimeError('Value "Swordfish99" of type "<class \'int\'>" is not valid'),
    ],
)
def test_what_is_said_of_a_config_has_no_password(error: Exception) -> None:
    assert "Swordfish99" not in explain_instance(error)
    assert type(error).__name__ in explain_instance(error)


def test_a_run_that_cannot_write_says_who_is_in_the_way(platform: Platform) -> None:
    platform.lake.lock.timeout_s = 0.05
    with Worker("hold", catalog=str(platform.settings.catalog)) as holder:
        holder.wait_for("held")
        [outcome] = materialize_range(
            platform, "workspace_reports", workspace_ids=["tech"], days=DAYS
        )
    assert not outcome.ok
    [reason] = outcome.failures.values()
    assert f"{platform.settings.catalog}.lock: waited for 0 s while others wrote" in reason
    assert "Try again" in reason


def test_a_run_that_finds_the_catalog_locked_says_so(platform: Platform) -> None:
    settings = platform.settings
    platform.lake.close()
    platform.lake = Lake.open(settings, sleep=lambda _: None)
    with Worker("commit", catalog=str(settings.catalog)) as holder:
        holder.go()
        holder.wait_for("committing")
        [outcome] = materialize_range(
            platform, "workspace_reports", workspace_ids=["tech"], days=DAYS
        )
    [reason] = outcome.failures.values()
    assert f"{settings.catalog} is locked by another program" in reason
