"""Putting aside, restoring and deleting where a bucket keeps no versions, or no longer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import ClientError

from temporal_payloads_s3._aside import MARK, etag_of, is_marked, tag_of
from temporal_payloads_s3._errors import status_of
from temporal_payloads_s3._upload import completed_part, upload_in_parts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporal_payloads.plugin import Change
    from types_aiobotocore_s3.client import S3Client

    from temporal_payloads_s3._client import ConditionalS3Client
    from temporal_payloads_s3._location import Location

NOT_AS_IT_WAS = {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}
"""Answers to a change whose condition does not hold. A conflict: somebody else is changing it right now."""


class UnversionedObjects:
    """Objects whose state their ETag tells; see `_aside`.

    Args:
        requests: Repeats what fails.
        once: Sends a request once.
    """

    def __init__(self, requests: ConditionalS3Client, once: S3Client) -> None:
        self._requests = requests
        self._client = requests.client
        self._once = once

    async def put_aside(self, location: Location, tag: str, size: int) -> Change:
        """Write an object again as an upload of one part, if it is still in this state."""
        mark = uuid4().hex
        try:
            await self._rewrite(location, tag, mark, empty=not size)
        except ClientError as error:
            if status_of(error) not in NOT_AS_IT_WAS:
                raise
            found = await self._tag(location)
            # The answer to a first attempt may have been lost.
            return "gone" if found is None else "done" if found.endswith(f" {mark}") else "changed"
        return "done"

    async def restore(self, location: Location, tag: str) -> Change:
        """Write an object again as writers do, if it is still in this state."""

        async def write() -> None:
            data = await self._requests.read(location)
            await self._requests.put(location, [data], {"IfMatch": etag_of(tag)})

        return await self._change(location, tag, write)

    async def delete(self, location: Location, tag: str) -> Change:
        """Delete an object if it is still in this state, and that is one of what is put aside."""

        async def delete() -> None:
            bucket, key = location
            await self._once.delete_object(Bucket=bucket, Key=key, IfMatch=etag_of(tag))

        return await self._change(location, tag, delete)

    async def _change(self, location: Location, tag: str, change: Callable[[], Awaitable[None]]) -> Change:
        found = await self._tag(location)
        if found is None:
            return "gone"
        if found != tag or not is_marked(tag):
            return "changed"
        try:
            await change()
        except ClientError as error:
            if status_of(error) not in NOT_AS_IT_WAS:
                raise
            return "gone" if await self._tag(location) is None else "changed"
        return "done"

    async def _tag(self, location: Location) -> str | None:
        """Return the state that an object is in; None if it is not there."""
        try:
            found = await self._client.head_object(Bucket=location.bucket, Key=location.key)
        except ClientError as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:
                return None
            raise
        return tag_of(found)

    async def _rewrite(self, location: Location, etag: str, mark: str, *, empty: bool) -> None:
        bucket, key = location
        arguments = {**self._requests.put_arguments, "Metadata": {MARK: mark}}
        async with upload_in_parts(self._client, location, arguments) as upload:
            if empty:  # S3 may refuse to copy nothing
                sent = await self._client.upload_part(
                    Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b""
                )
                part = completed_part(1, sent)
            else:
                copied = await self._client.upload_part_copy(
                    Bucket=bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=1,
                    CopySource={"Bucket": bucket, "Key": key},
                    CopySourceIfMatch=etag,
                )
                part = completed_part(1, copied["CopyPartResult"])
            await self._client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [part]}, IfMatch=etag
            )
