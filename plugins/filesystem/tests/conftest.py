"""What the tests share: the driver as core opens it, payloads, and file systems of a few megabytes."""

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from temporal_payloads.plugin import DriverContext, DriverPlugin
from temporal_payloads_filesystem._plugin import temporal_payloads_driver
from temporal_payloads_filesystem._settings import FilesystemSettings
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

PLACE = "storage.drivers.filesystem"

OpenDriver = Callable[..., AbstractAsyncContextManager[Any]]
MakePayloads = Callable[..., list[Payload]]
Mount = Callable[..., None]


@pytest.fixture(scope="session")
def plugin() -> DriverPlugin[FilesystemSettings]:
    return temporal_payloads_driver()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty directory."""
    directory = tmp_path / "payloads"
    directory.mkdir()
    return directory


@pytest.fixture
def open_driver(plugin: DriverPlugin[FilesystemSettings]) -> OpenDriver:
    """Opens the driver as core does: settings in, driver out."""

    def open_with(path: Path, **settings: Any) -> AbstractAsyncContextManager[Any]:
        context = DriverContext(name="filesystem", place=PLACE, concurrency=8)
        return plugin.open(FilesystemSettings(path=path, **{"create": True, **settings}), context)

    return open_with


@pytest.fixture
def store_context() -> StorageDriverStoreContext:
    return StorageDriverStoreContext(
        target=StorageDriverWorkflowInfo(namespace="default", id="order-1", run_id="run-1", type="order")
    )


@pytest.fixture
def retrieve_context() -> StorageDriverRetrieveContext:
    return StorageDriverRetrieveContext()


@pytest.fixture
def make_payloads() -> MakePayloads:
    def make(count: int, size: int = 20) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"json/plain"}, data=f"{number:<{size}}".encode())
            for number in range(count)
        ]

    return make


def _takes_root() -> None:
    # In CI too: what a machine lets its users do, nobody can install.
    pytest.skip("this machine lets nobody do so, or root alone")


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts a file system of two megabytes on a directory until the test ends, or changes its options."""
    mounted = []

    def mount_on(directory: Path, *options: str) -> None:
        command = ["mount", "-t", "tmpfs", "-o", ",".join(("size=2m", *options)), "tmpfs", str(directory)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            _takes_root()
        mounted.append(directory)

    yield mount_on
    for directory in mounted:
        subprocess.run(["umount", str(directory)], capture_output=True, check=False)


@pytest.fixture
def unmount() -> Callable[[Path], None]:
    """Unmounts a file system, which fails while somebody has a file of it open."""

    def unmount(directory: Path) -> None:
        subprocess.run(["umount", str(directory)], check=True)

    return unmount


@pytest.fixture
def as_nobody() -> Callable[[], contextlib.AbstractContextManager[None]]:
    """Lets this process be a user without rights for the length of a block."""

    @contextlib.contextmanager
    def nobody() -> Iterator[None]:
        if os.geteuid() != 0:
            _takes_root()
        os.seteuid(65534)
        try:
            yield
        finally:
            os.seteuid(0)

    return nobody


@pytest.fixture
def public() -> Iterator[Path]:
    """A directory that every user may enter; those of pytest are closed."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)
