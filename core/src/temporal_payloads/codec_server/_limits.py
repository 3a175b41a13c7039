"""How much a request may take, and how much all of them together."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from temporal_payloads.codec_server._errors import RequestError, limit_exceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from temporal_payloads._settings.codec_server import LimitSettings


class Limits:
    """What requests share: the memory they hold, and the storage reads under way."""

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._allowances: dict[Allowance, None] = {}
        self._freed = asyncio.Event()
        self._reads = asyncio.Semaphore(settings.concurrent_reads)

    @asynccontextmanager
    async def request(self) -> AsyncIterator[Allowance]:
        """Yield what one request may take; afterwards it holds nothing any more.

        Raises:
            RequestError: The request took longer than it may. It names what it was waiting for.
        """
        allowance = Allowance(self)
        self._allowances[allowance] = None
        seconds = self.settings.request_time.total_seconds()
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                yield allowance
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise allowance.overdue(seconds) from error
        finally:
            del self._allowances[allowance]
            self._notify()

    def _notify(self) -> None:
        self._freed.set()
        self._freed = asyncio.Event()

    async def _wait_for(self, allowance: Allowance, size: int) -> None:
        # The oldest request goes on whatever it needs: each ends in its turn, and nobody waits for ever.
        while allowance is not next(iter(self._allowances)):
            held = sum(each.held for each in self._allowances)
            if held + size <= self.settings.memory:
                break
            await self._freed.wait()


class Allowance:
    """What one request holds, and what its response adds up to."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waited = {"memory": 0.0, "concurrent_reads": 0.0}
        self._response = 0
        self.held = 0
        """Bytes of memory."""

    @property
    def settings(self) -> LimitSettings:
        """The settings."""
        return self._limits.settings

    async def take(self, size: int) -> None:
        """Wait until there is memory for this many bytes, and hold it."""
        with self._waiting("memory"):
            await self._limits._wait_for(self, size)  # noqa: SLF001  # two halves of one thing
        self.held += size

    def correct(self, estimated: int, actual: int) -> None:
        """Hold what was found instead of what had been expected."""
        self.held += actual - estimated
        if actual < estimated:
            self._limits._notify()  # noqa: SLF001  # two halves of one thing

    @asynccontextmanager
    async def read(self) -> AsyncIterator[None]:
        """Wait for a turn to read from a storage."""
        with self._waiting("concurrent_reads"):
            await self._limits._reads.acquire()  # noqa: SLF001  # two halves of one thing
        try:
            yield
        finally:
            self._limits._reads.release()  # noqa: SLF001  # two halves of one thing

    def respond_with(self, size: int) -> None:
        """Count bytes of the response.

        Raises:
            RequestError: It has too many.
        """
        self._response += size
        if self._response > self.settings.response_size:
            raise limit_exceeded(
                "response_size",
                f"the payloads of the response are over {int(self.settings.response_size)} bytes together; "
                "ask for fewer at once",
            )

    @contextmanager
    def _waiting(self, setting: str) -> Iterator[None]:
        start = time.monotonic()
        try:
            yield
        finally:
            # Several payloads wait at the same time; the one that waits longest tells.
            waited = time.monotonic() - start
            self._waited[setting] = max(self._waited[setting], waited)

    def overdue(self, seconds: float) -> RequestError:
        """Return the error of this request's having taken too long; it names what took most of the time."""
        for setting, waited in self._waited.items():
            if waited > seconds / 2:
                return limit_exceeded(setting, f"the server is busy: no turn came within {seconds:g}s", 503)
        return limit_exceeded("request_time", f"the request took longer than {seconds:g}s", 503)
