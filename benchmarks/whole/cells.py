"""One cell of the matrix: some orders, some batches at once, one store, and every contestant in turn."""

from __future__ import annotations

import asyncio
import math
import statistics
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.client import Client, WorkflowFailureError

from benchmarks.whole.batches import TIME_LIMIT, Starter
from benchmarks.whole.process import TooLargeError, WorkerProcess, start_worker
from benchmarks.whole.stores import Store
from benchmarks.whole.usage import Usage
from benchmarks.whole.worker import Task


@dataclass(frozen=True)
class Cell:
    """What is measured."""

    store: str
    orders: int
    at_once: int
    makes_up: bool = False


@dataclass(frozen=True)
class Budget:
    """How much of it, in seconds by estimate."""

    shortest: float = 1.5
    """A round lasts at least about this long: short batches are repeated."""
    warm: float = 5
    """Rounds go on for about this long."""
    most_rounds: int = 5
    least_rounds: int = 1
    cold: float = 12
    """A new process begins with as many batches at once as the cell has, unless that takes longer."""
    longest: float = 40
    """A round that takes longer is not measured."""


@dataclass(frozen=True)
class Ground:
    """What all cells share."""

    address: str
    """The Temporal server's."""
    client: Client
    """Starts the batches."""
    directory: Path
    """For logs and settings."""


@dataclass(frozen=True)
class Figures:
    """What some batches took."""

    batches: int
    rounds: int
    rate: float
    """Batches a second, the median round."""
    best_rate: float
    cpu: float
    """Seconds of the worker's processor for each batch, the median round."""
    best_cpu: float
    median: float
    """Seconds from the start of a batch to its result."""
    p95: float
    requests: dict[str, float]
    """To the store, for each batch."""


@dataclass(frozen=True)
class Row:
    """What a contestant did in a cell."""

    cell: Cell
    contestant: str
    reason: str | None = None
    """Why there are no figures."""
    cold: Figures | None = None
    warm: Figures | None = None
    idle: int = 0
    """Bytes of a worker process that has only connected."""
    peak: int = 0
    """Bytes beyond that at most, cold or warm."""
    warnings: int = 0
    """Of the deadlock detector."""
    timeouts: int = 0
    """Of workflow tasks."""


@dataclass
class _Round:
    count: int
    seconds: float
    cpu: float
    requests: Counter[str]


@dataclass
class _Turn:
    """One contestant and its process."""

    process: WorkerProcess
    starter: Starter
    store: Store
    reason: str | None = None
    cold: Figures | None = None
    idle: int = 0
    peak: int = 0
    rounds: list[_Round] = field(default_factory=list)
    count: int = 0
    due: int = 0

    async def begin(self, at_once: int, estimate: float | None, budget: Budget) -> None:
        """Cold: time the first batches of the process, with all that they wait for; then plan the rounds."""
        new = await self.process.usage()
        self.idle = new.memory
        self.process.go()
        first = at_once if (estimate or 0) * at_once < budget.cold else 1
        try:
            await self.round(first, at_once, new)
            if first == at_once:
                self.cold = self._figures()
            if estimate is None:
                await self.round(1, 1)
                estimate = self.rounds[-1].seconds
        except (TooLargeError, WorkflowFailureError) as error:
            self._fail(error)
            return
        self.rounds.clear()
        self.starter.latencies.clear()
        self.count = at_once * max(1, round(budget.shortest / (estimate * at_once)))
        rounds = int(budget.warm / (estimate * self.count))
        self.due = min(budget.most_rounds, max(budget.least_rounds, rounds))

    async def repeat(self, at_once: int) -> None:
        """Warm: time one more round, unless it has failed before."""
        if not self.reason:
            try:
                await self.round(self.count, at_once)
            except (TooLargeError, WorkflowFailureError) as error:
                self._fail(error)

    def _fail(self, error: Exception) -> None:
        # What it has left to do would take time from the others.
        self.process.kill()
        self.rounds.clear()
        if isinstance(error, WorkflowFailureError):
            warnings = self.process.deadlock_warnings()
            self.reason = f"fails: no result within {TIME_LIMIT.seconds} s; {warnings} deadlock warnings"
        else:
            self.reason = f"fails: {error}"

    async def round(self, count: int, at_once: int, before: Usage | None = None) -> None:
        """Time so many batches."""
        before = before or await self.process.usage()
        requests = self.store.requests()
        seconds = await self.process.watch(self.starter.run(self.process.task, count, at_once))
        used = await self.process.usage()
        self.rounds.append(_Round(count, seconds, used.cpu - before.cpu, self.store.requests() - requests))
        self.peak = max(self.peak, used.peak)

    def _figures(self) -> Figures:
        latencies = sorted(self.starter.latencies)
        batches = sum(each.count for each in self.rounds)
        rates = [each.count / each.seconds for each in self.rounds]
        cpu = [each.cpu / each.count for each in self.rounds]
        requests: Counter[str] = sum((each.requests for each in self.rounds), Counter())
        return Figures(
            batches,
            len(self.rounds),
            statistics.median(rates),
            max(rates),
            statistics.median(cpu),
            min(cpu),
            statistics.median(latencies),
            latencies[math.ceil(len(latencies) * 0.95) - 1],
            {request: count / batches for request, count in requests.items()},
        )

    def row(self, cell: Cell) -> Row:
        return Row(
            cell,
            self.process.task.contestant,
            self.reason,
            self.cold,
            self._figures() if self.rounds else None,
            self.idle,
            max(0, self.peak - self.idle),
            self.process.deadlock_warnings(),
            self.starter.timeouts,
        )


async def measure(
    cell: Cell, contestants: Mapping[str, float | None], budget: Budget, store: Store, ground: Ground
) -> list[Row]:
    """Let contestants take turns, each in a new process.

    Args:
        cell: What to measure.
        contestants: Those that take part, and how many seconds a batch of theirs takes, if it is known.
        budget: How long it may take.
        store: Where payloads go.
        ground: What all cells share.
    """
    async with AsyncExitStack() as stack:
        tasks = []
        for name in contestants:
            home = ground.directory / str(uuid.uuid4())
            home.mkdir()
            task = Task(
                name,
                store.name,
                store.access,
                str(home),
                ground.address,
                home.name,
                cell.orders,
                cell.makes_up,
            )
            tasks.append(stack.enter_async_context(start_worker(task, home / "worker.log")))
        turns = {}
        for name, process in zip(contestants, await asyncio.gather(*tasks), strict=True):
            turns[name] = _Turn(process, Starter(ground.client), store)
        for name, turn in turns.items():
            await turn.begin(cell.at_once, contestants[name], budget)
        for number in range(max(turn.due for turn in turns.values())):
            order = list(turns.values())
            for turn in order[:: -1 if number % 2 else 1]:
                if number < turn.due:
                    await turn.repeat(cell.at_once)
        return [turn.row(cell) for turn in turns.values()]
