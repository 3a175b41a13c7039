"""The SDK plugin sets up clients, their workers, and replayers."""

import asyncio
import uuid
from datetime import timedelta

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, PayloadsPlugin
from temporal_payloads.plugin import StorageUnavailableError
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

with_everything_stored = PayloadSettings(
    storage={"driver": "memory", "threshold": 0, "concurrency": 17, "cache": {"max_size": 0}}
)


@activity.defn
async def repeat(text):
    return text * 2


@workflow.defn
class Repeating:
    @workflow.run
    async def run(self, text):
        return await workflow.execute_activity(repeat, text, schedule_to_close_timeout=timedelta(seconds=30))


@pytest.fixture
def plugin(registry):
    return PayloadsPlugin(with_everything_stored, registry=registry)


@pytest.fixture
async def client(temporal_server, plugin):
    return await Client.connect(
        temporal_server.address, namespace=temporal_server.namespace, plugins=[plugin]
    )


def make_worker(client, **options):
    return Worker(
        client,
        **{"task_queue": str(uuid.uuid4()), **options},
        workflows=[Repeating],
        activities=[repeat],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def run_workflow(client, worker):
    handle = await client.start_workflow(
        Repeating.run,
        "hello",
        id=str(uuid.uuid4()),
        task_queue=worker.task_queue,
        run_timeout=timedelta(minutes=1),
    )
    assert await handle.result() == "hellohello"
    return handle


async def test_a_worker_of_the_client_has_its_drivers_open_while_it_runs(client, store):
    assert store.opened == 0
    async with make_worker(client) as worker:
        await run_workflow(client, worker)
        assert (store.opened, store.open_now) == (1, 1)
    assert store.open_now == 0
    assert store.items


async def test_two_workers_share_the_drivers_and_the_last_one_closes_them(client, store):
    first = make_worker(client)
    async with first:
        async with make_worker(client) as second:
            await run_workflow(client, second)
        assert store.open_now == 1
        await run_workflow(client, first)
    assert (store.opened, store.open_now) == (1, 0)


async def test_the_plugin_may_be_given_to_the_worker_as_well(client, plugin, store):
    with pytest.warns(UserWarning, match="both client and worker"):
        worker = make_worker(client, plugins=[plugin])
    async with worker:
        await run_workflow(client, worker)
    assert store.open_now == 0


async def test_a_replayer_reads_what_the_worker_stored(client, plugin, store):
    async with make_worker(client) as worker:
        handle = await run_workflow(client, worker)
    history = await handle.fetch_history()
    reads = store.reads
    replayer = Replayer(workflows=[Repeating], plugins=[plugin], workflow_runner=UnsandboxedWorkflowRunner())
    result = await replayer.replay_workflow(history)
    assert result.replay_failure is None
    assert store.reads > reads
    assert store.open_now == 0


async def test_a_worker_whose_store_is_of_no_use_does_not_start(client, store):
    store.fail_reading = StorageUnavailableError("the store is down")
    with pytest.raises(StorageUnavailableError, match="the store is down"):
        await asyncio.wait_for(make_worker(client).run(), timeout=30)
    assert store.open_now == 0


async def test_the_storage_concurrency_is_that_of_the_settings(client):
    config = make_worker(client).config(active_config=True)
    assert config["max_workflow_task_external_storage_concurrency"] == 17


async def test_a_storage_concurrency_that_the_worker_sets_itself_is_kept(client):
    worker = make_worker(client, max_workflow_task_external_storage_concurrency=5)
    config = worker.config(active_config=True)
    assert config["max_workflow_task_external_storage_concurrency"] == 5


async def test_the_clients_own_converter_is_built_upon(temporal_server, plugin):
    client = await Client.connect(
        temporal_server.address, data_converter=pydantic_data_converter, plugins=[plugin]
    )
    assert client.data_converter.payload_converter_class is PydanticPayloadConverter
    assert client.data_converter.external_storage is not None


async def test_one_plugin_serves_several_clients(temporal_server, plugin, store):
    converters = [
        (await Client.connect(temporal_server.address, data_converter=base, plugins=[plugin])).data_converter
        for base in (pydantic_data_converter, pydantic_data_converter)
    ]
    assert all(converter.external_storage is not None for converter in converters)


def test_a_wrong_configuration_shows_where_the_plugin_is_made(registry):
    with pytest.raises(ConfigurationError, match=r"storage\.driver"):
        PayloadsPlugin(PayloadSettings(storage={"driver": "memoryy"}), registry=registry)


def test_without_settings_the_file_and_the_environment_are_read(write_settings, set_variables):
    set_variables(STORAGE__CONCURRENCY="none at all")
    with pytest.raises(ConfigurationError, match="TEMPORAL_PAYLOADS_STORAGE__CONCURRENCY"):
        PayloadsPlugin()
