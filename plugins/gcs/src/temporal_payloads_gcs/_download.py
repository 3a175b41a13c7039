"""How an object's bytes get here: in one request, or in parallel ranges of one buffer."""

from __future__ import annotations

import io
from http import HTTPStatus
from typing import TYPE_CHECKING

from temporal_payloads.plugin import gather_bounded

from temporal_payloads_gcs._errors import NotGCSError, RefusedError, TooLargeError

if TYPE_CHECKING:
    import aiohttp

    from temporal_payloads_gcs._http import Http

PART_SIZE = 8 * 1024 * 1024
"""Bytes of a range. An object of at most this size is one request."""
_PARALLEL_PARTS = 8
_CHUNK = 256 * 1024


async def download(http: Http, path: str, *, largest: int | None = None) -> bytes:
    """Read an object.

    The first range tells the size of the whole, so that no object takes a request for its metadata.

    Raises:
        TooLargeError: It has more than `largest` bytes.
    """
    buffer = io.BytesIO()
    size, generation = 0, ""

    async def first(response: aiohttp.ClientResponse) -> None:
        nonlocal size, generation
        generation = response.headers.get("x-goog-generation", "")
        if not generation:
            raise NotGCSError("no x-goog-generation")
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            size = _size_of(response)
            if largest is not None and size > largest:
                raise TooLargeError(size)
            _allocate(buffer, size)
        # Else the server knows no ranges, and this is the whole.
        await _read(response, buffer, 0, largest)

    try:
        await http.send("GET", path, first, headers=_range(0))
    except RefusedError as error:
        if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return b""  # an empty object has no first byte
        raise

    async def fetch(start: int) -> None:
        async def receive(response: aiohttp.ClientResponse) -> None:
            if response.status != HTTPStatus.PARTIAL_CONTENT:
                raise NotGCSError("the whole object where a range of it was asked for")
            await _read(response, buffer, start)

        # The same version as the first range, or none: an object may be replaced meanwhile.
        await http.send("GET", f"{path}&ifGenerationMatch={generation}", receive, headers=_range(start))

    await gather_bounded(fetch, range(PART_SIZE, size, PART_SIZE), _PARALLEL_PARTS)
    return buffer.getvalue()


def _range(start: int) -> dict[str, str]:
    return {"Range": f"bytes={start}-{start + PART_SIZE - 1}"}


def _size_of(response: aiohttp.ClientResponse) -> int:
    try:
        return int(response.headers["content-range"].rpartition("/")[2])
    except (LookupError, ValueError) as error:
        raise NotGCSError("a range without a size") from error


def _allocate(buffer: io.BytesIO, size: int) -> None:
    # A BytesIO is filled in place, in any order, and hands out what it holds without copying it.
    if size:
        buffer.seek(size - 1)
        buffer.write(b"\0")


async def _read(
    response: aiohttp.ClientResponse, buffer: io.BytesIO, start: int, largest: int | None = None
) -> None:
    async for chunk in response.content.iter_chunked(_CHUNK):
        buffer.seek(start)
        buffer.write(chunk)
        start += len(chunk)
        if largest is not None and start > largest:
            raise TooLargeError(start)
