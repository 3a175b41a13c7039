"""The SDK's external storage, with words for a driver that is not there."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio.converter import ExternalStorage, StorageDriver, WithSerializationContext

from temporal_payloads._storage.errors import UnknownDriverError
from temporal_payloads._storage.fallback import Fallbacks
from temporal_payloads._storage.inline_limit import InlineLimit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import (
        SerializationContext,
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

LONGEST_NAME_TOLD = 80
"""Characters of a recorded name in a message: a reference is input, and can say anything."""


def _no_fallbacks() -> Fallbacks:
    return Fallbacks({}, timeout=timedelta(0), concurrency=1)


@dataclass(frozen=True)
class PayloadStorage(ExternalStorage, WithSerializationContext):
    """External storage with fallbacks, which says what is wrong of what it cannot store or follow.

    It overrides private methods of the SDK's. If a release renames one, the SDK does as it would without:
    references are right in any case, for the SDK writes them.
    """

    fallbacks: Fallbacks = field(default_factory=_no_fallbacks, repr=False, compare=False)
    inline_limit: InlineLimit = field(default_factory=InlineLimit)
    context: SerializationContext | None = field(default=None, repr=False, compare=False)
    """What the payloads belong to, as far as the SDK says."""

    def with_context(self, context: SerializationContext) -> PayloadStorage:
        """Return the same, knowing what the payloads belong to."""
        if self.inline_limit.size is None:
            return self
        # Not `replace`, which makes anew what the SDK's own methods have set.
        bound = copy.copy(self)
        object.__setattr__(bound, "context", context)
        return bound

    async def _store_payload(self, payload: Payload) -> Payload:
        [stored] = await self._store_payload_sequence([payload])
        return stored

    async def _store_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        stored = await self.fallbacks.store(payloads, self._store_where_routed)
        self.inline_limit.require_kept(stored, self.context, self._store_context.target)
        return stored

    async def _store_where_routed(self, payloads: Sequence[Payload]) -> list[Payload]:
        # The SDK's method for several calls that for one, which is overridden here, where it is given one.
        if len(payloads) == 1:
            return [await super()._store_payload(payloads[0])]
        return await super()._store_payload_sequence(payloads)

    @property
    def has_drivers(self) -> bool:
        """Whether a driver is configured."""
        return not any(isinstance(driver, NoDriver) for driver in self.drivers)

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
