"""Where a workflow's payloads are, read back from its history.

A history holds small payloads themselves and, for each offloaded one, a reference: a small payload that
names the driver and what the driver needs to find the original (its claim). Later releases of the SDK let
references go through the codecs, as payloads do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.client import WorkflowHistory
from temporalio.converter import JSONProtoPayloadConverter, PayloadCodec


@dataclass(frozen=True)
class PayloadRow:
    """One payload of a history."""

    event_id: int
    event: str
    what: str
    size: int
    """Bytes of the payload, compressed, wherever it is."""
    size_in_history: int
    """Bytes that stand in the history: the payload's own, or those of its reference."""
    driver: str | None = None
    """The name of the storage driver; None if the payload is inline."""
    key: str | None = None
    """Where the driver has the payload."""


async def payload_rows(history: WorkflowHistory, codec: PayloadCodec | None) -> list[PayloadRow]:
    """Every input and result in the history, in order; `codec` is that of the client's data converter."""
    activities = {
        event.event_id: event.activity_task_scheduled_event_attributes.activity_type.name
        for event in history.events
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    return [
        await _row(event, what, payload, codec)
        for event in history.events
        for what, payload in _payloads(event, activities)
    ]


def _payloads(event: HistoryEvent, activities: dict[int, str]) -> Iterator[tuple[str, Payload]]:
    """The event's payloads, each with what it is."""
    kind = event.WhichOneof("attributes")
    if kind is None:
        return
    attributes = getattr(event, kind)
    activity = activities.get(getattr(attributes, "scheduled_event_id", event.event_id))
    owner = activity or "workflow"
    for field in ("input", "result"):
        payloads = getattr(attributes, field, Payloads()).payloads
        for number, payload in enumerate(payloads, start=1):
            place = f" {number}" if len(payloads) > 1 else ""
            yield f"{field}{place} of {owner}", payload


async def _row(event: HistoryEvent, what: str, payload: Payload, codec: PayloadCodec | None) -> PayloadRow:
    name = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").replace("_", " ").capitalize()
    size = payload.ByteSize()
    if not payload.external_payloads:
        return PayloadRow(event.event_id, name, what, size, size)
    [in_the_clear] = await codec.decode([payload]) if codec else [payload]
    reference = JSONProtoPayloadConverter().from_payload(in_the_clear)
    assert isinstance(reference, ExternalStorageReference)
    return PayloadRow(
        event.event_id,
        name,
        what,
        payload.external_payloads[0].size_bytes,
        size,
        reference.driver_name,
        # Google Cloud Storage has another word for it.
        reference.claim_data.get("key") or reference.claim_data["object_name"],
    )
