"""Marks of one namespace: of everything in it that is listed, and of what was there a short while ago."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio.service import RPCError, RPCStatusCode

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._operate.collection.kept import KeptRun, KeptRuns, as_time, gone_since, key_of
from temporal_payloads._operate.collection.owners import owner_of
from temporal_payloads._operate.collection.schedules import (
    ScheduleNow,
    ScheduleRecord,
    ScheduleRecords,
    describe,
    left,
    updated,
)
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.gaps import Gaps
from temporal_payloads._operate.holders import (
    Holder,
    held_by,
    in_divisions,
    run_of,
    schedules,
    workflows,
)
from temporal_payloads._operate.marks import PARTS, WIDTH, mark_of_hash, mark_of_open_run
from temporal_payloads._operate.namespaces import namespaces_of_server
from temporal_payloads._operate.needs import Needs, needs_of
from temporal_payloads._operate.partitions import Partitions
from temporal_payloads._storage.errors import UnknownDriverError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from pathlib import Path

    from temporalio.client import Client

    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._operate.collection.claims import Claims
    from temporal_payloads._operate.collection.owners import Owner
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.recorded import RecordedReference

_NOT_TOLD = (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED, RPCStatusCode.UNIMPLEMENTED)
"""How servers answer that do not list their namespaces for everybody."""
READ_AT_ONCE = 8
"""Histories that are read at the same time: frontends limit the calls of a namespace."""
_NOT_TO_BE_RELIED_ON = -1
"""Events of a run that was read with other codecs: no run that is listed has so many."""
_CHUNK = 1024 * 1024
"""Bytes of marks from which on a file is written: small namespaces have one."""
_IN_HAND = 4096
"""Runs whose segments are in memory at the same time, about."""


async def _nobody_else() -> None:
    """Raise nothing: nobody else keeps what is read."""


class Namespace:
    """A namespace, as its server tells of it.

    Args:
        client: Of the namespace. Its data converter is not used.
        chain: Decodes references that have been through codecs.
        profile: That of Temporal's client configuration by which it is connected.
    """

    def __init__(self, client: Client, chain: CodecChain, profile: str | None = None) -> None:
        self._client = client
        self._chain = chain
        self._profile = profile

    async def owner(self) -> Owner:
        """Return what its server tells about itself."""
        return await owner_of(self._client, self._profile)

    @property
    def name(self) -> str:
        """The namespace."""
        return self._client.namespace

    async def neighbours(self) -> list[str]:
        """Return the namespaces of its server; only itself if this credential may not list them.

        Raises:
            RPCError: The server cannot be asked.
        """
        try:
            return await namespaces_of_server(self._client)
        except RPCError as error:
            if error.status not in _NOT_TOLD:
                raise
            return [self.name]

    def schedules(self) -> AsyncGenerator[Holder, None]:
        """Yield its schedules."""
        return schedules(self._client)

    async def executions(self) -> AsyncGenerator[Holder, None]:
        """Yield everything else that holds payloads, also what the default listing leaves out."""
        for listed in (workflows(self._client), in_divisions(self._client)):
            async with aclosing(listed):
                async for holder in listed:
                    yield holder

    async def describe(self, schedule_id: str) -> ScheduleNow:
        """Return what a schedule did last."""
        return await describe(self._client, schedule_id)

    async def look_up(self, holder: Holder) -> Holder:
        """Return what is not listed any more: as it is now, or as it was listed where no more is told.

        Raises:
            RPCError: The server does not tell; `NOT_FOUND` if it is gone.
        """
        if holder.kind == "workflow":
            return await run_of(self._client, holder.id, holder.run_id)
        async with aclosing(held_by(self._client, holder)) as messages:
            await anext(messages)
        return holder

    async def needs_of(self, holder: Holder) -> Needs:
        """Read what a holder needs."""
        return await needs_of(self._client, holder, self._chain)


@dataclass
class Marked:
    """What came of marking a namespace. It may be looked at while that goes on."""

    namespace: str
    listed: int = 0
    """Runs, schedules and activities."""
    read: int = 0
    """Those of them that were read; of the others, what was read in an earlier collection is known."""
    running: int = 0
    deleted: int = 0
    """Those that were deleted meanwhile."""
    kept: int = 0
    """Runs that are not listed any more, and still count."""
    marks: int = 0
    folder: str = ""
    """Where the marks lie: each attempt has a folder of its own."""
    chunks: list[int] = field(default_factory=list)
    """The marks lie in files of several parts: the first part of each, in order."""
    gaps: list[dict[str, Any]] = field(default_factory=list)
    """What could not be read: nothing is swept then."""
    uncertain: list[str] = field(default_factory=list)
    """Ids of schedules' actions: what their latest run has left cannot be told."""
    began: datetime | None = None
    ended: datetime | None = None

    @property
    def complete(self) -> bool:
        """Whether what has no mark is needed by nobody in this namespace."""
        return self.ended is not None and not self.gaps

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        document = asdict(self)
        for name in ("began", "ended"):
            time: datetime | None = document[name]
            document[name] = time.isoformat() if time else None
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Marked:
        """Return what `as_json` made."""
        times = {name: as_time(document[name]) for name in ("began", "ended")}
        return cls(**document | times)


