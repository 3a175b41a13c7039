"""Sweeping a part of a store: what it has is listed, and joined with the marks part by part."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_right
from collections import Counter
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.converter import StorageDriverClaim

from temporal_payloads._operate.collection.rules import Decision, Rule
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.marks import Marks, mark_of_claim
from temporal_payloads._operate.pages import pages_of
from temporal_payloads._operate.partitions import Partitions
from temporal_payloads._storage.collecting import CollectableDriver, ListedPayload
from temporal_payloads._storage.errors import StorageError, StorageMisconfiguredError, StoragePermissionError
from temporal_payloads._storage.key_layout import ParsedKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from temporal_payloads._operate.collection.aside import AsideRecords, PutAside
    from temporal_payloads._operate.collection.manifest import Manifest
    from temporal_payloads._operate.collection.rules import Action, Decider
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.throttle import Throttle
    from temporal_payloads._storage.change import Change

BATCH = 500
"""Payloads that are changed together, at most."""
CONDITIONAL: frozenset[Action] = frozenset({"put_aside", "delete"})
"""What rests on the conditions that a store must keep to."""
_REFUSALS = (StorageMisconfiguredError, StoragePermissionError)
_SOON = timedelta(minutes=1)
"""How long it may take to put a batch aside."""
_AT_A_TIME = 1000
"""Payloads that are decided on before something else may run."""
_NAMESPACES = 1000
"""Namespaces that are counted: keys come from whoever writes to the store."""
_QUIET = frozenset({Rule.NEEDED, Rule.NEEDED_BY_HASH, Rule.NOT_ASIDE})
"""What is needed is counted; the manifest says no more of it."""


class ListingTooOldError(Exception):
    """What is known of a store is no longer to be relied on."""


@dataclass
class Swept:
    """What was found in a part of a store, and done. It may be looked at while that goes on."""

    driver: str
    """The key of its table."""
    shard: str
    listed: int = 0
    size: int = 0
    """Bytes of all that were listed."""
    others: int = 0
    """Things beside them that are no payloads."""
    rules: dict[str, list[int]] = field(default_factory=dict)
    """By the name of the rule: how many payloads it kept or condemned, and their bytes."""
    actions: dict[str, list[int]] = field(default_factory=dict)
    """By action: how many payloads it was decided for, and their bytes."""
    outcomes: dict[str, dict[str, int]] = field(default_factory=dict)
    """By action and outcome: how many payloads."""
    garbage: dict[str, list[int]] = field(default_factory=dict)
    """By namespace: how many payloads nothing refers to, that are or will be put aside or deleted; bytes."""
    undeclared: dict[str, list[int]] = field(default_factory=dict)
    """By namespace: how many payloads belong to namespaces that are not declared, and their bytes."""
    aside: dict[str, list[int]] = field(default_factory=dict)
    """By the collection that put them aside: how many payloads are aside after this, and their bytes."""
    segments: list[str] = field(default_factory=list)
    """Files with records of payloads that are aside."""
    damaged: list[str] = field(default_factory=list)
    """Files with records that could not be read: what they told of counts as not recorded."""
    refused: str = ""
    """Why nothing was put aside or deleted, if the store turned out to be none for that."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Decided:
    payload: ListedPayload
    decision: Decision
    put_aside_by: str | None
    """The collection that put it aside, if it is."""


