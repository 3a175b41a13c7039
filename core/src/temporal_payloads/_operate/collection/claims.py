"""From what histories refer to, to marks: the settings' drivers say which payload a recorded claim means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._operate.marks import mark_of_claim, mark_of_hash
from temporal_payloads._storage.errors import StorageMisconfiguredError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from temporalio.converter import StorageDriverClaim

    from temporal_payloads._operate.recorded import ConfinedReferences, RecordedReference
    from temporal_payloads._storage.managed_driver import ManagedDriver

    Place = Callable[[str | None, str], StorageDriverClaim]
    """Where a payload of a namespace (None: of none) and a SHA-256 lies: `CollectableDriver.claim_for`."""


class Claims:
    """Tells the marks of references.

    Args:
        references: Tells what they mean for the stores of the settings.
        moved_to: Of drivers whose payloads are moved: the stores that they may be in, one after the other.
    """

    def __init__(
        self, references: ConfinedReferences, moved_to: Mapping[ManagedDriver, Sequence[Place]]
    ) -> None:
        self._references = references
        self._moved_to = moved_to

    def marks_of(self, reference: RecordedReference) -> Iterator[bytes]:
        """Yield the marks of what a reference leads to, wherever it may lie.

        Raises:
            UnknownDriverError: No driver of the settings has the name that it records.
        """
        found = self._references.of(reference)
        if found is None:
            yield from map(mark_of_hash, reference.hashes)
            return
        driver, confined = found
        yield mark_of_claim(confined.claim, confined.sha256)
        for place in self._moved_to.get(driver, ()):
            try:
                moved = place(confined.namespace, confined.sha256)
            except StorageMisconfiguredError:
                # It has no place for such a payload. What it may have under this hash all the same is kept.
                yield mark_of_hash(confined.sha256)
            else:
                yield mark_of_claim(moved, confined.sha256)
