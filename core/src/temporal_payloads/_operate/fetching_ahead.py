"""Payloads are in the cache before a replay asks for them.

The SDK's replayer retrieves one payload at a time, and waits for the store each time. But it is given whole
histories, which say beforehand what will be asked for.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriverRetrieveContext

from temporal_payloads._operate.window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporalio.client import WorkflowHistory

    from temporal_payloads._operate.replay_reads import ReplayReads, StoredPayload
    from temporal_payloads._storage.cache.memory import CacheKey

logger = logging.getLogger("temporal_payloads")


@asynccontextmanager
async def fetching_ahead(
    histories: AsyncIterator[WorkflowHistory], reads: ReplayReads, *, concurrency: int, max_size: int
) -> AsyncIterator[AsyncIterator[WorkflowHistory]]:
    """Yield the histories; their payloads are fetched into the cache while they are replayed.

    During the replay of one history the next one is taken and fetched for, and no more than that. What cannot
    be fetched is no error here: the replay asks for it again, and says what is wrong. When the block ends,
    nothing is left running.

    Args:
        histories: What is to be replayed.
        reads: Finds what that will read.
        concurrency: How many payloads are fetched at once.
        max_size: Bytes that may be fetched before they are asked for. It should be well below half the
            cache: what is read and stored on the way must not push out what is needed next.
    """
    if not reads.drivers:
        yield histories
        return
    ahead = _HistoriesAhead(histories, reads, concurrency, Window(max_size))
    with ExitStack() as stack:
        for driver in reads.drivers:
            stack.enter_context(driver.telling_of_reads(ahead.move_on))
        try:
            yield ahead
        finally:
            await ahead.end()


@dataclass
class _Upcoming:
    """A history that is replayed or will be next."""

    history: WorkflowHistory
    entered: set[CacheKey] = field(default_factory=set)
    """Payloads that are in the window, or have been."""
    asked: set[CacheKey] = field(default_factory=set)
    """Payloads that the replay has asked for, fetched ahead or not."""
    all_entered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all its payloads have been in the window, or it is over: those of the next one follow."""
    fetching: asyncio.Task[None] | None = None


class _HistoriesAhead:
    """The histories of a replayer, one after the other."""

    def __init__(
        self, histories: AsyncIterator[WorkflowHistory], reads: ReplayReads, concurrency: int, window: Window
    ) -> None:
        self._histories = aiter(histories)  # the SDK takes whatever can be iterated
        self._reads = reads
        self._slots = asyncio.Semaphore(concurrency)
        self._window = window
        self._current: _Upcoming | None = None
        self._next: asyncio.Task[_Upcoming | None] | None = None

    def __aiter__(self) -> _HistoriesAhead:
        return self

    async def __anext__(self) -> WorkflowHistory:
        await self._leave(self._current)
        if self._next is None:
            self._next = asyncio.create_task(self._take())
        self._current = await self._next
        if self._current is None:
            raise StopAsyncIteration
        self._next = asyncio.create_task(self._take(after=self._current))
        return self._current.history

    def move_on(self, key: CacheKey) -> None:
        """Make room for what is needed next: this payload is being asked for."""
        self._window.leave(key)
        if self._current is not None:
            self._current.asked.add(key)

    async def end(self) -> None:
        """Stop whatever is running."""
        await self._leave(self._current)
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])
            # What the histories themselves raise is for whoever asks for the next one, if anybody does.
            if not self._next.cancelled() and not self._next.exception():
                await self._leave(self._next.result())

    async def _take(self, after: _Upcoming | None = None) -> _Upcoming | None:
        history = await anext(self._histories, None)
        if history is None:
            return None
        upcoming = _Upcoming(history)
        upcoming.fetching = asyncio.create_task(self._fetch(upcoming, after))
        return upcoming

    async def _leave(self, upcoming: _Upcoming | None) -> None:
        """End what is still being fetched for a history: its replay is over."""
        if upcoming is None or upcoming.fetching is None:
            return
        upcoming.fetching.cancel()
        await asyncio.wait([upcoming.fetching])
        upcoming.all_entered.set()
        for key in upcoming.entered:
            self._window.leave(key)

    async def _fetch(self, upcoming: _Upcoming, after: _Upcoming | None) -> None:
        if after is not None:
            await after.all_entered.wait()
        async with asyncio.TaskGroup() as fetches, aclosing(self._reads.of(upcoming.history)) as reads:
            async for stored in reads:
                if stored.key in upcoming.entered:
                    continue
                await self._window.enter(stored.key, stored.stated_size)
                upcoming.entered.add(stored.key)
                await self._slots.acquire()
                fetch = fetches.create_task(self._fetch_one(stored, upcoming))
                # Not by the task itself: one that is cancelled early runs none of its code.
                fetch.add_done_callback(lambda _: self._slots.release())
            upcoming.all_entered.set()

    async def _fetch_one(self, stored: StoredPayload, upcoming: _Upcoming) -> None:
        if stored.key in upcoming.asked:
            self._window.leave(stored.key)  # the replay was faster
            return
        try:
            size = await stored.driver.fetch_ahead(StorageDriverRetrieveContext(), stored.claim)
        except Exception as error:  # noqa: BLE001  # a plugin may raise anything
            logger.debug("A payload is left to the replay: %s", error)
            self._window.leave(stored.key)
            return
        if stored.driver.keeps_in_memory(size):
            self._window.correct(stored.key, size)
        else:
            self._window.leave(stored.key)
