from __future__ import annotations

from pathlib import Path

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.reports.files import index_file, report_file, write_report
from ytap_assets.settings import Settings
from ytap_assets_tests.domain.reporting.examples import MONDAY


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_env({"YTAP_DATA": str(tmp_path)})


def test_a_report_is_found_by_workspace_and_day(settings: Settings, tmp_path: Path) -> None:
    assert report_file(settings, "tech", MONDAY) == tmp_path / "reports/tech/2026-11-16.html"
    assert index_file(settings, "tech") == tmp_path / "reports/tech/index.html"


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "Tech", ".."])
def test_a_name_that_leads_elsewhere_is_refused(settings: Settings, name: str) -> None:
    with pytest.raises(ConfigError, match="workspace"):
        report_file(settings, name, MONDAY)
    with pytest.raises(ConfigError, match="workspace"):
        index_file(settings, name)


def test_a_report_is_replaced_and_nothing_else_is_left(settings: Settings) -> None:
    path = report_file(settings, "tech", MONDAY)
    assert write_report(path, "old") == path
    write_report(path, "new: é 👍")
    assert path.read_bytes() == "new: é 👍".encode()
    assert [file.name for file in path.parent.iterdir()] == ["2026-11-16.html"]


def test_a_lone_surrogate_does_not_stop_a_report(settings: Settings) -> None:
    path = write_report(report_file(settings, "tech", MONDAY), "a\ud800b")
    assert path.read_text(encoding="utf-8") == "a?b"


def test_a_failed_write_leaves_the_old_report(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_report(report_file(settings, "tech", MONDAY), "old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in path.parent.iterdir()] == ["2026-11-16.html"]
