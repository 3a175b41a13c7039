"""A client and a worker with one store, as most of these tests need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.activities import ALL as ALL_ACTIVITIES
from support.activities import Gate
from support.keys import put_keys_into_environment
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from temporal_payloads import build_data_converter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.stores import Store
    from temporalio.client import Client, WorkflowHandle


@pytest.fixture
def keys_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the variables of `support.keys`."""
    keys: dict[str, str] = {}
    put_keys_into_environment(keys)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)


@dataclass(frozen=True)
class App:
    """An application with a worker, of which both sides are configured alike."""

    client: Client
    task_queue: str
    store: Store
    gate: Gate
    events: StorageEvents

    async def start(self, workflow: Any, *args: Any, **options: Any) -> WorkflowHandle[Any, Any]:
        """Start a workflow on the worker."""
        handle: WorkflowHandle[Any, Any] = await self.client.start_workflow(
            workflow,
            args=args,
            id=new_id("wf"),
            task_queue=self.task_queue,
            run_timeout=RUN_TIMEOUT,
            **options,
        )
        return handle


@pytest.fixture
async def app(
    temporal_server: TemporalServer, store: Store, storage_events: StorageEvents
) -> AsyncIterator[App]:
    """A running worker and a client with gzip, encoded failures and each store in turn."""
    converter = build_data_converter(store.settings(), registry=storage_events.registry)
    client = await connect(temporal_server, converter)
    gate = Gate()
    activities = [*ALL_ACTIVITIES, gate.beat_and_resume, gate.complete_elsewhere]
    async with running_worker(client, activities=activities) as task_queue:
        yield App(client, task_queue, store, gate, storage_events)
