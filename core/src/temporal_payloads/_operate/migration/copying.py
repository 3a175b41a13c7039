"""One payload: from where it lies to its place in the destination, or looked for there."""

from __future__ import annotations

import asyncio
import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from temporalio.converter import StorageDriverRetrieveContext
from temporalio.exceptions import ApplicationError

from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads._concurrency.time_limit import operation_within
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
    StorageMisconfiguredError,
    StorageTimeoutError,
)
from temporal_payloads._storage.serialized import serialize
from temporal_payloads._storage.unavailable import is_unavailable, told_by_driver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import timedelta

    from temporalio.api.common.v1 import Payload

    from temporal_payloads._operate.migration.move import Move
    from temporal_payloads._operate.migration.report import Outcome
    from temporal_payloads._operate.migration.wanted import WantedPayload
    from temporal_payloads._operate.throttle import Throttle
    from temporal_payloads._plugins.contract import ConfinedClaim
    from temporal_payloads._storage.sources import Source

T = TypeVar("T")

PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Seconds, at most, between the tries of a store that is out of reach. After the last one the migration ends,
and the next one goes on from there."""


@dataclass(frozen=True)
class Came:
    """What became of a payload."""

    outcome: Outcome
    size: int = 0
    """Bytes that were copied or verified."""
    why: str = ""


@dataclass(frozen=True)
class Copier:
    """Copies and verifies payloads.

    Args:
        move: From where to where.
        timeout: Limit of one request to a store.
        requests: Lets requests to stores through.
        bandwidth: Lets bytes through, read and written ones.
        pauses: Between the tries of a store that is out of reach.
    """

    move: Move
    timeout: timedelta
    requests: Throttle
    bandwidth: Throttle
    pauses: Sequence[float] = PAUSES

    async def copy(self, wanted: WantedPayload) -> Came:
        """Copy a payload, and verify what is in its place then.

        Raises:
            StorageError: A store cannot be used.
        """
        try:
            found = await self._find(wanted)
        except ApplicationError as error:
            outcome = _outcome_of(error)
            if outcome is None:
                raise
            # It may be in its place already, and the source have lost it since.
            there = await self.verify(wanted)
            return there if there.outcome == "present" else Came(outcome, why=error.message)
        payload, data = found
        destination = self.move.destination.moved_store
        try:
            await self.bandwidth.wait(len(data))
            await self._ask(lambda: destination.store(wanted.content, payload, data))
        except ApplicationError as error:
            if _outcome_of(error) is None:
                raise
            return Came("refused", why=error.message)
        there = await self.verify(wanted)
        return Came("copied", there.size) if there.outcome == "present" else there

    async def verify(self, wanted: WantedPayload) -> Came:
        """Read a payload from its place in the destination, and compare its bytes with their hash.

        One that only the destination's own list leads to is read from where that has it.

        Raises:
            StorageError: The destination cannot be used.
        """
        destination = self.move.destination
        moved = any(driver is not destination for driver, _ in wanted.places)
        store = destination.moved_store if moved else destination.own_store
        try:
            _, data = await self._read(store, wanted.content)
        except ApplicationError as error:
            outcome = _outcome_of(error)
            if outcome is None:
                raise
            return Came(outcome, why=error.message)
        return Came("present", len(data))

    async def _find(self, wanted: WantedPayload) -> tuple[Payload, bytes]:
        """Read a payload from whichever of its places has it."""
        failures: dict[str, ApplicationError] = {}
        for driver, claim in wanted.places:
            for store, place in self.move.stores_of(driver, claim):
                try:
                    return await self._read(store, place)
                except ApplicationError as error:
                    if _outcome_of(error) is None:
                        raise
                    failures.setdefault(error.type or "", error)
        damaged = failures.get(PayloadIntegrityError.__name__)
        raise damaged or next(iter(failures.values()))

    async def _read(self, store: Source, claim: ConfinedClaim) -> tuple[Payload, bytes]:
        context = StorageDriverRetrieveContext()
        [(payload, data)] = await self._ask(lambda: store.retrieve(context, [claim]))
        stored = b"".join(serialize(payload)) if data is None else data
        # What a reference says of its size is not to be relied on: one that is forged would stop everything.
        await self.bandwidth.wait(len(stored))
        actual = await run_off_loop(lambda: hashlib.sha256(stored).hexdigest(), len(stored))
        if actual != claim.sha256:
            raise PayloadIntegrityError(f"It has the SHA-256 {actual}, and its claim says {claim.sha256}")
        return payload, stored

    async def _ask(self, work: Callable[[], Awaitable[T]]) -> T:
        """Ask a store, again and again if it is out of reach."""
        for pause in (*self.pauses, None):
            await self.requests.wait()
            try:
                return await self._in_time(work)
            except Exception as error:
                told = told_by_driver(error) or error
                if pause is None or not is_unavailable(error):
                    if told is error:
                        raise
                    raise told from error
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311  # no secret
        raise AssertionError  # the last one has no pause

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T:
        seconds = self.timeout.total_seconds()

        def late() -> StorageTimeoutError:
            return StorageTimeoutError(
                f"No answer within storage.timeout = {seconds:g}s: the store is slow or cannot be reached"
            )

        async with operation_within(seconds, late):
            return await work()


_OUTCOMES: dict[str, Outcome] = {
    PayloadNotFoundError.__name__: "missing",
    PayloadIntegrityError.__name__: "damaged",
    PayloadTooLargeError.__name__: "refused",
    ClaimRejectedError.__name__: "refused",
}


def _outcome_of(error: ApplicationError) -> Outcome | None:
    """Return what an error says of one payload; None if it says that a store cannot be used."""
    # A store without a place for the payload was not asked.
    if error.type == StorageMisconfiguredError.__name__ and not getattr(error, "store_asked", True):
        return "refused"
    return _OUTCOMES.get(error.type or "")
