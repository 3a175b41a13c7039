"""The starter: runs one batch and reads back where its payloads went."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client

from order_batch.history import PayloadRow, payload_rows
from order_batch.models import BatchSummary, OrderBatchRequest
from order_batch.workflows import TASK_QUEUE, OrderBatchWorkflow

# Long for the batch, short for a person who waits while something is broken.
_TIME_LIMIT = timedelta(minutes=3)


@dataclass(frozen=True)
class Batch:
    """A completed batch: its workflow run, its result, and the payloads in its history."""

    workflow_id: str
    run_id: str
    summary: BatchSummary
    payloads: list[PayloadRow]


async def run_batch(client: Client, request: OrderBatchRequest) -> Batch:
    """Run the batch's workflow to its end.

    Raises:
        WorkflowFailureError: It failed, or took longer than three minutes.
    """
    handle = await client.start_workflow(
        OrderBatchWorkflow.run,
        request,
        id=f"order-batch-{request.batch_id}",
        task_queue=TASK_QUEUE,
        execution_timeout=_TIME_LIMIT,
    )
    summary = await handle.result()
    history = await handle.fetch_history()
    payloads = await payload_rows(history, client.data_converter.payload_codec)
    assert handle.first_execution_run_id
    return Batch(handle.id, handle.first_execution_run_id, summary, payloads)
