"""Listing the objects of payloads. Nothing is put aside or deleted."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from temporal_payloads.plugin import (
    CollectableDriver,
    ListedPage,
    ListedPayload,
    PayloadNotFoundError,
    StorageMisconfiguredError,
)

from temporal_payloads_gcs._claims import bucket_for, claim_for, claim_of, key_in, prefix_of
from temporal_payloads_gcs._location import Location

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from datetime import timedelta
    from typing import NoReturn

    from temporal_payloads.plugin import Change, DriverContext
    from temporalio.converter import StorageDriverClaim

    from temporal_payloads_gcs._client import CreateOnlyGCSClient
    from temporal_payloads_gcs._settings import GCSSettings

WHY_NOT = (
    "its driver does not put aside and delete yet: what protects a writer then, preconditions on generation "
    "and metageneration, was tried on no server that keeps to them"
)
_FILES = "state/"
"""What the names of a collector's files begin with. Those of payloads begin with `v0/`."""


class GCSCollecting(CollectableDriver):
    """What a listing needs; see `CollectableDriver`.

    Args:
        client: For requests.
        settings: Those of the driver.
        context: Where they stand.
    """

    def __init__(self, client: CreateOnlyGCSClient, settings: GCSSettings, context: DriverContext) -> None:
        self.context = context
        self._requests = client
        self._settings = settings

    def claim_for(self, namespace: str | None, sha256: str) -> StorageDriverClaim:
        """Return where a payload that is moved into the store lies."""
        try:
            return claim_for(self._settings, namespace, sha256)
        except ValueError as error:
            raise StorageMisconfiguredError(
                f"No bucket to move this payload into: {error}; set {self.context.place}.bucket to a name",
                store_asked=False,
            ) from error

    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return bucket and prefix of each namespace; one that has no bucket has no payloads either.

        None stands for the names without a namespace, and for those in which it reads `null`.
        """
        found: dict[str, None] = {}
        for namespace in namespaces:
            with suppress(ValueError):
                bucket = bucket_for(self._settings, namespace)
                for name in (None, "") if namespace is None else (namespace,):
                    found[f"{bucket}/{prefix_of(name)}"] = None
        return list(found)

    async def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield the objects under a prefix, up to 1,000 with each request.

        Of a bucket that is a namespace's own, and that nobody has made yet, it yields nothing.
        """
        bucket, _, prefix = shard.partition("/")
        may_be_missing = "{namespace}" in self._settings.bucket
        objects = self._requests.list_objects(bucket, prefix, bucket_may_be_missing=may_be_missing)
        async for items in objects:
            payloads = [one for item in items if (one := self._listed(bucket, item))]
            yield ListedPage(payloads=payloads, others=len(items) - len(payloads))

    def _listed(self, bucket: str, item: dict[str, str]) -> ListedPayload | None:
        key = key_in(self._settings, bucket, item["name"])
        if key is None:
            return None
        return ListedPayload(
            claim=claim_of(bucket, item["name"], key.sha256),
            key=key,
            size=int(item["size"]),
            tag=f"{item.get('generation', '')}.{item.get('metageneration', '')}",
            stored=datetime.fromisoformat(item["updated"]) if "updated" in item else None,
        )

    async def probe(self) -> None:
        """Say why nothing may be deleted."""
        self._refuse()

    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Say why nothing is put aside."""
        del payloads, grace
        self._refuse()

    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Say why nothing is put aside."""
        del payloads
        self._refuse()

    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Say why nothing is deleted."""
        del payloads
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise StorageMisconfiguredError(f"Nothing of {self.context.place} is collected: {WHY_NOT}")

    def why_not_collected(self) -> str | None:
        """Return why nothing is collected."""
        return WHY_NOT

    def state(self) -> GCSState:
        """Return where a collector keeps its files: in the bucket of the namespace `default`."""
        return GCSState(self._requests, bucket_for(self._settings, "default"))


class GCSState:
    """The files of a collector, each an object; see `temporal_payloads.plugin.StateStore`.

    Args:
        client: For requests.
        bucket: Where they are.
    """

    def __init__(self, client: CreateOnlyGCSClient, bucket: str) -> None:
        self._requests = client
        self._bucket = bucket

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        try:
            return await self._requests.get_object(bucket=self._bucket, object_name=_FILES + name)
        except PayloadNotFoundError:
            return None

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole, over one that is there."""
        await self._requests.replace(Location(self._bucket, _FILES + name), data)

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""
        pages = self._requests.list_objects(self._bucket, _FILES + prefix)
        return sorted([item["name"].removeprefix(_FILES) async for page in pages for item in page])

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        await self._requests.remove(Location(self._bucket, _FILES + name))
