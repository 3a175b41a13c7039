"""The activities of a collection: the collector's steps."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity
from temporalio.exceptions import ApplicationError

from temporal_payloads._operate.collection.ledger import CannotResumeError
from temporal_payloads._operate.collection.report import ACTIONS
from temporal_payloads._operate.collection.state import DamagedStateError
from temporal_payloads._operate.collection.workflow import BEGIN, FINISH, MARK, SHARDS, SWEEP, Step

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from temporal_payloads._operate.collection.collector import Collector
    from temporal_payloads._operate.collection.marked import Marked
    from temporal_payloads._operate.collection.report import Collection
    from temporal_payloads._operate.collection.sweeping import Swept

_BEATS = 4
"""Heartbeats in the time after which the server takes a worker for dead."""


def tell(found: Marked | Swept) -> None:
    """Tell the server how far an activity is: for `Collector`."""
    if activity.in_activity():
        activity.heartbeat(_short(found))


class CollectionActivities:
    """The activities, over a collector that is open for as long as the worker runs.

    Args:
        collector: It must keep its files where all workers of the task queue find them.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    @property
    def all(self) -> Sequence[Callable[..., Any]]:
        """What the worker is given."""
        return [self.begin, self.mark, self.shards, self.sweep, self.finish]

    @activity.defn(name=BEGIN)
    async def begin(self, purpose: str) -> dict[str, Any]:
        """Begin a collection, or find the one that was begun by an earlier attempt."""
        known = {str(each): each for each in ACTIONS}
        if purpose not in known:
            raise ApplicationError(
                f"a collection is for one of {', '.join(known)}, not {purpose!r}", non_retryable=True
            )
        token = activity.info().workflow_run_id or ""
        with _ending_the_workflow():
            collection = await self._collector.begin(known[purpose], token=token)
        return {"collection": collection.id, "owners": self._collector.to_mark(collection)}

    @activity.defn(name=MARK)
    async def mark(self, step: Step) -> dict[str, Any]:
        """Mark what a namespace needs."""
        async with self._step(step) as collection:
            return _short(await self._collector.mark(collection, step.owner))

    @activity.defn(name=SHARDS)
    async def shards(self, step: Step) -> list[list[str]]:
        """Return the parts of the stores to sweep."""
        async with self._step(step) as collection:
            return [list(shard) for shard in await self._collector.shards(collection)]

    @activity.defn(name=SWEEP)
    async def sweep(self, step: Step) -> dict[str, Any]:
        """Sweep a part of a store."""
        key, part = step.shard
        async with self._step(step) as collection:
            return _short(await self._collector.sweep(collection, (key, part)))

    @activity.defn(name=FINISH)
    async def finish(self, step: Step) -> dict[str, Any]:
        """Write down what came of it."""
        async with self._step(step) as collection:
            report = await self._collector.finish(collection)
        # Histories have limits, and the whole of it is in the collector's files.
        summary = asdict(report)
        summary["namespaces"] = [
            {name: one[name] for name in ("namespace", "listed", "read", "marks")}
            for one in report.namespaces[:_TOLD]
        ]
        summary["incomplete"] = [reason[:_TOLD] for reason in report.incomplete[:_TOLD]]
        summary["stores"] = {
            key: {name: store[name] for name in ("listed", "size", "actions", "outcomes")}
            for key, store in report.stores.items()
        }
        return summary

    @asynccontextmanager
    async def _step(self, step: Step) -> AsyncIterator[Collection]:
        silence = activity.info().heartbeat_timeout or timedelta(minutes=2)

        async def beat() -> None:
            # Also while nothing is found: a store may take its time.
            while True:
                await asyncio.sleep(silence.total_seconds() / _BEATS)
                activity.heartbeat()

        beating = asyncio.create_task(beat())
        try:
            with _ending_the_workflow():
                collection = await self._collector.as_begun(step.collection)
                async with self._collector.renewing(collection):
                    yield collection
        finally:
            beating.cancel()


@contextmanager
def _ending_the_workflow() -> Iterator[None]:
    """Let the workflow fail by what no other attempt changes, so that the next collection can begin."""
    try:
        yield
    except (CannotResumeError, DamagedStateError) as error:
        raise ApplicationError(str(error), type=type(error).__name__, non_retryable=True) from error


_TOLD = 100
"""Namespaces and reasons that a summary tells of; characters of a reason."""


def _short(found: Marked | Swept) -> dict[str, Any]:
    counts = ("listed", "read", "running", "marks", "others", "size", "outcomes")
    return {name: getattr(found, name) for name in counts if hasattr(found, name)}
