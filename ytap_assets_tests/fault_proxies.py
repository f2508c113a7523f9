"""Proxies that fail on demand, before a PostgreSQL server and before an S3 server.

Each is a process of its own, since tests open no sockets: `run_proxy` starts one, and its faults
are ordered by name, one line each. A fault happens once, and the next order replaces it.

Faults of PostgreSQL concern the next transaction that inserts a snapshot:

- `lose-answer`: the connection ends, and the commit arrives at the server, which makes it
- `lose-commit`: the connection ends before the commit arrives
- `commit-later`: the connection ends, and the commit arrives half a second later
- `lose-answer-and-server`, `lose-commit-and-server`: the same, and then nobody is connected
- `refuse`: nobody is connected
- `cut`: all connections that are open end

Faults of S3, each with a number N, concern the Nth request that writes an object:

- `500 N`, `503 N`: it is answered with that status, and not done
- `always-503 N`: this one and all that follow
- `half N`: half of it is read, and the connection ends
- `lose N`: it is done, and the connection ends without an answer
- `stall N`: it is never answered

`pass` ends every fault; `ask` changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_CHUNK = 1 << 16
_LATER_S = 0.5


@dataclass(frozen=True)
class Proxy:
    """A proxy that runs.

    Attributes:
        port: Where it listens, on this machine.
    """

    port: int
    _process: subprocess.Popen[str]

    def order(self, fault: str) -> int:
        """Order a fault; how many faults have happened since the order before."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{fault}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def run_proxy(kind: str, host: str, port: int) -> Iterator[Proxy]:
    """Run a proxy of a kind, `postgres` or `s3`, before a server."""
    command = [sys.executable, "-m", "ytap_assets_tests.fault_proxies", kind, host, str(port)]
    with subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield Proxy(int(process.stdout.readline()), process)
        process.terminate()


class _Orders:
    """The fault that was ordered, and how often faults happened."""

    def __init__(self) -> None:
        self.fault = "pass"
        self.happened = 0
        self.writes = 0

    def listen(self, apply: Any = None) -> None:
        """Take orders, until there are no more."""
        for line in sys.stdin:
            happened, order = self.happened, line.strip()
            if order != "ask":
                self.fault, self.happened, self.writes = order, 0, 0
                if apply is not None:
                    apply(order)
            sys.stdout.write(f"{happened}\n")
            sys.stdout.flush()

    def happen(self, then: str = "pass") -> None:
        """Count a fault; what is ordered from then on."""
        self.happened += 1
        self.fault = then


class _PostgresProxy:
    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._orders = _Orders()
        self._open: set[asyncio.StreamWriter] = set()

    async def run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        loop = asyncio.get_running_loop()

        def apply(fault: str) -> None:
            if fault == "cut":
                self._orders.happen()
                loop.call_soon_threadsafe(self._end_all)

        await loop.run_in_executor(None, self._orders.listen, apply)

    def _end_all(self) -> None:
        for one in self._open:
            one.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        if self._orders.fault == "refuse":
            client.transport.abort()
            return
        try:
            answers, server = await asyncio.open_connection(*self._upstream)
        except ConnectionError:  # the server is being restarted
            client.transport.abort()
            return
        self._open |= {client, server}
        back = asyncio.create_task(self._answer(answers, client))
        try:
            await self._forward(reader, client, server, back)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            back.cancel()
            for one in (client, server):
                self._open.discard(one)
                one.close()

    async def _forward(
        self,
        reader: asyncio.StreamReader,
        client: asyncio.StreamWriter,
        server: asyncio.StreamWriter,
        back: asyncio.Task[None],
    ) -> None:
        makes_snapshot = False
        while chunk := await reader.read(_CHUNK):
            makes_snapshot |= b"INSERT INTO" in chunk and b"ducklake_snapshot " in chunk
            fault = self._orders.fault
            is_end = b"COMMIT" in chunk or b"ROLLBACK" in chunk
            if makes_snapshot and is_end and fault in _COMMIT_FAULTS:
                back.cancel()
                self._orders.happen("refuse" if fault.endswith("-and-server") else "pass")
                client.transport.abort()
                if not fault.startswith("lose-commit"):
                    if fault == "commit-later":
                        await asyncio.sleep(_LATER_S)
                    server.write(chunk)
                    await server.drain()
                return
            makes_snapshot &= not is_end
            server.write(chunk)
            await server.drain()

    async def _answer(self, answers: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await answers.read(_CHUNK):
                client.write(chunk)
                await client.drain()
        client.close()


_COMMIT_FAULTS = (
    "lose-answer",
    "lose-commit",
    "commit-later",
    "lose-answer-and-server",
    "lose-commit-and-server",
)


class _S3Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _S3Handler)
        self.upstream = (host, port)
        self.orders = _Orders()
        self._lock = threading.Lock()

    def run(self) -> None:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        sys.stdout.write(f"{self.server_address[1]}\n")
        sys.stdout.flush()
        self.orders.listen()

    def choose_fault(self) -> str | None:
        """The fault of one more request that writes."""
        orders = self.orders
        with self._lock:
            orders.writes += 1
            name, _, number = orders.fault.partition(" ")
            if name == "pass" or orders.writes < int(number):
                return None
            orders.happen(orders.fault if name.startswith("always") else "pass")
            return name.removeprefix("always-")


class _S3Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _S3Proxy

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def _handle(self) -> None:
        fault = self.server.choose_fault() if self.command in {"PUT", "POST"} else None
        body = self._read_body(half=fault == "half")
        if fault == "half":
            self.close_connection = True
            return
        if fault == "stall":
            time.sleep(3600)
        if fault in {"500", "503"}:
            self._answer(int(fault), {}, b"<Error><Code>SlowDown</Code></Error>")
            return
        connection = http.client.HTTPConnection(*self.server.upstream)
        connection.request(self.command, self.path, body, dict(self.headers.items()))
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if fault == "lose":
            self.close_connection = True
            return
        self._answer(
            answer.status, {name.lower(): one for name, one in answer.getheaders()}, content
        )

    def _read_body(self, *, half: bool) -> bytes:
        """What was sent, or half of it; with its framing where that is in chunks."""
        if self.headers.get("transfer-encoding") != "chunked":
            length = int(self.headers.get("content-length") or 0)
            return self.rfile.read(length // 2 if half else length)
        body = b""
        while not half or not body:
            head = self.rfile.readline()
            size = int(head.split(b";")[0], 16)
            body += head + self.rfile.read(size) + self.rfile.readline()
            if size == 0:
                break
        return body

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle  # noqa: N815

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        length = headers.get("content-length", "0") if self.command == "HEAD" else len(content)
        for name, value in headers.items():
            if name not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        self.send_header("content-length", str(length))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """Run one: its kind, and the host and port of the server."""
    kind, host, port = sys.argv[1:]
    if kind == "postgres":
        asyncio.run(_PostgresProxy(host, int(port)).run())
    else:
        _S3Proxy(host, int(port)).run()


if __name__ == "__main__":
    main()
