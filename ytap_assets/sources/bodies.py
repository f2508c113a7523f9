"""Reading a response's body without trusting its size.

httpx decompresses a chunk as a whole, and a chunk of 64 KiB can hold 64 MiB of zeros; so the raw
bytes are decompressed here, never further than the cap.
"""

from __future__ import annotations

import zlib

import httpx

from ytap_assets.sources.http.exchange import MalformedError

DEFAULT_LIMIT = 8 * 1024 * 1024
ACCEPT_ENCODING = "gzip"


async def read_bounded(response: httpx.Response, limit: int, *, host: str) -> bytes:
    """Read and decompress a body, stopping one byte past ``limit``.

    Returns:
        At most ``limit + 1`` bytes: whoever gets more than ``limit`` knows it was cut.

    Raises:
        MalformedError: The compression is broken, cut, or one that was not asked for.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return await _read_plain(response, limit)
    if encoding in {"gzip", "x-gzip"}:
        try:
            return await _read_gzip(response, limit, host)
        except zlib.error as error:
            raise MalformedError(f"{host}: broken gzip: {error}") from error
    raise MalformedError(f"{host}: compressed as {encoding[:40]!r}, only gzip was asked for")


async def _read_plain(response: httpx.Response, limit: int) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk[: limit + 1 - len(body)]
        if len(body) > limit:
            break
    return bytes(body)


async def _read_gzip(response: httpx.Response, limit: int, host: str) -> bytes:
    gunzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += gunzip.decompress(chunk, limit + 1 - len(body))
        if len(body) > limit:
            return bytes(body)
    if response.num_bytes_downloaded and not gunzip.eof:
        raise MalformedError(f"{host}: the compressed body is cut off")
    return bytes(body)
