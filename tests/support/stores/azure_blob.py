"""A container of a real Azurite."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from support.stores.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.storage.blob import ContainerClient
    from local_servers import AzuriteServer


@dataclass(frozen=True)
class AzureBlobStore(Store):
    """A container."""

    server: AzuriteServer
    admin: ContainerClient
    """A blocking client of the container itself, even where the store is behind a proxy."""
    type = "azure_blob"
    driver_name = "azure_blob"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the account's URL."""
        parts = urlsplit(self.server.account_url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def through(self, port: int) -> AzureBlobStore:
        """Return the same container with the proxy's port."""
        url = f"http://127.0.0.1:{port}/{self.server.account_name}"
        return dataclasses.replace(self, server=dataclasses.replace(self.server, account_url=url))

    def table(self) -> dict[str, Any]:
        """Return the table `[storage.drivers.azure_blob]`."""
        return {
            "container": self.admin.container_name,
            "account_url": self.server.account_url,
            "account_key": self.server.account_key,
            "max_attempts": 1,
        }

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return the blob."""
        return self.admin.download_blob(claim["key"]).readall()

    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Replace the blob."""
        self.admin.upload_blob(claim["key"], data, overwrite=True)

    def delete(self, claim: Mapping[str, str]) -> None:
        """Delete the blob."""
        self.admin.delete_blob(claim["key"])
