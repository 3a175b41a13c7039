"""How an object's bytes get to S3: in one request, or in parallel parts."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, cast

from temporal_payloads.plugin import gather_bounded

from temporal_payloads_s3._body import Body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import CompletedPartTypeDef

    from temporal_payloads_s3._location import Location

_ABORT_TIMEOUT = 5
"""Seconds for telling S3 to drop the parts of a failed upload, on top of whatever has just gone wrong."""


async def put_in_parts(
    client: S3Client,
    location: Location,
    pieces: Sequence[bytes],
    *,
    part_size: int,
    parallel_parts: int,
    condition: Mapping[str, Any],
    arguments: Mapping[str, Any],
) -> None:
    """Write an object, given in pieces, in parallel parts. If that fails, no part of it is left in the store.

    `arguments` go with the request that begins the upload, `condition` with the one that completes it and
    so decides whether the object comes to be.
    """
    bucket, key = location

    async def send(start: int) -> CompletedPartTypeDef:
        number = start // part_size + 1
        body: Any = Body(pieces, start, part_size)
        sent = await client.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        return completed_part(number, sent)

    async with upload_in_parts(client, location, arguments) as upload:
        parts = await gather_bounded(send, range(0, sum(map(len, pieces)), part_size), parallel_parts)
        await client.complete_multipart_upload(
            Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **condition
        )


@asynccontextmanager
async def upload_in_parts(
    client: S3Client, location: Location, arguments: Mapping[str, Any]
) -> AsyncIterator[str]:
    """Begin an upload and yield its id. If anything fails, no part of it is left in the store."""
    bucket, key = location
    created = await client.create_multipart_upload(Bucket=bucket, Key=key, **arguments)
    upload = created["UploadId"]
    try:
        yield upload
    except BaseException:
        # The failure that brought us here is the one to tell. What can't be dropped now is left to the
        # bucket's lifecycle rule for incomplete uploads.
        with suppress(Exception):
            async with asyncio.timeout(_ABORT_TIMEOUT):
                await client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
        raise


def completed_part(number: int, sent: Mapping[str, Any]) -> CompletedPartTypeDef:
    """Return what S3 wants to hear again of a part when the upload is completed."""
    checksums = {name: value for name, value in sent.items() if name.startswith("Checksum")}
    return cast("CompletedPartTypeDef", {"PartNumber": number, "ETag": sent["ETag"], **checksums})
