"""A TCP proxy that loses, holds back and delivers late what goes through it, at random."""

from __future__ import annotations

import asyncio
import heapq
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from random import Random

_LONGEST = 7
"""A message lets up to 2 to the power of this many others pass, mostly far fewer."""
_LULL = 0.0005
"""Seconds without a message after which one that is held back goes on: all the others wait for it."""


class Queue:
    """Lets messages overtake each other: some wait until so many others have passed.

    Proxies that share one hold back each other's messages.
    """

    def __init__(self, random: Random, *, held: float = 0.3) -> None:
        self.random = random
        self.held = held
        self._passed = 0
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._ticking = False

    async def pass_through(self) -> None:
        """Return when it is this message's turn."""
        if self.random.random() < self.held:
            turn = asyncio.get_running_loop().create_future()
            due = self._passed + int(2 ** self.random.uniform(0, _LONGEST))
            heapq.heappush(self._waiting, (due, id(turn), turn))
            self._tick(self._passed - 1)
            await turn
        self._passed += 1
        while self._waiting and self._waiting[0][0] <= self._passed:
            self._release()

    def _release(self) -> None:
        turn = heapq.heappop(self._waiting)[2]
        if not turn.done():
            turn.set_result(None)

    def _tick(self, seen: int, *, again: bool = False) -> None:
        if self._ticking and not again:
            return
        self._ticking = bool(self._waiting)
        if not self._waiting:
            return
        if seen == self._passed:
            self._release()
        loop = asyncio.get_running_loop()
        loop.call_later(_LULL, lambda passed: self._tick(passed, again=True), self._passed)


class LossyProxy:
    """Forwards connections to a server; where a message is lost, its connection breaks.

    Args:
        host: The server's host.
        port: The server's port.
        queue: In which order messages pass.
        lost: How many of a hundred messages are lost: questions, answers, and questions that reach the server
            only after the client has been told that its connection is broken.
    """

    def __init__(self, host: str, port: int, queue: Queue, *, lost: float = 2) -> None:
        self.port = 0
        """Where it listens, on 127.0.0.1."""
        self.lost = lost
        self._target = (host, port)
        self._queue = queue
        self._late: set[asyncio.Task[None]] = set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.close()
        for _ in range(10):  # turns of the loop in which what was just accepted begins, so that it ends too
            await asyncio.sleep(0)
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, *self._late, return_exceptions=True)

    async def settle(self) -> None:
        """Wait until whatever is late has reached the server and been answered."""
        while self._late:
            await asyncio.gather(*self._late)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            self._connections.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self._target)
        asked = asyncio.create_task(self._ask(reader, upstream_writer))
        answered = asyncio.create_task(self._answer(upstream_reader, writer))
        late = b""
        try:
            await asyncio.wait([asked, answered], return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                late = asked.result()
        finally:
            for task in (asked, answered):
                task.cancel()
            await asyncio.gather(asked, answered, return_exceptions=True)
            if late:
                task = asyncio.create_task(self._deliver(late, upstream_reader, upstream_writer))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
            else:
                await _close(upstream_writer)

    async def _ask(self, reader: asyncio.StreamReader, upstream: asyncio.StreamWriter) -> bytes:
        """Forward questions until one is lost; return it if it is to be delivered late."""
        while data := await reader.read(65536):
            await self._queue.pass_through()
            if self._is_lost():
                return data if self._queue.random.random() < 0.5 else b""
            upstream.write(data)
            await upstream.drain()
        return b""

    async def _answer(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await upstream.read(65536):
            await self._queue.pass_through()
            if self._is_lost():
                return
            writer.write(data)
            await writer.drain()

    async def _deliver(
        self, data: bytes, upstream_reader: asyncio.StreamReader, upstream: asyncio.StreamWriter
    ) -> None:
        with suppress(OSError):
            for _ in range(self._queue.random.randint(1, 10)):
                await self._queue.pass_through()
            upstream.write(data)
            await upstream.drain()
            # Part of a question has no answer: the server is told that no more comes.
            if upstream.can_write_eof():
                upstream.write_eof()
            with suppress(TimeoutError):
                async with asyncio.timeout(5):
                    await upstream_reader.read(65536)
        await _close(upstream)

    def _is_lost(self) -> bool:
        return self._queue.random.random() * 100 < self.lost


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