class Sweep:
    """Sweeps one part of a store.

    Args:
        driver: The key of the driver's table.
        store: The driver.
        shard: Which part.
        name: What the part's files are called by.
        rules: Decides.
        grace: How long at least payloads stay aside.
        marks: Returns those of a part, of all owners.
        actions: What may be done; everything else is only decided.
        collection: The collection's id.
        records: When payloads were put aside.
        manifest: Where decisions are written down.
        throttle: How many requests a second the store is sent.
        check: Called before each change; raises if it is not for this collection to make.
        clock: Tells the time.
        tell: Called with what was found, now and then.
        work: An empty local directory.
    """

    def __init__(
        self,
        driver: str,
        store: CollectableDriver,
        shard: str,
        *,
        name: str,
        rules: Decider,
        grace: timedelta,
        marks: MarksOfParts,
        actions: Collection[Action],
        collection: str,
        records: AsideRecords,
        manifest: Manifest,
        throttle: Throttle,
        check: Callable[[], Awaitable[None]],
        clock: Callable[[], datetime],
        work: Path,
        tell: Callable[[Swept], None] = lambda _: None,
    ) -> None:
        self._driver = driver
        self._store = store
        self._shard = shard
        self._name = name
        self._rules = rules
        self._grace = grace
        self._marks = marks
        self._actions = frozenset(actions)
        self._collection = collection
        self._records = records
        self._manifest = manifest
        self._throttle = throttle
        self._check = check
        self._clock = clock
        self._tell = tell
        self._work = work
        self._found = Swept(driver, shard)
        self._batch = throttle.within_a_second(BATCH)
        self._segments: set[str] = set()
        self._outdated: dict[bytes, tuple[str, ...]] = {}
        """Of what is to be put aside, and was before: the files that tell so."""
        self._listed_at = clock()
        self._pending: dict[Action, list[_Decided]] = {}

    async def sweep(self) -> Swept:
        """List the part of the store, decide on each payload, and do what may be done.

        Raises:
            StorageError: The store, or the collector's files, cannot be used.
            DamagedStateError: A file of the collector's is damaged.
            CollectionRunsError: Another collection has begun meanwhile.
        """
        self._listed_at = self._clock()
        listed = await self._list()
        put = await self._records.load(self._name, self._work / "aside")
        self._found.damaged = put.damaged
        for part in listed.parts:
            marks = await self._marks.of(part)
            records = put.part(part)
            for number, (mark, record) in enumerate(listed.part(part)):
                if number % _AT_A_TIME == 0:
                    await asyncio.sleep(0)  # for the heartbeats
                payload = unpacked(record)
                decision = self._rules.decide(payload, marks, records.get(mark))
                await self._note(payload, decision, records.get(mark))
            self._tell(self._found)
        for action in list(self._pending):
            await self._do(action)
        self._found.segments = sorted(self._segments)
        return self._found

    async def _list(self) -> Partitions:
        listed = Partitions(self._work / "listed")
        async with aclosing(pages_of(self._store, self._shard, wait=self._throttle.wait)) as pages:
            async for page in pages:
                for payload in page.payloads:
                    listed.add(mark_of_claim(payload.claim, payload.key.sha256), packed(payload))
                    self._found.size += payload.size
                self._found.listed += len(page.payloads)
                self._found.others += page.others
                self._tell(self._found)
        return listed

    async def _note(self, payload: ListedPayload, decision: Decision, put: PutAside | None) -> None:
        _count(self._found.rules, decision.rule.name.lower(), payload.size)
        if decision.rule in (Rule.UNREFERENCED, Rule.DUE, Rule.WAITS, Rule.NOT_RECORDED):
            self._count_namespace(self._found.garbage, payload)
        if decision.rule is Rule.NOT_DECLARED:
            self._count_namespace(self._found.undeclared, payload)
        if payload.aside and put is not None:
            self._segments.add(put.segment)
            if decision.action == "keep" or decision.action not in self._actions:
                _count(self._found.aside, put.collection, payload.size)
        if decision.action == "put_aside" and put is not None:
            mark = mark_of_claim(payload.claim, payload.key.sha256)
            self._outdated[mark] = (*put.earlier, put.segment)
        if decision.action != "keep":
            _count(self._found.actions, decision.action, payload.size)
        if decision.action in self._actions or decision.rule not in _QUIET:
            batch = self._pending.setdefault(decision.action, [])
            put_aside_by = put.collection if put is not None and payload.aside else None
            batch.append(_Decided(payload, decision, put_aside_by))
            if len(batch) >= self._batch:
                await self._do(decision.action)

    async def _do(self, action: Action) -> None:
        batch = self._pending.pop(action)
        now = self._clock()
        await self._manifest.decided(self._driver, [(one.payload, one.decision) for one in batch], now)
        if action not in self._actions or action == "keep":
            return
        payloads = [one.payload for one in batch]
        await self._throttle.wait(len(payloads))
        if self._clock() - self._listed_at > self._grace / 2:
            # Somebody may have brought one back since, and put it aside again: in some stores it is then in
            # the state in which it was listed. Within a grace nobody does.
            raise ListingTooOldError(
                f"{self._driver}: more than half of gc.grace has passed since the store was listed; go on "
                "with --resume, which lists it again. If that takes as long, raise gc.grace or "
                "gc.store_requests_per_second"
            )
        await self._check()
        changes = await self._changed(action, payloads)
        counted = Counter(self._found.outcomes.get(action, {}))
        counted.update(map(str, changes))
        self._found.outcomes[action] = dict(counted)
        for one, change in zip(batch, changes, strict=True):
            if change == "done" and action in ("put_aside", "record"):
                _count(self._found.aside, self._collection, one.payload.size)
            if change in ("refused", "unknown") and one.put_aside_by is not None:
                _count(self._found.aside, one.put_aside_by, one.payload.size)
        await self._manifest.done(action, payloads, changes, self._clock())
        self._tell(self._found)

    async def _changed(self, action: Action, payloads: Sequence[ListedPayload]) -> Sequence[Change]:
        """Change payloads, and return what came of each."""
        began, segment = self._clock(), ""
        if action in ("put_aside", "record"):
            # Before it is done: what is aside and not recorded waits a grace more.
            marks, segment = await self._record(payloads, began)
            await self._forget(marks)
        try:
            return await self._change(action, payloads)
        except StorageError as error:
            changes = error.changes or ["unknown"] * len(payloads)
            if action in CONDITIONAL and isinstance(error, _REFUSALS):
                # What needs no condition is done all the same: what is aside and needed is brought back.
                self._actions -= CONDITIONAL
                self._found.refused = error.message
                return changes
            await self._manifest.done(action, payloads, changes, self._clock())
            raise
        finally:
            if action == "put_aside" and self._clock() - began > _SOON:
                # A grace begins when the last one is aside.
                marks, _ = await self._record(payloads, self._clock())
                await self._records.forget(segment, set(marks))

    async def _record(self, payloads: Sequence[ListedPayload], time: datetime) -> tuple[list[bytes], str]:
        """Record since when payloads are aside; return the marks of their claims, and which file says so."""
        marks = [mark_of_claim(payload.claim, payload.key.sha256) for payload in payloads]
        segment = await self._records.add(self._collection, self._name, marks, time)
        self._segments.add(segment)
        return marks, segment

    async def _forget(self, marks: Sequence[bytes]) -> None:
        outdated: dict[str, set[bytes]] = {}
        for mark in marks:
            for segment in self._outdated.pop(mark, ()):
                outdated.setdefault(segment, set()).add(mark)
        for segment, gone in outdated.items():
            await self._records.forget(segment, gone)

    async def _change(self, action: Action, payloads: Sequence[ListedPayload]) -> Sequence[Change]:
        match action:
            case "put_aside":
                return await self._store.put_aside(payloads, grace=self._grace)
            case "restore":
                return await self._store.restore(payloads)
            case "delete":
                return await self._store.delete(payloads)
            case _:
                return ["done"] * len(payloads)

    def _count_namespace(self, counts: dict[str, list[int]], payload: ListedPayload) -> None:
        name = payload.key.namespace or ""
        if name not in counts and len(counts) >= _NAMESPACES:
            name = "..."
        _count(counts, name, payload.size)


