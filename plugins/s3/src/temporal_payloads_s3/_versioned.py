"""Putting aside, restoring and deleting where a bucket keeps versions.

What is put aside has a delete marker on top. Who stores the payload writes a new version over it, whatever
driver he uses. Versions and markers are removed by their ids, which are never used again: what was written
meanwhile is not touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import ClientError
from temporal_payloads.plugin import StorageMisconfiguredError

from temporal_payloads_s3._errors import status_of
from temporal_payloads_s3._unversioned import NOT_AS_IT_WAS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads.plugin import Change
    from types_aiobotocore_s3.client import S3Client

    from temporal_payloads_s3._client import ConditionalS3Client
    from temporal_payloads_s3._location import Location


@dataclass(frozen=True)
class Versions:
    """All that a bucket has under one key, where a delete marker is on top."""

    markers: Sequence[str]
    """Ids of the delete markers."""
    versions: Sequence[str]
    """Ids of the versions."""

    def __str__(self) -> str:
        return " ".join(("versions", ",".join(self.markers), ",".join(self.versions)))

    @classmethod
    def read(cls, tag: str) -> Self | None:
        """Return what a tag says; None if it is not one of these."""
        match tag.split(" "):
            case ["versions", markers, versions]:
                return cls(*(tuple(filter(None, ids.split(","))) for ids in (markers, versions)))
            case _:
                return None


class VersionedObjects:
    """Objects of a bucket that keeps versions.

    Args:
        requests: Repeats what fails.
        once: Sends a request once.
    """

    def __init__(self, requests: ConditionalS3Client, once: S3Client) -> None:
        self._client = requests.client
        self._once = once

    async def put_aside(self, location: Location, tag: str, _size: int) -> Change:
        """Put a delete marker over an object, if it still has this ETag."""
        try:
            answer = await self._once.delete_object(Bucket=location.bucket, Key=location.key, IfMatch=tag)
        except ClientError as error:
            if status_of(error) not in NOT_AS_IT_WAS:
                raise
            return "changed" if await self._found(location) else "gone"
        if answer.get("VersionId", "null") == "null":
            raise suspended(location.bucket)
        return "done"

    async def restore(self, location: Location, tag: str) -> Change:
        """Remove the delete markers, if one of them is still on top."""
        listed = Versions.read(tag)
        change = await self._remove(location, listed, listed.markers if listed else ())
        return "gone" if change == "done" and listed and not listed.versions else change

    async def delete(self, location: Location, tag: str) -> Change:
        """Remove all versions and then the delete markers, if one of them is still on top."""
        listed = Versions.read(tag)
        # A marker goes last: without it, a version that is left would be a payload again.
        return await self._remove(location, listed, (*listed.versions, *listed.markers) if listed else ())

    async def _remove(self, location: Location, listed: Versions | None, versions: Sequence[str]) -> Change:
        """Remove versions, if the object is still as it was listed."""
        found = await self._found(location)
        if not found:
            return "gone"
        if listed is None or not any(one["IsLatest"] and one["VersionId"] in listed.markers for one in found):
            return "changed"
        for version in versions:
            await self._once.delete_object(Bucket=location.bucket, Key=location.key, VersionId=version)
        return "done"

    async def _found(self, location: Location) -> list[Any]:
        """Return the versions and delete markers of an object."""
        there = await self._client.list_object_versions(Bucket=location.bucket, Prefix=location.key)
        return [*there.get("Versions", []), *there.get("DeleteMarkers", [])]


def suspended(bucket: str) -> StorageMisconfiguredError:
    """Return the error for a bucket that stopped keeping versions while it is collected."""
    return StorageMisconfiguredError(
        f"Bucket {bucket!r} keeps no versions any more, in the middle of a collection: begin a new one"
    )
