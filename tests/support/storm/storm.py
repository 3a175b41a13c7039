"""One storm over one store: workflows are started, everything fails, and all must come home."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from support.storm.deployment import TASK_QUEUE, Deployment, deployed
from support.storm.faults import OF_THE_REST, OF_THE_STORE
from support.storm.memory import MemoryWatch
from support.storm.verdict import Findings, HistoryCheck
from support.storm.voyages import VoyageWorkflow, expected, signal_value
from temporal_payloads.plugin import StorageError
from temporalio.client import WorkflowFailureError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Mapping
    from pathlib import Path

    from support.storm.faults import Fault
    from support.storm.plan import Plan
    from support.storm.voyages import Voyage
    from temporalio.client import WorkflowHandle

T = TypeVar("T")

TASK_TIMEOUT = timedelta(seconds=5)
"""Longer than `storage.timeout`: the server tries a workflow task again when it was not answered so long."""
PATIENCE = 120.0
"""Seconds in which nothing may arrive when the storm is over. On a busy machine all take minutes."""
FLAT = 30.0
"""MiB in ten minutes by which a worker may seem to grow: an allocator has moods."""
LONG_ENOUGH = 300.0
"""Seconds after the warm-up from which growth tells more than noise: those of a storm of ten minutes."""
MOST_MEMORY = 500.0
"""MiB that a worker may take; one that keeps the payloads of failed tasks needs more in a minute."""
ROOM = 0.3
"""Seconds until a client tries again what the store has refused."""


@dataclass
class Report:
    """How a storm ended."""

    plan: Plan
    faults: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    """What the workers met, by the type of the error."""
    refused: int = 0
    """How often clients had to try again."""
    signals: int = 0
    rounds: int = 0
    keys: int = 0
    findings: Findings = field(default_factory=Findings)
    lost: list[str] = field(default_factory=list)
    memory_peak: float = 0
    memory_growth: float = 0
    memory_seconds: float = 0

    @property
    def memory_is_flat(self) -> bool:
        """Whether the worker kept nothing, as far as so long a time shows it."""
        grows = self.memory_seconds >= LONG_ENOUGH and self.memory_growth > FLAT
        return self.memory_peak <= MOST_MEMORY and not grows

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost."""
        return not self.lost and self.memory_is_flat

    def __str__(self) -> str:
        """Return the summary line."""
        growth = f", {self.memory_growth:+.1f} MiB in 10 min" if self.memory_seconds >= LONG_ENOUGH else ""
        return (
            f"{self.plan.store}: {self.plan.workflows} workflows ({self.rounds} rounds, "
            f"{self.signals} signals), "
            f"{self.faults.total()} faults, {self.errors.total()} errors met, {self.keys} keys, "
            f"{self.findings.payloads} payloads ({self.findings.stored} in the store), "
            f"{self.findings.size} bytes, memory {self.memory_peak:.0f} MiB{growth}, lost {len(self.lost)} "
            f"(seed {self.plan.seed}, {self.plan.seconds:g} s)"
        )


async def run_storm(plan: Plan, directory: Path, say: Callable[[str], None] = lambda _: None) -> Report:
    """Run a storm from beginning to end.

    Args:
        plan: What is to happen.
        directory: For data and logs of the servers and workers; it must be empty.
        say: Is told what happens meanwhile.
    """
    async with deployed(plan, directory) as deployment:
        storm = _Storm(plan, deployment, directory, say)
        await storm.run()
    storm.report.errors = deployment.steady.errors + deployment.mortal.errors
    return storm.report


