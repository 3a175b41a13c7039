"""What core provides around every storage driver: opening, confinement, a deadline, a cache, events."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriver
from temporalio.exceptions import ApplicationError

from temporal_payloads._concurrency.offload import run_off_loop
from temporal_payloads._concurrency.shared_work import shared
from temporal_payloads._plugins.contract import ConfinedClaim, StorageEvent
from temporal_payloads._storage.cache.driver_cache import DriverCache, FetchKey, Retrieved
from temporal_payloads._storage.claim_bounds import bounded
from temporal_payloads._storage.content_addressed import DEFAULT_MAX_PAYLOAD_SIZE
from temporal_payloads._storage.errors import (
    PayloadIntegrityError,
    PayloadNotFoundError,
    StorageError,
    StorageTimeoutError,
)
from temporal_payloads._storage.namespaces import AllowedNamespaces
from temporal_payloads._storage.recently_stored import RecentlyStored, StoreKey
from temporal_payloads._storage.retries import inbound, outbound
from temporal_payloads._storage.serialized import SerializedPayload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
    from datetime import timedelta
    from typing import Literal

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import (
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

    from temporal_payloads._concurrency.per_loop import PerLoop
    from temporal_payloads._concurrency.shared_work import Board
    from temporal_payloads._storage.cache.payload_cache import CacheKey, PayloadCache


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

    def __str__(self) -> str:
        return f"storage driver {self.name!r} ({self.place})"


@dataclass
class _Tally:
    """What one call did, for its event."""

    size: int = 0
    cache_hits: int = 0
    dedupe_hits: int = 0
    fetched: int = 0
    """Payloads that came from the store."""


class ManagedDriver(StorageDriver):
    """A driver as the SDK gets it from us.

    Args:
        identity: How the driver is called.
        inner: The plugin's driver, opened once per event loop.
        confine: Raises unless a claim lies inside what the driver is configured for.
        namespaces: Whose payloads may be stored and read.
        timeout: Limit of one store or retrieve.
        cache: Where retrieved and stored payloads are kept; None for no cache.
        dedupe: Whether equal bytes that were just stored need not be stored again.
        missing_is_final: Whether a payload that the store does not have is gone for good.
        notify: Told of each operation when it has ended.
        max_payload_size: Largest serialized payload in bytes that the driver stores.
    """

    def __init__(
        self,
        identity: DriverIdentity,
        inner: PerLoop[StorageDriver],
        *,
        confine: Callable[[StorageDriverClaim], ConfinedClaim],
        namespaces: AllowedNamespaces,
        timeout: timedelta,
        cache: PayloadCache | None,
        dedupe: bool,
        missing_is_final: bool,
        notify: Callable[[StorageEvent], None],
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
    ) -> None:
        self.max_payload_size = max_payload_size
        self._identity = identity
        self._inner = inner
        self._confine = confine
        self._namespaces = namespaces
        self._timeout = timeout
        self._cache = DriverCache(cache, identity.fingerprint)
        self._stored = RecentlyStored() if dedupe else None
        self._missing_is_final = missing_is_final
        self._notify = notify
        self._stores: Board[StoreKey, StorageDriverClaim] = {}
        self._fetches: Board[FetchKey, Retrieved] = {}
        self._listeners: dict[Callable[[CacheKey], None], asyncio.AbstractEventLoop] = {}

    def __repr__(self) -> str:
        return f"<{self._identity}>"

    def name(self) -> str:
        """Return the name recorded in references."""
        return self._identity.name

    def type(self) -> str:
        """Return the SDK driver type."""
        return self._identity.type

    def confine(self, claim: StorageDriverClaim) -> ConfinedClaim:
        """Return the claim as the driver may be given it.

        Raises:
            ClaimRejectedError: It lies outside what the driver is configured for, or is too large for one.
        """
        confined = self._confine(bounded(claim))
        self._namespaces.require_readable(confined)
        return confined

    @asynccontextmanager
    async def kept_open(self, *, check: bool = False) -> AsyncIterator[None]:
        """Keep the driver open in this event loop.

        Args:
            check: Also ask the store whether it is there and lets us in.

        Raises:
            StorageError: The driver cannot be opened, or its check failed.
        """
        async with AsyncExitStack() as stack:
            with self._explained("open"):
                async with self._deadline():
                    await stack.enter_async_context(self._inner.kept_open())
            if check:
                await self.check()
            yield

    async def check(self) -> None:
        """Ask the store whether it is there and lets us in, if the plugin's driver can tell.

        Raises:
            StorageError: Why it is of no use.
        """
        with self._explained("check"):
            async with self._deadline(), self._inner.use() as driver:
                checker = getattr(driver, "check", None)
                if checker is not None:
                    await checker()

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store payloads and return their claims, in order. Equal payloads are stored once.

        Raises:
            StorageError: Why a payload could not be stored. Retryable except in an activity.
        """
        async with self._operation("store", len(payloads)) as tally:
            self._namespaces.require_storable(context.target)
            digests = await self._digests(payloads)
            keys: list[StoreKey] = [(context.target, digest.sha256) for digest in digests]
            wanted = dict(zip(keys, zip(payloads, digests, strict=True), strict=True))
            claims = self._stored.among(wanted) if self._stored else {}
            tally.size = sum(digest.size for digest in digests)
            tally.dedupe_hits = sum(key in claims for key in keys)

            new = {key: wanted[key] for key in wanted if key not in claims}
            claims |= await shared(
                self._stores, new, lambda some: self._put(context, {key: new[key] for key in some})
            )
            return [claims[key] for key in keys]

    async def _put(
        self, context: StorageDriverStoreContext, items: dict[StoreKey, tuple[Payload, _Digest]]
    ) -> dict[StoreKey, StorageDriverClaim]:
        async with self._inner.use() as driver:
            stored = await driver.store(context, [payload for payload, _ in items.values()])
        claims = dict(zip(items, stored, strict=True))
        for key, claim in claims.items():
            # A claim that could not be read back must not get into a history.
            confined = self.confine(claim)
            if self._stored:
                self._stored.add(key, claim, self._cache.key(confined))
            data = items[key][1].data
            if data is not None:
                self._cache.keep(confined, data)
        return claims

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Retrieve the payloads of claims, in order. Concurrent readers of one payload share one fetch.

        Raises:
            ClaimRejectedError: A claim lies outside what the driver is configured for; nothing was fetched.
            PayloadNotFoundError: The store has no such payload. Non-retryable if it is gone for good.
            StorageError: Why a payload could not be retrieved. Retryable, whatever the driver raised.
        """
        return [one.payload for one in await self.retrieve_sized(context, claims)]

    async def retrieve_sized(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Retrieved]:
        """Retrieve payloads and their sizes; see `retrieve`."""
        async with self._operation("retrieve", len(claims)) as tally:
            confined = [self.confine(claim) for claim in claims]
            keys = [self._cache.fetch_key(one) for one in confined]
            self._tell_of_reads(keys)
            wanted = dict(zip(keys, confined, strict=True))
            cached = self._cache.get({key.content for key in keys})
            found = {key: cached[key.content] for key in wanted if key.content in cached}
            tally.cache_hits = sum(key in found for key in keys)

            # A payload can be changed by whoever has it: each reader gets one of its own.
            found |= await shared(
                self._fetches,
                [key for key in wanted if key not in found],
                lambda some: self._fetch(context, {key: wanted[key].claim for key in some}, tally),
                copy=Retrieved.copy,
            )
            tally.cache_hits = len(keys) - tally.fetched
            retrieved: list[Retrieved] = []
            given: set[CacheKey] = set()
            for key in keys:
                retrieved.append(found[key].copy() if key.content in given else found[key])
                given.add(key.content)
            tally.size = sum(one.size for one in retrieved)
            return retrieved

    # -- ahead of the SDK's asking

    def content_of(self, claim: StorageDriverClaim) -> CacheKey:
        """Return what a claim's payload is kept under in the cache.

        Raises:
            ClaimRejectedError: The claim lies outside what the driver is configured for.
        """
        return self._cache.key(self.confine(claim))

    def keeps_in_memory(self, size: int) -> bool:
        """Tell whether the cache would have a payload of this size in memory once it was fetched."""
        return self._cache.keeps_in_memory(size)

    async def fetch_ahead(self, context: StorageDriverRetrieveContext, claim: StorageDriverClaim) -> int:
        """Bring a payload into the cache. Whoever asks for it meanwhile shares the fetch.

        Returns:
            Its serialized size in bytes.

        Raises:
            StorageError: As `retrieve` does.
        """
        confined = self.confine(claim)
        key = self._cache.fetch_key(confined)
        size = self._cache.touch(key.content)
        if size is not None:
            return size
        async with self._operation("retrieve", 1) as tally:
            found = await shared(
                self._fetches, [key], lambda _: self._fetch(context, {key: confined.claim}, tally)
            )
            tally.size = found[key].size
            tally.cache_hits = 1 - tally.fetched
            return tally.size

    @contextmanager
    def telling_of_reads(self, listener: Callable[[CacheKey], None]) -> Iterator[None]:
        """Tell the listener what is asked for in this event loop; what is fetched ahead is not told."""
        self._listeners[listener] = asyncio.get_running_loop()
        try:
            yield
        finally:
            del self._listeners[listener]

    def _tell_of_reads(self, keys: Collection[FetchKey]) -> None:
        for listener, loop in list(self._listeners.items()):
            if loop is asyncio.get_running_loop():
                for key in keys:
                    listener(key.content)

    async def _fetch(
        self,
        context: StorageDriverRetrieveContext,
        claims: dict[FetchKey, StorageDriverClaim],
        tally: _Tally,
    ) -> dict[FetchKey, Retrieved]:
        cached = await self._cache.get_from_disk({key.content for key in claims})
        found = {key: cached[key.content] for key in claims if key.content in cached}
        tally.cache_hits += len(found)
        missing = [key for key in claims if key not in found]
        if missing:
            async with self._inner.use() as driver:
                with self._forgetting_lost({key.content for key in missing}):
                    payloads = await driver.retrieve(context, [claims[key] for key in missing])
            tally.fetched += len(missing)
            for key, payload in zip(missing, payloads, strict=True):
                found[key] = self._cache.keep_fetched(key.content, payload)
        return found

    @contextmanager
    def _forgetting_lost(self, contents: Collection[CacheKey]) -> Iterator[None]:
        """Forget that payloads were just stored if the store says that it has lost or damaged them."""
        try:
            yield
        except Exception as error:
            lost = error if isinstance(error, ApplicationError) else _storage_error_in(error)
            if self._stored and lost and lost.type in _LOST:
                # The error does not tell which of them it is. To store one again in vain does no harm.
                self._stored.forget(contents)
            raise

    async def _digests(self, payloads: Sequence[Payload]) -> list[_Digest]:
        serialized = deque(SerializedPayload.of(payload) for payload in payloads)
        # Taken out one by one: what the thread still held when it is done would be one copy more.
        return await run_off_loop(
            lambda: [self._digest(serialized.popleft()) for _ in payloads],
            sum(len(one) for one in serialized),
        )

    def _digest(self, serialized: SerializedPayload) -> _Digest:
        size = len(serialized)
        return _Digest(serialized.sha256(), size, serialized.join() if self._cache.accepts(size) else None)

    @asynccontextmanager
    async def _operation(
        self, operation: Literal["store", "retrieve"], payloads: int
    ) -> AsyncIterator[_Tally]:
        tally = _Tally()
        start = time.monotonic()
        failure: str | None = None
        try:
            with self._explained(operation):
                async with self._deadline():
                    yield tally
        except BaseException as error:
            failure = getattr(error, "type", None) or type(error).__name__
            raise
        finally:
            self._notify(
                StorageEvent(
                    operation=operation,
                    driver=self.name(),
                    payloads=payloads,
                    size=tally.size,
                    duration=time.monotonic() - start,
                    cache_hits=tally.cache_hits,
                    dedupe_hits=tally.dedupe_hits,
                    error=failure,
                )
            )

    @asynccontextmanager
    async def _deadline(self) -> AsyncIterator[None]:
        seconds = self._timeout.total_seconds()
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                yield
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise StorageTimeoutError(
                f"{self._identity} gave no answer within storage.timeout = {seconds:g}s: the store is "
                "slow or cannot be reached; see that it is up, or raise the timeout"
            ) from error

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
        if isinstance(error, ApplicationError):
            return error
        raised_by_driver = _storage_error_in(error)
        if raised_by_driver is not None:
            return raised_by_driver
        wrapped = StorageError(f"{self._identity} failed to {operation}: {type(error).__name__}: {error}")
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
            else f"Temporal tries again until it is there: see that {place} leads to the store that it was "
            "written to (another endpoint or database, a failover, a lost replica). If it is gone for good, "
            f'set {place}.missing_payload = "fail"'
        )
        missing = PayloadNotFoundError(f"{error.message}. {advice}", non_retryable=self._missing_is_final)
        missing.__cause__ = error.__cause__
        return missing.with_traceback(error.__traceback__)


_LOST = {PayloadNotFoundError.__name__, PayloadIntegrityError.__name__}


def _storage_error_in(error: BaseException) -> ApplicationError | None:
    """Return the error that a driver raised before an SDK driver wrapped it."""
    cause = error.__cause__
    while cause is not None and not isinstance(cause, ApplicationError):
        cause = cause.__cause__
    return cause


@dataclass(frozen=True)
class _Digest:
    """What is to be known of a payload once it need no longer be there as bytes."""

    sha256: str
    size: int
    data: bytes | None
    """The serialized payload, if the cache would keep it."""
