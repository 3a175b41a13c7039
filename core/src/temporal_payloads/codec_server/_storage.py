"""Payloads in storage, for one request: read within what the caller may see, and stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverSelectContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from temporal_payloads._plugins.contract import PayloadReaderContext
from temporal_payloads._storage.external_storage import PayloadStorage
from temporal_payloads._storage.references import Reference, as_the_sdk_writes_it, read_reference
from temporal_payloads.codec_server._errors import Code, RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporalio.api.common.v1 import Payload
    from temporalio.converter import ExternalStorage, StorageDriver, StorageDriverClaim

    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._settings.codec_server import CodecServerSettings
    from temporal_payloads._storage.cache.driver_cache import Retrieved
    from temporal_payloads._storage.managed_driver import ManagedDriver
    from temporal_payloads.codec_server._limits import Allowance
    from temporal_payloads.codec_server._profiles import Profile


ClaimKey = tuple[str, str]
"""Which driver, and the canonical claim: equal for references to the same payload."""


@dataclass(frozen=True)
class Found:
    """A reference that the caller may follow."""

    driver: ManagedDriver
    claim: StorageDriverClaim
    sha256: str

    @property
    def key(self) -> ClaimKey:
        """What tells it apart from others."""
        return (self.driver.name(), repr(sorted(self.claim.claim_data.items())))


@dataclass
class Access:
    """What one request reads, on whose behalf; for the audit log as well."""

    profile: Profile
    namespace: str
    settings: CodecServerSettings
    reads: list[Read] = field(default_factory=list)
    """What was read so far."""

    @cached_property
    def codec(self) -> CodecChain:
        """The profile's codecs, for what the caller may read."""
        also_reads = frozenset(self.settings.also_reads.get(self.namespace, ()))
        return self.profile.codec.with_context(PayloadReaderContext(self.namespace, also_reads))


@dataclass(frozen=True)
class Read:
    """One stored payload that was asked for, as the audit log has it."""

    driver: str
    sha256: str
    size: int
    """Bytes that were read."""
    outcome: str
    """`served`, `interrupted`, or the code of the error."""


def find(access: Access, payload: Payload) -> Found:
    """Return what a reference refers to.

    Raises:
        RequestError: Its driver is unknown, or the caller may not follow it.
        ClaimRejectedError: It lies outside what its driver is configured for.
    """
    reference = read_reference(payload)
    driver = access.profile.driver(reference.driver_name)
    if driver is None:
        known = ", ".join(sorted(each.name() for each in access.profile.assembly.drivers.values())) or "none"
        raise RequestError(
            422,
            Code.UNKNOWN_DRIVER,
            f"the storage driver {reference.driver_name[:80]!r} of the reference is not configured here",
            detail=f"configured: {known}",
        )
    if driver.trusts_claims:
        raise RequestError(
            403,
            Code.REFERENCE_REJECTED,
            f"the storage driver {driver.name()!r} trusts its claims, which may lead into any namespace",
            detail="give the driver a method confine(claim), by which its payloads can be told apart",
        )
    confined = driver.confine(reference.claim)
    _require_namespace(access, confined.namespace)
    return Found(driver, confined.claim, confined.sha256)


def _require_namespace(access: Access, stored_by: str | None) -> None:
    settings = access.settings
    if stored_by is None:
        if not settings.keys_without_namespace:
            raise RequestError(
                403,
                Code.REFERENCE_REJECTED,
                "the reference's key names no namespace; this server does not serve such payloads",
                detail="codec_server.keys_without_namespace = true can allow it",
            )
    elif stored_by != access.namespace and stored_by not in settings.also_reads.get(access.namespace, ()):
        asked = f"namespace {access.namespace!r}" if access.namespace else "a request without X-Namespace"
        raise RequestError(
            403,
            Code.REFERENCE_REJECTED,
            f"the reference leads to a payload of namespace {stored_by!r}, which is not for {asked}",
            detail="codec_server.also_reads can allow it",
        )


async def fetch(allowance: Allowance, found: Found) -> Retrieved:
    """Read a payload from its storage, when it is its turn.

    Raises:
        StorageError: Why it could not be read.
    """
    async with allowance.read():
        [stored] = await found.driver.retrieve_sized(StorageDriverRetrieveContext(), [found.claim])
    return stored


async def store(access: Access, payloads: Sequence[Payload]) -> list[Payload]:
    """Store the payloads that a worker would store, and return references for those.

    Raises:
        StorageError: Why one could not be stored.
    """
    storage = access.profile.storage
    if storage is None or storage.driver_selector is None:
        return list(payloads)
    where_routed = partial(_store_where_routed, access, storage)
    if isinstance(storage, PayloadStorage):
        stored = await storage.fallbacks.store(payloads, where_routed)
        storage.tell_of_inline(payloads, stored)
        return stored
    return await where_routed(payloads)


async def _store_where_routed(
    access: Access, storage: ExternalStorage, payloads: Sequence[Payload]
) -> list[Payload]:
    assert storage.driver_selector is not None  # see above
    target = StorageDriverWorkflowInfo(namespace=access.namespace) if access.namespace else None
    results = list(payloads)
    by_driver: dict[StorageDriver, list[int]] = {}
    for index, payload in enumerate(payloads):
        if payload.ByteSize() >= storage.payload_size_threshold:
            driver = storage.driver_selector(StorageDriverSelectContext(target=target), payload)
            if driver is not None:
                by_driver.setdefault(driver, []).append(index)
    for driver, indexes in by_driver.items():
        claims = await driver.store(StorageDriverStoreContext(target=target), [results[i] for i in indexes])
        for index, claim in zip(indexes, claims, strict=True):
            size = results[index].ByteSize()
            reference = Reference(driver.name(), claim, size).to_payload()
            results[index] = await as_the_sdk_writes_it(reference, access.codec)
    return results
