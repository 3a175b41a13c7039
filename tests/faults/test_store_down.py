"""What `docs/storage-down.md` says of a store that is down, on real servers."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.failures import application_error, event_of, pending_activity, task_failure
from support.history import driver_name, event_payloads, is_reference
from support.values import THRESHOLD, large
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import Echo, Mailbox, Produces
from temporal_payloads import PayloadSettings, PayloadsPlugin, build_data_converter
from temporal_payloads.plugin import (
    PayloadTooLargeError,
    StorageError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporalio import activity, workflow
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.client import Client
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from support.activities import echo, produce

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.proxy import TcpProxy
    from support.stores import RedisStore, S3Store, Store
    from temporalio.api.workflow.v1 import PendingActivityInfo
    from temporalio.client import WorkflowHandle
    from temporalio.converter import DataConverter

QUICK = timedelta(seconds=30)


# -- a fallback


class Pair:
    """S3 behind a proxy, and Redis as its fallback."""

    def __init__(self, s3: S3Store, redis: RedisStore, proxy: TcpProxy, events: StorageEvents) -> None:
        self._tables = {"s3": s3.through(proxy.port).table() | {"fallback": "redis"}, "redis": redis.table()}
        self._events = events

    def converter(self, **changes: Any) -> DataConverter:
        """Build a converter without a cache."""
        storage = {
            "driver": "s3",
            "drivers": self._tables,
            "threshold": THRESHOLD,
            "cache": {"max_size": 0},
            "circuit": False,
        }
        settings = PayloadSettings.model_validate({"storage": storage | changes})
        return build_data_converter(settings, registry=self._events.registry)


@pytest.fixture
def pair(
    s3_store: S3Store, redis_store: RedisStore, proxy_of_s3: TcpProxy, storage_events: StorageEvents
) -> Pair:
    return Pair(s3_store, redis_store, proxy_of_s3, storage_events)


async def recorded(handle: WorkflowHandle[Any, Any]) -> set[str]:
    """Return the drivers that the references in a history name."""
    found = event_payloads(await handle.fetch_history()).values()
    return {driver_name(payload) for payloads in found for payload in payloads if is_reference(payload)}


async def test_workflows_go_on_through_an_outage_with_a_fallback(
    temporal_server: TemporalServer, pair: Pair, proxy_of_s3: TcpProxy
) -> None:
    client = await connect(temporal_server, pair.converter())
    handles: dict[str, WorkflowHandle[Any, Any]] = {}

    async def echo_through(task_queue: str, tag: str) -> None:
        handles[tag] = await client.start_workflow(
            Echo.run, large(tag), id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert await handles[tag].result() == large(tag)

    async with running_worker(client) as task_queue:
        await echo_through(task_queue, "before")
        await proxy_of_s3.cut()
        await echo_through(task_queue, "during")
        await proxy_of_s3.restore()
        await echo_through(task_queue, "after")
    for tag, name in {"before": "aws.s3driver", "during": "redis", "after": "aws.s3driver"}.items():
        assert await recorded(handles[tag]) == {name}


async def test_what_was_stored_before_the_outage_waits_for_the_store_and_what_is_new_does_not(
    temporal_server: TemporalServer, pair: Pair, proxy_of_s3: TcpProxy, storage_events: StorageEvents
) -> None:
    client = await connect(temporal_server, pair.converter())
    handle = await client.start_workflow(
        Echo.run,
        large("old"),
        id=new_id("wf"),
        task_queue=(queue := new_id("queue")),
        run_timeout=RUN_TIMEOUT,
    )
    await proxy_of_s3.cut()
    async with running_worker(client, queue):
        failed = await storage_events.failure("StorageUnavailableError")
        assert (failed.operation, failed.driver) == ("retrieve", "aws.s3driver")
        await proxy_of_s3.restore()
        assert await handle.result() == large("old")


async def test_a_store_that_does_not_answer_leaves_time_for_the_fallback(
    pair: Pair, proxy_of_s3: TcpProxy, storage_events: StorageEvents
) -> None:
    proxy_of_s3.stall()
    converter = pair.converter(timeout="6s")
    payloads = await converter.encode([large("one"), large("two")])
    assert [driver_name(payload) for payload in payloads] == ["redis", "redis"]
    assert await converter.decode(payloads) == [large("one"), large("two")]
    assert storage_events.seen[0].error == "StorageTimeoutError"
    proxy_of_s3.flow()


async def test_wrong_credentials_are_told_though_there_is_a_fallback(
    s3_store: S3Store, redis_store: RedisStore
) -> None:
    tables = {
        "s3": s3_store.table() | {"secret_access_key": "wrong", "fallback": "redis"},
        "redis": redis_store.table(),
    }
    settings = PayloadSettings.model_validate(
        {"storage": {"driver": "s3", "drivers": tables, "threshold": THRESHOLD}}
    )
    with pytest.raises(StoragePermissionError):
        await build_data_converter(settings).encode([large("order")])


# -- the circuit


@asynccontextmanager
async def activities_without_store(
    temporal_server: TemporalServer,
    s3_store: S3Store,
    proxy_of_s3: TcpProxy,
    storage_events: StorageEvents,
    open_for: str,
) -> AsyncIterator[tuple[Client, str]]:
    """A client and a task queue; its activities alone run where the store is out of reach."""
    settings = s3_store.through(proxy_of_s3.port).settings(
        cache={"max_size": 0}, circuit={"failures": 1, "open_for": open_for}
    )
    behind_proxy = await connect(
        temporal_server, build_data_converter(settings, registry=storage_events.registry)
    )
    client = await connect(temporal_server, build_data_converter(s3_store.settings()))
    async with (
        running_worker(client, workflows=[Echo, Produces], activities=[]) as task_queue,
        running_worker(behind_proxy, task_queue, workflows=[], activities=[echo, produce]),
    ):
        await proxy_of_s3.cut()
        yield client, task_queue


async def test_an_activity_waits_until_the_store_is_tried_again(
    temporal_server: TemporalServer, s3_store: S3Store, proxy_of_s3: TcpProxy, storage_events: StorageEvents
) -> None:
    """Its retry policy alone would try it again after 10 milliseconds, to store its result in vain."""
    async with activities_without_store(
        temporal_server, s3_store, proxy_of_s3, storage_events, open_for="3s"
    ) as (client, task_queue):
        handle = await client.start_workflow(
            Produces.run,
            args=["activity", "order"],
            id=new_id("wf"),
            task_queue=task_queue,
            run_timeout=RUN_TIMEOUT,
        )
        pending = await pending_activity(handle, _told_when_to_come_back)
        refusal = await client.data_converter.decode_failure(pending.last_failure)
        assert "circuit is open" in str(refusal)
        again = pending.next_attempt_schedule_time.ToDatetime()
        assert again - pending.last_attempt_complete_time.ToDatetime() >= timedelta(seconds=0.5)
        await proxy_of_s3.restore()
        assert await handle.result() == large("order")


async def test_where_arguments_cannot_be_read_the_retry_policy_alone_counts(
    temporal_server: TemporalServer, s3_store: S3Store, proxy_of_s3: TcpProxy, storage_events: StorageEvents
) -> None:
    async with activities_without_store(
        temporal_server, s3_store, proxy_of_s3, storage_events, open_for="1h"
    ) as (client, task_queue):
        handle = await client.start_workflow(
            Echo.run, large("order"), id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        pending = await pending_activity(handle, lambda activity: activity.attempt >= 3)
        refusal = await client.data_converter.decode_failure(pending.last_failure)
        assert "circuit is open" in str(refusal)
        assert not pending.last_failure.application_failure_info.HasField("next_retry_delay")
        await handle.terminate()


def _told_when_to_come_back(pending: PendingActivityInfo) -> bool:
    told = pending.last_failure.application_failure_info
    return told.HasField("next_retry_delay") and pending.HasField("next_attempt_schedule_time")


class DeadStore:
    """Takes connections, and breaks each one at its first request."""

    def __init__(self) -> None:
        self.requests = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a request."""
        if await reader.read(1024):
            self.requests += 1
        writer.close()


