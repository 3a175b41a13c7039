"""Retrieved and just-stored payloads, kept as they are in the store: in memory, and on disk if asked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads._storage.cache.disk import DiskCache
from temporal_payloads._storage.cache.memory import CacheKey, MemoryCache, TierStatistics

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporal_payloads._settings.models import CacheSettings

__all__ = [
    "CacheKey",
    "CacheStatistics",
    "PayloadCache",
    "TierStatistics",
    "cache_statistics",
    "shared_cache",
]


@dataclass(frozen=True)
class CacheStatistics:
    """How one cache of this process is doing."""

    memory: TierStatistics
    disk: TierStatistics | None
    """None where `storage.cache.dir` is not set. Misses of the memory are what the disk was asked for."""


class PayloadCache:
    """Serialized payloads by content, in memory before disk.

    Args:
        memory: The first tier.
        disk: The second tier, for a process that starts again; None for none.
    """

    def __init__(self, memory: MemoryCache, disk: DiskCache | None = None) -> None:
        self._memory = memory
        self._disk = disk

    def accepts(self, size: int) -> bool:
        """Tell whether a payload of this size would be kept, so that nobody serializes it in vain."""
        return self._memory.accepts(size) or (self._disk is not None and self._disk.accepts(size))

    def keeps_in_memory(self, size: int) -> bool:
        """Tell whether a payload of this size would be in memory from now on."""
        return self._memory.accepts(size)

    def touch(self, key: CacheKey) -> int | None:
        """Make a payload in memory the last one to go. Returns its size; None if it is not in memory."""
        return self._memory.touch(key)

    def put(self, key: CacheKey, data: bytes) -> None:
        """Keep the serialized payload, if it is not too large. Returns at once: the disk follows later."""
        self._memory.put(key, data)
        if self._disk is not None:
            self._disk.put(key, data)

    def get(self, key: CacheKey) -> bytes | None:
        """Return the serialized payload if it is in memory."""
        return self._memory.get(key)

    async def get_from_disk(self, keys: Iterable[CacheKey]) -> dict[CacheKey, bytes]:
        """Return those of the payloads that are on disk, and keep them in memory from now on."""
        if self._disk is None:
            return {}
        found = await self._disk.get(list(keys))
        for key, data in found.items():
            self._memory.put(key, data)
        return found

    @property
    def statistics(self) -> CacheStatistics:
        """How both tiers are doing."""
        return CacheStatistics(self._memory.statistics, self._disk.statistics if self._disk else None)


_shared: dict[tuple[int, str, int], PayloadCache] = {}
"""By the settings. A dictionary's single operations need no lock, which a fork could leave held."""


def shared_cache(settings: CacheSettings) -> PayloadCache | None:
    """Return the process's cache for these settings, or None if they turn it off.

    All drivers of all converters with the same settings share one cache, and so one bound.
    """
    directory = settings.dir if settings.dir_max_size else None
    if not settings.max_size and directory is None:
        return None
    key = (int(settings.max_size), str(directory), int(settings.dir_max_size))
    if key not in _shared:
        disk = DiskCache(directory, int(settings.dir_max_size)) if directory else None
        _shared.setdefault(key, PayloadCache(MemoryCache(int(settings.max_size)), disk))
    return _shared[key]


def cache_statistics() -> list[CacheStatistics]:
    """Return how the payload caches of this process are doing: one for each `[storage.cache]` in use.

    Cheap enough to be read by a metrics callback. How often single operations were served from the cache is
    in `StorageEvent.cache_hits`.
    """
    return [cache.statistics for cache in list(_shared.values())]
