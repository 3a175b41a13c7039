"""How blobs get into a container, and out of it: in one request, or in parallel blocks and ranges."""

from __future__ import annotations

import asyncio
import io
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobBlock
from temporal_payloads.plugin import PayloadTooLargeError, StorageUnavailableError, gather_bounded

from temporal_payloads_azure_blob._diagnosing import ContainerDiagnosis
from temporal_payloads_azure_blob._errors import AzureErrors, code_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from azure.storage.blob import BlobProperties
    from azure.storage.blob.aio import BlobClient, ContainerClient, StorageStreamDownloader
    from temporal_payloads.plugin import Change, DiagnosisContext, Finding

_ASIDE = "temporal_payloads_aside"
"""Of a blob that is put aside, in its metadata."""
_THERE_ALREADY = {
    "BlobAlreadyExists",
    # What a SAS hears that may create blobs and not overwrite them.
    "UnauthorizedBlobOverwrite",
}

_REFUSED = {"BlobImmutableDueToPolicy", "LeaseIdMissing", "SnapshotsPresent"}
"""Why one blob is not changed: a hold or a policy on it, somebody's lease, snapshots that hang on it."""


class Blobs:
    """The blobs of one container; see `AzureBlobStorageDriver` for the arguments."""

    def __init__(
        self,
        container: ContainerClient,
        *,
        block_size: int,
        requests_at_once: int,
        largest_read: int | None,
        place: str,
    ) -> None:
        self._container = container
        self._block_size = block_size
        self._requests_at_once = requests_at_once
        self._slots = asyncio.Semaphore(requests_at_once)
        """One for each request under way; what it sends or receives is in memory only while it has one."""
        self._place = place
        self._largest_read = largest_read
        self._first_range = block_size if largest_read is None else min(block_size, largest_read)
        self._errors = AzureErrors(place=place, url=container.primary_endpoint)

    async def put_if_absent(self, key: str, data: bytes) -> None:
        """Write a blob unless it is there.

        Raises:
            StorageError: One of its subclasses, which names the setting to look at.
        """
        blob = self._container.get_blob_client(key)
        if len(data) > self._block_size:
            await self._put_in_blocks(blob, data)
            return
        with self._errors.told("Put Blob", key):
            try:
                await self._put(blob, data, overwrite=False)
            except HttpResponseError as error:
                if code_of(error) not in _THERE_ALREADY:
                    raise
                # Where blocks of an upload that broke off are all that is there, Azurite says the same. The
                # answer would be trusted in vain also if the blob is being deleted, or is put aside.
                if not await self._is_there(blob):
                    await self._put(blob, data, overwrite=True)

    async def get(self, key: str) -> bytes | None:
        """Return a blob's bytes, or None if there is no such blob.

        The first range tells the size of the whole, so that what is not over `block_size` takes one request.

        Raises:
            StorageError: One of its subclasses, which names the setting to look at.
        """
        blob = self._container.get_blob_client(key)
        with self._errors.told("Get Blob", key):
            try:
                async with self._slots:
                    first = await blob.download_blob(offset=0, length=self._first_range)
                    data = await first.readall()
            except HttpResponseError as error:
                if code_of(error) == "BlobNotFound":
                    return None
                if error.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return b""  # an empty blob has no first byte
                raise
            size = _size_of(first)
            if self._largest_read is not None and size > self._largest_read:
                raise PayloadTooLargeError(
                    f"Blob {key!r} has {size} bytes, and this process reads no payload over "
                    f"{self._place}.max_payload_size = {self._largest_read}: raise that, to what those who "
                    "write have"
                )
            if size <= len(data):
                return data
            buffer = io.BytesIO()
            buffer.write(data)
            await self._read_on(blob, buffer, size, first.properties.etag)
            # It hands out what it holds without a copy.
            return buffer.getvalue()

    async def diagnose(
        self, context: DiagnosisContext, missing: str, written: Sequence[str]
    ) -> list[Finding]:
        """Return what is found of the container.

        Args:
            context: What core tells.
            missing: The name of a blob that never exists.
            written: The names of what was stored in it for this check.
        """
        with self._errors.told("Get Blob Properties", missing):
            return await ContainerDiagnosis(
                self._container, missing, written, context=context, place=f"{context.place}.container"
            ).run()

    async def _read_on(self, blob: BlobClient, buffer: io.BytesIO, size: int, etag: str) -> None:
        """Read what follows what the buffer holds."""

        async def fetch(start: int) -> None:
            async with self._slots:
                # The same version as the first range, or none: a blob may be replaced meanwhile.
                part = await blob.download_blob(
                    offset=start,
                    length=min(self._block_size, size - start),
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
                data = await part.readall()
            buffer.seek(start)
            buffer.write(data)

        await gather_bounded(fetch, range(buffer.tell(), size, self._block_size), self._requests_at_once)

    async def _put(self, blob: BlobClient, data: bytes, *, overwrite: bool) -> None:
        async with self._slots:
            await blob.upload_blob(data, length=len(data), overwrite=overwrite)

    async def _put_in_blocks(self, blob: BlobClient, data: bytes) -> None:
        """Write a blob in parallel blocks. It comes to be with the last request, as a whole or not at all.

        Blocks of an upload that broke off can't be removed; Azure drops them after a week, or when the blob
        is written. Their names follow from their size and place, so that with each try they are the same.
        """
        key = blob.blob_name
        with self._errors.told("Get Blob Properties", key):
            # One small request, for otherwise all blocks of a duplicate are sent in vain.
            found = await self._look(blob)
            if found is not None and not is_aside(found):
                return
        starts = range(0, len(data), self._block_size)
        names = {start: f"{self._block_size:010d}-{start // self._block_size:05d}" for start in starts}

        async def send(start: int) -> None:
            async with self._slots:
                block = data[start : start + self._block_size]
                await blob.stage_block(names[start], block, length=len(block))

        with self._errors.told("Put Block", key):
            await gather_bounded(send, starts, self._requests_at_once)
        with self._errors.told("Put Block List", key):
            try:
                async with self._slots:
                    await blob.commit_block_list(
                        [BlobBlock(block_id=name) for name in names.values()],
                        match_condition=MatchConditions.IfMissing if found is None else None,
                    )
            except HttpResponseError as error:
                # Somebody who wrote the same blob meanwhile has done away with the blocks of others.
                if code_of(error) in {*_THERE_ALREADY, "InvalidBlockList"} and await self._is_there(blob):
                    return
                raise

    async def _is_there(self, blob: BlobClient) -> bool:
        """Tell whether there is a blob, and not put aside. One that is must be written anew."""
        found = await self._look(blob)
        return found is not None and not is_aside(found)

    async def _look(self, blob: BlobClient) -> BlobProperties | None:
        async with self._slots:
            try:
                return await blob.get_blob_properties()
            except HttpResponseError as error:
                if code_of(error) == "BlobNotFound":
                    return None
                raise

    # -- what a collector asks for

    async def pages(self, prefix: str) -> AsyncGenerator[list[BlobProperties], None]:
        """Yield the blobs whose names begin with this, with their metadata."""
        with self._errors.told("List Blobs", f"{prefix}*"):
            listing = self._container.list_blobs(name_starts_with=prefix, include=["metadata"])
            async for page in listing.by_page():
                yield [blob async for blob in page]

    async def look(self, key: str) -> BlobProperties | None:
        """Return what there is to be said of a blob, or None if there is none."""
        with self._errors.told("Get Blob Properties", key):
            return await self._look(self._container.get_blob_client(key))

    async def put_aside(self, key: str, etag: str) -> Change:
        """Mark a blob in its metadata, if it has this ETag. The blob gets another one by it."""
        return await self._change(
            key, lambda blob: blob.set_blob_metadata({_ASIDE: "true"}, **_if_match(etag)), "Set Blob Metadata"
        )

    async def restore(self, key: str, etag: str) -> Change:
        """Take the mark away, if the blob has this ETag."""
        return await self._change(
            key, lambda blob: blob.set_blob_metadata({}, **_if_match(etag)), "Set Blob Metadata"
        )

    async def delete(self, key: str, etag: str) -> Change:
        """Delete a blob if it has this ETag."""
        return await self._change(key, lambda blob: blob.delete_blob(**_if_match(etag)), "Delete Blob")

    async def _change(self, key: str, send: Callable[[BlobClient], Awaitable[Any]], operation: str) -> Change:
        blob = self._container.get_blob_client(key)
        try:
            with self._errors.told(operation, key):
                try:
                    async with self._slots:
                        await send(blob)
                except HttpResponseError as error:
                    if code_of(error) == "BlobNotFound":
                        return "gone"
                    if code_of(error) in _REFUSED:
                        return "refused"
                    if code_of(error) != "ConditionNotMet":
                        raise
                    # A blob that does not exist does not have the ETag either.
                    return "gone" if await self._look(blob) is None else "changed"
        except StorageUnavailableError:
            return "unknown"
        return "done"

    async def replace(self, key: str, data: bytes) -> None:
        """Write a blob, over one that is there."""
        with self._errors.told("Put Blob", key):
            await self._put(self._container.get_blob_client(key), data, overwrite=True)

    async def remove(self, key: str) -> None:
        """Delete a blob, if it is there."""
        with self._errors.told("Delete Blob", key):
            try:
                async with self._slots:
                    await self._container.get_blob_client(key).delete_blob()
            except HttpResponseError as error:
                if code_of(error) != "BlobNotFound":
                    raise


def is_aside(blob: BlobProperties) -> bool:
    """Tell whether a blob is put aside."""
    return _ASIDE in (blob.metadata or {})


def _if_match(etag: str) -> dict[str, Any]:
    # Sent once: an answer that was lost is told as such.
    return {"etag": f'"{etag}"', "match_condition": MatchConditions.IfNotModified, "retry_total": 0}


def _size_of(first: StorageStreamDownloader[bytes]) -> int:
    """Return the size of the blob of which this is the first range."""
    return int(str(first.properties.content_range).rpartition("/")[2])
