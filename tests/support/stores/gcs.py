"""A bucket on a real fake-gcs-server."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from support.stores.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_servers import GCSServer


@dataclass(frozen=True)
class GCSStore(Store):
    """A bucket."""

    server: GCSServer
    bucket: str
    admin: GCSServer
    """The server itself, even where the store is behind a proxy."""
    type = "gcs"
    driver_name = "gcp.gcsdriver"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the endpoint."""
        parts = urlsplit(self.server.endpoint_url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def through(self, port: int) -> GCSStore:
        """Return the same bucket with the proxy as its endpoint."""
        server = dataclasses.replace(self.server, endpoint_url=f"http://127.0.0.1:{port}")
        return dataclasses.replace(self, server=server)

    def table(self) -> dict[str, Any]:
        """Return the table `[storage.drivers.gcs]`."""
        return {"bucket": self.bucket, "endpoint_url": self.server.endpoint_url, "anonymous": True}

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return the object."""
        return self.admin.read(claim["bucket"], claim["object_name"])

    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Replace the object."""
        self.admin.write(claim["bucket"], claim["object_name"], data)

    def delete(self, claim: Mapping[str, str]) -> None:
        """Delete the object."""
        self.admin.delete(claim["bucket"], claim["object_name"])
