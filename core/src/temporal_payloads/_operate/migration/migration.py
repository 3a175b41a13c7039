"""A migration: what is needed is read from the histories, then copied; or looked for in the destination."""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import aclosing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from temporalio.service import RPCError

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._operate.collection.reading import Reading
from temporal_payloads._operate.collection.rules import NULL, may_be_last_result
from temporal_payloads._operate.collection.schedules import Uncertain
from temporal_payloads._operate.migration.copying import PAUSES, Copier
from temporal_payloads._operate.migration.done import Done
from temporal_payloads._operate.migration.move import MoveRefusedError
from temporal_payloads._operate.migration.report import WELL, Report
from temporal_payloads._operate.migration.wanted import Wanted
from temporal_payloads._operate.namespaces import namespaces_of_settings
from temporal_payloads._operate.pages import pages_of
from temporal_payloads._operate.recorded import ConfinedReferences
from temporal_payloads._operate.room import Room
from temporal_payloads._operate.throttle import Throttle
from temporal_payloads._storage.collecting import CollectableDriver

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        Awaitable,
        Callable,
        Iterator,
        Mapping,
        Sequence,
    )

    from temporal_payloads._build.assembly import Assembly
    from temporal_payloads._operate.collection.marked import Marked
    from temporal_payloads._operate.collection.namespace import Namespace
    from temporal_payloads._operate.collection.stores import Stores
    from temporal_payloads._operate.migration.copying import Came
    from temporal_payloads._operate.migration.move import Move
    from temporal_payloads._operate.migration.wanted import WantedPayload
    from temporal_payloads._storage.collecting import ListedPayload
    from temporal_payloads._storage.managed_driver import ManagedDriver

IN_HAND = 512
"""Payloads after which it is written down that they are done."""
ROOM = 128 * 1024 * 1024
"""Bytes of payloads that are in hand at the same time, by what their references say."""
_AT_LEAST = 256 * 1024
"""Bytes that are taken for the size of a payload of which nothing says how large it is."""
_COPIES = 3
"""How often a payload stands in memory while it is copied: as read, as written, and as verified."""


