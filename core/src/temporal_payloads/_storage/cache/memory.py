"""The cache's tier in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

from temporal_payloads._concurrency.fork import renewed_after_fork

CacheKey = tuple[str, str | None, str]
"""Which store (a fingerprint of its settings), which namespace, which content (SHA-256).

Content alone would do to find the right bytes; the store and the namespace keep one tenant from learning,
by a hash that it has seen somewhere, what only another may read.
"""

ENTRY_OVERHEAD = 512
"""Bytes that an entry takes beside its payload: the key's strings and the slots that hold them. Counted, or
a cache full of tiny payloads would be several times its size."""


@dataclass(frozen=True)
class TierStatistics:
    """How one tier of a cache is doing, since the process began."""

    entries: int
    """How many payloads it holds."""
    size: int
    """How many bytes they take."""
    max_size: int
    """The bound on `size`."""
    hits: int
    """Payloads that were asked for and found."""
    misses: int
    """Payloads that were asked for and not found."""
    evictions: int
    """Payloads that made room for others."""


class MemoryCache:
    """Serialized payloads by content, bounded in bytes; the least recently used go first.

    Safe to share between event loops in several threads.

    Args:
        max_size: Bytes to keep, payloads and bookkeeping together. A payload over half of it is not kept:
            it would push out everything else.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._entries: OrderedDict[CacheKey, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._size = self._hits = self._misses = self._evictions = 0
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make a lock that no thread of the parent holds, and finish what such a thread had begun."""
        self._lock = threading.Lock()
        self._size = sum(map(_cost, self._entries.values()))

    def get(self, key: CacheKey) -> bytes | None:
        """Return the serialized payload, or None."""
        with self._lock:
            data = self._entries.get(key)
            if data is None:
                self._misses += 1
            else:
                self._hits += 1
                self._entries.move_to_end(key)
            return data

    def touch(self, key: CacheKey) -> int | None:
        """Make a payload the most recently used, for whoever asks for it soon. Returns its size, or None."""
        with self._lock:
            data = self._entries.get(key)
            if data is None:
                return None
            self._entries.move_to_end(key)
            return len(data)

    def accepts(self, size: int) -> bool:
        """Tell whether a payload of this size would be kept."""
        return size + ENTRY_OVERHEAD <= self._max_size // 2

    def put(self, key: CacheKey, data: bytes) -> None:
        """Keep the serialized payload, if it is not too large."""
        if not self.accepts(len(data)):
            return
        with self._lock:
            replaced = self._entries.pop(key, None)
            self._size += _cost(data) - (0 if replaced is None else _cost(replaced))
            self._entries[key] = data
            while self._size > self._max_size:
                _, evicted = self._entries.popitem(last=False)
                self._size -= _cost(evicted)
                self._evictions += 1

    @property
    def statistics(self) -> TierStatistics:
        """How the tier is doing."""
        with self._lock:
            return TierStatistics(
                len(self._entries), self._size, self._max_size, self._hits, self._misses, self._evictions
            )


def _cost(data: bytes) -> int:
    return len(data) + ENTRY_OVERHEAD
