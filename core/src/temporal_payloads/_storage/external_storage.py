"""The SDK's external storage, with words for a driver that is not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.converter import ExternalStorage, StorageDriver

from temporal_payloads._storage.errors import UnknownDriverError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import (
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

LONGEST_NAME_TOLD = 80
"""Characters of a recorded name in a message: a reference is input, and can say anything."""


@dataclass(frozen=True)
class PayloadStorage(ExternalStorage):
    """External storage that says, of a reference it cannot follow, what to configure."""

    @property
    def has_drivers(self) -> bool:
        """Whether a driver is configured."""
        return not any(isinstance(driver, NoDriver) for driver in self.drivers)

    # A private method of the SDK's. If a release renames it, the SDK's own sentence comes back.
    def _get_driver_by_name(self, name: str) -> StorageDriver:
        try:
            return super()._get_driver_by_name(name)
        except ValueError:
            raise unknown_driver(name, [driver.name() for driver in self.drivers]) from None


class NoDriver(StorageDriver):
    """Stands where no driver is configured, for the SDK wants at least one. No payload is routed to it."""

    def name(self) -> str:
        """Return a name that no reference has."""
        return ""

    def type(self) -> str:
        """Return the type that the worker reports to the server."""
        return "none"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Refuse; nothing comes here."""
        del context, payloads
        raise unknown_driver(self.name(), [])

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Refuse a reference that names no driver."""
        del context, claims
        raise unknown_driver(self.name(), [])


def unknown_driver(name: str, configured: Sequence[str]) -> UnknownDriverError:
    """Return the error of a reference to a driver that is not among those configured."""
    told = repr(name[:LONGEST_NAME_TOLD])
    names = ", ".join(repr(each) for each in configured if each)
    if not names:
        return UnknownDriverError(
            f"A payload was stored by the storage driver {told}, and no storage driver is configured here. "
            "Give this process the [storage] settings of whoever stored it: a [storage.drivers.KEY] table, "
            f"with driver_name = {told} unless that is the driver's conventional name"
        )
    return UnknownDriverError(
        f"A payload was stored by the storage driver {told}, which is not configured here (configured: "
        f"{names}). If one of these was renamed, add {told} to read_aliases in its table; if it is another "
        f"store, add a [storage.drivers.KEY] table with driver_name = {told} and retrieve_only = true"
    )
