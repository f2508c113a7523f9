"""Settings of the installation, from the environment: places of the data, and the transport.

Belongs here: settings of the installation. Does not belong here: a workspace's own config
(`workspaces`), or reading the clock anywhere else than in `Settings.now`. Imports nothing
heavy: `ytap --help` imports it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Literal, cast
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.safe_files import read_below

Transport = Literal["live", "record", "replay"]
_TRANSPORTS = ("live", "record", "replay")
WorkspaceSource = Literal["folder", "lake"]
_REMEMBERED = ("live", "replay")
_MAX_TRANSPORT_BYTES = 100
_CREDENTIALS = "YTAP_SECRET_"
VARIABLES = (
    "YTAP_DATA",
    "YTAP_CATALOG",
    "YTAP_DATA_PATH",
    "YTAP_WORKSPACES",
    "YTAP_FILES",
    "YTAP_TRANSPORT",
    "YTAP_FIRST_DAY",
    "YTAP_EVERY_HOURS",
    "YTAP_SNAPSHOT_DAYS",
    "YTAP_SQL_SECONDS",
    "YTAP_SQL_MEMORY",
    "YTAP_BATCH_WORKSPACES",
)
"""All settings. Secrets, `YTAP_SECRET_...`, are read by name where they are needed."""
_EVERY_HOURS, _MAX_HOURS = 6, 24
_SNAPSHOT_DAYS = 30
_MAX_DAYS = 36_500
_LONGEST_NAME, _LONGEST_PATH = 200, 3_000
"""Bytes; the system's limits are 255 and 4096, and names of our own are added."""
_PATTERN = re.compile(r"[*?\[\]]")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_URLS = {
    "YTAP_CATALOG": "postgresql://USER@HOST/DATABASE",
    "YTAP_DATA_PATH": "s3://BUCKET/PREFIX",
    "YTAP_FILES": "s3://BUCKET/PREFIX",
}
_URLS |= {"--to-catalog": _URLS["YTAP_CATALOG"], "--to-data": _URLS["YTAP_DATA_PATH"]}
_SQL_SECONDS = 300
_BATCH_WORKSPACES = 50
_MAX_BATCH = 1_000
_MAX_SECONDS = 86_400
_MEMORY = re.compile(r"([1-9][0-9]{0,5}) ?(MiB|GiB)")
_LEAST_MEMORY_MIB = 64
NO_CLUSTER = (
    "the packages for PostgreSQL and S3 are not installed; install requirements-cluster.lock, or"
    " correct YTAP_CATALOG and YTAP_DATA_PATH"
)
_SCHEMES = ("postgresql", "postgres")
_SCHEMA = re.compile(r"[a-z][a-z0-9_]{0,30}")
_SCHEME = re.compile(r"(?:postgres(?:ql)?|s3|s3a|mysql|jdbc|sqlite):", re.IGNORECASE)
_BUCKET = re.compile(
    r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,61}[a-z0-9])"
    r"/(?P<prefix>[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}(?:/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,7})/?"
    r"(?:\?(?P<query>.*))?"
)
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?")
_REGION = re.compile(r"[a-z0-9-]{1,40}")
_RESERVED = re.compile(r"^pg_|_(?:making|staging|restoring|state)$|_before_")
_SECRET = re.compile(r"(?:passw\w*|pwd|secret\w*)\s*=", re.IGNORECASE)
_PARAMETERS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "passfile", "service")
"""Parameters of a connection that hold no secret, by their names in PostgreSQL's library."""


@dataclass(frozen=True)
class Database:
    """The PostgreSQL database of a lake's catalog. It has no password: libpq finds that by itself.

    Attributes:
        parameters: The connection's parameters, by their names in libpq.
        schema: The schema of the catalog's tables.
    """

    parameters: tuple[tuple[str, str], ...]
    schema: str = "ytap"

    def __str__(self) -> str:
        """For messages: `postgresql://ytap@db.example:5432/lakes?schema=ytap`."""
        known = {name: quote(value, safe="/:") for name, value in self.parameters}
        user = f"{known['user']}@" if "user" in known else ""
        host, port = known.get("host", ""), f":{known['port']}" if "port" in known else ""
        place = f"[{host}]" if ":" in host else host
        rest = [f"{name}={known[name]}" for name in _PARAMETERS if name in known]
        query = "&".join([*rest, f"schema={self.schema}"])
        return f"postgresql://{user}{place}{port}/{known.get('dbname', '')}?{query}"


