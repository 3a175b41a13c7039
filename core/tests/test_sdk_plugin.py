"""The SDK plugin sets up clients, their workers, and replayers."""

import asyncio
import inspect
import logging
import pydoc
import uuid
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from temporal_payloads import ConfigurationError, PayloadSettings, PayloadsPlugin, settings_fingerprint
from temporal_payloads._plugins.bare import NoSettings
from temporal_payloads.plugin import (
    CodecPlugin,
    KeyUnavailableError,
    PerPayloadCodec,
    StorageUnavailableError,
    hookimpl,
)
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.plugin import SimplePlugin
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


async def test_a_worker_logs_the_fingerprint_of_its_settings_when_it_starts(client, registry, caplog):
    caplog.set_level(logging.INFO, logger="temporal_payloads")
    async with make_worker(client):
        pass
    [told] = [record.message for record in caplog.records if "fingerprint" in record.message]
    fingerprint = settings_fingerprint(with_everything_stored, registry=registry)
    assert told.startswith(f"Settings fingerprint: {fingerprint} ")


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
    reads, writes = store.reads, store.writes
    replayer = Replayer(workflows=[Repeating], plugins=[plugin], workflow_runner=UnsandboxedWorkflowRunner())
    result = await replayer.replay_workflow(history)
    assert result.replay_failure is None
    assert store.reads > reads
    assert store.writes == writes
    assert store.open_now == 0


class Keyless(PerPayloadCodec):
    """Reads what others write, and may not write."""

    def encode_payload(self, payload):
        return payload

    decode_payload = encode_payload

    async def check(self):
        raise KeyUnavailableError("no key to write with")


async def test_a_worker_without_the_key_to_write_with_does_not_start_and_a_replayer_does(
    temporal_server, client, plugin, registry
):
    async with make_worker(client) as worker:
        history = await (await run_workflow(client, worker)).fetch_history()
    described = CodecPlugin(
        api_version=1, settings=NoSettings, encodings=("binary/keyless",), create=lambda _: Keyless()
    )
    registry.register_codec("keyless", SimpleNamespace(temporal_payloads_codec=hookimpl(lambda: described)))
    keyless = PayloadsPlugin(
        with_everything_stored.model_copy(update={"codecs": ("keyless",)}), registry=registry
    )
    options = {"namespace": temporal_server.namespace, "plugins": [keyless]}
    with pytest.raises(KeyUnavailableError, match="no key to write with"):
        await make_worker(await Client.connect(temporal_server.address, **options)).run()
    replayer = Replayer(workflows=[Repeating], plugins=[keyless], workflow_runner=UnsandboxedWorkflowRunner())
    assert (await replayer.replay_workflow(history)).replay_failure is None


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


async def test_the_clients_own_payload_converter_is_extended_by_a_plugin(temporal_server, install):
    install("tidy")
    plugin = PayloadsPlugin(PayloadSettings(payload_converter="tidy"))
    client = await Client.connect(
        temporal_server.address, data_converter=pydantic_data_converter, plugins=[plugin]
    )
    assert issubclass(client.data_converter.payload_converter_class, PydanticPayloadConverter)
    assert client.data_converter.payload_converter.to_payload([1, 2]).data == b"[1, 2]"
    # As a replayer does with the converter of a client that has the plugin.
    replayer = Replayer(workflows=[Repeating], data_converter=client.data_converter, plugins=[plugin])
    assert replayer.config(active_config=True)["data_converter"] is client.data_converter


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


def test_help_shows_the_plugins_own_arguments():
    assert list(inspect.signature(PayloadsPlugin).parameters) == ["settings", "registry", "required"]
    shown = pydoc.plain(pydoc.render_doc(PayloadsPlugin))
    assert "PayloadSettings.load()" in shown
    own = shown.partition("Methods inherited from")[0]
    for foreign in ("simple plugin", "nexus_service_handlers", "run_context"):
        assert foreign not in own


# -- a store of no use


async def test_a_worker_whose_store_is_of_no_use_does_not_start(client, store):
    store.fail_reading = StorageUnavailableError("the store is down")
    with pytest.raises(StorageUnavailableError, match="the store is down"):
        await asyncio.wait_for(make_worker(client).run(), timeout=30)
    assert store.open_now == 0


async def in_a_block(worker):
    async with asyncio.timeout(30), worker:
        await asyncio.Event().wait()


async def test_a_block_around_a_worker_that_does_not_start_is_left_with_the_reason(client, store, caplog):
    store.fail_reading = StorageUnavailableError("the store is down")
    with pytest.raises(StorageUnavailableError, match="the store is down"):
        await in_a_block(make_worker(client))
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "temporal_payloads"
    assert "the store is down" in record.getMessage()


async def test_a_block_that_ends_while_the_store_is_asked_is_not_cancelled(client, store, caplog):
    store.gate = asyncio.Event()
    store.fail_reading = StorageUnavailableError("the store is down")

    async def answer():
        await asyncio.sleep(0.1)  # the block has ended, and waits for the worker
        store.gate.set()

    answering = asyncio.create_task(answer())
    async with asyncio.timeout(30), make_worker(client):
        pass
    await answering
    assert "the store is down" in caplog.text


async def test_shutting_down_a_worker_that_does_not_start_ends(client, store):
    store.fail_reading = StorageUnavailableError("the store is down")
    worker = make_worker(client)
    running = asyncio.create_task(worker.run())
    await asyncio.wait_for(worker.shutdown(), timeout=30)
    with pytest.raises(StorageUnavailableError):
        await running


