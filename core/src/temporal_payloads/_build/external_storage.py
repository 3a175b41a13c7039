"""The converter's external storage: the drivers, and which of them a new payload goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio.converter import StorageDriver

from temporal_payloads._settings.models import DriverTable
from temporal_payloads._storage.alias import DriverAlias
from temporal_payloads._storage.external_storage import NoDriver, PayloadStorage
from temporal_payloads._storage.fallback import Fallbacks
from temporal_payloads._storage.inline_limit import InlineLimit
from temporal_payloads._storage.routing import Router

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporalio.converter import PayloadCodec

    from temporal_payloads._observe.observers import Observers
    from temporal_payloads._settings.models import StorageSettings
    from temporal_payloads._storage.managed_driver import ManagedDriver


def external_storage(
    storage: StorageSettings,
    drivers: Mapping[str, ManagedDriver],
    codec: PayloadCodec | None,
    observers: Observers,
) -> PayloadStorage:
    """Return the SDK's external storage with these drivers, by the keys of their tables.

    Without drivers it offloads nothing, and says of a reference what is missing. The codec is what encodes
    payloads before they come here.
    """

    def table(key: str) -> DriverTable:
        return storage.drivers.get(key) or DriverTable()

    known: list[StorageDriver] = list(drivers.values())
    for key, driver in drivers.items():
        known += [DriverAlias(driver, name) for name in table(key).read_aliases]
    fallbacks = {
        driver.name(): drivers[fallback]
        for key, driver in drivers.items()
        if (fallback := table(key).fallback)
    }
    return PayloadStorage(
        drivers=known or [NoDriver()],
        driver_selector=Router(
            routes=[(route, drivers.get(route.driver)) for route in storage.routes],
            default=drivers.get(storage.default_driver),
            fallbacks=fallbacks,
        ),
        payload_size_threshold=int(storage.threshold),
        fallbacks=Fallbacks(fallbacks, timeout=storage.timeout, concurrency=storage.concurrency),
        inline_limit=InlineLimit(
            None if storage.inline_limit is None else int(storage.inline_limit),
            has_drivers=bool(drivers),
            codec=codec,
        ),
        observers=observers,
    )
