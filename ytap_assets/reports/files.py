"""Where report files are, and writing them in one step.

Imports neither Polars nor templates: `ytap summary` names the reports through here.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date
from pathlib import Path

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.safe_files import write_below
from ytap_assets.settings import Settings

INDEX_NAME = "index.html"
_REPORT = re.compile(r"(\d{4}-\d{2}-\d{2})\.html", re.ASCII)


def report_file(settings: Settings, workspace_id: str, day: date) -> Path:
    """The file of a workspace's report of a day: ``<reports>/<workspace_id>/<day>.html``.

    Raises:
        ConfigError: The workspace's name is invalid.
    """
    return settings.reports / check_workspace_id(workspace_id) / f"{day.isoformat()}.html"


def index_file(settings: Settings, workspace_id: str) -> Path:
    """The file that lists a workspace's reports.

    Raises:
        ConfigError: The workspace's name is invalid.
    """
    return settings.reports / check_workspace_id(workspace_id) / INDEX_NAME


def list_reports(settings: Settings, workspace_id: str) -> list[date]:
    """The days of which a workspace has a report, in order.

    Raises:
        ConfigError: The workspace's name is invalid.
    """
    folder = settings.reports / check_workspace_id(workspace_id)
    days = []
    for path in folder.iterdir() if folder.is_dir() else ():
        if found := _REPORT.fullmatch(path.name):
            with suppress(ValueError):  # no day, and no file of ours
                days.append(date.fromisoformat(found[1]))
    return sorted(days)


def month_file(settings: Settings, workspace_id: str, month: date) -> Path:
    """The file that lists a workspace's reports of a month: ``<year>-<month>.html``.

    Raises:
        ConfigError: The workspace's name is invalid.
    """
    return settings.reports / check_workspace_id(workspace_id) / f"{month:%Y-%m}.html"


def overview_file(settings: Settings) -> Path:
    """The file that lists all workspaces."""
    return settings.reports / INDEX_NAME


def write_report(path: Path, page: str) -> Path:
    """Write a page; a reader sees the file as it was, or the whole new one.

    Raises:
        OSError: The file cannot be written; what was there stays.
    """
    return write_below(path.parent, path.name, page.encode("utf-8", "replace"))
