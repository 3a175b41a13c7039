"""A proxy that can also crawl, answer rubbish, and damage what it passes on."""

from __future__ import annotations

import asyncio
import random
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from support.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

Weather = Literal["fair", "crawl", "rubbish", "damage"]
CHUNK = 65536
CRAWL_CHUNK = 1024
CRAWL_PAUSE = 0.1
"""Seconds for each chunk: 10 KB/s on each connection."""


class StormProxy(TcpProxy):
    """Forwards connections to a server, well or badly.

    Args:
        host: The server's host.
        port: The server's port; `target` can be changed later.
        seed: Decides what rubbish is answered and which bytes are damaged.
    """

    def __init__(self, host: str, port: int, *, seed: str) -> None:
        super().__init__(host, port)
        self._weather: Weather = "fair"
        self._random = random.Random(seed)
        self.touched = 0
        """How often an answer was held up, replaced or damaged."""

    @contextmanager
    def turned(self, weather: Weather) -> Iterator[None]:
        """Forward in this way for a while."""
        self._weather = weather
        try:
            yield
        finally:
            self._weather = "fair"

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.target)
        directions = [
            asyncio.create_task(self._requests(reader, upstream_writer)),
            asyncio.create_task(self._answers(upstream_reader, writer)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before anything is waited for: who cuts the connection may cancel this wait.
            upstream_writer.close()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            with suppress(OSError):
                await upstream_writer.wait_closed()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # What is asked and stored goes through as it is: a store that damages what it keeps has lost it.
        while data := await reader.read(CHUNK):
            await self._write(data, writer)

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK):
            self.touched += self._weather != "fair"
            if self._weather == "rubbish":
                data = self._random.randbytes(self._random.randrange(1, 2 * len(data)))
            elif self._weather == "damage" and self._random.random() < 1 / 2:
                damaged = bytearray(data)
                damaged[self._random.randrange(len(data))] ^= 1 << self._random.randrange(8)
                data = bytes(damaged)
            await self._write(data, writer)

    async def _write(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        while self._weather == "crawl" and data:
            chunk, data = data[:CRAWL_CHUNK], data[CRAWL_CHUNK:]
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(CRAWL_PAUSE)
        writer.write(data)
        await writer.drain()
