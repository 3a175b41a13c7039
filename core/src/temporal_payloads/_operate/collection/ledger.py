"""What collections have written down: what they began for, how far they are, what came of them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporal_payloads._operate.collection.marked import Marked
from temporal_payloads._operate.collection.report import Collection, Report, swept_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporal_payloads._operate.collection.rules import Action
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.collection.sweeping import Swept

_TO_THE_SECOND = len("20261130T062500")
Shard = tuple[str, str]
"""The key of a driver's table, and a part of its store."""


class CannotResumeError(Exception):
    """There is no collection to go on with, or not with these settings."""


@dataclass(frozen=True)
class Refused:
    """What is not done in a store."""

    why: str
    actions: Sequence[Action]


class Ledger:
    """The documents of collections.

    Methods raise a `StorageError` where the collector's files cannot be used, and a `DamagedStateError` where
    one that is read is damaged.

    Args:
        files: Where they are.
    """

    def __init__(self, files: Files) -> None:
        self._files = files

    # -- each collection

    async def begin(self, collection: Collection) -> None:
        """Write down that a collection begins."""
        await self._files.write_json(f"collections/{collection.id}", collection.as_json())

    async def begun(self) -> list[str]:
        """Return the ids of all collections, the latest last."""
        return [name.rpartition("/")[2] for name in await self._files.store.names("collections/")]

    async def collection(self, collection_id: str) -> Collection:
        """Return a collection that was begun.

        Raises:
            CannotResumeError: There is none of this id.
        """
        document = await self._files.read_json(f"collections/{collection_id}")
        if document is None:
            raise CannotResumeError(f"there is no collection {collection_id}")
        return Collection.from_json(document)

    async def finish(self, report: Report) -> None:
        """Write down what came of a collection."""
        await self._files.write_json(f"reports/{report.id}", report.as_json())

    async def finished(self) -> set[str]:
        """Return the ids of the collections that have ended."""
        return {name.rpartition("/")[2] for name in await self._files.store.names("reports/")}

    async def report(self, collection_id: str) -> Report | None:
        """Return what came of a collection; None if it was not finished."""
        document = await self._files.read_json(f"reports/{collection_id}")
        return None if document is None else Report(**document)

    # -- what it has marked

    @staticmethod
    def folder_of_marks(collection: Collection, owner_key: str) -> str:
        """Return below which folder the marks of an owner lie."""
        return f"marks/{collection.id}/{owner_key}"

    async def marked(self, collection: Collection, owner_key: str) -> Marked | None:
        """Return what was marked of an owner; None if it was not."""
        name = f"{self.folder_of_marks(collection, owner_key)}/summary"
        document = await self._files.read_json(name)
        return None if document is None else Marked.from_json(document)

    async def note_marked(self, collection: Collection, owner_key: str, marked: Marked) -> None:
        """Write down what was marked of an owner: from now on these marks count."""
        name = f"{self.folder_of_marks(collection, owner_key)}/summary"
        await self._files.write_json(name, marked.as_json())

    # -- what it has swept

    async def refused(self, collection: Collection) -> dict[str, Refused]:
        """Return by their tables' keys the stores that are refused something."""
        document = await self._files.read_json(f"sweeps/{collection.id}/refused") or {}
        return {key: Refused(**one) for key, one in document.items()}

    async def note_refused(self, collection: Collection, refused: Mapping[str, Refused]) -> None:
        """Write down what stores are refused, before they are swept."""
        document = {key: asdict(one) for key, one in refused.items()}
        await self._files.write_json(f"sweeps/{collection.id}/refused", document)

    async def swept(self, collection: Collection, shard: Shard) -> Swept | None:
        """Return what came of sweeping a part of a store; None if it was not."""
        document = await self._files.read_json(self._name_of(collection, shard))
        return None if document is None else swept_from_json(document)

    async def note_swept(self, collection: Collection, shard: Shard, swept: Swept) -> None:
        """Write down what came of sweeping a part of a store."""
        await self._files.write_json(self._name_of(collection, shard), swept.as_json())

    async def all_swept(self, collection: Collection, key: str) -> list[Swept]:
        """Return what came of sweeping each part of a store."""
        names = await self._files.store.names(f"sweeps/{collection.id}/{_hashed(key)}/")
        return [swept_from_json(await self._files.read_json(name)) for name in names]

    @staticmethod
    def name_of_part(part: str) -> str:
        """Return by which name files call a part of a store, whatever that is called."""
        return _hashed(part)

    def _name_of(self, collection: Collection, shard: Shard) -> str:
        key, part = shard
        return f"sweeps/{collection.id}/{_hashed(key)}/{self.name_of_part(part)}"

    # -- what is needed no more

    async def remove_steps(self, collection: Collection) -> None:
        """Remove the marks of a collection that has ended, and what it has noted of its steps."""
        for folder in ("marks", "sweeps"):
            for name in await self._files.store.names(f"{folder}/{collection.id}/"):
                await self._files.store.remove(name)

    async def remove_old_steps(self, collection: Collection) -> None:
        """Remove the steps of collections that were never finished, and can't be any more."""
        for folder in ("marks", "sweeps"):
            for name in await self._files.store.names(f"{folder}/"):
                if is_past_finishing(name.split("/")[1], collection):
                    await self._files.store.remove(name)


def is_past_finishing(earlier: str, collection: Collection) -> bool:
    """Tell whether what an earlier collection has marked is too old to go on with.

    Args:
        earlier: Its id.
        collection: The one that begins.
    """
    retentions = [owner.retention for owner in collection.owners if owner.retention]
    began = datetime.strptime(earlier[:_TO_THE_SECOND], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return bool(retentions) and collection.began - began > min(retentions) + collection.grace


def _hashed(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]
