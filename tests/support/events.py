"""An observer of storage operations that tests can wait on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from temporal_payloads.plugin import PluginRegistry, StorageEvent, hookimpl


class StorageEvents:
    """Records every storage operation of the converters that are built with its registry."""

    def __init__(self) -> None:
        self.seen: list[StorageEvent] = []
        self.registry = PluginRegistry()
        self.registry.register_observer(self)
        self._changed = asyncio.Event()

    @hookimpl
    def temporal_payloads_storage_event(self, event: StorageEvent) -> None:
        """Record an operation and wake whoever waits for it."""
        self.seen.append(event)
        self._changed.set()

    def payloads(self, operation: str) -> int:
        """Return how many payloads went through successful operations of this kind."""
        return sum(event.payloads for event in self.seen if event.operation == operation and not event.error)

    async def success(self, operation: str) -> StorageEvent:
        """Wait until an operation of this kind has succeeded."""
        return await self._first(lambda event: event.operation == operation and not event.error)

    async def failure(self, error: str) -> StorageEvent:
        """Wait until an operation has failed with this failure type."""
        return await self._first(lambda event: event.error == error)

    async def _first(self, wanted: Callable[[StorageEvent], bool]) -> StorageEvent:
        while True:
            for event in self.seen:
                if wanted(event):
                    return event
            self._changed.clear()
            await self._changed.wait()