@dataclass(frozen=True)
class Bucket:
    """A place of files in S3. It has no key: the usual chain of providers finds that.

    Attributes:
        name: The bucket.
        prefix: What the keys of the files begin with, without a slash at the end.
        endpoint: The URL of a server that is not Amazon's; None for Amazon's.
        region: The region; None for the one that the environment says.
    """

    name: str
    prefix: str
    endpoint: str | None = None
    region: str | None = None

    def __str__(self) -> str:
        """For messages: `s3://bucket/prefix`, with endpoint and region if they are given."""
        given = {"endpoint": self.endpoint, "region": self.region}
        query = "&".join(f"{key}={value}" for key, value in given.items() if value)
        return f"s3://{self.name}/{self.prefix}{f'?{query}' if query else ''}"


@dataclass(frozen=True)
class Settings:
    """The installation's settings, read once from the environment.

    Attributes:
        data: The data folder (``YTAP_DATA``, default ``data``).
        catalog: The lake's catalog, where it is a SQLite file (``YTAP_CATALOG``).
        database: The PostgreSQL database that is the catalog instead (``YTAP_CATALOG``, as a URL);
            None for the file.
        data_path: The folder of the lake's Parquet files (``YTAP_DATA_PATH``).
        bucket: The place in S3 where they are instead (``YTAP_DATA_PATH``, as a URL); None for the
            folder.
        workspace_source: Where configs and inbox files are read (``YTAP_WORKSPACES``): ``folder``,
            the data folder's; or ``lake``, where they were pushed.
        files: The folder of reports, models and backups (``YTAP_FILES``); None for the data
            folder.
        store_bucket: The place in S3 where reports and models are instead (``YTAP_FILES``, as a
            URL); None for the folder.
        transport: ``live``, ``record`` or ``replay`` (``YTAP_TRANSPORT``; else the one stored
            in the data folder, else ``live``).
        remembered: The transport stored in the data folder; None before the first collection.
        first_day: The first day partition (``YTAP_FIRST_DAY``), unless the lake has earlier days;
            None for a recent one: see `Platform.day_range`.
        every_hours: The hours between two collections of a day (``YTAP_EVERY_HOURS``), where a
            workspace does not say otherwise.
        snapshot_days: How long old snapshots stay readable (``YTAP_SNAPSHOT_DAYS``).
        sql_seconds: How long a statement of `ytap sql` may run (``YTAP_SQL_SECONDS``).
        sql_memory: How many bytes of memory it may take (``YTAP_SQL_MEMORY``); None for a quarter
            of the machine's, 2 GiB at most.
        batch_workspaces: How many workspaces a run takes at most (``YTAP_BATCH_WORKSPACES``).
        secrets: The variables that sources read by name; never printed.
        unknown: The names of unknown variables that begin with ``YTAP_``, such as mistyped ones.
    """

    data: Path
    catalog: Path
    data_path: Path
    database: Database | None = None
    bucket: Bucket | None = None
    workspace_source: WorkspaceSource = "folder"
    files: Path | None = None
    store_bucket: Bucket | None = None
    transport: Transport = "live"
    remembered: Transport | None = None
    first_day: date | None = None
    every_hours: int = _EVERY_HOURS
    snapshot_days: int = _SNAPSHOT_DAYS
    sql_seconds: int = _SQL_SECONDS
    sql_memory: int | None = None
    batch_workspaces: int = _BATCH_WORKSPACES
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    unknown: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the settings from the environment.

        Raises:
            ConfigError: A variable has an invalid value; the message names it.
        """
        env = os.environ if env is None else env
        data = _data_folder(env)
        catalog, data_path = _default_lake(data)
        remembered = _remembered_transport(data)
        transport = env.get("YTAP_TRANSPORT") or remembered or "live"
        database = _database(env, "YTAP_CATALOG")
        bucket = _bucket(env, "YTAP_DATA_PATH")
        store_bucket = _bucket(env, "YTAP_FILES")
        return cls(
            data=data,
            catalog=catalog if database else _local_path(env, "YTAP_CATALOG", catalog),
            data_path=data_path if bucket else _files_folder(env, data_path),
            database=database,
            bucket=bucket,
            workspace_source=_workspace_source(env, "YTAP_WORKSPACES"),
            files=None if store_bucket else _local_path(env, "YTAP_FILES", data),
            store_bucket=store_bucket,
            transport=_transport(transport, "YTAP_TRANSPORT"),
            remembered=remembered,
            first_day=_day(env, "YTAP_FIRST_DAY"),
            every_hours=_number(env, "YTAP_EVERY_HOURS", _EVERY_HOURS, _MAX_HOURS),
            snapshot_days=_number(env, "YTAP_SNAPSHOT_DAYS", _SNAPSHOT_DAYS, _MAX_DAYS),
            sql_seconds=_number(env, "YTAP_SQL_SECONDS", _SQL_SECONDS, _MAX_SECONDS),
            sql_memory=_memory(env, "YTAP_SQL_MEMORY"),
            batch_workspaces=_number(env, "YTAP_BATCH_WORKSPACES", _BATCH_WORKSPACES, _MAX_BATCH),
            secrets={name: value for name, value in env.items() if name.startswith(_CREDENTIALS)},
            unknown=tuple(
                sorted(
                    name
                    for name in env
                    if name.upper().startswith("YTAP_")
                    and not (name in VARIABLES or name.startswith(_CREDENTIALS))
                )
            ),
        )

    @property
    def catalog_name(self) -> str:
        """The catalog, for messages: its file, or its database without a password."""
        return str(self.database or self.catalog)

    @property
    def files_name(self) -> str:
        """The place of the lake's files, for messages."""
        return str(self.bucket or self.data_path)

    def at(self, catalog: tuple[str, str], data_path: tuple[str, str]) -> Settings:
        """The same installation with its lake elsewhere.

        Args:
            catalog: An option's name and its value, which is like that of ``YTAP_CATALOG``.
            data_path: The same for ``YTAP_DATA_PATH``.

        Raises:
            ConfigError: A value is invalid; the message names the option.
        """
        given = dict((catalog, data_path))
        for name, value in given.items():
            if not value:
                raise ConfigError(f"{name}: is empty")
        database, bucket = _database(given, catalog[0]), _bucket(given, data_path[0])
        file, folder = _default_lake(self.data)
        return replace(
            self,
            catalog=file if database else _local_path(given, catalog[0], file),
            data_path=folder if bucket else _files_folder(given, folder, data_path[0]),
            database=database,
            bucket=bucket,
        )

    def secret(self, name: str) -> str | None:
        """The secret ``YTAP_SECRET_<name>``, or None if it is not set."""
        return self.secrets.get(f"{_CREDENTIALS}{name}") or None

    @property
    def lake_variables(self) -> tuple[str, ...]:
        """The variables that move the lake from the data folder's default place."""
        catalog, data_path = _default_lake(self.data)
        moved = {
            "YTAP_CATALOG": self.database is not None or self.catalog != catalog,
            "YTAP_DATA_PATH": self.bucket is not None or self.data_path != data_path,
        }
        return tuple(name for name, is_moved in moved.items() if is_moved)

    @property
    def store(self) -> Path:
        """The folder of reports, models and backups; with a bucket, of backups only."""
        return self.files or self.data

    @property
    def store_name(self) -> str:
        """The place of reports and models, for messages."""
        return str(self.store_bucket or self.store)

    @property
    def backups(self) -> Path:
        """The default folder of backups."""
        return self.store / "backups"

    @property
    def workspaces(self) -> Path:
        """The folder with one folder per workspace."""
        return self.data / "workspaces"

    @property
    def recordings(self) -> Path:
        """The folder of recorded exchanges."""
        return self.data / "recordings"

    @property
    def state(self) -> Path:
        """The folder of the sources' state: cached responses, used quotas."""
        return self.data / "state"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own folder."""
        return self.data / "dagster_home"

    @property
    def transport_file(self) -> Path:
        """The file in the data folder that stores its transport."""
        return _transport_file(self.data)

    def remember_transport(self) -> None:
        """Store the transport in the data folder at the first collection.

        So all commands and the web interface use the same one. `record` is not stored: it must be
        requested each time.

        Raises:
            OSError: It cannot be written.
        """
        if self.remembered is None and self.transport != "record":
            self.state.mkdir(parents=True, exist_ok=True)
            partial = self.transport_file.with_name(f"transport.{os.getpid()}.part")
            partial.write_text(f"{self.transport}\n", encoding="ascii")
            partial.replace(self.transport_file)

    def describe_transport(self) -> str:
        """The transport and its origin, in one line."""
        if self.remembered is None:
            return f"{self.transport} (the default; this data folder has no stored transport)"
        if self.remembered == self.transport:
            return f"{self.transport} (stored in {self.transport_file})"
        return f"{self.transport} (YTAP_TRANSPORT); {self.transport_file} has {self.remembered}"

    def now(self) -> datetime:
        """The present, in UTC. Under replay it is the end of the last recorded day."""
        if self.transport == "replay":
            recorded = self.recorded_days()
            if recorded:
                last = recorded[-1]
                return datetime(last.year, last.month, last.day, 23, 0, tzinfo=UTC)
        return datetime.now(UTC)

    def recorded_days(self) -> list[date]:
        """The days there are recordings of, in order."""
        if not self.recordings.is_dir():
            return []
        names = (path.name for path in self.recordings.iterdir() if path.is_dir())
        return sorted(day for name in names if (day := _as_day(name)) is not None)


def _default_lake(data: Path) -> tuple[Path, Path]:
    """The default places of the catalog and the Parquet files of a data folder."""
    return data / "lake" / "catalog.sqlite", data / "lake" / "files"


def _transport_file(data: Path) -> Path:
    return data / "state" / "transport"


def _transport(text: str, origin: object, known: Sequence[str] = _TRANSPORTS) -> Transport:
    if text not in known:
        raise ConfigError(f"{origin}={text[:40]!r}: expected one of {', '.join(known)}")
    return cast("Transport", text)


def _workspace_source(env: Mapping[str, str], name: str) -> WorkspaceSource:
    text = env.get(name) or "folder"
    if text not in ("folder", "lake"):
        raise ConfigError(f"{name}={text[:40]!r}: expected folder or lake")
    return cast("WorkspaceSource", text)


def _remembered_transport(data: Path) -> Transport | None:
    file = _transport_file(data)
    try:
        contents = read_below(file.parent, file.name, max_bytes=_MAX_TRANSPORT_BYTES)
    except FileRefusedError as error:
        if isinstance(error.__cause__, NotADirectoryError):
            return None
        wanted = " or ".join(_REMEMBERED)
        raise ConfigError(
            f"{file.parent}: {error}; expected a file that contains {wanted}"
        ) from error
    if contents is None:
        return None
    text = contents.content.decode("ascii", errors="backslashreplace").strip()
    return _transport(text, file, _REMEMBERED)


def _as_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _data_folder(env: Mapping[str, str]) -> Path:
    """The data folder; Dagster opens its databases in it by URLs, where `%41` is an escape."""
    folder = _local_path(env, "YTAP_DATA", Path("data").absolute())
    if escape := _ESCAPE.search(str(folder)):
        raise ConfigError(
            f"YTAP_DATA={str(folder)!r} contains {escape[0]}, which Dagster reads as an escaped"
            " character; choose a folder without it"
        )
    return _check_pattern("YTAP_DATA", folder)


def _files_folder(env: Mapping[str, str], default: Path, name: str = "YTAP_DATA_PATH") -> Path:
    return _check_pattern(name, _local_path(env, name, default))


def _check_pattern(name: str, folder: Path) -> Path:
    """Refuse characters of file patterns: the sweep would match other folders."""
    if unsafe := sorted(set(_PATTERN.findall(str(folder)))):
        raise ConfigError(
            f"{name}={str(folder)!r} contains {' '.join(unsafe)}; choose a folder without such"
            " characters"
        )
    return folder


def _database(env: Mapping[str, str], name: str) -> Database | None:
    """The database of a URL; None if the variable is not one of PostgreSQL."""
    text = env.get(name) or ""
    return parse_database(text, name) if text.partition("://")[0] in _SCHEMES else None


def parse_database(text: str, name: str) -> Database:
    """Read the URL of a PostgreSQL database, such as `postgresql://ytap@db.example/lakes`.

    Args:
        text: The URL; `?schema=` names the schema of the catalog's tables.
        name: The variable or option that it comes from.

    Raises:
        ConfigError: It is no such URL, or contains a password, which the message does not repeat.
    """
    try:
        url = urlsplit(text)
        port, password = url.port, url.password
        user = unquote(url.username or "")
    except ValueError:  # its message may repeat a password
        raise ConfigError(
            f"{name}: not a URL such as postgresql://USER@HOST:PORT/DATABASE"
        ) from None
    if password is not None or ":" in user or _SECRET.search(text):
        raise ConfigError(
            f"{name}: contains a password, which logs and process lists could show; remove it, and"
            " set PGPASSWORD, or put it into a password file (PGPASSFILE) or a service file"
        )
    shown = text.partition("?")[0].rpartition("@")[2][:80]
    given = parse_qsl(url.query, keep_blank_values=True)
    unknown = sorted({key for key, _ in given} - {*_PARAMETERS, "schema"})
    if unknown or len(dict(given)) < len(given) or url.fragment:
        raise ConfigError(
            f"{name}={shown!r}: expected postgresql://USER@HOST:PORT/DATABASE, with"
            f" {', '.join(_PARAMETERS)} and schema as its parameters, each once"
        )
    options = dict(given)
    schema = options.pop("schema", "ytap")
    if not _SCHEMA.fullmatch(schema) or _RESERVED.search(schema):
        raise ConfigError(
            f"{name}: schema={schema[:40]!r}: expected a name of at most 31 lower-case letters,"
            " digits and underscores that begins with a letter, but not with pg_, and neither ends"
            " in _making, _staging, _restoring or _state nor contains _before_, as those of our own"
            " do"
        )
    place = {
        "host": unquote(url.hostname or ""),
        "port": "" if port is None else str(port),
        "user": user,
        "dbname": unquote(url.path.removeprefix("/")),
    }
    found = {key: value for key, value in {**place, **options}.items() if value}
    if not all(value.isprintable() for value in found.values()):
        raise ConfigError(f"{name}={shown!r}: contains a control character")
    if "dbname" not in found and "service" not in found:
        raise ConfigError(f"{name}={shown!r}: names no database; append one, such as /lakes")
    return Database(tuple(found.items()), schema)


def _bucket(env: Mapping[str, str], name: str) -> Bucket | None:
    """The place in S3 of a URL; None if the variable is not one of S3."""
    text = env.get(name) or ""
    return parse_bucket(text, name) if text.startswith("s3://") else None


def parse_bucket(text: str, name: str) -> Bucket:
    """Read the URL of a place in S3, such as `s3://bucket/lake?region=eu-central-1`.

    Args:
        text: The URL; `?endpoint=http://host:port` names a server that is not Amazon's.
        name: The variable or option that it comes from.

    Raises:
        ConfigError: It is no such URL, or contains a key, which the message does not repeat.
    """
    match = _BUCKET.fullmatch(text)
    given = parse_qsl(match["query"] or "", keep_blank_values=True) if match else []
    options = dict(given)
    endpoint, region = options.pop("endpoint", None), options.pop("region", None)
    if not match or options or len(given) != len({key for key, _ in given}):
        raise ConfigError(
            f"{name}: expected s3://BUCKET/PREFIX, with letters, digits and . _ - in its parts, and"
            " with endpoint and region as its parameters, each once; keys come from the"
            " environment or a profile (AWS_ACCESS_KEY_ID, AWS_PROFILE)"
        )
    if endpoint is not None and not _ENDPOINT.fullmatch(endpoint):
        raise ConfigError(f"{name}: endpoint: expected a URL such as https://HOST:PORT")
    if region is not None and not _REGION.fullmatch(region):
        raise ConfigError(f"{name}: region={region[:40]!r}: expected one such as eu-central-1")
    return Bucket(match["bucket"], match["prefix"], endpoint, region)


def _local_path(env: Mapping[str, str], name: str, default: Path) -> Path:
    """A path that every library accepts: UTF-8, without control characters, not too long."""
    text = env.get(name)
    if text and ("://" in text or _SCHEME.match(text) or _SECRET.search(text)):
        url = _URLS.get(name)
        urls = f" and URLs such as {url}" if url else ""
        # It may contain a password, so it is not repeated.
        raise ConfigError(f"{name}: only local paths{urls} are supported")
    path = Path(text).absolute() if text else default
    try:
        lengths = [len(part.encode()) for part in path.parts]
    except UnicodeEncodeError as error:
        raise ConfigError(f"{name}={str(path)!r}: not UTF-8; choose another path") from error
    if not str(path).isprintable():
        raise ConfigError(f"{name}={str(path)!r} contains a control character; choose another path")
    if max(lengths) > _LONGEST_NAME or sum(lengths) + len(lengths) > _LONGEST_PATH:
        raise ConfigError(
            f"{name}={str(path)[:80]!r}... is too long: at most {_LONGEST_NAME} bytes a name and"
            f" {_LONGEST_PATH:,} in all; choose a shorter one"
        )
    return path


def _day(env: Mapping[str, str], name: str) -> date | None:
    text = env.get(name)
    if not text:
        return None
    day = _as_day(text)
    if day is None:
        raise ConfigError(f"{name}={text!r}: expected a date such as 2024-01-31")
    return day


def _number(env: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = env.get(name)
    if not text:
        return default
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(most))
    if not is_number or not 1 <= int(text) <= most:
        raise ConfigError(f"{name}={text[:40]!r}: expected a whole number from 1 to {most}")
    return int(text)


def _memory(env: Mapping[str, str], name: str) -> int | None:
    text = env.get(name)
    if not text:
        return None
    match = _MEMORY.fullmatch(text)
    mebibytes = int(match[1]) * (1024 if match[2] == "GiB" else 1) if match else 0
    if mebibytes < _LEAST_MEMORY_MIB:
        raise ConfigError(
            f"{name}={text[:40]!r}: expected a size such as 512MiB or 2GiB, 64MiB at least"
        )
    return mebibytes * 1024**2