class MarksOfParts:
    """The marks that a collection has written, part by part, in order.

    Args:
        files: Where they are.
        folders: Those of all owners, and the first parts of the files with marks in them.
    """

    def __init__(self, files: Files, folders: Mapping[str, Sequence[int]]) -> None:
        self._files = files
        self._folders = folders
        self._read_last: dict[str, tuple[int, Marks]] = {}

    async def of(self, part: int) -> list[Marks]:
        """Return the marks of a part, and maybe of others.

        Raises:
            DamagedStateError: Some are not where they were written.
        """
        found = [await self._chunk(folder, part) for folder in self._folders]
        return [marks for marks in found if marks is not None]

    async def _chunk(self, folder: str, part: int) -> Marks | None:
        chunks = self._folders[folder]
        before = bisect_right(chunks, part)
        if not before:
            return None
        first = chunks[before - 1]
        known = self._read_last.get(folder)
        if known is None or known[0] != first:
            known = self._read_last[folder] = (first, await self._read(f"{folder}/{first:02x}"))
        return known[1]

    async def open_runs(self) -> list[Marks]:
        """Return what tells that runs are open; raises as `of` does."""
        return [await self._read(f"{folder}/open") for folder in self._folders]

    async def _read(self, name: str) -> Marks:
        data = await self._files.read_bytes(name)
        if data is None:
            # Not no marks: that would make everything garbage.
            raise DamagedStateError(
                f"The collector's file {name} is gone. Was the collection finished by somebody else, or does "
                "gc.state name a directory that is not the same everywhere?"
            )
        return Marks(data)


def _count(counts: dict[str, list[int]], name: str, size: int) -> None:
    count = counts.setdefault(name, [0, 0])
    count[0] += 1
    count[1] += size


def packed(payload: ListedPayload) -> bytes:
    """Return a listed payload as bytes."""
    key = payload.key
    stored = None if payload.stored is None else (payload.stored - _EPOCH) // timedelta(microseconds=1)
    return json.dumps(
        [
            dict(payload.claim.claim_data),
            [key.namespace, key.sha256, key.kind, key.id, key.run_id],
            payload.size,
            payload.tag,
            stored,
            payload.aside,
        ],
        separators=(",", ":"),
    ).encode()


def unpacked(data: bytes) -> ListedPayload:
    """Return what `packed` made."""
    claim, (namespace, sha256, kind, id_, run_id), size, tag, stored, aside = json.loads(data)
    return ListedPayload(
        claim=StorageDriverClaim(claim_data=claim),
        key=ParsedKey(namespace=namespace, sha256=sha256, kind=kind, id=id_, run_id=run_id),
        size=size,
        tag=tag,
        stored=None if stored is None else _EPOCH + timedelta(microseconds=stored),
        aside=aside,
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
