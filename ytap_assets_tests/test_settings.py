"""The installation's settings, from the environment."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ytap_assets.errors import ConfigError
from ytap_assets.settings import Settings, parse_database


@pytest.mark.parametrize("text", ["0", "-1", "36501", "1e3", "9" * 5000, "٣", "ten"])
def test_snapshots_are_kept_for_a_number_of_days_that_can_be(text: str) -> None:
    with pytest.raises(ConfigError, match=r"YTAP_SNAPSHOT_DAYS=.*from 1 to 36500"):
        Settings.from_env({"YTAP_SNAPSHOT_DAYS": text})


@pytest.mark.parametrize(("text", "days"), [("", 30), ("1", 1), ("36500", 36_500)])
def test_snapshots_are_kept_for_thirty_days_by_default(text: str, days: int) -> None:
    assert Settings.from_env({"YTAP_SNAPSHOT_DAYS": text}).snapshot_days == days


@pytest.mark.parametrize("text", ["0", "25", "0.5", "-6", "six"])
def test_a_day_is_collected_every_one_to_twenty_four_hours(text: str) -> None:
    with pytest.raises(ConfigError, match=r"YTAP_EVERY_HOURS=.*from 1 to 24"):
        Settings.from_env({"YTAP_EVERY_HOURS": text})


def test_a_day_is_collected_every_six_hours_by_default() -> None:
    assert Settings.from_env({}).every_hours == 6
    assert Settings.from_env({"YTAP_EVERY_HOURS": "1"}).every_hours == 1


@pytest.mark.parametrize("name", ["YTAP_DATA", "YTAP_CATALOG", "YTAP_DATA_PATH"])
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("/srv/a\nb", "control character"),
        ("/srv/\udcff", "not UTF-8"),
        ("/srv/" + "é" * 101, "too long"),
        ("/srv" + "/long" * 700, "too long"),
    ],
)
def test_a_path_that_cannot_be_one_is_refused(name: str, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}=.*{why}") as caught:
        Settings.from_env({name: text})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["YTAP_DATA", "YTAP_DATA_PATH"])
@pytest.mark.parametrize("sign", ["*", "?", "[", "]"])
def test_a_folder_that_reads_as_a_pattern_is_refused(name: str, sign: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}=.*choose a folder without such characters"):
        Settings.from_env({name: f"/srv/l{sign}ke"})


def test_a_data_folder_that_reads_as_an_escape_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^YTAP_DATA=.*contains %41"):
        Settings.from_env({"YTAP_DATA": "/srv/a%41b"})


@pytest.mark.parametrize("text", ["/srv/it's 100%; a läke #1", '/srv/a"b\\c$d{e}', "/srv/漢:=&,"])
def test_other_odd_paths_are_taken_as_they_are(text: str) -> None:
    names = ("YTAP_DATA", "YTAP_CATALOG", "YTAP_DATA_PATH")
    found = Settings.from_env(dict.fromkeys(names, text))
    assert (found.data, found.catalog, found.data_path) == (Path(text),) * 3
    lake = Settings.from_env({"YTAP_CATALOG": "/srv/%41?", "YTAP_DATA_PATH": "/srv/%41"})
    assert (lake.catalog, lake.data_path) == (Path("/srv/%41?"), Path("/srv/%41"))


@pytest.mark.parametrize("text", ["0", "-1", "86401", "1.5", "9" * 5000, "\u0663", "ten", "5m"])
def test_statements_run_for_a_number_of_seconds_that_can_be(text: str) -> None:
    with pytest.raises(ConfigError, match=r"YTAP_SQL_SECONDS=.*from 1 to 86400"):
        Settings.from_env({"YTAP_SQL_SECONDS": text})


@pytest.mark.parametrize(("text", "seconds"), [("", 300), ("1", 1), ("86400", 86_400)])
def test_statements_run_for_five_minutes_by_default(text: str, seconds: int) -> None:
    assert Settings.from_env({"YTAP_SQL_SECONDS": text}).sql_seconds == seconds


@pytest.mark.parametrize(
    "text", ["0", "2", "63MiB", "0GiB", "-1GiB", "2GB", "1.5GiB", "2gib", "\u0662GiB", "9" * 5000]
)
def test_statements_take_a_size_of_memory_that_can_be(text: str) -> None:
    with pytest.raises(ConfigError, match=r"YTAP_SQL_MEMORY=.*such as 512MiB or 2GiB"):
        Settings.from_env({"YTAP_SQL_MEMORY": text})


@pytest.mark.parametrize(
    ("text", "size"), [("", None), ("64MiB", 64 * 1024**2), ("3 GiB", 3 * 1024**3)]
)
def test_statements_take_what_the_machine_gives_by_default(text: str, size: int | None) -> None:
    assert Settings.from_env({"YTAP_SQL_MEMORY": text}).sql_memory == size


def test_a_data_folder_remembers_how_it_collects(tmp_path: Path) -> None:
    env = {"YTAP_DATA": str(tmp_path)}
    assert Settings.from_env(env).transport == "live"
    first = Settings.from_env(env | {"YTAP_TRANSPORT": "replay"})
    assert first.remembered is None
    first.remember_transport()

    again = Settings.from_env(env)
    other = Settings.from_env(env | {"YTAP_TRANSPORT": "live"})
    other.remember_transport()

    assert (again.transport, again.remembered) == ("replay", "replay")
    assert (other.transport, other.remembered) == ("live", "replay")
    assert "has replay" in other.describe_transport()
    assert Settings.from_env(env).transport == "replay"
    assert [path.name for path in again.state.iterdir()] == ["transport"]


@pytest.mark.parametrize("text", ["", "telex\n", "\udcff", "live replay", "record\n"], ids=ascii)
def test_a_remembered_transport_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    settings = Settings.from_env({"YTAP_DATA": str(tmp_path)})
    settings.state.mkdir()
    settings.transport_file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ConfigError, match=r"state/transport=.*expected one of live, replay"):
        Settings.from_env({"YTAP_DATA": str(tmp_path)})


@pytest.mark.parametrize(
    ("put", "found"),
    [
        (Path.mkdir, "a folder, not a file"),
        (os.mkfifo, "a pipe, not a file"),
        (lambda path: path.symlink_to("other"), "a symbolic link"),
        (lambda path: path.write_text("live" + " " * 1000), "larger than"),
    ],
    ids=["folder", "pipe", "link", "large"],
)
def test_what_is_in_place_of_the_remembered_transport_is_named(
    tmp_path: Path, put: Callable[[Path], object], found: str
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    put(state / "transport")
    with pytest.raises(ConfigError, match=f"{state}: transport is {found}.* live or replay"):
        Settings.from_env({"YTAP_DATA": str(tmp_path)})
    shutil.rmtree(state)
    state.touch()
    assert Settings.from_env({"YTAP_DATA": str(tmp_path)}).remembered is None


def test_a_catalog_may_be_a_database(tmp_path: Path) -> None:
    url = "postgresql://ytap@db.example:5433/lakes?sslmode=verify-full&schema=night"
    settings = Settings.from_env({"YTAP_DATA": str(tmp_path), "YTAP_CATALOG": url})
    assert settings.database is not None
    assert dict(settings.database.parameters) == {
        "host": "db.example",
        "port": "5433",
        "user": "ytap",
        "dbname": "lakes",
        "sslmode": "verify-full",
    }
    assert settings.database.schema == "night"
    assert settings.catalog_name == url
    assert settings.lake_variables == ("YTAP_CATALOG",)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///lakes",
        "postgres://a%40b@[::1]/a%20b%3F%25",
        "postgresql://?service=lake",
        "postgresql://h/d",
    ],
)
def test_the_name_of_a_database_is_read_again_as_the_same(url: str) -> None:
    database = parse_database(url, "url")
    assert parse_database(str(database), "url") == database


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ytap:swordfish@db.example/lakes",
        "postgresql://ytap:@db.example/lakes",
        "postgresql://db.example/lakes?password=swordfish",
        "postgresql://db.example/lakes?sslpassword=swordfish",
        "postgresql://swordfish@[::1/lakes",
    ],
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Settings.from_env({"YTAP_CATALOG": url})
    assert "swordfish" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("postgresql://db.example", "names no database"),
        ("postgresql://db.example:port/lakes", "not a URL"),
        ("postgresql://db.example/lakes?sslmod=require", "sslmode"),
        ("postgresql://db.example/lakes?schema=a&schema=b", "each once"),
        ("postgresql://db.example/lakes?schema=Night", "schema='Night'"),
        ("postgresql://db.example/lakes?schema=pg_catalog", "schema='pg_catalog'"),
        ("postgresql://db.example/la%00kes", "control character"),
        ("mysql://db.example/lakes", "postgresql://USER@HOST/DATABASE"),
    ],
)
def test_a_url_of_no_database_is_refused(url: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        Settings.from_env({"YTAP_CATALOG": url})


def test_the_files_may_be_in_s3(tmp_path: Path) -> None:
    env = {"YTAP_DATA": str(tmp_path), "YTAP_DATA_PATH": "s3://my.bucket/lake/one/?region=eu-1"}
    settings = Settings.from_env(env)
    assert settings.bucket is not None
    assert (settings.bucket.name, settings.bucket.prefix) == ("my.bucket", "lake/one")
    assert settings.files_name == "s3://my.bucket/lake/one?region=eu-1"
    assert settings.lake_variables == ("YTAP_DATA_PATH",)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/",
        "s3://key:swordfish@bucket/lake",
        "s3://bucket/lake?secret=swordfish",
        "s3://bucket/a/../b",
        "s3://bucket/a//b",
        "s3://bucket/a*b",
        "s3://bucket/.hidden",
        "s3://bucket/lake?region=a&region=b",
        "s3://bucket/lake?endpoint=http://user:swordfish@host",
        "s3://bucket/lake?region=swordfish'",
        "S3://bucket/lake",
        "gs://bucket/lake",
    ],
)
def test_a_url_of_no_place_in_s3_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="YTAP_DATA_PATH") as refused:
        Settings.from_env({"YTAP_DATA_PATH": url})
    assert "swordfish@" not in str(refused.value)
    assert "=swordfish" not in str(refused.value)
