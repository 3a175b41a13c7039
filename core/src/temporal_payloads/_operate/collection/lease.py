"""One collection at a time: a file that says which one runs, since when, and that it still does.

A state store cannot compare and write in one step. So whoever has taken the lease looks again before each
change to a store: of two that took it at once, the one that wrote first finds the other's name, and stops.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporal_payloads._operate.collection.state import DamagedStateError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from temporal_payloads._operate.collection.state import Files

EXPIRES = timedelta(minutes=5)
"""How long after its last renewal a lease is for everybody to take; so is one that was renewed in the future,
by a clock that was wrong."""
RENEWED = timedelta(minutes=1)
"""How often it is renewed."""
_PATIENCE = 30
"""Seconds that a renewal may take which is under way when a step has ended."""
_NAME = "lease"


class CollectionRunsError(Exception):
    """Another collection runs, or was killed a short while ago."""


@dataclass(frozen=True)
class _Held:
    """What the file says."""

    holder: str
    collection: str
    host: str
    since: str
    renewed: str

    @classmethod
    def from_json(cls, document: Any) -> _Held:
        """Return what was written; raises `TypeError` or `ValueError` if it is of another shape."""
        held = cls(**document)
        datetime.fromisoformat(held.renewed)
        return held

    @property
    def renewed_at(self) -> datetime:
        return datetime.fromisoformat(self.renewed).astimezone(UTC)


class Lease:
    """Says that a collection runs.

    Args:
        files: Where it is written down.
        collection: The collection's id.
        holder: Who runs it: a process, or all workers together that take the steps of one workflow.
        clock: Tells the time.
    """

    def __init__(self, files: Files, collection: str, holder: str, clock: Callable[[], datetime]) -> None:
        self._files = files
        self._collection = collection
        self._holder = holder
        self._clock = clock
        self._writing = asyncio.Lock()
        self._released = False

    async def take(self) -> None:
        """Take it, or renew it.

        Raises:
            CollectionRunsError: Another collection has it.
            StorageError: The collector's files cannot be used.
        """
        held = await self._read()
        now = self._clock()
        if held is not None and held.holder != self._holder and abs(now - held.renewed_at) < EXPIRES:
            raise CollectionRunsError(self._told(held))
        since = held.since if held is not None and held.holder == self._holder else now.isoformat()
        mine = _Held(self._holder, self._collection, socket.gethostname(), since, now.isoformat())
        await self._files.write_json(_NAME, asdict(mine))

    async def check(self) -> None:
        """Make sure that it is still ours, before something is changed; renew it, if that is due.

        Raises:
            CollectionRunsError: Somebody has taken it over.
            StorageError: The collector's files cannot be used.
        """
        held = await self._read()
        if held is None or held.holder != self._holder:
            told = "it was released meanwhile" if held is None else self._told(held)
            raise CollectionRunsError(f"collection {self._collection} has stopped: {told}")
        if abs(self._clock() - held.renewed_at) >= RENEWED:
            await self.take()

    async def release(self) -> None:
        """Let others take it, if it is ours."""
        async with self._writing:
            self._released = True
            held = await self._read()
            if held is not None and held.holder == self._holder:
                await self._files.store.remove(_NAME)

    @asynccontextmanager
    async def renewed(self) -> AsyncIterator[None]:
        """Renew it again and again, also while nothing is changed."""
        done = asyncio.Event()

        async def renew() -> None:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(done.wait(), RENEWED.total_seconds() / 2)
                if done.is_set():
                    return
                # Whatever goes wrong: whoever changes something finds out, and says so.
                with suppress(Exception):
                    async with self._writing:
                        if not self._released:
                            await self.check()

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            # Not cancelled at once: what it is writing would come after what is written next.
            done.set()
            await asyncio.wait([renewing], timeout=_PATIENCE)
            renewing.cancel()

    async def _read(self) -> _Held | None:
        try:
            document = await self._files.read_json(_NAME)
            return None if document is None else _Held.from_json(document)
        except (DamagedStateError, TypeError, ValueError):
            return None  # one damaged file does not keep everybody away for ever

    @staticmethod
    def _told(held: _Held) -> str:
        expires = (held.renewed_at + EXPIRES).isoformat()
        return (
            f"another collection ({held.collection}, on {held.host}, since {held.since}) is running; if it "
            f"was killed, others may begin, or go on with it, from {expires} on"
        )
