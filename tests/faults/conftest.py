"""A store that can be taken away, and workflows started before their worker is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.history import claim_of, event_payloads
from support.proxy import TcpProxy
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from temporal_payloads import build_data_converter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.stores import RedisStore, S3Store, Store
    from temporalio.client import Client, WorkflowHandle
    from temporalio.converter import DataConverter

NO_CACHE = {"max_size": 0}
"""A fault in the store shows only to those who ask the store."""


@dataclass(frozen=True)
class Bench:
    """A Temporal server and one store, for clients and workers that are configured each in its own way."""

    server: TemporalServer
    store: Store
    events: StorageEvents

    def converter(self, *, store: Store | None = None, **changes: Any) -> DataConverter:
        """Build a converter without a cache, whose operations `events` sees."""
        settings = (store or self.store).settings(**{"cache": NO_CACHE} | changes)
        return build_data_converter(settings, registry=self.events.registry)

    async def client(self, **changes: Any) -> Client:
        """Connect a client with settings of its own."""
        return await connect(self.server, self.converter(**changes))

    async def start(
        self, client: Client, workflow: Any, *args: Any, task_queue: str
    ) -> WorkflowHandle[Any, Any]:
        """Start a workflow whose tasks are tried again soon after they failed."""
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            workflow,
            args=args,
            id=new_id("wf"),
            task_queue=task_queue,
            run_timeout=RUN_TIMEOUT,
            # The SDK reports a task's first failure only; the server tries again when the task times out.
            task_timeout=timedelta(seconds=1),
        )
        return handle

    async def worker(self, task_queue: str, **changes: Any) -> AbstractAsyncContextManager[str]:
        """Run a worker with settings of its own."""
        return running_worker(await self.client(**changes), task_queue)


@pytest.fixture
def bench(temporal_server: TemporalServer, store: Store, storage_events: StorageEvents) -> Bench:
    """Everything but clients and workers, with each store in turn."""
    return Bench(temporal_server, store, storage_events)


@pytest.fixture
async def proxy(store: Store) -> AsyncIterator[TcpProxy]:
    """A proxy before the store, to be cut."""
    async with TcpProxy(*store.address) as proxy:
        yield proxy


@pytest.fixture
async def proxy_of_s3(s3_store: S3Store) -> AsyncIterator[TcpProxy]:
    """A proxy before S3."""
    async with TcpProxy(*s3_store.address) as proxy:
        yield proxy


@pytest.fixture
async def proxy_of_redis(redis_store: RedisStore) -> AsyncIterator[TcpProxy]:
    """A proxy before Redis."""
    async with TcpProxy(*redis_store.address) as proxy:
        yield proxy


@pytest.fixture
def task_queue() -> str:
    """A task queue for the test alone."""
    return new_id("queue")


async def claim_at(handle: WorkflowHandle[Any, Any], place: str) -> dict[str, str]:
    """Return the claim of the reference at a place in the workflow's history."""
    payloads = event_payloads(await handle.fetch_history())
    return claim_of(payloads[place][0])
