"""How much a request may take, and how much all of them together."""

from __future__ import annotations

import asyncio
import bisect
import time
import traceback
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads.codec_server._errors import RequestError, limit_exceeded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from temporal_payloads._settings.codec_server import LimitSettings


class Limits:
    """What requests share: the memory they hold, and the storage reads under way.

    Memory is granted to whoever fits. A request holds what it has while it waits for more, so several could
    wait for each other: the one that came first may therefore go over the limit, alone, and with one piece
    of work at a time. What all hold together is never more than the limit and what one request needs.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self.settings = settings
        self._held = 0
        self._waiting: list[_Waiter] = []
        """The request that came first, first."""
        self._over_limit: Allowance | None = None
        self._reads = asyncio.Semaphore(settings.concurrent_reads)
        self._requests = 0

    @property
    def held(self) -> int:
        """Bytes of memory that all requests hold."""
        return self._held

    @asynccontextmanager
    async def request(self) -> AsyncIterator[Allowance]:
        """Yield what one request may take; afterwards it holds nothing any more.

        Raises:
            RequestError: The request took longer than it may. It names what it was waiting for.
        """
        self._requests += 1
        allowance = Allowance(self, self._requests)
        seconds = self.settings.request_time.total_seconds()
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                yield allowance
        except BaseException as error:
            _let_go(error)
            if isinstance(error, TimeoutError) and deadline.expired():
                raise allowance.overdue(seconds) from error
            raise
        finally:
            if self._over_limit is allowance:
                self._over_limit = None
            self._give_back(allowance.held)

    async def _take(self, allowance: Allowance, size: int, *, to_work: bool) -> None:
        waiter = _Waiter(allowance, size, to_work, asyncio.get_running_loop().create_future())
        bisect.insort(self._waiting, waiter, key=lambda each: each.allowance.number)
        self._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:
                allowance.at_work -= to_work
                allowance.give_back(size)
            raise

    def _grant(self) -> None:
        """Give memory to those who wait, as far as there is any."""
        for waiter in list(self._waiting):
            allowance = waiter.allowance
            if waiter.size and self._held + waiter.size > self.settings.memory:
                first = self._over_limit or self._waiting[0].allowance
                if allowance is not first or allowance.at_work:
                    continue
                self._over_limit = allowance
            self._waiting.remove(waiter)
            self._held += waiter.size
            allowance.held += waiter.size
            allowance.at_work += waiter.to_work
            if not waiter.granted.done():
                waiter.granted.set_result(None)

    def _give_back(self, size: int) -> None:
        self._held -= size
        if self._held <= self.settings.memory:
            self._over_limit = None
        self._grant()


@dataclass(frozen=True, eq=False)
class _Waiter:
    """One that wants memory."""

    allowance: Allowance
    size: int
    to_work: bool
    granted: asyncio.Future[None]


class Reservation:
    """Memory for one piece of work."""

    def __init__(self) -> None:
        self.kept = 0

    def keep(self, size: int) -> None:
        """Go on holding this much of it when the work is done."""
        self.kept = size


class Allowance:
    """What one request holds, and what its response adds up to.

    Args:
        limits: What it shares with the others.
        number: The lower, the longer the request has been there.
    """

    def __init__(self, limits: Limits, number: int) -> None:
        self._limits = limits
        self._waited = {"memory": 0.0, "concurrent_reads": 0.0}
        self._response = 0
        self.number = number
        self.held = 0
        """Bytes of memory."""
        self.at_work = 0
        """Pieces of work under way."""

    @property
    def settings(self) -> LimitSettings:
        """The settings."""
        return self._limits.settings

    async def take(self, size: int) -> None:
        """Wait until there is memory for this many bytes, and hold it."""
        await self._take(size, to_work=False)

    async def _take(self, size: int, *, to_work: bool) -> None:
        with self._waiting("memory"):
            await self._limits._take(self, size, to_work=to_work)  # noqa: SLF001  # two halves of one thing

    def give_back(self, size: int) -> None:
        """Hold less."""
        self.held -= size
        self._limits._give_back(size)  # noqa: SLF001  # two halves of one thing

    @asynccontextmanager
    async def work(self, size: int) -> AsyncIterator[Reservation]:
        """Wait until there is memory for this many bytes, and hold it for one piece of work.

        The work must not take more meanwhile: it could wait for itself.
        """
        await self._take(size, to_work=True)
        reservation = Reservation()
        try:
            yield reservation
        except BaseException as error:
            _let_go(error)
            raise
        finally:
            self.at_work -= 1
            self.give_back(size - reservation.kept)

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

    @asynccontextmanager
    async def client(self, what: str) -> AsyncIterator[None]:
        """Wait for the client, no longer than it may keep the server waiting.

        Raises:
            RequestError: It did.
        """
        seconds = self.settings.client_time.total_seconds()
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                yield
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise limit_exceeded("client_time", f"the client {what} for {seconds:g}s", 408) from error

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


def _let_go(error: BaseException | None) -> None:
    """Empty an error's tracebacks of the work: whoever keeps the error would keep its memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
