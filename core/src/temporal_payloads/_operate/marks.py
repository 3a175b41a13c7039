"""Marks: what tells, in 16 bytes, that a payload is needed.

The first byte is that of the payload's SHA-256, so that all marks of one payload, by its claim and by its
hash alone, lie in the same of 256 parts. The rest is a hash: that two are equal by chance keeps a payload.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from temporalio.converter import StorageDriverClaim

WIDTH = 16
"""Bytes of a mark."""
PARTS = 256
"""Parts that marks, listings and records are kept in, by the first byte."""


def mark_of_claim(claim: StorageDriverClaim, sha256: str) -> bytes:
    """Return the mark of a payload under one key.

    Args:
        claim: In the canonical spelling, as `DriverPlugin.confine` returns it.
        sha256: Lower-case hex SHA-256 of the serialized payload.
    """
    return _mark(sha256[:2], json.dumps(sorted(claim.claim_data.items())))


def mark_of_hash(sha256: str) -> bytes:
    """Return the mark of a payload wherever it lies, in lower-case hex."""
    return _mark(sha256[:2], f"sha256:{sha256}")


def mark_of_open_run(namespace: str, kind: str, holder_id: str, run_id: str = "") -> bytes:
    """Return what tells that a run is open; without a run id, that any run of this id is."""
    return hashlib.blake2b(
        json.dumps([namespace, kind, holder_id, run_id]).encode("utf-8", "surrogatepass"), digest_size=WIDTH
    ).digest()


def _mark(part: str, text: str) -> bytes:
    # A forged claim may hold lone surrogates.
    hashed = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=WIDTH - 1)
    return bytes.fromhex(part) + hashed.digest()


class Marks:
    """A set of marks in the memory that their bytes take.

    Args:
        data: The marks one after the other, in order.
    """

    def __init__(self, data: bytes = b"") -> None:
        if len(data) % WIDTH:
            raise ValueError(f"marks have {WIDTH} bytes each, and {len(data)} bytes were given")
        self._data = data

    @classmethod
    def of(cls, marks: Iterable[bytes]) -> Marks:
        """Return the set of these, in any order, some more than once."""
        return cls(b"".join(sorted(set(marks))))

    @property
    def data(self) -> bytes:
        """The marks one after the other, in order."""
        return self._data

    def __len__(self) -> int:
        return len(self._data) // WIDTH

    def __contains__(self, mark: bytes) -> bool:
        place = bisect_left(range(len(self)), mark, key=self._at)
        return place < len(self) and self._at(place) == mark

    def _at(self, index: int) -> bytes:
        return self._data[index * WIDTH : (index + 1) * WIDTH]
