"""Work that several callers want at the same time, done once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

from temporal_payloads._gather import gather_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

K = TypeVar("K")
T = TypeVar("T")


class SharedTask(Generic[T]):
    """A task that lives as long as somebody waits for it.

    A caller that is cancelled leaves the work to the others; the last one to leave cancels it.

    Args:
        work: What to do.
        when_done: Called when the work has ended, however it did.
    """

    def __init__(self, work: Coroutine[object, object, T], when_done: Callable[[], None]) -> None:
        def done(task: asyncio.Task[T]) -> None:
            when_done()
            # Whoever joins a failed task is told; if nobody is left to join, the failure is nobody's.
            _ = task.cancelled() or task.exception()

        self._task = asyncio.create_task(work)
        self._task.add_done_callback(done)
        self._waiting = 0

    async def join(self) -> T:
        """Wait for the result."""
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])


Board = dict[tuple[asyncio.AbstractEventLoop, K], SharedTask[dict[K, T]]]
"""Where the callers of one event loop find each other's work, by what it is for."""


class SharedWork(Generic[K, T]):
    """The part of a call's work that is under way, by this call or by others in the same event loop.

    Args:
        board: Where calls find each other's work.
        wanted: What this call needs.
    """

    def __init__(self, board: Board[K, T], wanted: Iterable[K]) -> None:
        self._board = board
        self._loop = asyncio.get_running_loop()
        self._tasks: dict[SharedTask[dict[K, T]], None] = {}
        self.unclaimed: list[K] = []
        """What nobody is working on yet."""
        for key in wanted:
            task = board.get((self._loop, key))
            if task is None:
                self.unclaimed.append(key)
            else:
                self._tasks[task] = None

    def launch(self, work: Coroutine[object, object, dict[K, T]]) -> None:
        """Start the work on all that was unclaimed, and let others join it."""
        entries = [(self._loop, key) for key in self.unclaimed]

        def clear() -> None:
            for entry in entries:
                del self._board[entry]

        task = SharedTask(work, clear)
        self._tasks[task] = None
        for entry in entries:
            self._board[entry] = task

    async def join(self) -> dict[K, T]:
        """Wait for everything that this call needs."""
        results: dict[K, T] = {}
        tasks = list(self._tasks)
        for done in await gather_bounded(SharedTask.join, tasks, limit=len(tasks)):
            results |= done
        return results
