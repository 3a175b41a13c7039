"""The worker: an ordinary one."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

from temporalio.worker import Worker

from order_batch.activities import fetch_orders, process_orders
from order_batch.connection import connect
from order_batch.workflows import TASK_QUEUE, OrderBatchWorkflow


async def run_worker() -> None:
    """Work until SIGINT (Ctrl-C) or SIGTERM; activities that run at that moment are finished."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    client = await connect()
    with ThreadPoolExecutor() as threads:
        worker = Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[OrderBatchWorkflow],
            activities=[fetch_orders, process_orders],
            activity_executor=threads,
        )
        async with worker:
            print("The worker is up. Ctrl-C stops it.", flush=True)
            await stop.wait()
