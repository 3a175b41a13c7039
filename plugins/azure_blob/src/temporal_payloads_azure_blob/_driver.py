"""The storage driver: payloads as blobs under content-addressed names."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from temporal_payloads.plugin import (
    DEFAULT_MAX_PAYLOAD_SIZE,
    ContentAddressedDriver,
    KeyLayout,
    gather_bounded,
)

from temporal_payloads_azure_blob._settings import DEFAULT_BLOCK_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azure.storage.blob.aio import ContainerClient

DRIVER_TYPE = "azure_blob"
DEFAULT_REQUESTS_AT_ONCE = 32
_LONGEST_BLOB_NAME = 1024
_EMPTY_PAYLOAD = hashlib.sha256(b"").hexdigest()


def key_layout(container: str) -> KeyLayout:
    """Return the layout of keys and claims in a container."""
    return KeyLayout(fields={"container": container}, max_length=_LONGEST_BLOB_NAME)


class AzureBlobStorageDriver(ContentAddressedDriver):
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
