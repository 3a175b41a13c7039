"""What the driver `memory` keeps, and in which state."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.fork import renewed_after_fork
from temporal_payloads._storage.errors import PayloadNotFoundError, StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads._storage.change import Change

DRIVER_TYPE = "memory"


@dataclass(frozen=True, slots=True)
class Kept:
    """A payload in the store, in one of the states that it goes through."""

    data: bytes
    number: int
    """Of the state: no two have the same one."""
    since: datetime
    aside: bool = False


class MemoryStore:
    """Payloads under their keys. Several threads may use it.

    Args:
        name: How errors call it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        """Bytes of all payloads."""
        self.files = MemoryFiles()
        self._payloads: dict[str, Kept] = {}
        self._numbers = count()
        self._lock = threading.Lock()
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may hold. The child has a copy of the payloads."""
        self._lock = threading.Lock()
        self.size = sum(len(kept.data) for kept in self._payloads.values())

    def add(self, items: Mapping[str, bytes], *, max_size: int) -> None:
        """Add the payloads that are not there yet, or aside: all of them or, if there is no room, none.

        Raises:
            StorageUnavailableError: The store would have more than `max_size` bytes.
        """
        with self._lock:
            new = {key: data for key, data in items.items() if key not in self._payloads}
            size = self.size + sum(map(len, new.values()))
            if size > max_size:
                raise StorageUnavailableError(
                    f"The store {self.name!r} in the memory of this process is full: it has {self.size} "
                    f"bytes, would have {size}, and max_size is {max_size}. Raise max_size: it evicts nothing"
                )
            for key, data in items.items():
                if key in new or self._payloads[key].aside:
                    self._payloads[key] = self._kept(data)
            self.size = size

    def get(self, key: str) -> bytes:
        """Return the payload under a key.

        Raises:
            PayloadNotFoundError: There is none.
        """
        kept = self.look(key)
        if kept is None:
            raise PayloadNotFoundError(
                f"The store {self.name!r} in the memory of this process ({os.getpid()}) has no payload under "
                f"key {key!r}: another process stored it, or this one before it was started again. Processes "
                f"share payloads only in a store outside of them: use another driver than {DRIVER_TYPE!r}"
            )
        return kept.data

    def keys_under(self, prefix: str) -> list[str]:
        """Return the keys that begin with this."""
        return [key for key in list(self._payloads) if key.startswith(prefix)]

    def look(self, key: str) -> Kept | None:
        """Return what there is under a key."""
        return self._payloads.get(key)

    def change(self, key: str, number: int, *, aside: bool | None) -> Change:
        """Put a payload aside or back, or remove it (None), if it is in the state of this number."""
        with self._lock:
            kept = self._payloads.get(key)
            if kept is None:
                return "gone"
            if kept.number != number or kept.aside is (aside is True):
                return "changed"
            if aside is None:
                self.size -= len(self._payloads.pop(key).data)
            else:
                self._payloads[key] = self._kept(kept.data, aside=aside)
            return "done"

    def _kept(self, data: bytes, *, aside: bool = False) -> Kept:
        return Kept(data, next(self._numbers), datetime.now(UTC), aside)


class MemoryFiles:
    """What a collector keeps in a `MemoryStore`; see `StateStore`."""

    def __init__(self) -> None:
        # Its single operations need no lock.
        self._files: dict[str, bytes] = {}

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        return self._files.get(name)

    async def write(self, name: str, data: bytes) -> None:
        """Write a file, over one that is there."""
        self._files[name] = data

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""
        return sorted(name for name in list(self._files) if name.startswith(prefix))

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._files.pop(name, None)
