"""How many payloads are there more than once, counted in memory of a fixed size."""

from __future__ import annotations

from dataclasses import dataclass

KEPT = 1 << 17
"""Hashes that are remembered at once: some tens of megabytes."""
_BITS = 64
"""Of a hash are remembered: that two payloads share so many by chance shows in no count."""


@dataclass(frozen=True)
class Duplicates:
    """What is there more than once: how much less there would be if each were there once."""

    payloads: int
    bytes: int
    share: float
    """Of all payloads, what was looked at: 1 if the numbers are exact, else they are estimated from so "
    "many."""


class DuplicateCounter:
    """Counts payloads whose hash was there before.

    All hashes are remembered, until they are too many. Then those of the upper half are forgotten, and never
    looked at again: what remains is a sample in which each payload is with all that equal it, for equal
    payloads have equal hashes. So it is exact for stores of up to 131,072 different payloads, and an estimate
    for larger ones.

    Args:
        kept: How many are remembered at most.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._below = 1 << _BITS
        """Hashes from here on are not looked at."""
        self._seen: dict[int, tuple[int, int]] = {}
        """How often each was there again, and the bytes of that."""

    def add(self, sha256: str, size: int) -> None:
        """Count a payload.

        Args:
            sha256: Its hash, in hex.
            size: Its bytes.
        """
        number = int(sha256[: _BITS // 4], 16)
        if number >= self._below:
            return
        before = self._seen.get(number)
        if before is not None:
            self._seen[number] = before[0] + 1, before[1] + size
            return
        self._seen[number] = 0, 0
        while len(self._seen) > self._kept:
            self._below //= 2
            self._seen = {one: again for one, again in self._seen.items() if one < self._below}

    def counted(self) -> Duplicates:
        """Return what was counted."""
        share = self._below / (1 << _BITS)
        payloads = sum(again for again, _ in self._seen.values())
        size = sum(size for _, size in self._seen.values())
        return Duplicates(round(payloads / share), round(size / share), share)
