"""A collection, step by step: begin, mark each namespace, sweep each part of each store, finish.

Each step can be taken by another process, and again: what it has found lies in the collector's files, and
every change to a store is made on a condition. So whoever is interrupted goes on. One collection runs at a
time: see `Lease`.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._operate.collection.adopting import adopt
from temporal_payloads._operate.collection.aside import AsideRecords, collection_of
from temporal_payloads._operate.collection.lease import Lease
from temporal_payloads._operate.collection.ledger import CannotResumeError, Ledger, Refused, is_past_finishing
from temporal_payloads._operate.collection.manifest import Manifest
from temporal_payloads._operate.collection.marked import Marked
from temporal_payloads._operate.collection.marking import Marking
from temporal_payloads._operate.collection.owners import Owner, told_apart
from temporal_payloads._operate.collection.reading import Reading
from temporal_payloads._operate.collection.report import (
    ACTIONS,
    Collection,
    Report,
    merged,
    why_incomplete,
)
from temporal_payloads._operate.collection.rules import Rules, Undo
from temporal_payloads._operate.collection.schedules import Uncertain
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.collection.sweeping import CONDITIONAL, MarksOfParts, Sweep, Swept
from temporal_payloads._operate.collection.telling import event_of
from temporal_payloads._operate.throttle import Throttle
from temporal_payloads._storage.errors import (
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from temporal_payloads._operate.collection.ledger import Shard
    from temporal_payloads._operate.collection.namespace import Namespace
    from temporal_payloads._operate.collection.report import Purpose
    from temporal_payloads._operate.collection.rules import Decider
    from temporal_payloads._operate.collection.stores import Stores
    from temporal_payloads._plugins.events import CollectionEvent
    from temporal_payloads._settings.collection import CollectionSettings

AT_ONCE = 4
"""Namespaces that are marked, and parts of stores that are swept, at the same time."""

_NAMED = 5
"""Collections that are named where one is asked for that there is not."""


class NoSuchCollectionError(Exception):
    """There never was the collection that is to be undone."""


class Collector:
    """Takes the steps of collections.

    Args:
        stores: The stores of the settings, open.
        namespaces: Those whose payloads they have, each as its server tells of it; only `undo` needs none.
        settings: `[gc]`.
        clock: Tells the time.
        tell: Called with what was found, now and then: for progress.
        work: A local directory for what does not fit into memory; by default a temporary one.
    """

    def __init__(
        self,
        stores: Stores,
        namespaces: Sequence[Namespace],
        settings: CollectionSettings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tell: Callable[[Marked | Swept], None] = lambda _: None,
        work: Path | None = None,
    ) -> None:
        self._stores = stores
        self._files = stores.files
        self.ledger = Ledger(stores.files)
        self._namespaces = namespaces
        self._owners: dict[str, dict[str, Namespace | None]] = {}
        """By collection: the namespaces by the keys of their owners; none of what is brought back."""
        self._leases: dict[str, Lease] = {}
        """By collection."""
        self._settings = settings
        self._clock = clock
        self._tell = tell
        self._work = work
        self._throttles = {key: Throttle(settings.store_requests_per_second) for key in stores.collectable}

    async def collect(self, purpose: Purpose, *, resume: bool = False, undo_of: str | None = None) -> Report:
        """Take all steps, a few at a time.

        Args:
            purpose: What for.
            resume: Go on with the latest collection for this purpose that was not finished.
            undo_of: Of `undo`: the id of the collection whose payloads are brought back.

        Raises:
            CannotResumeError: There is none to go on with, or not with these settings.
            NoSuchCollectionError: There never was the one that is to be undone.
            CollectionRunsError: Another one runs.
            StorageError: A store, or the collector's files, cannot be used.
            DamagedStateError: A file of the collector's is damaged.
        """
        # Of this process alone: another one that resumes the same collection is another one.
        holder = secrets.token_hex(8)
        try:
            begin = self.resume if resume else self.begin
            collection = await begin(purpose, undo_of=undo_of, holder=holder)
            async with self.renewing(collection):
                await gather_bounded(partial(self.mark, collection), self.to_mark(collection), AT_ONCE)
                await gather_bounded(partial(self.sweep, collection), await self.shards(collection), AT_ONCE)
                return await self.finish(collection)
        except BaseException:
            with suppress(StorageError):
                await Lease(self._files, "", holder, self._clock).release()
            raise

    async def begin(
        self, purpose: Purpose, *, undo_of: str | None = None, token: str = "", holder: str | None = None
    ) -> Collection:
        """Begin a collection.

        Args:
            purpose: What for.
            undo_of: Of `undo`: the id of the collection whose payloads are brought back.
            token: What tells this beginning from others: with the same one the same collection is begun.
            holder: Who takes its steps; by default all together that do so by its id.

        Raises:
            NoSuchCollectionError: There never was the one that is to be undone.
            CollectionRunsError: Another one runs.
        """
        token = hashlib.sha256(token.encode()).hexdigest()[:12] if token else secrets.token_hex(6)
        known = await self.ledger.begun()
        if undo_of is not None and undo_of not in known:
            latest = ", ".join(known[: -_NAMED - 1 : -1]) or "none"
            raise NoSuchCollectionError(f"there was no collection {undo_of}; the latest are: {latest}")
        for earlier in known:
            if earlier.endswith(f"-{token}"):
                return await self.as_begun(earlier, holder=holder)
        owners = await self._ask_owners(purpose)
        began = self._clock()
        # In the order in which they began, also within a second.
        collection_id = f"{began:%Y%m%dT%H%M%S}.{began.microsecond // 1000:03}Z-{token}"
        await self._take_lease(collection_id, holder)
        collection = Collection(
            id=collection_id,
            purpose=purpose,
            began=began,
            grace=self._settings.grace,
            owners=tuple(owners),
            without_namespace=self._settings.without_namespace,
            stores=self._fingerprints,
            segments=tuple(await self._files.store.names("aside/")),
            undo_of=undo_of,
        )
        await self.ledger.remove_old_steps(collection)
        await self.ledger.begin(collection)
        self._owners[collection.id] = {owner.key: namespace for owner, namespace in owners.items()}
        return collection

    async def resume(
        self, purpose: Purpose, *, undo_of: str | None = None, holder: str | None = None
    ) -> Collection:
        """Return the latest collection for this purpose that was not finished.

        Args:
            purpose: What for.
            undo_of: Of `undo`: the id of the collection whose payloads it must bring back; None for any.
            holder: Who takes its steps; by default all together that do so by its id.

        Raises:
            CannotResumeError: There is none, or it was begun with other settings, or to undo another one.
            CollectionRunsError: It runs, or another one does.
        """
        for earlier in reversed(await self.ledger.begun()):
            collection = await self.ledger.collection(earlier)
            if collection.purpose != purpose:
                continue
            if await self.ledger.report(collection.id) is not None:
                break
            if undo_of not in (None, collection.undo_of):
                raise CannotResumeError(
                    f"collection {collection.id}, which was interrupted, undoes "
                    f"{collection.undo_of or 'all'}, not {undo_of}; begin a new one"
                )
            return await self.as_begun(collection.id, holder=holder)
        raise CannotResumeError(f"no collection for {purpose} was interrupted; begin a new one")

    async def as_begun(self, collection_id: str, *, holder: str | None = None) -> Collection:
        """Return a collection that was begun, to go on with.

        Args:
            collection_id: Its id.
            holder: Who takes its steps; by default all together that do so by its id.

        Raises:
            CannotResumeError: There is none of this id, or it was begun with other settings.
            CollectionRunsError: It runs, or another one does.
        """
        collection = await self.ledger.collection(collection_id)
        if collection.id not in self._owners:
            owners = await self._ask_owners(collection.purpose)
            self._owners[collection.id] = {owner.key: namespace for owner, namespace in owners.items()}
        # Not the retention: that is told by when it was begun.
        as_now = replace(
            collection,
            grace=self._settings.grace,
            without_namespace=self._settings.without_namespace,
            stores=self._fingerprints,
        )
        owners_begun = {owner.key for owner in collection.owners}
        if as_now != collection or owners_begun != set(self._owners[collection.id]):
            raise CannotResumeError(
                f"collection {collection.id} was begun with other settings (owners, stores, codecs or "
                "grace); begin a new one"
            )
        await self._take_lease(collection_id, holder)
        return collection

    def renewing(self, collection: Collection) -> AbstractAsyncContextManager[None]:
        """Tell others, for as long as a step takes, that the collection runs."""
        return self._leases[collection.id].renewed()

    async def _take_lease(self, collection_id: str, holder: str | None) -> None:
        lease = Lease(self._files, collection_id, holder or collection_id.rpartition("-")[2], self._clock)
        await lease.take()
        self._leases[collection_id] = lease

    async def _ask_owners(self, purpose: Purpose) -> dict[Owner, Namespace | None]:
        if purpose == "undo":
            # It reads no history: no server needs to be there.
            names = (name for table in self._settings.owners for name in table.namespaces)
            return {Owner(name, "", timedelta(0), cluster="", address=""): None for name in names}
        owners = told_apart([await namespace.owner() for namespace in self._namespaces])
        return dict(zip(owners, self._namespaces, strict=True))

    @property
    def _fingerprints(self) -> dict[str, str]:
        return {**self._stores.fingerprints, "": self._stores.codecs}

    # -- marks

    def to_mark(self, collection: Collection) -> list[str]:
        """Return the keys of the owners to mark. What is brought back needs no marks."""
        return [] if collection.purpose == "undo" else [owner.key for owner in collection.owners]

    async def mark(self, collection: Collection, owner_key: str) -> Marked:
        """Mark what a namespace needs; not again, if it was done before and nothing was missed.

        Raises:
            CollectionRunsError: Another collection has begun meanwhile.
            StorageError: The collector's files cannot be used.
        """
        marked = await self.ledger.marked(collection, owner_key)
        if marked is not None and marked.complete:
            return marked
        namespace = self._owners[collection.id][owner_key]
        assert namespace is not None, "what is brought back needs no marks"
        owners = {one.key: one for one in collection.owners}
        await adopt(self._files, owners[owner_key], owners.keys())
        with self._working() as work:
            marking = Marking(self._stores.claims, work)
            reading = Reading(
                namespace,
                needed=marking,
                owner=owner_key,
                files=self._files,
                work=work,
                codecs=self._stores.codecs,
                begun=collection.began,
                grace=collection.grace,
                check=self._leases[collection.id].check,
                clock=self._clock,
                tell=self._tell,
            )
            marked = await reading.read()
            # Of this attempt: another one may be on its way, cut off from all but the store.
            folder = f"{self.ledger.folder_of_marks(collection, owner_key)}/{secrets.token_hex(8)}"
            await marking.write(self._files, folder, marked)
        other = await self.ledger.marked(collection, owner_key)
        if other is not None and other.complete:
            return other  # an attempt that took no longer; what it has marked is all that the sweep reads
        # From now on the marks of this attempt count: all of them lie there.
        await self.ledger.note_marked(collection, owner_key, marked)
        return marked

    async def _marked(self, collection: Collection) -> list[Marked]:
        """Return what was marked."""
        found = [await self.ledger.marked(collection, key) for key in self.to_mark(collection)]
        return [marked for marked in found if marked is not None]

    # -- sweeping

    async def shards(self, collection: Collection) -> list[Shard]:
        """Return the parts of the stores to sweep.

        Also of one that does not keep to its conditions: what is aside there and needed is brought back.

        Raises:
            StorageError: A store cannot be used.
        """
        shards: list[Shard] = []
        refused: dict[str, Refused] = {}
        namespaces = dict.fromkeys(
            owner.namespace
            for one in (collection, *await self._have_put_aside(collection))
            for owner in one.owners
        )
        names = [*namespaces, None]
        for key, store in self._stores.collectable.items():
            why = await self._why_refused(collection, key, names)
            if why is not None:
                refused[key] = why
            shards += [(key, shard) for shard in store.shards(names)]
        await self.ledger.note_refused(collection, refused)
        return shards

    async def _why_refused(
        self, collection: Collection, key: str, namespaces: Sequence[str | None]
    ) -> Refused | None:
        if ACTIONS[collection.purpose] & CONDITIONAL:
            try:
                await self._stores.collectable[key].probe()
            except (StorageMisconfiguredError, StoragePermissionError) as error:
                return Refused(error.message, sorted(CONDITIONAL))
        if "put_aside" in ACTIONS[collection.purpose]:
            why = await self._would_end_workflows(key, namespaces)
            if why is not None:
                return Refused(why, ["put_aside"])
        return None

    async def _would_end_workflows(self, key: str, namespaces: Sequence[str | None]) -> str | None:
        """Return why nothing may be put aside, if a workflow that needs it all the same would end of it."""
        tables = self._stores.final_tables[key]
        if not tables or not await self._stores.collectable[key].aside_looks_missing(namespaces):
            return None
        settings = " and ".join(f"storage.drivers.{table}.missing_payload" for table in tables)
        return (
            "what is put aside looks missing in this store, which keeps versions, and a missing payload ends "
            f'workflows: set {settings} to "retry" for all that read from it'
        )

    async def _have_put_aside(self, collection: Collection) -> list[Collection]:
        """Return the collections of which something may be aside yet: maybe of other namespaces."""
        found: list[Collection] = []
        for earlier in sorted({collection_of(segment) for segment in collection.segments}):
            try:
                found.append(await self.ledger.collection(earlier))
            except (CannotResumeError, DamagedStateError):
                # Then what they have put aside, of namespaces that are declared no more, stays aside.
                continue
        return found

    async def sweep(self, collection: Collection, shard: Shard) -> Swept:
        """Sweep a part of a store; not again, if it was done before.

        Raises:
            CollectionRunsError: Another collection has begun meanwhile.
            StorageError: The store, or the collector's files, cannot be used.
            DamagedStateError: A file of the collector's is damaged.
        """
        key, part = shard
        swept = await self.ledger.swept(collection, shard)
        if swept is not None:
            return swept
        marked = await self._marked(collection)
        refused = (await self.ledger.refused(collection)).get(key)
        marks = MarksOfParts(self._files, {one.folder: one.chunks for one in marked})
        with self._working() as work:
            sweep = Sweep(
                key,
                self._stores.collectable[key],
                part,
                name=self.ledger.name_of_part(part),
                rules=await self._rules(collection, marked, marks),
                grace=collection.grace,
                marks=marks,
                actions=ACTIONS[collection.purpose] - set(refused.actions if refused else ()),
                collection=collection.id,
                records=self._records(key),
                manifest=Manifest(self._files, collection.id),
                throttle=self._throttles[key],
                check=self._leases[collection.id].check,
                clock=self._clock,
                work=work,
                tell=self._tell,
            )
            swept = await sweep.sweep()
        other = await self.ledger.swept(collection, shard)
        if other is not None:
            return other  # as of marks: what an attempt has told is not replaced
        await self.ledger.note_swept(collection, shard, swept)
        return swept

    async def _rules(self, collection: Collection, marked: list[Marked], marks: MarksOfParts) -> Decider:
        namespaces = frozenset(owner.namespace for owner in collection.owners)
        if collection.purpose == "undo":
            return Undo(namespaces, collection.without_namespace, collection.undo_of)
        uncertain: dict[str, Uncertain] = {}
        for one in marked:
            uncertain[one.namespace] = uncertain.get(one.namespace, Uncertain()) | one.uncertain
        return Rules(
            begun=collection.began,
            grace=collection.grace,
            complete=not why_incomplete(collection, marked),
            namespaces=namespaces,
            without_namespace=collection.without_namespace,
            open_runs=await marks.open_runs(),
            uncertain=uncertain,
        )

    # -- the end

    async def finish(self, collection: Collection) -> Report:
        """Write down what came of a collection, and remove what it needs no more.

        Raises:
            CollectionRunsError: Another collection has begun meanwhile.
        """
        lease = self._leases[collection.id]
        await lease.check()
        events: list[CollectionEvent] = []
        report = await self.ledger.report(collection.id)
        if report is None:
            report, events = await self._write_report(collection)
        await self.ledger.remove_steps(collection)
        await lease.release()
        for event in events:
            # Last of all: what an observer does with it is its own affair.
            self._stores.notify(event)
        return report

    async def _write_report(self, collection: Collection) -> tuple[Report, list[CollectionEvent]]:
        marked = await self._marked(collection)
        report = Report(collection.id, collection.purpose, collection.began.isoformat())
        report.namespaces = [one.as_json() for one in marked]
        report.incomplete = [] if collection.purpose == "undo" else why_incomplete(collection, marked)
        report.complete = not report.incomplete
        report.refused = {**self._stores.refused}
        report.refused |= {key: one.why for key, one in (await self.ledger.refused(collection)).items()}
        swept_of: dict[str, Swept] = {}
        for key in self._stores.collectable:
            parts = await self.ledger.all_swept(collection, key)
            if parts:
                swept = swept_of[key] = merged(parts)
                report.stores[key] = swept.as_json()
                if swept.refused:
                    report.refused.setdefault(key, swept.refused)
                if ACTIONS[collection.purpose]:
                    await self._remove_old_records(collection, key, swept)
                for name in ("segments", "refused"):
                    del report.stores[key][name]
        ended = self._clock()
        report.ended = ended.isoformat()
        await self.ledger.finish(report)
        complete = report.complete and collection.purpose != "undo"
        events = [
            event_of(self._stores.names[key], swept, complete=complete, began=collection.began, ended=ended)
            for key, swept in swept_of.items()
        ]
        return report, events

    async def _remove_old_records(self, collection: Collection, key: str, swept: Swept) -> None:
        prefix = f"aside/{self._store_name(key)}/"
        old = {name for name in collection.segments if name.startswith(prefix)} - set(swept.segments)
        ended = await self.ledger.finished()
        # One that has not ended may be about to put aside what it has recorded.
        unneeded = [
            name
            for name in sorted(old)
            if collection_of(name) in ended or is_past_finishing(collection_of(name), collection)
        ]
        await self._records(key).remove(unneeded)

    # -- names

    def _records(self, key: str) -> AsideRecords:
        return AsideRecords(self._files, self._store_name(key))

    def _store_name(self, key: str) -> str:
        # Another store under the same table has records of its own.
        return self._stores.fingerprints[key][:16]

    @contextmanager
    def _working(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._work, prefix="temporal-payloads-gc-") as work:
            yield Path(work)
