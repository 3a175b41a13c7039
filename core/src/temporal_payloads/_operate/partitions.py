"""Records on disk, apart by their keys, so that those of one part fit into memory however many there are."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from temporal_payloads._operate.marks import PARTS, WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BUFFERED = 4 * 1024 * 1024
"""Bytes that are gathered before they are written."""
_SORTED = 16 * 1024 * 1024
"""Bytes of a part whose keys are sorted in memory; a larger one is split by its keys' next byte."""
_FRAME = struct.Struct(f">{WIDTH}sI")


class Partitions:
    """Records in 256 files of a local directory, by one byte of their keys.

    Records are added, then read; whoever made it removes the directory.

    Args:
        directory: An empty directory, or one that is not there yet.
        byte: Which byte of the keys tells the part.
    """

    def __init__(self, directory: Path, *, byte: int = 0) -> None:
        self._directory = directory
        self._byte = byte
        self._buffers: dict[int, bytearray] = {}
        self._buffered = 0
        self.count = 0
        """Records that were added."""
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, key: bytes, record: bytes = b"") -> None:
        """Add a record under a key of 16 bytes."""
        buffer = self._buffers.setdefault(key[self._byte], bytearray())
        buffer += _FRAME.pack(key, len(record))
        buffer += record
        self.count += 1
        self._buffered += _FRAME.size + len(record)
        if self._buffered >= _BUFFERED:
            self._flush()

    def part(self, number: int) -> Iterator[tuple[bytes, bytes]]:
        """Yield the records of a part with their keys, in the order in which they were added."""
        self._flush()
        path = self._path(number)
        if not path.exists():
            return
        with path.open("rb") as file:
            while frame := file.read(_FRAME.size):
                key, length = _FRAME.unpack(frame)
                yield key, file.read(length)

    @property
    def parts(self) -> list[int]:
        """The parts that have records."""
        self._flush()
        return [number for number in range(PARTS) if self._path(number).exists()]

    def keys(self, number: int) -> Iterator[bytes]:
        """Yield the keys of a part in order, each once."""
        self._flush()
        path = self._path(number)
        if not path.exists():
            return
        if path.stat().st_size <= _SORTED or self._byte + 1 == WIDTH:
            yield from sorted({key for key, _ in self.part(number)})
            return
        finer = Partitions(self._directory / f"{number:02x}-apart", byte=self._byte + 1)
        for key, _ in self.part(number):
            finer.add(key)
        for each in finer.parts:
            yield from finer.keys(each)

    def groups(self, number: int) -> Iterator[tuple[bytes, list[bytes]]]:
        """Yield the keys of a part, each once, in order, with its records in the order of their adding."""
        self._flush()
        path = self._path(number)
        if not path.exists():
            return
        if path.stat().st_size <= _SORTED or self._byte + 1 == WIDTH:
            found: dict[bytes, list[bytes]] = {}
            for key, record in self.part(number):
                found.setdefault(key, []).append(record)
            yield from sorted(found.items())
            return
        finer = Partitions(self._directory / f"{number:02x}-groups", byte=self._byte + 1)
        for key, record in self.part(number):
            finer.add(key, record)
        for each in finer.parts:
            yield from finer.groups(each)

    def _path(self, number: int) -> Path:
        return self._directory / f"{number:02x}"

    def _flush(self) -> None:
        # No file is left open: there may be many such sets.
        for number, buffer in self._buffers.items():
            with self._path(number).open("ab") as file:
                file.write(buffer)
        self._buffers.clear()
        self._buffered = 0
