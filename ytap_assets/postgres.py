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
_KEEPALIVES = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""A connection that is cut off counts as ended after 25 s, by both sides."""
_LONGEST_APPLICATION = 63


def list_parameters(database: Database) -> dict[str, str]:
    """The parameters of a connection, by their names in libpq; without a password."""
    return {
        "connect_timeout": str(_CONNECT_S),
        **dict(database.parameters),
        "application_name": _name_application(),
        # A session that holds a lock is idle meanwhile.
        "options": f"-csearch_path={database.schema} -cidle_session_timeout=0",
        **{name: str(value) for name, value in _KEEPALIVES.items()},
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


def _name_application() -> str:
    """The name of this process in the server's list of sessions."""
    command = Path("/proc/self/comm")
    program = command.read_text(encoding="utf-8", errors="replace") if command.is_file() else ""
    name = f"ytap {os.getpid()} {'-'.join(program.split()) or 'python'} {socket.gethostname()}"
    return name[:_LONGEST_APPLICATION]
