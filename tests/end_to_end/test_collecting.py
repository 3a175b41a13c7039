"""Collecting garbage of workflows on a real server: directly, and as a workflow of its own."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from local_servers import start_temporal
from support.history import payloads_in
from support.values import THRESHOLD, large
from support.workers import new_id, running_worker
from support.workflows import Echo
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._operate.collection.activities import tell
from temporal_payloads._operate.collection.clusters import connect_owners
from temporal_payloads._operate.collection.collector import Collector
from temporal_payloads._operate.collection.stores import stores_open
from temporal_payloads._operate.collection.worker import (
    collection_worker,
    schedule_collections,
    start_collection,
)
from temporal_payloads._operate.collection.workflow import WORKFLOW_ID, CollectionInput
from temporal_payloads._storage import memory_driver
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.exceptions import WorkflowAlreadyStartedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from local_servers import TemporalServer

GRACE = timedelta(hours=2)
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A server of its own: what other tests have in theirs was stored elsewhere."""
    options = [each for value in DELETES_AT_ONCE for each in ("--dynamic-config-value", value)]
    directory = tmp_path_factory.mktemp("temporal")
    with start_temporal(directory, namespaces=NAMESPACES, options=options) as server:
        yield server


DELETES_AT_ONCE = (
    "history.transferProcessorEnsureCloseBeforeDelete=false",
    "history.visibilityProcessorEnsureCloseBeforeDelete=false",
)
"""Settings of a server that deletes a run when it is told to, and not half a minute later."""
NAMESPACES = ("direct", "workflow", "twice", "killed", "scheduled")


class Bench:
    """A client whose payloads are stored in memory, and a clock for collections."""

    def __init__(self, client: Client, assembly: Assembly, store: str, work: Path) -> None:
        self.client = client
        self._assembly = assembly
        self._store = store
        self._work = work
        self.ahead = timedelta(0)
        """How far the collector's clock is ahead of the server's and the store's."""

    @property
    def stored(self) -> set[str]:
        """What the payloads say that are in the store."""
        kept = memory_driver._stores[self._store]._payloads.values()
        return {Payload.FromString(one.data).data.decode().strip('"')[:60].rstrip(".") for one in kept}

    @asynccontextmanager
    async def collector(self) -> AsyncIterator[Collector]:
        """Open a collector, as a command or a worker does."""
        gc = self._assembly.settings.gc
        async with stores_open(self._assembly) as stores:
            namespaces = await connect_owners(gc.owners, stores.chain)
            yield Collector(
                stores,
                namespaces,
                gc,
                clock=lambda: datetime.now(UTC) + self.ahead,
                tell=tell,
                work=self._work,
            )

    async def delete(self, workflow_id: str) -> None:
        """Delete a run, and wait until it is listed no more."""
        run_id = (await self.client.get_workflow_handle(workflow_id).describe()).run_id
        await self.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            )
        )
        await self.until_listed(workflow_id, count=0)

    async def until_listed(self, *ids: str, count: int = 1) -> None:
        """Wait until visibility has so many runs of each of these ids."""
        for each in ids:
            query = f"WorkflowId = '{each}'"

            async def listed(query: str = query) -> bool:
                return (await self.client.count_workflows(query)).count == count

            await until(listed)


