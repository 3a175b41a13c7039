"""What every operation of a storage driver has: a deadline, failures that say what to do, an event."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from temporalio.exceptions import ApplicationError

from temporal_payloads._concurrency.time_limit import operation_within
from temporal_payloads._errors import failure_type_of
from temporal_payloads._observe.belonging import current_belonging
from temporal_payloads._plugins.events import StorageEvent
from temporal_payloads._storage.attempt import current_attempt
from temporal_payloads._storage.errors import (
    PayloadNotFoundError,
    StorageError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from temporal_payloads._storage.retries import inbound, outbound
from temporal_payloads._storage.unavailable import lost_connection, told_by_driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
    from datetime import timedelta
    from typing import Literal

    from temporalio.converter import StorageDriverClaim

MOST_KEYS = 16
"""Of a call's payloads, how many observers are told the keys of."""
_NAMES_OF_KEYS = ("key", "object_name", "blob_name")
"""What claims call the key, the name of an object or blob."""


@dataclass(frozen=True, kw_only=True)
class DriverIdentity:
    """How a configured driver is called, by whom."""

    name: str
    """The driver name that references record."""
    type: str
    """The SDK driver type, the same in every language."""
    place: str
    """Where it is configured: `storage.drivers.s3`."""
    fingerprint: str
    """Tells stores apart in the cache."""
    store: str = "{}"
    """What that is made of beside name and type, as JSON; no secret is in it."""

    def __str__(self) -> str:
        return f"storage driver {self.name!r} ({self.place})"


@dataclass
class Tally:
    """What one call did, for its event."""

    size: int = 0
    cache_hits: int = 0
    dedupe_hits: int = 0
    fetched: int = 0
    """Payloads that came from the store."""
    retries: int = 0
    keys: list[str] = field(default_factory=list)
    """Where the payloads lie in the store."""

    def retried(self) -> None:
        """Count that the driver is called again."""
        self.retries += 1

    def note(self, claims: Iterable[StorageDriverClaim]) -> None:
        """Note where payloads lie, the first of them."""
        room = MOST_KEYS - len(self.keys)
        self.keys += [_key_of(claim) for claim in islice(claims, room)]


