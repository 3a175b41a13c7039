"""How an object's bytes get here: in one request, or in parallel ranges of one buffer."""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import aiohttp
from botocore.exceptions import ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError
from temporal_payloads.plugin import gather_bounded

from temporal_payloads_s3._errors import TooLargeError, status_of

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client
    from types_aiobotocore_s3.type_defs import GetObjectOutputTypeDef

    from temporal_payloads_s3._location import Location

_CHUNK = 256 * 1024
_ATTEMPTS = 3
"""Times a range is asked for when its body breaks off; botocore retries only until the body begins."""
_BROKEN_OFF = (aiohttp.ClientError, HTTPClientError, IncompleteReadError, ResponseStreamingError)


async def get_in_ranges(
    client: S3Client, location: Location, *, part_size: int, parallel_parts: int, largest: int | None = None
) -> bytes | None:
    """Read an object; return None if the answer was not that of an S3 server.

    The first range tells the size of the whole, so that an object of at most `part_size` bytes takes one
    request and no object takes a HEAD.

    Raises:
        TooLargeError: It has more than `largest` bytes.
    """
    bucket, key = location
    try:
        first = await client.get_object(Bucket=bucket, Key=key, Range=_range(0, part_size))
    except ClientError as error:
        if status_of(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return b""  # an empty object has no first byte
        raise
    async with first["Body"]:
        headers = first["ResponseMetadata"]["HTTPHeaders"]
        if "etag" not in headers:
            return None
        size = _size_of(first, largest)
        if "content-range" not in headers:
            return await first["Body"].read()  # the store knows no ranges, and this is the whole
        buffer = _allocate(size)

        async def fetch(start: int) -> None:
            for attempt in range(1, _ATTEMPTS + 1):
                try:
                    if start == 0 and attempt == 1:
                        await _read(first, buffer, start)
                        return
                    # The same version as the first range, or none: an object may be replaced meanwhile.
                    response = await client.get_object(
                        Bucket=bucket, Key=key, Range=_range(start, part_size), IfMatch=headers["etag"]
                    )
                    async with response["Body"]:
                        await _read(response, buffer, start)
                        return
                except _BROKEN_OFF:
                    if attempt == _ATTEMPTS:
                        raise

        await gather_bounded(fetch, range(0, size, part_size), parallel_parts)
    return buffer.getvalue()


def _size_of(first: GetObjectOutputTypeDef, largest: int | None) -> int:
    """Return the size of the object of which this is the first range, or the whole."""
    told = first["ResponseMetadata"]["HTTPHeaders"].get("content-range")
    size = int(told.rpartition("/")[2]) if told else first["ContentLength"]
    if largest is not None and size > largest:
        raise TooLargeError(size)
    return size


def _range(start: int, size: int) -> str:
    return f"bytes={start}-{start + size - 1}"


def _allocate(size: int) -> io.BytesIO:
    # A BytesIO is filled in place, in any order, and hands out what it holds without copying it.
    buffer = io.BytesIO()
    if size:
        buffer.seek(size - 1)
        buffer.write(b"\0")
    return buffer


async def _read(response: GetObjectOutputTypeDef, buffer: io.BytesIO, start: int) -> None:
    body: Any = response["Body"]  # iter_chunks gives bytes; its stub says otherwise
    async for chunk in body.iter_chunks(_CHUNK):
        buffer.seek(start)
        buffer.write(chunk)
        start += len(chunk)
