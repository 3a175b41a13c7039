"""What the replay of a history is going to read from stores."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads._operate.histories import codec_of_workflow, payloads_in, reference_in
from temporal_payloads._storage.alias import DriverAlias
from temporal_payloads._storage.managed_driver import ManagedDriver

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from temporalio.api.common.v1 import Payload
    from temporalio.client import WorkflowHistory
    from temporalio.converter import DataConverter, PayloadCodec, StorageDriverClaim

    from temporal_payloads._storage.cache.memory import CacheKey

logger = logging.getLogger("temporal_payloads")

MADE_BY_COMMAND = "workflow_task_completed_event_id"
"""Field of all events that commands of the workflow made. A replay makes their payloads anew."""
READ_ALL_THE_SAME = ("marker_recorded_event_attributes",)
"""Results of local activities are read from there."""
NOT_READ = ("activity_task_started_event_attributes", "workflow_execution_update_completed_event_attributes")
"""Failures of an activity that was retried, and what the workflow itself answered."""


@dataclass(frozen=True)
class StoredPayload:
    """A payload that a history refers to."""

    driver: ManagedDriver
    claim: StorageDriverClaim
    key: CacheKey
    """What the cache keeps it under."""
    stated_size: int
    """Bytes, as the reference says; 0 if it does not say, and not to be relied on."""


class ReplayReads:
    """Finds what the replay of a history reads into the cache.

    Args:
        converter: What the replay decodes with. Only its drivers that were made from settings and have a
            cache in memory count: others have no place that something could be fetched into.
        namespace: The replay's, for codecs that depend on it.
    """

    def __init__(self, converter: DataConverter, namespace: str) -> None:
        self._codec = converter.payload_codec
        self._namespace = namespace
        self._drivers: dict[str, ManagedDriver] = {}
        for driver in converter.external_storage.drivers if converter.external_storage else ():
            managed = driver.driver if isinstance(driver, DriverAlias) else driver
            if isinstance(managed, ManagedDriver) and managed.keeps_in_memory(0):
                self._drivers[driver.name()] = managed

    @property
    def drivers(self) -> set[ManagedDriver]:
        """The drivers that count."""
        return set(self._drivers.values())

    async def of(self, history: WorkflowHistory) -> AsyncGenerator[StoredPayload, None]:
        """Yield the stored payloads in about the order in which they are asked for, some more than once.

        A reference that cannot be followed is left out: the replay meets it, and says what is wrong.
        """
        codec = codec_of_workflow(self._codec, namespace=self._namespace, workflow_id=history.workflow_id)
        for payload in _payloads_read(history):
            try:
                found = await self._find(payload, codec)
            except Exception as error:  # noqa: BLE001  # a codec or a plugin may raise anything
                logger.debug("A reference is left to the replay: %s", error)
            else:
                if found is not None:
                    yield found

    async def _find(self, payload: Payload, codec: PayloadCodec | None) -> StoredPayload | None:
        reference = await reference_in(payload, codec)
        driver = self._drivers.get(reference.driver_name) if reference else None
        if reference is None or driver is None or not driver.keeps_in_memory(reference.size):
            return None
        return StoredPayload(driver, reference.claim, driver.content_of(reference.claim), reference.size)


def _payloads_read(history: WorkflowHistory) -> Iterator[Payload]:
    for event in history.events:
        kind = event.WhichOneof("attributes")
        if kind is None or kind in NOT_READ:
            continue
        attributes = getattr(event, kind)
        if MADE_BY_COMMAND not in attributes.DESCRIPTOR.fields_by_name or kind in READ_ALL_THE_SAME:
            yield from payloads_in(attributes)
