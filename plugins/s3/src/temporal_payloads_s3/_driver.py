"""The SDK's S3 driver, with its work on large payloads off the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from google.protobuf.message import DecodeError
from temporal_payloads.plugin import (
    OFFLOAD_SIZE,
    PayloadIntegrityError,
    PayloadTooLargeError,
    StorageMisconfiguredError,
    gather_bounded,
    run_off_loop,
)
from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient

from temporal_payloads_s3._claims import bucket_for
from temporal_payloads_s3._location import Location

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from temporal_payloads.plugin import DriverContext
    from temporalio.api.common.v1 import Payload
    from temporalio.converter import (
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

    from temporal_payloads_s3._client import ConditionalS3Client
    from temporal_payloads_s3._settings import S3Settings

T = TypeVar("T")


class OffLoopS3StorageDriver(S3StorageDriver):
    """What the SDK's driver does, in two steps: its work on bytes in a thread, then the requests here.

    The SDK's driver serializes, hashes and verifies between its requests, on the event loop, which stands
    still meanwhile. Here it is given a client that only notes what is to be written, or hands out what was
    read already. Keys, claims and verification remain its own.
    """

    def __init__(self, client: ConditionalS3Client, settings: S3Settings, context: DriverContext) -> None:
        super().__init__(client, self._choose_bucket, context.name, settings.max_payload_size)
        self._requests = client
        self._settings = settings
        self._context = context

    async def check(self) -> None:
        """Raise a `StorageError` if the endpoint, the credentials or the bucket are not as they should be.

        With a bucket for each namespace nobody knows which ones there must be: then only the first two.
        """
        bucket = bucket_for(self._settings, "default")
        await self._requests.check(bucket, bucket_may_be_missing=bucket != self._settings.bucket)

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store payloads; see `temporalio.converter.StorageDriver.store`.

        Raises:
            PayloadTooLargeError: A payload is over `max_payload_size`; nothing was stored.
            StorageError: Another of its subclasses, which names the setting to look at.
        """
        sizes = [payload.ByteSize() for payload in payloads]
        limit = self._settings.max_payload_size
        if max(sizes, default=0) > limit:
            raise PayloadTooLargeError(
                f"Payload size {max(sizes)} bytes exceeds the configured max_payload_size of {limit} bytes; "
                f"raise {self._context.place}.max_payload_size, or make the value smaller"
            )
        noted = _NotedWrites()
        claims = await _in_thread(lambda: self._with(noted).store(context, payloads), sum(sizes))

        async def write(location: Location) -> None:
            if not await self._requests.object_exists(**location._asdict()):
                await self._requests.put_object(**location._asdict(), data=noted.objects[location])

        await gather_bounded(write, list(noted.objects), self._context.concurrency)
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
        locations = list(dict.fromkeys(Location(c.claim_data["bucket"], c.claim_data["key"]) for c in claims))

        async def read(location: Location) -> bytes:
            return await self._requests.get_object(**location._asdict())

        found = await gather_bounded(read, locations, self._context.concurrency)
        size = sum(len(data) for data in found)
        objects = _FoundObjects(dict(zip(locations, found, strict=True)))
        del found

        async def parse() -> list[Payload]:
            try:
                return await self._with(objects).retrieve(context, claims)
            finally:
                # A thread lets go of its work some time after the result is there: that is one copy more.
                objects.objects.clear()

        try:
            return await _in_thread(parse, size)
        except (ValueError, DecodeError) as error:
            raise PayloadIntegrityError(
                f"{error}. The object was changed after it was stored; if an earlier version or a copy "
                "is left, restore it"
            ) from error

    def _with(self, client: S3StorageDriverClient) -> S3StorageDriver:
        return S3StorageDriver(client, self._choose_bucket, self.name(), self._settings.max_payload_size)

    def _choose_bucket(self, context: StorageDriverStoreContext, payload: Payload) -> str:
        del payload
        try:
            return bucket_for(self._settings, context.target.namespace if context.target else None)
        except ValueError as error:
            raise StorageMisconfiguredError(
                f"No bucket to store this payload in: {error}; give {self._context.place}.bucket a fixed "
                "name, or send such payloads elsewhere by a route"
            ) from error


async def _in_thread(work: Callable[[], Coroutine[None, None, T]], size: int) -> T:
    """Run a coroutine that waits for nothing: here if it handles few bytes, else on a loop in a thread."""
    if size < OFFLOAD_SIZE:
        return await work()
    return await run_off_loop(lambda: asyncio.run(work()), size)


class _NotedWrites(S3StorageDriverClient):
    """Notes what the SDK's driver wants written. Equal payloads in one call are one object."""

    def __init__(self) -> None:
        self.objects: dict[Location, bytes] = {}

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        return Location(bucket, key) in self.objects

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        self.objects[Location(bucket, key)] = data

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        return self.objects[Location(bucket, key)]


class _FoundObjects(_NotedWrites):
    """Hands the SDK's driver what was read."""

    def __init__(self, objects: Mapping[Location, bytes]) -> None:
        self.objects = dict(objects)