WAVES, AT_ONCE = 5, 200


async def asked_of_a_dead_store(store: Store, circuit: Any) -> tuple[int, float]:
    """Let 200 callers store a payload and try again, five times in all; return the requests and the time.

    The time is that of this thread's processor, which is the event loop's.
    """
    dead = DeadStore()
    server = await asyncio.start_server(dead.serve, "127.0.0.1", 0, backlog=AT_ONCE)
    async with server:
        settings = store.through(server.sockets[0].getsockname()[1]).settings(
            cache={"max_size": 0}, circuit=circuit, codecs=[]
        )
        converter = build_data_converter(settings)
        await asyncio.gather(converter.encode([large("first")]), return_exceptions=True)
        dead.requests, start = 0, time.thread_time()
        for _ in range(WAVES):
            failures = await asyncio.gather(
                *(converter.encode([large(f"order-{n}")]) for n in range(AT_ONCE)), return_exceptions=True
            )
            assert {type(failure) for failure in failures} == {StorageUnavailableError}
        return dead.requests, time.thread_time() - start


async def test_a_circuit_spares_the_store_and_the_event_loop(store: Store) -> None:
    """Those who ask all at once have all asked before it opens; who comes later does not."""
    without, seconds_without = await asked_of_a_dead_store(store, circuit=False)
    with_circuit, seconds = await asked_of_a_dead_store(store, circuit={"open_for": "1m"})
    print(f"{store.type}: {without} requests in {seconds_without:.2f}s, {with_circuit} in {seconds:.2f}s")  # noqa: T201
    assert without >= WAVES * AT_ONCE
    assert with_circuit <= without / WAVES
    assert seconds < seconds_without


