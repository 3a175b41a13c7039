"""What has just been stored, so that it need not be stored again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.fork import renewed_after_fork
from temporal_payloads._storage.key_layout import Target

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from temporalio.converter import StorageDriverClaim

    from temporal_payloads._storage.cache.memory import CacheKey

StoreKey = tuple[Target, str]
"""For which workflow or activity a payload is stored, and the SHA-256 of its serialized bytes."""

REMEMBERED_SECONDS = 60.0
"""A workflow passes on what an activity just returned within moments, and no store that keeps what it is
given has lost it a minute later."""
REMEMBERED_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class _Entry:
    claim: StorageDriverClaim
    content: CacheKey
    monotonic: float
    wall: float

    def expired(self) -> bool:
        # A suspended machine may stop the monotonic clock, and the wall clock may be set back.
        age = max(time.monotonic() - self.monotonic, time.time() - self.wall)
        return age > REMEMBERED_SECONDS


class RecentlyStored:
    """The claims of the last minute, a bounded number of them. Safe to share between threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[StoreKey, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Make a lock that no thread of the parent holds."""
        self._lock = threading.Lock()

    def among(self, keys: Iterable[StoreKey]) -> dict[StoreKey, StorageDriverClaim]:
        """Return the claims of those keys that were stored just now."""
        with self._lock:
            self._expire()
            found = {key: self._entries[key] for key in keys if key in self._entries}
        return {key: entry.claim for key, entry in found.items() if not entry.expired()}

    def add(self, key: StoreKey, claim: StorageDriverClaim, content: CacheKey) -> None:
        """Remember that a payload was stored.

        Args:
            key: For whom which payload was stored.
            claim: The claim to give to whoever stores it again.
            content: What it will be asked for as, see `forget`.
        """
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = _Entry(claim, content, time.monotonic(), time.time())
            self._expire()

    def forget(self, contents: Collection[CacheKey]) -> None:
        """Forget that these were stored: the store does not have them after all."""
        with self._lock:
            for key in [key for key, entry in self._entries.items() if entry.content in contents]:
                del self._entries[key]

    def _expire(self) -> None:
        while self._entries and (
            len(self._entries) > REMEMBERED_ENTRIES or next(iter(self._entries.values())).expired()
        ):
            self._entries.popitem(last=False)
