"""The storage driver: payloads as blobs under content-addressed names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from temporal_payloads.plugin import (
    DEFAULT_MAX_PAYLOAD_SIZE,
    CollectableDriver,
    ContentAddressedDriver,
    KeyLayout,
    ListedPage,
    change_each,
    gather_bounded,
    probe_conditions,
)

from temporal_payloads_azure_blob._settings import DEFAULT_BLOCK_SIZE
from temporal_payloads_azure_blob._state import AzureBlobState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    from azure.storage.blob import BlobProperties
    from azure.storage.blob.aio import ContainerClient
    from temporal_payloads.plugin import Change, DiagnosisContext, Finding, ListedPayload

DRIVER_TYPE = "azure_blob"
DEFAULT_REQUESTS_AT_ONCE = 32
_LONGEST_BLOB_NAME = 1024
_ASIDE = "aside "
"""What the tag of a payload begins with that is put aside; the rest is its ETag."""
_EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()


def key_layout(container: str) -> KeyLayout:
    """Return the layout of keys and claims in a container."""
    return KeyLayout(fields={"container": container}, max_length=_LONGEST_BLOB_NAME)


class AzureBlobStorageDriver(ContentAddressedDriver, CollectableDriver):
    """Stores Temporal payloads in a container of Azure Blob Storage, each once, as a block blob.

    Keys are those of Temporal's S3 driver: `v0/ns/{namespace}/wt/{type}/wi/{id}/ri/{run id}/d/sha256/{hex}`.
    A claim holds `container`, `key`, `hash_algorithm` and `hash_value`.

    Args:
        container_client: The container. The caller closes it. Its `max_single_put_size` and
            `max_single_get_size` must be at least `block_size`.
        driver_name: The name recorded in references. Whoever retrieves needs a driver of the same name.
        max_payload_size: Largest serialized payload in bytes that is stored.
        block_size: Bytes over which a payload is written in parallel blocks, and read in parallel ranges, of
            that size.
        requests_at_once: Most requests under way. Beside the payloads themselves, the driver holds no more
            than so many blocks in memory.
        place: Where the driver is configured, for error messages.
        largest_read: Largest payload in bytes that is read; None for whatever is there.

    Raises:
        ValueError: An argument makes no sense.
    """

    def __init__(
        self,
        container_client: ContainerClient,
        *,
        driver_name: str = DRIVER_TYPE,
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
        block_size: int = DEFAULT_BLOCK_SIZE,
        requests_at_once: int = DEFAULT_REQUESTS_AT_ONCE,
        place: str = f"storage.drivers.{DRIVER_TYPE}",
        largest_read: int | None = None,
    ) -> None:
        from temporal_payloads_azure_blob._blobs import Blobs  # noqa: PLC0415  # imports the Azure libraries

        super().__init__(
            driver_name=driver_name,
            layout=key_layout(container_client.container_name),
            max_payload_size=max_payload_size,
        )
        if block_size <= 0 or requests_at_once <= 0:
            raise ValueError("block_size and requests_at_once must be greater than zero")
        self._requests_at_once = requests_at_once
        self._blobs = Blobs(
            container_client,
            block_size=block_size,
            requests_at_once=requests_at_once,
            largest_read=largest_read,
            place=place,
        )

    def type(self) -> str:
        """Return the driver type."""
        return DRIVER_TYPE

    async def write(self, items: Mapping[str, bytes]) -> None:
        """Write each value under its key, unless the key is there already."""

        async def put(item: tuple[str, bytes]) -> None:
            await self._blobs.put_if_absent(*item)

        await gather_bounded(put, list(items.items()), self._requests_at_once)

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value under each key, None where there is none."""
        return await gather_bounded(self._blobs.get, keys, self._requests_at_once)

    async def check(self) -> None:
        """Raise a `StorageError` if the address, the login or the container are not as they should be.

        It asks for a blob, and so needs the permission to read and no other: whoever only reads, as a codec
        server does, passes. Whether writing is allowed shows at the first payload.
        """
        await self._blobs.get(self.key_for(None, _EMPTY_PAYLOAD))

    async def diagnose(self, context: DiagnosisContext) -> list[Finding]:
        """Return what is found of the container."""
        written = [claim.claim_data["key"] for claim in context.written]
        return await self._blobs.diagnose(context, self.key_for(None, _EMPTY_PAYLOAD), written)

    # -- what a collector asks for

    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return what the keys of these namespaces begin with."""
        return self._layout.prefixes(namespaces)

    async def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield the blobs under a prefix, up to 5,000 with each request."""
        async for blobs in self._blobs.pages(shard):
            payloads = [one for blob in blobs if (one := self._listed(blob))]
            yield ListedPage(payloads=payloads, others=len(blobs) - len(payloads))

    def _listed(self, blob: BlobProperties) -> ListedPayload | None:
        from temporal_payloads_azure_blob._blobs import is_aside  # noqa: PLC0415  # imports the Azure libraries

        aside = is_aside(blob)
        etag = blob.etag.strip('"')  # which a listing leaves out
        tag = f"{_ASIDE}{etag}" if aside else etag
        return self.listed(blob.name, size=blob.size, tag=tag, stored=blob.last_modified, aside=aside)

    async def probe(self) -> None:
        """Make sure that blobs can be marked and deleted, and that the account looks at ETags.

        Raises:
            StorageError: Why nothing may be deleted.
        """

        async def look(key: str) -> ListedPayload | None:
            blob = await self._blobs.look(key)
            return None if blob is None else self._listed(blob)

        await probe_conditions(self, look)

    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Mark blobs in their metadata. They can be read all the same."""
        del grace
        return await self._change(payloads, self._blobs.put_aside, aside=False)

    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Take the mark away."""
        return await self._change(payloads, self._blobs.restore, aside=True)

    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Delete blobs that are marked."""
        return await self._change(payloads, self._blobs.delete, aside=True)

    async def _change(
        self,
        payloads: Sequence[ListedPayload],
        change: Callable[[str, str], Awaitable[Change]],
        *,
        aside: bool,
    ) -> list[Change]:
        async def change_one(payload: ListedPayload) -> Change:
            key = self.key_of(payload)
            if payload.tag.startswith(_ASIDE) is not aside:
                return "changed"
            return await change(key, payload.tag.removeprefix(_ASIDE))

        return await change_each(change_one, payloads, self._requests_at_once)

    def state(self) -> AzureBlobState:
        """Return where a collector keeps its files: in blobs whose names begin with `state/`."""
        return AzureBlobState(self._blobs)
