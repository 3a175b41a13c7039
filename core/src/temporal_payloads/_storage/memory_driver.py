"""The driver `memory`: payloads in the memory of one process, for tests and a first try."""

from __future__ import annotations

import os
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import ByteSize, Field

from temporal_payloads._concurrency.fork import renewed_after_fork
from temporal_payloads._plugins.contract import DriverPlugin, hookimpl
from temporal_payloads._storage.content_addressed import ContentAddressedDriver, ContentAddressedSettings
from temporal_payloads._storage.errors import PayloadNotFoundError, StorageUnavailableError
from temporal_payloads._storage.key_layout import KeyLayout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from temporalio.converter import StorageDriverClaim

    from temporal_payloads._plugins.contract import ConfinedClaim, DriverContext

DRIVER_TYPE = "memory"
DEFAULT_MAX_SIZE = 256 * 1024 * 1024
WARNING = (
    "it keeps payloads in the memory of this process: no other process can read them, and they are lost when "
    "this one ends. Use it in tests, or where client and worker are one process whose workflows may be lost"
)


class MemorySettings(ContentAddressedSettings):
    """The settings of a `[storage.drivers.NAME]` table of type `memory`."""

    store: str = Field(
        "default",
        min_length=1,
        max_length=200,
        description="Which of the stores in this process. All converters that name the same one share it.",
    )
    max_size: ByteSize = Field(
        default=ByteSize(DEFAULT_MAX_SIZE),
        gt=0,
        description="Bytes of all payloads in the store. More is refused; nothing is evicted.",
    )


class MemoryStore:
    """Payloads under their keys. Several threads may use it.

    Args:
        name: How errors call it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = 0
        """Bytes of all payloads."""
        self._payloads: dict[str, bytes] = {}
        self._lock = threading.Lock()
        renewed_after_fork(self)

    def renew_after_fork(self) -> None:
        """Replace the lock, which a thread of the parent may hold. The child has a copy of the payloads."""
        self._lock = threading.Lock()
        self.size = sum(map(len, self._payloads.values()))

    def add(self, items: Mapping[str, bytes], *, max_size: int) -> None:
        """Add the payloads that are not there yet: all of them or, if there is no room, none.

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
            self._payloads.update(new)
            self.size = size

    def get(self, key: str) -> bytes:
        """Return the payload under a key.

        Raises:
            PayloadNotFoundError: There is none.
        """
        if key not in self._payloads:
            raise PayloadNotFoundError(
                f"The store {self.name!r} in the memory of this process ({os.getpid()}) has no payload under "
                f"key {key!r}: another process stored it, or this one before it was started again. Processes "
                f"share payloads only in a store outside of them: use another driver than {DRIVER_TYPE!r}"
            )
        return self._payloads[key]


class MemoryDriver(ContentAddressedDriver):
    """Keeps payloads in a `MemoryStore`.

    Args:
        store: Where the payloads are.
        driver_name: The name recorded in references.
        layout: How keys and claims look.
        max_payload_size: Largest serialized payload in bytes that is stored.
        max_size: Bytes that the store may have.
        driver_type: What `type()` returns.
    """

    def __init__(
        self,
        store: MemoryStore,
        *,
        driver_name: str,
        layout: KeyLayout,
        max_payload_size: int,
        max_size: int,
        driver_type: str = DRIVER_TYPE,
    ) -> None:
        super().__init__(driver_name=driver_name, layout=layout, max_payload_size=max_payload_size)
        self._store = store
        self._max_size = max_size
        self._type = driver_type

    def type(self) -> str:
        """Return the driver type, the same in every language."""
        return self._type

    async def write(self, items: Mapping[str, bytes]) -> None:
        """Write all values or, if there is no room, none."""
        self._store.add(items, max_size=self._max_size)

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value under each key."""
        return [self._store.get(key) for key in keys]


_stores: dict[str, MemoryStore] = {}
"""By name. A dictionary's single operations need no lock, which a fork could leave held."""


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[MemorySettings]:
    """Describe the memory driver."""
    return DriverPlugin(
        api_version=1,
        settings=MemorySettings,
        driver_type=DRIVER_TYPE,
        driver_name=DRIVER_TYPE,
        identity=lambda settings: {"store": settings.store},
        open=_open,
        confine=_confine,
        # To be full passes by nobody's waiting.
        retries=True,
        warning=lambda _settings: WARNING,
    )


@asynccontextmanager
async def _open(settings: MemorySettings, context: DriverContext) -> AsyncIterator[MemoryDriver]:
    yield MemoryDriver(
        _stores.setdefault(settings.store, MemoryStore(settings.store)),
        driver_name=context.name,
        layout=_layout(settings),
        max_payload_size=settings.max_payload_size,
        max_size=settings.max_size,
    )


def _confine(settings: MemorySettings, claim: StorageDriverClaim) -> ConfinedClaim:
    return _layout(settings).confine(claim)


def _layout(settings: MemorySettings) -> KeyLayout:
    return KeyLayout(fields={"store": settings.store})
