"""A real Redis server."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.stores.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_servers import RedisServer


@dataclass(frozen=True)
class RedisStore(Store):
    """A Redis server."""

    server: RedisServer
    type = "redis"
    driver_name = "redis"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        return self.server.host, self.server.port

    def through(self, port: int) -> RedisStore:
        """Return the same server with the proxy's port."""
        return dataclasses.replace(self, server=dataclasses.replace(self.server, port=port))

    def table(self) -> dict[str, Any]:
        """Return the table `[storage.drivers.redis]`."""
        return {"url": self.server.url, "retries": 0}

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return the value."""
        with self.server.client() as client:
            found = client.get(claim["key"])
        assert isinstance(found, bytes)
        return found

    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Replace the value."""
        with self.server.client() as client:
            client.set(claim["key"], data)

    def delete(self, claim: Mapping[str, str]) -> None:
        """Delete the key."""
        with self.server.client() as client:
            client.delete(claim["key"])
