"""A TCP proxy on loopback that makes a server as far away as a network does, in a process of its own.

What is sent arrives half a round trip later; a new connection takes one round trip to come about; and a
connection has at most `window` bytes under way, which limits its speed to `window` a round trip, as TCP does.
HTTP requests are counted by their methods, unless another protocol is spoken.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

DEFAULT_WINDOW = 1024 * 1024
"""Bytes under way on one connection: 52 MB/s at 20 ms, about what one connection to S3 gives."""


@dataclass
class Proxy:
    """A running proxy, as its user sees it."""

    port: int
    process: subprocess.Popen[str]

    def counts(self) -> dict[str, int]:
        """Return the requests since the last call, by method."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("counts\n")
        self.process.stdin.flush()
        return cast("dict[str, int]", json.loads(self.process.stdout.readline()))


@contextmanager
def start_proxy(
    port: int, *, round_trip: float, window: int = DEFAULT_WINDOW, http: bool = True
) -> Iterator[Proxy]:
    """Put the server on this port of 127.0.0.1 a round trip of so many seconds away."""
    arguments = [str(port), str(round_trip), str(window), "http" if http else "other"]
    command = [sys.executable, "-m", "benchmarks.proxy", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield Proxy(int(process.stdout.readline()), process)
        finally:
            process.terminate()


class RequestCounter:
    """Counts the requests in what a client sends on one connection."""

    def __init__(self, counts: Counter[str]) -> None:
        self._counts = counts
        self._buffer = b""
        self._body = 0
        self._chunked = False

    def feed(self, data: bytes) -> None:
        if self._body >= len(data) and not self._buffer:
            self._body -= len(data)
            return
        self._buffer += data[self._body :]
        self._body = 0
        while self._buffer:
            end, pattern = (b"0\r\n\r\n", 5) if self._chunked else (b"\r\n\r\n", 4)
            at = self._buffer.find(end)
            if at < 0:
                self._buffer = self._buffer[-8:] if self._chunked else self._buffer
                return
            head, self._buffer = self._buffer[:at], self._buffer[at + pattern :]
            if self._chunked:
                self._chunked = False
                continue
            self._counts[head.split(b" ", 1)[0].decode("latin-1")] += 1
            length = re.search(rb"(?im)^content-length: *(\d+)", head)
            self._chunked = bool(re.search(rb"(?im)^transfer-encoding: *chunked", head))
            body = int(length[1]) if length else 0
            self._body = max(0, body - len(self._buffer))
            self._buffer = self._buffer[body:]


class End(asyncio.Protocol):
    """One end of a connection; passes what it gets to the other end, later."""

    def __init__(self, delay: float, window: int, counter: RequestCounter | None) -> None:
        self.other: End
        self.transport: asyncio.Transport | None = None
        self._delay = delay
        self._window = window
        self._counter = counter
        self._under_way = 0
        self.not_before = 0.0
        self._sent: deque[bytes | None] = deque()
        self._waiting: list[bytes | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        for data in self._waiting:
            self.deliver(data)
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        if self._counter:
            self._counter.feed(data)
        assert self.transport is not None
        self._under_way += len(data)
        if self._under_way >= self._window:
            self.transport.pause_reading()
        loop = asyncio.get_running_loop()
        due = max(loop.time() + self._delay, self.not_before)
        self._sent.append(data)
        loop.call_at(due, self._arrive)
        loop.call_at(due + self._delay, self._acknowledged, len(data))

    def eof_received(self) -> bool:
        loop = asyncio.get_running_loop()
        self._sent.append(None)
        loop.call_at(max(loop.time() + self._delay, self.not_before), self._arrive)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.eof_received()

    def _arrive(self) -> None:
        # Timers that are due at the same time fire in any order; what was sent first arrives first.
        self.other.deliver(self._sent.popleft())

    def _acknowledged(self, size: int) -> None:
        self._under_way -= size
        if self._under_way < self._window and self.transport and not self.transport.is_closing():
            self.transport.resume_reading()

    def deliver(self, data: bytes | None) -> None:
        if self.transport is None:
            self._waiting.append(data)
        elif not self.transport.is_closing():
            if data is None:
                self.transport.close()
            else:
                self.transport.write(data)


async def serve(target: int, round_trip: float, window: int, *, http: bool) -> None:
    """Listen on a free port, tell which, and answer questions on standard input until it ends."""
    loop = asyncio.get_running_loop()
    counts: Counter[str] = Counter()
    connecting: set[asyncio.Task[object]] = set()

    def accept() -> End:
        near = End(round_trip / 2, window, RequestCounter(counts) if http else None)
        far = End(round_trip / 2, window, None)
        near.other, far.other = far, near
        near.not_before = loop.time() + round_trip * 1.5
        task: asyncio.Task[object] = loop.create_task(
            loop.create_connection(lambda: far, "127.0.0.1", target)
        )
        connecting.add(task)
        task.add_done_callback(connecting.discard)
        return near

    server = await loop.create_server(accept, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(counts), flush=True)
        counts.clear()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), http=sys.argv[4] == "http"))
