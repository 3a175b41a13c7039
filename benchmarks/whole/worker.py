"""A worker in a process of its own, which says what it has used: `python -m benchmarks.whole.worker TASK`.

It connects, and waits: the clock of a cold start runs from "go" on. What it has loaded until then (the SDK,
the example's code, the orders to hand over) is what idle means here.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TextIO

import order_batch.activities
from order_batch.activities import fetch_orders, process_orders
from order_batch.models import Order
from order_batch.orders import make_orders
from order_batch.workflows import OrderBatchWorkflow
from temporalio.client import Client
from temporalio.service import ConnectConfig, ServiceClient
from temporalio.worker import Worker

from benchmarks.whole.contestants import set_up
from benchmarks.whole.usage import keep_standard_output, usage


@dataclass(frozen=True)
class Task:
    """What a worker process is told."""

    contestant: str
    store: str
    access: dict[str, str]
    directory: str
    address: str
    task_queue: str
    orders: int
    makes_up: bool = False
    """Make the orders up in the activity, as the example does, instead of beforehand."""


def _have_orders_ready(count: int) -> None:
    """Let the example's activity find its orders made up: that is no payload's work, and it takes long.

    Each batch has other ids, and so another payload, as new to the store as made-up ones are.
    """
    orders = make_orders("benchmark", count)

    def numbered(batch_id: str, count: int) -> list[Order]:
        return [
            replace(order, order_id=f"{batch_id}-{number:05}")
            for number, order in zip(range(1, count + 1), orders, strict=True)
        ]

    setattr(order_batch.activities, "make_orders", numbered)  # noqa: B010  # it does not export the name


async def work(task: Task, answers: TextIO) -> None:
    """Connect, and work from the line "go" on until the input ends; answer each line "usage"."""
    if not task.makes_up:
        _have_orders_ready(task.orders)
    service_client = await ServiceClient.connect(ConnectConfig(target_host=task.address))
    await _answer_until("go\n", answers)
    async with set_up(task.contestant, task.store, task.access, Path(task.directory)) as connection:
        with ThreadPoolExecutor() as threads:
            worker = Worker(
                Client(service_client, **connection),
                task_queue=task.task_queue,
                workflows=[OrderBatchWorkflow],
                activities=[fetch_orders, process_orders],
                activity_executor=threads,
            )
            async with worker:
                await _answer_until("", answers)


async def _answer_until(last: str, answers: TextIO) -> None:
    while await asyncio.to_thread(sys.stdin.readline) != last:
        answers.write(f"{json.dumps(asdict(usage()))}\n")


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(work(Task(**json.loads(sys.argv[1])), keep_standard_output()))
