"""Azure Blob Storage in a storm: Azurite, stopped, frozen and full."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from azure.storage.blob import ContainerClient
from local_servers import AzuriteServer, start_azurite
from support.storm.servers import BUCKET, StormStore

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class StormAzureBlob(StormStore[AzuriteServer]):
    """Azurite that keeps its data on disk."""

    type = "azure_blob"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._admin: Any = None

    async def start(self) -> None:
        """Start it with the data that is there; the container is made if it is not there."""
        await super().start()
        await asyncio.to_thread(self.server.create_container, BUCKET)
        credential = {"account_name": self.server.account_name, "account_key": self.server.account_key}
        client = ContainerClient(self.server.account_url, BUCKET, credential, retry_total=0)
        self._admin = self._running.enter_context(client)

    async def kill(self) -> None:
        """Stop it at once, but let it write down what it has: Azurite does so every five seconds only."""
        await self.stop()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server itself."""
        parts = urlsplit(self.server.account_url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def table(self, port: int) -> dict[str, Any]:
        """Return `[storage.drivers.azure_blob]`."""
        return {
            "container": BUCKET,
            "account_url": f"http://127.0.0.1:{port}/{self.server.account_name}",
            "account_key": self.server.account_key,
            "connect_timeout": "1s",
            "read_timeout": "1s",
            "max_attempts": 2,
        }

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return a blob."""
        return bytes(self._admin.download_blob(claim["key"]).readall())

    def full(self) -> AbstractAsyncContextManager[None]:
        """Let it write to no file."""
        return self._writing_no_files()

    def _start(self) -> AbstractContextManager[AzuriteServer]:
        return start_azurite(self._directory, keep=True)
