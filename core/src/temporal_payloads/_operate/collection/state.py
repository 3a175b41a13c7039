"""What a collector must know from one step, and one collection, to the next: files in a `StateStore`."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import tempfile
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_payloads._storage.errors import StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads._storage.collecting import StateStore

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")


class DamagedStateError(Exception):
    """A file of the collector's is not as it was written."""


class DirectoryState:
    """Keeps the files in a local directory: `gc.state`. It is a `StateStore`.

    Where the directory cannot be used, its methods raise a `StorageUnavailableError` that says so.

    Args:
        directory: It is made if it is not there.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        path = self._path(name)

        def read() -> bytes | None:
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

        with self._told("read"):
            return await asyncio.to_thread(read)

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole."""
        with self._told("written"):
            await asyncio.to_thread(self._write, self._path(name), data)

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""

        def names() -> list[str]:
            # Not all of the directory: a prefix mostly ends with one.
            below = self._directory / prefix.rpartition("/")[0]
            walked = os.walk(below, onerror=_unless_there_is_none)
            found = (Path(folder) / file for folder, _, files in walked for file in files)
            named = (path.relative_to(self._directory).as_posix() for path in found)
            return sorted(name for name in named if name.startswith(prefix) and _NAME.fullmatch(name))

        with self._told("listed"):
            return await asyncio.to_thread(names)

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._told("removed"):
            await asyncio.to_thread(self._path(name).unlink, missing_ok=True)

    @contextmanager
    def _told(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StorageUnavailableError(
                f"The collector's files cannot be {done} in {self._directory} (gc.state): {error}. It must "
                "be a directory that this user may read and write, with room, and the same wherever "
                "collections run"
            ) from error

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a file of state")
        return self._directory / name

    @staticmethod
    def _write(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name that `names` does not take, in case the process ends before it is renamed.
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


def _unless_there_is_none(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


class Files:
    """Documents in a state store, each with a checksum."""

    def __init__(self, store: StateStore) -> None:
        self.store = store

    async def read_json(self, name: str) -> Any:
        """Return a document; None if there is none.

        Raises:
            DamagedStateError: It is not as it was written.
        """
        data = await self.read_bytes(name)
        return None if data is None else json.loads(data)

    async def write_json(self, name: str, document: Any) -> None:
        """Write a document as a whole."""
        await self.write_bytes(name, json.dumps(document, separators=(",", ":")).encode())

    async def read_bytes(self, name: str) -> bytes | None:
        """Return bytes; None if there are none.

        Raises:
            DamagedStateError: They are not as they were written.
        """
        data = await self.store.read(name)
        if data is None:
            return None
        try:
            content = zlib.decompress(data[32:])
        except zlib.error as error:
            raise DamagedStateError(f"The collector's file {name} is damaged: {error}") from error
        if hashlib.sha256(content).digest() != data[:32]:
            raise DamagedStateError(f"The collector's file {name} is damaged: it has another checksum")
        return content

    async def write_bytes(self, name: str, content: bytes) -> None:
        """Write bytes as a whole."""
        packed = await asyncio.to_thread(zlib.compress, content)
        await self.store.write(name, hashlib.sha256(content).digest() + packed)
