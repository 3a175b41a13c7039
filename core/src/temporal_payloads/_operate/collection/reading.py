"""What a namespace needs: everything in it that is listed, and what was there a short while ago.

What has ended is read once: it is kept from one collection, or migration, to the next.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from temporalio.service import RPCError, RPCStatusCode

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._operate.collection.kept import KeptRun, KeptRuns, gone_since
from temporal_payloads._operate.collection.listed import Listed
from temporal_payloads._operate.collection.marked import Marked
from temporal_payloads._operate.collection.schedules import (
    SETTLED,
    ScheduleNow,
    ScheduleRecord,
    ScheduleRecords,
    left,
    uncertain_of,
    updated,
)
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.gaps import Gaps
from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.marks import PARTS
from temporal_payloads._storage.errors import UnknownDriverError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
    from datetime import datetime, timedelta
    from pathlib import Path

    from temporal_payloads._operate.collection.namespace import Namespace
    from temporal_payloads._operate.collection.state import Files
    from temporal_payloads._operate.recorded import RecordedReference

READ_AT_ONCE = 8
"""Histories that are read at the same time: frontends limit the calls of a namespace."""
_NOT_TO_BE_RELIED_ON = -1
"""Events of a run that was read with other codecs: no run that is listed has so many."""
_IN_HAND = 4096
"""Runs whose segments are in memory at the same time, about."""


async def _nobody_else() -> None:
    """Raise nothing: nobody else keeps what is read."""


class Needed(Protocol):
    """Is told what a namespace needs, a thing or two more than once."""

    def refer(self, reference: RecordedReference) -> None:
        """Take in that something refers to a payload.

        Raises:
            UnknownDriverError: No driver of the settings has the name that the reference records.
        """

    def doubt(self, sha256: str) -> None:
        """Take in what may be the hash of a payload that is needed, in lower-case hex."""

    def note_open(self, holder: Holder) -> None:
        """Take in that a run is open."""


class Reading:
    """Reads what a namespace needs.

    Args:
        namespace: As its server tells of it.
        needed: Is told of all that it needs.
        owner: What tells it from namespaces of the same name, of earlier times or on other clusters.
        files: Where what was read is kept.
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
        needed: Needed,
        owner: str,
        files: Files,
        work: Path,
        codecs: str,
        begun: datetime,
        grace: timedelta,
        check: Callable[[], Awaitable[None]] = _nobody_else,
        clock: Callable[[], datetime],
        tell: Callable[[Marked], None] = lambda _: None,
    ) -> None:
        self._namespace = namespace
        self._needed = needed
        self._begun = begun
        self._grace = grace
        self._check = check
        self._clock = clock
        self._tell = tell
        self._kept = KeptRuns(files, owner, codecs)
        self._records = ScheduleRecords(files, owner)
        self._listed = Listed(namespace.name, work / "listed")
        self._schedules: dict[str, ScheduleNow] = {}
        self._known: dict[str, ScheduleRecord] = {}
        """What was known of schedules before."""
        self._reading = asyncio.Semaphore(READ_AT_ONCE)
        self._gaps = Gaps()
        self._found = Marked(namespace.name)

    async def read(self) -> Marked:
        """Read whatever is not known yet, and tell of all that is needed.

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
        await gather_bounded(self._read_part, parts, limit=at_once)
        await self._take_in_schedules()
        self._found.gaps = self._gaps.as_json()
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
        self._listed.add(holder)
        if holder.kind == "schedule":
            self._schedules[holder.id] = self._undescribed(holder.id)
        self._note_if_open(holder)
        self._found.listed += 1
        self._tell(self._found)

    def _note_if_open(self, holder: Holder) -> None:
        if holder.running:
            self._found.running += 1
            self._needed.note_open(holder)

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
        known = self._known.get(schedule_id, ScheduleRecord())
        return replace(now, known=known, late=max(SETTLED, self._grace))

    # -- runs

    async def _read_part(self, part: int) -> None:
        # What ends while runs are listed may come twice, as it is now the second time.
        listed = self._listed.part(part)
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
            self._tell_of(run.references, run.hashes, holder, listed=run.gone is None)
            self._found.kept += run.gone is not None
            if run.scheduled_by in self._schedules and run.gone is None:
                self._schedules[run.scheduled_by].note(run, self._begun)
        if known != kept or not same_codecs:
            await self._check()
            await self._kept.save(part, known)
        self._tell(self._found)

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
            # Told all the same, but not kept: it is to be read again.
            self._tell_of(needs.references, needs.hashes, holder, listed=True)
            return None
        return KeptRun.of(holder, sorted(needs.references, key=_order), sorted(needs.hashes))

    def _tell_of(
        self,
        references: Iterable[RecordedReference],
        hashes: Iterable[str],
        holder: Holder | None = None,
        *,
        listed: bool = False,
    ) -> None:
        for reference in references:
            try:
                self._needed.refer(reference)
            except UnknownDriverError as error:
                found = reference.hashes
                for sha256 in found:
                    self._needed.doubt(sha256)
                # Nobody can mend what is deleted. If it led into one of these stores, its claim had the hash.
                if listed or not found:
                    what = "references to a storage driver that the settings do not have"
                    self._gaps.miss(what, error.message, holder)
        for sha256 in hashes:
            self._needed.doubt(sha256)

    # -- schedules

    async def _load_records(self) -> dict[str, ScheduleRecord]:
        try:
            return await self._records.load()
        except DamagedStateError as error:
            self._gaps.miss("kept marks of an earlier collection, which are damaged", str(error))
            return {}

    async def _take_in_schedules(self) -> None:
        time = self._clock()
        records = left(self._known, self._schedules, time, self._grace)
        described: list[ScheduleRecord] = []
        undescribed: list[ScheduleRecord] = []
        for schedule_id, now in self._schedules.items():
            records[schedule_id] = record = updated(now, time)
            (described if now.described else undescribed).append(record)
        self._found.uncertain = uncertain_of(described, undescribed)
        for record in records.values():
            for run in record.ended:
                holder = Holder("workflow", self._namespace.name, run.workflow_id, run.run_id)
                self._tell_of(run.references, run.hashes, holder)
        if records != self._known:
            await self._check()
            await self._records.save(records)


def _order(reference: RecordedReference) -> tuple[str, tuple[tuple[str, str], ...]]:
    return reference.driver_name, reference.claim_data
