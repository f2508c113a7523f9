"""Lakes of every kind: in files, on a PostgreSQL server, in S3.

Databases are the tests' own, and nothing is left on the server. S3 is a server that runs as long as
the tests.

The server is that of `YTAP_TEST_POSTGRES`, a URL without a password, or the one of this machine.
"""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from ytap_assets.lakehouse.connection import find_catalog, find_files
from ytap_assets.lakehouse.errors import CatalogUnreachableError
from ytap_assets.lakehouse.postgres_catalog import PostgresCatalog
from ytap_assets.settings import Database, Settings, parse_database

_DEFAULT = "postgresql://root@127.0.0.1:5432/postgres"
_numbers = itertools.count(1)


class Server:
    """A server on which databases are created, each for one test."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._made: list[str] = []

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parameters = dict(self._database.parameters)
        return parameters["host"], int(parameters["port"])

    def url(self, template: str | None = None, port: int | None = None) -> str:
        """The URL of a new database, which is empty or a copy of another one's.

        Args:
            template: The URL of the other.
            port: Of a proxy before the server.
        """
        name = f"ytap_test_{os.getpid()}_{next(_numbers)}"
        source = f' TEMPLATE "{_name(template)}" STRATEGY file_copy' if template else ""
        self._execute(f'CREATE DATABASE "{name}"{source}')
        self._made.append(name)
        parameters = dict(self._database.parameters) | {"dbname": name}
        if port is not None:
            parameters |= {"host": "127.0.0.1", "port": str(port)}
        return str(replace(self._database, parameters=tuple(parameters.items())))

    def drop(self, url: str) -> None:
        """Drop a database, and end who uses it."""
        self._execute(f'DROP DATABASE IF EXISTS "{_name(url)}" WITH (FORCE)')
        self._made.remove(_name(url))

    def end_sessions(self, url: str) -> None:
        """End all sessions of a database, as a server does that restarts."""
        self._execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{_name(url)}' AND pid <> pg_backend_pid()"
        )

    def drop_all(self) -> None:
        """Drop what is left."""
        for name in [*self._made]:
            self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            self._made.remove(name)

    def _execute(self, statement: str) -> None:
        with (
            closing(PostgresCatalog(self._database).connect()) as session,
            session.cursor() as cursor,
        ):
            cursor.execute(statement)


@contextmanager
def find_server() -> Iterator[Server]:
    """The server; the test is skipped where none answers."""
    database = parse_database(os.environ.get("YTAP_TEST_POSTGRES", _DEFAULT), "YTAP_TEST_POSTGRES")
    server = Server(database)
    try:
        server.drop(server.url())
    except (CatalogUnreachableError, psycopg2.Error) as error:
        pytest.skip(f"no PostgreSQL server on which databases can be created: {error}")
    try:
        yield server
    finally:
        server.drop_all()


class Lakes:
    """Makes places for lakes, and copies lakes, of one kind."""

    def __init__(self, server: Server | None, bucket: str | None, port: int | None = None) -> None:
        """Take the servers.

        Args:
            server: Of catalogs; None for SQLite files.
            bucket: The URL of a place in S3; None for folders.
            port: Of a proxy before the server of catalogs; None for none.
        """
        self._server = server
        self._bucket = bucket
        self._port = port

    def place(self, data: Path) -> Settings:
        """A place where there is no lake."""
        env = self._place_of_files(data)
        if self._server is not None:
            env["YTAP_CATALOG"] = self._server.url(port=self._port)
        return Settings.from_env(env)

    def _place_of_files(self, data: Path) -> dict[str, str]:
        env = {"YTAP_DATA": str(data)}
        if self._bucket is not None:
            place, _, query = self._bucket.partition("?")
            env["YTAP_DATA_PATH"] = f"{place}/{os.getpid()}-{next(_numbers)}?{query}"
        return env

    @contextmanager
    def copy(self, lake: Settings, data: Path) -> Iterator[Settings]:
        """A copy of an empty lake that nobody has open; its database is dropped at the end."""
        shutil.copytree(lake.data, data, dirs_exist_ok=True)
        env = self._place_of_files(data)
        if self._server is None:
            yield _mark(Settings.from_env(env), lake)
            return
        url = self._server.url(template=str(lake.database))
        yield _mark(Settings.from_env({**env, "YTAP_CATALOG": url}), lake)
        self._server.drop(url)


class OwnServer(Server):
    """A server of the tests' own, which may be restarted."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(parse_database(f"postgresql://root@127.0.0.1:{port}/postgres", "own"))
        self._folder = folder

    def restart(self, mode: str) -> None:
        """Restart it.

        Args:
            mode: `fast` ends all sessions; `immediate` is a crash, from which it recovers.
        """
        control(self._folder, "restart", "-m", mode, "-w")