async def test_a_tenant_without_a_bucket_does_not_keep_the_others_asking_a_dead_store(
    s3_store: S3Store,
) -> None:
    dead = DeadStore()
    async with await asyncio.start_server(dead.serve, "127.0.0.1", 0) as server:
        settings = s3_store.through(server.sockets[0].getsockname()[1]).settings(
            driver={"bucket": "of-{namespace}"}, codecs=[], circuit={"failures": 3, "open_for": "1m"}
        )
        converter = build_data_converter(settings)
        told: list[str] = []
        for number in range(10):
            for namespace in ("orders", "No Bucket"):
                target = StorageDriverWorkflowInfo(namespace=namespace, id="w")
                tenant = converter._with_store_context(StorageDriverStoreContext(target))
                with pytest.raises(StorageError) as raised:
                    await tenant.encode([large(f"order-{number}")])
                told.append(type(raised.value).__name__)
    assert told[:4] == ["StorageUnavailableError", "StorageMisconfiguredError"] * 2
    assert dead.requests == 3


# -- a worker that ends


@asynccontextmanager
async def worker_with_plugin(
    server: TemporalServer, settings: PayloadSettings, events: StorageEvents, task_queue: str, **options: Any
) -> AsyncIterator[Worker]:
    """Run a worker of a client that has the SDK plugin."""
    plugin = PayloadsPlugin(settings, registry=events.registry)
    client = await Client.connect(server.address, namespace=server.namespace, plugins=[plugin])
    worker = Worker(client, task_queue=task_queue, **options)
    async with worker:
        yield worker


class Once:
    """Counts its runs, and returns a large value when told to."""

    def __init__(self) -> None:
        self.runs = 0
        self.begun = asyncio.Event()
        self.may_return = asyncio.Event()

    @activity.defn(name="produce")
    async def produce(self, tag: str) -> str:
        """Return a large value."""
        self.runs += 1
        self.begun.set()
        await self.may_return.wait()
        return large(tag)


async def something_is_held_up(proxy: TcpProxy, before: int) -> None:
    """Wait until a client has sent something that a stalled proxy, with so much traffic before, holds up."""
    async with asyncio.timeout(60):
        while len(proxy.traffic) == before:  # noqa: ASYNC110  # the proxy tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("graceful", [timedelta(0), QUICK], ids=["at once", "gracefully"])
async def test_a_worker_that_is_shut_down_finishes_what_it_is_storing(
    temporal_server: TemporalServer,
    s3_store: S3Store,
    proxy_of_s3: TcpProxy,
    storage_events: StorageEvents,
    graceful: timedelta,
) -> None:
    options = {"activities": [(once := Once()).produce], "graceful_shutdown_timeout": graceful}
    settings = s3_store.through(proxy_of_s3.port).settings(cache={"max_size": 0})
    client = await connect(temporal_server, build_data_converter(s3_store.settings()))
    task_queue = new_id("queue")
    async with running_worker(client, task_queue, workflows=[Produces], activities=[]):
        async with worker_with_plugin(
            temporal_server, settings, storage_events, task_queue, **options
        ) as worker:
            handle = await client.start_workflow(
                Produces.run,
                args=["activity", "order"],
                id=new_id("wf"),
                task_queue=task_queue,
                run_timeout=RUN_TIMEOUT,
            )
            await once.begun.wait()
            proxy_of_s3.stall()
            before = len(proxy_of_s3.traffic)
            once.may_return.set()
            await something_is_held_up(proxy_of_s3, before)
            shutdown = asyncio.create_task(worker.shutdown())
            await asyncio.sleep(1)
            assert not shutdown.done()
            proxy_of_s3.flow()
            await shutdown
        assert await handle.result() == large("order")
    assert once.runs == 1
    assert [event.error for event in storage_events.seen if event.operation == "store"] == [None]


