"""The stores in which a driver's payloads may lie: its own, and those that they were moved to."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol

from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._concurrency.time_limit import operation_within, time_left
from temporal_payloads._storage.digest import retrieve_with
from temporal_payloads._storage.errors import (
    PayloadIntegrityError,
    PayloadNotFoundError,
    StorageMisconfiguredError,
    StorageTimeoutError,
)
from temporal_payloads._storage.serialized import SerializedPayload, serialize, takes_serialized
from temporal_payloads._storage.unavailable import is_unavailable, told_by_driver

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import StorageDriver, StorageDriverClaim, StorageDriverRetrieveContext

    from temporal_payloads._plugins.contract import ConfinedClaim
    from temporal_payloads._storage.asking import AskedDriver
    from temporal_payloads._storage.operations import DriverIdentity

    Found = tuple[Payload, bytes | None]
    """A payload, and its bytes in the store if the driver tells them."""
    Retrieve = Callable[[Sequence[ConfinedClaim]], Awaitable[Sequence[Found]]]

logger = logging.getLogger("temporal_payloads")

SHARE = 2 / 3
"""Part of the time that is left which a store has to answer if there is another one after it."""
TOLD_EVERY = 60.0
"""Seconds between two warnings of the same store."""
MISSES_FOR = 60.0
"""Seconds for which a store that did not have a payload is asked for each by itself: it will lack more."""


def _nothing() -> None:
    """Do nothing."""


class Source(Protocol):
    """A store that may have a driver's payloads."""

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[ConfinedClaim],
        *,
        on_retry: Callable[[], None] = _nothing,
    ) -> Sequence[Found]:
        """Retrieve the payloads of the driver's claims, all of them or none."""


class OwnStore:
    """The store that the driver itself wrote to, where a claim leads.

    Args:
        asked: The driver.
    """

    def __init__(self, asked: AskedDriver) -> None:
        self._asked = asked

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[ConfinedClaim],
        *,
        on_retry: Callable[[], None] = _nothing,
    ) -> Sequence[Found]:
        """Retrieve the payloads of the claims, all of them or none."""
        return await self._asked.ask(
            lambda driver: retrieve_with(driver, context, [one.claim for one in claims]), on_retry=on_retry
        )


class MovedStore:
    """A store that payloads were moved to. They lie under their namespaces and hashes, whoever wrote them.

    Args:
        identity: How the driver of that store is called.
        asked: That driver.
        confine: Confines its claims.
    """

    def __init__(
        self,
        identity: DriverIdentity,
        asked: AskedDriver,
        confine: Callable[[StorageDriverClaim], ConfinedClaim],
    ) -> None:
        self._identity = identity
        self._asked = asked
        self._confine = confine

    def __str__(self) -> str:
        return str(self._identity)

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[ConfinedClaim],
        *,
        on_retry: Callable[[], None] = _nothing,
    ) -> Sequence[Found]:
        """Retrieve the payloads that another driver's claims stand for, all of them or none."""
        return await self._asked.ask(
            lambda driver: retrieve_with(driver, context, [self.claim_for(driver, one) for one in claims]),
            on_retry=on_retry,
        )

    def places_of(self, driver: StorageDriver) -> Callable[[str | None, str], StorageDriverClaim]:
        """Return what says where a payload of a namespace and a hash lies in this store.

        Args:
            driver: This store's driver.

        Raises:
            StorageMisconfiguredError: The driver cannot tell.
        """
        claim_for: Callable[[str | None, str], StorageDriverClaim] | None = getattr(driver, "claim_for", None)
        if claim_for is None:
            raise StorageMisconfiguredError(
                f"No payloads can be moved to {self._identity}: its driver has no method "
                "claim_for(namespace, sha256), which says where a payload lies. Name another one in moved_to",
                store_asked=False,
            )
        return claim_for

    def claim_for(self, driver: StorageDriver, moved: ConfinedClaim) -> StorageDriverClaim:
        """Return the claim under which this store has a payload that another driver's claim stands for.

        Args:
            driver: This store's driver.
            moved: The other driver's claim, confined by that driver.

        Raises:
            StorageMisconfiguredError: The driver cannot tell, or has no place for such a payload.
        """
        confined = self._confine(self.places_of(driver)(moved.namespace, moved.sha256))
        if (confined.namespace, confined.sha256) != (moved.namespace, moved.sha256):
            raise StorageMisconfiguredError(
                f"claim_for of {self._identity} mistakes one payload for another: asked for one of namespace "
                f"{moved.namespace!r}, it made a claim of {confined.namespace!r}. Correct its plugin",
                store_asked=False,
            )
        return confined.claim

    async def store(self, moved: ConfinedClaim, payload: Payload, data: bytes) -> None:
        """Store a payload that is moved here, under its namespace and hash.

        Args:
            moved: The other driver's claim, confined by that driver.
            payload: The payload.
            data: Its bytes in the other store. Not every SDK serializes a payload alike, and the hash is that
                of these.

        Raises:
            PayloadTooLargeError: The driver does not store payloads as large as that.
            PayloadIntegrityError: The driver serializes payloads itself, and that gives other bytes.
            StorageError: Why it could not be stored.
        """
        target = StorageDriverWorkflowInfo(namespace=moved.namespace) if moved.namespace else None
        context = StorageDriverStoreContext(target=target)

        async def store(driver: StorageDriver) -> None:
            claim = self.claim_for(driver, moved)
            if takes_serialized(driver):
                serialized = SerializedPayload((data,), moved.sha256)
                [stored] = await driver.store_serialized(context, [serialized])
            elif b"".join(serialize(payload)) == data:
                [stored] = await driver.store(context, [payload])
            else:
                raise PayloadIntegrityError(
                    f"{self._identity} serializes payloads by itself, and this one, which was serialized "
                    "otherwise, would get another hash. It needs a method store_serialized"
                )
            if self._confine(stored).claim != claim:
                raise StorageMisconfiguredError(
                    f"{self._identity} stores a payload elsewhere than claim_for says. Correct its plugin",
                    store_asked=False,
                )

        await self._asked.ask(store)


