"""How far fetching may be ahead of reading."""

from __future__ import annotations

import asyncio

from temporal_payloads._storage.cache.memory import ENTRY_OVERHEAD, CacheKey


class Window:
    """Payloads that were fetched, or are on their way, and not asked for yet: a bounded number of bytes.

    It moves on as they are asked for. It belongs to one event loop, and one task at a time may wait for room.

    Args:
        size: The bound in bytes. A payload over it has the window to itself.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._costs: dict[CacheKey, int] = {}
        self._taken = 0
        self._changed = asyncio.Event()

    async def enter(self, key: CacheKey, size: int) -> None:
        """Take in a payload as soon as there is room for it; `size` is what is said of it beforehand."""
        while self._costs and self._taken + size + ENTRY_OVERHEAD > self._size:
            self._changed.clear()
            await self._changed.wait()
        self._costs.setdefault(key, 0)
        self.correct(key, size)

    def correct(self, key: CacheKey, size: int) -> None:
        """Set the real size of a payload, if it is still in the window."""
        if key in self._costs:
            cost = size + ENTRY_OVERHEAD
            self._taken += cost - self._costs[key]
            self._costs[key] = cost
            self._changed.set()

    def leave(self, key: CacheKey) -> None:
        """Give up the room of a payload, if it has some."""
        self._taken -= self._costs.pop(key, 0)
        self._changed.set()