async def test_a_worker_that_is_shut_down_finishes_what_it_is_reading(
    temporal_server: TemporalServer, s3_store: S3Store, proxy_of_s3: TcpProxy, storage_events: StorageEvents
) -> None:
    settings = s3_store.through(proxy_of_s3.port).settings(cache={"max_size": 0})
    client = await connect(temporal_server, build_data_converter(s3_store.settings()))
    task_queue = new_id("queue")
    handle = await client.start_workflow(
        Mailbox.run, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )
    async with worker_with_plugin(
        temporal_server, settings, storage_events, task_queue, workflows=[Mailbox]
    ) as worker:
        await event_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        proxy_of_s3.stall()
        before = len(proxy_of_s3.traffic)
        await handle.signal(Mailbox.put, large("order"))
        await something_is_held_up(proxy_of_s3, before)
        shutdown = asyncio.create_task(worker.shutdown())
        await asyncio.sleep(1)
        assert not shutdown.done()
        proxy_of_s3.flow()
        await shutdown
    [read] = [event for event in storage_events.seen if event.operation == "retrieve"]
    assert read.error is None
    await handle.terminate()


async def test_an_activity_that_is_reading_its_arguments_then_is_run_again_elsewhere(
    temporal_server: TemporalServer, s3_store: S3Store, proxy_of_s3: TcpProxy, storage_events: StorageEvents
) -> None:
    settings = s3_store.through(proxy_of_s3.port).settings(cache={"max_size": 0}, timeout="5m")
    client = await connect(temporal_server, build_data_converter(s3_store.settings()))
    task_queue = new_id("queue")

    async def start(value: str) -> WorkflowHandle[Any, Any]:
        return await client.start_workflow(
            Echo.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )

    async with running_worker(client, task_queue, workflows=[Echo], activities=[]):
        async with worker_with_plugin(
            temporal_server, settings, storage_events, task_queue, activities=[echo]
        ) as worker:
            assert await (await start("small")).result() == "small"
            proxy_of_s3.stall()
            before = len(proxy_of_s3.traffic)
            handle = await start(large("order"))
            await something_is_held_up(proxy_of_s3, before)
            await asyncio.wait_for(worker.shutdown(), 90)
            # Nobody waited for an answer, or until it was too late for one.
            assert [event.error for event in storage_events.seen if event.operation == "retrieve"] == [
                "CancelledError"
            ]
        async with running_worker(client, task_queue, workflows=[], activities=[echo]):
            assert await handle.result() == large("order")


# -- values that the history cannot hold

TOO_LARGE = 2_300_000
"""Characters of a value that the server does not take."""


@activity.defn
async def make_large(size: int) -> str:
    """Return a large value."""
    return large("order", size)


class Refused:
    """Counts its runs, and fails for good with a large value."""

    def __init__(self) -> None:
        self.runs = 0

    @activity.defn(name="refuse")
    async def refuse(self, size: int) -> str:
        """Fail for good."""
        self.runs += 1
        raise ApplicationError("refused", large("order", size), type="Refused", non_retryable=True)


@workflow.defn
class Oversized:
    """A value of any size: an activity's argument, result or failure, or the workflow's result."""

    @workflow.run
    async def run(self, where: str, size: int) -> str:
        """Return a part of it, or the whole."""
        if where == "argument":
            found = await workflow.execute_activity(
                echo, large("order", size), start_to_close_timeout=timedelta(seconds=30)
            )
            return found[:5]
        if where == "result":
            found = await workflow.execute_activity(
                make_large, size, start_to_close_timeout=timedelta(seconds=30)
            )
            return found[:5]
        if where == "failure":
            await workflow.execute_activity("refuse", size, start_to_close_timeout=timedelta(seconds=30))
        return large("order", size)


@asynccontextmanager
async def oversized(
    server: TemporalServer, where: str, refused: Refused | None = None, **settings: Any
) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """Run a workflow with a value that is too large for the server."""
    client = await connect(server, build_data_converter(PayloadSettings.model_validate(settings)))
    activities = [echo, make_large, (refused or Refused()).refuse]
    async with running_worker(client, workflows=[Oversized], activities=activities) as task_queue:
        handle = await client.start_workflow(
            Oversized.run,
            args=[where, TOO_LARGE],
            id=new_id("wf"),
            task_queue=task_queue,
            run_timeout=RUN_TIMEOUT,
        )
        yield handle
        if (await handle.describe()).close_time is None:
            await handle.terminate()


