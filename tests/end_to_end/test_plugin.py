"""`PayloadsPlugin` on clients, workers and replayers, and replays with a converter of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support import activities, workflows
from support.assertions import assert_history
from support.values import large
from support.workers import RUN_TIMEOUT, new_id, running_worker
from support.workflows import Mailbox
from temporal_payloads import PayloadsPlugin, build_data_converter
from temporalio.client import Client
from temporalio.worker import Replayer, Worker

if TYPE_CHECKING:
    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.stores import Store
    from temporalio.client import WorkflowHandle, WorkflowHistory

NO_CACHE = {"max_size": 0}


async def exercise(client: Client, task_queue: str, value: str) -> WorkflowHandle[Mailbox, str]:
    """Run a workflow with an argument, a signal, an activity, an update and a result, all of them large."""
    handle = await client.start_workflow(
        Mailbox.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )
    await handle.signal(Mailbox.put, value)
    assert await handle.execute_update(Mailbox.swap_slowly, value) == value
    await handle.signal(Mailbox.close)
    assert await handle.result() == value
    return handle


@pytest.fixture
async def history(temporal_server: TemporalServer, store: Store) -> WorkflowHistory:
    """The history of a finished workflow whose values are all in the store."""
    client = await Client.connect(
        temporal_server.address, data_converter=build_data_converter(store.settings())
    )
    async with running_worker(client) as task_queue:
        handle = await exercise(client, task_queue, large("order"))
    return await handle.fetch_history()


async def test_a_client_hands_the_plugin_on_to_its_workers(
    temporal_server: TemporalServer, store: Store, storage_events: StorageEvents
) -> None:
    plugin = PayloadsPlugin(store.settings(), registry=storage_events.registry)
    client = await Client.connect(temporal_server.address, plugins=[plugin])
    async with running_worker(client) as task_queue:
        handle = await exercise(client, task_queue, large("order"))
    assert_history(await handle.fetch_history(), large("order"), store, "workflow_execution_completed.result")
    assert storage_events.payloads("store") > 0


async def test_the_worker_stores_as_many_payloads_at_once_as_the_settings_say(
    temporal_server: TemporalServer, redis_store: Store
) -> None:
    client = await Client.connect(
        temporal_server.address, plugins=[PayloadsPlugin(redis_store.settings(concurrency=17))]
    )
    worker = Worker(client, task_queue=new_id("queue"), workflows=workflows.ALL, activities=activities.ALL)
    assert worker.config(active_config=True)["max_workflow_task_external_storage_concurrency"] == 17


async def test_a_replayer_with_the_plugin_reads_the_history_from_the_store(
    store: Store, storage_events: StorageEvents, history: WorkflowHistory
) -> None:
    plugin = PayloadsPlugin(store.settings(cache=NO_CACHE), registry=storage_events.registry)
    replayer = Replayer(workflows=workflows.ALL, plugins=[plugin])
    result = await replayer.replay_workflow(history)
    assert result.replay_failure is None
    assert storage_events.payloads("retrieve") > 0


async def test_a_replayer_with_the_built_converter_reads_the_history_from_the_store(
    store: Store, storage_events: StorageEvents, history: WorkflowHistory
) -> None:
    converter = build_data_converter(store.settings(cache=NO_CACHE), registry=storage_events.registry)
    replayer = Replayer(workflows=workflows.ALL, data_converter=converter)
    result = await replayer.replay_workflow(history)
    assert result.replay_failure is None
    assert storage_events.payloads("retrieve") > 0


async def test_a_second_replay_does_not_go_back_to_the_store(
    redis_store: Store, storage_events: StorageEvents, temporal_server: TemporalServer
) -> None:
    plugin = PayloadsPlugin(redis_store.settings(), registry=storage_events.registry)
    client = await Client.connect(temporal_server.address, plugins=[plugin])
    async with running_worker(client) as task_queue:
        handle = await exercise(client, task_queue, large("replayed"))
    storage_events.seen.clear()
    replayer = Replayer(workflows=workflows.ALL, plugins=[plugin])
    await replayer.replay_workflow(await handle.fetch_history())
    retrieved = storage_events.payloads("retrieve")
    assert retrieved > 0
    assert sum(event.cache_hits for event in storage_events.seen) == retrieved
