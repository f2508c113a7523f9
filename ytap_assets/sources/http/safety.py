"""Secrets stay out of what is kept: logs, errors, recordings, payloads.

We only ever send secrets in headers; what is left is a platform that echoes one, and the HTTP
library, which logs what it is answered.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_MASK = "REDACTED"
_TALKATIVE = ("httpx", "httpcore.connection", "httpcore.http11")
"""Loggers that repeat a platform's headers and reason phrases."""
_SHORTEST = 8
"""What is shorter may be a common word; no platform gives out such keys."""


class Redactor:
    """Blanks every secret it was told of."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def learn(self, header: str) -> None:
        """Take note of a secret header's value, with and without its scheme (``Bearer ...``)."""
        for secret in (header, header.rpartition(" ")[2]):
            if len(secret) >= _SHORTEST:
                self._secrets.add(secret)

    def text(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self._longest_first():
            text = text.replace(secret, _MASK)
        return text

    def body(self, body: bytes) -> bytes:
        """The body without the secrets."""
        for secret in self._longest_first():
            body = body.replace(secret.encode(), _MASK.encode())
        return body

    def _longest_first(self) -> list[str]:
        return sorted(self._secrets, key=lambda secret: (-len(secret), secret))


class _Blanking(logging.Filter):
    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._redactor.text(record.getMessage()), None
        return True


@contextmanager
def blanked_logs(redactor: Redactor) -> Iterator[None]:
    """While it lasts, the HTTP library logs nothing the redactor knows."""
    blanking = _Blanking(redactor)
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    for logger in loggers:
        logger.addFilter(blanking)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(blanking)
