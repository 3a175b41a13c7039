"""A driver under one of its earlier names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import StorageDriver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import (
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )


class DriverAlias(StorageDriver):
    """Reads, under an earlier recorded name, what the driver stored then. Nothing is routed to it."""

    def __init__(self, driver: StorageDriver, name: str) -> None:
        self._driver = driver
        self._name = name

    def __repr__(self) -> str:
        return f"<{self._name!r}, an earlier name of {self._driver!r}>"

    @property
    def driver(self) -> StorageDriver:
        """The driver itself."""
        return self._driver

    def name(self) -> str:
        """Return the earlier name."""
        return self._name

    def type(self) -> str:
        """Return the SDK driver type."""
        return self._driver.type()

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store with the driver itself."""
        return await self._driver.store(context, payloads)

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Retrieve with the driver itself."""
        return await self._driver.retrieve(context, claims)
