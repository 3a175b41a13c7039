"""PostgreSQL, close by: the driver beside plain psycopg on one connection, a statement for each payload."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
from local_servers import PostgresServer, start_postgres
from temporal_payloads_postgres._connect import open_connections
from temporal_payloads_postgres._maintenance import initialise
from temporal_payloads_postgres._settings import PostgresSettings
from temporal_payloads_postgres._table import Table
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriver

from benchmarks.data import new_payloads
from benchmarks.harness import Config, Contestant, Line, Report, Times, race
from benchmarks.s3 import store
from benchmarks.servers import Servers, converter, driver_of

BATCHES = ((100, 1_000), (20, 300_000), (3, 3_000_000))
"""How many payloads of how many bytes."""


async def run(config: Config, _: Servers) -> Report:
    """Measure everything about PostgreSQL, with a server of its own."""
    with TemporaryDirectory() as directory, start_postgres(Path(directory)) as server:
        await _make_tables(server)
        ours = driver_of(converter({"postgres": {"url": server.url}}))
        await store(ours, new_payloads(1, 1_000))
        peer = await psycopg.AsyncConnection.connect(server.url, autocommit=True)
        try:
            lines = [await _stored(config, ours, peer, count, size) for count, size in BATCHES]
        finally:
            await peer.close()
        return Report(lines=lines)


async def _make_tables(server: PostgresServer) -> None:
    settings = PostgresSettings.model_validate({"url": server.url})
    async with open_connections(settings, "storage.drivers.postgres") as connections:
        await initialise(connections, Table(*settings.schema_and_table, expires=False), None)
    with server.client() as client:
        client.execute("CREATE TABLE peers (key bigserial PRIMARY KEY, data bytea NOT NULL)")
        client.execute("ALTER TABLE peers ALTER COLUMN data SET STORAGE EXTERNAL")


async def _stored(
    config: Config, ours: StorageDriver, peer: psycopg.AsyncConnection, count: int, size: int
) -> Line:
    async def insert(payloads: list[Payload]) -> None:
        for payload in payloads:
            await peer.execute("INSERT INTO peers (data) VALUES (%b)", (payload.SerializeToString(),))

    payloads = partial(new_payloads, count, size)
    times = await race(
        {"peer": Contestant(insert, payloads), "ours": Contestant(partial(store, ours), payloads)},
        config.rounds(15),
    )
    return _line(count, size, times)


def _line(count: int, size: int, times: Times) -> Line:
    ratio = times["peer"] / times["ours"]
    peer, ours = (f"{count * size / times[name] / 1e6:,.0f} MB/s" for name in ("peer", "ours"))
    what = f"{count} payloads of {size // 1000:,} KB to PostgreSQL"
    return Line(what, peer, ours, ratio, "as fast", ratio >= 1, times.best_ratio())
