"""How many payloads still need each key, in whole namespaces, in constant memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from temporalio.service import RPCError, RPCStatusCode

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads._operate.embedded import EFFORT, TooIntricateError, payloads_within
from temporal_payloads._operate.gaps import Gaps
from temporal_payloads._operate.histories import payloads_in
from temporal_payloads._operate.holders import (
    SCHEDULERS,
    UnknownHolderError,
    held_by,
    in_divisions,
    schedules,
    workflows,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime

    from google.protobuf.message import Message
    from temporalio.api.common.v1 import Payload
    from temporalio.client import Client

    from temporal_payloads._operate.holders import Holder, Kind
    from temporal_payloads._operate.payload_keys import FoundKeys, KeyReader, PayloadKeys

    Batch = list[tuple[Payload, datetime | None]]

BATCH, BATCH_SIZE = 128, 4 * 1024 * 1024
"""Payloads of one workflow, and their bytes, that are looked at together."""
AT_ONCE = 32
"""Payloads of one workflow that are looked at at the same time."""
MOST_IDS = 1000
"""Keys that are counted: ids come from payloads, which can say anything."""
_PLURAL: dict[Kind, str] = {
    "workflow": "workflows",
    "schedule": "schedules",
    "activity": "activities",
    "nexus_operation": "Nexus operations",
}


@dataclass
class KeyUse:
    """Where a key is needed."""

    payloads: int = 0
    holders: Counter[Kind] = field(default_factory=Counter)
    newest: datetime | None = None
    """When the newest of the payloads was written."""
    examples: list[Holder] = field(default_factory=list)
    """Some of those that hold them."""


@dataclass
class KeysInUse:
    """What was found. It may be looked at while reading goes on."""

    keys: dict[str, KeyUse] = field(default_factory=dict)
    read: Counter[Kind] = field(default_factory=Counter)
    """How many workflows, schedules and activities."""
    payloads: int = 0
    running: int = 0
    """How many of the workflows ran."""
    deleted: int = 0
    """How many were deleted meanwhile, so that they need no key any more."""
    gaps: Gaps = field(default_factory=Gaps)
    ended: bool = False
    """Whether reading came to its end."""

    @property
    def complete(self) -> bool:
        """Whether everything was read, so that a key that was not found is needed by nothing."""
        return self.ended and not self.gaps

    def use_of(self, key: str) -> KeyUse | None:
        """Return the use of a key, or None if there are too many keys for one more."""
        if key not in self.keys and len(self.keys) >= MOST_IDS:
            self.gaps.miss(f"key ids after the first {MOST_IDS:,}, which were not counted")
            return None
        return self.keys.setdefault(key, KeyUse())


class KeyScan:
    """Reads namespaces.

    Args:
        payload_keys: Finds the keys of each payload.
        found: Where the counts go.
        concurrency: How many workflows are read at the same time.
        examples: How many of those that hold payloads are kept for each key.
    """

    def __init__(
        self, payload_keys: PayloadKeys, found: KeysInUse, *, concurrency: int, examples: int
    ) -> None:
        self._payload_keys = payload_keys
        self._found = found
        self._concurrency = concurrency
        self._examples = examples

    async def read(self, client: Client, query: str | None = None) -> None:
        """Read all workflows, schedules and activities of the client's namespace.

        What cannot be read is a gap in what was found, and no error.

        Args:
            client: Its data converter is not used.
            query: Only the workflows that match it are read, which is a gap.
        """
        if query:
            self._found.gaps.miss(f"workflows that do not match {query!r} were not read", count=0)
        for kinds, holders in (
            ("workflows", workflows(client, query)),
            ("schedules", schedules(client)),
            ("activities and Nexus operations outside of workflows", in_divisions(client)),
        ):
            slots = asyncio.Semaphore(self._concurrency)
            async with aclosing(holders), asyncio.TaskGroup() as reads:
                try:
                    async for holder in holders:
                        # A scheduler's own history has what its schedule was once, and nobody reads that.
                        if holder.division == SCHEDULERS:
                            continue
                        await slots.acquire()
                        read = reads.create_task(self._read(client, holder))
                        # Not by the task itself: one that is cancelled early runs none of its code.
                        read.add_done_callback(lambda _, slots=slots: slots.release())  # type: ignore[misc]
                except RPCError as error:
                    self._found.gaps.miss(
                        f"{kinds} of {client.namespace!r} that the server did not list", str(error)
                    )

    async def _read(self, client: Client, holder: Holder) -> None:
        reader = self._payload_keys.reader(holder.namespace, holder.id)
        keys: set[str] = set()
        try:
            async with aclosing(_batches(client, holder)) as batches:
                async for batch in batches:
                    await self._count(batch, reader, holder, keys)
        except UnknownHolderError as error:
            self._found.gaps.miss("executions of an unknown kind", str(error), holder)
            return
        except TooIntricateError as error:
            self._found.gaps.miss_for("payloads that could not be looked into", error, holder)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                self._found.deleted += 1
                return
            self._found.gaps.miss(f"{_PLURAL[holder.kind]} that could not be read", str(error), holder)
        self._found.read[holder.kind] += 1
        self._found.running += holder.running and holder.kind == "workflow"

    async def _count(self, batch: Batch, reader: KeyReader, holder: Holder, keys: set[str]) -> None:
        async def keys_of(one: tuple[Payload, datetime | None]) -> FoundKeys:
            return await reader.keys_of(one[0])

        for (_, time), one in zip(batch, await gather_bounded(keys_of, batch, AT_ONCE), strict=True):
            self._found.payloads += 1
            if one.error is not None:
                self._found.gaps.miss_for("payloads that could not be read", one.error, holder)
            for key in one.ids:
                use = self._found.use_of(key)
                if use is None:
                    continue
                use.payloads += 1
                if time is not None and (use.newest is None or time > use.newest):
                    use.newest = time
                if key not in keys:
                    keys.add(key)
                    use.holders[holder.kind] += 1
                    if len(use.examples) < self._examples:
                        use.examples.append(holder)


async def _batches(client: Client, holder: Holder) -> AsyncGenerator[Batch, None]:
    batch: Batch = []
    size = 0
    async with aclosing(held_by(client, holder)) as messages:
        async for held in messages:
            for payload in await _payloads_of(holder, held.message):
                batch.append((payload, held.time))
                size += len(payload.data)
                if len(batch) >= BATCH or size >= BATCH_SIZE:
                    yield batch
                    batch, size = [], 0
    if batch:
        yield batch


async def _payloads_of(holder: Holder, message: Message) -> list[Payload]:
    payloads = list(payloads_in(message))
    if holder.division:
        # The server's own workflows hand payloads on inside of their own.
        for data in [payload.data for payload in payloads]:
            payloads += await run_off_loop(partial(_within, data), EFFORT * len(data))
    return payloads


def _within(data: bytes) -> list[Payload]:
    return list(payloads_within(data))
