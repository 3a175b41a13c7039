"""When each payload was put aside, and by which collection: what a store does not tell, or not for sure."""

from __future__ import annotations

import secrets
import struct
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.marks import WIDTH
from temporal_payloads._operate.partitions import Partitions

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from temporal_payloads._operate.collection.state import Files

_RECORD = struct.Struct(f">{WIDTH}sq")
_LOADED = struct.Struct(">qI")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class PutAside:
    """That a payload was put aside; or was about to be, for the record comes first."""

    time: datetime
    segment: str
    """The name of the file that says so."""
    earlier: tuple[str, ...] = ()
    """The names of files that tell of times before, after which it was brought back."""

    @property
    def collection(self) -> str:
        """The id of the collection that did it."""
        return collection_of(self.segment)


def collection_of(segment: str) -> str:
    """Return the id of the collection that has written a file of records."""
    return segment.rpartition("/")[0].rpartition("/")[2]


class AsideRecords:
    """The records of one store.

    A record of a payload that is not aside any more says nothing. It is forgotten when that is put aside
    again, so that the earlier one is never taken for the later one, also if that is lost.

    Args:
        files: Where they are kept.
        store: What tells the store from others.
    """

    def __init__(self, files: Files, store: str) -> None:
        self._files = files
        self._folder = f"aside/{store}"

    async def add(self, collection: str, shard: str, marks: Iterable[bytes], time: datetime) -> str:
        """Record that payloads are put aside, before they are; return the name of the file that says so."""
        # Whoever does the same at the same time writes another file.
        name = f"{self._folder}/{collection}/{shard}-{secrets.token_hex(8)}"
        stamp = (time - _EPOCH) // timedelta(microseconds=1)
        await self._files.write_bytes(name, b"".join(_RECORD.pack(mark, stamp) for mark in sorted(marks)))
        return name

    async def load(self, shard: str, work: Path) -> LoadedRecords:
        """Read those of a part of the store into an empty local directory.

        Where a payload that was recorded in one part is listed in another, it is taken for not recorded. So
        is what a damaged file told of: it waits a grace more.
        """
        names = [
            name
            for name in await self._files.store.names(f"{self._folder}/")
            if name.rpartition("/")[2].startswith(f"{shard}-")
        ]
        partitions = Partitions(work)
        damaged: list[str] = []
        for number, name in enumerate(names):
            try:
                data = await self._files.read_bytes(name) or b""
            except DamagedStateError:
                damaged.append(name)
                continue
            for mark, stamp in _RECORD.iter_unpack(data):
                partitions.add(mark, _LOADED.pack(stamp, number))
        return LoadedRecords(names, partitions, damaged)

    async def forget(self, segment: str, marks: Collection[bytes]) -> None:
        """Leave payloads out of a file that tells of a time before: what was put aside since waits anew."""
        try:
            data = await self._files.read_bytes(segment) or b""
        except DamagedStateError:
            return  # it tells nothing
        left = b"".join(_RECORD.pack(mark, at) for mark, at in _RECORD.iter_unpack(data) if mark not in marks)
        if left:
            await self._files.write_bytes(segment, left)
        else:
            await self._files.store.remove(segment)

    async def remove(self, segments: Iterable[str]) -> None:
        """Remove files of which no payload is aside any more."""
        for name in segments:
            await self._files.store.remove(name)


@dataclass(frozen=True)
class LoadedRecords:
    """The records, part by part."""

    segments: list[str]
    """The names of all files."""
    partitions: Partitions
    damaged: list[str]
    """The names of those that could not be read."""

    def part(self, number: int) -> Mapping[bytes, PutAside]:
        """Return the latest record of each payload in a part, by the mark of its claim."""
        found: dict[bytes, PutAside] = {}
        for mark, record in self.partitions.part(number):
            stamp, segment = _LOADED.unpack(record)
            put = PutAside(_EPOCH + timedelta(microseconds=stamp), self.segments[segment])
            if (other := found.get(mark)) is not None:
                first, last = sorted((other, put), key=lambda one: one.time)
                put = replace(last, earlier=(*first.earlier, *last.earlier, first.segment))
            found[mark] = put
        return found
