"""Storage references: the small payloads that stand in a history for large ones.

The form is `temporal.api.sdk.v1.ExternalStorageReference` as JSON protobuf; the older form, with encoding
`json/external-storage-reference`, is read and never written. See the Temporal API's
`temporal/api/sdk/v1/external_storage.proto`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from google.protobuf.json_format import MessageToJson, Parse
from temporalio.api.common.v1 import Payload
from temporalio.api.sdk.v1.external_storage_pb2 import ExternalStorageReference
from temporalio.converter import StorageDriverClaim

from temporal_payloads._storage.claim_bounds import MAX_CLAIM_SIZE
from temporal_payloads._storage.errors import ClaimRejectedError

if TYPE_CHECKING:
    from temporalio.converter import PayloadCodec

MESSAGE_TYPE = ExternalStorageReference.DESCRIPTOR.full_name.encode()
LEGACY_ENCODING = b"json/external-storage-reference"
MARKER = "__temporal_external_storage_reference"
"""Metadata key, with value `true`, of a reference that has itself been through a codec."""

MAX_REFERENCE_SIZE = 16 * MAX_CLAIM_SIZE
"""Bytes of JSON: the largest claim, with each character an escape of up to 12 bytes, and a driver's name."""


@dataclass(frozen=True)
class Reference:
    """What a reference says: which driver has the payload, and how that driver finds it."""

    driver_name: str
    claim: StorageDriverClaim
    size: int
    """Serialized size in bytes of the stored payload; 0 if the reference does not say."""

    def to_payload(self) -> Payload:
        """Return the reference as it is written into a history."""
        message = ExternalStorageReference(driver_name=self.driver_name, claim_data=self.claim.claim_data)
        payload = Payload(
            metadata={"encoding": b"json/protobuf", "messageType": MESSAGE_TYPE},
            data=MessageToJson(message, indent=None, sort_keys=True).encode(),
        )
        payload.external_payloads.add().size_bytes = self.size
        return payload


async def as_the_sdk_writes_it(reference: Payload, codec: PayloadCodec | None) -> Payload:
    """Return a reference in the form in which this release of the SDK puts it into histories.

    Some releases let references go through the codecs and mark them; SDK 1.35 has it as a switch.
    """
    if not _the_sdk_encodes_references():
        return reference
    marked = Payload()
    marked.CopyFrom(reference)
    marked.metadata[MARKER] = b"true"
    if codec is None:
        return marked
    [encoded] = await codec.encode([marked])
    if not encoded.external_payloads:
        encoded.external_payloads.extend(reference.external_payloads)
    encoded.metadata[MARKER] = b"true"
    return encoded


def _the_sdk_encodes_references() -> bool:
    try:
        from temporalio.converter import _extstore  # noqa: PLC0415  # private: a release may not have it
    except ImportError:
        return True
    # The switch goes away once all references are encoded.
    return getattr(_extstore, "_ENCODE_STORAGE_REFERENCES", True)


def is_reference(payload: Payload) -> bool:
    """Tell whether the payload is a reference in the clear, in the present or the older form."""
    metadata = payload.metadata
    encoding = metadata.get("encoding")
    return encoding == LEGACY_ENCODING or (
        encoding == b"json/protobuf" and metadata.get("messageType") == MESSAGE_TYPE
    )


def is_encoded_reference(payload: Payload) -> bool:
    """Tell whether the payload is a reference that a codec must decode first."""
    return payload.metadata.get(MARKER) == b"true" and not is_reference(payload)


def read_reference(payload: Payload) -> Reference:
    """Read a payload for which `is_reference` is true.

    Raises:
        ClaimRejectedError: Its data is not what a reference holds, names no driver, or is larger than
            references are.
    """
    if len(payload.data) > MAX_REFERENCE_SIZE:
        raise ClaimRejectedError(
            f"A storage reference has {len(payload.data)} bytes; at most {MAX_REFERENCE_SIZE} are accepted"
        )
    size = payload.external_payloads[0].size_bytes if payload.external_payloads else 0
    try:
        if payload.metadata.get("encoding") == LEGACY_ENCODING:
            data = json.loads(payload.data)
            message = ExternalStorageReference(
                driver_name=data["driver_name"], claim_data=data["driver_claim"]["claim_data"]
            )
        else:
            message = Parse(payload.data, ExternalStorageReference(), ignore_unknown_fields=True)
    except Exception as error:  # releases of protobuf let SystemError out, of a lone surrogate in JSON
        raise _unreadable(type(error).__name__) from error
    # A newer release's fields are skipped; and so is all that stands in JSON of something else, a string too.
    if not message.driver_name:
        raise _unreadable("it names no driver")
    return Reference(message.driver_name, StorageDriverClaim(claim_data=dict(message.claim_data)), size)


def _unreadable(reason: str) -> ClaimRejectedError:
    return ClaimRejectedError(
        f"A storage reference could not be read: {reason}. "
        "Its data must be the JSON of a temporal.api.sdk.v1.ExternalStorageReference"
    )
