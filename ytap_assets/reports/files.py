"""Where report files are, and writing them in one step."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.settings import Settings

INDEX_NAME = "index.html"


def report_file(settings: Settings, workspace_id: str, day: date) -> Path:
    """The file of a workspace's report of a day: ``<reports>/<workspace_id>/<day>.html``.

    Raises:
        ConfigError: The workspace's name breaks the rule.
    """
    return settings.reports / check_workspace_id(workspace_id) / f"{day.isoformat()}.html"


def index_file(settings: Settings, workspace_id: str) -> Path:
    """The file that lists a workspace's reports.

    Raises:
        ConfigError: The workspace's name breaks the rule.
    """
    return settings.reports / check_workspace_id(workspace_id) / INDEX_NAME


def write_report(path: Path, page: str) -> Path:
    """Write a page; a reader sees the file as it was, or the whole new one.

    Raises:
        OSError: The file cannot be written; what was there stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The process is in the name: two that write the same report must not share a half file.
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(page, encoding="utf-8", errors="replace", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