@contextmanager
def run_server() -> Iterator[OwnServer]:
    """Run a server of the tests' own; the test is skipped where PostgreSQL is not installed."""
    if _BINARIES is None or os.getuid() != 0:
        pytest.skip("a server of the tests' own needs PostgreSQL's programs, and root")
    folder = Path(tempfile.mkdtemp(prefix="ytap-postgres-"))
    shutil.chown(folder, "postgres")
    try:
        control(folder, "initdb", "-o", "--auth=trust --username=root --no-sync")
        port = _start(folder)
        try:
            yield OwnServer(folder, port)
        finally:
            control(folder, "stop", "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def control(folder: Path, *arguments: str) -> None:
    """Run `pg_ctl` on a server's folder, as the user that may."""
    assert _BINARIES is not None
    program = [str(_BINARIES / "pg_ctl"), "-D", str(folder), "-s", "-l", f"{folder}/log"]
    user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    subprocess.run([*user, *program, *arguments], check=True, cwd=folder)


def _start(folder: Path) -> int:
    """Start a server on a port that is free; tests open no sockets to look for one."""
    for attempt in range(20):
        port = 20_000 + (os.getpid() * 7 + attempt * 997) % 12_000
        options = (
            f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
        )
        try:
            control(folder, "start", "-w", "-o", options)
        except subprocess.CalledProcessError:
            continue
        return port
    raise RuntimeError(f"no server started: {(folder / 'log').read_text(encoding='utf-8')[-500:]}")


_BINARIES = next(
    (path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))), None
)


def _mark(copied: Settings, lake: Settings) -> Settings:
    """The place of a copied lake, with the mark of its catalog."""
    if copied.bucket is not None:
        find_files(copied).write_mark(find_files(lake).read_mark() or "")
    return copied


@contextmanager
def run_s3() -> Iterator[str]:
    """Run an S3 server with a bucket; the URL of a place in it."""
    # In a process of its own: the tests' may open no sockets.
    command = [sys.executable, "-m", "ytap_assets_tests.s3_server"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        endpoint = server.stdout.readline().decode().strip()
        try:
            yield f"s3://lakes/tests?endpoint={endpoint}&region=us-east-1"
        finally:
            server.terminate()


def place_of(settings: Settings) -> dict[str, Any]:
    """Where a lake is, as arguments of a worker."""
    return {
        "data": str(settings.data),
        "database": str(settings.database or ""),
        "bucket": str(settings.bucket or ""),
    }


def attach_plainly(settings: Settings) -> str:
    """The statement of somebody who attaches a lake for writing without our options."""
    catalog = find_catalog(settings)
    statement = catalog.attach_statement(f"{settings.data_path}/", "write")
    return statement.replace(", DATA_INLINING_ROW_LIMIT 0", "")


def change_catalog(settings: Settings, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement in a catalog's own database; its rows, if it has any."""
    if settings.database is None:
        with closing(sqlite3.connect(settings.catalog)) as file, file:
            return file.execute(statement).fetchall()
    with (
        closing(PostgresCatalog(settings.database).connect()) as session,
        session.cursor() as cursor,
    ):
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _name(url: str) -> str:
    return dict(parse_database(url, "url").parameters)["dbname"]
