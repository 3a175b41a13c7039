"""PostgreSQL in the storm."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

from local_servers import PostgresServer, start_postgres
from support.stores.postgres import TABLE, make_table, read_payload
from support.storm.servers import StormStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

FULL = """
CREATE OR REPLACE FUNCTION out_of_room() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
"""


class StormPostgres(StormStore[PostgresServer]):
    """PostgreSQL, which recovers from its log whenever it was killed."""

    type = "postgres"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server itself."""
        return self.server.host, self.server.port

    def table(self, port: int) -> dict[str, Any]:
        """Return `[storage.drivers.postgres]`."""
        login = f"{self.server.user}:{self.server.password}"
        url = f"postgresql://{login}@127.0.0.1:{port}/{self.server.database}"
        return {"url": url, "connect_timeout": "1s", "timeout": "1s"}

    async def start(self) -> None:
        """Start it; the table is made if it is not there."""
        await super().start()
        await make_table(self.server)

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return what lies under a claim's key."""
        return read_payload(self.server, claim["key"])

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Let every insert fail as on a full disk: the server itself would not start again on one."""
        await asyncio.to_thread(self._run, FULL)
        each = "FOR EACH ROW EXECUTE FUNCTION out_of_room()"
        await asyncio.to_thread(self._run, f"CREATE TRIGGER out_of_room BEFORE INSERT ON {TABLE} {each}")
        try:
            yield
        finally:
            await asyncio.to_thread(self._run, f"DROP TRIGGER out_of_room ON {TABLE}")

    def _run(self, statement: str) -> None:
        with self.server.client() as client:
            client.execute(statement)

    def _start(self) -> AbstractContextManager[PostgresServer]:
        return start_postgres(self._directory)
