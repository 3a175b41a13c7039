"""Workers and clients on the test's Temporal server."""

from __future__ import annotations

import uuid
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from support import activities, workflows
from temporalio.client import Client
from temporalio.worker import Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_servers import TemporalServer
    from temporalio.converter import DataConverter

RUN_TIMEOUT = timedelta(seconds=60)
"""Ends a workflow that a bug would otherwise keep alive, and the test with it."""


def new_id(tag: str) -> str:
    """Return a workflow id or task queue that nobody else uses."""
    return f"{tag}-{uuid.uuid4().hex[:12]}"


async def connect(server: TemporalServer, converter: DataConverter, **options: Any) -> Client:
    """Connect a client."""
    return await Client.connect(
        server.address, namespace=server.namespace, data_converter=converter, **options
    )


@asynccontextmanager
async def running_worker(client: Client, task_queue: str | None = None, **options: Any) -> AsyncIterator[str]:
    """Run a worker for everything in `workflows` and `activities`; yield its task queue."""
    task_queue = task_queue or new_id("queue")
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=options.pop("workflows", workflows.ALL),
        activities=options.pop("activities", activities.ALL),
        **options,
    )
    async with worker:
        yield task_queue
