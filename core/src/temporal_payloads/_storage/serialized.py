"""Payloads as bytes, with as few copies as protobuf allows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeGuard

from google.protobuf.unknown_fields import UnknownFieldSet
from temporalio.api.common.v1 import Payload

from temporal_payloads._concurrency.offload import run_off_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.converter import (
        StorageDriver,
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

Pieces = tuple[bytes, ...]
"""What is one after the other the bytes of a payload."""

_PIECES_SIZE = 64 * 1024
"""Bytes of data from which a further copy of it takes longer than to put the rest around it."""


def serialize(payload: Payload) -> Pieces:
    """Return the bytes of a payload: the same for equal payloads.

    Protobuf's own `SerializeToString`, and `ByteSize` likewise, makes two copies of a payload and holds the
    GIL for both: 40 MB stall the event loop for 50 ms even from a thread. Reading the large field makes one,
    and what stands around it is small.

    Example::

        pieces = serialize(payload)
        assert Payload.FromString(b"".join(pieces)) == payload
    """
    data = payload.data
    # What a newer SDK may have added is not among the fields below.
    if len(data) < _PIECES_SIZE or len(UnknownFieldSet(payload)):
        return (payload.SerializeToString(deterministic=True),)
    before = Payload(metadata=payload.metadata).SerializeToString(deterministic=True)
    pieces = before + data_prefix(len(data)), data
    if not payload.external_payloads:
        return pieces
    return *pieces, Payload(external_payloads=payload.external_payloads).SerializeToString(deterministic=True)


def data_prefix(size: int) -> bytes:
    """Return what stands before `data` in a serialized payload: its field's tag and its size as a varint.

    Example::

        assert data_prefix(3) + b"abc" == Payload(data=b"abc").SerializeToString()
    """
    prefix = bytearray((Payload.DATA_FIELD_NUMBER << 3 | 2,))  # 2: the wire type of bytes
    while size >= 1 << 7:
        prefix.append(size & 0x7F | 0x80)  # seven bits at a time, the lowest first
        size >>= 7
    prefix.append(size)
    return bytes(prefix)


def size_of(pieces: Pieces) -> int:
    """Return how many bytes the pieces are together."""
    return sum(map(len, pieces))


@dataclass(frozen=True, slots=True)
class SerializedPayload:
    """A payload as a store keeps it, and its hash, which takes as long as many a store does.

    Example::

        serialized = SerializedPayload.of(serialize(payload))
        assert serialized.sha256 == hashlib.sha256(serialized.join()).hexdigest()
    """

    pieces: Pieces
    """The bytes, in order. A large payload is not in one piece: that would be one more copy of it."""
    sha256: str
    """The SHA-256 of the whole, in lower-case hex."""

    @classmethod
    def of(cls, pieces: Pieces) -> SerializedPayload:
        """Hash the pieces."""
        digest = hashlib.sha256(pieces[0])
        for piece in pieces[1:]:
            digest.update(piece)
        return cls(pieces, digest.hexdigest())

    def __len__(self) -> int:
        return size_of(self.pieces)

    def join(self) -> bytes:
        """Return it in one piece, which is a copy unless it is in one piece already."""
        return b"".join(self.pieces)


async def serialize_all(payloads: Sequence[Payload]) -> list[SerializedPayload]:
    """Serialize and hash payloads, off the event loop if they are large.

    Example::

        async def store(self, context, payloads):
            return [await self._put(one.join(), one.sha256) for one in await serialize_all(payloads)]
    """
    serialized = [serialize(payload) for payload in payloads]
    return await run_off_loop(
        lambda: [SerializedPayload.of(pieces) for pieces in serialized], sum(map(size_of, serialized))
    )


class SerializedDriver(Protocol):
    """A storage driver that need not serialize and hash again what was serialized and hashed already.

    Example::

        class UploadingDriver(ShelfDriver):
            async def store_serialized(self, context, payloads):
                keys = [self.key_for(context.target, payload.sha256) for payload in payloads]
                for key, payload in zip(keys, payloads, strict=True):
                    await self._shelf.upload(key, payload.pieces)
                return [KeyLayout().claim(key, one.sha256) for key, one in zip(keys, payloads, strict=True)]

        driver: SerializedDriver = UploadingDriver(shelf, driver_name="shelf")
    """

    async def store_serialized(
        self, context: StorageDriverStoreContext, payloads: Sequence[SerializedPayload]
    ) -> list[StorageDriverClaim]:
        """Store payloads as `StorageDriver.store` does."""

    async def retrieve_serialized(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[tuple[Payload, bytes]]:
        """Retrieve payloads as `StorageDriver.retrieve` does, each with its bytes in the store."""


def takes_serialized(driver: StorageDriver) -> TypeGuard[SerializedDriver]:
    """Tell whether a driver is a `SerializedDriver`.

    One that inherits those methods and overrides `store` or `retrieve` is none: it means to see all payloads.
    """
    scopes = [getattr(driver, "__dict__", {}), *map(vars, type(driver).__mro__)]

    def depth(name: str) -> int:
        return next((depth for depth, scope in enumerate(scopes) if name in scope), len(scopes))

    return all(depth(f"{name}_serialized") <= depth(name) for name in ("store", "retrieve"))