class _Storm:
    def __init__(
        self, plan: Plan, deployment: Deployment, directory: Path, say: Callable[[str], None]
    ) -> None:
        self.report = Report(plan)
        self._plan = plan
        self._deployment = deployment
        self._directory = directory
        self._say = say
        self._began = time.monotonic()
        self._over = asyncio.Event()
        self._last_arrival = self._began

    async def run(self) -> None:
        """Let the storm pass, and look at what is left."""
        report = self.report
        async with MemoryWatch(self._deployment.steady) as memory:
            voyages = [
                asyncio.create_task(self._accompany(namespace, voyage))
                for namespace, voyage in self._plan.voyages()
            ]
            async with asyncio.TaskGroup() as lanes:
                lanes.create_task(self._break(self._of_the_store()))
                lanes.create_task(self._break(OF_THE_REST))
            # What comes now is another load, and takes memory of its own.
            report.memory_growth, report.memory_seconds = memory.growth, memory.seconds
            self._tell("the storm is over")
            self._over.set()
            self._last_arrival = time.monotonic()
            report.lost += [reason for reason in await asyncio.gather(*voyages) if reason]
        report.memory_peak = memory.peak
        memory.write(self._directory / "memory.csv")
        self._tell("every workflow has ended, or will not")
        report.keys = self._deployment.keys.keys
        report.findings = await HistoryCheck(self._deployment).run(report.rounds)
        report.lost += report.findings.lost
        if report.rounds != report.findings.runs.total():
            report.lost.append(f"{report.rounds} rounds, and {report.findings.runs.total()} runs")
        self._tell("every history was read")

    def _tell(self, what: str) -> None:
        self._say(f"{time.monotonic() - self._began:6.1f} s  {what}")

    def _of_the_store(self) -> Mapping[str, Fault]:
        spared = self._deployment.store.spared
        return {name: fault for name, fault in OF_THE_STORE.items() if name not in spared}

    async def _break(self, faults: Mapping[str, Fault]) -> None:
        """Break one thing after the other, each of them at least once."""
        end = self._began + self._plan.seconds
        for name, length, calm in self._plan.turns(list(faults)):
            if self.report.faults[name] and time.monotonic() >= end:
                return
            self._tell(f"{name}, for {length:.1f} s")
            async with faults[name](self._deployment):
                await asyncio.sleep(length)
            self.report.faults[name] += 1
            await asyncio.sleep(calm)

    async def _accompany(self, namespace: str, start: Voyage) -> str | None:
        """Start a workflow, signal it until the storm is over, and return what is wrong with its result."""
        client = self._deployment.clients[namespace]
        # Not all at once, and some while nothing works.
        await self._wait(start.pause / 2)
        handle = await self._until_taken(
            lambda: client.start_workflow(
                VoyageWorkflow.run,
                start,
                id=start.name,
                task_queue=TASK_QUEUE,
                task_timeout=TASK_TIMEOUT,
            )
        )
        signals = 0
        while not self._over.is_set():
            value = signal_value(start.name, signals, start.size)
            await self._until_taken(lambda value=value: handle.signal(VoyageWorkflow.put, value))  # type: ignore[misc]  # mypy does not infer a lambda with a default
            signals += 1
            await self._wait(start.pause)
        await self._until_taken(lambda: handle.signal(VoyageWorkflow.finish, signals))
        self.report.signals += signals
        try:
            result = await self._arrival(self._until_taken(handle.result))
        except TimeoutError:
            return f"{start.name} does not end: {await _where_it_waits(handle)}"
        except WorkflowFailureError as error:
            return f"{start.name} failed: {error.cause!r}"
        except StorageError as error:
            return f"{start.name} has a result that is gone for good: {error!r}"
        self.report.rounds += result.rounds
        right = result == await asyncio.to_thread(expected, start, result.rounds, signals)
        return None if right else f"{start.name} ended with a wrong result: {replace(result, ballast='')}"

    async def _arrival(self, result: Coroutine[Any, Any, T]) -> T:
        """Wait for a workflow as long as workflows come home at all."""
        coming = asyncio.create_task(result)
        try:
            while not coming.done():
                if time.monotonic() - self._last_arrival > PATIENCE:
                    raise TimeoutError
                await asyncio.wait([coming], timeout=1)
            self._last_arrival = time.monotonic()
            return coming.result()
        finally:
            coming.cancel()

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._over.wait(), seconds)
        except TimeoutError:
            return

    async def _until_taken(self, what: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await what()
            except StorageError as error:
                if error.non_retryable:
                    raise
                self.report.refused += 1
                await asyncio.sleep(ROOM)


async def _where_it_waits(handle: WorkflowHandle[Any, Any]) -> str:
    """Return what the server knows of a workflow that does not end."""
    described = (await handle.describe()).raw_description
    events = [event async for event in handle.fetch_history_events()]
    return (
        f"{len(events)} events, the last of type {events[-1].event_type}; "
        f"{described.pending_workflow_task} {described.pending_activities} {described.pending_children}"
    )
