"""Which payloads are in the destination, so that whoever goes on with a migration copies only the others."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from temporal_payloads._operate.marks import WIDTH, Marks

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from temporal_payloads._operate.collection.state import Files

MOST_RECENT = 50_000
"""Keys in files of their own before they are put to those of their parts."""


class Done:
    """The keys of payloads that were copied and verified. Several migrations may write it at the same time.

    Args:
        files: Where they are kept.
        folder: The folder of this migration.
    """

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._parts = f"{folder}/done"
        self._recent = f"{folder}/recent"
        self._added = 0

    async def of_part(self, part: int) -> Marks:
        """Return the keys of a part. Those added since `fold` are not among them."""
        return Marks(await self._files.read_bytes(self._name(part)) or b"")

    async def add(self, keys: Collection[bytes]) -> None:
        """Note that these are done."""
        if not keys:
            return
        await self._files.write_bytes(f"{self._recent}/{secrets.token_hex(8)}", b"".join(sorted(keys)))
        self._added += len(keys)
        if self._added >= MOST_RECENT:
            await self.fold()

    async def remove(self, keys: Iterable[bytes]) -> None:
        """Note that these are not done: the destination does not have them any more."""
        await self.fold()
        by_part: dict[int, set[bytes]] = {}
        for key in keys:
            by_part.setdefault(key[0], set()).add(key)
        for part, lost in by_part.items():
            known = _keys((await self.of_part(part)).data)
            await self._files.write_bytes(self._name(part), Marks.of(known - lost).data)

    async def fold(self) -> None:
        """Put what was added to the files of its parts."""
        names = await self._files.store.names(f"{self._recent}/")
        by_part: dict[int, set[bytes]] = {}
        for name in names:
            for key in _keys(await self._files.read_bytes(name) or b""):
                by_part.setdefault(key[0], set()).add(key)
        for part, added in by_part.items():
            known = _keys((await self.of_part(part)).data)
            await self._files.write_bytes(self._name(part), Marks.of(known | added).data)
        for name in names:
            await self._files.store.remove(name)
        self._added = 0

    def _name(self, part: int) -> str:
        return f"{self._parts}/{part:02x}"


def _keys(data: bytes) -> set[bytes]:
    return {data[start : start + WIDTH] for start in range(0, len(data), WIDTH)}
