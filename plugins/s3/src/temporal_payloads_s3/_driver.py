"""The SDK's S3 driver, with its work on large payloads off the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import SDKBucketDriver
from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient

from temporal_payloads_s3._claims import bucket_for
from temporal_payloads_s3._collecting import S3Collecting
from temporal_payloads_s3._location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads.plugin import DiagnosisContext, DriverContext, Finding, SerializedPayload

    from temporal_payloads_s3._client import ConditionalS3Client
    from temporal_payloads_s3._once import OnFirstUse
    from temporal_payloads_s3._settings import S3Settings


class OffLoopS3StorageDriver(SDKBucketDriver, S3StorageDriver, S3Collecting):
    """The driver that the settings describe."""

    name_field = "key"

    def __init__(
        self,
        client: ConditionalS3Client,
        once: OnFirstUse,
        settings: S3Settings,
        context: DriverContext,
    ) -> None:
        S3StorageDriver.__init__(self, client, self.choose_bucket, context.name, settings.max_payload_size)
        S3Collecting.__init__(self, client, once, settings, context)
        self.max_payload_size = settings.max_payload_size

    async def check(self) -> None:
        """Raise a `StorageError` if the endpoint, the credentials or the bucket are not as they should be.

        With a bucket for each namespace nobody knows which ones there must be: then only the first two.
        """
        bucket = bucket_for(self._settings, "default")
        await self._requests.check(bucket, bucket_may_be_missing=bucket != self._settings.bucket)

    async def diagnose(self, context: DiagnosisContext) -> list[Finding]:
        """Return what is found of the buckets of the namespaces."""
        written: dict[str, list[str]] = {
            bucket_for(self._settings, namespace): [] for namespace in context.namespaces
        }
        for claim in context.written:
            written.setdefault(claim.claim_data["bucket"], []).append(claim.claim_data["key"])
        named = context.namespaces_named or "{namespace}" not in self._settings.bucket
        return await self._requests.diagnose(context, written, named=named)

    def sdk_driver(self, objects: Mapping[tuple[str, str], bytes]) -> S3StorageDriver:
        """Return the SDK's driver over these objects."""
        return S3StorageDriver(_Objects(objects), self.choose_bucket, self.name(), self.max_payload_size)

    def bucket_for(self, namespace: str | None) -> str:
        """Return the bucket of payloads of this namespace."""
        return bucket_for(self._settings, namespace)

    async def write(self, bucket: str, name: str, payload: SerializedPayload) -> None:
        """Write an object unless it is there already."""
        if not await self._requests.object_exists(bucket=bucket, key=name):
            await self._requests.put_pieces(Location(bucket, name), payload.pieces)

    async def read(self, bucket: str, name: str) -> bytes:
        """Return an object's bytes."""
        return await self._requests.get_object(bucket=bucket, key=name)


class _Objects(S3StorageDriverClient):
    """Hands the SDK's driver what was read, and writes nothing."""

    def __init__(self, objects: Mapping[tuple[str, str], bytes]) -> None:
        self._objects = objects

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        return (bucket, key) in self._objects

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        """Write nothing."""

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        return self._objects[bucket, key]
