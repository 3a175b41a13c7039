"""The store is away, slow or restarted while workflows run: they wait, and complete when it is back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from faults.conftest import Bench
from local_servers import start_redis
from support.proxy import TcpProxy
from support.queries import answer_of
from support.stores import RedisStore
from support.values import large
from support.workers import running_worker
from support.workflows import Beats, Echo, Mailbox
from temporal_payloads import open_data_converter
from temporal_payloads.plugin import StorageTimeoutError, StorageUnavailableError
from temporalio import activity
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from pathlib import Path

    from local_servers import TemporalServer
    from support.events import StorageEvents


async def test_a_workflow_completes_after_the_store_was_away(
    bench: Bench, proxy: TcpProxy, task_queue: str
) -> None:
    behind_proxy = bench.store.through(proxy.port)
    client = await bench.client()
    async with await bench.worker(task_queue, store=behind_proxy):
        handle = await bench.start(client, Mailbox.run, large("first"), task_queue=task_queue)
        assert await answer_of(handle, Mailbox.joined, "") == large("first")
        await proxy.cut()
        await handle.signal(Mailbox.put, large("second"))
        failed = await bench.events.failure("StorageUnavailableError")
        assert failed.driver == bench.store.driver_name
        await proxy.restore()
        await handle.signal(Mailbox.close)
        assert await handle.result() == large("second")


async def test_an_activity_is_tried_again_after_the_store_was_away(
    bench: Bench, proxy: TcpProxy, task_queue: str
) -> None:
    behind_proxy = bench.store.through(proxy.port)
    client = await bench.client()
    handle = await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    await proxy.cut()
    async with await bench.worker(task_queue, store=behind_proxy):
        await bench.events.failure("StorageUnavailableError")
        await proxy.restore()
        assert await handle.result() == large("order")


class BeatsOnce:
    """Heartbeats a large value, fails when told to, and goes on from what the heartbeat left."""

    def __init__(self) -> None:
        self.may_fail = asyncio.Event()

    @activity.defn
    async def beat_and_resume(self, tag: str) -> str:
        """Return the value from the heartbeat of the first attempt."""
        if activity.info().attempt == 1:
            activity.heartbeat(large(tag))
            await self.may_fail.wait()
            raise ApplicationError("the first attempt ends here")
        [found] = activity.info().heartbeat_details
        return str(found)


async def test_heartbeat_details_that_cannot_be_had_now_do_not_fail_the_activity(
    bench: Bench, proxy: TcpProxy, task_queue: str
) -> None:
    beats = BeatsOnce()
    behind_proxy = await bench.client(store=bench.store.through(proxy.port), encode_failures=False)
    async with running_worker(behind_proxy, task_queue, activities=[beats.beat_and_resume]):
        handle = await bench.start(await bench.client(), Beats.run, "progress", task_queue=task_queue)
        await bench.events.success("store")
        await proxy.cut()
        beats.may_fail.set()
        await bench.events.failure("StorageUnavailableError")
        await proxy.restore()
        assert await handle.result() == large("progress")


async def test_a_client_is_told_where_the_store_should_be(
    bench: Bench, proxy: TcpProxy, task_queue: str
) -> None:
    client = await bench.client(store=bench.store.through(proxy.port))
    await proxy.cut()
    with pytest.raises(StorageUnavailableError) as raised:
        await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    assert f"127.0.0.1:{proxy.port}" in str(raised.value)
    assert f"storage.drivers.{bench.store.type}" in str(raised.value)
    assert not raised.value.non_retryable


async def test_opening_a_converter_fails_at_once_while_the_store_is_away(
    bench: Bench, proxy: TcpProxy
) -> None:
    await proxy.cut()
    with pytest.raises(StorageUnavailableError):
        async with open_data_converter(bench.store.through(proxy.port).settings()):
            pass


async def test_a_store_that_is_too_slow_is_tried_again(
    bench: Bench, proxy: TcpProxy, task_queue: str
) -> None:
    client = await bench.client()
    slow = bench.store.through(proxy.port)
    async with await bench.worker(task_queue, store=slow, timeout="1s"):
        handle = await bench.start(client, Mailbox.run, task_queue=task_queue)
        assert await answer_of(handle, Mailbox.joined, "") == ""
        proxy.stall()
        await handle.signal(Mailbox.put, large("order"))
        await bench.events.failure("StorageTimeoutError")
        proxy.flow()
        await handle.signal(Mailbox.close)
        assert await handle.result() == large("order")


async def test_a_store_that_is_too_slow_is_a_retryable_error_that_names_the_setting(
    bench: Bench, proxy: TcpProxy
) -> None:
    converter = bench.converter(store=bench.store.through(proxy.port), timeout="2s")
    proxy.stall()
    with pytest.raises(StorageTimeoutError) as raised:
        await converter.encode([large("order")])
    assert not raised.value.non_retryable
    assert "storage.timeout = 2s" in str(raised.value)
    proxy.flow()
    payloads = None
    async with asyncio.timeout(60):
        while payloads is None:
            with suppress(StorageTimeoutError):  # two seconds are not much on a busy machine
                payloads = await converter.encode([large("order")])
    assert await bench.converter().decode(payloads) == [large("order")]


async def test_a_workflow_completes_after_redis_was_restarted(
    temporal_server: TemporalServer, storage_events: StorageEvents, task_queue: str, tmp_path: Path
) -> None:
    with start_redis(tmp_path) as first:
        async with TcpProxy(first.host, first.port) as proxy:
            store = RedisStore(first).through(proxy.port)
            bench = Bench(temporal_server, store, storage_events)
            client = await bench.client()
            async with await bench.worker(task_queue):
                handle = await bench.start(client, Mailbox.run, large("first"), task_queue=task_queue)
                assert await answer_of(handle, Mailbox.joined, "") == large("first")
                with first.client() as admin:
                    await asyncio.to_thread(admin.save)
                await proxy.cut()
                with start_redis(tmp_path) as second:
                    proxy.target = (second.host, second.port)
                    await proxy.restore()
                    assert await handle.execute_update(Mailbox.swap, large("second")) == large("first")
                    await handle.signal(Mailbox.close)
                    assert await handle.result() == large("second")
