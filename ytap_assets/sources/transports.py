"""What answers the client: the network, the network while it is recorded, or a recording.

The code above them is the same for all three. Belongs here: httpx transports. Does not belong
here: the recordings' format (`recordings`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import httpx

from ytap_assets.sources.bodies import DEFAULT_LIMIT, read_bounded
from ytap_assets.sources.exchange import RECORDED_AT, SOURCE, keep_headers
from ytap_assets.sources.http.exchange import NotRecordedError, PermanentError, describe_url
from ytap_assets.sources.http.recordings import (
    Recording,
    RequestKey,
    append_recording,
    join_lists,
    read_recordings,
    request_key,
    split_ids,
)
from ytap_assets.sources.http.safety import Redactor

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
