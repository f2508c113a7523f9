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
    keep_headers,
)
from ytap_assets.sources.http.safety import DEFAULT_LIMIT, Redactor, read_bounded

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


_NAMED = 10


def live_transport() -> httpx.AsyncBaseTransport:
    """The network, asked directly: no proxy is read from the environment."""
    return httpx.AsyncHTTPTransport(retries=0)


class RecordTransport(httpx.AsyncBaseTransport):
    """Passes requests on and writes each GET and its answer to the day's folder.

    Other methods are passed on unrecorded: they fetch tokens, and those are nobody's to keep.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        folder: Path,
        *,
        clock: Callable[[], datetime],
        redactor: Redactor,
        body_limit: int = DEFAULT_LIMIT,
    ) -> None:
        self._inner = inner
        self._folder = folder
        self._clock = clock
        self._redactor = redactor
        self._body_limit = body_limit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Ask, write down, answer; what is answered is already decompressed."""
        response = await self._inner.handle_async_request(request)
        if request.method != "GET":
            return response
        try:
            body = await read_bounded(response, self._body_limit, host=request.url.host)
        finally:
            await response.aclose()
        headers = keep_headers(response.headers, self._redactor.text)
        answer = httpx.Response(
            response.status_code, headers=headers, stream=httpx.ByteStream(body)
        )
        # A body past the cap is refused by the client; half of it is no use to a replay.
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
            answer.extensions[RECORDED_AT] = recording.recorded_at
        return answer

    def _write(self, source: str, recording: Recording) -> None:
        try:
            append_recording(self._folder, source, recording)
        except OSError as error:
            raise PermanentError(
                f"the answer could not be recorded in {self._folder}: {error.strerror};"
                " make room or collect with YTAP_TRANSPORT=live",
                attempts=1,
            ) from error

    async def aclose(self) -> None:
        """Close what it passes on to."""
        await self._inner.aclose()


class ReplayTransport(httpx.AsyncBaseTransport):
    """Answers from one day's folder and from nowhere else.

    A request recorded several times is answered with the last one: replaying a day shows it as
    it stood at the end of what was recorded. A list of ids (`split_ids`) is answered id by id, each
    from the last exchange that was recorded for it, whatever list it was part of then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[RequestKey, Recording] = {}
        self._by_id: dict[tuple[RequestKey, str], RequestKey] = {}
        for recording in read_recordings(folder):
            key = request_key(recording.method, recording.url)
            self._answers[key] = recording
            rest, ids = split_ids(recording.url)
            for one in ids:
                place = (request_key(recording.method, rest), one)
                earlier = self._answers[self._by_id.get(place, key)]
                if earlier.recorded_at <= recording.recorded_at:
                    self._by_id[place] = key

    @property
    def recorded_until(self) -> datetime | None:
        """When the day's last exchange was recorded; None where there is none."""
        return max((answer.recorded_at for answer in self._answers.values()), default=None)

    def find_recording(self, url: str) -> RequestKey | None:
        """Which recorded exchange answers a GET of a URL; None where none, or no single one does.

        Ids with the same one can be asked for in one request, and are answered as they were.
        """
        keys = set(self._find("GET", url).values())
        return keys.pop() if len(keys) == 1 else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The recorded answer.

        Raises:
            NotRecordedError: The day's folder does not hold the request, or one of its ids.
        """
        found = self._find(request.method, str(request.url))
        missing = [one for one, key in found.items() if key is None]
        if missing:
            raise self._not_recorded(str(request.url), missing)
        wanted: dict[RequestKey, list[str]] = {}
        for one, key in found.items():
            wanted.setdefault(key or ("", ""), []).append(one)
        answer = join_lists([(self._answers[key], ids) for key, ids in wanted.items()])
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=httpx.ByteStream(answer.body),
            extensions={RECORDED_AT: answer.recorded_at},
        )

    def _find(self, method: str, url: str) -> dict[str, RequestKey | None]:
        """The exchange that answers for each id of a list; of another request, under no id."""
        rest, ids = split_ids(url)
        if not ids:
            key = request_key(method, url)
            return {"": key if key in self._answers else None}
        place = request_key(method, rest)
        return {one: self._by_id.get((place, one)) for one in ids}

    def _not_recorded(self, url: str, missing: Sequence[str]) -> NotRecordedError:
        what = f"no recording of {describe_url(url)} with these parameters in {self._folder}"
        if missing != [""]:
            first = ", ".join(missing[:_NAMED])
            more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
            what = f"not in the recording of {describe_url(url)} in {self._folder}: {first}{more}"
        return NotRecordedError(
            f"{what}; collect that day with YTAP_TRANSPORT=record, or live", attempts=1
        )