@pytest.mark.parametrize("has_driver", [False, True])
@pytest.mark.parametrize(
    ("where", "told"),
    [("argument", "the argument of activity 'echo'"), ("workflow", "the result of workflow 'Oversized'")],
)
async def test_a_value_that_the_history_cannot_hold_fails_the_workflow_task_and_says_what_it_is(
    temporal_server: TemporalServer, redis_store: RedisStore, where: str, told: str, has_driver: bool
) -> None:
    storage: dict[str, Any] = {"inline_limit": "2000KiB"}
    if has_driver:
        storage |= {"drivers": {"redis": redis_store.table()}, "driver": "inline"}
    async with oversized(temporal_server, where, storage=storage) as handle:
        failure = str(await task_failure(handle))
    assert told in failure
    assert handle.id in failure
    assert f"has {TOO_LARGE + 31} bytes" in failure
    assert "encoding json/plain" in failure
    assert "storage.inline_limit is 2048000 bytes" in failure
    assert ("storage.routes" if has_driver else "Configure a storage driver") in failure
    assert "PayloadTooLargeError" in failure


async def test_an_activity_fails_for_good_if_the_history_cannot_hold_its_result(
    temporal_server: TemporalServer,
) -> None:
    async with oversized(temporal_server, "result", storage={"inline_limit": "2000KiB"}) as handle:
        error = await application_error(handle)
    assert error.type == "PayloadTooLargeError"
    assert error.non_retryable
    assert "of activity 'make_large'" in error.message
    assert f"in workflow 'Oversized' (id '{handle.id}')" in error.message


@pytest.mark.parametrize("storage", [{"inline_limit": "2000KiB"}, {}], ids=["with the limit", "without"])
async def test_an_activity_that_failed_for_good_is_not_run_again_for_its_failure_is_too_large(
    temporal_server: TemporalServer, storage: dict[str, Any]
) -> None:
    async with oversized(temporal_server, "failure", refused := Refused(), storage=storage) as handle:
        error = await application_error(handle)
    assert refused.runs == 1
    assert (error.type, error.message) == ("Refused", "refused")
    assert error.non_retryable


async def test_an_activity_that_failed_for_good_is_not_run_again_for_a_driver_does_not_take_its_failure(
    temporal_server: TemporalServer, redis_store: RedisStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The server cuts it down, as it does without a driver."""
    driver = redis_store.table() | {"max_payload_size": 2_000_000}
    storage = {"drivers": {"redis": driver}, "threshold": THRESHOLD}
    async with oversized(temporal_server, "failure", refused := Refused(), storage=storage) as handle:
        error = await application_error(handle)
    assert refused.runs == 1
    assert (error.type, error.message) == ("Refused", "refused")
    assert error.non_retryable
    [told] = [each.getMessage() for each in caplog.records if "is not stored" in each.getMessage()]
    assert f"activity 'refuse' (id '1') in workflow 'Oversized' (id '{handle.id}')" in told
    assert "max_payload_size of 2000000 bytes" in told


async def test_a_client_is_told_before_anything_is_sent(temporal_server: TemporalServer) -> None:
    settings = PayloadSettings.model_validate({"storage": {"inline_limit": "2000KiB"}})
    client = await connect(temporal_server, build_data_converter(settings))
    with pytest.raises(PayloadTooLargeError, match=r"a value of workflow 'Echo' \(id 'wf-"):
        await client.start_workflow(
            Echo.run, large("order", TOO_LARGE), id=new_id("wf"), task_queue=new_id("queue")
        )


@pytest.mark.parametrize("where", ["argument", "result", "workflow"])
async def test_a_value_that_a_driver_takes_is_as_large_as_it_likes(
    temporal_server: TemporalServer, redis_store: RedisStore, where: str
) -> None:
    storage = {"inline_limit": "2000KiB", "drivers": {"redis": redis_store.table()}}
    async with oversized(temporal_server, where, storage=storage) as handle:
        assert (await handle.result())[:5] == "order"


async def test_without_the_limit_the_sdk_refuses_and_does_not_say_what(
    temporal_server: TemporalServer,
) -> None:
    """What the limit is for. If a release of the SDK's says more, the page has to be changed."""
    async with oversized(temporal_server, "argument") as handle:
        event = await event_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
    failed = event.workflow_task_failed_event_attributes
    assert failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_PAYLOADS_TOO_LARGE
    assert failed.failure.message == (
        "[TMPRL1103] Attempted to upload payloads with size that exceeded the error limit."
    )


async def test_without_the_limit_an_activity_is_run_again_and_again(temporal_server: TemporalServer) -> None:
    async with oversized(temporal_server, "result") as handle:
        pending = await pending_activity(handle, lambda pending: pending.attempt >= 3)
    assert pending.last_failure.application_failure_info.type == "PayloadsTooLarge"
