"""The files of a lake: one interface for a folder and for a prefix in S3.

Belongs here: what differs between the kinds of places (`Files`), the place that is a folder, and
which names a lake's files have. Does not belong here: a prefix in S3 (`s3_files`), or which files a
catalog refers to (`catalog`).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar, Protocol
from uuid import uuid4

from ytap_assets.errors import FileRefusedError
from ytap_assets.lakehouse.errors import BackupError, DiskFullError, LakeError
from ytap_assets.safe_files import describe_kind, read_below, write_below

_LONGEST_NAME, _LONGEST_PART = 1024, 255
_OURS = re.compile(
    r"ducklake-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-delete)?\.parquet"
)
_PARTITION = re.compile(r"workspace_id=.*", re.DOTALL)
_STAGED = re.compile(r"\.restoring-[0-9a-f]{32}")
_CHUNK = 1 << 20
MARK = ".catalog"
"""The file that says which catalog has its files in a place; see `Lake.open`."""
MARK_BYTES = 200
COMMITS = "/.commits"
"""Behind a place: where files of commits are kept whose answer may be lost (`commit_files`)."""


@dataclass(frozen=True)
class Copied:
    """A file as it was copied.

    Attributes:
        size_bytes: Its size.
        sha256: Of its content, in hexadecimal digits.
    """

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class FileState:
    """A file that is there.

    Attributes:
        size_bytes: Its size.
        modified_at: When it was written, in seconds since 1970 in UTC.
    """

    size_bytes: int
    modified_at: float


class Source(Protocol):
    """What a file's content is read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, so many at most; none at the end."""


class Sink(Protocol):
    """What a file's content is written to."""

    def write(self, content: bytes, /) -> object:
        """Write all of it."""


class Files(ABC):
    """The files of a lake, by their names below a place. `str` is the place, for messages.

    Attributes:
        extensions: The extensions of DuckDB that read and write them.
    """

    extensions: ClassVar[tuple[str, ...]] = ()

    def prepare(self, lake: str = "lake") -> str | None:
        """The statement that a connection of DuckDB needs to reach them; it contains no key.

        Args:
            lake: The name under which the lake is attached.
        """
        del lake
        return None

    @property
    @abstractmethod
    def root(self) -> str:
        """The place, as DuckDB takes it; it ends with a slash."""

    @abstractmethod
    def create(self) -> None:
        """Create the place, where it has to be, and see that it can be written to.

        Raises:
            OSError: It cannot be created.
            FilesUnreachableError: The server refused it.
        """

    @abstractmethod
    def list_parquet(self) -> dict[str, FileState]:
        """The Parquet files there, by name; none of a name that begins with a dot."""

    @abstractmethod
    def describe_absence(self, name: str) -> str:
        """What is in the place of a file that `list_parquet` does not list."""

    @abstractmethod
    def delete(self, names: Iterable[str]) -> None:
        """Delete files, each of which may be gone."""

    @abstractmethod
    def remove_empty_folders(self) -> None:
        """Remove the folders of partitions without files; the caller holds the write lock.

        The name of such a folder contains the name of the workspace.
        """

    @abstractmethod
    def describe(self, name: str) -> Copied:
        """A file's size and checksum; reads the whole file."""

    @abstractmethod
    def read(self, name: str) -> AbstractContextManager[Source]:
        """A file's content, from its beginning."""

    @abstractmethod
    def fetch(self, name: str, target: Path) -> Copied:
        """Copy a file to a new one of this machine, and describe what was read."""

    @abstractmethod
    def receive(self, name: str, source: Files) -> Copied:
        """Copy a file of another place here, under the same name, and describe what was read.

        If the source fails, an incomplete file may be left.
        """

    @abstractmethod
    def is_same(self, name: str, file: Path) -> bool:
        """Whether a file of this machine is another name of the same file."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """The space that is left in the place, which was created; None if there is no limit."""

    @abstractmethod
    def check_ways(self, names: Iterable[str]) -> None:
        """See that files can be written by these names, and nowhere else.

        Raises:
            BackupError: Something is in the way.
        """

    @abstractmethod
    def stage(self, sources: Mapping[str, tuple[Path, Copied]]) -> Staged:
        """Prepare files of this machine to be put there, each compared with its checksum.

        Args:
            sources: The files, with the expected sizes and checksums, by the names they will have.

        Raises:
            BackupError: A file differs from what is expected.
            DiskFullError: There is no space for them.
        """

    @abstractmethod
    def remove_staged(self) -> None:
        """Remove what `stage` made, also what a process left that was killed."""

    @abstractmethod
    def beside(self, suffix: str) -> Files:
        """The place with a suffix behind its name; one within it if that begins with a slash."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything is there."""

    @abstractmethod
    def keep(self, names: Iterable[str], kept: Files) -> None:
        """Copy files to another place, under the same names, in place of files there."""

    @abstractmethod
    def read_mark(self) -> str | None:
        """The mark of the catalog that has its files here; None if there is none.

        Raises:
            LakeError: The file is none that was written here.
        """

    @abstractmethod
    def write_mark(self, mark: str) -> None:
        """Say which catalog has its files here."""

    @abstractmethod
    def remove_mark(self) -> None:
        """Let the next catalog that is opened have its files here."""

    @abstractmethod
    def remove(self) -> None:
        """Remove the whole place; only for one that was made by `keep`."""

    def find_name(self, path: str) -> str | None:
        """The name of a file whose path DuckDB gives; None if it is not below the place."""
        name = path.removeprefix(self.root)
        return None if name == path or find_unsafe_name(name) else name


