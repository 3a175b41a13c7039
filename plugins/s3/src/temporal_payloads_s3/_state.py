"""Where a collector keeps its files in a bucket, beside the payloads."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from temporal_payloads_s3._errors import status_of
from temporal_payloads_s3._location import Location

if TYPE_CHECKING:
    from temporal_payloads_s3._client import ConditionalS3Client

COLLECTOR_PREFIX = "temporal-payloads-gc/"
"""What the keys of all begin with that a collector writes. No payload has such a key."""
_PREFIX = f"{COLLECTOR_PREFIX}state/"
_SLASH = "!"
"""What stands for a slash in a name: a store that keeps objects in folders can't have `a` beside `a/b`."""


class S3StateStore:
    """Files of a collector under one prefix; see `temporal_payloads.plugin.StateStore`."""

    def __init__(self, requests: ConditionalS3Client, bucket: str) -> None:
        self._requests = requests
        self._client = requests.client
        self._bucket = bucket

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        location = self._location(name)
        with self._requests.errors.told("GetObject", location):
            try:
                return await self._requests.read(location)
            except ClientError as error:
                if status_of(error) == HTTPStatus.NOT_FOUND:
                    return None
                raise

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole."""
        location = self._location(name)
        with self._requests.errors.told("PutObject", location):
            await self._requests.put(location, [data], {})

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""
        bucket, begin = self._location(prefix)
        with self._requests.errors.told("ListObjectsV2", Location(bucket, begin)):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=begin)
            keys = [found["Key"] async for page in pages for found in page.get("Contents", [])]
        return sorted(key.removeprefix(_PREFIX).replace(_SLASH, "/") for key in keys)

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        bucket, key = location = self._location(name)
        with self._requests.errors.told("DeleteObject", location):
            await self._client.delete_object(Bucket=bucket, Key=key)

    def _location(self, name: str) -> Location:
        return Location(self._bucket, _PREFIX + name.replace("/", _SLASH))
