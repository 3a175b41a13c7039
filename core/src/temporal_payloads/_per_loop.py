"""A resource that is opened once per event loop, at its first use, and closed with the loop."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

T = TypeVar("T")


class PerLoop(Generic[T]):
    """Opens a resource once in each event loop that uses it.

    Client libraries bind their sockets to a loop, while a data converter may serve several: consecutive
    `asyncio.run` calls, or loops in different threads. The resource is held open by an async generator,
    which `asyncio.run` finalises when it shuts its loop down.

    Args:
        open_resource: Makes the context manager that opens and closes the resource.
    """

    def __init__(self, open_resource: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._open_resource = open_resource
        self._holds: dict[asyncio.AbstractEventLoop, _Hold[T]] = {}
        self._lock = threading.Lock()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[T]:
        """Yield this loop's resource, opened if need be. Concurrent first uses open it once."""
        hold = self._hold_of_this_loop()
        hold.users += 1
        hold.idle.clear()
        try:
            # Shielded: whoever gives up waiting must not take the resource from the others.
            yield await asyncio.shield(hold.opening)
        finally:
            hold.users -= 1
            if not hold.users:
                hold.idle.set()

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator[None]:
        """Open this loop's resource now; close it when the last such block ends. Later uses open it anew."""
        hold = self._hold_of_this_loop()
        hold.keepers += 1
        try:
            async with self.use():
                pass
            yield
        finally:
            hold.keepers -= 1
            if not hold.keepers:
                await self._close(hold)

    def _hold_of_this_loop(self) -> _Hold[T]:
        loop = asyncio.get_running_loop()
        with self._lock:
            hold = self._holds.get(loop)
            if hold is None:
                hold = self._holds[loop] = _Hold()
                hold.generator = self._held_open(loop, hold)
                hold.opening = loop.create_task(self._first(hold.generator))
                # A failed opening must not stay: the next use tries again.
                hold.opening.add_done_callback(lambda task: self._forget_if_failed(loop, hold, task))
        return hold

    async def _held_open(self, loop: asyncio.AbstractEventLoop, hold: _Hold[T]) -> AsyncGenerator[T]:
        try:
            async with self._open_resource() as resource:
                yield resource
        finally:
            # Keeping the entry would keep the loop alive, and a closed resource on offer.
            self._forget(loop, hold)

    @staticmethod
    async def _first(generator: AsyncGenerator[T]) -> T:
        return await anext(generator)

    def _forget_if_failed(
        self, loop: asyncio.AbstractEventLoop, hold: _Hold[T], opening: asyncio.Task[T]
    ) -> None:
        if opening.cancelled() or opening.exception() is not None:
            self._forget(loop, hold)

    def _forget(self, loop: asyncio.AbstractEventLoop, hold: _Hold[T]) -> None:
        with self._lock:
            if self._holds.get(loop) is hold:
                del self._holds[loop]

    async def _close(self, hold: _Hold[T]) -> None:
        self._forget(asyncio.get_running_loop(), hold)
        await hold.idle.wait()
        with suppress(Exception):
            await hold.opening  # its failure was told to those who wanted to use it
        await hold.generator.aclose()


class _Hold(Generic[T]):
    """One loop's resource: the generator that holds it open, and who is using it."""

    generator: AsyncGenerator[T]
    opening: asyncio.Task[T]

    def __init__(self) -> None:
        self.users = 0
        self.keepers = 0
        self.idle = asyncio.Event()
        self.idle.set()
