"""The files of a lake below a prefix in S3, or in a server that speaks its protocol.

DuckDB reads and writes them with its own extension; listing, copying and deleting is done with
PyArrow's file system. Both find keys by the usual chain of providers: the environment, a profile,
the machine's role.

Needs DuckDB's extensions of the extra `cluster`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pyarrow import fs

from ytap_assets.lakehouse.catalog import quote
from ytap_assets.lakehouse.errors import FilesUnreachableError
from ytap_assets.lakehouse.files import (
    Copied,
    Files,
    FileState,
    Staged,
    damaged,
    describe,
    find_unsafe_name,
)
from ytap_assets.settings import Bucket

_CHUNK = 1 << 20
_CONNECT_S, _REQUEST_S = 10, 60
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
        scheme, _, host = (self._bucket.endpoint or "").rpartition("://")
        return fs.S3FileSystem(
            **({"endpoint_override": host, "scheme": scheme} if host else {}),
            **({"region": self._bucket.region} if self._bucket.region else {}),
            connect_timeout=_CONNECT_S,
            request_timeout=_REQUEST_S,
        )

    @property
    def preparation(self) -> str:
        """See `Files.preparation`. The secret is one of the connection, and never stored."""
        options = {"SCOPE": self.root}
        if self._bucket.region:
            options["REGION"] = self._bucket.region
        if self._bucket.endpoint:
            scheme, _, host = self._bucket.endpoint.rpartition("://")
            options |= {"ENDPOINT": host, "URL_STYLE": "path"}
            options["USE_SSL"] = "true" if scheme == "https" else "false"
        given = "".join(f", {name} {quote(value)}" for name, value in options.items())
        return f"CREATE SECRET lake_files (TYPE s3, PROVIDER credential_chain{given})"

    def create(self) -> None:
        """See `Files.create`. The bucket has to be there, and a prefix needs nothing."""

    def list_parquet(self) -> dict[str, FileState]:
        """See `Files.list_parquet`. A name that no lake's file can have is nobody's here."""
        selector = fs.FileSelector(self._place, recursive=True, allow_not_found=True)
        with self._translate():
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
            with self._translate(), suppress(FileNotFoundError):
                self._system.delete_file(self._path(name))

        _for_each(names, delete_one)

    def describe(self, name: str) -> Copied:
        """See `Files.describe`."""
        digest, size = hashlib.sha256(), 0
        with self._translate(), self._system.open_input_stream(self._path(name)) as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
        return Copied(size, digest.hexdigest())

    def fetch(self, name: str, target: Path) -> Copied:
        """See `Files.fetch`."""
        digest = hashlib.sha256()
        with target.open("xb") as there:
            with self._translate(), self._system.open_input_stream(self._path(name)) as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    there.write(chunk)
            there.flush()
            os.fsync(there.fileno())
            return Copied(there.tell(), digest.hexdigest())

    def is_same(self, name: str, file: Path) -> bool:  # noqa: ARG002
        """See `Files.is_same`. No file of a machine is one of S3."""
        return False

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
        digest = hashlib.sha256()
        with source.open("rb") as here:
            with self._translate(), self._system.open_output_stream(self._path(name)) as stream:
                while chunk := here.read(_CHUNK):
                    digest.update(chunk)
                    stream.write(chunk)
            return Copied(here.tell(), digest.hexdigest())

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
            with self._translate():
                self._system.copy_file(self._path(name), f"{kept.root}{name}".removeprefix("s3://"))

        _for_each(names, copy_one)

    def remove(self) -> None:
        """See `Files.remove`."""
        with suppress(FilesUnreachableError):
            self.delete(self.list_parquet())

    def _path(self, name: str) -> str:
        if problem := find_unsafe_name(name):
            raise ValueError(f"the name {name[:200]!r} {problem}")
        return f"{self._place}/{name}"

    @contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
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
class _Staged(Staged):
    files: S3Files
    sources: Mapping[str, tuple[Path, Copied]]

    def put(self, name: str) -> None:
        source, expected = self.sources[name]
        if self.files.put(source, name) != expected:
            raise damaged(source)
