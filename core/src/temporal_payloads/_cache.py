"""Retrieved and just-stored payloads, kept in memory as they are in the store."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import cache

CacheKey = tuple[str, str | None, str]
"""Which store (a fingerprint of its settings), which namespace, which content (SHA-256).

Content alone would do to find the right bytes; the store and the namespace keep one tenant from learning,
by a hash that it has seen somewhere, what only another may read.
"""


@dataclass(frozen=True)
class CacheStatistics:
    """How a cache is doing."""

    entries: int
    size: int
    max_size: int
    hits: int
    misses: int
    evictions: int


class PayloadCache:
    """Serialized payloads by content, bounded in bytes; the least recently used go first.

    Safe to share between event loops in several threads.

    Args:
        max_size: Bytes of payloads to keep. A payload over half of it is not kept: it would push out
            everything else.
    """

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._entries: OrderedDict[CacheKey, bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._size = self._hits = self._misses = self._evictions = 0

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

    def accepts(self, size: int) -> bool:
        """Tell whether a payload of this size would be kept, so that nobody serializes it in vain."""
        return size <= self._max_size // 2

    def put(self, key: CacheKey, data: bytes) -> None:
        """Keep the serialized payload, if it is not too large."""
        if not self.accepts(len(data)):
            return
        with self._lock:
            self._size += len(data) - len(self._entries.pop(key, b""))
            self._entries[key] = data
            while self._size > self._max_size:
                _, evicted = self._entries.popitem(last=False)
                self._size -= len(evicted)
                self._evictions += 1

    @property
    def statistics(self) -> CacheStatistics:
        """How the cache is doing."""
        with self._lock:
            return CacheStatistics(
                len(self._entries), self._size, self._max_size, self._hits, self._misses, self._evictions
            )


@cache
def shared_cache(max_size: int) -> PayloadCache:
    """Return the process's cache of this size: all drivers of all converters share one bound."""
    return PayloadCache(max_size)
