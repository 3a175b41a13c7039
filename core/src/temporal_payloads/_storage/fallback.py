"""What stores a payload when the driver that should have stored it cannot: `fallback` in a driver's table."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._errors import message_of
from temporal_payloads._storage.attempt import StoreAttempt
from temporal_payloads._storage.errors import StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import timedelta

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import StorageDriver

    Store = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]

logger = logging.getLogger("temporal_payloads")

SHARE = 2 / 3
"""Part of the time that is left which a driver with a fallback has to store. The rest is the fallback's."""
BATCH_SHARE = 3 / 4
"""Part of that share in which several payloads must have been stored together. In the rest of it they are
stored one by one, which shows for which of them the fallback is needed."""
TOLD_EVERY = 60.0
"""Seconds between two warnings of the same driver."""


class _Period(NamedTuple):
    """When what is tried next began, and when the call must end, by the event loop's clock."""

    since: float
    ends: float
    call: object


class Fallbacks:
    """Stores payloads, by the SDK's own code, with the drivers that can.

    The router leads a payload to the fallback of each driver that is passed over; so the SDK writes
    references with the name of the driver that has the payload.

    Args:
        drivers: What stores in a driver's place, by that driver's recorded name.
        timeout: `storage.timeout`, which all drivers together have.
        concurrency: How many payloads are stored at once where they are stored one by one.
    """

    def __init__(self, drivers: Mapping[str, StorageDriver], *, timeout: timedelta, concurrency: int) -> None:
        self._drivers = drivers
        self._timeout = timeout.total_seconds()
        self._concurrency = concurrency
        self._told: dict[str, float] = {}

    async def store(self, payloads: Sequence[Payload], store: Store) -> list[Payload]:
        """Store payloads, each with the first driver that can.

        Args:
            payloads: What is to be stored.
            store: Stores some of them where the router says, and returns their references, in order.

        Raises:
            StorageUnavailableError: Neither a driver nor its fallback can store one of them; why, for both.
            StorageError: As `store` does. What an operator has to correct shows; no fallback hides it.
        """
        if not self._drivers:
            return await store(payloads)
        since = asyncio.get_running_loop().time()
        period = _Period(since, since + self._timeout, call=object())
        return await self._store(payloads, store, period, frozenset(), [])

    async def _store(
        self,
        payloads: Sequence[Payload],
        store: Store,
        period: _Period,
        passed_over: frozenset[str],
        reasons: list[StorageUnavailableError],
    ) -> list[Payload]:
        """Store with the drivers whose turn it is, which began and ends with the period."""
        share = (period.ends - period.since) * SHARE * (BATCH_SHARE if len(payloads) > 1 else 1)
        attempt = StoreAttempt(period.ends, period.since + share, passed_over, period.call)
        try:
            with attempt.under_way():
                return await store(payloads)
        except StorageUnavailableError as error:
            # Several may have failed, each for its own reason; this is why one of them did.
            failed = error.driver
            if failed not in self._drivers:
                if reasons:
                    raise _all_failed(reasons, error) from error
                raise
            if len(payloads) == 1 or error.circuit_open:
                self._tell(failed, error)
                period = period._replace(since=asyncio.get_running_loop().time())
                return await self._store(payloads, store, period, passed_over | {failed}, [*reasons, error])
        except Exception as error:
            # The fallback may have limits or faults of its own. The driver may be back soon: that is retried.
            if reasons:
                raise _all_failed(reasons, error) from error
            raise

        async def store_one(payload: Payload) -> Payload:
            [stored] = await self._store([payload], store, period, passed_over, reasons)
            return stored

        return await gather_bounded(store_one, payloads, limit=self._concurrency)

    def _tell(self, name: str, error: StorageUnavailableError) -> None:
        now = time.monotonic()
        if now - self._told.get(name, float("-inf")) < TOLD_EVERY:
            return
        self._told[name] = now
        logger.warning(
            "New payloads of the storage driver %r go to its fallback %r: %s (told once a minute)",
            name,
            self._drivers[name].name(),
            error.message,
        )


def _all_failed(reasons: Sequence[StorageUnavailableError], last: Exception) -> StorageUnavailableError:
    told = "; ".join(message_of(error) for error in (*reasons, last))
    error = StorageUnavailableError(
        f"{told}. No fallback is left", next_retry_delay=reasons[0].next_retry_delay
    )
    error.circuit_open = reasons[0].circuit_open
    return error
