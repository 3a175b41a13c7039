"""Whether a store keeps to the conditions without which nothing may be deleted from it."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import ClientError
from temporal_payloads.plugin import StorageMisconfiguredError

from temporal_payloads_s3._aside import is_aside
from temporal_payloads_s3._errors import status_of
from temporal_payloads_s3._location import Location
from temporal_payloads_s3._state import COLLECTOR_PREFIX
from temporal_payloads_s3._unversioned import NOT_AS_IT_WAS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from types_aiobotocore_s3.client import S3Client

    from temporal_payloads_s3._client import ConditionalS3Client
    from temporal_payloads_s3._unversioned import UnversionedObjects
    from temporal_payloads_s3._versioned import VersionedObjects

_BODY = b"What becomes of this object tells whether payloads can be deleted safely."
_OTHER_ETAG = '"00000000000000000000000000000000"'


async def probe(
    requests: ConditionalS3Client,
    objects: UnversionedObjects | VersionedObjects,
    bucket: str,
    place: str,
) -> None:
    """Try on an object of our own what deleting payloads relies on, and remove it.

    Raises:
        StorageMisconfiguredError: The store does not keep to it.
    """
    location = Location(bucket, f"{COLLECTOR_PREFIX}probe/{uuid4()}")
    with requests.errors.told("Probing", location):
        try:
            broken = [fault async for fault in _faults(requests, objects, location)]
        finally:
            await _remove(requests.client, location)
    if broken:
        raise StorageMisconfiguredError(
            f"The store of bucket {bucket!r} at {requests.errors.endpoint_url} {broken[0]}. A payload that "
            f"is stored during a collection could be lost, so nothing is deleted there: let {place} name a "
            "store that keeps to the conditions of a DELETE, or do without collections"
        )


async def _faults(
    requests: ConditionalS3Client, objects: UnversionedObjects | VersionedObjects, location: Location
) -> AsyncIterator[str]:
    """Yield what the store does that it must not do."""
    client = requests.client
    await requests.put(location, [_BODY], {})
    plain = await _etag(client, location) or ""
    if not await _keeps(client, location, _OTHER_ETAG):
        yield "deletes an object although If-Match has another one's ETag"
    if await objects.put_aside(location, _OTHER_ETAG, len(_BODY)) == "done":
        yield "changes an object although If-Match has another one's ETag"
    if await objects.put_aside(location, plain, len(_BODY)) != "done":
        yield "does not change an object although If-Match has its ETag"
    aside = await _etag(client, location)
    if aside is None:  # where there are versions, there is a delete marker now, which no lock keeps
        await _remove_markers(client, location)
    else:
        if not is_aside(aside):
            yield f"gives an upload of one part the ETag {aside}, which does not end in -1"
        if not await _keeps(client, location, plain):
            yield "deletes an object although If-Match has the ETag that it had before it was put aside"
    await requests.put(location, [_BODY], {})
    if is_aside(await _etag(client, location) or ""):
        yield "gives an object that was written in one request an ETag that ends in -1"
    if aside is not None and not await _keeps(client, location, aside):
        yield "deletes an object although it was written again after it was put aside"


async def _keeps(client: S3Client, location: Location, etag: str) -> bool:
    """Tell whether the store refuses to delete an object on the condition of another ETag."""
    try:
        await client.delete_object(Bucket=location.bucket, Key=location.key, IfMatch=etag)
    except ClientError as error:
        if status_of(error) not in NOT_AS_IT_WAS:
            raise
        return await _etag(client, location) is not None
    return False


async def _etag(client: S3Client, location: Location) -> str | None:
    try:
        return (await client.head_object(Bucket=location.bucket, Key=location.key))["ETag"]
    except ClientError as error:
        if status_of(error) == HTTPStatus.NOT_FOUND:
            return None
        raise


async def _remove_markers(client: S3Client, location: Location) -> None:
    bucket, key = location
    found = await client.list_object_versions(Bucket=bucket, Prefix=key)
    for marker in found.get("DeleteMarkers", []):
        await client.delete_object(Bucket=bucket, Key=key, VersionId=marker["VersionId"])


async def _remove(client: S3Client, location: Location) -> None:
    """Remove the object with all its versions. What can't be removed does no harm."""
    bucket, key = location
    with suppress(ClientError):
        found = await client.list_object_versions(Bucket=bucket, Prefix=key)
        for version in [*found.get("Versions", []), *found.get("DeleteMarkers", [])]:
            await client.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    with suppress(ClientError):
        if await _etag(client, location):  # the store knows no versions
            await client.delete_object(Bucket=bucket, Key=key)
