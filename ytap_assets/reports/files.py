"""The names of report files, below the place of files (`file_store`).

Imports neither Polars nor templates: `ytap summary` names the reports through here.
"""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import date

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.file_store import FileStore

OVERVIEW = "reports/index.html"
"""The file that lists all workspaces."""
_REPORT = re.compile(r"(\d{4}-\d{2}-\d{2})\.html", re.ASCII)


def name_report(workspace_id: str, day: date) -> str:
    """The file of a workspace's report of a day: ``reports/<workspace_id>/<day>.html``.

    Raises:
        ConfigError: The workspace's name is invalid.
    """
    return f"{_folder(workspace_id)}/{day.isoformat()}.html"


def name_index(workspace_id: str) -> str:
    """The file that lists a workspace's reports.

    Raises:
        ConfigError: The workspace's name is invalid.
    """
    return f"{_folder(workspace_id)}/index.html"


def name_month(workspace_id: str, month: date) -> str:
    """The file that lists a workspace's reports of a month: ``<year>-<month>.html``.

    Raises:
        ConfigError: The workspace's name is invalid.
    """
    return f"{_folder(workspace_id)}/{month:%Y-%m}.html"


def list_reports(store: FileStore, workspace_id: str) -> list[date]:
    """The days of which a workspace has a report, in order.

    Raises:
        ConfigError: The workspace's name is invalid.
        FileRefusedError: The place cannot be read.
    """
    days = []
    for name in store.list_names(_folder(workspace_id)):
        if found := _REPORT.fullmatch(name):
            with suppress(ValueError):  # no day, and no file of ours
                days.append(date.fromisoformat(found[1]))
    return sorted(days)


def delete_reports(store: FileStore, workspace_id: str) -> int:
    """Delete the reports of a workspace, and the lists of them; how many files were deleted.

    Raises:
        ConfigError: The workspace's name is invalid.
        FileRefusedError: The place cannot be reached.
        OSError: A file cannot be deleted.
    """
    return store.delete_folder(_folder(workspace_id))


def encode_page(page: str) -> bytes:
    """A page as it is stored; text that UTF-8 cannot express becomes a question mark."""
    return page.encode("utf-8", "replace")


def _folder(workspace_id: str) -> str:
    return f"reports/{check_workspace_id(workspace_id)}"
