"""A volume that is lost and mounted again, and that fills up."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from support.storm.servers import StormStore
from temporal_payloads_filesystem._paths import place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from support.proxy import TcpProxy

SIZE = "64m"
PIECE = bytes(1_000_000)


class StormFilesystem(StormStore[Any]):
    """A file system of its own, which takes root to mount.

    It stays, whatever happens to the mount that leads workers to it: below that is an empty directory.
    """

    type = "filesystem"
    # There is no server, and nothing between the workers and their files.
    spared: ClassVar[frozenset[str]] = frozenset(
        {"store frozen", "store crawls", "rubbish answered", "answers damaged"}
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._volume, self._mount_point = directory / "volume", directory / "mounted"

    @property
    def address(self) -> tuple[str, int]:
        """Nobody listens, and nobody asks."""
        return "127.0.0.1", 9

    def point(self, proxy: TcpProxy) -> None:
        """Leave the proxy alone: nothing goes through it."""

    def table(self, port: int) -> dict[str, Any]:
        """Return `[storage.drivers.filesystem]`."""
        del port
        return {"path": str(self._mount_point)}

    async def start(self) -> None:
        """Mount it; the volume is made at the first time."""
        if not self._volume.exists():
            for directory in (self._volume, self._mount_point):
                directory.mkdir()
            await _run("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", self._volume)
            (self._volume / "temporal-payloads.store").touch()
        await _run("mount", "--bind", self._volume, self._mount_point)

    async def kill(self) -> None:
        """Lose the mount, whatever is being written."""
        await _run("umount", "--lazy", self._mount_point)

    async def stop(self) -> None:
        """Unmount all of it."""
        for directory in (self._mount_point, self._volume):
            with suppress(subprocess.CalledProcessError):  # not mounted any more, or not yet
                await _run("umount", "--lazy", directory)

    def read(self, claim: Mapping[str, str]) -> bytes:
        """Return a file."""
        folders, name = place_of(claim["key"])
        return self._volume.joinpath(*folders, name).read_bytes()

    @asynccontextmanager
    async def full(self) -> AsyncIterator[None]:
        """Let a file take all the room that is left."""
        filler = self._volume / "filler"
        await asyncio.to_thread(_fill, filler)
        try:
            yield
        finally:
            filler.unlink()

    def _start(self) -> Any:
        raise NotImplementedError


def _fill(filler: Path) -> None:
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(PIECE)


async def _run(*command: str | Path) -> None:
    await asyncio.to_thread(subprocess.run, list(map(str, command)), check=True, capture_output=True)
