"""The files that a collector keeps in the container, beside the payloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporal_payloads_azure_blob._blobs import Blobs

_FILES = "state/"
"""What their blobs' names begin with. Those of payloads begin with `v0/`."""


class AzureBlobState:
    """See `temporal_payloads.plugin.StateStore`.

    Args:
        blobs: Those of the container.
    """

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        return await self._blobs.get(_FILES + name)

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole, over one that is there."""
        await self._blobs.replace(_FILES + name, data)

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""
        pages = self._blobs.pages(_FILES + prefix)
        return sorted([blob.name.removeprefix(_FILES) async for page in pages for blob in page])

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        await self._blobs.remove(_FILES + name)
