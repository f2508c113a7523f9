"""Recorded exchanges: recording and replaying `recordings/<day>/<source>.jsonl`, one per line.

A line contains the request (method and URL, no headers, so no secrets), the time, and the response.
`RecordTransport` writes such files, and `ReplayTransport` returns responses from them. The other
code is the same as for the network.
"""

from __future__ import annotations

import base64
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import httpx
from filelock import FileLock

from ytap_assets.sources.http.exchange import (
    RECORDED_AT,
    SOURCE,
    NotRecordedError,
    PermanentError,
    describe_url,
    select_headers,
)
from ytap_assets.sources.http.safety import DEFAULT_BODY_LIMIT, Redactor, read_bounded

_LOG = logging.getLogger(__name__)
_LOCK = ".lock"
_NEWLINE = b"\n"
_IDS = "id"
_MAX_NAMED = 10

RequestKey = tuple[str, str]
"""The identity of a request: its method and its normalized URL."""


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
        """The exchange as one line of JSON; a body that is not UTF-8 is written as base64."""
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
    """Append one exchange to a source's file of a day; safe with concurrent processes."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{source}.jsonl"
    with FileLock(folder.parent / _LOCK), path.open("ab+") as file:
        separator = _NEWLINE if _ends_mid_line(path) else b""
        file.write(separator + recording.to_line().encode("utf-8") + _NEWLINE)


def read_recordings(folder: Path) -> Iterator[Recording]:
    """Every exchange in a day's folder, in the order of files and lines.

    An invalid line (of a writer that was killed) is skipped with a warning.
    """
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    yield Recording.from_line(line)
                except ValueError as error:
                    _LOG.warning("%s line %d is skipped: %s", path, number, error)


def request_key(method: str, url: str) -> RequestKey:
    """The identity of a request; the order and escaping of its parameters do not matter."""
    parts = urlsplit(url)
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    host = (parts.hostname or "").lower()
    return method.upper(), urlunsplit((parts.scheme.lower(), host, parts.path or "/", query, ""))


def split_ids(url: str) -> tuple[str, tuple[str, ...]]:
    """A URL without its list of ids, and the ids.

    ``id=a,b,c`` requests several videos at once from the YouTube Data API. Each id is looked up on
    its own, so that a replay can combine them in other lists.

    Returns:
        The unchanged URL and no ids, if it has no such list.
    """
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    ids = [one for name, value in query if name == _IDS for one in value.split(",") if one]
    if not ids:
        return url, ()
    rest = urlencode([(name, value) for name, value in query if name != _IDS])
    return urlunsplit(parts._replace(query=rest)), tuple(dict.fromkeys(ids))


def join_lists(parts: Sequence[tuple[Recording, Sequence[str]]]) -> Recording:
    """One response to a list of ids, combined from the recordings that hold them.

    A recording whose ids are all requested is used unchanged. If one of the recordings is an error
    response, that response is the result.

    Args:
        parts: Recorded exchanges, each with the ids that are taken from it.

    Returns:
        The exchange; its time is the earliest of the recordings.
    """
    selected = [_select(recording, ids) for recording, ids in parts]
    failed = [recording for recording in selected if recording.status != HTTPStatus.OK]
    if failed or len(selected) == 1:
        return (failed or selected)[0]
    lists = [_read_list(recording) for recording in selected]
    unreadable = [one for one, found in zip(selected, lists, strict=True) if found is None]
    if unreadable:
        return unreadable[0]
    items = [item for one in lists if one is not None for item in one["items"]]
    return replace(
        _with_items(selected[0], items), recorded_at=min(each.recorded_at for each in selected)
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
    """The body if it is a list of items, else None."""
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


class RecordTransport(httpx.AsyncBaseTransport):
    """Forwards requests and writes each GET and its response to the day's folder.

    Other methods are not recorded: they fetch access tokens.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        folder: Path,
        *,
        clock: Callable[[], datetime],
        redactor: Redactor,
        body_limit: int = DEFAULT_BODY_LIMIT,
    ) -> None:
        self._inner = inner
        self._folder = folder
        self._clock = clock
        self._redactor = redactor
        self._body_limit = body_limit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Forward the request and record the response, which is returned decompressed."""
        response = await self._inner.handle_async_request(request)
        if request.method != "GET":
            return response
        try:
            body = await read_bounded(response, self._body_limit, host=request.url.host)
        finally:
            await response.aclose()
        headers = select_headers(response.headers, self._redactor.text)
        recorded = httpx.Response(
            response.status_code, headers=headers, stream=httpx.ByteStream(body)
        )
        # The client rejects a body above the limit; a truncated one cannot be replayed.
        if len(body) <= self._body_limit:
            recording = Recording(
                method=request.method,
                url=self._redactor.text(str(request.url)),
                recorded_at=self._clock(),
                status=response.status_code,
                headers=headers,
                body=self._redactor.body(body),
            )
            self._write(str(request.extensions[SOURCE]), recording)
            recorded.extensions[RECORDED_AT] = recording.recorded_at
        return recorded

    def _write(self, source: str, recording: Recording) -> None:
        try:
            append_recording(self._folder, source, recording)
        except OSError as error:
            raise PermanentError(
                f"the response could not be recorded in {self._folder}: {error.strerror};"
                " free some space or collect with YTAP_TRANSPORT=live",
                attempts=1,
            ) from error

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class ReplayTransport(httpx.AsyncBaseTransport):
    """Answers from one day's folder, without the network.

    If a request was recorded several times, the last response is used: a replay shows the day as
    it was at the end of the recording. A list of ids (`split_ids`) is answered id by id, each from
    the last exchange that holds it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recordings: dict[RequestKey, Recording] = {}
        self._by_id: dict[tuple[RequestKey, str], RequestKey] = {}
        for recording in read_recordings(folder):
            key = request_key(recording.method, recording.url)
            self._recordings[key] = recording
            rest, ids = split_ids(recording.url)
            for one in ids:
                place = (request_key(recording.method, rest), one)
                earlier = self._recordings[self._by_id.get(place, key)]
                if earlier.recorded_at <= recording.recorded_at:
                    self._by_id[place] = key

    @property
    def recorded_until(self) -> datetime | None:
        """When the day's last exchange was recorded; None if there is none."""
        return max((each.recorded_at for each in self._recordings.values()), default=None)

    def find_recording(self, url: str) -> RequestKey | None:
        """The recorded exchange that answers a GET of a URL; None if there is no single one.

        Ids of the same exchange can be requested together and get the recorded response.
        """
        keys = set(self._find("GET", url).values())
        return keys.pop() if len(keys) == 1 else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The recorded response.

        Raises:
            NotRecordedError: The day's folder does not contain the request, or one of its ids.
        """
        found = self._find(request.method, str(request.url))
        missing = [one for one, key in found.items() if key is None]
        if missing:
            raise self._not_recorded(str(request.url), missing)
        wanted: dict[RequestKey, list[str]] = {}
        for one, key in found.items():
            wanted.setdefault(key or ("", ""), []).append(one)
        recording = join_lists([(self._recordings[key], ids) for key, ids in wanted.items()])
        return httpx.Response(
            recording.status,
            headers=recording.headers,
            stream=httpx.ByteStream(recording.body),
            extensions={RECORDED_AT: recording.recorded_at},
        )

    def _find(self, method: str, url: str) -> dict[str, RequestKey | None]:
        """The exchange of each id of a list; that of any other request has an empty id."""
        rest, ids = split_ids(url)
        if not ids:
            key = request_key(method, url)
            return {"": key if key in self._recordings else None}
        place = request_key(method, rest)
        return {one: self._by_id.get((place, one)) for one in ids}

    def _not_recorded(self, url: str, missing: Sequence[str]) -> NotRecordedError:
        what = f"no recording of {describe_url(url)} with these parameters in {self._folder}"
        if missing != [""]:
            first = ", ".join(missing[:_MAX_NAMED])
            more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
            what = f"not in the recording of {describe_url(url)} in {self._folder}: {first}{more}"
        return NotRecordedError(
            f"{what}; collect that day with YTAP_TRANSPORT=record or live", attempts=1
        )