class Marking:
    """Marks what a namespace needs.

    Args:
        namespace: As its server tells of it.
        owner: What tells it from namespaces of the same name, of earlier times or on other clusters.
        claims: Tells the marks of references.
        files: Where what was read is kept, and marks are written.
        folder: Where the marks are written to; nobody else writes there.
        work: An empty local directory.
        codecs: A fingerprint of the codecs that decode references.
        begun: When the collection began.
        grace: How long what is gone still counts.
        check: Called before what was read is kept; raises if that is for others to do now.
        clock: Tells the time.
        tell: Called with what was found, now and then.
    """

    def __init__(
        self,
        namespace: Namespace,
        *,
        owner: str,
        claims: Claims,
        files: Files,
        folder: str,
        work: Path,
        codecs: str,
        begun: datetime,
        grace: timedelta,
        check: Callable[[], Awaitable[None]] = _nobody_else,
        clock: Callable[[], datetime],
        tell: Callable[[Marked], None] = lambda _: None,
    ) -> None:
        self._namespace = namespace
        self._claims = claims
        self._files = files
        self._folder = folder
        self._begun = begun
        self._grace = grace
        self._check = check
        self._clock = clock
        self._tell = tell
        self._kept = KeptRuns(files, owner, codecs)
        self._records = ScheduleRecords(files, owner)
        self._listed = Partitions(work / "listed")
        self._marks = Partitions(work / "marks")
        self._open = Partitions(work / "open")
        self._schedules: dict[str, ScheduleNow] = {}
        self._known: dict[str, ScheduleRecord] = {}
        """What was known of schedules before."""
        self._reading = asyncio.Semaphore(READ_AT_ONCE)
        self._gaps = Gaps()
        self._found = Marked(namespace.name, folder=folder)

    async def mark(self) -> Marked:
        """Read whatever is not known yet, and write the marks.

        What cannot be read is a gap in what was found, and no error.

        Raises:
            StorageError: The collector's own files cannot be read or written.
            CollectionRunsError: Another collection has begun meanwhile.
        """
        self._found.began = self._clock()
        self._known = await self._load_records()
        # First what schedules did last, then the runs: an action in that list has its run among those.
        await self._list(self._namespace.schedules(), "schedules")
        await self._describe_schedules()
        await self._list(self._namespace.executions(), "workflows and activities")
        at_once = max(1, min(32, _IN_HAND * PARTS // max(self._listed.count, 1)))
        parts = sorted({*self._listed.parts, *await self._kept.parts()})
        await gather_bounded(self._mark_part, parts, limit=at_once)
        await self._mark_schedules()
        await self._write()
        self._found.gaps = [
            {
                "what": what,
                "count": gap.count or None,
                "why": gap.why,
                "example": gap.holder
                and {"kind": gap.holder.kind, "id": gap.holder.id, "run_id": gap.holder.run_id},
            }
            for what, gap in self._gaps.items()
        ]
        self._found.ended = self._clock()
        return self._found

    async def _list(self, holders: AsyncGenerator[Holder, None], what: str) -> None:
        try:
            async with aclosing(holders):
                async for holder in holders:
                    self._note(holder)
        except RPCError as error:
            self._gaps.miss(f"{what} that the server did not list", str(error), count=0)

    def _note(self, holder: Holder) -> None:
        self._listed.add(key_of(holder.kind, holder.id, holder.run_id), _packed(holder))
        if holder.kind == "schedule":
            self._schedules[holder.id] = self._undescribed(holder.id)
        self._note_if_open(holder)
        self._found.listed += 1
        self._tell(self._found)

    def _note_if_open(self, holder: Holder) -> None:
        if holder.running:
            self._found.running += 1
            for run_id in (holder.run_id, ""):
                self._open.add(mark_of_open_run(holder.namespace, holder.kind, holder.id, run_id))

    async def _describe_schedules(self) -> None:
        async def one(schedule_id: str) -> None:
            try:
                async with self._reading:
                    now = await self._namespace.describe(schedule_id)
                self._schedules[schedule_id] = self._with_what_is_known(schedule_id, now)
            except RPCError as error:
                if error.status is RPCStatusCode.NOT_FOUND:
                    return
                # One that is not listed may be there all the same.
                self._schedules.setdefault(schedule_id, self._undescribed(schedule_id))
                self._gaps.miss(
                    "schedules that could not be read",
                    str(error),
                    Holder("schedule", self._namespace.name, schedule_id),
                )

        await gather_bounded(one, list(self._schedules.keys() | self._known.keys()), limit=READ_AT_ONCE)

    def _undescribed(self, schedule_id: str) -> ScheduleNow:
        return self._with_what_is_known(
            schedule_id, ScheduleNow(frozenset(), frozenset(), whole=False, described=False)
        )

    def _with_what_is_known(self, schedule_id: str, now: ScheduleNow) -> ScheduleNow:
        return replace(now, known=self._known.get(schedule_id, ScheduleRecord()))

    # -- runs

    async def _mark_part(self, part: int) -> None:
        listed = self._listed_in(part)
        kept, same_codecs = await self._load(part)
        known = dict(kept)

        async def one(key: bytes) -> None:
            run = await self._run_of(listed[key], kept.get(key))
            if run is not None:
                known[key] = run

        await gather_bounded(one, list(listed), limit=READ_AT_ONCE)
        now = self._clock()

        async def one_not_listed(key: bytes) -> None:
            known[key] = gone = gone_since(kept[key], now)
            # A reset may have handed on what it needs, and the new run not be listed yet.
            over = gone.gone is not None and now - gone.gone >= self._grace
            if over or gone.closed is None:
                # Visibility may have lost it, and what is open goes on.
                run = await self._look_up(gone)
                if run is not None:
                    known[key] = run
                elif over:
                    del known[key]

        await gather_bounded(one_not_listed, list(kept.keys() - listed.keys()), limit=READ_AT_ONCE)
        for run in known.values():
            holder = Holder(run.kind, self._namespace.name, run.id, run.run_id)
            self._mark_run(run.references, run.hashes, holder, listed=run.gone is None)
            self._found.kept += run.gone is not None
            if run.scheduled_by in self._schedules and run.gone is None:
                self._schedules[run.scheduled_by].note(run, self._begun)
        if known != kept or not same_codecs:
            await self._check()
            await self._kept.save(part, known)
        self._tell(self._found)

    def _listed_in(self, part: int) -> dict[bytes, Holder]:
        # What ends while runs are listed may come twice, as it is now the second time.
        return {key: _unpacked(self._namespace.name, record) for key, record in self._listed.part(part)}

    async def _run_of(self, holder: Holder, kept: KeptRun | None) -> KeptRun | None:
        """Return what is known of a run; it is read unless it has ended and was read since."""
        if kept is not None and kept.still_holds_for(holder):
            return replace(kept, gone=None)
        return await self._read(holder)

    async def _look_up(self, gone: KeptRun) -> KeptRun | None:
        """Return what is known of a run that is not listed any more; None if it is gone."""
        holder = gone.as_holder(self._namespace.name)
        try:
            async with self._reading:
                holder = await self._namespace.look_up(holder)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            self._gaps.miss(f"{holder.kind}s that could not be read", str(error), holder)
            return gone
        self._note_if_open(holder)
        return await self._run_of(holder, gone) or gone

    async def _load(self, part: int) -> tuple[dict[bytes, KeptRun], bool]:
        """Return the runs of a segment, and whether they were read with the same codecs as now."""
        try:
            kept, same_codecs = await self._kept.load(part)
        except DamagedStateError as error:
            # Of what is not listed any more nothing is known.
            self._gaps.miss("kept marks of an earlier collection, which are damaged", str(error))
            return {}, False
        if not same_codecs:
            # It still counts, and is no reason not to read the run again.
            kept = {key: replace(run, length=_NOT_TO_BE_RELIED_ON) for key, run in kept.items()}
        return kept, same_codecs

    async def _read(self, holder: Holder) -> KeptRun | None:
        try:
            async with self._reading:
                needs = await self._namespace.needs_of(holder)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                self._found.deleted += 1
                return None
            self._gaps.miss(f"{holder.kind}s that could not be read", str(error), holder)
            return None
        except Exception as error:  # noqa: BLE001  # what a stranger makes up must not end a collection
            self._gaps.miss_for(f"{holder.kind}s that could not be read", error, holder)
            return None
        self._found.read += 1
        self._tell(self._found)
        for what, gap in needs.gaps.items():
            self._gaps.miss(what, gap.why, gap.holder, count=gap.count)
        if not needs.complete:
            # Marked all the same, but not kept: it is to be read again.
            self._mark_run(needs.references, needs.hashes, holder, listed=True)
            return None
        return KeptRun.of(holder, sorted(needs.references, key=_order), sorted(needs.hashes))

    def _mark_run(
        self,
        references: Iterable[RecordedReference],
        hashes: Iterable[str],
        holder: Holder | None = None,
        *,
        listed: bool = False,
    ) -> None:
        for reference in references:
            try:
                self._mark_reference(reference)
            except UnknownDriverError as error:
                found = reference.hashes
                for sha256 in found:
                    self._mark_hash(sha256)
                # Nobody can mend what is deleted. If it led into one of these stores, its claim had the hash.
                if listed or not found:
                    what = "references to a storage driver that the settings do not have"
                    self._gaps.miss(what, error.message, holder)
        for sha256 in hashes:
            self._mark_hash(sha256)

    def _mark_reference(self, reference: RecordedReference) -> None:
        for mark in self._claims.marks_of(reference):
            self._marks.add(mark)

    def _mark_hash(self, sha256: str) -> None:
        self._marks.add(mark_of_hash(sha256))

    # -- schedules

    async def _load_records(self) -> dict[str, ScheduleRecord]:
        try:
            return await self._records.load()
        except DamagedStateError as error:
            self._gaps.miss("kept marks of an earlier collection, which are damaged", str(error))
            return {}

    async def _mark_schedules(self) -> None:
        time = self._clock()
        records = left(self._known, self._schedules, time, self._grace)
        for schedule_id, now in self._schedules.items():
            records[schedule_id] = record = updated(now, time)
            if not (record.certain and now.described):
                self._found.uncertain += sorted(record.actions)
        for record in records.values():
            for run in record.ended:
                holder = Holder("workflow", self._namespace.name, run.workflow_id, run.run_id)
                self._mark_run(run.references, run.hashes, holder)
        if records != self._known:
            await self._check()
            await self._records.save(records)

    # -- what the sweep reads

    async def _write(self) -> None:
        chunk = bytearray()
        first = 0
        for part in range(PARTS):
            await asyncio.sleep(0)  # for the heartbeats
            # Not in a thread: whoever gives this up removes the directory that it works in.
            chunk += b"".join(self._marks.keys(part))
            if chunk and (len(chunk) >= _CHUNK or part == PARTS - 1):
                await self._files.write_bytes(f"{self._folder}/{first:02x}", bytes(chunk))
                self._found.chunks.append(first)
                self._found.marks += len(chunk) // WIDTH
                chunk.clear()
                first = part + 1
        open_runs = [key for part in self._open.parts for key in self._open.keys(part)]
        await self._files.write_bytes(f"{self._folder}/open", b"".join(open_runs))


def _packed(holder: Holder) -> bytes:
    return json.dumps(
        [
            holder.kind,
            holder.id,
            holder.run_id,
            holder.status,
            holder.start_time.isoformat() if holder.start_time else None,
            holder.close_time.isoformat() if holder.close_time else None,
            holder.history_length,
            holder.type,
            holder.division,
            holder.scheduled_by,
        ]
    ).encode()


def _unpacked(namespace: str, record: bytes) -> Holder:
    kind, id_, run_id, status, start, close, length, type_, division, scheduled_by = json.loads(record)
    return Holder(
        kind,
        namespace,
        id_,
        run_id,
        status=status,
        start_time=as_time(start),
        close_time=as_time(close),
        history_length=length,
        type=type_,
        division=division,
        scheduled_by=scheduled_by,
    )


def _order(reference: RecordedReference) -> tuple[str, tuple[tuple[str, str], ...]]:
    return reference.driver_name, reference.claim_data
