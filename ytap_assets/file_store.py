"""The place of reports and models: a folder, or a prefix in S3.

Files are small, written as a whole, and found by names such as `reports/tech/2026-11-20.html`.
Belongs here: reading and writing them by name. Does not belong here: which names there are, the
Parquet files of a lake (`lakehouse.files`), or what has to be a folder of a machine, such as
backups.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from ytap_assets.errors import FileRefusedError
from ytap_assets.safe_files import read_below, write_below
from ytap_assets.settings import Bucket, Settings

if TYPE_CHECKING:
    from pyarrow import fs


class FileStore(ABC):
    """Files by name; the parts of a name are separated by slashes."""

    @abstractmethod
    def locate(self, name: str) -> Path | str:
        """Where a file is, for people: a path or a URL."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is such a file.

        Raises:
            FileRefusedError: The server cannot be asked, or there is no such bucket.
        """

    @abstractmethod
    def list_names(self, folder: str) -> list[str]:
        """The names of the files in a folder, without the folder, in order.

        Raises:
            FileRefusedError: The server cannot be asked.
        """

    @abstractmethod
    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        """The content of a file; None if there is none.

        Raises:
            FileRefusedError: It cannot be read, or is larger.
        """

    @abstractmethod
    def write(self, name: str, content: bytes) -> None:
        """Write a file; a reader sees it as it was, or the whole new one.

        Raises:
            OSError: It cannot be written; what was there stays.
            FileRefusedError: The server cannot be reached, or refused it.
        """

    @abstractmethod
    def delete_folder(self, folder: str) -> int:
        """Delete a folder's files, of which there may be none; folders in it are left.

        Returns:
            How many files were deleted.

        Raises:
            OSError: A file cannot be deleted.
            FileRefusedError: The server cannot be reached, or refused it.
        """


def find_store(settings: Settings) -> FileStore:
    """The place that the settings name."""
    if settings.store_bucket is None:
        return _Folder(settings.store)
    return _Prefix(settings.store_bucket)


class _Folder(FileStore):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def locate(self, name: str) -> Path:
        return self._folder / name

    def exists(self, name: str) -> bool:
        return (self._folder / name).is_file()

    def list_names(self, folder: str) -> list[str]:
        place = self._folder / folder
        if not place.is_dir():
            return []
        return sorted(path.name for path in place.iterdir() if path.is_file())

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        path = self._folder / name
        found = read_below(path.parent, path.name, max_bytes=max_bytes)
        return None if found is None else found.content

    def write(self, name: str, content: bytes) -> None:
        path = self._folder / name
        write_below(path.parent, path.name, content)

    def delete_folder(self, folder: str) -> int:
        names = self.list_names(folder)
        place = self._folder / folder
        for name in names:
            (place / name).unlink(missing_ok=True)
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
        return len(names)


class _Prefix(FileStore):
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    @cached_property
    def _system(self) -> fs.S3FileSystem:
        # PyArrow's file system takes a while to be imported.
        from ytap_assets.s3 import connect  # noqa: PLC0415

        return connect(self._bucket)

    def _path(self, name: str) -> str:
        return f"{self._bucket.name}/{self._bucket.prefix}/{name}"

    def locate(self, name: str) -> str:
        return f"s3://{self._path(name)}"

    def exists(self, name: str) -> bool:
        from ytap_assets.s3 import require_bucket  # noqa: PLC0415

        with self._translate(name):
            is_there = bool(self._system.get_file_info(self._path(name)).is_file)
            if not is_there:
                require_bucket(self._system, self._bucket)
            return is_there

    def list_names(self, folder: str) -> list[str]:
        from pyarrow import fs  # noqa: PLC0415

        with self._translate(folder):
            found = self._system.get_file_info(
                fs.FileSelector(self._path(folder), allow_not_found=True)
            )
        return sorted(one.base_name for one in found if one.is_file)

    def read(self, name: str, *, max_bytes: int) -> bytes | None:
        with self._translate(name):
            try:
                with self._system.open_input_file(self._path(name)) as file:
                    if file.size() > max_bytes:
                        raise FileRefusedError(f"{name} is larger than {max_bytes:,} bytes")
                    return bytes(file.read())
            except FileNotFoundError:
                return None

    def write(self, name: str, content: bytes) -> None:
        # PyArrow completes an object also where its writing is interrupted, so it gets another name
        # first. The server copies it as a whole.
        part = f"{name}.{uuid4().hex}.part"
        with self._translate(name):
            try:
                with self._system.open_output_stream(self._path(part)) as file:
                    file.write(content)
                self._system.copy_file(self._path(part), self._path(name))
            finally:
                with suppress(FileNotFoundError):
                    self._system.delete_file(self._path(part))

    def delete_folder(self, folder: str) -> int:
        names = self.list_names(folder)
        with self._translate(folder):
            for name in names:
                with suppress(FileNotFoundError):
                    self._system.delete_file(self._path(f"{folder}/{name}"))
        return len(names)

    @contextmanager
    def _translate(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = " ".join(str(error).split())
            raise FileRefusedError(
                f"{self.locate(name)}: the server cannot be reached, or refused a request:"
                f" {message}; check the server, YTAP_FILES and the key"
            ) from None
