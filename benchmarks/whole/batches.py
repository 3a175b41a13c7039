"""The starter of order batches, whose own work is not counted."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from order_batch.models import OrderBatchRequest
from order_batch.workflows import OrderBatchWorkflow
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.converter import DataConverter

from benchmarks.peers import SampleGzipCodec
from benchmarks.whole.worker import Task

Handle = WorkflowHandle[Any, Any]
TIME_LIMIT = timedelta(seconds=90)
WORKFLOW_TASK_TIMEOUT = 10
"""Seconds, the SDK's default: a batch that took less has had no time for a workflow task to time out."""


class Starter:
    """Runs batches; keeps how long each took from its start to its result, and counts timeouts."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.latencies: list[float] = []
        self.timeouts = 0

    async def run(self, task: Task, count: int, at_once: int) -> float:
        """Run so many batches, so many at once; return the seconds that they took together."""
        free = asyncio.Semaphore(at_once)
        start = time.perf_counter()
        finished = await asyncio.gather(*(self._run_one(task, free) for _ in range(count)))
        seconds = time.perf_counter() - start
        for handle, taken in finished:
            self.latencies.append(taken)
            if taken > WORKFLOW_TASK_TIMEOUT:
                self.timeouts += await _timeouts(handle)
        return seconds

    async def _run_one(self, task: Task, free: asyncio.Semaphore) -> tuple[Handle, float]:
        batch_id = str(uuid.uuid4())
        async with free:
            start = time.perf_counter()
            handle = await self._client.start_workflow(
                OrderBatchWorkflow.run,
                OrderBatchRequest(batch_id, task.orders),
                id=batch_id,
                task_queue=task.task_queue,
                execution_timeout=TIME_LIMIT,
            )
            summary = await handle.result()
            taken = time.perf_counter() - start
        assert summary.order_count == task.orders
        return handle, taken


async def connect(address: str) -> Client:
    """Return a client that reads what every contestant writes, and writes what every one reads."""
    return await Client.connect(
        address, data_converter=replace(DataConverter.default, payload_codec=_ReadOnlyGzip())
    )


class _ReadOnlyGzip(SampleGzipCodec):
    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


async def _timeouts(handle: Handle) -> int:
    timed_out = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
    return len([event async for event in handle.fetch_history_events() if event.event_type == timed_out])
