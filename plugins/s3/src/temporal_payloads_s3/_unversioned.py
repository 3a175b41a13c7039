"""Putting aside, restoring and deleting where a bucket keeps no versions, or no longer."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from temporal_payloads_s3._aside import is_aside
from temporal_payloads_s3._errors import status_of
from temporal_payloads_s3._upload import completed_part, upload_in_parts

if TYPE_CHECKING:
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
        """Write an object again as an upload of one part, if it still has this ETag."""
        try:
            await self._rewrite(location, tag, empty=not size)
        except ClientError as error:
            if status_of(error) not in NOT_AS_IT_WAS:
                raise
            found = await self.etag(location)
            # The answer to a first attempt may have been lost.
            return "gone" if found is None else "done" if is_aside(found) else "changed"
        return "done"

    async def restore(self, location: Location, tag: str) -> Change:
        """Write an object again as writers do, if it still has this ETag."""
        if not is_aside(tag):
            return "changed"
        try:
            data = await self._requests.read(location)
            await self._requests.put(location, [data], {"IfMatch": tag})
        except ClientError as error:
            return await self._why_not(error, location)
        return "done"

    async def delete(self, location: Location, tag: str) -> Change:
        """Delete an object if it still has this ETag, and that is one of what is put aside."""
        if not is_aside(tag):
            return "changed"
        try:
            await self._once.delete_object(Bucket=location.bucket, Key=location.key, IfMatch=tag)
        except ClientError as error:
            return await self._why_not(error, location)
        return "done"

    async def etag(self, location: Location) -> str | None:
        """Return an object's ETag; None if it is not there."""
        try:
            return (await self._client.head_object(Bucket=location.bucket, Key=location.key))["ETag"]
        except ClientError as error:
            if status_of(error) == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def _rewrite(self, location: Location, tag: str, *, empty: bool) -> None:
        bucket, key = location
        async with upload_in_parts(self._client, location, self._requests.put_arguments) as upload:
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
                    CopySourceIfMatch=tag,
                )
                part = completed_part(1, copied["CopyPartResult"])
            await self._client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": [part]}, IfMatch=tag
            )

    async def _why_not(self, error: ClientError, location: Location) -> Change:
        if status_of(error) not in NOT_AS_IT_WAS:
            raise error
        return "gone" if await self.etag(location) is None else "changed"
