"""What the tests share: databases, the driver as core opens it, payloads."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from local_servers import PostgresServer
from temporal_payloads.plugin import DriverContext, DriverPlugin
from temporal_payloads_postgres._connect import open_connections
from temporal_payloads_postgres._maintenance import initialise
from temporal_payloads_postgres._plugin import temporal_payloads_driver
from temporal_payloads_postgres._settings import PostgresSettings
from temporal_payloads_postgres._table import Table
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

PLACE = "storage.drivers.postgres"
_numbers = itertools.count(1)


class Database:
    """A database of the server's, and a way to look into it beside the driver."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server

    @property
    def address(self) -> dict[str, Any]:
        """The settings that lead to it."""
        return {"url": self.server.url}

    def run(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement, and return its rows."""
        with self.server.client() as client:
            cursor = client.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def one(self, statement: str, *values: Any) -> Any:
        """Return the one value that a statement returns."""
        ((value,),) = self.run(statement, *values)
        return value


@pytest.fixture
def empty_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A database without the table."""
    name = f"test_{next(_numbers)}"
    with postgres_server.client() as client:
        client.execute(f'CREATE DATABASE "{name}"')
    yield Database(replace(postgres_server, database=name))
    with postgres_server.client() as client:
        client.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def init(**settings: Any) -> list[str]:
    """Do what `temporal-payloads postgres init` does."""
    given = PostgresSettings(**settings)

    async def make() -> list[str]:
        async with open_connections(given, PLACE) as connections:
            table = Table(*given.schema_and_table, expires=given.ttl is not None)
            return await initialise(connections, table, given.ttl)

    return asyncio.run(make())


@pytest.fixture(scope="session")
def _shared(postgres_server: PostgresServer) -> Database:
    database = Database(postgres_server)
    init(**database.address)
    init(**database.address, table="temporal_payloads.expiring", ttl="7d")
    return database


@pytest.fixture
def database(_shared: Database) -> Database:
    """A database with an empty table."""
    _shared.run("TRUNCATE temporal_payloads.payloads")
    return _shared


@pytest.fixture
def expiring(database: Database) -> dict[str, Any]:
    """The settings of another table there, with an expiry, and empty too."""
    database.run("TRUNCATE temporal_payloads.expiring")
    return {**database.address, "table": "temporal_payloads.expiring", "ttl": "7d"}


@pytest.fixture(scope="session")
def plugin() -> DriverPlugin[PostgresSettings]:
    return temporal_payloads_driver()


OpenDriver = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def open_driver(plugin: DriverPlugin[PostgresSettings]) -> OpenDriver:
    """Opens the driver as core does: settings in, driver out."""

    def open_with(**settings: Any) -> AbstractAsyncContextManager[Any]:
        context = DriverContext(name="postgres", place=PLACE, concurrency=8)
        return plugin.open(PostgresSettings(**settings), context)

    return open_with


@pytest.fixture
def store_context() -> StorageDriverStoreContext:
    return StorageDriverStoreContext(
        target=StorageDriverWorkflowInfo(namespace="default", id="order/1", run_id="run-1", type="Order")
    )


@pytest.fixture
def retrieve_context() -> StorageDriverRetrieveContext:
    return StorageDriverRetrieveContext()


@pytest.fixture
def make_payloads() -> Callable[..., list[Payload]]:
    def make(count: int, size: int = 20) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"json/plain"}, data=f"{number:<{size}}".encode())
            for number in range(count)
        ]

    return make
