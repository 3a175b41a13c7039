"""What holds for every store: each in the list has been through it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.json_format import MessageToDict, ParseDict
from local_servers.process import free_ports
from support import workflows
from support.failures import task_failure
from support.history import claim_of, driver_name, event_payloads, is_reference
from support.values import large
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from temporal_payloads import build_data_converter
from temporal_payloads.codec_server import create_app
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowExecutionStatus
from temporalio.converter import DataConverter
from temporalio.worker import Replayer

if TYPE_CHECKING:
    from local_servers import TemporalServer
    from support.stores import Store
    from temporalio.client import Client, WorkflowHandle

BACKENDS = ["azure_blob_store", "filesystem_store", "gcs_store", "postgres_store"]
"""The fixtures of the stores that the other tests here leave out. (Those run with S3 and Redis.)"""
STARTED = "workflow_execution_started.input"
COMPLETED = "workflow_execution_completed.result"
NO_CACHE = {"max_size": 0}


@pytest.fixture(params=BACKENDS)
def store(request: pytest.FixtureRequest) -> Store:
    """Each of them in turn."""
    found: Store = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def converter(store: Store) -> DataConverter:
    """As the deployment should have it."""
    return build_data_converter(store.settings(cache=NO_CACHE))


@pytest.fixture
async def client(temporal_server: TemporalServer, converter: DataConverter) -> Client:
    """Connect with that."""
    return await connect(temporal_server, converter)


async def start(
    client: Client, task_queue: str, task_timeout: timedelta = timedelta(seconds=1)
) -> WorkflowHandle[Any, Any]:
    """Start a workflow with a large argument, whose tasks are tried again soon after they failed."""
    handle: WorkflowHandle[Any, Any] = await client.start_workflow(
        workflows.Echo.run,
        large("order"),
        id=new_id("wf"),
        task_queue=task_queue,
        run_timeout=RUN_TIMEOUT,
        task_timeout=task_timeout,
    )
    return handle


async def is_running(handle: WorkflowHandle[Any, Any]) -> bool:
    return (await handle.describe()).status == WorkflowExecutionStatus.RUNNING


async def test_values_are_stored_read_and_replayed_and_the_codec_server_shows_them(
    client: Client, converter: DataConverter, store: Store
) -> None:
    async with running_worker(client) as task_queue:
        handle = await start(client, task_queue)
        assert await handle.result() == large("order")
    history = await handle.fetch_history()
    (argument,), (result,) = (event_payloads(history)[place] for place in (STARTED, COMPLETED))
    for reference in (argument, result):
        assert is_reference(reference)
        assert driver_name(reference) == store.driver_name
    replayer = Replayer(workflows=workflows.ALL, data_converter=converter)
    assert (await replayer.replay_workflow(history)).replay_failure is None
    async with (
        TestClient(TestServer(create_app(store.settings()))) as codec_server,
        codec_server.post(
            "/decode",
            json={"payloads": [MessageToDict(result)]},
            headers={"X-Namespace": client.namespace},
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
        [shown] = json.loads(await answer.read())["payloads"]
    assert json.loads(ParseDict(shown, Payload()).data) == large("order")


async def test_a_worker_that_is_configured_for_another_place_ends_no_workflow(
    temporal_server: TemporalServer, client: Client, store: Store
) -> None:
    # Nothing listens there. That is told within the time of a workflow task, further attempts included.
    # That there was no answer would come too late to be recorded.
    wrong = store.through(*free_ports(1)).settings(cache=NO_CACHE, timeout="5s")
    elsewhere = build_data_converter(wrong)
    task_queue = new_id("queue")
    handle = await start(client, task_queue, task_timeout=timedelta(seconds=3))
    async with running_worker(await connect(temporal_server, elsewhere), task_queue):
        failure = str(await task_failure(handle))
    assert "StorageUnavailableError" in failure
    assert f"storage.drivers.{store.type}" in failure
    assert await is_running(handle)
    async with running_worker(client, task_queue):
        assert await handle.result() == large("order")


async def test_a_payload_that_is_missing_is_told_and_the_workflow_goes_on_when_it_is_back(
    client: Client, store: Store
) -> None:
    task_queue = new_id("queue")
    handle = await start(client, task_queue)
    (reference,) = event_payloads(await handle.fetch_history())[STARTED]
    claim = claim_of(reference)
    kept = store.read(claim)
    store.delete(claim)
    async with running_worker(client, task_queue):
        assert "PayloadNotFoundError" in str(await task_failure(handle))
        assert await is_running(handle)
        store.overwrite(claim, kept)
        assert await handle.result() == large("order")