class Migration:
    """Moves payloads, or proves that they are moved.

    Args:
        assembly: What the settings describe; without a cache.
        stores: Its stores, open.
        move: From where to where.
        namespaces: Those whose histories are read, by what tells each from others (`Owner.key`).
        listed: Names of further namespaces whose payloads are listed, where the source's store is listed.
        requests_per_second: Requests a second that the stores together are sent at most; None for no limit.
        bytes_per_second: Bytes a second that are read and written at most; None for no limit.
        clock: Tells the time.
        work: A local directory for what does not fit into memory; by default a temporary one.
        pauses: Seconds between the tries of a store that is out of reach.
    """

    def __init__(
        self,
        assembly: Assembly,
        stores: Stores,
        move: Move,
        namespaces: Mapping[str, Namespace],
        *,
        listed: Sequence[str] = (),
        requests_per_second: float | None = None,
        bytes_per_second: float | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        work: Path | None = None,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._assembly = assembly
        self._stores = stores
        self._move = move
        self._namespaces = namespaces
        self._names = list(dict.fromkeys([*(each.name for each in namespaces.values()), *listed]))
        self._clock = clock
        self._work = work
        self._requests = Throttle(requests_per_second)
        self._copier = Copier(
            move,
            timeout=assembly.settings.storage.timeout,
            requests=self._requests,
            bandwidth=Throttle(bytes_per_second),
            pauses=pauses,
        )
        self._done = Done(stores.files, f"migrations/{_name(move)}")
        self._room = Room(ROOM)
        self.report = Report(move.source_key, move.destination_key, namespaces=self._names)
        """What was done up to now."""

    async def copy(self, *, everything: bool = False) -> Report:
        """Copy what is not in the destination yet. What an earlier run has copied is not looked at again.

        Args:
            everything: Copy what the source's store lists of the namespaces, and read no histories.

        Raises:
            MoveRefusedError: The source cannot be listed, or the destination has no place for some payloads;
                nothing was copied.
            StorageError: A store cannot be used. What was copied until then is not copied again.
        """
        await self._move.require_places()
        self.report.everything = everything
        with self._gathered() as wanted:
            await self._gather(wanted, everything=everything, verifies=False)
            await self._require_places(wanted)
            self._begin("copying", wanted)
            await self._done.fold()
            async with aclosing(self._batches(wanted, skips_done=True)) as batches:
                async for batch in batches:
                    await self._take(batch, self._copier.copy)
            await self._done.fold()
            self._end(wanted)
        return self.report

    async def verify(self, *, everything: bool = False) -> Report:
        """Read from the destination all that is needed, and compare each payload's bytes with their hash.

        What is not there, or not right, is copied again by the next `copy`.

        Args:
            everything: Verify what the source's store lists of the namespaces, and read no histories.

        Raises:
            MoveRefusedError: The source cannot be listed.
            StorageError: A store cannot be used.
        """
        await self._move.require_places()
        self.report.everything = everything
        if not self._move.is_configured:
            source, destination = self._move.source_key, self._move.destination_key
            self.report.findings.append(
                f"storage.drivers.{source}.moved_to is not {destination!r}: its payloads are read from its "
                "own store"
            )
        with self._gathered() as wanted:
            await self._gather(wanted, everything=everything, verifies=True)
            self._begin("verifying", wanted)
            async with aclosing(self._batches(wanted, skips_done=False)) as batches:
                async for batch in batches:
                    await self._take(batch, self._copier.verify)
            await self._tell_other_namespaces()
            self._end(wanted)
        return self.report

    # -- what is needed

    async def _gather(self, wanted: Wanted, *, everything: bool, verifies: bool) -> None:
        if everything:
            why = await self._list(self._move.source_key, self._move.source, wanted.add_listed)
            if why is not None:
                raise MoveRefusedError(why)
            return
        uncertain: dict[str, Uncertain] = {}
        for owner, namespace in self._namespaces.items():
            marked = await self._read(wanted, owner, namespace)
            if marked.uncertain:
                uncertain[namespace.name] = uncertain.get(namespace.name, Uncertain()) | marked.uncertain
        if wanted.doubts or uncertain:
            await self._resolve_doubts(wanted, uncertain, verifies=verifies)

    async def _resolve_doubts(
        self, wanted: Wanted, uncertain: Mapping[str, Uncertain], *, verifies: bool
    ) -> None:
        """Look in the stores' lists for what may be needed.

        Of a hash alone nothing tells under which key its payload lies, and the last result of a schedule,
        whose run is deleted, is shown by nothing.
        """

        def note(payload: ListedPayload) -> None:
            key = payload.key
            namespaces = uncertain if key.namespace is None else (key.namespace,)
            if any(may_be_last_result(key, uncertain.get(each, Uncertain())) for each in namespaces):
                wanted.add_listed(payload)
            else:
                wanted.note_listed(payload)

        before, source, destination = wanted.found, self._move.source_key, self._move.destination_key
        why = await self._list(source, self._move.source, note)
        if verifies and (why is not None or wanted.rejected):
            # What the source cannot be asked for, or has under no key that its table leads to, may be there.
            await self._list(destination, self._move.destination, wanted.note_there)
        wanted.join()
        self.report.in_doubt = wanted.found - before
        if why is not None:
            # One whose action is not known counts as one.
            self._tell_doubts(wanted, sum(len(one.actions) or 1 for one in uncertain.values()), why)
        if verifies and (lost := wanted.rejected_not_listed):
            self.report.findings.append(
                f"references that no driver follows lead to {lost:,} payloads that neither {source} nor "
                f"{destination} lists: is the table [storage.drivers.{source}] right?"
            )

    def _tell_doubts(self, wanted: Wanted, uncertain: int, why: str) -> None:
        """Tell what may be needed and was not found, since the source could not be listed."""
        for what, count in (
            ("hashes of payloads that may be needed and were not found", wanted.doubts_not_listed),
            ("schedules whose last results may be needed and cannot be told", uncertain),
        ):
            if count:
                self.report.gaps.append(_gap(None, what, why, count))

    async def _read(self, wanted: Wanted, owner: str, namespace: Namespace) -> Marked:
        before, read_before = self.report.runs, self.report.runs_read

        def tell(marked: Marked) -> None:
            self.report.runs = before + marked.listed
            self.report.runs_read = read_before + marked.read
            self.report.references = wanted.found

        with self._working() as work:
            reading = Reading(
                namespace,
                needed=wanted,
                owner=owner,
                files=self._stores.files,
                work=work,
                codecs=self._stores.codecs,
                begun=self._clock(),
                grace=self._assembly.settings.gc.grace,
                clock=self._clock,
                tell=tell,
            )
            marked = await reading.read()
        tell(marked)
        self.report.gaps += [{"namespace": namespace.name, **gap} for gap in marked.gaps]
        return marked

    async def _list(
        self, key: str, listed: ManagedDriver, note: Callable[[ListedPayload], None]
    ) -> str | None:
        """List a driver's store; return why it cannot be."""
        self.report.phase = "listing"
        if listed.off:
            return f"storage.drivers.{key} is off, and cannot be listed"
        async with listed.opened() as driver:
            if not isinstance(driver, CollectableDriver):
                return f"the driver of storage.drivers.{key} cannot list what it has stored"
            for shard in driver.shards([*self._names, None]):
                async with aclosing(pages_of(driver, shard, wait=self._requests.wait)) as pages:
                    async for page in pages:
                        for payload in page.payloads:
                            note(payload)
        return None

    async def _tell_other_namespaces(self) -> None:
        """Tell of which namespaces the source has payloads though nobody has asked what is needed of them."""
        if self._move.source.off:
            return
        others = set(namespaces_of_settings(self._assembly.settings))
        for each in self._namespaces.values():
            try:
                others.update(await each.neighbours())
            except RPCError as error:
                what = "namespaces of the same server, which may need payloads, too"
                self.report.gaps.append(_gap(each.name, what, f"they could not be listed: {error.message}"))
        asked = {None, NULL, *self._names}
        found: set[str] = set()
        async with self._move.source.opened() as driver:
            if not isinstance(driver, CollectableDriver):
                return
            # Of one that lists every namespace in one part, whichever are asked for, it is that part.
            for shard in driver.shards(sorted(others.difference(self._names))):
                async with aclosing(pages_of(driver, shard, wait=self._requests.wait)) as pages:
                    async for page in pages:
                        new = {one.key.namespace for one in page.payloads} - asked
                        found |= {name for name in new if name is not None}
                        if new:
                            break
        for name in sorted(found):
            what = "payloads, and nobody asked which of them it needs"
            self.report.gaps.append(_gap(name, what, f"{self._move.source_key} lists them: name it, too"))

    async def _require_places(self, wanted: Wanted) -> None:
        if not wanted.without_namespace:
            return
        why = await self._move.has_place_without_namespace()
        if why is not None:
            raise MoveRefusedError(
                f"{wanted.without_namespace:,} references lead to payloads without a namespace, and "
                f"storage.drivers.{self._move.destination_key} has no place for those: {why}. Nothing "
                "was copied"
            )

    # -- one after the other

    async def _batches(
        self, wanted: Wanted, *, skips_done: bool
    ) -> AsyncGenerator[list[WantedPayload], None]:
        batch: list[WantedPayload] = []
        for part in wanted.parts:
            done = await self._done.of_part(part) if skips_done else ()
            for payload in wanted.part(part):
                if payload.key in done:
                    self.report.note(payload, "done", 0, "")
                    continue
                batch.append(payload)
                if len(batch) >= IN_HAND:
                    yield batch
                    batch = []
        if batch:
            yield batch

    async def _take(
        self, batch: Sequence[WantedPayload], work: Callable[[WantedPayload], Awaitable[Came]]
    ) -> None:
        well: list[bytes] = []
        lost: list[bytes] = []

        async def one(payload: WantedPayload) -> None:
            async with self._room.taken(max(payload.size, _AT_LEAST) * _COPIES):
                came = await work(payload)
            self.report.note(payload, came.outcome, came.size, came.why)
            (well if came.outcome in WELL else lost).append(payload.key)

        try:
            await gather_bounded(one, batch, limit=self._assembly.settings.storage.concurrency)
        except BaseException:
            # What is done is done, also if its store is down and cannot be told so.
            with suppress(Exception):
                await self._done.add(well)
            raise
        await self._done.add(well)
        if lost:
            await self._done.remove(lost)

    def _begin(self, phase: Literal["copying", "verifying"], wanted: Wanted) -> None:
        self.report.phase = phase
        self.report.expected = wanted.found

    def _end(self, wanted: Wanted) -> None:
        self.report.rejected = wanted.rejected
        self.report.references = wanted.found
        self.report.phase = "ended"

    # -- local files

    @contextmanager
    def _gathered(self) -> Iterator[Wanted]:
        external = self._assembly.converter.external_storage
        references = ConfinedReferences(external.drivers if external else ())
        with self._working() as work:
            yield Wanted(work, self._move, self._assembly.drivers, references)

    @contextmanager
    def _working(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._work, prefix="temporal-payloads-migrate-") as work:
            yield Path(work)


def _gap(namespace: str | None, what: str, why: str, count: int | None = None) -> dict[str, Any]:
    return {"namespace": namespace, "what": what, "count": count, "why": why, "example": None}


def _name(move: Move) -> str:
    """Return what tells a migration from those between other stores."""
    stores = f"{move.source.fingerprint}\n{move.destination.fingerprint}"
    return hashlib.sha256(stores.encode()).hexdigest()[:16]
