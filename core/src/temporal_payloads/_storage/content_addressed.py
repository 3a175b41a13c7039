"""The base class for drivers that keep each payload under a key made from its content."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import BaseModel, ByteSize, ConfigDict, Field
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriver, StorageDriverWorkflowInfo

from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads._storage.claim_bounds import bounded
from temporal_payloads._storage.collecting import ListedPayload
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
)
from temporal_payloads._storage.key_layout import KeyLayout, Target
from temporal_payloads._storage.serialized import SerializedPayload, serialize_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from temporalio.converter import (
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

    from temporal_payloads._plugins.contract import ConfinedClaim

DEFAULT_MAX_PAYLOAD_SIZE = 50 * 1024 * 1024
"""Largest serialized payload in bytes that is stored unless settings say otherwise: 50 MiB, as in the SDK.

Example::

    class BoxSettings(BaseModel):
        max_payload_size: ByteSize = Field(ByteSize(DEFAULT_MAX_PAYLOAD_SIZE), gt=0)

    assert BoxSettings().max_payload_size == 50 * 1024 * 1024
"""


class ContentAddressedSettings(BaseModel):
    """What the `[storage.drivers.NAME]` table of every content-addressed driver has.

    Example::

        class BoxSettings(ContentAddressedSettings):
            url: str = Field(description="Where the box is: box://host:port")

        assert BoxSettings(url="box://attic", max_payload_size="1MiB").max_payload_size == 1048576
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    max_payload_size: ByteSize = Field(
        default=ByteSize(DEFAULT_MAX_PAYLOAD_SIZE), gt=0, description="Largest payload that is stored."
    )


