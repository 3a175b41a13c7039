"""What core provides around every storage driver: opening, confinement, a deadline, a cache, events."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriver
from temporalio.exceptions import ApplicationError

from temporal_payloads._concurrency.shared_work import shared
from temporal_payloads._plugins.contract import ConfinedClaim
from temporal_payloads._storage.cache.driver_cache import DriverCache, FetchKey, Retrieved
from temporal_payloads._storage.claim_bounds import bounded
from temporal_payloads._storage.content_addressed import DEFAULT_MAX_PAYLOAD_SIZE
from temporal_payloads._storage.digest import Digest, digest_all, store_with
from temporal_payloads._storage.errors import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    StorageMisconfiguredError,
)
from temporal_payloads._storage.namespaces import AllowedNamespaces
from temporal_payloads._storage.operations import DriverIdentity, DriverOperations, Tally
from temporal_payloads._storage.recently_stored import RecentlyStored, StoreKey
from temporal_payloads._storage.sources import MovedStore, OwnStore, SeveralStores
from temporal_payloads._storage.unavailable import told_by_driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
    from datetime import timedelta

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import (
        StorageDriverClaim,
        StorageDriverRetrieveContext,
        StorageDriverStoreContext,
    )

    from temporal_payloads._concurrency.shared_work import Board
    from temporal_payloads._plugins.events import StorageEvent
    from temporal_payloads._storage.asking import AskedDriver
    from temporal_payloads._storage.cache.payload_cache import CacheKey, PayloadCache
    from temporal_payloads._storage.diagnosing import DiagnosisContext, Finding
    from temporal_payloads._storage.sources import Source


class ManagedDriver(StorageDriver):
    """A driver as the SDK gets it from us.

    Args:
        identity: How the driver is called.
        inner: The plugin's driver, and how it is called.
        has_fallback: Whether another driver stores what this one cannot.
        confine: Raises unless a claim lies inside what the driver is configured for.
        namespaces: Whose payloads may be stored and read.
        timeout: Limit of one store or retrieve.
        cache: Where retrieved and stored payloads are kept; None for no cache.
        dedupe: Whether equal bytes that were just stored need not be stored again.
        missing_is_final: Whether a payload that is in none of the stores is gone for good; None if it is
            where payloads expire in all of them.
        notify: Told of each operation when it has ended.
        wants: Whether it wants to be told of such events now.
        max_payload_size: Largest serialized payload in bytes that the driver stores.
        concurrency: How many payloads are asked for at once where they are asked for one by one.
        moved_to: The driver whose store the payloads are moved to; they are looked for there first.
        off: Whether the driver's own store is not used any more: nothing is opened, and nothing read there.
        takes_moved: Whether payloads of another driver are moved to this one's store.
        warning: What is no error, and must be known of the store.
        trusts_claims: Whether claims lead wherever they say, for the driver confines none.
        expiry: How long the store keeps a payload; None if it does not expire.
    """

    def __init__(
        self,
        identity: DriverIdentity,
        inner: AskedDriver,
        *,
        has_fallback: bool,
        confine: Callable[[StorageDriverClaim], ConfinedClaim],
        namespaces: AllowedNamespaces,
        timeout: timedelta,
        cache: PayloadCache | None,
        dedupe: bool,
        missing_is_final: bool | None,
        notify: Callable[[StorageEvent], None],
        wants: Callable[[type[StorageEvent]], bool],
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
        concurrency: int = 1,
        moved_to: ManagedDriver | None = None,
        off: bool = False,
        takes_moved: bool = False,
        warning: str | None = None,
        trusts_claims: bool = False,
        expiry: timedelta | None = None,
    ) -> None:
        later = moved_to.stores_of_moved if moved_to else {}
        self.moved_to = moved_to
        self.off = off
        self._takes_moved = takes_moved
        self.expiry = expiry
        self.expires: bool = expiry is not None and (moved_to is None or moved_to.expires)
        """Whether a payload that none of its stores has may have expired."""
        self.max_payload_size: int = max(max_payload_size, moved_to.max_payload_size if moved_to else 0)
        """Bytes of the largest payload that one of its stores may have."""
        self.warning = warning
        self.trusts_claims = trusts_claims
        self._identity = identity
        self._inner = inner
        self._confine = confine
        self._namespaces = namespaces
        self._operations = DriverOperations(
            identity,
            timeout=timeout,
            missing_is_final=self.expires if missing_is_final is None else missing_is_final,
            notify=notify,
            wants=wants,
            has_fallback=has_fallback,
            moved_to=list(later),
            off=off,
        )
        self.own_store = OwnStore(inner)
        self.moved_store = MovedStore(identity, inner, self.confine)
        here = {} if off else {str(identity): self.moved_store}
        self.stores_of_moved: dict[str, MovedStore] = {**later, **here}
        """Where a payload lies that is moved to this driver, in the order in which it is looked for."""
        own = {} if off else {str(identity): self.own_store}
        self._store = _one_of({**later, **own}, concurrency=concurrency)
        # What was moved is the same payload, wherever it is read from, and is kept once.
        self.cache: DriverCache = moved_to.cache if moved_to else DriverCache(cache, identity.fingerprint)
        self._stored = RecentlyStored() if dedupe else None
        self._stores: Board[StoreKey, StorageDriverClaim] = {}
        self._fetches: Board[FetchKey, Retrieved] = {}
        self._listeners: dict[Callable[[CacheKey], None], asyncio.AbstractEventLoop] = {}

    def __repr__(self) -> str:
        return f"<{self._identity}>"

    def name(self) -> str:
        """Return the name recorded in references."""
        return self._identity.name

    @property
    def identity(self) -> DriverIdentity:
        """How it is called, and what tells its store from others."""
        return self._identity

    def type(self) -> str:
        """Return the SDK driver type."""
        return self._identity.type

    @property
    def fingerprint(self) -> str:
        """What tells its store from others."""
        return self._identity.fingerprint

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[StorageDriver]:
        """Yield the plugin's own driver, for what is not among the SDK's methods: see `CollectableDriver`.

        Raises:
            StorageError: It cannot be opened; one that is off never is.
        """
        if self.off:
            raise StorageMisconfiguredError(f"{self._identity.place} is off: its store is not opened")
        async with AsyncExitStack() as stack:
            async with self._operations.run("open"):
                driver = await stack.enter_async_context(self._inner.driver.use())
            yield driver

    def confine(self, claim: StorageDriverClaim) -> ConfinedClaim:
        """Return the claim as the driver may be given it.

        Raises:
            ClaimRejectedError: It lies outside what the driver is configured for, or is too large for one; or
                the plugin's code breaks on it.
        """
        try:
            confined = self._confine(bounded(claim))
        except ApplicationError:
            raise
        except Exception as error:
            # Input that nobody thought of. It is not followed, and no codec is to blame.
            raise ClaimRejectedError(
                f"{self._identity} does not confine this claim: {type(error).__name__}: {error}"
            ) from error
        self._namespaces.require_readable(confined)
        return confined

    @asynccontextmanager
    async def kept_open(self, *, check: bool = False) -> AsyncIterator[None]:
        """Keep the driver open in this event loop; nothing is opened of one that is off.

        Args:
            check: Also ask the store whether it is there and lets us in.

        Raises:
            StorageError: The driver cannot be opened, or its check failed.
        """
        async with AsyncExitStack() as stack:
            if not self.off:
                async with self._operations.run("open"):
                    await stack.enter_async_context(self._inner.driver.kept_open())
            if check:
                await self.check()
            yield

    async def check(self) -> None:
        """Ask the store whether it is there and lets us in, if the plugin's driver can tell.

        One that is off is not asked.

        Raises:
            StorageError: Why it is of no use.
        """
        if self.off:
            return
        async with self._operations.run("check"), self._inner.driver.use() as driver:
            if self._takes_moved:
                self.moved_store.places_of(driver)
            checker = getattr(driver, "check", None)
            if checker is not None:
                await checker()

    async def diagnose(self, context: DiagnosisContext) -> list[Finding] | None:
        """Return what the plugin's driver finds of its store, or None if it looks at nothing.

        Raises:
            StorageError: Why the store is of no use.
        """
        async with self._operations.run("check"), self._inner.driver.use() as driver:
            diagnose = getattr(driver, "diagnose", None)
            return None if diagnose is None else list(await diagnose(context))

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store payloads and return their claims, in order. Equal payloads are stored once.

        Raises:
            StorageError: Why a payload could not be stored. Retryable, unless an activity made it too large.
        """
        if self.off:
            raise StorageMisconfiguredError(f"{self._identity.place} is off: nothing is stored there")
        async with self._operations.run_told("store", len(payloads)) as tally:
            self._namespaces.require_storable(context.target)
            digests = await digest_all(payloads, self.cache.accepts)
            keys: list[StoreKey] = [(context.target, digest.sha256) for digest in digests]
            wanted = dict(zip(keys, digests, strict=True))
            claims = self._stored.among(wanted) if self._stored else {}
            tally.size = sum(digest.size for digest in digests)
            tally.dedupe_hits = sum(key in claims for key in keys)

            new = {key: wanted[key] for key in wanted if key not in claims}
            claims |= await shared(
                self._stores, new, lambda some: self._put(context, {key: new[key] for key in some}, tally)
            )
            tally.note(claims[key] for key in keys)
            return [claims[key] for key in keys]

    async def _put(
        self, context: StorageDriverStoreContext, items: dict[StoreKey, Digest], tally: Tally
    ) -> dict[StoreKey, StorageDriverClaim]:
        stored = await self._inner.ask(
            lambda driver: store_with(driver, context, list(items.values())), on_retry=tally.retried
        )
        claims = dict(zip(items, stored, strict=True))
        for key, claim in claims.items():
            # A claim that could not be read back must not get into a history.
            confined = self.confine(claim)
            if self._stored:
                self._stored.add(key, claim, self.cache.key(confined))
            data = items[key].data
            if data is not None:
                self.cache.keep(confined, data)
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
        async with self._operations.run_told("retrieve", len(claims)) as tally:
            confined = [self.confine(claim) for claim in claims]
            tally.note(one.claim for one in confined)
            keys = [self.cache.fetch_key(one) for one in confined]
            self._tell_of_reads(keys)
            wanted = dict(zip(keys, confined, strict=True))
            cached = self.cache.get({key.content for key in keys})
            found = {key: cached[key.content] for key in wanted if key.content in cached}
            tally.cache_hits = sum(key in found for key in keys)

            # A payload can be changed by whoever has it: each reader gets one of its own.
            found |= await shared(
                self._fetches,
                [key for key in wanted if key not in found],
                lambda some: self._fetch(context, {key: wanted[key] for key in some}, tally),
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
        return self.cache.key(self.confine(claim))

    def keeps_in_memory(self, size: int) -> bool:
        """Tell whether the cache would have a payload of this size in memory once it was fetched."""
        return self.cache.keeps_in_memory(size)

    async def fetch_ahead(self, context: StorageDriverRetrieveContext, claim: StorageDriverClaim) -> int:
        """Bring a payload into the cache. Whoever asks for it meanwhile shares the fetch.

        Returns:
            Its serialized size in bytes.

        Raises:
            StorageError: As `retrieve` does.
        """
        confined = self.confine(claim)
        key = self.cache.fetch_key(confined)
        size = self.cache.touch(key.content)
        if size is not None:
            return size
        async with self._operations.run_told("retrieve", 1) as tally:
            tally.note([confined.claim])
            found = await shared(self._fetches, [key], lambda _: self._fetch(context, {key: confined}, tally))
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
        claims: dict[FetchKey, ConfinedClaim],
        tally: Tally,
    ) -> dict[FetchKey, Retrieved]:
        cached = await self.cache.get_from_disk({key.content for key in claims})
        found = {key: cached[key.content] for key in claims if key.content in cached}
        tally.cache_hits += len(found)
        missing = [key for key in claims if key not in found]
        if missing:
            with self._forgetting_lost({key.content for key in missing}):
                fetched = await self._store.retrieve(
                    context, [claims[key] for key in missing], on_retry=tally.retried
                )
            tally.fetched += len(missing)
            for key, (payload, data) in zip(missing, fetched, strict=True):
                found[key] = self.cache.keep_fetched(key.content, payload, data)
        return found

    @contextmanager
    def _forgetting_lost(self, contents: Collection[CacheKey]) -> Iterator[None]:
        """Forget that payloads were just stored if the store says that it has lost or damaged them."""
        try:
            yield
        except Exception as error:
            lost = told_by_driver(error)
            if self._stored and lost and lost.type in _LOST:
                # The error does not tell which of them it is. To store one again in vain does no harm.
                self._stored.forget(contents)
            raise


def _one_of(stores: Mapping[str, Source], *, concurrency: int) -> Source:
    if len(stores) == 1:
        return next(iter(stores.values()))
    return SeveralStores(stores, concurrency=concurrency)


_LOST = {PayloadNotFoundError.__name__, PayloadIntegrityError.__name__}
