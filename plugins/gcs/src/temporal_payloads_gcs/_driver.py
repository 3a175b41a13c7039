"""The SDK's GCS driver, with its work on large payloads off the event loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import SDKBucketDriver
from temporalio.contrib.gcp.gcsdriver import GCSStorageDriver, GCSStorageDriverClient

from temporal_payloads_gcs._claims import bucket_for
from temporal_payloads_gcs._collecting import GCSCollecting
from temporal_payloads_gcs._location import Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from temporal_payloads.plugin import DiagnosisContext, DriverContext, Finding, SerializedPayload

    from temporal_payloads_gcs._client import CreateOnlyGCSClient
    from temporal_payloads_gcs._settings import GCSSettings


class OffLoopGCSStorageDriver(SDKBucketDriver, GCSStorageDriver, GCSCollecting):
    """The driver that the settings describe."""

    name_field = "object_name"

    def __init__(self, client: CreateOnlyGCSClient, settings: GCSSettings, context: DriverContext) -> None:
        GCSStorageDriver.__init__(self, client, self.choose_bucket, context.name, settings.max_payload_size)
        GCSCollecting.__init__(self, client, settings, context)
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
            written.setdefault(claim.claim_data["bucket"], []).append(claim.claim_data[self.name_field])
        named = context.namespaces_named or "{namespace}" not in self._settings.bucket
        return await self._requests.diagnose(context, written, named=named)

    def sdk_driver(self, objects: Mapping[tuple[str, str], bytes]) -> GCSStorageDriver:
        """Return the SDK's driver over these objects."""
        return GCSStorageDriver(_Objects(objects), self.choose_bucket, self.name(), self.max_payload_size)

    def bucket_for(self, namespace: str | None) -> str:
        """Return the bucket of payloads of this namespace."""
        return bucket_for(self._settings, namespace)

    async def write(self, bucket: str, name: str, payload: SerializedPayload) -> None:
        """Write an object unless it is there already."""
        await self._requests.put_pieces(Location(bucket, name), payload.pieces)

    async def read(self, bucket: str, name: str) -> bytes:
        """Return an object's bytes."""
        return await self._requests.get_object(bucket=bucket, object_name=name)


class _Objects(GCSStorageDriverClient):
    """Hands the SDK's driver what was read, and writes nothing."""

    def __init__(self, objects: Mapping[tuple[str, str], bytes]) -> None:
        self._objects = objects

    async def object_exists(self, *, bucket: str, object_name: str) -> bool:
        return (bucket, object_name) in self._objects

    async def put_object(self, *, bucket: str, object_name: str, data: bytes) -> None:
        """Write nothing."""

    async def get_object(self, *, bucket: str, object_name: str) -> bytes:
        return self._objects[bucket, object_name]
