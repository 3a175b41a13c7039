"""A worker whose store cannot be used raises the reason, however it is run, and a replay does too."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from support import activities, workflows
from support.proxy import TcpProxy
from support.values import large
from support.workers import RUN_TIMEOUT, new_id
from support.workflows import Echo
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporal_payloads.plugin import (
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageTimeoutError,
    StorageUnavailableError,
)
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.worker import Replayer, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_servers import TemporalServer
    from support.stores import S3Store, Store

TIME_TO_FAIL = 90
"""Seconds; generous, for a `storage.timeout` of one."""

WRONG_CREDENTIALS = {
    "s3": {"secret_access_key": "wrong"},
    "redis": {"username": "nobody", "password": "wrong"},
}


@dataclass(frozen=True)
class Unusable:
    """A store that is of no use, and what is to be told of it."""

    settings: PayloadSettings
    reason: type[StorageError]
    place: str


@pytest.fixture(params=["down", "silent", "no access"])
async def unusable(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[Unusable]:
    """A real store: it cannot be reached, never answers, or refuses us."""
    async with TcpProxy(*store.address) as proxy:
        settings = store.through(proxy.port).settings(timeout="1s")
        reason: type[StorageError] = StorageTimeoutError
        if request.param == "silent":
            proxy.stall()
        elif request.param == "down":
            await proxy.cut()
            reason = StorageUnavailableError
        else:
            wrong = {
                "s3": {"secret_access_key": "wrong"},
                "redis": {"username": "nobody", "password": "wrong"},
            }
            settings = store.settings(driver=wrong[store.type])
            reason = StoragePermissionError
        yield Unusable(settings, reason, f"storage.drivers.{store.type}")


@pytest.fixture
def without_bucket(s3_store: S3Store) -> Unusable:
    """A server without the bucket that the settings name."""
    settings = s3_store.settings(driver={"bucket": "no-such-bucket"})
    return Unusable(settings, StorageMisconfiguredError, "storage.drivers.s3")


async def connect(server: TemporalServer, settings: PayloadSettings) -> Client:
    return await Client.connect(server.address, plugins=[PayloadsPlugin(settings)])


def make_worker(client: Client, task_queue: str | None = None) -> Worker:
    return Worker(
        client,
        task_queue=task_queue or new_id("queue"),
        workflows=workflows.ALL,
        activities=activities.ALL,
    )


async def assert_told(store: Unusable, starting: object, caplog: pytest.LogCaptureFixture) -> None:
    """The reason comes out of what was tried, and stands in the log as an error."""
    assert asyncio.iscoroutine(starting)
    with pytest.raises(store.reason) as raised:
        async with asyncio.timeout(TIME_TO_FAIL):
            await starting
    assert store.place in str(raised.value)
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert any(str(raised.value) in message for message in errors)


async def block_that_waits(*workers: Worker) -> None:
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        await asyncio.Event().wait()


async def test_a_block_around_a_worker_raises_the_reason_though_its_body_waits_for_ever(
    temporal_server: TemporalServer, unusable: Unusable, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect(temporal_server, unusable.settings)
    await assert_told(unusable, block_that_waits(make_worker(client)), caplog)


async def test_a_worker_that_is_run_raises_the_reason(
    temporal_server: TemporalServer, unusable: Unusable, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect(temporal_server, unusable.settings)
    await assert_told(unusable, make_worker(client).run(), caplog)


async def test_a_block_around_two_workers_of_a_client_raises_the_reason(
    temporal_server: TemporalServer, unusable: Unusable, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect(temporal_server, unusable.settings)
    await assert_told(unusable, block_that_waits(make_worker(client), make_worker(client)), caplog)


async def test_a_replay_raises_the_reason(unusable: Unusable, caplog: pytest.LogCaptureFixture) -> None:
    replayer = Replayer(workflows=workflows.ALL, plugins=[PayloadsPlugin(unusable.settings)])
    await assert_told(unusable, replayer.replay_workflow(WorkflowHistory("wf", [])), caplog)


async def test_a_missing_bucket_is_told_by_workers_and_replays(
    temporal_server: TemporalServer, without_bucket: Unusable, caplog: pytest.LogCaptureFixture
) -> None:
    client = await connect(temporal_server, without_bucket.settings)
    await assert_told(without_bucket, block_that_waits(make_worker(client)), caplog)
    await assert_told(without_bucket, make_worker(client).run(), caplog)
    await assert_told(without_bucket, block_that_waits(make_worker(client), make_worker(client)), caplog)
    replayer = Replayer(workflows=workflows.ALL, plugins=[PayloadsPlugin(without_bucket.settings)])
    await assert_told(without_bucket, replayer.replay_workflow(WorkflowHistory("wf", [])), caplog)


async def start_echo(client: Client, value: str, task_queue: str) -> WorkflowHandle[Echo, str]:
    return await client.start_workflow(
        Echo.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )


async def test_a_worker_starts_on_the_same_client_and_task_queue_once_the_store_is_back(
    temporal_server: TemporalServer, store: Store
) -> None:
    async with TcpProxy(*store.address) as proxy:
        await proxy.cut()
        client = await connect(temporal_server, store.through(proxy.port).settings(timeout="5s"))
        failed = make_worker(client)
        with pytest.raises(StorageUnavailableError):
            await block_that_waits(failed)
        await proxy.restore()
        async with make_worker(client, failed.task_queue) as worker:
            handle = await start_echo(client, large("order"), worker.task_queue)
            assert await handle.result() == large("order")
        await proxy.idle()


async def test_a_worker_starts_while_a_store_that_is_only_retrieved_from_is_down(
    temporal_server: TemporalServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with TcpProxy(*store.address) as proxy:
        old = store.through(proxy.port).table() | {"type": store.type, "driver_name": "old"}
        earlier = await connect(temporal_server, store.settings(drivers={"old": old}))
        drivers = {store.type: store.table(), "old": old | {"retrieve_only": True}}
        settings = store.settings(drivers=drivers, routes=[{"driver": store.type}], cache={"max_size": 0})
        client = await connect(temporal_server, settings)

        await proxy.cut()
        async with make_worker(client) as worker:
            handle = await start_echo(client, large("new order"), worker.task_queue)
            assert await handle.result() == large("new order")
            ours = [record for record in caplog.records if record.name == "temporal_payloads"]
            [warning] = [record for record in ours if record.levelno == logging.WARNING]
            assert "'old' (storage.drivers.old)> cannot be used now" in warning.getMessage()

            await proxy.restore()
            handle = await start_echo(earlier, large("old order"), worker.task_queue)
            assert await client.get_workflow_handle(handle.id).result() == large("old order")
