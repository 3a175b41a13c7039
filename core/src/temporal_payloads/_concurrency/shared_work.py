"""Work that several callers want at the same time, done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Generic, TypeVar

from temporal_payloads._concurrency.gather import gather_bounded

K = TypeVar("K")
T = TypeVar("T")

Work = Callable[[Sequence[K]], Coroutine[Any, Any, dict[K, T]]]
Board = dict[tuple[asyncio.AbstractEventLoop, K], "SharedTask[K, T]"]
"""Where the callers of one event loop find each other's work, by what it is for."""


async def shared(
    board: Board[K, T], wanted: Iterable[K], work: Work[K, T], *, copy: Callable[[T], T] | None = None
) -> dict[K, T]:
    """Do `work` on all that is wanted, and wait for what other callers are working on already.

    Args:
        board: Where callers find each other's work.
        wanted: What this caller needs.
        work: Does the work on several keys at once.
        copy: Gives each of several callers a result of its own; None if results are never changed.

    Returns:
        The result of each key that is wanted.
    """
    loop = asyncio.get_running_loop()
    tasks: dict[SharedTask[K, T], list[K]] = {}
    unclaimed: list[K] = []
    for key in wanted:
        task = board.get((loop, key))
        if task is None:
            unclaimed.append(key)
        else:
            tasks.setdefault(task, []).append(key)
    others = set(tasks)
    if unclaimed:
        tasks[SharedTask(board, unclaimed, work)] = unclaimed

    async def results_of(task: SharedTask[K, T]) -> dict[K, T]:
        keys = tasks[task]
        try:
            done = await task.join()
        except Exception:
            if task not in others:
                raise
            # Another caller's work may have failed over what only that one wants, or knows how to get.
            return await work(keys)
        if copy is None or task.callers == 1:
            return {key: done[key] for key in keys}
        return {key: copy(done[key]) for key in keys}

    results: dict[K, T] = {}
    for some in await gather_bounded(results_of, list(tasks), limit=len(tasks)):
        results |= some
    return results


class SharedTask(Generic[K, T]):
    """Work on some keys, which goes on as long as somebody waits for it.

    A caller that is cancelled leaves the work to the others; the last one to leave cancels it.
    """

    def __init__(self, board: Board[K, T], keys: Sequence[K], work: Work[K, T]) -> None:
        self._keys = frozenset(keys)
        self.callers = 0
        """How many ever wanted the result."""
        self._waiting = 0
        self._board = board
        self._loop = asyncio.get_running_loop()
        board.update({(self._loop, key): self for key in keys})
        self._task = self._loop.create_task(self._do(keys, work))
        self._task.add_done_callback(self._ended)

    async def join(self) -> dict[K, T]:
        """Wait for the result."""
        self.callers += 1
        self._waiting += 1
        try:
            return await asyncio.shield(self._task)
        finally:
            self._waiting -= 1
            if not self._waiting and not self._task.done():
                # Nobody may join what is about to be cancelled.
                self._withdraw()
                self._task.cancel()
                await asyncio.wait([self._task])

    async def _do(self, keys: Sequence[K], work: Work[K, T]) -> dict[K, T]:
        try:
            return await work(keys)
        finally:
            self._withdraw()

    def _ended(self, task: asyncio.Task[dict[K, T]]) -> None:
        self._withdraw()  # a task that is cancelled before its first step runs none of its code
        # Whoever joined a failed task is told; if nobody is left, the failure is nobody's.
        _ = task.cancelled() or task.exception()

    def _withdraw(self) -> None:
        for key in self._keys:
            if self._board.get((self._loop, key)) is self:
                del self._board[self._loop, key]
