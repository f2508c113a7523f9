"""Export a workspace in open formats, and restore an export into a lake.

An export is a folder, or a ZIP file with the same content:

- ``tables/TABLE.parquet``: the workspace's rows of every table, as of one snapshot.
- ``workspace/...``: the files of the workspace's folder. Links and pipes are not followed.
- ``manifest.json``: written last; the number of rows of each table, and size and SHA-256 of each
  file.

An export may come from anywhere, so it is read as untrusted input: only files that the manifest
names are read, names stay inside the export, and nothing is written before everything is verified.

Belongs here: the format, and both directions. Does not belong here: deleting a workspace
(`workspace_life`), or copies of a whole lake (`lakehouse.copies`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, BinaryIO, Literal
from uuid import uuid4

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ulid import ULID

from ytap_assets.domain.ids import check_workspace_id
from ytap_assets.errors import ConfigError, FileRefusedError
from ytap_assets.lakehouse.checks import CheckedRows, Scope, check_rows
from ytap_assets.lakehouse.erasure import list_owned_tables
from ytap_assets.lakehouse.files import Copied, pump
from ytap_assets.lakehouse.transaction import Run
from ytap_assets.operations.platform import Platform
from ytap_assets.operations.registries import read_registered
from ytap_assets.operations.workspaces import set_line
from ytap_assets.safe_files import open_below, open_folder
from ytap_assets.tables import (
    ERASURES,
    INBOX_CURSORS,
    PRODUCTION_EVENTS,
    PRODUCTION_RECORDS,
    PUSHED_FILES,
    SCRIPT_STATES,
    TABLES,
    WORKSPACES,
    Table,
)
from ytap_assets.workspaces import CONFIG_NAME, Workspace, parse_workspace

MANIFEST = "manifest.json"
_TABLES, _FILES = "tables/", "workspace/"
_ZIP = ".zip"
_MAX_MANIFEST_BYTES = 256 * 2**20
_MAX_FILES = 1_000_000
_MAX_DEPTH = 50
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a damaged archive raises."""
_UNSAFE = re.compile(r"[\x00-\x1f\\]")
_PUSHED_STAMP = re.compile(r"pushed ([0-9]{1,18})")
_REFERENCES = ((PRODUCTION_RECORDS, "last_seq"), (SCRIPT_STATES, "entered_seq"))
"""The columns that refer to the numbers of events."""
_Rows = dict[str, pl.DataFrame]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    size_bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _TableFile(_File):
    rows: int = Field(ge=0)


