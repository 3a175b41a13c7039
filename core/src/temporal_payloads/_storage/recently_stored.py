"""What has just been stored, so that it need not be stored again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from temporal_payloads._storage.content_addressed import Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporalio.converter import StorageDriverClaim

StoreKey = tuple[Target, str]
"""For which workflow or activity a payload is stored, and the SHA-256 of its serialized bytes."""

REMEMBERED_SECONDS = 60.0
"""A workflow passes on what an activity just returned within moments, and no store that keeps what it is
given has lost it a minute later."""
REMEMBERED_ENTRIES = 10_000


class RecentlyStored:
    """The claims of the last minute, a bounded number of them. Safe to share between threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[StoreKey, tuple[float, StorageDriverClaim]] = OrderedDict()
        self._lock = threading.Lock()

    def among(self, keys: Iterable[StoreKey]) -> dict[StoreKey, StorageDriverClaim]:
        """Return the claims of those keys that were stored just now."""
        with self._lock:
            self._expire()
            return {key: self._entries[key][1] for key in keys if key in self._entries}

    def add(self, key: StoreKey, claim: StorageDriverClaim) -> None:
        """Remember that a payload was stored."""
        with self._lock:
            self._entries.pop(key, None)
            self._entries[key] = (time.monotonic() + REMEMBERED_SECONDS, claim)
            self._expire()

    def _expire(self) -> None:
        now = time.monotonic()
        while self._entries and (
            len(self._entries) > REMEMBERED_ENTRIES or next(iter(self._entries.values()))[0] < now
        ):
            self._entries.popitem(last=False)