async def test_shutting_down_a_worker_that_is_cancelled_while_the_store_is_asked_ends(client, store):
    store.gate, store.arrived = asyncio.Event(), asyncio.Event()
    worker = make_worker(client)
    running = asyncio.create_task(worker.run())
    await store.arrived.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.wait_for(worker.shutdown(), timeout=30)
    assert store.open_now == 0


async def test_another_worker_can_take_the_place_of_one_that_did_not_start(client, store):
    store.fail_reading = StorageUnavailableError("the store is down")
    failed = make_worker(client)
    with pytest.raises(StorageUnavailableError):
        await in_a_block(failed)
    store.fail_reading = None
    async with make_worker(client, task_queue=failed.task_queue) as worker:
        await run_workflow(client, worker)


async def test_a_worker_that_did_not_start_is_not_run_again(client, store):
    store.fail_reading = StorageUnavailableError("the store is down")
    worker = make_worker(client)
    with pytest.raises(StorageUnavailableError):
        await worker.run()
    store.fail_reading = None
    with pytest.raises(RuntimeError, match="make another one"):
        await asyncio.wait_for(worker.run(), timeout=30)


async def test_a_worker_that_did_not_start_has_taken_no_task(client, store):
    # A queue that nobody has polled: the server might still give the task to a poll that was given up.
    task_queue = str(uuid.uuid4())
    handle = await client.start_workflow(
        Repeating.run,
        "hello",
        id=str(uuid.uuid4()),
        task_queue=task_queue,
        run_timeout=timedelta(minutes=1),
    )
    store.fail_reading = StorageUnavailableError("the store is down")
    with pytest.raises(StorageUnavailableError):
        await in_a_block(make_worker(client, task_queue=task_queue))
    history = await handle.fetch_history()
    assert not [event for event in history.events if event.HasField("workflow_task_started_event_attributes")]
    await handle.terminate()


async def test_workers_of_one_client_that_start_together_all_tell_the_reason(client, store):
    store.fail_opening = StorageUnavailableError("the store is down")
    async with asyncio.timeout(30):
        results = await asyncio.gather(
            in_a_block(make_worker(client)), make_worker(client).run(), return_exceptions=True
        )
    assert [str(each) for each in results] == ["StorageUnavailableError: the store is down"] * 2
    with pytest.raises(StorageUnavailableError, match="the store is down"):
        async with asyncio.timeout(30), make_worker(client), make_worker(client):
            await asyncio.Event().wait()


async def test_a_worker_in_a_loop_of_another_thread_tells_the_reason(temporal_server, plugin, store):
    store.fail_reading = StorageUnavailableError("the store is down")

    async def work():
        client = await Client.connect(temporal_server.address, plugins=[plugin])
        await in_a_block(make_worker(client))

    with pytest.raises(StorageUnavailableError, match="the store is down"):
        await asyncio.to_thread(lambda: asyncio.run(work()))


class Neighbour(SimplePlugin):
    """Another plugin around the worker, which takes its time and may fail."""

    def __init__(self, failure=None):
        super().__init__(f"neighbour-{id(self)}", run_context=self.around)
        self.failure = failure
        self.seen = []

    @asynccontextmanager
    async def around(self):
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        self.seen.append("entered")
        try:
            yield
        finally:
            await asyncio.sleep(0)
            self.seen.append("left")


@pytest.fixture
def connect(temporal_server):
    """Connect a client with plugins, the first of them outermost."""
    return lambda *plugins: Client.connect(temporal_server.address, plugins=plugins)


async def test_plugins_around_and_within_are_left_as_they_were_entered(connect, plugin, store):
    before, after = Neighbour(), Neighbour()
    client = await connect(before, plugin, after)
    store.fail_reading = StorageUnavailableError("the store is down")
    with pytest.raises(StorageUnavailableError):
        await in_a_block(make_worker(client))
    assert (before.seen, after.seen) == (["entered", "left"], [])
    store.fail_reading = None
    async with make_worker(client) as worker:
        await run_workflow(client, worker)
    assert after.seen == ["entered", "left"]


async def test_a_plugin_within_that_fails_to_start_ends_the_block_too(connect, plugin, store):
    client = await connect(plugin, Neighbour(failure=OSError("the neighbour is down")))
    with pytest.raises(OSError, match="the neighbour is down"):
        await in_a_block(make_worker(client))
    assert store.open_now == 0


# -- closing


@pytest.fixture
def make_client(temporal_server, registry):
    """Connect a client whose driver may take three seconds for an operation."""
    settings = with_everything_stored.model_dump(exclude_unset=True)
    settings["storage"] |= {"timeout": "3s"}
    return lambda: Client.connect(
        temporal_server.address, plugins=[PayloadsPlugin(PayloadSettings(**settings), registry=registry)]
    )


async def test_a_driver_that_does_not_close_is_left_after_the_storage_timeout(make_client, store, caplog):
    store.closing = asyncio.Event()
    client = await make_client()
    async with asyncio.timeout(30):
        async with make_worker(client) as worker:
            await run_workflow(client, worker)
    assert "was not closed properly: TimeoutError" in caplog.text
    store.closing.set()


async def test_a_driver_that_fails_to_close_does_not_fail_the_worker(make_client, store, caplog):
    store.fail_closing = OSError("broken pipe")
    client = await make_client()
    worker = make_worker(client)
    running = asyncio.create_task(worker.run())
    await run_workflow(client, worker)
    await worker.shutdown()
    await running
    assert "was not closed properly: OSError: broken pipe" in caplog.text
