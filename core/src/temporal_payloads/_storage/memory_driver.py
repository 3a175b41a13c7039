"""The driver `memory`: payloads in the memory of one process, for tests and a first try."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from pydantic import ByteSize, Field

from temporal_payloads._plugins.contract import DriverPlugin, hookimpl
from temporal_payloads._storage.change import Change
from temporal_payloads._storage.collecting import CollectableDriver, ListedPage
from temporal_payloads._storage.content_addressed import ContentAddressedDriver, ContentAddressedSettings
from temporal_payloads._storage.diagnosing import Finding
from temporal_payloads._storage.key_layout import KeyLayout
from temporal_payloads._storage.memory_store import DRIVER_TYPE, MemoryFiles, MemoryStore
from temporal_payloads._storage.probing import probe_conditions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
    from datetime import timedelta

    from temporalio.converter import StorageDriverClaim

    from temporal_payloads._plugins.contract import ConfinedClaim, DriverContext
    from temporal_payloads._storage.change import Change
    from temporal_payloads._storage.collecting import ListedPayload
    from temporal_payloads._storage.diagnosing import DiagnosisContext

DEFAULT_MAX_SIZE = 256 * 1024 * 1024
PAGE = 1000
"""Payloads in a page of a listing."""
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


class MemoryDriver(ContentAddressedDriver, CollectableDriver):
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

    async def diagnose(self, context: DiagnosisContext) -> list[Finding]:
        """Remove what was written for a check; there is nothing else to look at."""
        if not context.written:
            return []
        for aside in (True, None):
            found = [self._look(claim.claim_data["key"]) for claim in context.written]
            self._change([one for one in found if one], aside=aside)
        told = "what was written for this check was deleted"
        return [Finding(level="ok", check="clean-up", place=context.place, message=told)]

    # -- what a collector asks for

    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return what the keys of these namespaces begin with."""
        return self._layout.prefixes(namespaces)

    async def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield what is there now under a prefix."""
        keys = self._store.keys_under(shard)
        for start in range(0, len(keys), PAGE):
            found = map(self._look, keys[start : start + PAGE])
            yield ListedPage(payloads=[one for one in found if one])

    def _look(self, key: str) -> ListedPayload | None:
        kept = self._store.look(key)
        if kept is None:
            return None
        size = len(kept.data)
        return self.listed(key, size=size, tag=str(kept.number), stored=kept.since, aside=kept.aside)

    async def probe(self) -> None:
        """Try on a payload of its own whether it is deleted only as it should be."""

        async def look(key: str) -> ListedPayload | None:
            return self._look(key)

        await probe_conditions(self, look)

    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Put payloads aside. They can be read all the same."""
        del grace
        return self._change(payloads, aside=True)

    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Bring payloads back that are aside."""
        return self._change(payloads, aside=False)

    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Delete payloads that are aside."""
        return self._change(payloads, aside=None)

    def _change(self, payloads: Sequence[ListedPayload], *, aside: bool | None) -> list[Change]:
        return [self._store.change(self.key_of(one), int(one.tag), aside=aside) for one in payloads]

    def state(self) -> MemoryFiles:
        """Return where a collector keeps its files in this store."""
        return self._store.files


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
