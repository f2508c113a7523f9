"""No key and no token is stored or logged, even if a platform repeats it.

A platform that repeats what it was sent in every place it can, asked over real sockets, with every
logger at its most talkative.
"""

from __future__ import annotations

import base64
import logging
import sqlite3
import traceback
import zlib
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from ytap_assets.sources.catalog import CATALOG, Catalog
from ytap_assets.sources.collect import Session, collect_trends, collect_video_metrics
from ytap_assets.sources.http.exchange import Exchange, Request, SourceError
from ytap_assets.sources.source import Fetch, Query
from ytap_assets.sources.youtube import YouTubeCharts
from ytap_assets_tests.sources.faulty_server import Behaviour, Call, Wired, serving, to_json
from ytap_assets_tests.sources.support import TODAY, FakeClock, make_settings, run
from ytap_assets_tests.sources.test_faults import API, EVERYTHING, REDDIT, SECRETS, well

pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])

TOKEN = "tok3n-value-xyz-98765"  # noqa: S105 - what the tests look for in everything
BASIC = base64.b64encode(f"{SECRETS['REDDIT_ID']}:{SECRETS['REDDIT_SECRET']}".encode()).decode()
HIDDEN = (*SECRETS.values(), TOKEN, BASIC)
URL = f"https://{API}/youtube/v3/videos?id=x"
TOKENS = "www.reddit.com"


def repeat(status: int) -> Behaviour:
    """Repeat the secrets of the request in the reason, the headers and the body."""

    def behave(call: Call) -> None:
        lines = call.head.splitlines()
        sent = [line.partition(": ")[2] for line in lines if line.lower().startswith(_NAMES)]
        said = " ".join([*sent, *(word.rpartition(" ")[2] for word in sent)])
        assert any(secret in said for secret in HIDDEN)
        body = to_json({"error": {"message": said}, "items": [{"id": said}], said: said})
        head = (
            f'HTTP/1.1 {status} {said}\r\netag: "{said}"\r\ncontent-type: {said}\r\n'
            f"set-cookie: a={said}\r\nx-ratelimit-used: {said}\r\nlocation: /{said}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        call.send(head.encode() + body)

    return behave


_NAMES = ("x-goog-api-key", "authorization")


class Buggy(YouTubeCharts):
    """A source with a bug that raises the key."""

    async def fetch(self, query: Query) -> AsyncIterator[Exchange]:
        async for page in super().fetch(query):
            yield page
        raise RuntimeError(f"what to do with {query.context.settings.secret('YOUTUBE_KEY')}?")


def collect(root: Path, transport: str, behaviour: Behaviour | None) -> list[Fetch]:
    """Collect everything; the stored and logged text."""
    clock = FakeClock()
    trends = tuple(Buggy() if type(one) is YouTubeCharts else one for one in CATALOG.trends)

    async def work(port: int) -> list[Fetch]:
        session = Session(
            make_settings(root, transport, **SECRETS),
            now=clock.now,
            catalog=Catalog(trends, CATALOG.video_stats),
            network=lambda: Wired(port),
            sleep=clock.sleep,
            monotonic=clock.monotonic,
        )
        async with session:
            fetches = await collect_trends(EVERYTHING, TODAY, session=session, run_id="run")
            return fetches + await collect_video_metrics(
                EVERYTHING, ["I_GUQdY01b0"], TODAY, session=session, run_id="run"
            )

    faults = {host: behaviour for host in (API, REDDIT, TOKENS) if behaviour is not None}
    if transport == "record":
        faults.pop(TOKENS, None)  # so that there is a token
    with serving(well, faults) as server:
        return run(work(server.port))


def read_everything(fetches: list[Fetch], root: Path) -> str:
    """Everything that a session stores: rows, evidence and every byte on disk."""
    left: list[str] = []
    for fetch in fetches:
        left += [str(fetch.log), repr(fetch)]
        for frame in (fetch.rows, fetch.quarantined, fetch.payloads):
            left += [str(row) for row in frame.iter_rows()]
    for path in root.rglob("*"):
        if path.is_file():
            left += [str(path), path.read_bytes().decode("latin-1")]
    answers = root / "state" / "answers.sqlite"
    if answers.is_file():
        with closing(sqlite3.connect(answers)) as connection:
            bodies = connection.execute("SELECT body FROM answers").fetchall()
        left += [zlib.decompress(body).decode("latin-1") for (body,) in bodies]
    return "\n".join(left)


@pytest.mark.parametrize("transport", ["live", "record"])
@pytest.mark.parametrize("status", [None, 200, 302, 304, 400, 401, 403, 429, 500])
def test_no_secret_is_stored_or_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, transport: str, status: int | None
) -> None:
    caplog.set_level(logging.DEBUG)
    fetches = collect(tmp_path, transport, None if status is None else repeat(status))
    everything = read_everything(fetches, tmp_path) + caplog.text
    for secret in HIDDEN:
        assert secret not in everything
    assert "REDACTED" in everything
    # The searched text covers every kind of output.
    assert "receive_response_headers" in caplog.text
    assert "HTTP Request: GET" in caplog.text
    assert "what to do with REDACTED?" in caplog.text or status is not None
    kept = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert "quota.sqlite" in kept
    assert ("answers.sqlite" if transport == "live" else "youtube.jsonl") in kept


@pytest.mark.parametrize("status", [302, 400, 401, 403, 429, 500])
def test_no_secret_is_in_an_error_or_its_causes(tmp_path: Path, status: int) -> None:
    key = SECRETS["YOUTUBE_KEY"]
    clock = FakeClock()

    async def work(port: int) -> SourceError:
        session = Session(
            make_settings(tmp_path, **SECRETS),
            now=clock.now,
            network=lambda: Wired(port),
            sleep=clock.sleep,
            monotonic=clock.monotonic,
        )
        async with session:
            client = (await session.context(TODAY)).client
            request = Request(URL, "youtube", secrets={"X-Goog-Api-Key": key}, is_public=True)
            assert key not in repr(request)
            with pytest.raises(SourceError) as caught:
                await client.send(request)
            return caught.value

    with serving(well, {API: repeat(status)}) as server:
        error: BaseException | None = run(work(server.port))
    assert isinstance(error, SourceError)
    assert error.exchange is not None
    told = "".join(traceback.format_exception(error))
    told += repr(error.exchange.body) + repr(error.exchange.headers) + error.exchange.url
    while error is not None:
        told += repr(error) + str(error) + repr(vars(error))
        error = error.__cause__ or error.__context__
    assert key not in told


def test_logs_are_redacted_only_during_a_session(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    collect(tmp_path, "live", None)
    logging.getLogger("httpx").info("a line of %s", "somebody else")
    assert "a line of somebody else" in caplog.text
    assert not logging.getLogger("httpx").filters
