"""A replay with `PayloadsPlugin` has its payloads before it asks for them, and from the store only once."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

import pytest
from support import workflows
from support.events import StorageEvents
from support.history import claim_of, event_payloads
from support.proxy import TcpProxy
from support.values import large
from support.workers import connect, running_worker
from temporal_payloads import PayloadSettings, PayloadsPlugin, build_data_converter
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from end_to_end.conftest import App
    from local_servers import TemporalServer
    from support.stores import S3Store, Store
    from temporalio.client import WorkflowHandle, WorkflowHistory

PIECES = 40
cache_sizes = itertools.count(20_000_000)


def with_empty_cache(store: Store) -> PayloadSettings:
    """A process has one cache for each size."""
    return store.settings(cache={"max_size": next(cache_sizes)})


def fetched(events: StorageEvents) -> int:
    """Return how many payloads came from the store."""
    return sum(event.payloads - event.cache_hits for event in events.seen if event.operation == "retrieve")


async def collect(server: TemporalServer, store: Store, tag: str, count: int = PIECES) -> WorkflowHistory:
    """Return the history of a workflow that got many large values."""
    client = await connect(server, build_data_converter(store.settings()))
    async with running_worker(client) as task_queue:
        handle = await client.start_workflow(
            workflows.Collects.run, args=[tag, count], id=f"collects-{tag}", task_queue=task_queue
        )
        await handle.result()
    return await handle.fetch_history()


# -- what is fetched


async def echo(app: App) -> WorkflowHandle[Any, Any]:
    return await app.start(workflows.Echo.run, large("echo"))


async def local_activity(app: App) -> WorkflowHandle[Any, Any]:
    return await app.start(workflows.LocalEcho.run, large("local"))


async def child(app: App) -> WorkflowHandle[Any, Any]:
    return await app.start(workflows.Parent.run, large("parent"))


async def failure(app: App) -> WorkflowHandle[Any, Any]:
    return await app.start(workflows.CatchesFailure.run, large("message"), large("details"))


async def memo(app: App) -> WorkflowHandle[Any, Any]:
    return await app.start(workflows.KeepsMemo.run, large("added"), memo={"note": large("note")})


async def messages(app: App) -> WorkflowHandle[Any, Any]:
    handle = await app.start(workflows.Mailbox.run)
    await handle.signal(workflows.Mailbox.put, large("signal"))
    await handle.execute_update(workflows.Mailbox.swap, large("update"))
    await handle.execute_update(workflows.Mailbox.swap_slowly, large("slow update"))
    await handle.signal(workflows.Mailbox.close)
    return handle


async def many(app: App) -> WorkflowHandle[Any, Any]:
    return await app.start(workflows.Collects.run, "many", 20)


@pytest.mark.parametrize("store", ["s3_store"], indirect=True)  # what is read depends on no store
@pytest.mark.parametrize("run", [echo, local_activity, child, failure, memo, messages, many])
async def test_a_replay_fetches_what_it_would_fetch_by_itself_and_nothing_else(
    app: App, run: Callable[[App], Awaitable[WorkflowHandle[Any, Any]]]
) -> None:
    handle = await run(app)
    await handle.result()
    history = await handle.fetch_history()

    by_itself, ahead = StorageEvents(), StorageEvents()
    converter = build_data_converter(with_empty_cache(app.store), registry=by_itself.registry)
    plain = await Replayer(workflows=workflows.ALL, data_converter=converter).replay_workflow(history)
    plugin = PayloadsPlugin(with_empty_cache(app.store), registry=ahead.registry)
    result = await Replayer(workflows=workflows.ALL, plugins=[plugin]).replay_workflow(history)

    assert (plain.replay_failure, result.replay_failure) == (None, None)
    assert fetched(ahead) == fetched(by_itself) > 0
    assert ahead.payloads("store") == 0


async def test_payloads_are_under_way_all_at_once(temporal_server: TemporalServer, s3_store: S3Store) -> None:
    history = await collect(temporal_server, s3_store, "at-once", PIECES)
    async with TcpProxy(*s3_store.address) as proxy:
        settings = s3_store.through(proxy.port).settings(
            cache={"max_size": next(cache_sizes)}, concurrency=PIECES, driver={"pool_size": PIECES}
        )

        async def histories() -> AsyncIterator[WorkflowHistory]:
            proxy.stall()
            proxy.traffic.clear()
            yield history

        replayer = Replayer(workflows=workflows.ALL, plugins=[PayloadsPlugin(settings)])
        replaying = asyncio.create_task(replayer.replay_workflows(histories()))
        while proxy.traffic.count(b"GET /") < PIECES:
            assert not replaying.done()
            await asyncio.sleep(0.01)
        proxy.flow()
        assert (await replaying).replay_failures == {}
        assert proxy.traffic.count(b"GET /") == PIECES
        await proxy.idle()


async def test_a_history_larger_than_the_cache_is_fetched_in_pieces_each_of_them_once(
    temporal_server: TemporalServer, store: Store, storage_events: StorageEvents
) -> None:
    history = await collect(temporal_server, store, f"pieces-{store.type}")
    # Each takes about 4 kB. There is room for half of them, and a quarter of that may be fetched ahead.
    settings = store.settings(cache={"max_size": PIECES // 2 * 4_500})
    replayer = Replayer(
        workflows=workflows.ALL, plugins=[PayloadsPlugin(settings, registry=storage_events.registry)]
    )
    result = await replayer.replay_workflow(history)
    assert result.replay_failure is None
    assert fetched(storage_events) == PIECES


async def test_several_histories_follow_each_other(
    temporal_server: TemporalServer, s3_store: S3Store, storage_events: StorageEvents
) -> None:
    histories = [await collect(temporal_server, s3_store, f"several-{number}", 5) for number in range(4)]

    async def each() -> AsyncIterator[WorkflowHistory]:
        for history in histories:
            yield history

    plugin = PayloadsPlugin(with_empty_cache(s3_store), registry=storage_events.registry)
    replayer = Replayer(workflows=workflows.ALL, plugins=[plugin])
    async with replayer.workflow_replay_iterator(each()) as results:
        replayed = [result.history.workflow_id async for result in results]
    assert replayed == [history.workflow_id for history in histories]
    assert fetched(storage_events) == 4 * 5


async def test_a_converter_of_the_replayers_own_is_built_upon(
    temporal_server: TemporalServer, s3_store: S3Store, storage_events: StorageEvents
) -> None:
    history = await collect(temporal_server, s3_store, "own", 5)
    plugin = PayloadsPlugin(with_empty_cache(s3_store), registry=storage_events.registry)
    replayer = Replayer(workflows=workflows.ALL, data_converter=pydantic_data_converter, plugins=[plugin])
    result = await replayer.replay_workflow(history)
    assert result.replay_failure is None
    # Each payload was fetched ahead, and was there when the replay asked for it.
    assert storage_events.payloads("retrieve") == 2 * fetched(storage_events) == 2 * 5


# -- what goes wrong


async def test_a_payload_that_is_missing_is_told_by_the_replay_alone(
    temporal_server: TemporalServer, s3_store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    history = await collect(temporal_server, s3_store, "missing", 5)
    [first, *_] = event_payloads(history)["activity_task_completed.result"]
    s3_store.delete(claim_of(first))
    replayer = Replayer(workflows=workflows.ALL, plugins=[PayloadsPlugin(with_empty_cache(s3_store))])
    caplog.set_level(logging.INFO)
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    assert "PayloadNotFoundError" in str(result.replay_failure)
    assert not [record for record in caplog.records if record.name == "temporal_payloads"]


async def test_a_replay_whose_store_gives_no_answer_fails_once_and_leaves_nothing_running(
    temporal_server: TemporalServer, s3_store: S3Store, caplog: pytest.LogCaptureFixture
) -> None:
    history = await collect(temporal_server, s3_store, "no-answer", 5)
    before = asyncio.all_tasks()
    async with TcpProxy(*s3_store.address) as proxy:
        settings = s3_store.through(proxy.port).settings(cache={"max_size": next(cache_sizes)}, timeout="5s")

        async def histories() -> AsyncIterator[WorkflowHistory]:
            proxy.stall()
            yield history

        replayer = Replayer(workflows=workflows.ALL, plugins=[PayloadsPlugin(settings)])
        results = await replayer.replay_workflows(histories(), raise_on_replay_failure=False)
        proxy.flow()
        await proxy.idle()
    [failure] = results.replay_failures.values()
    assert "StorageTimeoutError" in str(failure)
    told = [record.getMessage() for record in caplog.records if record.name == "temporal_payloads"]
    assert [text for text in told if "its circuit opens" not in text] == []
    assert asyncio.all_tasks() <= before