async def until(condition: Callable[[], Awaitable[Any]]) -> None:
    """Wait for something that the server does in its own time."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110  # it tells nobody
            await asyncio.sleep(0.05)


@pytest.fixture
def open_bench(server: TemporalServer, tmp_path: Path) -> Callable[[str], AbstractAsyncContextManager[Bench]]:
    """Return what opens a bench in a namespace."""

    @asynccontextmanager
    async def opened(namespace: str) -> AsyncIterator[Bench]:
        store = new_id("store")
        table = {"threshold": THRESHOLD, "drivers": {"memory": {"store": store}}, "cache": {"max_size": 0}}
        owners = [{"namespaces": [namespace], "address": server.address}]
        gc = {"owners": owners, "grace": GRACE}
        assembly = build(PayloadSettings.model_validate({"storage": table, "gc": gc}))
        async with assembly.drivers_open():
            client = await Client.connect(
                server.address, namespace=namespace, data_converter=assembly.converter
            )
            yield Bench(client, assembly, store, tmp_path)

    return opened


async def some_garbage(bench: Bench) -> None:
    """Run workflows to their ends; delete one."""
    async with running_worker(bench.client) as queue:
        for name in ("kept", "deleted"):
            await bench.client.execute_workflow(Echo.run, large(name), id=name, task_queue=queue)
        await bench.until_listed("kept", "deleted")
        assert {text.split()[0] for text in bench.stored} == {"kept", "deleted"}
        await bench.delete("deleted")


async def read_back(bench: Bench, workflow_id: str) -> None:
    """Decode the payloads of a history: they are all there."""
    history = await bench.client.get_workflow_handle(workflow_id).fetch_history()
    for event in history.events:
        for _, payload in payloads_in(event):
            await bench.client.data_converter.decode([payload])


async def test_what_deleted_histories_leave_goes_and_everything_else_stays(open_bench):
    async with open_bench("direct") as bench, bench.collector() as collector:
        await some_garbage(bench)
        report = await collector.collect("collect")
        assert report.complete
        assert set(report.stores["memory"]["rules"]) == {"needed", "young"}

        bench.ahead = 2 * GRACE
        report = await collector.collect("collect")
        assert report.namespaces[0]["read"] == 0
        assert set(report.stores["memory"]["outcomes"]) == {"put_aside"}
        assert {text.split()[0] for text in bench.stored} == {"kept", "deleted"}

        bench.ahead = 4 * GRACE
        await collector.collect("collect")
        assert {text.split()[0] for text in bench.stored} == {"kept"}
        await read_back(bench, "kept")


async def test_a_collection_runs_as_a_workflow(open_bench):
    async with open_bench("workflow") as bench, bench.collector() as collector:
        await some_garbage(bench)
        queue = new_id("gc")
        async with collection_worker(bench.client, collector, task_queue=queue):
            for ahead, outcome in ((2 * GRACE, "put_aside"), (4 * GRACE, "delete")):
                bench.ahead = ahead
                handle = await start_collection(bench.client, CollectionInput(), task_queue=queue)
                summary = await handle.result()
                assert summary["complete"]
                assert set(summary["stores"]["memory"]["outcomes"]) == {outcome}
                progress = await handle.query("progress")
                assert (progress["step"], progress["done"]) == ("sweep", progress["total"])
                # Its payloads are small, and nobody's converter has touched them.
                assert "ExternalStorageReference" not in (await handle.fetch_history()).to_json()
        assert {text.split()[0] for text in bench.stored} == {"kept"}
        await read_back(bench, "kept")


async def test_two_collections_at_once_are_refused(open_bench):
    async with open_bench("twice") as bench:
        await start_collection(bench.client, CollectionInput(), task_queue=new_id("nobody"))
        with pytest.raises(WorkflowAlreadyStartedError):
            await start_collection(bench.client, CollectionInput(), task_queue=new_id("nobody"))


async def test_a_purpose_that_there_is_not_ends_the_workflow(open_bench):
    async with open_bench("twice") as bench, bench.collector() as collector:
        queue = new_id("gc")
        async with collection_worker(bench.client, collector, task_queue=queue):
            await bench.client.get_workflow_handle(WORKFLOW_ID).terminate()
            handle = await start_collection(bench.client, CollectionInput("everything"), task_queue=queue)
            with pytest.raises(WorkflowFailureError) as failed:
                await handle.result()
        assert "not 'everything'" in str(failed.value.cause.__cause__)


async def test_collections_begin_by_themselves(open_bench):
    async with open_bench("scheduled") as bench, bench.collector() as collector:
        await some_garbage(bench)
        queue = new_id("gc")
        given = CollectionInput("put-aside")
        assert await schedule_collections(bench.client, given, every=timedelta(days=30), task_queue=queue)
        assert not await schedule_collections(bench.client, given, every=timedelta(days=7), task_queue=queue)
        bench.ahead = 2 * GRACE
        handle = bench.client.get_schedule_handle(WORKFLOW_ID)
        async with collection_worker(bench.client, collector, task_queue=queue):
            await handle.trigger()

            async def begun() -> bool:
                return bool((await handle.describe()).info.recent_actions)

            await until(begun)
            [run] = [one.action for one in (await handle.describe()).info.recent_actions]
            await bench.client.get_workflow_handle(run.workflow_id).result()
        report = await collector.report((await collector.begun())[-1])
        assert report is not None
        assert report.purpose == "put-aside"
        assert "put_aside" in report.stores["memory"]["outcomes"]
