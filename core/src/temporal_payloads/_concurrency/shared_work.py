"""Work that several callers want at the same time, done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from copy import copy as shallow_copy
from typing import Any, Generic, TypeVar, cast

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._concurrency.time_limit import operation_ending_at, operation_ends

K = TypeVar("K")
T = TypeVar("T")

Work = Callable[[Sequence[K]], Coroutine[Any, Any, dict[K, T]]]
Board = dict[tuple[asyncio.AbstractEventLoop, K], "SharedTask[K, T]"]
"""Where the callers of one event loop find each other's work, by what it is for."""


async def shared(
    board: Board[K, T], wanted: Iterable[K], work: Work[K, T], *, copy: Callable[[T], T] | None = None
) -> dict[K, T]:
    """Do `work` on all that is wanted, and wait for what other callers are working on already.

    Work that fails has failed for all callers that wanted exactly that. Callers that wanted only a part of it
    try that part once more, together, for the failure may come from the rest. So nothing is worked on twice
    at the same time, and however many callers wait for it together, it is tried twice at most.

    Args:
        board: Where callers find each other's work.
        wanted: What this caller needs.
        work: Does the work on several keys at once.
        copy: Gives each of several callers a result of its own; None if results are never changed.

    Returns:
        The result of each key that is wanted.

    Raises:
        Exception: What the work raised; where several callers share it, each gets a copy if that can be made.
    """
    return await _shared(board, [list(wanted)], work, copy)


async def _shared(
    board: Board[K, T], groups: Iterable[Sequence[K]], work: Work[K, T], copy: Callable[[T], T] | None
) -> dict[K, T]:
    until = operation_ends()
    tasks = _join(board, groups, work, until)

    async def results_of(task: SharedTask[K, T]) -> dict[K, T]:
        keys = tasks[task]
        try:
            done = await task.result()
        except Exception:
            if task.is_only_for(keys):
                raise
        else:
            if copy is None or task.callers == 1:
                return {key: done[key] for key in keys}
            return {key: copy(done[key]) for key in keys}
        return await _shared(board, task.parts_of(keys), work, copy)

    results: dict[K, T] = {}
    try:
        for some in await gather_bounded(results_of, list(tasks), limit=len(tasks)):
            results |= some
    finally:
        for task in [task for task in tasks if task.leave(until)]:
            await task.ended()
    return results


def _join(
    board: Board[K, T], groups: Iterable[Sequence[K]], work: Work[K, T], until: float
) -> dict[SharedTask[K, T], list[K]]:
    """Become a caller of the tasks that do what is wanted, and begin one for what is left of each group."""
    loop = asyncio.get_running_loop()
    tasks: dict[SharedTask[K, T], list[K]] = {}
    for group in groups:
        unclaimed: list[K] = []
        for key in group:
            task = board.get((loop, key))
            if task is None:
                unclaimed.append(key)
            else:
                tasks.setdefault(task, []).append(key)
        if unclaimed:
            tasks[SharedTask(board, unclaimed, work)] = unclaimed
    for task, keys in tasks.items():
        task.enter(keys, until)
    return tasks


class SharedTask(Generic[K, T]):
    """Work on some keys, which goes on as long as somebody waits for it.

    A caller that is cancelled leaves the work to the others; the last one to leave cancels it. So the work
    has the time of whoever waits longest.
    """

    def __init__(self, board: Board[K, T], keys: Sequence[K], work: Work[K, T]) -> None:
        self._keys = keys
        self._wanted: list[Collection[K]] = []
        self._waiting_until: list[float] = []
        self._board = board
        self._loop = asyncio.get_running_loop()
        board.update({(self._loop, key): self for key in keys})
        self._task = self._loop.create_task(self._do(keys, work))
        self._task.add_done_callback(self._done)

    @property
    def callers(self) -> int:
        """How many ever wanted the result."""
        return len(self._wanted)

    def enter(self, keys: Collection[K], until: float) -> None:
        """Become one of the callers, for these keys, who waits until then at most."""
        self._wanted.append(keys)
        self._waiting_until.append(until)

    def leave(self, until: float) -> bool:
        """Wait no longer. Returns whether that ended the work, for it was for nobody else."""
        if len(self._waiting_until) > 1:
            self._waiting_until.remove(until)
            return False
        # That of the last one stays: it tells the work whether it is cancelled because the time was up.
        if self._task.done():
            return False
        # Nobody may join what is about to be cancelled.
        self._withdraw()
        self._task.cancel()
        return True

    async def ended(self) -> None:
        """Wait until nothing of the work is running."""
        await asyncio.wait([self._task])

    async def result(self) -> dict[K, T]:
        """Wait for the work, and return what it returned or raise what it raised."""
        try:
            return await asyncio.shield(self._task)
        except Exception:
            if self.callers == 1:
                raise
        # Not within the block above: the copy would have the original as its context.
        raise _own(cast("Exception", self._task.exception()))

    def is_only_for(self, keys: Collection[K]) -> bool:
        """Tell whether these keys of the task's are all that it has."""
        return len(keys) == len(self._keys)

    def parts_of(self, keys: Iterable[K]) -> list[list[K]]:
        """Divide some of the keys so that whoever wants one key of a part wants all of it."""
        wanted = [set(some) for some in self._wanted]
        parts: dict[tuple[bool, ...], list[K]] = {}
        for key in keys:
            parts.setdefault(tuple(key in some for some in wanted), []).append(key)
        return list(parts.values())

    async def _do(self, keys: Sequence[K], work: Work[K, T]) -> dict[K, T]:
        # Not of this object, which has the result: a connection that the work opens keeps its context for as
        # long as it lives.
        until = self._waiting_until
        try:
            with operation_ending_at(lambda: max(until)):
                return await work(keys)
        finally:
            self._withdraw()

    def _done(self, task: asyncio.Task[dict[K, T]]) -> None:
        self._withdraw()  # a task that is cancelled before its first step runs none of its code
        # Whoever waits for a failed task is told; if nobody is left, the failure is nobody's.
        _ = task.cancelled() or task.exception()

    def _withdraw(self) -> None:
        for key in self._keys:
            if self._board.get((self._loop, key)) is self:
                del self._board[self._loop, key]


def _own(error: BaseException) -> BaseException:
    """Return a copy of an exception and of its causes, or the same one if it cannot be copied.

    Raising changes an exception's traceback and may change its context: what one caller goes through must
    not show in what another logs.
    """
    try:
        own = shallow_copy(error)
    except Exception:  # noqa: BLE001  # its constructor may do anything with the arguments it is given
        return error
    if type(own) is not type(error):
        return error
    own.args = error.args  # the constructor may have made others of these
    own.__cause__ = _own(error.__cause__) if error.__cause__ else None
    own.__context__ = error.__context__
    own.__suppress_context__ = error.__suppress_context__
    return own.with_traceback(error.__traceback__)
