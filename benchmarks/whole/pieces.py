"""A workflow with many offloaded payloads in its history."""

from __future__ import annotations

import asyncio
import os
import uuid
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Worker

AT_ONCE = 200
PIECE_SIZE = 20_000
PIECE_THRESHOLD = 4_096
TIMEOUT = timedelta(minutes=5)


@activity.defn
async def fetch_piece(number: int) -> str:
    """Return something that no compression makes small."""
    return f"{number}:{os.urandom(PIECE_SIZE // 2).hex()}"


@workflow.defn
class ManyPieces:
    """A workflow with many offloaded payloads in its history."""

    @workflow.run
    async def run(self, count: int) -> int:
        size = 0
        for first in range(0, count, AT_ONCE):
            pieces = await asyncio.gather(
                *(
                    workflow.execute_activity(fetch_piece, number, start_to_close_timeout=TIMEOUT)
                    for number in range(first, min(first + AT_ONCE, count))
                )
            )
            size += sum(len(piece) for piece in pieces)
        return size


async def history_of(address: str, data_converter: DataConverter, pieces: int) -> WorkflowHistory:
    """Run the workflow, and return its history."""
    client = await Client.connect(address, data_converter=data_converter)
    queue = str(uuid.uuid4())
    worker = Worker(
        client,
        task_queue=queue,
        workflows=[ManyPieces],
        activities=[fetch_piece],
        # With the SDK's three at a time, a workflow task that reads thousands of payloads is timed out.
        max_workflow_task_external_storage_concurrency=32,
    )
    async with worker:
        handle = await client.start_workflow(
            ManyPieces.run, pieces, id=queue, task_queue=queue, execution_timeout=TIMEOUT
        )
        await handle.result()
        return await handle.fetch_history()
