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
    serialize_all,
)
from temporalio.api.common.v1 import Payload
from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient
from temporalio.converter import StorageDriverClaim

from temporal_payloads_s3._claims import bucket_for
from temporal_payloads_s3._location import Location

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from temporal_payloads.plugin import DriverContext, SerializedPayload
    from temporalio.converter import StorageDriverRetrieveContext, StorageDriverStoreContext

    from temporal_payloads_s3._client import ConditionalS3Client
    from temporal_payloads_s3._settings import S3Settings

T = TypeVar("T")


class OffLoopS3StorageDriver(S3StorageDriver):
    """What the SDK's driver does, in two steps: its work on bytes in a thread, then the requests here.

    The SDK's driver serializes, hashes and verifies between its requests, on the event loop, which stands
    still meanwhile. Here it makes the claim of an empty payload, from which the others differ by their hashes
    alone, and verifies what was read already. Keys, claims and verification remain its own.
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
        return await self.store_serialized(context, await serialize_all(payloads))

    async def store_serialized(
        self, context: StorageDriverStoreContext, payloads: Sequence[SerializedPayload]
    ) -> list[StorageDriverClaim]:
        """Store payloads that are serialized and hashed already; see `store`."""
        largest = max(map(len, payloads), default=0)
        limit = self._settings.max_payload_size
        if largest > limit:
            raise PayloadTooLargeError(
                f"Payload size {largest} bytes exceeds the configured max_payload_size of {limit} bytes; "
                f"raise {self._context.place}.max_payload_size, or make the value smaller"
            )
        (empty,) = await self._with(_Nowhere()).store(context, [Payload()])
        claims = [_claim_like(empty, payload.sha256) for payload in payloads]
        # Equal payloads of one call are one object.
        objects = {_location(claim): payload for claim, payload in zip(claims, payloads, strict=True)}

        async def write(location: Location) -> None:
            if not await self._requests.object_exists(**location._asdict()):
                await self._requests.put_pieces(location, objects[location].pieces)

        await gather_bounded(write, list(objects), self._context.concurrency)
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
        locations = list(dict.fromkeys(map(_location, claims)))

        async def read(location: Location) -> bytes:
            return await self._requests.get_object(**location._asdict())

        found = dict(
            zip(
                locations,
                await gather_bounded(read, locations, self._context.concurrency),
                strict=True,
            )
        )
        verified = _Found(found)

        async def parse() -> list[Payload]:
            try:
                return await self._with(verified).retrieve(context, claims)
            finally:
                # What has run in a thread is let go of some time later, and would hold the bytes until then.
                verified.objects.clear()

        try:
            payloads = await _in_thread(parse, sum(map(len, found.values())))
        except (ValueError, DecodeError) as error:
            raise PayloadIntegrityError(
                f"{error}. The object was changed after it was stored; if an earlier version or a copy "
                "is left, restore it"
            ) from error
        return [(payload, found[_location(claim)]) for payload, claim in zip(payloads, claims, strict=True)]

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


def _location(claim: StorageDriverClaim) -> Location:
    return Location(claim.claim_data["bucket"], claim.claim_data["key"])


def _claim_like(empty: StorageDriverClaim, sha256: str) -> StorageDriverClaim:
    """Return the claim of a payload, given that of an empty one for the same workflow or activity."""
    data = empty.claim_data
    key = data["key"].removesuffix(data["hash_value"]) + sha256
    return StorageDriverClaim({**data, "key": key, "hash_value": sha256})


class _Found(S3StorageDriverClient):
    """Hands the SDK's driver what was read."""

    def __init__(self, objects: Mapping[Location, bytes]) -> None:
        self.objects = dict(objects)

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        return Location(bucket, key) in self.objects

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        """Write nothing."""

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        return self.objects[Location(bucket, key)]


class _Nowhere(_Found):
    """Takes what the SDK's driver writes, and keeps nothing."""

    def __init__(self) -> None:
        super().__init__({})
