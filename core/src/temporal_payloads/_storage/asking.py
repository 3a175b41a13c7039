"""How core calls a plugin's driver: opened, behind its circuit, and again if the store was out of reach."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from temporal_payloads._concurrency.time_limit import time_left
from temporal_payloads._storage.errors import StorageTimeoutError
from temporal_payloads._storage.unavailable import is_unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporalio.converter import StorageDriver

    from temporal_payloads._concurrency.per_loop import PerLoop
    from temporal_payloads._storage.circuit import Circuit

T = TypeVar("T")

ATTEMPTS = 3
"""How often core calls a driver that does not try again by itself, the first time included."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 4.0
"""Seconds: the most that is waited before the second call, doubled each time, and the most of all. How much
of that is waited is drawn at random, so that callers that failed together do not come back together."""


@dataclass(frozen=True)
class AskedDriver:
    """A plugin's driver, as it is called for storing and retrieving.

    There is one place for retries. A client library knows best which of a call's many requests to repeat,
    and those of the S3 and Redis plugins do it with growing pauses and jitter, within `storage.timeout`. Such
    a driver core calls once: three calls of three requests each would be nine. One that does not tell that it
    retries (`DriverPlugin.retries`) core calls up to three times.
    """

    driver: PerLoop[StorageDriver]
    circuit: Circuit
    retries_itself: bool

    async def ask(
        self, work: Callable[[StorageDriver], Awaitable[T]], *, on_retry: Callable[[], None] = lambda: None
    ) -> T:
        """Call the driver.

        Args:
            work: Calls it.
            on_retry: Called each time before it is called again.

        Raises:
            StorageUnavailableError: The circuit is open; the driver was not called.
            Exception: What the driver raised in the last call.
        """
        with self.circuit.watched() as probing:
            attempts = 1 if probing or self.retries_itself else ATTEMPTS
            for pause in _pauses(attempts - 1):
                try:
                    return await self._once(work)
                except Exception as error:
                    # A timeout has taken the time that a second call would need.
                    hopeless = isinstance(error, StorageTimeoutError) or not is_unavailable(error)
                    if hopeless or pause >= time_left():
                        raise
                    await asyncio.sleep(pause)
                    if self.circuit.refuses:
                        raise
                    on_retry()
            return await self._once(work)

    async def _once(self, work: Callable[[StorageDriver], Awaitable[T]]) -> T:
        async with self.driver.use() as driver:
            return await work(driver)


def _pauses(count: int) -> list[float]:
    longest = (min(FIRST_PAUSE * 2**number, LONGEST_PAUSE) for number in range(count))
    return [random.uniform(0, pause) for pause in longest]  # noqa: S311  # no secret
