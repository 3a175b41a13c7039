"""A driver's view of the process's cache: payloads instead of bytes, under keys of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from temporalio.api.common.v1 import Payload

from temporal_payloads._storage.serialized import serialize, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporal_payloads._plugins.contract import ConfinedClaim
    from temporal_payloads._storage.cache.payload_cache import CacheKey, PayloadCache


@dataclass(frozen=True, slots=True)
class Retrieved:
    """A payload and its serialized size, which is dear to ask a large payload for."""

    payload: Payload
    size: int

    def copy(self) -> Retrieved:
        """Return the same with a payload of its own, for whoever has a payload may change it."""
        payload = Payload()
        payload.CopyFrom(self.payload)
        return Retrieved(payload, self.size)


class FetchKey(NamedTuple):
    """What concurrent readers share a fetch of.

    Not content alone: the same bytes may lie under several keys of the store, and that one of those is
    missing says nothing of the others.
    """

    content: CacheKey
    claim: tuple[tuple[str, str], ...]


class DriverCache:
    """Keeps one store's payloads apart from another's.

    Args:
        cache: Where payloads are kept; None for no cache.
        fingerprint: Tells the driver's store from others.
    """

    def __init__(self, cache: PayloadCache | None, fingerprint: str) -> None:
        self._cache = cache
        self._fingerprint = fingerprint

    def key(self, confined: ConfinedClaim) -> CacheKey:
        """Return what a claim's payload is kept under."""
        return (self._fingerprint, confined.namespace, confined.sha256)

    def fetch_key(self, confined: ConfinedClaim) -> FetchKey:
        """Return what a claim's payload is fetched as."""
        return FetchKey(self.key(confined), tuple(sorted(confined.claim.claim_data.items())))

    def accepts(self, size: int) -> bool:
        """Tell whether a payload of this serialized size would be kept."""
        return self._cache is not None and self._cache.accepts(size)

    def keeps_in_memory(self, size: int) -> bool:
        """Tell whether a payload of this serialized size would be in memory from now on."""
        return self._cache is not None and self._cache.keeps_in_memory(size)

    def touch(self, key: CacheKey) -> int | None:
        """Make a payload in memory the last one to go. Returns its size; None if it is not in memory."""
        return None if self._cache is None else self._cache.touch(key)

    def get(self, keys: Iterable[CacheKey]) -> dict[CacheKey, Retrieved]:
        """Return those of the payloads that are in memory, each one the caller's own."""
        if self._cache is None:
            return {}
        cached = {key: self._cache.get(key) for key in keys}
        return {key: _parse(data) for key, data in cached.items() if data is not None}

    async def get_from_disk(self, keys: Iterable[CacheKey]) -> dict[CacheKey, Retrieved]:
        """Return those of the payloads that are on disk."""
        if self._cache is None:
            return {}
        cached = await self._cache.get_from_disk(keys)
        return {key: _parse(data) for key, data in cached.items()}

    def keep(self, confined: ConfinedClaim, data: bytes) -> None:
        """Keep a payload that was stored, given as it was serialized."""
        if self._cache is not None:
            self._cache.put(self.key(confined), data)

    def keep_fetched(self, key: CacheKey, payload: Payload, data: bytes | None) -> Retrieved:
        """Keep a payload that came from the store, and return it with its size.

        Args:
            key: What it is kept under.
            payload: The payload.
            data: Its bytes in the store; None if only the driver knows them.
        """
        pieces = serialize(payload) if data is None else (data,)
        size = size_of(pieces)
        if self._cache is not None and self._cache.accepts(size):
            self._cache.put(key, b"".join(pieces))
        return Retrieved(payload, size)


def _parse(data: bytes) -> Retrieved:
    return Retrieved(Payload.FromString(data), len(data))
