"""Hosts that asked to be left alone for long: until when, for the processes that come after.

A workspace is collected by a process of its own, and the next one would ask at once what the last
was told not to. Belongs here: remembering it. Does not belong here: obeying it (`client`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from ytap_assets.sources.state_file import try_state

_TABLE = "CREATE TABLE IF NOT EXISTS parked (host TEXT PRIMARY KEY, ends_at REAL NOT NULL)"
_LONGEST_S = 86_400.0
"""No host is left alone for longer than a day on its word, nor for a slip of our clock."""


class ParkedHosts:
    """Which hosts are not to be asked, and until when; a convenience, as `KeptAnswers` is."""

    def __init__(self, path: Path) -> None:
        """Take the file, which is made with the first host."""
        self.path = path

    def park(self, host: str, seconds: float, now: datetime) -> None:
        """Remember that ``host`` asked to be left alone for so many seconds."""
        ends_at = now.timestamp() + min(seconds, _LONGEST_S)

        def write(connection: sqlite3.Connection) -> None:
            at = now.timestamp()
            connection.execute(
                "DELETE FROM parked WHERE ends_at NOT BETWEEN ? AND ?", (at, at + _LONGEST_S)
            )
            connection.execute("INSERT OR REPLACE INTO parked VALUES (?, ?)", (host, ends_at))

        try_state(self.path, _TABLE, work=write)

    def waits(self, now: datetime) -> Mapping[str, float]:
        """The hosts that are to be left alone, and for how many seconds more."""
        if not self.path.is_file():
            return {}
        at = now.astimezone(UTC).timestamp()
        rows = try_state(
            self.path,
            _TABLE,
            work=lambda file: file.execute("SELECT host, ends_at FROM parked").fetchall(),
        )
        # A damaged file may hold anything.
        waits = {str(host): end - at for host, end in rows or () if isinstance(end, float)}
        return {host: wait for host, wait in waits.items() if 0 < wait <= _LONGEST_S}
