"""What the tests share: servers, the driver as core opens it, payloads."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from local_servers import RedisServer
from local_servers.parts import find_redis
from local_servers.process import free_ports, run_server
from temporal_payloads.plugin import DriverContext, DriverPlugin
from temporal_payloads_redis._plugin import temporal_payloads_driver
from temporal_payloads_redis._settings import RedisSettings
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

PLACE = "storage.drivers.redis"


class Server:
    """A running server, and a way to look into it beside the driver."""

    def __init__(self, address: RedisServer) -> None:
        self.address = address
        self.port = address.port
        self.url = address.url

    def command(self, *words: Any) -> Any:
        with self.address.client() as client:
            return client.execute_command(*words)


class OwnServer(Server):
    """A server with options of its own, which can be stopped and started again at its address."""

    def __init__(self, directory: Path, options: tuple[str, ...], password: str | None) -> None:
        super().__init__(RedisServer("127.0.0.1", free_ports(1)[0], password))
        self._directory = directory
        self._options = options
        self._running = contextlib.ExitStack()

    def start(self) -> None:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        self._running.enter_context(
            run_server(
                "Redis",
                [find_redis(), *self._options, *options],
                log_file=self._directory / "redis.log",
                is_ready=self.address.check,
            )
        )

    def stop(self) -> None:
        self._running.close()


StartServer = Callable[..., OwnServer]


@pytest.fixture(scope="session")
def start_server(
    redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StartServer]:
    """Starts servers for what `redis_server` must not be put through."""
    del redis_server  # skips the test if there is no program
    with contextlib.ExitStack() as servers:

        def start(*options: str, password: str | None = None) -> OwnServer:
            server = OwnServer(tmp_path_factory.mktemp("redis"), options, password)
            servers.callback(server.stop)
            server.start()
            return server

        yield start


@pytest.fixture
def server(redis_server: RedisServer) -> Server:
    """A server without data."""
    server = Server(redis_server)
    server.command("FLUSHALL")
    return server


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Listen = Callable[..., AbstractAsyncContextManager[int]]


@pytest.fixture
def listen() -> Listen:
    """Listens on a free port for the length of a block; at its end all connections have been handled."""

    @contextlib.asynccontextmanager
    async def listening(handle: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
        handlers: list[asyncio.Future[None]] = []

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            done = asyncio.get_running_loop().create_future()
            handlers.append(done)
            try:
                await handle(reader, writer)
            finally:
                await hang_up(writer)
                done.set_result(None)

        listener = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        async with listener:
            yield listener.sockets[0].getsockname()[1]
        await asyncio.gather(*handlers)

    return listening


async def hang_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until one side hangs up."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
def relay_to() -> Callable[..., Handler]:
    """Makes a handler that connects to a server, with `forth` for what goes there."""

    def make(server: Server, forth: Handler = copy) -> Handler:
        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server.port)
            try:
                await asyncio.gather(forth(reader, server_writer), copy(server_reader, writer))
            finally:
                await hang_up(server_writer)

        return relay

    return make


@pytest.fixture(scope="session")
def plugin() -> DriverPlugin[RedisSettings]:
    return temporal_payloads_driver()


OpenDriver = Callable[..., AbstractAsyncContextManager[Any]]


@pytest.fixture
def open_driver(plugin: DriverPlugin[RedisSettings]) -> OpenDriver:
    """Opens the driver as core does: settings in, driver out. Retries are few, so that failures are quick."""

    def open_with(**settings: Any) -> AbstractAsyncContextManager[Any]:
        context = DriverContext(name="redis", place=PLACE, concurrency=8)
        return plugin.open(RedisSettings(**{"retries": 1, **settings}), context)

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