class Manifest(BaseModel):
    """What an export contains.

    Attributes:
        format: The version of the format.
        workspace_id: The workspace.
        uid: Its uid; None if it has none.
        exported_at: When it was exported, as text in UTC.
        snapshot_id: The snapshot of the lake that the rows are of.
        tables: The rows, size and SHA-256 of the file of each table.
        files: Size and SHA-256 of each file of the folder, by its path in it.
        skipped: Entries of the folder that are no regular files, with the reason.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    format: Literal[1] = 1
    workspace_id: str
    uid: str | None
    exported_at: str
    snapshot_id: int
    tables: dict[str, _TableFile]
    files: dict[str, _File] = Field(max_length=_MAX_FILES)
    skipped: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True)
class Export:
    """An export that is there.

    Attributes:
        path: The folder or ZIP file.
        sha256: Of its manifest, which has the checksums of all its files.
        manifest: What it contains.
    """

    path: Path
    sha256: str
    manifest: Manifest

    @property
    def rows(self) -> int:
        """The rows of all tables."""
        return sum(table.rows for table in self.manifest.tables.values())


@dataclass(frozen=True)
class RestoredWorkspace:
    """A workspace that was restored from an export.

    Attributes:
        workspace_id: Its name here.
        uid: Its uid here.
        rows: Its rows, by table.
        files: How many files its folder has.
    """

    workspace_id: str
    uid: str | None
    rows: Mapping[str, int]
    files: int


def export_workspace(platform: Platform, workspace_id: str, target: Path, now: datetime) -> Export:
    """Export a workspace, which needs to have a folder or rows; the export is read again.

    Args:
        platform: The installation.
        workspace_id: The workspace.
        target: A new folder, or a new file whose name ends in ``.zip``.
        now: The present.

    Raises:
        ConfigError: There is no such workspace; or something is at the target already, or it is
            below the folder of the workspace.
        OSError: It cannot be written; nothing is left.
        FileRefusedError: What was written cannot be read back.
    """
    folder = platform.workspaces.root / check_workspace_id(workspace_id)
    if os.path.lexists(target):
        raise ConfigError(f"{target} already exists; name a new folder or a new {_ZIP} file")
    if target.resolve().is_relative_to(folder.resolve()):
        raise ConfigError(f"{target} is in the folder of the workspace; choose another place")
    lake = platform.lake
    snapshot = lake.snapshot_id()
    part = target.with_name(f".{target.name}.{uuid4().hex}.part")
    tables: dict[str, _TableFile] = {}
    files: dict[str, _File] = {}
    skipped: dict[str, str] = {}
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            _open_target(part, is_zip=target.suffix == _ZIP) as add,
            TemporaryDirectory(dir=target.parent, prefix=".ytap-export-") as scratch,
        ):
            for table in list_owned_tables(lake):
                if table == ERASURES.name:
                    continue
                file = Path(scratch, "rows.parquet")
                rows = lake.write_parquet(table, workspace_id, snapshot, file)
                with file.open("rb") as stream:
                    written = add(f"{_TABLES}{table}.parquet", stream)
                file.unlink()
                tables[table] = _TableFile(
                    rows=rows, size_bytes=written.size_bytes, sha256=written.sha256
                )
            for name, reason in _list_folder(folder):
                if reason is not None:
                    skipped[show_name(name)] = reason
                    continue
                with open_folder(folder) as descriptor, open_below(descriptor, name) as stream:
                    written = add(_FILES + name, stream)
                files[name] = _File(size_bytes=written.size_bytes, sha256=written.sha256)
            if not files and not any(one.rows for one in tables.values()):
                platform.workspaces.get(workspace_id)
            manifest = Manifest(
                workspace_id=workspace_id,
                uid=find_uid(platform, workspace_id),
                exported_at=str(now),
                snapshot_id=snapshot,
                tables=tables,
                files=files,
                skipped=skipped,
            )
            content = json.dumps(manifest.model_dump(), indent=1).encode()
            add(MANIFEST, BytesIO(content))
        verify_export(part)
        if part.is_dir():
            part.rename(target)
        else:
            os.link(part, target)  # never in place of another file
            part.unlink()
    finally:
        if part.is_dir():
            shutil.rmtree(part)
        else:
            part.unlink(missing_ok=True)
    return verify_export(target)


def find_uid(platform: Platform, workspace_id: str) -> str | None:
    """The uid that the lake has for a workspace's name, or that of its config; None if unknown."""
    known = read_registered(platform.lake.cross_reader())
    if workspace_id in known:
        return known[workspace_id]
    found = platform.workspaces.get_all().get(workspace_id)
    return found.uid if isinstance(found, Workspace) else None


def verify_export(path: Path) -> Export:
    """Read every file of an export and compare it with the manifest.

    Raises:
        FileRefusedError: It is no export, or damaged; the message names the file.
    """
    with _open_source(path) as source:
        return _verify(path, source)