class Staged(ABC):
    """Files that are ready to be put into their places."""

    @abstractmethod
    def put(self, name: str) -> None:
        """Put one there, in place of a file of that name."""


class LocalFiles(Files):
    """A folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, which need not exist."""
        self.folder = folder

    def __str__(self) -> str:
        return str(self.folder)

    @property
    def root(self) -> str:
        """See `Files.root`."""
        return f"{self.folder}/"

    def create(self) -> None:
        """See `Files.create`."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def list_parquet(self) -> dict[str, FileState]:
        """See `Files.list_parquet`. Only regular files; links are not followed."""
        found = {}
        for folder, folders, names in os.walk(self.folder):
            if Path(folder) == self.folder:
                folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                path = Path(folder, name)
                if name.endswith(".parquet") and stat.S_ISREG((state := path.lstat()).st_mode):
                    place = path.relative_to(self.folder).as_posix()
                    found[place] = FileState(state.st_size, state.st_mtime)
        return found

    def describe_absence(self, name: str) -> str:
        """See `Files.describe_absence`."""
        try:
            return describe_kind((self.folder / name).lstat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return "missing"

    def delete(self, names: Iterable[str]) -> None:
        """See `Files.delete`."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def remove_empty_folders(self) -> None:
        """See `Files.remove_empty_folders`."""
        for folder, folders, names in os.walk(self.folder):
            if _PARTITION.fullmatch(Path(folder).name) and not (folders or names):
                Path(folder).rmdir()

    def describe(self, name: str) -> Copied:
        """See `Files.describe`."""
        return describe(self.folder / name)

    def read(self, name: str) -> AbstractContextManager[Source]:
        """See `Files.read`."""
        return _read_regular(self.folder / name)

    def fetch(self, name: str, target: Path) -> Copied:
        """See `Files.fetch`."""
        return copy_bytes(self.folder / name, target)

    def receive(self, name: str, source: Files) -> Copied:
        """See `Files.receive`. The file gets its name when it is complete."""
        staging = self.folder / f".restoring-{uuid4().hex}"
        staging.mkdir(parents=True)
        try:
            copied = source.fetch(name, staging / "part")
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (staging / "part").replace(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return copied

    def is_same(self, name: str, file: Path) -> bool:
        """See `Files.is_same`."""
        return file.samefile(self.folder / name)

    def free_bytes(self) -> int:
        """See `Files.free_bytes`."""
        return shutil.disk_usage(self.folder).free

    def check_ways(self, names: Iterable[str]) -> None:
        """See `Files.check_ways`.

        No link may lead out of the folder, and no folder may be in the place of a file. Pipes and
        devices in such a place are replaced: they hold nothing of the lake.
        """
        wanted = set(names)
        for way in sorted({way for name in wanted for way in (name, *list_parents(name))}):
            place = self.folder / way
            if place.is_symlink():
                raise BackupError(
                    f"{place} is a symbolic link, which is not followed; remove it first"
                )
            if place.exists() and place.is_dir() == (way in wanted):
                kinds = ("folder", "file") if way in wanted else ("file", "folder")
                raise BackupError(
                    f"{place} is a {kinds[0]}, and a {kinds[1]} has to be put there; move it away"
                    " first"
                )

    def stage(self, sources: Mapping[str, tuple[Path, Copied]]) -> Staged:
        """See `Files.stage`. They are copied into a folder on the same disk."""
        staging = self.folder / f".restoring-{uuid4().hex}"
        staging.mkdir(parents=True)
        needed = sum(expected.size_bytes for _, expected in sources.values())
        if (free := shutil.disk_usage(staging).free) < needed:
            raise DiskFullError(
                f"{self}: {needed:,} bytes are needed and {free:,} are free; nothing was restored,"
                " and the lake is unchanged; free some space and run the command again"
            )
        for name, (source, expected) in sources.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if copy_bytes(source, target) != expected:
                raise damaged(source)
        return _StagedFolder(staging, self.folder)

    def remove_staged(self) -> None:
        """See `Files.remove_staged`."""
        for path in self.folder.glob(".restoring-*"):
            if _STAGED.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)

    def beside(self, suffix: str) -> LocalFiles:
        """See `Files.beside`."""
        return LocalFiles(Path(f"{self.folder}{suffix}"))

    def exists(self) -> bool:
        """See `Files.exists`."""
        return os.path.lexists(self.folder)

    def keep(self, names: Iterable[str], kept: Files) -> None:
        """See `Files.keep`. A link is sufficient: files are replaced or removed, never changed."""
        for name in names:
            target = Path(kept.root, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not link(self.folder / name, target):  # also where there is such a file
                part = target.with_name(f".{target.name}.part")
                part.unlink(missing_ok=True)
                copy_bytes(self.folder / name, part)
                part.replace(target)

    def read_mark(self) -> str | None:
        """See `Files.read_mark`."""
        try:
            found = read_below(self.folder, MARK, max_bytes=MARK_BYTES)
        except FileRefusedError as error:
            raise LakeError(
                f"{self.folder}: {error}, and not the mark of a catalog; remove it"
            ) from None
        return None if found is None else found.content.decode("utf-8", "replace").strip()

    def write_mark(self, mark: str) -> None:
        """See `Files.write_mark`."""
        write_below(self.folder, MARK, f"{mark}\n".encode())

    def remove_mark(self) -> None:
        """See `Files.remove_mark`."""
        (self.folder / MARK).unlink(missing_ok=True)

    def remove(self) -> None:
        """See `Files.remove`."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class _StagedFolder(Staged):
    staging: Path
    folder: Path

    def put(self, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (self.staging / name).replace(target)


def damaged(file: Path) -> BackupError:
    """The error for a file of a copy whose content is not what was copied."""
    return BackupError(
        f"{file}: damaged: its checksum differs from the manifest; use another backup"
    )


def link(source: Path, target: Path) -> bool:
    """Give a file a second name; False if the file systems cannot."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links, or too many of them
        return False
    return True


def copy_bytes(source: Path, target: Path) -> Copied:
    """Copy a regular file to a new name, onto the disk itself, and describe what was read."""
    with _read_regular(source) as here, target.open("xb") as there:
        copied = pump(here, there)
        there.flush()
        os.fsync(there.fileno())
        return copied


@contextmanager
def _read_regular(file: Path) -> Iterator[Source]:
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BackupError(f"{file}: not a regular file")
        yield stream


def pump(here: Source, there: Sink | None = None) -> Copied:
    """Read to the end, copy what is read where it is to be copied, and describe it."""
    digest, size = hashlib.sha256(), 0
    while chunk := here.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if there is not None:
            there.write(chunk)
    return Copied(size, digest.hexdigest())


def describe(file: Path) -> Copied:
    """A file's size and checksum; reads the whole file."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return Copied(stream.tell(), digest)


def find_unsafe_name(name: str) -> str | None:
    """Why a name below the data path is none that a lake's Parquet file has; None if it is.

    Whoever writes files by such names writes nowhere but below the folder that he means to.
    """
    parts = name.split("/")
    if not name.endswith(".parquet"):
        return "does not end in .parquet"
    if name.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return "is absolute or is outside the folder"
    if any(sign == "\\" or unicodedata.category(sign) in {"Cc", "Cs"} for sign in name):
        return "contains a backslash or a control character"
    if len(name) > _LONGEST_NAME or any(len(part.encode()) > _LONGEST_PART for part in parts):
        return "is too long"
    return None


def list_parents(name: str) -> list[str]:
    """The folders above a name, below the data path."""
    parts = name.split("/")
    return ["/".join(parts[:end]) for end in range(1, len(parts))]


def is_made_by_lake(name: str) -> bool:
    """Whether a file's name is one that DuckLake gives."""
    return _OURS.fullmatch(PurePosixPath(name).name) is not None


def is_below(name: str, folders: frozenset[str]) -> bool:
    """Whether a file is below one of the folders, by their names."""
    return any(str(parent) in folders for parent in PurePosixPath(name).parents)