class SeveralStores:
    """Stores of which one has a payload, asked one after the other.

    As long as one of them has it, it is read: that another one has not got it yet, is down or has damaged it
    ends nothing.

    Args:
        stores: In the order in which they are asked, by what messages call them.
        concurrency: How many payloads are asked for at once where they are asked for one by one.
    """

    def __init__(self, stores: Mapping[str, Source], *, concurrency: int) -> None:
        self._stores = stores
        self._concurrency = concurrency
        self._told: dict[str, float] = {}
        self._missed: dict[str, float] = {}
        """When the stores last did not have a payload."""

    async def retrieve(
        self,
        context: StorageDriverRetrieveContext,
        claims: Sequence[ConfinedClaim],
        *,
        on_retry: Callable[[], None] = _nothing,
    ) -> Sequence[Found]:
        """Retrieve the payloads of the claims, each from the first store that has it.

        Raises:
            PayloadNotFoundError: No store has one of them.
            Exception: Why one could not be had from a store that may have it.
        """
        found: dict[int, Found] = {}
        failures: dict[int, list[Exception]] = {index: [] for index in range(len(claims))}
        wanted = list(failures)
        *others, last = self._stores
        # A payload may be moved after the new store was asked, and go from the old one before that is: what
        # none of them has is looked for once more in those that it may have been moved to.
        for position, name in enumerate((*others, last, *others)):
            if position > len(others) and not all(_is_missing(one) for i in wanted for one in failures[i]):
                break
            store = self._stores[name]

            async def retrieve(claims: Sequence[ConfinedClaim], store: Source = store) -> Sequence[Found]:
                return await store.retrieve(context, claims, on_retry=on_retry)

            asked = [claims[index] for index in wanted]
            if position < len(others):
                outcomes = await self._ask_in_part_of_the_time(name, retrieve, asked)
            else:
                outcomes = await self._ask(name, retrieve, asked)
            if any(isinstance(outcome, Exception) and _is_missing(outcome) for outcome in outcomes):
                self._missed[name] = time.monotonic()
            for index, outcome in zip(wanted, outcomes, strict=True):
                if isinstance(outcome, Exception):
                    failures[index].append(outcome)
                else:
                    found[index] = outcome
            wanted = [index for index in wanted if index not in found]
            if not wanted:
                return [found[index] for index in range(len(claims))]
            if position < len(others):
                self._tell(name, [failures[index][-1] for index in wanted])
        raise _worst(failures[wanted[0]])

    async def _ask(
        self, name: str, retrieve: Retrieve, claims: Sequence[ConfinedClaim]
    ) -> Sequence[Found | Exception]:
        """Ask a store for payloads, all at once, or one by one if it does not have them all.

        A store fails for all if one is missing, and does not tell which. So that all the others are not
        fetched twice, one that has lately missed some is asked one by one from the start.
        """
        if len(claims) == 1 or time.monotonic() - self._missed.get(name, float("-inf")) > MISSES_FOR:
            try:
                return await retrieve(claims)
            except Exception as error:  # noqa: BLE001  # a driver may raise anything; the caller decides
                if len(claims) == 1 or is_unavailable(error):
                    return [error] * len(claims)

        async def ask_for(claim: ConfinedClaim) -> Found | Exception:
            try:
                [found] = await retrieve([claim])
            except Exception as error:  # noqa: BLE001  # likewise
                return error
            return found

        return await gather_bounded(ask_for, claims, self._concurrency)

    async def _ask_in_part_of_the_time(
        self, name: str, retrieve: Retrieve, claims: Sequence[ConfinedClaim]
    ) -> Sequence[Found | Exception]:
        """Ask a store, and leave time for those after it."""
        late = StorageTimeoutError(f"{name} gave no answer within its part of storage.timeout")
        try:
            async with operation_within(time_left() * SHARE, lambda: late):
                return await self._ask(name, retrieve, claims)
        except StorageTimeoutError as error:
            return [error] * len(claims)

    def _tell(self, name: str, failures: Sequence[Exception]) -> None:
        """Warn of what is more than a payload that has not been moved yet."""
        failure = next((error for error in failures if not _is_missing(error)), None)
        now = time.monotonic()
        if failure is None or now - self._told.get(name, float("-inf")) < TOLD_EVERY:
            return
        self._told[name] = now
        logger.warning(
            "Payloads are looked for in the store that they are moved from, for %s failed: %s (told once a "
            "minute)",
            name,
            failure,
        )


def _worst(failures: Sequence[Exception]) -> Exception:
    """Return what tells why a payload could not be had from any of the stores.

    That it is missing is told only if it is missing everywhere: that may be final.
    """
    for error in failures:
        if not _is_missing(error):
            return error
    told = [one.message for one in map(told_by_driver, failures) if one is not None]
    return PayloadNotFoundError("; ".join(dict.fromkeys(told)))


def _is_missing(error: Exception) -> bool:
    told = told_by_driver(error)
    return told is not None and told.type == PayloadNotFoundError.__name__
