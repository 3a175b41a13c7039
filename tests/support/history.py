"""What the server really holds: the payloads in histories and descriptions, as they are."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporalio.client import WorkflowHistory

REFERENCE_MESSAGE = b"temporal.api.sdk.v1.ExternalStorageReference"
REFERENCE_MARKER = "__temporal_external_storage_reference"
"""Metadata key of a reference that has been through the codecs."""
NOT_ENCODED = ("search_attributes", "header")
"""Fields that no data converter touches: the server reads the first, interceptors the second."""


def payloads_in(message: Message, path: str = "") -> Iterator[tuple[str, Payload]]:
    """Yield every payload inside a message, with the names of the fields that lead to it."""
    if isinstance(message, Payload):
        yield path, message
        return
    for field, value in message.ListFields():
        if field.name in NOT_ENCODED or field.message_type is None:
            continue
        inner = f"{path}.{field.name}" if path else field.name
        if field.message_type.GetOptions().map_entry:
            for key in value:
                if isinstance(value[key], Message):
                    yield from payloads_in(value[key], f"{inner}.{key}")
        elif field.is_repeated:
            for each in value:
                yield from payloads_in(each, inner)
        else:
            yield from payloads_in(value, inner)


def is_reference(payload: Payload) -> bool:
    """Tell whether this is what stands for a payload in a store, in the clear or encoded."""
    return payload.metadata.get("messageType") == REFERENCE_MESSAGE or REFERENCE_MARKER in payload.metadata


def is_sealed(payload: Payload) -> bool:
    """Tell whether this is encrypted."""
    return payload.metadata.get("encoding") == b"binary/encrypted"


def in_the_clear(reference: Payload) -> Payload:
    """Return a reference as it was before it went through gzip, the one codec of these tests."""
    clear = Payload()
    clear.CopyFrom(reference)
    if reference.metadata["encoding"] == b"binary/gzip":
        clear = Payload.FromString(gzip.decompress(reference.data))
    clear.metadata.pop(REFERENCE_MARKER, None)
    return clear


def driver_name(reference: Payload) -> str:
    """Return the driver name that a reference records."""
    return str(json.loads(in_the_clear(reference).data)["driverName"])


def claim_of(reference: Payload) -> dict[str, str]:
    """Return the claim that a reference carries."""
    return dict(json.loads(in_the_clear(reference).data)["claimData"])


def event_payloads(history: WorkflowHistory) -> dict[str, list[Payload]]:
    """Return the payloads of a history by where they stand: `workflow_execution_started.input`."""
    found: dict[str, list[Payload]] = {}
    for event in history.events:
        for path, payload in payloads_in(event):
            short = path.replace("_event_attributes", "").replace(".payloads", "")
            found.setdefault(short, []).append(payload)
    return found
