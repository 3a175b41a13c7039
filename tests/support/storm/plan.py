"""What a storm is made of, all of it decided by its seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from support.storm.keys import KMS_NAMESPACE
from support.storm.voyages import SIZES, Voyage

if TYPE_CHECKING:
    from collections.abc import Iterator

SHORT = 60.0
"""Seconds; a storm that is shorter has shorter faults."""
KMS_EVERY = 5
"""One workflow of so many is encrypted with a key that KMS keeps."""


@dataclass(frozen=True)
class Plan:
    """A storm over one store."""

    store: str
    seed: int
    seconds: float
    """How long things are broken; what each workflow needs to end comes on top."""
    workflows: int
    faults: frozenset[str] | None = None
    """Only these; None for all that there are."""

    @property
    def is_short(self) -> bool:
        """Whether there is just time for each fault."""
        return self.seconds < SHORT

    def voyages(self) -> Iterator[tuple[str, Voyage]]:
        """Yield the workflows: each with its Temporal namespace."""
        chance = self._random("voyages")
        longest = self.seconds / 4 if self.is_short else self.workflows / 3
        for number in range(self.workflows):
            namespace = KMS_NAMESPACE if number % KMS_EVERY == 0 else "default"
            pause = round(chance.uniform(longest / 2, longest), 1)
            # Each size with both kinds of keys.
            size = SIZES[(number // KMS_EVERY + number) % len(SIZES)]
            yield namespace, Voyage(name=f"{self.store}-voyage-{number}", size=size, pause=pause)

    def turns(self, faults: Sequence[str]) -> Iterator[tuple[str, float, float]]:
        """Yield faults without end, each as often as the others: its name, its length, the calm after it."""
        chance = self._random(*faults)
        faults = [each for each in faults if self.faults is None or each in self.faults]
        longest, calm = (2.5, 0.6) if self.is_short else (8.0, 4.0)
        while faults:
            for name in chance.sample(faults, len(faults)):
                yield name, chance.uniform(longest / 2, longest), chance.uniform(calm / 2, calm)

    def _random(self, *what: str) -> random.Random:
        return random.Random(f"{self.seed} {self.store} {' '.join(what)}")
