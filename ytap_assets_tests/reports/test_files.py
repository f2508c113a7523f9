from __future__ import annotations

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.reports.files import encode_page, name_index, name_month, name_report
from ytap_assets_tests.domain.reporting.examples import MONDAY


def test_a_report_is_found_by_workspace_and_day() -> None:
    assert name_report("tech", MONDAY) == "reports/tech/2026-11-16.html"
    assert name_index("tech") == "reports/tech/index.html"
    assert name_month("tech", MONDAY) == "reports/tech/2026-11.html"


@pytest.mark.parametrize("name", ["../etc", "a/b", "", "Tech", ".."])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="workspace"):
        name_report(name, MONDAY)
    with pytest.raises(ConfigError, match="workspace"):
        name_index(name)


def test_a_lone_surrogate_does_not_stop_a_report() -> None:
    assert encode_page("a\ud800b é") == "a?b é".encode()
