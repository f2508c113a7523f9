"""Safe opening of files in folders that other programs write to.

Belongs here: opening regular files below a folder. Does not belong here: what they mean.

Below the folder, symbolic links are not followed, and only regular files are opened: a link could
lead into another workspace, and reading a pipe would block. Every part of the path is opened
relative to its parent, and the opened file itself is checked, so it cannot be exchanged between
check and read. The folder itself may be a link, made by the operator. A hard link cannot be
distinguished from a file, and is read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ytap_assets.errors import FileRefusedError

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = (
    (stat.S_ISLNK, "a symbolic link, which is not followed; replace it by the file"),
    (stat.S_ISDIR, "a folder, not a file"),
    (stat.S_ISFIFO, "a pipe, not a file"),
    (stat.S_ISREG, "a file, not a folder"),
)


@dataclass(frozen=True)
class Contents:
    """A file's content, and the time of its last change."""

    content: bytes
    modified_at: datetime


@contextmanager
def open_folder(path: Path) -> Iterator[int]:
    """Open a folder and yield its descriptor; the folder may be a link.

    Raises:
        FileNotFoundError: It does not exist.
        FileRefusedError: It cannot be opened; the message says why.
    """
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileRefusedError(f"{path.name} cannot be opened: {_say_why(error)}") from error
    try:
        yield folder
    finally:
        os.close(folder)


@contextmanager
def open_below(folder: int, name: str) -> Iterator[BinaryIO]:
    """Open a regular file below a folder for reading.

    Args:
        folder: The folder's descriptor.
        name: The file's path in it, with ``/`` between its parts and without ``.`` or ``..``.

    Raises:
        FileNotFoundError: There is none.
        FileRefusedError: It, or a folder on the path, is a link or not of the expected kind, or
            cannot be opened; the message names it.
    """
    with ExitStack() as opened:
        *parents, last = name.split("/")
        for depth, part in enumerate(parents, start=1):
            folder = _open(folder, part, os.O_DIRECTORY, "/".join(parents[:depth]))
            opened.callback(os.close, folder)
        found = _open(folder, last, 0, name)
        opened.callback(os.close, found)
        mode = os.fstat(found).st_mode
        if not stat.S_ISREG(mode):
            raise FileRefusedError(f"{name} is {describe_kind(mode)}")
        yield opened.enter_context(os.fdopen(found, "rb", closefd=False))


def _open(folder: int, part: str, flags: int, shown: str) -> int:
    if part in ("", ".", ".."):
        raise FileRefusedError(f"{shown} is not a path inside the folder")
    try:
        return os.open(part, _READ | flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileRefusedError(f"{shown} {_explain(folder, part, error)}") from error


def _explain(folder: int, part: str, error: OSError) -> str:
    """Why something cannot be opened; its kind is used only for the message."""
    try:
        mode = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
    except OSError:
        mode = 0
    if stat.S_ISLNK(mode) or isinstance(error, NotADirectoryError):
        return f"is {describe_kind(mode)}"
    return f"cannot be opened: {_say_why(error)}"


def _say_why(error: OSError) -> str:
    """The error, and what to do, if known."""
    advice = ": check its permissions" if isinstance(error, PermissionError) else ""
    return f"{error.strerror}{advice}"


def describe_kind(mode: int) -> str:
    """The kind of a mode, where a regular file is expected."""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "not a regular file")


def read_below(path: Path, name: str, *, max_bytes: int) -> Contents | None:
    """Read a file below a folder; None if it does not exist.

    Args:
        path: The folder.
        name: The file's path in it.
        max_bytes: The maximum size.

    Raises:
        FileRefusedError: It is refused (`open_below`), or is larger.
    """
    try:
        with open_folder(path) as folder, open_below(folder, name) as file:
            return read_open(file, name, max_bytes=max_bytes)
    except FileNotFoundError:
        return None


def read_open(file: BinaryIO, name: str, *, max_bytes: int) -> Contents:
    """Read an opened file.

    Raises:
        FileRefusedError: It cannot be read, or is larger.
    """
    try:
        facts = os.fstat(file.fileno())
        content = file.read(max_bytes + 1) if facts.st_size <= max_bytes else b""
    except OSError as error:
        raise FileRefusedError(f"{name} cannot be read: {error.strerror}") from error
    if max(len(content), facts.st_size) > max_bytes:
        raise FileRefusedError(f"{name} is larger than {max_bytes:,} bytes")
    return Contents(content, datetime.fromtimestamp(facts.st_mtime, UTC))


def write_below(path: Path, name: str, content: bytes) -> Path:
    """Write a file in a folder atomically: a reader sees the old or the new content.

    Neither a link of the file's name nor one of the temporary file's name is followed.

    Raises:
        OSError: The file cannot be written; its old content is kept.
    """
    path.mkdir(parents=True, exist_ok=True)
    # The name has the process id: two writers of a file must not share a partial file.
    partial = path / f".{name}.{os.getpid()}.part"
    partial.unlink(missing_ok=True)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(partial, flags, 0o666), "wb") as file:
            file.write(content)
        partial.replace(path / name)
    finally:
        partial.unlink(missing_ok=True)
    return path / name
