"""The payloads and references in histories, and in any other of Temporal's messages."""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.converter import WithSerializationContext, WorkflowSerializationContext

from temporal_payloads._storage.errors import ClaimRejectedError
from temporal_payloads._storage.references import MARKER, is_encoded_reference, is_reference, read_reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor import Descriptor
    from temporalio.converter import PayloadCodec

    from temporal_payloads._storage.references import Reference


Place = tuple[str | int, ...]
"""The names of the fields that lead to a payload; after a list its index, after a map its key."""


def payloads_in(message: Message) -> Iterator[Payload]:
    """Yield every payload inside a message that a data converter may have made, in the order of the fields.

    Search attributes are payloads too, but no data converter touches them, for the server reads them. Neither
    does one reach what is packed into a `google.protobuf.Any`; histories have none.

    Args:
        message: A history, an event, or any other message: one of a release that adds fields as well.
    """
    for _, payload in placed_payloads_in(message):
        yield payload


def placed_payloads_in(message: Message, place: Place = ()) -> Iterator[tuple[Place, Payload]]:
    """Yield what `payloads_in` does, each with its place in the message."""
    if isinstance(message, Payload):
        yield place, message
        return
    ways = _ways_to_payloads(message.DESCRIPTOR)
    if not ways:
        return
    for field, value in message.ListFields():
        if field.number not in ways:
            continue
        inner = (*place, field.name)
        if isinstance(value, Message):
            yield from placed_payloads_in(value, inner)
        else:
            for key, each in value.items() if ways[field.number] else enumerate(value):
                yield from placed_payloads_in(each, (*inner, key))


async def reference_in(payload: Payload, codec: PayloadCodec | None) -> Reference | None:
    """Return what a payload refers to, or None if it is no reference.

    All forms are read: the present one, the older one, and references that have been through codecs.

    Args:
        payload: As it stands in a history; it is left as it is.
        codec: Decodes a reference that has been through codecs, as the data converter would: in the context
            of its workflow, where that counts.

    Raises:
        ClaimRejectedError: It says that it is a reference, but cannot be read as one.
        Exception: What the codec raised.
    """
    if not is_reference(payload) and not is_encoded_reference(payload):
        return None
    return read_reference(await reference_in_clear(payload, codec))


def codec_of_workflow(codec: PayloadCodec | None, *, namespace: str, workflow_id: str) -> PayloadCodec | None:
    """Return the codec as the data converter has it for this workflow's payloads."""
    if not isinstance(codec, WithSerializationContext):
        return codec
    return codec.with_context(WorkflowSerializationContext(namespace=namespace, workflow_id=workflow_id))


async def reference_in_clear(reference: Payload, codec: PayloadCodec | None) -> Payload:
    """Return a reference as it was before it went through the codecs, if it did.

    Raises:
        ClaimRejectedError: The codecs do not decode it.
        Exception: What the codec raised.
    """
    if is_reference(reference):
        return reference
    encoded = Payload()
    encoded.CopyFrom(reference)
    # What the SDK adds once the codecs are through; they do not know it.
    del encoded.metadata[MARKER]
    del encoded.external_payloads[:]
    [decoded] = await codec.decode([encoded]) if codec else [encoded]
    if not is_reference(decoded):
        raise ClaimRejectedError(
            "A storage reference that has been through codecs could not be decoded. "
            "The codecs that it was written with must be configured"
        )
    if not decoded.external_payloads:
        decoded.external_payloads.extend(reference.external_payloads)
    return decoded


@cache
def _ways_to_payloads(message_type: Descriptor) -> dict[int, bool]:
    """Return the numbers of the fields that can lead to a payload, and whether they are maps."""
    ways: dict[int, bool] = {}
    for field in message_type.fields:
        inner = field.message_type
        if inner is not None and _leads_to_payloads(inner):
            ways[field.number] = inner.GetOptions().map_entry
    return ways


@cache
def _leads_to_payloads(message_type: Descriptor) -> bool:
    # Not by asking each field's type in turn: messages may contain themselves, as failures do.
    seen: set[Descriptor] = set()
    ahead = deque([message_type])
    while ahead:
        here = ahead.popleft()
        if here is Payload.DESCRIPTOR:
            return True
        if here not in seen and here is not SearchAttributes.DESCRIPTOR:
            seen.add(here)
            ahead.extend(field.message_type for field in here.fields if field.message_type is not None)
    return False
