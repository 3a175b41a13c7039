"""The base class for drivers that do what one of the SDK's drivers for buckets does, off the event loop."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, TypeVar

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriver, StorageDriverClaim

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._concurrency.offload import OFFLOAD_SIZE, run_off_loop
from temporal_payloads._storage.errors import (
    PayloadIntegrityError,
    PayloadTooLargeError,
    StorageMisconfiguredError,
)
from temporal_payloads._storage.serialized import serialize_all

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from temporalio.converter import StorageDriverRetrieveContext, StorageDriverStoreContext

    from temporal_payloads._plugins.contract import DriverContext
    from temporal_payloads._storage.serialized import SerializedPayload

T = TypeVar("T")


class SDKBucketDriver(StorageDriver):
    """What one of the SDK's drivers for buckets does, with its work on bytes in a thread.

    The SDK's drivers serialize, hash and verify between their requests, on the event loop, which stands still
    meanwhile. Here such a driver makes the claim of an empty payload, from which the others differ by their
    hashes alone, and verifies what was read already. Keys, claims and verification remain its own.

    A subclass derives from the SDK's driver too, after this class, and sets `context` and `max_payload_size`.

    Example::

        from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient

        class Objects(S3StorageDriverClient):
            def __init__(self, objects):
                self._objects = objects

            async def object_exists(self, *, bucket, key):
                return (bucket, key) in self._objects

            async def put_object(self, *, bucket, key, data):
                pass  # written already

            async def get_object(self, *, bucket, key):
                return self._objects[bucket, key]

        class OffLoopS3Driver(SDKBucketDriver, S3StorageDriver):
            name_field = "key"

            def sdk_driver(self, objects):
                return S3StorageDriver(Objects(objects), self.choose_bucket)

            def bucket_for(self, namespace):
                return "payloads"

            async def write(self, bucket, name, payload):
                await self.client.put_unless_there(bucket, name, payload.join())

            async def read(self, bucket, name):
                return await self.client.get(bucket, name)
    """

    name_field: ClassVar[str]
    """What claims call the name of an object in its bucket (`key`)."""
    context: DriverContext
    """What `DriverPlugin.open` was given: name, place, concurrency."""
    max_payload_size: int
    """Largest serialized payload in bytes that is stored."""

    @abstractmethod
    def sdk_driver(self, objects: Mapping[tuple[str, str], bytes]) -> StorageDriver:
        """Return the SDK's driver over a client that has these objects and writes none."""

    @abstractmethod
    def bucket_for(self, namespace: str | None) -> str:
        """Return the bucket of payloads of this namespace.

        Raises:
            ValueError: There is none; the message says why.
        """

    @abstractmethod
    async def write(self, bucket: str, name: str, payload: SerializedPayload) -> None:
        """Write an object unless it is there already."""

    @abstractmethod
    async def read(self, bucket: str, name: str) -> bytes:
        """Return an object's bytes.

        Raises:
            PayloadNotFoundError: It is not there.
        """

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store payloads; see `temporalio.converter.StorageDriver.store`.

        Raises:
            PayloadTooLargeError: A payload is over `max_payload_size`; nothing was stored.
            StorageError: Another of its subclasses, which names the setting to look at.
        """
        return await self.store_serialized(context, await serialize_all(payloads))

    async def store_serialized(
        self, context: StorageDriverStoreContext, payloads: Sequence[SerializedPayload]
    ) -> list[StorageDriverClaim]:
        """Store payloads that are serialized and hashed already; see `store`."""
        largest = max(map(len, payloads), default=0)
        if largest > self.max_payload_size:
            raise PayloadTooLargeError(
                f"Payload size {largest} bytes exceeds the configured max_payload_size of "
                f"{self.max_payload_size} bytes; raise {self.context.place}.max_payload_size, or make the "
                "value smaller"
            )
        (empty,) = await self.sdk_driver({}).store(context, [Payload()])
        claims = [self._claim_like(empty, payload.sha256) for payload in payloads]
        # Equal payloads of one call are one object.
        objects = {self._location(claim): payload for claim, payload in zip(claims, payloads, strict=True)}

        async def write(location: tuple[str, str]) -> None:
            await self.write(*location, objects[location])

        await gather_bounded(write, list(objects), self.context.concurrency)
        return claims

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Retrieve payloads; see `temporalio.converter.StorageDriver.retrieve`.

        Raises:
            PayloadNotFoundError: An object is missing.
            PayloadIntegrityError: An object's bytes are not those that were stored.
            StorageError: Another of its subclasses, which names the setting to look at.
        """
        return [payload for payload, _ in await self.retrieve_serialized(context, claims)]

    async def retrieve_serialized(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[tuple[Payload, bytes]]:
        """Retrieve payloads, each with its bytes in the store; see `retrieve`."""
        locations = list(dict.fromkeys(map(self._location, claims)))

        async def read(location: tuple[str, str]) -> bytes:
            return await self.read(*location)

        read_now = await gather_bounded(read, locations, self.context.concurrency)
        found = dict(zip(locations, read_now, strict=True))
        lent = dict(found)

        async def parse() -> list[Payload]:
            try:
                return await self.sdk_driver(lent).retrieve(context, claims)
            finally:
                # What has run in a thread is let go of some time later, and would hold the bytes until then.
                lent.clear()

        try:
            payloads = await _in_thread(parse, sum(map(len, found.values())))
        except (ValueError, DecodeError) as error:
            raise PayloadIntegrityError(
                f"{error}. The object was changed after it was stored; if an earlier version or a copy "
                "is left, restore it"
            ) from error
        return [
            (payload, found[self._location(claim)]) for payload, claim in zip(payloads, claims, strict=True)
        ]

    def choose_bucket(self, context: StorageDriverStoreContext, payload: Payload) -> str:
        """Return the bucket to store a payload in, as the SDK's drivers ask for it.

        Raises:
            StorageMisconfiguredError: There is none.
        """
        del payload
        try:
            return self.bucket_for(context.target.namespace if context.target else None)
        except ValueError as error:
            raise StorageMisconfiguredError(
                f"No bucket to store this payload in: {error}; give {self.context.place}.bucket a fixed "
                "name, or send such payloads elsewhere by a route",
                store_asked=False,
            ) from error

    def _location(self, claim: StorageDriverClaim) -> tuple[str, str]:
        return claim.claim_data["bucket"], claim.claim_data[self.name_field]

    def _claim_like(self, empty: StorageDriverClaim, sha256: str) -> StorageDriverClaim:
        """Return the claim of a payload, given that of an empty one for the same workflow or activity."""
        data = empty.claim_data
        name = data[self.name_field].removesuffix(data["hash_value"]) + sha256
        return StorageDriverClaim({**data, self.name_field: name, "hash_value": sha256})


async def _in_thread(work: Callable[[], Coroutine[None, None, T]], size: int) -> T:
    """Run a coroutine that waits for nothing: here if it handles few bytes, else on a loop in a thread."""
    if size < OFFLOAD_SIZE:
        return await work()
    return await run_off_loop(lambda: asyncio.run(work()), size)
