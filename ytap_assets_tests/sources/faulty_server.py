"""A server on loopback that is faulty for one host, and a transport to it.

Sockets, bodies and resets are real; only names and TLS are left out: whatever `https://HOST/` is
asked for is asked of this server, with the host it was meant for in the Host header.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx

from ytap_assets.sources.http.client import live_transport

Behaviour = Callable[["Call"], None]
_LONGEST_WAIT_S = 20.0


class Call:
    """One request, and the socket for its response."""

    def __init__(self, connection: socket.socket, head: str, number: int) -> None:
        self.connection = connection
        self.head = head
        self.number = number
        self.method, self.path = head.split(" ", 2)[:2]

    @property
    def host(self) -> str:
        """The requested host."""
        lines = self.head.lower().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("host:"))

    def send(self, data: bytes) -> None:
        """Send raw bytes."""
        self.connection.sendall(data)

    def reply(self, status: int, body: bytes = b"", **headers: str) -> None:
        """Send a complete response."""
        names = {"content_type": "application/json", **headers}
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in names.items()]
        head = "\r\n".join([f"HTTP/1.1 {status} So", *lines, f"content-length: {len(body)}"])
        self.send(f"{head}\r\nconnection: close\r\n\r\n".encode() + body)

    def begin(self, length: int | None = None, **headers: str) -> None:
        """Send the head of a response; chunked without a length."""
        size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.send("\r\n".join(["HTTP/1.1 200 So", size, *lines]).encode() + b"\r\n\r\n")

    def reset(self) -> None:
        """Reset the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def wait_for_the_end(self) -> None:
        """Send nothing until the client disconnects."""
        with suppress(OSError):
            self.connection.recv(1)


class FaultyServer:
    """Answers every host, with faults for some, and stores the requests."""

    def __init__(self, well: Behaviour, faults: dict[str, Behaviour]) -> None:
        self._well = well
        self._faults = faults
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.asked: Counter[str] = Counter()
        self._threads: list[threading.Thread] = []

    def serve(self) -> None:
        """Serve until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.settimeout(_LONGEST_WAIT_S)
                thread = threading.Thread(target=self._answer, args=(connection,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def close(self) -> None:
        """Accept no more connections, and wait for the open ones."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(_LONGEST_WAIT_S)

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                received = connection.recv(65_536)
                if not received:
                    return
                head += received
            call = Call(connection, head.decode("latin-1"), 0)
            self.asked[call.host] += 1
            call.number = self.asked[call.host]
            self._faults.get(call.host, self._well)(call)


@contextmanager
def serving(well: Behaviour, faults: dict[str, Behaviour]) -> Iterator[FaultyServer]:
    """A server in a thread of its own."""
    server = FaultyServer(well, faults)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join(_LONGEST_WAIT_S)


class Wired(httpx.AsyncBaseTransport):
    """The live transport, with every host at one address."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._network = live_transport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request to the server."""
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self._port)
        wired = httpx.Request(
            request.method,
            url,
            headers=request.headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._network.handle_async_request(wired)

    async def aclose(self) -> None:
        """Close the transport."""
        await self._network.aclose()


def to_json(content: object) -> bytes:
    """A document as bytes."""
    return json.dumps(content).encode()
