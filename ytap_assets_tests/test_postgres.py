"""Connections to a PostgreSQL server."""

from __future__ import annotations

from contextlib import closing

from ytap_assets.postgres import connect
from ytap_assets.settings import parse_database
from ytap_assets_tests.databases import Server


def test_the_server_ends_the_session_of_a_machine_that_is_gone(server: Server) -> None:
    url = server.url()
    with closing(connect(parse_database(url, "url"))) as session, session.cursor() as cursor:
        found = {}
        for name in ("keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout"):
            cursor.execute(f"SHOW tcp_{name}")
            found[name] = cursor.fetchone()
        cursor.execute("SHOW search_path")
        path = cursor.fetchone()
    server.drop(url)

    assert found == {
        "keepalives_idle": ("10",),
        "keepalives_interval": ("5",),
        "keepalives_count": ("3",),
        "user_timeout": ("25000",),
    }
    assert path == ("ytap",)