class ContentAddressedDriver(StorageDriver):
    """A driver over a store of bytes under keys; the subclass says how bytes get there and back.

    Serialization, hashing (off the event loop when large), the size limit, keys, claims, and verification of
    what comes back are done here.

    Args:
        driver_name: The name recorded in references.
        layout: How keys and claims look; what confines claims has the same one.
        max_payload_size: Largest serialized payload in bytes that is stored.

    Example::

        class ShelfDriver(ContentAddressedDriver):
            def __init__(self, shelf, **arguments):
                super().__init__(**arguments)
                self._shelf = shelf

            def type(self):
                return "shelf"

            async def write(self, items):
                for key, data in items.items():
                    await self._shelf.put_unless_there(key, data)

            async def read(self, keys):
                return [await self._shelf.get(key) for key in keys]
    """

    def __init__(
        self,
        *,
        driver_name: str,
        layout: KeyLayout | None = None,
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
    ) -> None:
        if max_payload_size <= 0:
            raise ValueError("max_payload_size must be greater than zero")
        self._driver_name = driver_name
        self._layout = layout or KeyLayout()
        self._max_payload_size = max_payload_size

    def key_for(self, target: Target, sha256: str) -> str:
        """Return the key under which a payload of this hash is kept for this workflow or activity."""
        return self._layout.write(target, sha256)

    @abstractmethod
    async def write(self, items: Mapping[str, bytes]) -> None:
        """Write each value under its key, unless the key is there already; bound the concurrency."""

    @abstractmethod
    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value under each key, None where there is none; bound the concurrency."""

    def confine(self, claim: StorageDriverClaim) -> ConfinedClaim:
        """Return the claim if a driver with this layout could have made it; see `DriverPlugin.confine`.

        Raises:
            ClaimRejectedError: It could not.
        """
        return self._layout.confine(claim)

    def name(self) -> str:
        """Return the name recorded in references."""
        return self._driver_name

    @property
    def max_payload_size(self) -> int:
        """Largest serialized payload in bytes that is stored."""
        return self._max_payload_size

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store payloads; see `temporalio.converter.StorageDriver.store`.

        Raises:
            PayloadTooLargeError: A payload is over `max_payload_size`; nothing was stored.
        """
        return await self.store_serialized(context, await serialize_all(payloads))

    async def store_serialized(
        self, context: StorageDriverStoreContext, payloads: Sequence[SerializedPayload]
    ) -> list[StorageDriverClaim]:
        """Store payloads that are serialized and hashed already; see `store`."""
        for size in map(len, payloads):
            if size > self._max_payload_size:
                raise PayloadTooLargeError(
                    f"Payload size {size} bytes exceeds the configured max_payload_size of "
                    f"{self._max_payload_size} bytes of storage driver {self._driver_name!r}"
                )
        keys = [self.key_for(context.target, payload.sha256) for payload in payloads]
        # Equal payloads are one item. Those in one piece are not copied.
        items = dict(zip(keys, payloads, strict=True))
        await self.write(
            await run_off_loop(
                lambda: {key: payload.join() for key, payload in items.items()},
                sum(len(payload) for payload in items.values() if len(payload.pieces) > 1),
            )
        )
        return [self._layout.claim(key, payload.sha256) for key, payload in zip(keys, payloads, strict=True)]

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Retrieve payloads; see `temporalio.converter.StorageDriver.retrieve`.

        Raises:
            ClaimRejectedError: A claim lacks its key or its SHA-256, is larger than claims are, or has a key
                that this driver cannot have written.
            PayloadNotFoundError: A key is not in the store.
            PayloadIntegrityError: The bytes under a key are not those that were stored.
        """
        return [payload for payload, _ in await self.retrieve_serialized(context, claims)]

    async def retrieve_serialized(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[tuple[Payload, bytes]]:
        """Retrieve payloads, each with its bytes in the store; see `retrieve`."""
        del context  # empty in the SDK
        wanted = [self._read_claim(claim) for claim in claims]
        keys = list(dict.fromkeys(key for key, _ in wanted))
        found = dict(zip(keys, await self.read(keys), strict=True))

        def parse() -> list[tuple[Payload, bytes]]:
            return [self._parse(key, sha256, found[key]) for key, sha256 in wanted]

        return await run_off_loop(parse, sum(len(data or b"") for data in found.values()))

    # -- what a driver needs that is a `CollectableDriver` too

    def claim_for(self, namespace: str | None, sha256: str) -> StorageDriverClaim:
        """Return where a payload that is moved into the store lies; see `CollectableDriver.claim_for`."""
        target = StorageDriverWorkflowInfo(namespace=namespace) if namespace else None
        return self._layout.claim(self.key_for(target, sha256), sha256)

    def listed(
        self, key: str, *, size: int, tag: str, stored: datetime | None = None, aside: bool = False
    ) -> ListedPayload | None:
        """Return a payload that the store lists, or None if this is no key of one; see `ListedPayload`."""
        parsed = self._layout.read(key)
        if parsed is None:
            return None
        claim = self._layout.claim(key, parsed.sha256)
        return ListedPayload(claim=claim, key=parsed, size=size, tag=tag, stored=stored, aside=aside)

    def key_of(self, payload: ListedPayload) -> str:
        """Return the key of a payload that was listed, by whomever.

        Raises:
            ClaimRejectedError: The driver cannot have written it.
        """
        return self._layout.confine(payload.claim).claim.claim_data["key"]

    def _read_claim(self, claim: StorageDriverClaim) -> tuple[str, str]:
        data = bounded(claim).claim_data
        key, algorithm, sha256 = (data.get(name) for name in ("key", "hash_algorithm", "hash_value"))
        if not key or algorithm != "sha256" or not sha256:
            raise ClaimRejectedError(
                f"A claim of storage driver {self._driver_name!r} needs key, hash_algorithm=sha256 and "
                f"hash_value; this one has {', '.join(sorted(data)) or 'nothing'}"
            )
        # Who uses a driver by itself has no other guard: `v0/../other/d/sha256/...` must not reach a store.
        # A subclass with keys of its own says itself which ones they are.
        cls, base = type(self), ContentAddressedDriver
        if cls.key_for is base.key_for or cls.confine is not base.confine:
            self.confine(claim)
        return key, sha256

    def _parse(self, key: str, sha256: str, data: bytes | None) -> tuple[Payload, bytes]:
        if data is None:
            raise PayloadNotFoundError(
                f"Storage driver {self._driver_name!r} has no payload under key {key!r}: "
                "it expired, was deleted, or is in another store"
            )
        actual = hashlib.sha256(data).hexdigest()
        if actual != sha256:
            raise PayloadIntegrityError(
                f"Storage driver {self._driver_name!r}: the payload under key {key!r} has SHA-256 {actual}, "
                f"its claim says {sha256}: the object was changed after it was stored; put the original back"
            )
        return Payload.FromString(data), data
