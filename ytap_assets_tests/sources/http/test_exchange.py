from __future__ import annotations

import errno
import json
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from ytap_assets.sources.http.exchange import (
    PermanentError,
    QuotaExhaustedError,
    SourceError,
    TransientError,
    classify_response,
    describe_failure,
)
from ytap_assets.tables.evidence import OUTCOMES
from ytap_assets_tests.sources.support import answer


def google(reason: str, message: str = "no") -> bytes:
    error = {"errors": [{"reason": reason, "message": message}], "message": message}
    return json.dumps({"error": error}, indent=1).encode()


BUCKET = "Quota exceeded for quota metric 'Search Queries' and limit 'Search Queries per day'"
PACE = "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'"

CASES = [
    (200, b"{}", None),
    (204, b"", None),
    (304, b"", None),
    (302, b"", PermanentError),
    (400, b"<html>Bad request</html>", PermanentError),
    (401, google("authError"), PermanentError),
    (403, b'{"message": "Forbidden", "error": 403}', PermanentError),
    (403, google("quotaExceeded"), QuotaExhaustedError),
    (403, google("dailyLimitExceeded"), QuotaExhaustedError),
    (403, google("rateLimitExceeded"), TransientError),
    (403, google("playlistForbidden"), PermanentError),
    (404, b"<!DOCTYPE html>", PermanentError),
    (408, b"", TransientError),
    (410, b"", PermanentError),
    (418, b"", PermanentError),
    (425, b"", TransientError),
    (429, b"", TransientError),
    (429, b"<html>Too Many Requests</html>", TransientError),
    (429, google("rateLimitExceeded", BUCKET), QuotaExhaustedError),
    (429, google("rateLimitExceeded", PACE), TransientError),
    (500, b"", TransientError),
    (502, b"", TransientError),
    (503, google("quotaExceeded"), TransientError),
    (599, b"\xff\xfe", TransientError),
]


@pytest.mark.parametrize(("status", "body", "expected"), CASES)
def test_the_status_and_the_body_determine_the_error(
    status: int, body: bytes, expected: type[SourceError] | None
) -> None:
    error = classify_response(answer(body, status=status))
    assert type(error) is (expected or type(None))


def test_the_message_has_url_status_and_reason() -> None:
    error = classify_response(answer(google("x", "API key\x1b[31m not valid"), status=400))
    assert str(error) == (
        "api.example/x returned 400: the request was refused (API key\\u001b[31m not valid)"
    )


def test_a_long_body_is_quoted_in_part_only() -> None:
    error = classify_response(answer(google("x", "a" * 10_000), status=400))
    assert len(str(error)) < 500


def test_every_error_is_an_outcome_of_the_log() -> None:
    def tree(error: type[SourceError]) -> list[type[SourceError]]:
        return [error, *(leaf for child in error.__subclasses__() for leaf in tree(child))]

    errors = tree(SourceError)
    assert len(errors) > 8
    assert {error.outcome for error in errors} | {"ok", "not_modified"} == set(OUTCOMES)


def test_a_recorded_quota_response_is_distinguished_from_others(real_data: Path) -> None:
    body = (real_data / "youtube_api" / "quotaExceeded_403.json").read_bytes()
    assert type(classify_response(answer(body, status=403))) is QuotaExhaustedError


def caused(error: Exception, *causes: Exception) -> Exception:
    """An error as raised by httpx: each is the cause of the one before."""
    outer = error
    for cause in causes:
        outer.__cause__ = cause
        outer = cause
    return error


REFUSED = ConnectionRefusedError(errno.ECONNREFUSED, "no")
FAILURES = [
    (caused(httpx.ConnectError("x"), socket.gaierror(-2, "x")), "host name could not be resolved"),
    (caused(httpx.ConnectError("x"), OSError("all failed"), REFUSED), "connection refused"),
    (
        caused(httpx.ConnectError("x"), OSError("all failed"), ExceptionGroup("x", [REFUSED])),
        "connection refused",
    ),
    (
        caused(httpx.ConnectError("x"), ssl.SSLCertVerificationError(1, "self-signed")),
        "the certificate is not valid",
    ),
    (caused(httpx.ConnectError("x"), ssl.SSLError(1, "x")), "no TLS connection could be made"),
    (caused(httpx.ConnectError("x"), OSError(errno.ENETUNREACH, "x")), "network unreachable"),
    (httpx.ConnectTimeout("x"), "timed out while connecting"),
    (httpx.ReadTimeout("x"), "timed out"),
    (TimeoutError(), "timed out"),
    (caused(httpx.ReadError("x"), ConnectionResetError()), "connection lost"),
    (httpx.ProxyError("x"), "the proxy refused the request"),
    (httpx.ConnectError("x"), "no connection could be made"),
    (ValueError("https://u:secret@host"), "the request failed (ValueError)"),
]


@pytest.mark.parametrize(
    ("error", "words"), FAILURES, ids=[f"{n} {words}" for n, (_, words) in enumerate(FAILURES)]
)
def test_a_missing_response_has_a_reason(error: Exception, words: str) -> None:
    assert describe_failure(error) == words
