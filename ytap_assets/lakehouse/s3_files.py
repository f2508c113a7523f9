"""The files of a lake below a prefix in S3, or in a server that speaks its protocol.

DuckDB reads and writes them with its own extension; listing, copying and deleting is done with
PyArrow's file system. Both find keys by the usual chain of providers: the environment, a profile,
the machine's role.

Needs DuckDB's extensions of the extra `cluster`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from pyarrow import NativeFile, fs

from ytap_assets.lakehouse.catalog import quote
from ytap_assets.lakehouse.errors import FilesUnreachableError
from ytap_assets.lakehouse.files import (
    MARK,
    MARK_BYTES,
    Copied,
    Files,
    FileState,
    Source,
    Staged,
    damaged,
    describe,
    find_unsafe_name,
    pump,
)
from ytap_assets.s3 import BucketMissingError, connect, require_bucket
from ytap_assets.settings import Bucket

_MOST_REQUESTS = 16


class S3Files(Files):
    """A prefix in a bucket."""

    extensions = ("httpfs", "aws")

    def __init__(self, bucket: Bucket) -> None:
        """Take the place; nothing is connected yet."""
        self._bucket = bucket
        self._place = f"{bucket.name}/{bucket.prefix}"

    def __str__(self) -> str:
        return str(self._bucket)

    @property
    def root(self) -> str:
        """See `Files.root`."""
        return f"s3://{self._place}/"

    @cached_property
    def _system(self) -> fs.S3FileSystem:
        return connect(self._bucket)

    def prepare(self, lake: str = "lake") -> str:
        """See `Files.prepare`. The secret is one of the connection, and never stored."""
        options = {"SCOPE": self.root}
        if self._bucket.region:
            options["REGION"] = self._bucket.region
        if self._bucket.endpoint:
            scheme, _, host = self._bucket.endpoint.rpartition("://")
            options |= {"ENDPOINT": host, "URL_STYLE": "path"}
            options["USE_SSL"] = "true" if scheme == "https" else "false"
        given = "".join(f", {name} {quote(value)}" for name, value in options.items())
        return f"CREATE SECRET {lake}_files (TYPE s3, PROVIDER credential_chain{given})"

    def create(self) -> None:
        """See `Files.create`. The bucket has to be there; a prefix needs nothing."""
        path = f"{self._place}/.try-{uuid4().hex}"
        with self.translate():
            require_bucket(self._system, self._bucket)
            with self._system.open_output_stream(path) as stream:
                stream.write(b"")
            self._system.delete_file(path)

    def list_parquet(self) -> dict[str, FileState]:
        """See `Files.list_parquet`. A name that no lake's file can have is nobody's here."""
        selector = fs.FileSelector(self._place, recursive=True, allow_not_found=True)
        with self.translate():
            found = self._system.get_file_info(selector)
        states = {
            one.path.removeprefix(f"{self._place}/"): FileState(one.size, one.mtime.timestamp())
            for one in found
            if one.type == fs.FileType.File
        }
        return {
            name: state
            for name, state in states.items()
            if not name.startswith(".") and find_unsafe_name(name) is None
        }

    def describe_absence(self, name: str) -> str:  # noqa: ARG002
        """See `Files.describe_absence`."""
        return "missing"

    def delete(self, names: Iterable[str]) -> None:
        """See `Files.delete`."""

        def delete_one(name: str) -> None:
            with self.translate(), suppress(FileNotFoundError):
                self._system.delete_file(self._path(name))

        _for_each(names, delete_one)

    def remove_empty_folders(self) -> None:
        """See `Files.remove_empty_folders`. There are none."""

    def describe(self, name: str) -> Copied:
        """See `Files.describe`."""
        with self.read(name) as here:
            return pump(here)

    @contextmanager
    def read(self, name: str) -> Iterator[Source]:
        """See `Files.read`."""
        with self.translate():
            stream = self._system.open_input_stream(self._path(name))
        with closing(stream):
            yield _Stream(self, stream)

    def fetch(self, name: str, target: Path) -> Copied:
        """See `Files.fetch`."""
        with self.read(name) as here, target.open("xb") as there:
            copied = pump(here, there)
            there.flush()
            os.fsync(there.fileno())
            return copied

    def receive(self, name: str, source: Files) -> Copied:
        """See `Files.receive`. Nothing is written to a disk of this machine."""
        with source.read(name) as here:
            return self._write(name, here)

    def is_same(self, name: str, file: Path) -> bool:  # noqa: ARG002
        """See `Files.is_same`. No file of a machine is one of S3."""
        return False

    def free_bytes(self) -> None:
        """See `Files.free_bytes`."""

    def check_ways(self, names: Iterable[str]) -> None:
        """See `Files.check_ways`. There are no links and folders."""

    def stage(self, sources: Mapping[str, tuple[Path, Copied]]) -> Staged:
        """See `Files.stage`. Only their checksums are compared: they are sent by `Staged.put`."""
        for source, expected in sources.values():
            if describe(source) != expected:
                raise damaged(source)
        return _Staged(self, sources)

    def put(self, source: Path, name: str) -> Copied:
        """Send a file of this machine; it is there when it is complete."""
        with source.open("rb") as here:
            return self._write(name, here)

    def _write(self, name: str, here: Source) -> Copied:
        with self.translate():
            stream = self._system.open_output_stream(self._path(name))
        try:
            return pump(here, _Stream(self, stream))
        finally:
            with self.translate():
                stream.close()

    def remove_staged(self) -> None:
        """See `Files.remove_staged`. There is nothing."""

    def beside(self, suffix: str) -> S3Files:
        """See `Files.beside`."""
        bucket = self._bucket
        return S3Files(Bucket(bucket.name, bucket.prefix + suffix, bucket.endpoint, bucket.region))

    def exists(self) -> bool:
        """See `Files.exists`."""
        return bool(self.list_parquet())

    def keep(self, names: Iterable[str], kept: Files) -> None:
        """See `Files.keep`. The server copies them."""

        def copy_one(name: str) -> None:
            with self.translate():
                self._system.copy_file(self._path(name), f"{kept.root}{name}".removeprefix("s3://"))

        _for_each(names, copy_one)

    def read_mark(self) -> str | None:
        """See `Files.read_mark`."""
        with self.translate():
            try:
                with self._system.open_input_stream(f"{self._place}/{MARK}") as stream:
                    return bytes(stream.read(MARK_BYTES)).decode("utf-8", "replace").strip()
            except FileNotFoundError:
                require_bucket(self._system, self._bucket)
                return None

    def write_mark(self, mark: str) -> None:
        """See `Files.write_mark`."""
        with (
            self.translate(),
            self._system.open_output_stream(f"{self._place}/{MARK}") as stream,
        ):
            stream.write(f"{mark}\n".encode())

    def remove_mark(self) -> None:
        """See `Files.remove_mark`."""
        with self.translate(), suppress(FileNotFoundError):
            self._system.delete_file(f"{self._place}/{MARK}")

    def remove(self) -> None:
        """See `Files.remove`."""
        with suppress(FilesUnreachableError):
            self.delete(self.list_parquet())

    def _path(self, name: str) -> str:
        if problem := find_unsafe_name(name):
            raise ValueError(f"the name {name[:200]!r} {problem}")
        return f"{self._place}/{name}"

    @contextmanager
    def translate(self) -> Iterator[None]:
        """Turn errors of the server into ours.

        Raises:
            FilesUnreachableError: The server cannot be reached, or refused a request.
        """
        try:
            yield
        except BucketMissingError as error:
            raise FilesUnreachableError(f"{self}: {error}") from None
        except FileNotFoundError:
            raise
        except OSError as error:
            message = " ".join(str(error).split())
            raise FilesUnreachableError(
                f"{self}: cannot be reached, or refused a request: {message}; check the server,"
                " YTAP_DATA_PATH and the key, and run the command again"
            ) from None


def _for_each(names: Iterable[str], work: Callable[[str], None]) -> None:
    """Send requests side by side: each mostly waits for the server."""
    with ThreadPoolExecutor(_MOST_REQUESTS) as pool:
        list(pool.map(work, names))


@dataclass(frozen=True)
class _Stream:
    """A file that is read or written, whose errors are ours; those of the other side stay."""

    files: S3Files
    stream: NativeFile

    def read(self, size: int, /) -> bytes:
        with self.files.translate():
            content: bytes = self.stream.read(size)
            return content

    def write(self, content: bytes, /) -> None:
        with self.files.translate():
            self.stream.write(content)


@dataclass(frozen=True)
class _Staged(Staged):
    files: S3Files
    sources: Mapping[str, tuple[Path, Copied]]

    def put(self, name: str) -> None:
        source, expected = self.sources[name]
        if self.files.put(source, name) != expected:
            raise damaged(source)
