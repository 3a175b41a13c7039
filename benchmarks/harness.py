"""How things are timed: peer and library take turns in one run, and their medians are compared.

The best round is kept beside the median: where the two are far apart, the machine was busy with other things.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

MILLION = 1_000_000


@dataclass(frozen=True)
class Config:
    """How thorough a run is."""

    quick: bool

    def rounds(self, full: int) -> int:
        """How often to measure."""
        return max(1, full // 5) if self.quick else full


class Times(dict[str, float]):
    """Medians in seconds by contestant, and the best rounds beside them."""

    def __init__(self, medians: Mapping[str, float], *, best: Mapping[str, float]) -> None:
        super().__init__(medians)
        self.best = dict(best)

    def best_ratio(self, ours: str = "ours") -> float:
        """How many times faster than the peer the best round was."""
        return self.best["peer"] / self.best[ours]


@dataclass(frozen=True)
class Contestant:
    """Something to time: `work` is timed, what `prepare` makes for it is not."""

    work: Callable[[Any], Awaitable[object]]
    prepare: Callable[[], Any] = lambda: None


async def race(
    contestants: Mapping[str, Contestant],
    rounds: int,
    *,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> Times:
    """Return each contestant's median time in seconds. They take turns, and the order turns too.

    Args:
        contestants: Those who take turns, by name.
        rounds: How often each has its turn.
        warm_up: Whether there is a round before that does not count.
        clock: `time.process_time` where nothing is waited for: what else the machine does counts less.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(-1 if warm_up else 0, rounds):
        order = list(contestants.items())
        if number % 2:
            order.reverse()
        for name, contestant in order:
            prepared = contestant.prepare()
            gc.collect()
            start = clock()
            await contestant.work(prepared)
            elapsed = clock() - start
            del prepared
            if number >= 0:
                times[name].append(elapsed)
    return Times(
        {name: statistics.median(taken) for name, taken in times.items()},
        best={name: min(taken) for name, taken in times.items()},
    )


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    what: str
    peer: str
    ours: str
    ratio: float | None
    """How many times better than the peer; None where there is no peer."""
    wanted: str
    reached: bool
    """By the median."""
    best_ratio: float | None = None
    """The same of the best rounds."""


@dataclass(frozen=True)
class Growth:
    """How the time for one thing grows."""

    name: str
    x: str
    """What grows, with its unit."""
    points: list[dict[str, float]]
    """`x`, and the seconds of `peer` and `ours`."""


@dataclass
class Report:
    """What a topic found."""

    lines: list[Line] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Further figures, for the plots."""

    def add(self, other: Report) -> None:
        """Take over what another topic found."""
        self.lines += other.lines
        self.growth += other.growth
        self.tables |= other.tables


def faster(what: str, times: Times, wanted: float, *, size: float | None = None) -> Line:
    """Make the line of a race that is won by being `wanted` times as fast; with `size`, in bytes a second."""
    ratio = times["peer"] / times["ours"]

    def tell(seconds: float) -> str:
        return f"{size / seconds / MILLION:,.0f} MB/s" if size else duration(seconds)

    return Line(
        what,
        tell(times["peer"]),
        tell(times["ours"]),
        ratio,
        f"{wanted:g} times",
        ratio >= wanted,
        times.best_ratio(),
    )


def duration(seconds: float) -> str:
    """Write a duration in a unit that suits it."""
    for limit, factor, unit in ((1e-3, 1e6, "µs"), (1, 1e3, "ms")):
        if seconds < limit:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.2f} s"


class StallWatch:
    """Measures the longest time for which the event loop did not get on, while the block runs."""

    longest = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0.01)
        self.longest = 0.0
        return self

    async def __aexit__(self, *_: object) -> None:
        # A block that never waited has not let the watch look at the clock: give it two turns.
        await asyncio.sleep(0.01)
        self._task.cancel()

    async def _watch(self) -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            self.longest = max(self.longest, now - last - 0.001)
            last = now
