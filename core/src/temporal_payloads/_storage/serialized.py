"""Payloads as bytes, with as few copies as protobuf allows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from google.protobuf.unknown_fields import UnknownFieldSet
from temporalio.api.common.v1 import Payload

from temporal_payloads._concurrency.offload import OFFLOAD_SIZE


@dataclass(frozen=True, slots=True)
class SerializedPayload:
    """A serialized payload in three pieces.

    Protobuf's own `SerializeToString`, and `ByteSize` likewise, makes two copies of a payload and holds the
    GIL for both: 40 MB stall the event loop for 50 ms even from a thread. Reading the large field makes one,
    and what stands around it is small.
    """

    before: bytes
    data: bytes
    after: bytes

    @classmethod
    def of(cls, payload: Payload) -> SerializedPayload:
        """Serialize the payload: to the same bytes for equal payloads."""
        data = payload.data
        # What a newer SDK may have added is not among the fields below.
        if len(data) < OFFLOAD_SIZE or len(UnknownFieldSet(payload)):
            return cls(payload.SerializeToString(deterministic=True), b"", b"")
        before = Payload(metadata=payload.metadata).SerializeToString(deterministic=True)
        after = Payload(external_payloads=payload.external_payloads).SerializeToString(deterministic=True)
        return cls(before + data_prefix(len(data)), data, after)

    def __len__(self) -> int:
        return len(self.before) + len(self.data) + len(self.after)

    def join(self) -> bytes:
        """Return it in one piece, which is a copy of a large one."""
        return b"".join((self.before, self.data, self.after))

    def sha256(self) -> str:
        """Return the SHA-256 of the whole, in lower-case hex."""
        digest = hashlib.sha256(self.before)
        digest.update(self.data)
        digest.update(self.after)
        return digest.hexdigest()


def data_prefix(size: int) -> bytes:
    """Return what stands before `data` in a serialized payload: its field's tag and its size as a varint."""
    prefix = bytearray((Payload.DATA_FIELD_NUMBER << 3 | 2,))  # 2: the wire type of bytes
    while size >= 1 << 7:
        prefix.append(size & 0x7F | 0x80)  # seven bits at a time, the lowest first
        size >>= 7
    prefix.append(size)
    return bytes(prefix)
