"""What answers the client: the network, the network while it is recorded, or a recording.

The code above them is the same for all three. Belongs here: httpx transports. Does not belong
here: the recordings' format (`recordings`).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import httpx

from ytap_assets.sources.bodies import DEFAULT_LIMIT, read_bounded
from ytap_assets.sources.errors import NotRecordedError, PermanentError, describe_url
from ytap_assets.sources.exchange import RECORDED_AT, SOURCE, keep_headers
from ytap_assets.sources.recordings import (
    Recording,
    append_recording,
    read_recordings,
    request_key,
)
from ytap_assets.sources.redaction import Redactor


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
    it stood at the end of what was recorded.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers = {
            request_key(recording.method, recording.url): recording
            for recording in read_recordings(folder)
        }

    @property
    def recorded_until(self) -> datetime | None:
        """When the day's last exchange was recorded; None where there is none."""
        return max((answer.recorded_at for answer in self._answers.values()), default=None)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The recorded answer.

        Raises:
            NotRecordedError: The day's folder does not hold the request.
        """
        url = str(request.url)
        answer = self._answers.get(request_key(request.method, url))
        if answer is None:
            raise NotRecordedError(
                f"no recording of {describe_url(url)} with these parameters in {self._folder};"
                " collect that day with YTAP_TRANSPORT=record, or live",
                attempts=1,
            )
        return httpx.Response(
            answer.status,
            headers=answer.headers,
            stream=httpx.ByteStream(answer.body),
            extensions={RECORDED_AT: answer.recorded_at},
        )
