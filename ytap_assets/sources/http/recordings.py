"""Recorded exchanges: `recordings/<day>/<source>.jsonl`, one exchange a line.

A line holds what was asked (method and URL: no request headers, so no secrets), when, and what
was answered. Belongs here: the format, writing and reading it. Does not belong here: HTTP
(`transports`).
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from filelock import FileLock

_LOG = logging.getLogger(__name__)
_LOCK = ".lock"
_NEWLINE = b"\n"
_IDS = "id"

RequestKey = tuple[str, str]
"""What a request is recognized by: its method, and its URL in a form of its own."""


@dataclass(frozen=True)
class Recording:
    """One recorded exchange."""

    method: str
    url: str
    recorded_at: datetime
    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    def to_line(self) -> str:
        """The exchange as one line of JSON; a body that is not UTF-8 becomes base64."""
        try:
            body = {"body": self.body.decode("utf-8")}
        except UnicodeDecodeError:
            body = {"body_base64": base64.b64encode(self.body).decode("ascii")}
        content = {
            "request": {"method": self.method, "url": self.url},
            "recorded_at": self.recorded_at.astimezone(UTC).isoformat(),
            "status": self.status,
            "headers": self.headers,
            **body,
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_line(cls, line: bytes) -> Recording:
        """Read one line.

        Raises:
            ValueError: The line is not a recording.
        """
        content: Any = json.loads(line)
        try:
            encoded = content.get("body_base64")
            return cls(
                method=str(content["request"]["method"]),
                url=str(content["request"]["url"]),
                recorded_at=datetime.fromisoformat(content["recorded_at"]).astimezone(UTC),
                status=int(content["status"]),
                headers={str(name): str(value) for name, value in content["headers"].items()},
                body=base64.b64decode(encoded) if encoded else str(content["body"]).encode(),
            )
        except (KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ValueError(f"not a recorded exchange: {error!r}") from error


def day_folder(recordings: Path, day: date) -> Path:
    """The folder of a day's recordings."""
    return recordings / day.isoformat()


def append_recording(folder: Path, source: str, recording: Recording) -> None:
    """Add one exchange to a source's file of a day; safe from several processes at once."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{source}.jsonl"
    with FileLock(folder.parent / _LOCK), path.open("ab+") as file:
        torn = _NEWLINE if _ends_mid_line(path) else b""
        file.write(torn + recording.to_line().encode("utf-8") + _NEWLINE)


def read_recordings(folder: Path) -> Iterator[Recording]:
    """Every exchange recorded in a day's folder, in the order of files and lines.

    A line that cannot be read (a writer was killed in the middle of it) is logged and left out.
    """
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield Recording.from_line(line)
                except ValueError as error:
                    _LOG.warning("%s line %d is left out: %s", path, number, error)


def request_key(method: str, url: str) -> RequestKey:
    """What a request is recognized by: the order and escaping of its parameters do not count."""
    parts = urlsplit(url)
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    host = (parts.hostname or "").lower()
    return method.upper(), urlunsplit((parts.scheme.lower(), host, parts.path or "/", query, ""))


def split_ids(url: str) -> tuple[str, tuple[str, ...]]:
    """A URL without its list of ids, and the ids.

    ``id=a,b,c`` is how the YouTube Data API is asked for several things at once. Each of them is
    recorded by its own id, so that it can be replayed in any other list.

    Returns:
        The URL as it was and no ids, where it has no such list.
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    ids = [one for name, value in query if name == _IDS for one in value.split(",") if one]
    if not ids:
        return url, ()
    rest = urlencode([(name, value) for name, value in query if name != _IDS])
    return urlunsplit(parts._replace(query=rest)), tuple(dict.fromkeys(ids))


def join_lists(parts: Sequence[tuple[Recording, Sequence[str]]]) -> Recording:
    """One answer to a list of ids, made of what was recorded for them.

    A recording whose ids are all wanted is taken as it is. What failed when it was recorded fails
    again: the first such answer is the whole one.

    Args:
        parts: Recorded exchanges, each with the ids that it answers for.

    Returns:
        The exchange; recorded from several, it counts as made at the earliest of their times.
    """
    answers = [_select(recording, ids) for recording, ids in parts]
    failed = [answer for answer in answers if answer.status != HTTPStatus.OK]
    if failed or len(answers) == 1:
        return (failed or answers)[0]
    lists = [_read_list(answer) for answer in answers]
    unreadable = [answer for answer, one in zip(answers, lists, strict=True) if one is None]
    if unreadable:
        return unreadable[0]
    items = [item for one in lists if one is not None for item in one["items"]]
    return replace(
        _with_items(answers[0], items), recorded_at=min(each.recorded_at for each in answers)
    )


def _select(recording: Recording, ids: Sequence[str]) -> Recording:
    """A recorded list without the items of other ids."""
    _, recorded = split_ids(recording.url)
    content = None if set(recorded) <= set(ids) else _read_list(recording)
    if content is None:
        return recording
    wanted = [item for item in content["items"] if isinstance(item, dict) and item.get("id") in ids]
    return _with_items(recording, wanted)


def _with_items(recording: Recording, items: list[Any]) -> Recording:
    content = {**(_read_list(recording) or {}), "items": items}
    return replace(recording, body=json.dumps(content).encode())


def _read_list(recording: Recording) -> dict[str, Any] | None:
    """The body where it is a list of items; None where it is anything else."""
    try:
        content = json.loads(recording.body)
    except ValueError:
        return None
    is_list = isinstance(content, dict) and isinstance(content.get("items"), list)
    return content if is_list else None


def _ends_mid_line(path: Path) -> bool:
    size = path.stat().st_size
    if size == 0:
        return False
    with path.open("rb") as file:
        file.seek(size - 1, os.SEEK_SET)
        return file.read(1) != _NEWLINE
