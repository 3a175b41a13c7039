"""A collection as a Temporal workflow: one activity for each namespace, and for each part of a store.

What an activity has found lies in the collector's files. So it goes on wherever a worker takes it up, and the
workflow's own history holds nothing but ids and counts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import workflow
from temporalio.common import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

WORKFLOW_TYPE = "temporal_payloads_collection"
WORKFLOW_ID = "temporal-payloads-gc"
"""The id of the schedule, and of a workflow that was started without it. Those that the schedule starts have
the time in their ids as well: it is by the lease in the collector's files that one runs at a time."""
TASK_QUEUE = "temporal-payloads-gc"
BEGIN, MARK, SHARDS, SWEEP, FINISH = (
    f"temporal_payloads_gc_{step}" for step in ("begin", "mark", "shards", "sweep", "finish")
)

_LONGEST = timedelta(days=30)
_RETRIES = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1), backoff_coefficient=2
)


@dataclass(frozen=True)
class CollectionInput:
    """What a collection is for."""

    purpose: str = "collect"
    at_once: int = 4
    """How many activities run at the same time."""
    silence: float = 120
    """Seconds after which an activity that tells nothing is taken up by another worker."""


@dataclass
class Step:
    """An activity's input: a step of a collection."""

    collection: str
    owner: str = ""
    shard: list[str] = field(default_factory=list)


@workflow.defn(name=WORKFLOW_TYPE)
class CollectionWorkflow:
    """Takes the steps of a collection."""

    def __init__(self) -> None:
        self._silence = timedelta(0)
        self._progress: dict[str, Any] = {"step": "begin", "done": 0, "total": 0}

    @workflow.run
    async def run(self, given: CollectionInput) -> dict[str, Any]:
        """Return a summary of the collection's report."""
        self._silence = timedelta(seconds=given.silence)
        begun: dict[str, Any] = await self._do(BEGIN, given.purpose)
        collection: str = begun["collection"]
        owners: list[str] = begun["owners"]
        await self._each("mark", owners, given.at_once, lambda one: self._do(MARK, Step(collection, one)))
        shards: list[list[str]] = await self._do(SHARDS, Step(collection))
        await self._each(
            "sweep", shards, given.at_once, lambda one: self._do(SWEEP, Step(collection, shard=one))
        )
        summary: dict[str, Any] = await self._do(FINISH, Step(collection))
        return summary

    @workflow.query
    def progress(self) -> dict[str, Any]:
        """Tell which step is being taken, and how much of it is done."""
        return self._progress

    async def _each(
        self, step: str, items: Sequence[T], at_once: int, work: Callable[[T], Awaitable[Any]]
    ) -> None:
        self._progress = {"step": step, "done": 0, "total": len(items)}
        slots = asyncio.Semaphore(at_once)

        async def one(item: T) -> None:
            async with slots:
                await work(item)
            self._progress["done"] += 1

        await asyncio.gather(*map(one, items))

    async def _do(self, activity: str, argument: Any) -> Any:
        return await workflow.execute_activity(
            activity,
            argument,
            start_to_close_timeout=_LONGEST,
            heartbeat_timeout=self._silence,
            retry_policy=_RETRIES,
        )
