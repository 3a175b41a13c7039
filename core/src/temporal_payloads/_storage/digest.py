"""Payloads as they are given to a driver and come from it: serialized and hashed once, whoever does it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads._storage.serialized import (
    Pieces,
    SerializedPayload,
    serialize,
    size_of,
    takes_serialized,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import (
        StorageDriver,
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )


@dataclass(frozen=True, slots=True)
class Digest:
    """A payload, and what is to be known of its bytes."""

    payload: Payload
    sha256: str
    size: int
    data: bytes | None
    """The bytes, if the cache would keep them. Those of a larger payload are made again when they are needed:
    many are not, and a driver that makes its own would have to bear with another copy."""

    @classmethod
    def of(cls, payload: Payload, pieces: Pieces, keeps: Callable[[int], bool]) -> Digest:
        """Hash a serialized payload, and put it together if one of its size is kept."""
        size = size_of(pieces)
        data = b"".join(pieces) if keeps(size) else None
        return cls(payload, SerializedPayload.of(pieces).sha256, size, data)

    def serialized(self) -> SerializedPayload:
        """Return the bytes with their hash."""
        return SerializedPayload(serialize(self.payload) if self.data is None else (self.data,), self.sha256)


async def digest_all(payloads: Sequence[Payload], keeps: Callable[[int], bool]) -> list[Digest]:
    """Serialize and hash payloads, off the event loop if they are large.

    Args:
        payloads: The payloads.
        keeps: Whether the cache would keep the bytes of a payload of this size.
    """
    serialized = deque(serialize(payload) for payload in payloads)
    # Taken out one by one: what the thread still held when it is done would be one copy more.
    return await run_off_loop(
        lambda: [Digest.of(payload, serialized.popleft(), keeps) for payload in payloads],
        sum(map(size_of, serialized)),
    )


async def store_with(
    driver: StorageDriver, context: StorageDriverStoreContext, digests: Sequence[Digest]
) -> Sequence[StorageDriverClaim]:
    """Store payloads with a driver, which need not hash again what it takes serialized."""
    if takes_serialized(driver):
        return await driver.store_serialized(context, [one.serialized() for one in digests])
    return await driver.store(context, [one.payload for one in digests])


async def retrieve_with(
    driver: StorageDriver, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
) -> Sequence[tuple[Payload, bytes | None]]:
    """Retrieve payloads with a driver, each with its bytes in the store if the driver tells them."""
    if takes_serialized(driver):
        return await driver.retrieve_serialized(context, claims)
    return [(payload, None) for payload in await driver.retrieve(context, claims)]