class DriverOperations:
    """Runs the operations of one driver.

    Args:
        identity: How the driver is called.
        timeout: Limit of one operation.
        missing_is_final: Whether a payload that the store does not have is gone for good.
        has_fallback: Whether another driver stores what this one cannot.
        notify: Told of each store and retrieve when it has ended.
        wants: Whether it wants to be told of such events now.
        moved_to: What messages call the stores that the driver's payloads are moved to.
        off: Whether they are looked for there alone.
    """

    def __init__(
        self,
        identity: DriverIdentity,
        *,
        timeout: timedelta,
        missing_is_final: bool,
        notify: Callable[[StorageEvent], None],
        wants: Callable[[type[StorageEvent]], bool],
        has_fallback: bool = False,
        moved_to: Sequence[str] = (),
        off: bool = False,
    ) -> None:
        self._identity = identity
        self._timeout = timeout
        self._missing_is_final = missing_is_final
        self._notify = notify
        self._wants = wants
        self._has_fallback = has_fallback
        self._moved_to = moved_to
        self._off = off

    @asynccontextmanager
    async def run(self, operation: str) -> AsyncIterator[None]:
        """Run an operation.

        Raises:
            ApplicationError: Why it failed: the driver's own error, or a `StorageError` with the reason.
        """
        with self._explained(operation):
            async with self._deadline(operation):
                yield

    @asynccontextmanager
    async def run_told(self, operation: Literal["store", "retrieve"], payloads: int) -> AsyncIterator[Tally]:
        """Run an operation that observers are told of; see `run`.

        Args:
            operation: Which one.
            payloads: How many payloads it is for.

        Yields:
            Where the operation notes what it did.
        """
        tally = Tally()
        started, start = time.time_ns(), time.monotonic()
        failure: str | None = None
        try:
            async with self.run(operation):
                yield tally
        except BaseException as error:
            failure = failure_type_of(error)
            # Not one that was only cancelled, for another driver of the same attempt failed.
            if operation == "store" and isinstance(error, StorageUnavailableError):
                error.driver = self._identity.name
            raise
        finally:
            if self._wants(StorageEvent):
                self._notify(
                    StorageEvent(
                        operation=operation,
                        driver=self._identity.name,
                        payloads=payloads,
                        size=tally.size,
                        duration=time.monotonic() - start,
                        cache_hits=tally.cache_hits,
                        dedupe_hits=tally.dedupe_hits,
                        error=failure,
                        namespace=current_belonging().namespace,
                        retries=tally.retries,
                        keys=tuple(tally.keys),
                        started=started,
                    )
                )

    @asynccontextmanager
    async def _deadline(self, operation: str) -> AsyncIterator[None]:
        seconds = self._timeout.total_seconds()
        within = f"storage.timeout = {seconds:g}s"
        attempt = current_attempt() if operation == "store" else None
        if attempt is not None:
            ends = attempt.ends_with_fallback if self._has_fallback else attempt.ends
            share = ends - asyncio.get_running_loop().time()
            # What it took to get here is not worth telling.
            if share < 0.95 * seconds:
                within = f"{max(share, 0):.2g}s, its part of {within}"
            seconds = min(seconds, share)
        if seconds <= 0:
            raise self._no_answer(within)
        async with operation_within(seconds, lambda: self._no_answer(within)):
            yield

    def _no_answer(self, within: str) -> StorageTimeoutError:
        return StorageTimeoutError(
            f"{self._identity} gave no answer within {within}: the store is "
            "slow or cannot be reached; see that it is up, or raise the timeout"
        )

    @contextmanager
    def _explained(self, operation: str) -> Iterator[None]:
        """Raise what went wrong as a failure that Temporal understands and a person can act on."""
        try:
            yield
        except Exception as error:
            explained = self._on_retries(operation, self._as_application_error(operation, error))
            if explained is error:
                raise
            # Its own cause stays: the exception that wrapped it would make a circle of causes.
            raise explained from explained.__cause__

    def _as_application_error(self, operation: str, error: Exception) -> ApplicationError:
        told = told_by_driver(error)
        if told is not None:
            return told
        kind = StorageUnavailableError if lost_connection(error) else StorageError
        wrapped = kind(f"{self._identity} failed to {operation}: {type(error).__name__}: {error}")
        wrapped.__cause__ = error
        return wrapped

    def _on_retries(self, operation: str, error: ApplicationError) -> ApplicationError:
        """Return the error with core's word on retries, see `docs/failures.md`."""
        if operation == "store":
            return outbound(error)
        if operation == "retrieve" and error.type == PayloadNotFoundError.__name__:
            return self._missing(error)
        return inbound(error)

    def _missing(self, error: ApplicationError) -> PayloadNotFoundError:
        place = self._identity.place
        advice = (
            f'It is taken to be gone for good. If it can come back, set {place}.missing_payload = "retry"'
            if self._missing_is_final
            else f"Temporal tries again until it is there: {self._where_to_look()}. If it is gone for good, "
            f'set {place}.missing_payload = "fail"'
        )
        missing = PayloadNotFoundError(f"{error.message}. {advice}", non_retryable=self._missing_is_final)
        missing.__cause__ = error.__cause__
        return missing.with_traceback(error.__traceback__)

    def _where_to_look(self) -> str:
        place = self._identity.place
        if self._off:
            return (
                f"{place} is off, so that nothing was asked but {' and '.join(self._moved_to)}. If the "
                f"payload was not moved there, take {place}.off back, and run temporal-payloads migrate"
            )
        return (
            f"see that {place} leads to the store that it was written to (another endpoint or database, a "
            "failover, a lost replica)"
        )


def _key_of(claim: StorageDriverClaim) -> str:
    data = claim.claim_data
    return next((data[name] for name in _NAMES_OF_KEYS if name in data), data.get("hash_value", ""))
