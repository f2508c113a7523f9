from __future__ import annotations

import os
from itertools import count
from pathlib import Path

import pytest

from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.file_store import FileStore, find_store
from ytap_assets.reports.files import list_reports, name_report
from ytap_assets.settings import Settings
from ytap_assets_tests.domain.reporting.examples import MONDAY

NAME = "reports/tech/2026-11-16.html"
_numbers = count(1)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """An empty place of each kind."""
    if request.param == "folder":
        return find_store(Settings.from_env({"YTAP_FILES": str(tmp_path / "files")}))
    place, _, query = request.getfixturevalue("bucket").partition("?")
    url = f"{place}/store-{os.getpid()}-{next(_numbers)}?{query}"
    return find_store(Settings.from_env({"YTAP_FILES": url}))


def test_a_file_is_written_replaced_read_and_listed(store: FileStore) -> None:
    assert (store.exists(NAME), store.read(NAME, max_bytes=9)) == (False, None)
    assert store.list_names("reports/tech") == []
    for content in (b"old", "new: é 👍".encode()):
        store.write(NAME, content)
        assert store.read(NAME, max_bytes=99) == content
    store.write("reports/tech/index.html", b"")
    assert store.exists(NAME)
    assert not store.exists("reports/tech")
    assert store.list_names("reports/tech") == ["2026-11-16.html", "index.html"]
    assert store.list_names("reports") == []
    assert list_reports(store, "tech") == [MONDAY]
    assert str(store.locate(name_report("tech", MONDAY))).endswith(f"/{NAME}")


def test_the_files_of_a_folder_are_deleted_and_no_others(store: FileStore) -> None:
    others = ("reports/index.html", "reports/tech2/2026-11-16.html", "reports/tech/more/deep.html")
    for name in (NAME, "reports/tech/index.html", *others):
        store.write(name, b"page")
    assert store.delete_folder("reports/tech") == len([NAME, "index.html"])
    assert store.list_names("reports/tech") == []
    assert all(store.exists(name) for name in others)
    assert store.delete_folder("reports/nobody") == 0


def test_a_file_that_is_too_large_is_not_read(store: FileStore) -> None:
    store.write(NAME, b"four")
    with pytest.raises(FileRefusedError, match="larger than 3 bytes"):
        store.read(NAME, max_bytes=3)


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = find_store(Settings.from_env({"YTAP_DATA": str(tmp_path)}))
    store.write(NAME, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        store.write(NAME, b"new")
    assert store.read(NAME, max_bytes=9) == b"old"
    assert store.list_names("reports/tech") == ["2026-11-16.html"]


def test_a_server_that_is_not_there_is_named_and_the_variable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tests")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "swordfish")
    url = "s3://lakes/files?endpoint=http://127.0.0.1:9&region=us-east-1"
    store = find_store(Settings.from_env({"YTAP_FILES": url}))
    with pytest.raises(FileRefusedError, match=f"s3://lakes/files/{NAME}.*YTAP_FILES") as refused:
        store.write(NAME, b"")
    assert "swordfish" not in str(refused.value)


def test_a_bucket_that_does_not_exist_is_named(bucket: str) -> None:
    url = bucket.replace("/lakes", "/no-such-bucket", 1)
    with pytest.raises(FileRefusedError, match="'no-such-bucket' does not exist"):
        find_store(Settings.from_env({"YTAP_FILES": url})).exists(NAME)


def test_a_place_that_is_no_folder_and_no_bucket_is_refused() -> None:
    with pytest.raises(ConfigError, match="YTAP_FILES"):
        Settings.from_env({"YTAP_FILES": "gs://bucket/files"})
