"""The workflow. That its payloads are compressed and offloaded shows nowhere in it."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from order_batch.activities import fetch_orders, process_orders
    from order_batch.models import BatchSummary, OrderBatchRequest

TASK_QUEUE = "order-batch"


@workflow.defn
class OrderBatchWorkflow:
    """Fetch the orders of a batch, process them, and return the totals."""

    @workflow.run
    async def run(self, request: OrderBatchRequest) -> BatchSummary:
        """Run the batch."""
        orders = await workflow.execute_activity(
            fetch_orders, request, start_to_close_timeout=timedelta(minutes=1)
        )
        return await workflow.execute_activity(
            process_orders, args=[request, orders], start_to_close_timeout=timedelta(minutes=1)
        )
