"""The part of the driver with which a bucket is listed, cleaned up and moved."""

from __future__ import annotations

import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError
from temporal_payloads.plugin import (
    CollectableDriver,
    ListedPage,
    ListedPayload,
    StorageMisconfiguredError,
    change_each,
)

from temporal_payloads_s3._claims import bucket_for, claim_for, claim_of, key_in
from temporal_payloads_s3._errors import is_denied, is_lost, status_of
from temporal_payloads_s3._listing import Shard, list_shard, shards_of
from temporal_payloads_s3._location import Location
from temporal_payloads_s3._probe import probe
from temporal_payloads_s3._state import S3StateStore
from temporal_payloads_s3._unversioned import UnversionedObjects
from temporal_payloads_s3._versioned import VersionedObjects

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from datetime import timedelta

    from temporal_payloads.plugin import Change, DriverContext
    from temporalio.converter import StorageDriverClaim

    from temporal_payloads_s3._client import ConditionalS3Client
    from temporal_payloads_s3._once import OnFirstUse
    from temporal_payloads_s3._settings import S3Settings

    Objects = UnversionedObjects | VersionedObjects

logger = logging.getLogger("temporal_payloads")


class S3Collecting(CollectableDriver):
    """What the driver offers for `gc`, `usage` and `migrate`; see `CollectableDriver`."""

    def __init__(
        self, requests: ConditionalS3Client, once: OnFirstUse, settings: S3Settings, context: DriverContext
    ) -> None:
        self._requests = requests
        self._once = once
        self._settings = settings
        self.context = context
        self._probed: set[tuple[str, bool]] = set()

    def claim_for(self, namespace: str | None, sha256: str) -> StorageDriverClaim:
        """Return where a payload that is moved into the store lies; see `CollectableDriver.claim_for`."""
        try:
            return claim_for(self._settings, namespace, sha256)
        except ValueError as error:
            raise StorageMisconfiguredError(
                f"No bucket to move a payload to: {error}; give {self.context.place}.bucket a fixed name",
                store_asked=False,
            ) from error

    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return the parts into which listing is split: by namespace, and in it by workflow type.

        None stands for the keys without a namespace, and for those in which it reads `null`. A namespace that
        can have no bucket has no payloads.
        """
        found: list[Shard] = []
        for namespace in namespaces:
            with suppress(ValueError):
                found += shards_of(namespace, bucket_for(self._settings, namespace))
        return list(dict.fromkeys(map(str, found)))

    async def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield what a bucket has in a part of it.

        Of a bucket that is a namespace's own, and that nobody has made yet, it yields nothing.
        """
        part = Shard.read(shard)
        with self._requests.errors.told("Listing", Location(part.bucket, part.prefix)):
            try:
                versioned = await self._is_versioned(part.bucket)
                async for entries in list_shard(self._requests.client, part, versioned=versioned):
                    payloads = [
                        ListedPayload(
                            claim=claim_of(part.bucket, entry.key, key.sha256),
                            key=key,
                            size=entry.size,
                            tag=entry.tag,
                            stored=entry.modified,
                            aside=entry.aside,
                        )
                        for entry in entries
                        if (key := key_in(self._settings, part.bucket, entry.key))
                    ]
                    yield ListedPage(payloads=payloads, others=len(entries) - len(payloads))
            except ClientError as error:
                may_be_missing = "{namespace}" in self._settings.bucket
                if not may_be_missing or error.response["Error"]["Code"] != "NoSuchBucket":
                    raise

    async def probe(self) -> None:
        """Make sure that the bucket keeps to the conditions on which payloads are deleted.

        With a bucket for each namespace nobody knows which ones there are: each is tried before anything in
        it is put aside or deleted.
        """
        if "{namespace}" not in self._settings.bucket:
            await self._probed_objects(self._settings.bucket)

    async def aside_looks_missing(self, namespaces: Sequence[str | None]) -> bool:
        """Tell whether one of the namespaces' buckets keeps versions; one that does not exist has nothing."""
        for bucket in self._buckets(namespaces):
            with self._requests.errors.told("GetBucketVersioning", Location(bucket, "")):
                try:
                    if await self._is_versioned(bucket):
                        return True
                except ClientError as error:
                    if error.response["Error"]["Code"] != "NoSuchBucket":
                        raise
        return False

    def _buckets(self, namespaces: Sequence[str | None]) -> list[str]:
        buckets: dict[str, None] = {}
        for namespace in namespaces:
            with suppress(ValueError):  # this one can have no bucket
                buckets[bucket_for(self._settings, namespace)] = None
        return list(buckets)

    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Put payloads aside; see `CollectableDriver.put_aside`.

        Where the bucket keeps versions they look missing, until they are restored or stored again. Else they
        can be read.
        """
        del grace  # in no bucket anything expires by itself

        async def put_aside(objects: Objects, location: Location, listed: ListedPayload) -> Change:
            return await objects.put_aside(location, listed.tag, listed.size)

        return await self._change("Putting aside", put_aside, payloads, self._probed_objects, aside=False)

    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Bring payloads back that are aside; see `CollectableDriver.restore`."""

        async def restore(objects: Objects, location: Location, listed: ListedPayload) -> Change:
            return await objects.restore(location, listed.tag)

        async def objects_of(bucket: str) -> Objects:  # to undo a collection needs no condition
            return await self._objects(bucket, may_be_suspended=True)

        return await self._change("Restoring", restore, payloads, objects_of, aside=True)

    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Delete payloads that are aside; see `CollectableDriver.delete`."""

        async def delete(objects: Objects, location: Location, listed: ListedPayload) -> Change:
            return await objects.delete(location, listed.tag)

        return await self._change("Deleting", delete, payloads, self._probed_objects, aside=True)

    def state(self) -> S3StateStore:
        """Return where a collector keeps its files: in the bucket, under `temporal-payloads-gc/`.

        Raises:
            StorageMisconfiguredError: There is a bucket for each namespace, and so no place for what concerns
                all of them.
        """
        if "{namespace}" in self._settings.bucket:
            raise StorageMisconfiguredError(
                f"{self.context.place}.bucket is {self._settings.bucket!r}, a bucket for each namespace, and "
                "a collector keeps its files in one place for all: set gc.state to a directory",
                store_asked=False,
            )
        return S3StateStore(self._requests, self._settings.bucket)

    async def _versioning(self, bucket: str) -> Literal["Enabled", "Suspended"] | None:
        """Return what a bucket says of its versioning; None if it never had it."""
        try:
            answer = await self._requests.client.get_bucket_versioning(Bucket=bucket)
        except ClientError as error:
            if status_of(error) in {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.METHOD_NOT_ALLOWED}:
                return None
            raise
        return answer.get("Status")

    async def _is_versioned(self, bucket: str) -> bool:
        """Tell whether a bucket keeps what is overwritten. Where that was suspended, it does not."""
        return await self._versioning(bucket) == "Enabled"

    async def _objects(self, bucket: str, *, may_be_suspended: bool = False) -> Objects:
        with self._requests.errors.told("GetBucketVersioning", Location(bucket, "")):
            versioning = await self._versioning(bucket)
        if versioning == "Suspended" and not may_be_suspended:
            # No probe finds that: SeaweedFS, for one, keeps to the condition, but not in one step.
            raise StorageMisconfiguredError(
                f"Nothing is collected in bucket {bucket!r} ({self.context.place}.bucket). Its versioning is "
                "suspended: a payload that is stored at the moment in which it is deleted may be lost there. "
                "Enable versioning again, or move the payloads to a bucket that never had it"
            )
        kind = VersionedObjects if versioning == "Enabled" else UnversionedObjects
        return kind(self._requests, await self._once.get())

    async def _probed_objects(self, bucket: str) -> Objects:
        objects = await self._objects(bucket)
        seen = (bucket, isinstance(objects, VersionedObjects))
        if seen not in self._probed:
            await probe(self._requests, objects, bucket, self.context.place)
            self._probed.add(seen)
        return objects

    async def _change(
        self,
        doing: str,
        change: Callable[[Objects, Location, ListedPayload], Awaitable[Change]],
        payloads: Sequence[ListedPayload],
        objects_of: Callable[[str], Awaitable[Objects]],
        *,
        aside: bool,
    ) -> list[Change]:
        """Change each payload that was listed as aside, or not."""
        buckets = sorted({payload.claim.claim_data["bucket"] for payload in payloads})
        objects = {bucket: await objects_of(bucket) for bucket in buckets}
        refused: list[str] = []

        async def change_one(payload: ListedPayload) -> Change:
            if payload.aside is not aside:
                return "changed"
            data = payload.claim.claim_data
            location = Location(data["bucket"], data["key"])
            with self._requests.errors.told(doing, location):
                try:
                    return await change(objects[location.bucket], location, payload)
                except (ClientError, BotoCoreError, aiohttp.ClientError, OSError) as error:
                    if is_lost(error):
                        return "unknown"
                    if is_denied(error):
                        refused.append(f"{location}: {error}")
                        return "refused"
                    raise

        changes = await change_each(change_one, payloads, self.context.concurrency)
        if refused:
            logger.warning(
                "%s: the store refuses it for %d of %d payloads, such as %s",
                doing,
                len(refused),
                len(changes),
                refused[0],
            )
        if set(changes) == {"refused"}:
            # S3 says the same of a lock and of a right that is missing; but then the probe fails too.
            self._probed.clear()
            for bucket in buckets:
                await objects_of(bucket)
        return changes
