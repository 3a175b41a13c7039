"""A resource that is opened once per event loop, at its first use, and closed with the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from contextvars import Context
from typing import Generic, TypeVar

T = TypeVar("T")

_holding: set[asyncio.Task[None]] = set()
"""The tasks that hold resources open. An event loop has only weak references to its tasks: without these, one
whose data converter is no longer used would be collected, and its resource left open."""


class PerLoop(Generic[T]):
    """Opens a resource once in each event loop that uses it.

    Client libraries bind their sockets to a loop, while a data converter may serve several: consecutive
    `asyncio.run` calls, or loops in different threads. In each loop a task of its own opens the resource
    and waits; `asyncio.run` cancels it when it shuts its loop down, and thereby closes the resource. (Not
    an async generator: a loop finalises all of those at once, and the ones inside a client's context
    manager would be closed under the hands of the one around them.)

    Args:
        open_resource: Makes the context manager that opens and closes the resource.
    """

    def __init__(self, open_resource: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._open_resource = open_resource
        # No lock: a loop's entry is used by that loop's thread alone.
        self._holders: dict[asyncio.AbstractEventLoop, _Holder[T]] = {}

    @asynccontextmanager
    async def use(self) -> AsyncIterator[T]:
        """Yield this loop's resource, opened if need be. Concurrent first uses open it once."""
        with self._holder().in_use() as opened:
            # Shielded: whoever gives up waiting must not take the resource from the others.
            yield await asyncio.shield(opened)

    @asynccontextmanager
    async def kept_open(self) -> AsyncIterator[None]:
        """Open this loop's resource now; close it when the last such block ends. Later uses open it anew."""
        holder = self._holder()
        holder.keepers += 1
        try:
            await asyncio.shield(holder.opened)
            yield
        finally:
            holder.keepers -= 1
            if not holder.keepers:
                self._forget(holder)
                await holder.close()

    def _holder(self) -> _Holder[T]:
        loop = asyncio.get_running_loop()
        if loop not in self._holders:
            # An entry outlives neither its resource nor a failed opening: the next use tries again.
            self._holders[loop] = _Holder(self._open_resource, self._forget)
        return self._holders[loop]

    def _forget(self, holder: _Holder[T]) -> None:
        if self._holders.get(holder.loop) is holder:
            del self._holders[holder.loop]


class _Holder(Generic[T]):
    """One loop's resource: the task that holds it open, and who is using it."""

    def __init__(
        self,
        open_resource: Callable[[], AbstractAsyncContextManager[T]],
        forget: Callable[[_Holder[T]], None],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[T] = self.loop.create_future()
        # Whoever wants the resource is told why it could not be opened; nobody need be left to tell.
        self.opened.add_done_callback(lambda opened: opened.cancelled() or opened.exception())
        self.keepers = 0
        self._users = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = asyncio.Event()
        self._forget = forget
        # In a context of its own: what the first user has in his, a tracing span for instance, ends before.
        self._task = self.loop.create_task(self._hold_open(open_resource), context=Context())
        _holding.add(self._task)
        self._task.add_done_callback(_holding.discard)

    async def _hold_open(self, open_resource: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        try:
            async with open_resource() as resource:
                self.opened.set_result(resource)
                await self._closing.wait()
        except asyncio.CancelledError:
            self.opened.cancel()
            raise
        except Exception as error:
            if self.opened.done():
                raise
            self.opened.set_exception(error)
        finally:
            self._forget(self)

    @contextmanager
    def in_use(self) -> Iterator[asyncio.Future[T]]:
        """Keep the resource from being closed."""
        self._users += 1
        self._idle.clear()
        try:
            yield self.opened
        finally:
            self._users -= 1
            if not self._users:
                self._idle.set()

    async def close(self) -> None:
        """Close the resource as soon as nobody uses it; give up opening it, if it is not open yet."""
        await self._idle.wait()
        self._closing.set()
        if not self.opened.done():
            self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.result()
