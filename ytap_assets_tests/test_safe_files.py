"""What lies below a folder is opened if it is a file; anything else is refused by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ytap_assets.errors import FileRefusedError
from ytap_assets.safe_files import open_below, open_folder, read_below, write_below


def test_a_file_is_read_with_its_date(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"text")
    os.utime(tmp_path / "a" / "b", (10, 10))
    found = read_below(tmp_path, "a/b", max_bytes=4)
    assert found is not None
    assert (found.content, found.modified_at.timestamp()) == (b"text", 10)


@pytest.mark.parametrize("name", ["none", "none/b", "a/none"])
def test_what_is_not_there_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    assert read_below(tmp_path, name, max_bytes=4) is None
    assert read_below(tmp_path / "none", name, max_bytes=4) is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("link", "link is a symbolic link"),
        ("broken", "broken is a symbolic link"),
        ("up/b", "up is a symbolic link"),
        ("a/inside", "a/inside is a symbolic link"),
        ("a", "a is a folder, not a file"),
        ("pipe", "pipe is a pipe, not a file"),
        ("file/b", "file is a file, not a folder"),
        ("large", "large is larger than 4 bytes"),
        ("a/../file", "is not a path inside the folder"),
        ("/etc/hostname", "is not a path inside the folder"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, name: str, reason: str) -> None:
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (tmp_path / "b").write_bytes(b"b")
    (folder / "file").write_bytes(b"b")
    (folder / "large").write_bytes(b"12345")
    (folder / "link").symlink_to(tmp_path / "b")
    (folder / "broken").symlink_to(tmp_path / "nowhere")
    (folder / "up").symlink_to(tmp_path)
    (folder / "a" / "inside").symlink_to(folder / "file")
    os.mkfifo(folder / "pipe")
    with pytest.raises(FileRefusedError, match=reason):
        read_below(folder, name, max_bytes=4)


def test_a_file_exchanged_for_a_link_while_it_is_open_stays_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"mine")
    (tmp_path / "other").write_bytes(b"other")
    with open_folder(tmp_path) as folder, open_below(folder, "a") as file:
        (tmp_path / "a").unlink()
        (tmp_path / "a").symlink_to(tmp_path / "other")
        assert file.read() == b"mine"


def next_descriptor() -> int:
    """The lowest free one."""
    descriptor = os.dup(0)
    os.close(descriptor)
    return descriptor


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to(tmp_path)
    before = next_descriptor()
    (tmp_path / "file").write_bytes(b"text")
    for name in ("a", "link", "link/b", "a/../b", "file/b"):
        with pytest.raises(FileRefusedError):
            read_below(tmp_path, name, max_bytes=4)
    for name in ("a/none", "file"):
        read_below(tmp_path, name, max_bytes=4)
    assert next_descriptor() == before


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(b"theirs")
    (tmp_path / "name").symlink_to(tmp_path / "elsewhere")
    (tmp_path / f".name.{os.getpid()}.part").symlink_to(tmp_path / "elsewhere")
    assert write_below(tmp_path, "name", b"ours").read_bytes() == b"ours"
    assert (tmp_path / "elsewhere").read_bytes() == b"theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "name"]
