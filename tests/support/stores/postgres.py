"""A table in a real PostgreSQL server."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.stores.store import Store
from temporal_payloads_postgres._connect import open_connections
from temporal_payloads_postgres._maintenance import initialise
from temporal_payloads_postgres._settings import PostgresSettings
from temporal_payloads_postgres._table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_servers import PostgresServer

TABLE = "temporal_payloads.payloads"


async def make_table(server: PostgresServer) -> None:
    """Do what `temporal-payloads postgres init` does."""
    settings = PostgresSettings.model_validate({"url": server.url, "table": TABLE})
    async with open_connections(settings, "storage.drivers.postgres") as connections:
        await initialise(connections, Table(*settings.schema_and_table, expires=False), None)


def read_payload(server: PostgresServer, key: str) -> bytes:
    """Return what lies under a key.

    Raises:
        LookupError: Nothing does.
    """
    with server.client() as client:
        parts = client.execute(f"SELECT data FROM {TABLE} WHERE key = %s ORDER BY part", (key,)).fetchall()
    if not parts:
        raise LookupError(f"there is no {key}")
    return b"".join(data for (data,) in parts)


@dataclass(frozen=True)
class PostgresStore(Store):
    """A table that `make_table` has made."""

    server: PostgresServer
    type = "postgres"
    driver_name = "postgres"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server."""
        return self.server.host, self.server.port

    def through(self, port: int) -> PostgresStore:
        """Return the same server with the proxy's port."""
        return dataclasses.replace(self, server=dataclasses.replace(self.server, port=port))

    def table(self) -> dict[str, Any]:
        """Return the table `[storage.drivers.postgres]`."""
        return {"url": self.server.url}

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return the payload's parts, joined."""
        return read_payload(self.server, claim["key"])

    def overwrite(self, claim: Mapping[str, str], data: bytes) -> None:
        """Replace the payload by one of a single part."""
        self.delete(claim)
        with self.server.client() as client:
            client.execute(
                f"INSERT INTO {TABLE} (key, part, data) VALUES (%s, 0, %s)",
                (claim["key"], data),
            )

    def delete(self, claim: Mapping[str, str]) -> None:
        """Delete the payload."""
        with self.server.client() as client:
            client.execute(f"DELETE FROM {TABLE} WHERE key = %s", (claim["key"],))
