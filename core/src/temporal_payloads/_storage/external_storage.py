"""The SDK's external storage, with words for a driver that is not there."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity
from temporalio.converter import ExternalStorage, StorageDriver, WithSerializationContext

from temporal_payloads._observe.belonging import Belonging, begin_task, belonging_here_to, current_belonging
from temporal_payloads._plugins.events import InlineEvent
from temporal_payloads._storage.errors import PayloadTooLargeError, UnknownDriverError
from temporal_payloads._storage.fallback import Fallbacks
from temporal_payloads._storage.inline_limit import InlineLimit
from temporal_payloads._storage.references import read_reference
from temporal_payloads._storage.routing import something_is_stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from temporalio.api.common.v1 import Payload, Payloads
    from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
    from temporalio.converter import (
        SerializationContext,
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

    from temporal_payloads._observe.observers import Observers

logger = logging.getLogger("temporal_payloads")

MOST_KEPT = 3 * 1024 * 1024
"""Bytes of a failure's value that may go to the server where no driver takes it. The server takes no message
over 4 MiB: it would never hear of the failure, and the activity would seem to run until its time is up."""
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
    observers: Observers | None = field(default=None, repr=False, compare=False)
    """Who is told of payloads that no driver stores."""

    def with_context(self, context: SerializationContext) -> PayloadStorage:
        """Return the same, knowing what the payloads belong to."""
        # Not `replace`, which makes anew what the SDK's own methods have set.
        bound = copy.copy(self)
        object.__setattr__(bound, "context", context)
        return bound

    def _with_store_context(self, ctx: StorageDriverStoreContext) -> ExternalStorage:
        bound = super()._with_store_context(ctx)
        if begin_task(self.context, ctx.target) and self.observers is not None:
            self.observers.begin(self.context, ctx.target)
        return bound

    def _belonging(self) -> AbstractContextManager[None]:
        """Let what the drivers do, and what is logged of it, be done for whom the storage is bound to."""
        return belonging_here_to(Belonging.of(self.context, self._store_context.target))

    async def _store_payload(self, payload: Payload) -> Payload:
        [stored] = await self._store_payload_sequence([payload])
        return stored

    async def _store_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        with self._belonging():
            stored = await self.fallbacks.store(payloads, self._store_where_routed)
            self.tell_of_inline(payloads, stored)
        await self.inline_limit.require_kept(stored, self.context, self._store_context.target)
        return stored

    async def _store_payloads(self, payloads: Payloads) -> None:
        """Store what belongs to a failure: the SDK comes here with nothing else.

        Nothing is refused for its size that the server could be told. If building a failure fails, the SDK's
        worker reports one that is tried again, though the activity may have ended for good. The server cuts a
        failure down that is too large.
        """
        with self._belonging():
            stored = await self._store_what_fits(payloads.payloads)
            self.tell_of_inline(payloads.payloads, stored)
        for payload, kept in zip(payloads.payloads, stored, strict=True):
            payload.CopyFrom(kept)

    def tell_of_inline(self, payloads: Sequence[Payload], stored: Sequence[Payload]) -> None:
        """Tell observers of new payloads that stay as they are: the very same are in `stored`."""
        if self.observers is None or not something_is_stored() or not self.observers.wants(InlineEvent):
            return
        inline = [one for one, result in zip(payloads, stored, strict=True) if result is one]
        if inline:
            size = sum(payload.ByteSize() for payload in inline)
            namespace = current_belonging().namespace
            self.observers.notify(InlineEvent(payloads=len(inline), size=size, namespace=namespace))

    async def _retrieve_payload(self, payload: Payload) -> Payload:
        with self._belonging():
            return await super()._retrieve_payload(payload)

    async def _retrieve_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        with self._belonging():
            return await super()._retrieve_payload_sequence(payloads)

    async def _store_what_fits(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Store a failure's payloads; one that is too large for its driver stays as it is, if it can."""
        try:
            return await self.fallbacks.store(payloads, self._store_where_routed)
        except PayloadTooLargeError as error:
            if len(payloads) > 1:
                # It does not tell which of them it is.
                return [kept for payload in payloads for kept in await self._store_what_fits([payload])]
            if payloads[0].ByteSize() > MOST_KEPT:
                raise
            logger.warning(
                "A value in the failure of %s is not stored, and goes to the server as it is: %s",
                _failing_activity(),
                error.message,
            )
            return list(payloads)

    async def _store_where_routed(self, payloads: Sequence[Payload]) -> list[Payload]:
        # The SDK's method for several calls that for one, which is overridden here, where it is given one.
        if len(payloads) == 1:
            return [await super()._store_payload(payloads[0])]
        return await super()._store_payload_sequence(payloads)

    @property
    def has_drivers(self) -> bool:
        """Whether a driver is configured."""
        return not any(isinstance(driver, NoDriver) for driver in self.drivers)

    def _decode_reference(self, payload: Payload) -> ExternalStorageReference | None:
        try:
            reference = super()._decode_reference(payload)
        except Exception:
            # The SDK lets its parsers speak, which know nothing of references; this says what is wrong.
            read_reference(payload)
            raise
        if reference is not None and not reference.driver_name:
            read_reference(payload)  # it raises: that names no driver
        return reference

    def _get_driver_by_name(self, name: str) -> StorageDriver:
        try:
            return super()._get_driver_by_name(name)
        except ValueError:
            raise unknown_driver(name, [driver.name() for driver in self.drivers]) from None


def _failing_activity() -> str:
    if not activity.in_activity():
        return "an activity"  # a client says that it failed
    info = activity.info()
    workflow = f" in workflow {info.workflow_type!r} (id {info.workflow_id!r})" if info.workflow_id else ""
    return f"activity {info.activity_type!r} (id {info.activity_id!r}){workflow}"


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