def restore_workspace(
    platform: Platform, path: Path, run: Run, *, name: str | None = None
) -> RestoredWorkspace:
    """Restore an exported workspace into a lake and a folder of workspaces that do not have it.

    The rows are inserted in one commit. Rows of tables that are numbered over all workspaces get
    new numbers in their order, and so does what refers to them. Numbers of snapshots in the rows
    are those of the lake that they were exported from. The folder gets its name right after the
    commit.

    Args:
        platform: The installation.
        path: The export.
        run: Who restores it.
        name: The workspace's name here; that in the export if None.

    Raises:
        ConfigError: The workspace is here already, under this name or with its uid under another;
            or its name is invalid.
        FileRefusedError: It is no export, or damaged. Nothing was written.
        PublishRefusedError: Rows do not fit the table. Nothing was written.
    """
    with _open_source(path) as source:
        manifest = _verify(path, source).manifest
        workspace_id = check_workspace_id(name or manifest.workspace_id)
        folder = platform.workspaces.root / workspace_id
        _require_absent(platform, workspace_id, folder)
        uid = _choose_uid(platform, manifest, workspace_id)
        frames = _read_rows(path, source, manifest)
        staged = folder.with_name(f".restoring-{uuid4().hex}")
        try:
            for file in manifest.files:
                _write_file(source, file, staged)
            if manifest.files:
                _settle_config(path, staged, manifest.uid, uid)
            _insert(platform, frames, run, workspace_id, uid)
            if manifest.files:
                staged.rename(folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    rows = {table: frame.height for table, frame in frames.items()}
    return RestoredWorkspace(workspace_id, uid, rows, len(manifest.files))


def _insert(
    platform: Platform, frames: _Rows, run: Run, workspace_id: str, uid: str | None
) -> None:
    with platform.lake.write(run) as transaction:
        if not transaction.is_absent(list(frames), workspace_id):
            raise ConfigError(f"workspace {workspace_id!r} already has rows in the lake")
        last = {
            name: transaction.last_seq(table) for name, table in TABLES.items() if table.sequenced
        }
        for part in _check(_renumber(frames, last), workspace_id, uid):
            transaction.take_in(part)


def _choose_uid(platform: Platform, manifest: Manifest, workspace_id: str) -> str | None:
    """The exported uid, or a new one for a copy under another name of a workspace that is here."""
    if manifest.uid is None:
        return None
    registered = read_registered(platform.lake.cross_reader())
    folders = {one.workspace_id: one.uid for one in platform.workspaces.readable()[0]}
    holders = {one for one, uid in (*registered.items(), *folders.items()) if uid == manifest.uid}
    if not holders:
        return manifest.uid
    if workspace_id == manifest.workspace_id:
        raise ConfigError(
            f"workspace {workspace_id!r}: its uid {manifest.uid} is that of {min(holders)} here;"
            " restore it under another name with `--as NAME`"
        )
    return str(ULID())


def _require_absent(platform: Platform, workspace_id: str, folder: Path) -> None:
    if os.path.lexists(folder):
        raise ConfigError(f"{folder} already exists; restore it under another name with `--as`")
    if workspace_id in read_registered(platform.lake.cross_reader()):
        raise ConfigError(
            f"the lake already has a workspace {workspace_id!r}; restore it under another name with"
            " `--as NAME`"
        )


def _read_rows(path: Path, source: _Source, manifest: Manifest) -> _Rows:
    frames: _Rows = {}
    with TemporaryDirectory() as scratch:
        for name, table in manifest.tables.items():
            if name not in TABLES:
                raise FileRefusedError(
                    f"{path}: contains the table {name[:80]!r}, which this version does not have"
                )
            file = Path(scratch, "rows.parquet")
            with source.open(f"{_TABLES}{name}.parquet") as here, file.open("wb") as there:
                pump(here, there)
            try:
                frame = pl.read_parquet(file)
            except (pl.exceptions.PolarsError, OSError) as error:
                raise FileRefusedError(f"{path}: {name}.parquet cannot be read: {error}") from None
            if frame.height != table.rows:
                raise FileRefusedError(
                    f"{path}: {name}.parquet has {frame.height} rows, and the manifest {table.rows}"
                )
            frames[name] = _fill(TABLES[name], frame)
            if frames[name].schema != TABLES[name].schema:
                raise FileRefusedError(
                    f"{path}: {name}.parquet has other columns than the table; restore it with the"
                    " version of ytap that exported it"
                )
    return frames


def _renumber(frames: _Rows, last: Mapping[str, int]) -> _Rows:
    """The rows in the order of their numbers, and what refers to the numbers that they will get.

    Args:
        frames: The rows by table.
        last: The last numbers of the sequenced tables, which `Transaction.take_in` continues.
    """
    numbered, new = dict(frames), dict[str, pl.DataFrame]()
    for name, after in last.items():
        rows = frames.get(name)
        if rows is None or rows.is_empty():
            continue
        rows = rows.sort("seq")
        new[name] = rows.select("seq", pl.int_range(after + 1, after + 1 + pl.len()).alias("new"))
        numbered[name] = rows.with_columns(new[name]["new"].alias("seq"))
    events = new.get(PRODUCTION_EVENTS.name)
    for table, column in _REFERENCES:
        if events is not None and (referring := numbered.get(table.name)) is not None:
            numbered[table.name] = referring.with_columns(
                pl.col(column).replace_strict(
                    events["seq"], events["new"], default=None, return_dtype=pl.Int64
                )
            )
    cursors = numbered.get(INBOX_CURSORS.name)
    if cursors is not None and not cursors.is_empty():
        pushed = new.get(PUSHED_FILES.name)
        known = dict(pushed.iter_rows()) if pushed is not None else {}

        def restamp(stamp: str) -> str:
            found = _PUSHED_STAMP.fullmatch(stamp)
            number = known.get(int(found[1])) if found else None
            return f"pushed {number}" if number else ""

        # Stamps of files are those of another folder: each file is compared once more.
        stamps = [restamp(stamp) for stamp in cursors["stamp"]]
        numbered[INBOX_CURSORS.name] = cursors.with_columns(pl.Series("stamp", stamps))
    return numbered


def _check(frames: _Rows, workspace_id: str, uid: str | None) -> Iterator[CheckedRows]:
    for name, frame in frames.items():
        if frame.is_empty():
            continue
        table = TABLES[name]
        rows = frame.with_columns(pl.lit(workspace_id).alias("workspace_id"))
        if table is WORKSPACES:
            rows = rows.with_columns(pl.lit(uid, pl.String).alias("uid"))
        yield check_rows(table, rows, _find_scope(table, rows, workspace_id))


def _fill(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows with the columns that were declared after they were exported, in order."""
    filled = rows.with_columns(
        pl.lit(one.default, one.dtype).alias(one.name)
        for one in table.columns
        if one.name not in rows.columns and (one.nullable or one.default is not None)
    )
    names = table.schema.names()
    return filled.select(names) if set(filled.columns) == set(names) else filled


def _find_scope(table: Table, rows: pl.DataFrame, workspace_id: str) -> Scope:
    if not table.by_day:
        return Scope(workspace_id)
    first, last = rows.select(first=pl.col("day").min(), last=pl.col("day").max()).row(0)
    return Scope(workspace_id, first, last)


def _settle_config(path: Path, folder: Path, exported: str | None, uid: str | None) -> None:
    """Give the config the uid of its rows.

    Raises:
        FileRefusedError: There is no config, or it has another uid than the manifest.
    """
    config = folder / CONFIG_NAME
    if not config.is_file():
        raise FileRefusedError(f"{path}: has files of a workspace, but no {CONFIG_NAME}")
    try:
        found = parse_workspace("restored", config.read_bytes(), origin=CONFIG_NAME).uid
    except ConfigError as error:
        raise FileRefusedError(f"{path}: {error}") from None
    if found != exported:
        raise FileRefusedError(f"{path}: {CONFIG_NAME} has another uid than {MANIFEST}")
    if uid is not None and uid != exported:
        config.write_bytes(set_line(config.read_bytes(), "uid", uid))


def show_name(name: str) -> str:
    """The name of a file as text; bytes that are not UTF-8 are escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def list_skipped(folder: Path) -> list[str]:
    """What an export of a folder leaves out, with the reasons; nothing without a folder."""
    found = _list_folder(folder)
    return [f"{show_name(name)!r}: {reason}" for name, reason in found if reason is not None]


def _list_folder(folder: Path) -> Iterator[tuple[str, str | None]]:
    """The files of a folder in order, by their paths in it, each with what is against it."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*names, *(one for one in folders if Path(place, one).is_symlink())]):
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                yield relative, "a symbolic link"
            elif not path.is_file():
                yield relative, "not a regular file"
            elif _find_problem(relative):
                yield relative, f"its name {_find_problem(relative)}"
            else:
                yield relative, None


def _find_problem(name: str) -> str | None:
    """Why a name is none of a file below a folder; None if it is."""
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts):
        return "leads out of the folder"
    if len(parts) > _MAX_DEPTH:
        return f"is deeper than {_MAX_DEPTH} folders"
    # A name that is not UTF-8 is not printable.
    if _UNSAFE.search(name) or not name.isprintable() or len(name.encode()) > 2000:
        return "contains a character that is not allowed, or is too long"
    return None


_Add = Callable[[str, BinaryIO], Copied]


@contextmanager
def _open_target(part: Path, *, is_zip: bool) -> Iterator[_Add]:
    if not is_zip:
        part.mkdir()

        def add_file(name: str, stream: BinaryIO) -> Copied:
            file = part / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as there:
                return pump(stream, there)

        yield add_file
        return
    with zipfile.ZipFile(part, "x", zipfile.ZIP_STORED) as archive:

        def add_member(name: str, stream: BinaryIO) -> Copied:
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as there:
                return pump(stream, there)

        yield add_member


class _Source:
    """An export that is read."""

    def __init__(self, folder: int | None, archive: zipfile.ZipFile | None) -> None:
        self._folder = folder
        self._archive = archive

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a file of it.

        Raises:
            FileRefusedError: There is none, or it is a link or a folder.
        """
        if problem := _find_problem(name):
            raise FileRefusedError(f"the name {name[:80]!r} {problem}")
        with ExitStack() as opened:
            try:
                if self._archive is not None:
                    yield opened.enter_context(self._archive.open(name))
                elif self._folder is not None:
                    yield opened.enter_context(open_below(self._folder, name))
            except (FileNotFoundError, KeyError):
                raise FileRefusedError(f"the export has no file {name[:80]!r}") from None
            except _UNREADABLE as error:
                raise FileRefusedError(f"{name[:80]!r} cannot be read: {error}") from None


@contextmanager
def _open_source(path: Path) -> Iterator[_Source]:
    """Open an export.

    Raises:
        FileRefusedError: It is neither a folder nor a ZIP file.
    """
    with ExitStack() as opened:
        if path.is_dir():
            yield _Source(opened.enter_context(open_folder(path)), None)
            return
        try:
            archive = opened.enter_context(zipfile.ZipFile(path))
        except (zipfile.BadZipFile, FileNotFoundError) as error:
            raise FileRefusedError(f"{path} is no export of a workspace: {error}") from None
        yield _Source(None, archive)


def _verify(path: Path, source: _Source) -> Export:
    with source.open(MANIFEST) as stream:
        content = stream.read(_MAX_MANIFEST_BYTES + 1)
    if len(content) > _MAX_MANIFEST_BYTES:
        raise FileRefusedError(f"{path}: {MANIFEST} is too large")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise FileRefusedError(
            f"{path}: {MANIFEST} is not that of an export: {where}: {first['msg']}"
        ) from None
    expected: dict[str, _File] = {
        f"{_TABLES}{name}.parquet": one for name, one in manifest.tables.items()
    }
    expected |= {f"{_FILES}{name}": one for name, one in manifest.files.items()}
    for name, file in expected.items():
        with source.open(name) as stream:
            found = pump(_Bounded(stream, file.size_bytes + 1))
        if found != Copied(file.size_bytes, file.sha256):
            raise FileRefusedError(
                f"{path}: {name[:200]} is damaged: it differs from the manifest; use another export"
            )
    return Export(path, pump(BytesIO(content)).sha256, manifest)


@dataclass
class _Bounded:
    """The first bytes of a file: a member of an archive may be longer than it says."""

    stream: IO[bytes]
    left: int

    def read(self, size: int, /) -> bytes:
        content = self.stream.read(min(size, self.left))
        self.left -= len(content)
        return content


def _write_file(source: _Source, name: str, folder: Path) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open(_FILES + name) as here, target.open("xb") as there:
        pump(here, there)
