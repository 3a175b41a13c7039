"""The payloads that are to be moved: each once, however many references lead to it, in constant memory."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.converter import StorageDriverClaim

from temporal_payloads._operate.partitions import Partitions
from temporal_payloads._plugins.contract import ConfinedClaim

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from temporal_payloads._operate.holders import Holder
    from temporal_payloads._operate.migration.move import Move
    from temporal_payloads._operate.recorded import ConfinedReferences, RecordedReference
    from temporal_payloads._storage.collecting import ListedPayload
    from temporal_payloads._storage.managed_driver import ManagedDriver

PLACES = 16
"""Under how many keys of the old store a payload is looked for. Of thousands of runs that have stored the
same one, each has a key of its own, and all of them hold the same bytes."""
_REJECTED = b"rejected"
"""Stands at a doubted hash that is in a reference which its driver rejects."""


@dataclass(frozen=True)
class WantedPayload:
    """A payload that is to be moved."""

    key: bytes
    """What tells it from others: 16 bytes, of namespace and hash."""
    namespace: str | None
    sha256: str
    size: int
    """Bytes, as a reference or the store's listing says; 0 if none does. Not to be relied on."""
    places: Sequence[tuple[ManagedDriver, ConfinedClaim]]
    """Which references lead to it: their drivers and confined claims."""

    @property
    def content(self) -> ConfinedClaim:
        """A claim that stands for it, to look for it where it is moved to."""
        return self.places[0][1]


class Wanted:
    """Gathers what is to be moved. It is a `Needed`.

    Args:
        directory: A local directory for what does not fit into memory.
        move: From where to where.
        drivers: All drivers, by the keys of their tables.
        references: Tells what recorded references mean.
    """

    def __init__(
        self,
        directory: Path,
        move: Move,
        drivers: Mapping[str, ManagedDriver],
        references: ConfinedReferences,
    ) -> None:
        self._move = move
        self._drivers = drivers
        self._keys = {driver: key for key, driver in drivers.items()}
        self._references = references
        self._payloads = Partitions(directory / "payloads")
        self._doubts = Partitions(directory / "doubts")
        self._listed = Partitions(directory / "listed")
        self.found = 0
        """References to payloads that are to be moved, however often they lead to the same one."""
        self.rejected = 0
        """References that nobody follows, for their drivers reject their claims."""
        self.without_namespace = 0
        """References to payloads that have no namespace."""
        self.doubts_not_listed = 0
        """Hashes that were noted, and that no store lists; known after `join`."""
        self.rejected_not_listed = 0
        """Those of them that are in references which the source's driver, or one before it, rejects."""

    def refer(self, reference: RecordedReference) -> None:
        """Note a reference.

        Raises:
            UnknownDriverError: No driver of the settings has the name that it records.
        """
        found = self._references.of(reference)
        if found is None:
            self.rejected += 1
            concerned = self._move.concerns(self._references.driver_of(reference))
            keys = [_key_of_hash(sha256) for sha256 in reference.hashes]
            # One in which no hash is leads to something all the same, and nothing tells to what.
            for key in keys or [_key_of_claim(reference)]:
                self._doubts.add(key, _REJECTED if concerned else b"")
            return
        driver, confined = found
        if self._move.concerns(driver):
            namespace, sha256 = confined.namespace, confined.sha256
            record = _packed(self._keys[driver], namespace, sha256, reference.size, confined.claim)
            self._add(namespace, sha256, record)

    def doubt(self, sha256: str) -> None:
        """Note what may be the hash of a payload that is needed, wherever it lies."""
        self._doubts.add(_key_of_hash(sha256))

    def note_open(self, holder: Holder) -> None:
        """Note nothing: what open runs refer to is moved as all else is."""

    def note_listed(self, payload: ListedPayload) -> None:
        """Note a payload that the source's store lists. It is moved if its hash was noted, see `join`."""
        self._note(self._move.source_key, payload)

    def note_there(self, payload: ListedPayload) -> None:
        """Note a payload that the destination's store lists. It is verified if its hash was noted."""
        self._note(self._move.destination_key, payload)

    def add_listed(self, payload: ListedPayload) -> None:
        """Note a payload that the source's store lists, and that is moved whether it is needed or not."""
        record = _record_of(self._move.source_key, payload)
        self._add(payload.key.namespace, payload.key.sha256, record)

    @property
    def doubts(self) -> int:
        """How many hashes were noted."""
        return self._doubts.count

    def join(self) -> None:
        """Add what was listed and whose hash was noted, and count the hashes that were not listed."""
        for part in self._doubts.parts:
            listed = self._listed.groups(part)
            key, records = next(listed, (b"", []))
            for doubted, reasons in self._doubts.groups(part):
                while records and key < doubted:
                    key, records = next(listed, (b"", []))
                if records and key == doubted:
                    for record in records:
                        _, namespace, sha256, *_ = json.loads(record)
                        self._add(namespace, sha256, record)
                else:
                    self.doubts_not_listed += 1
                    self.rejected_not_listed += _REJECTED in reasons

    @property
    def parts(self) -> list[int]:
        """The parts that have payloads: the first bytes of their keys."""
        return self._payloads.parts

    def part(self, number: int) -> Iterator[WantedPayload]:
        """Yield the payloads of a part, each once."""
        for key, records in self._payloads.groups(number):
            yield self._merged(key, records)

    def _note(self, driver: str, payload: ListedPayload) -> None:
        self._listed.add(_key_of_hash(payload.key.sha256), _record_of(driver, payload))

    def _add(self, namespace: str | None, sha256: str, record: bytes) -> None:
        self.found += 1
        self.without_namespace += namespace is None
        self._payloads.add(key_of(namespace, sha256), record)

    def _merged(self, key: bytes, records: Sequence[bytes]) -> WantedPayload:
        places: list[tuple[ManagedDriver, ConfinedClaim]] = []
        namespace, sha256, largest = None, "", 0
        for record in dict.fromkeys(records):
            driver, namespace, sha256, size, claim_data = json.loads(record)
            largest = max(largest, size)
            if len(places) < PLACES:
                claim = StorageDriverClaim(claim_data=claim_data)
                confined = ConfinedClaim(claim=claim, sha256=sha256, namespace=namespace)
                places.append((self._drivers[driver], confined))
        return WantedPayload(key, namespace, sha256, largest, places)


def key_of(namespace: str | None, sha256: str) -> bytes:
    """Return 16 bytes that tell a payload from others, spread evenly; the first is that of its hash."""
    text = json.dumps([namespace, sha256]).encode()
    return bytes.fromhex(sha256[:2]) + hashlib.blake2b(text, digest_size=15).digest()


def _key_of_hash(sha256: str) -> bytes:
    return bytes.fromhex(sha256)[:16]


def _key_of_claim(reference: RecordedReference) -> bytes:
    return hashlib.blake2b(json.dumps(reference.claim_data).encode(), digest_size=16).digest()


def _record_of(driver: str, payload: ListedPayload) -> bytes:
    return _packed(driver, payload.key.namespace, payload.key.sha256, payload.size, payload.claim)


def _packed(driver: str, namespace: str | None, sha256: str, size: int, claim: StorageDriverClaim) -> bytes:
    values = [driver, namespace, sha256, size, dict(claim.claim_data)]
    return json.dumps(values, sort_keys=True, separators=(",", ":")).encode()
