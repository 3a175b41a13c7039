"""References as histories have them, whatever the settings say of their drivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriverClaim

from temporal_payloads._operate.embedded import hashes_in
from temporal_payloads._storage.alias import DriverAlias
from temporal_payloads._storage.errors import ClaimRejectedError
from temporal_payloads._storage.external_storage import unknown_driver
from temporal_payloads._storage.managed_driver import ManagedDriver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporalio.converter import StorageDriver

    from temporal_payloads._plugins.contract import ConfinedClaim
    from temporal_payloads._storage.references import Reference

LARGEST = 2**31 - 1
"""Bytes of the largest payload that there can be: no protobuf message has more."""


@dataclass(frozen=True, slots=True)
class RecordedReference:
    """What a reference says, as it was recorded. It can be kept, compared and put into sets."""

    driver_name: str
    claim_data: tuple[tuple[str, str], ...]
    """The claim's names and values, sorted."""
    size: int
    """Bytes of the stored payload, as the reference says, up to `LARGEST`; 0 if it does not say. Not to be
    relied on."""

    @classmethod
    def of(cls, reference: Reference) -> RecordedReference:
        """Return a reference that was read, as it was recorded."""
        claim_data = tuple(sorted(reference.claim.claim_data.items()))
        return cls(reference.driver_name, claim_data, min(max(reference.size, 0), LARGEST))

    @property
    def claim(self) -> StorageDriverClaim:
        """The claim, as the SDK's drivers take it."""
        return StorageDriverClaim(claim_data=dict(self.claim_data))

    @property
    def hashes(self) -> set[str]:
        """Whatever in the claim may be the hash of a payload."""
        return {found for pair in self.claim_data for text in pair for found in hashes_in(text.encode())}


class ConfinedReferences:
    """Tells what a recorded reference means for the stores that the settings have.

    Args:
        drivers: Those of the data converter, with their earlier names (`read_aliases`).
    """

    def __init__(self, drivers: Iterable[StorageDriver]) -> None:
        self._drivers: dict[str, ManagedDriver] = {}
        for driver in drivers:
            managed = driver.driver if isinstance(driver, DriverAlias) else driver
            if isinstance(managed, ManagedDriver):
                self._drivers[driver.name()] = managed

    def of(self, reference: RecordedReference) -> tuple[ManagedDriver, ConfinedClaim] | None:
        """Return the driver and the canonical claim of what a reference leads to.

        None means that nobody reads it: its driver rejects the claim. A stranger can put anything into an
        input, so that this is no reason to stop; but as settings may be wrong and be mended, each of the
        reference's `hashes` is to be taken for needed, wherever it lies.

        Raises:
            UnknownDriverError: No driver of this name is configured. It may be any store, so that nothing is
                known of what is needed.
        """
        driver = self.driver_of(reference)
        try:
            return driver, driver.confine(reference.claim)
        except ClaimRejectedError:
            return None

    def driver_of(self, reference: RecordedReference) -> ManagedDriver:
        """Return the driver that a reference names, whether it follows it or not.

        Raises:
            UnknownDriverError: No driver of this name is configured.
        """
        driver = self._drivers.get(reference.driver_name)
        if driver is None:
            raise unknown_driver(reference.driver_name, list(self._drivers))
        return driver
