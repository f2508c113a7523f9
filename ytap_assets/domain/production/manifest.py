"""A video's manifest: `videos/<script_id>/manifest.json`, written last by whoever made the video.

Belongs here: what it must hold, and whether the files beside it are what it says. Does not belong
here: reading those files; their sizes and checksums are passed in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ytap_assets.domain.production.events import digest
from ytap_assets.domain.production.lines import (
    FieldError,
    Fields,
    parse_object,
    read_instant,
    read_number,
    read_script_id,
    read_usd_micros,
    show_value,
    text_matching,
)
from ytap_assets.errors import YtapError

MANIFEST_NAME = "manifest.json"
FILE_NAME_RULE = "a relative path within the folder, with / between its parts and without . or .."

_SHA256 = re.compile(r"[0-9a-f]{64}")
_MAX_FILES = 1_000


class ManifestError(YtapError):
    """A manifest cannot be read; the message says what it should hold."""


@dataclass(frozen=True)
class FileFact:
    """A file, or its entry in a manifest.

    Attributes:
        size_bytes: Its size.
        sha256: Its checksum, in hex; None if it was not computed. Then it counts as correct.
    """

    size_bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Manifest:
    """The producer's description of a video.

    Attributes:
        script_id: The script it was made from.
        files: Its files by name, with what they should be.
        cost_usd_micros: What it cost; None if unknown.
        quality_score: Its quality, 0-100; None if it was not measured.
        duration_s: Its length in seconds; None if unknown.
        completed_at: When it was finished, in UTC; None if unknown.
        sha256: Names the manifest's whole content.
    """

    script_id: str
    files: Mapping[str, FileFact]
    cost_usd_micros: int | None
    quality_score: float | None
    duration_s: float | None
    completed_at: datetime | None
    sha256: str


@dataclass(frozen=True)
class VideoFolder:
    """A script's video folder as it was found.

    Attributes:
        manifest: The bytes of its manifest.
        found: The regular files found of those the manifest names, by that name.
        refused: Why the manifest, or a file that it names, may not be read, by name.
    """

    manifest: bytes
    found: Mapping[str, FileFact]
    refused: Mapping[str, str] = field(default_factory=dict)


def parse_manifest(text: bytes) -> Manifest:
    """Parse a manifest.

    Raises:
        ManifestError: It is not one; the message names the field.
    """
    try:
        content = parse_object(text)
        fields = Fields(content)
        script_id = fields.need("script_id", read_script_id)
        files = fields.need("files", _read_files)
        cost = fields.read("cost_usd", read_usd_micros)
        quality = fields.read("quality_score", read_number)
        duration = fields.read("duration_s", read_number)
        completed_at = fields.read("completed_at", read_instant)
        fields.check()
        return Manifest(script_id, files, cost, quality, duration, completed_at, digest(content))
    except FieldError as error:
        raise ManifestError(f"{MANIFEST_NAME}: {error}") from error


def _read_files(value: Any) -> dict[str, FileFact]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise FieldError("expected a list of objects with name, size_bytes and sha256")
    if not 1 <= len(value) <= _MAX_FILES:
        raise FieldError(f"expected 1 to {_MAX_FILES} of them")
    files: dict[str, FileFact] = {}
    for number, entry in enumerate(value, start=1):
        try:
            name, fact = _read_file(entry)
        except FieldError as error:
            raise FieldError(f"file {number}: {error}") from error
        if name in files:
            raise FieldError(f"file {number}: {name!r} is listed twice")
        files[name] = fact
    return files


def _read_file(entry: Mapping[str, Any]) -> tuple[str, FileFact]:
    fields = Fields(entry)
    name = fields.need("name", text_matching(is_file_name, FILE_NAME_RULE))
    size = fields.need("size_bytes", _read_size)
    sha256 = fields.need("sha256", _read_sha256)
    fields.check()
    return name, FileFact(size, sha256)


def is_file_name(text: str) -> bool:
    """Whether a name stays within the folder (`FILE_NAME_RULE`)."""
    parts = text.split("/")
    is_inside = not any(part in ("", ".", "..") for part in parts)
    return is_inside and len(text) <= 500 and text.isprintable() and not set(text) & set("\\:")


def _read_size(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise FieldError(f"expected a number of bytes, not {show_value(value)}")
    return value


def _read_sha256(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value.lower()):
        raise FieldError(f"expected 64 hexadecimal digits, not {show_value(value)}")
    return value.lower()


def check_manifest(
    manifest: Manifest, found: Mapping[str, FileFact], refused: Mapping[str, str] | None = None
) -> list[str]:
    """What is wrong with the files a manifest names; nothing where the video is complete.

    Args:
        manifest: The manifest.
        found: The files there are, by their names within the folder.
        refused: Why others may not be read, by their names.
    """
    problems = []
    for name, expected in manifest.files.items():
        actual = found.get(name)
        if actual is None:
            problems.append((refused or {}).get(name, f"{name} is missing"))
        elif actual.size_bytes != expected.size_bytes:
            problems.append(
                f"{name} has {actual.size_bytes} bytes instead of {expected.size_bytes}"
            )
        elif actual.sha256 is not None and actual.sha256.lower() != expected.sha256:
            problems.append(f"the checksum of {name} differs from the manifest")
    return problems


def check_folder(script_id: str, folder: VideoFolder) -> tuple[Manifest | None, list[str]]:
    """A folder's manifest, if it can be read, and the problems of manifest and files."""
    if MANIFEST_NAME in folder.refused:
        return None, [folder.refused[MANIFEST_NAME]]
    try:
        manifest = parse_manifest(folder.manifest)
    except ManifestError as error:
        return None, [str(error)]
    if manifest.script_id != script_id:
        return manifest, [f"{MANIFEST_NAME} belongs to script {manifest.script_id}"]
    return manifest, check_manifest(manifest, folder.found, folder.refused)
