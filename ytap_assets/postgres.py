"""Connections to the PostgreSQL database of an installation, for the catalog and for shared state.

Needs the driver of the extra `cluster`. A password is libpq's to find; none passes through here.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812

from ytap_assets.settings import Database

_CONNECT_S = 10
_CUT_OFF_S = 25
_PROBES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""A connection that is cut off counts as ended after 10 + 3 x 5 s, the time above."""
_LONGEST_APPLICATION = 63


def keep_alive(*settings: str) -> dict[str, str]:
    """Parameters by which both sides hold a connection that is cut off for ended, after 25 s.

    The server's settings are given, too: by its own, which are those of its system, it would keep
    the session of a machine that is gone, with its locks, for two hours.

    Args:
        settings: Further settings of the session, such as `search_path=ytap`.
    """
    probes = {name: str(value) for name, value in _PROBES.items()}
    user_timeout = {"tcp_user_timeout": str(_CUT_OFF_S * 1000)}
    here = {"connect_timeout": str(_CONNECT_S), **probes, **user_timeout}
    there = {f"tcp_{name}": value for name, value in probes.items()} | user_timeout
    given = [*settings, *(f"{name}={value}" for name, value in there.items())]
    return {**here, "options": " ".join(f"-c{one}" for one in given)}


def list_parameters(database: Database) -> dict[str, str]:
    """The parameters of a connection, by their names in libpq; without a password."""
    return {
        **dict(database.parameters),
        "application_name": name_application(),
        # A session that holds a lock is idle meanwhile.
        **keep_alive(f"search_path={database.schema}", "idle_session_timeout=0"),
    }


def write_parameters(parameters: dict[str, str]) -> str:
    """A connection string of libpq."""
    quoted = {
        name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in parameters.items()
    }
    return " ".join(f"{name}='{value}'" for name, value in quoted.items())


def connect(database: Database) -> Connection:
    """A connection of its own, which is in a transaction from its first statement on.

    Raises:
        psycopg2.Error: The server cannot be reached, or refuses the user.
    """
    return psycopg2.connect(write_parameters(list_parameters(database)))


def name_application() -> str:
    """The name of this process in the server's list of sessions."""
    command = Path("/proc/self/comm")
    program = command.read_text(encoding="utf-8", errors="replace") if command.is_file() else ""
    name = f"ytap {os.getpid()} {'-'.join(program.split()) or 'python'} {socket.gethostname()}"
    return name[:_LONGEST_APPLICATION]
