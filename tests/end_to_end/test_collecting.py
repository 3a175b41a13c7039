"""Collecting garbage of workflows on a real server: directly, and as a workflow of its own."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import sys
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from local_servers import start_temporal
from support.documents import shape_of, told_shape
from support.every_way import ORPHAN, every_way
from support.every_way.cases import cron, retries
from support.history import payloads_in
from support.holders import everything
from support.values import THRESHOLD, large
from support.workers import new_id, running_worker
from support.workflows import Echo
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._cli import main
from temporal_payloads._cli.gc import collecting
from temporal_payloads._cli.gc import status as status_command
from temporal_payloads._cli.gc.collecting import SHAPE_OF_REPORT
from temporal_payloads._operate.collection.activities import tell
from temporal_payloads._operate.collection.clusters import connect_owners
from temporal_payloads._operate.collection.collector import Collector
from temporal_payloads._operate.collection.owners import owner_of, told_apart
from temporal_payloads._operate.collection.stores import stores_open
from temporal_payloads._operate.collection.worker import (
    collection_worker,
    schedule_collections,
    start_collection,
    trigger_schedule,
)
from temporal_payloads._operate.collection.workflow import MARK, WORKFLOW_ID, CollectionInput
from temporal_payloads._operate.holders import Holder
from temporal_payloads._settings.collection import OwnerTable
from temporal_payloads._storage import memory_driver, recently_stored
from temporal_payloads.plugin import PayloadNotFoundError
from temporalio import workflow
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    GetClusterInfoRequest,
    ResetWorkflowExecutionRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleOverlapPolicy,
    ScheduleSpec,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.converter import (
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from local_servers import S3Server, TemporalServer
    from temporal_payloads._operate.collection.report import Report

GRACE = timedelta(hours=2)
pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A server of its own: what other tests have in theirs was stored elsewhere."""
    values = DELETES_AT_ONCE + NEW_SCHEDULER
    options = [each for value in values for each in ("--dynamic-config-value", value)]
    directory = tmp_path_factory.mktemp("temporal")
    with start_temporal(directory, namespaces=NAMESPACES, options=options) as server:
        yield server


DELETES_AT_ONCE = (
    "history.transferProcessorEnsureCloseBeforeDelete=false",
    "history.visibilityProcessorEnsureCloseBeforeDelete=false",
)
"""Settings of a server that deletes a run when it is told to, and not half a minute later."""
NEW_SCHEDULER = (
    "history.enableCHASMSchedulerCreation=true",
    "history.chasmSchedulerCreationRolloutPercent=100",
)
"""The server's scheduler whose state nobody can read. What the other hands on is in a history of its own."""
NAMESPACES = (
    "everything",
    "direct",
    "workflow",
    "twice",
    "waits",
    "purpose",
    "command",
    "crash",
    "scheduled",
    "handed",
    "moved",
)


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
        encoded = [Payload.FromString(one.data).data for one in kept]
        return {Payload.FromString(gzip.decompress(data)).data.decode().strip('"')[:60] for data in encoded}

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

    async def delete(self, workflow_id: str, run_id: str | None = None) -> None:
        """Delete a run, and wait until it is listed no more."""
        run_id = run_id or (await self.client.get_workflow_handle(workflow_id).describe()).run_id
        await self.tell_to_delete(workflow_id, run_id)
        await self.until_listed(workflow_id, count=0)

    async def tell_to_delete(self, workflow_id: str, run_id: str) -> None:
        """Tell the server to delete a run."""
        await self.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
            )
        )

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
        settings = {"storage": table, "gc": gc, "codecs": ["gzip"], "encode_failures": True}
        assembly = build(PayloadSettings.model_validate(settings))
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


async def read_back(bench: Bench, workflow_id: str, run_id: str | None = None) -> None:
    """Decode the payloads of a history: they are all there."""
    history = await bench.client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
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


async def test_an_owner_is_told_by_its_cluster_s_id_and_a_copy_of_the_cluster_by_its_address(
    open_bench, server
):
    port = server.address.rpartition(":")[2]
    async with open_bench("direct") as bench:
        other = await Client.connect(f"localhost:{port}", namespace="direct")
        info = await bench.client.workflow_service.get_cluster_info(GetClusterInfoRequest())
        owners = [await owner_of(client) for client in (bench.client, other)]
        assert [owner.cluster for owner in owners] == [info.cluster_id] * 2
        assert len({owner.key for owner in owners}) == 1
        assert len({owner.key for owner in told_apart(owners)}) == 2


async def test_two_collections_at_once_are_refused(open_bench):
    async with open_bench("twice") as bench:
        await start_collection(bench.client, CollectionInput(), task_queue=new_id("nobody"))
        with pytest.raises(WorkflowAlreadyStartedError):
            await start_collection(bench.client, CollectionInput(), task_queue=new_id("nobody"))


async def test_a_collection_on_temporal_waits_until_a_command_s_has_ended(open_bench):
    async with open_bench("waits") as bench, bench.collector() as collector, bench.collector() as command:
        queue = new_id("gc")
        running = await command.begin("plan")
        async with collection_worker(bench.client, collector, task_queue=queue):
            handle = await start_collection(bench.client, CollectionInput("plan"), task_queue=queue)

            async def refused() -> bool:
                pending = (await handle.describe()).raw_description.pending_activities
                return any(running.id in one.last_failure.message for one in pending)

            await until(refused)
            await command.mark(running, *command.to_mark(running))
            await command.finish(running)
            assert (await handle.result())["complete"]
        assert len(await collector.ledger.begun()) == 2


async def test_a_purpose_that_there_is_not_ends_the_workflow(open_bench):
    async with open_bench("purpose") as bench, bench.collector() as collector:
        queue = new_id("gc")
        async with collection_worker(bench.client, collector, task_queue=queue):
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
        # For something else the schedule is not triggered.
        assert not await trigger_schedule(bench.client, CollectionInput("plan"))
        assert await trigger_schedule(bench.client, given)

        async def runs() -> bool:
            return bool((await handle.describe()).info.running_actions)

        await until(runs)
        with pytest.raises(WorkflowAlreadyStartedError):
            await trigger_schedule(bench.client, given)
        async with collection_worker(bench.client, collector, task_queue=queue):

            async def begun() -> bool:
                return bool((await handle.describe()).info.recent_actions)

            await until(begun)
            [run] = [one.action for one in (await handle.describe()).info.recent_actions]
            await bench.client.get_workflow_handle(run.workflow_id).result()
        report = await collector.ledger.report((await collector.ledger.begun())[-1])
        assert report is not None
        assert report.purpose == "put-aside"
        assert "put_aside" in report.stores["memory"]["outcomes"]


async def test_a_collection_goes_on_when_its_worker_is_killed(server, tmp_path):
    """The first worker is slow; when it is killed in the middle of an activity, a second one goes on."""
    file = tmp_path / "slow.toml"
    file.write_text(f"""
        [storage.drivers.filesystem]
        path = "{tmp_path / "payloads"}"
        create = true
        [gc]
        requests_per_second = 0.5
        owners = [{{ namespaces = ["crash"], address = "{server.address}" }}]
    """)
    client = await Client.connect(server.address, namespace="crash")
    queue = new_id("gc")
    given = CollectionInput("plan", silence=3)
    handle = await start_collection(client, given, task_queue=queue)
    command = [sys.executable, "-m", "temporal_payloads", "gc", "worker", "--config", str(file)]
    command += ["--address", server.address, "--namespace", "crash", "--task-queue", queue]
    slow = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)

    async def marking() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any(one.activity_type.name == MARK and one.last_started_time.seconds for one in pending)

    try:
        await until(marking)
    finally:
        slow.kill()
        await slow.wait()
    # It is in a hurry, but else has the same settings.
    assembly = build(PayloadSettings.load(file))
    async with assembly.drivers_open(), stores_open(assembly) as stores:
        namespaces = await connect_owners(assembly.settings.gc.owners, stores.chain)
        collector = Collector(stores, namespaces, assembly.settings.gc, tell=tell, work=tmp_path)
        async with collection_worker(client, collector, task_queue=queue):
            summary = await handle.result()
        assert summary["complete"]
        # It is the collection that the first worker has begun.
        assert await collector.ledger.begun() == [summary["id"]]


async def test_owners_behind_one_address_are_told_apart_by_their_profiles(
    temporal_server, tmp_path, monkeypatch
):
    """A proxy may lead to several clusters, by who asks."""
    file = tmp_path / "temporal.toml"
    file.write_text("".join(f'[profile.{name}]\naddress = "{temporal_server.address}"\n' for name in "ab"))
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    tables = [OwnerTable(namespaces=("default",), temporal_profile=name) for name in "aba"]
    namespaces = await connect_owners(tables, build(PayloadSettings()).reading_chain)
    owners = told_apart([await one.owner() for one in namespaces])
    assert [one.profile for one in owners] == ["a", "b"]
    assert len({one.key for one in owners}) == 2


# -- what moves


async def test_what_cron_and_retries_hand_to_the_next_run_outlives_the_run_before(open_bench):
    async with (
        open_bench("moved") as bench,
        every_way(bench.client, [cron, retries]) as cases,
        bench.collector() as collector,
    ):

        async def ended() -> list[Holder]:
            listed = [one async for one in everything(bench.client) if not one.running]
            return listed if len(listed) == len(cases) else []

        await until(ended)
        runs = {(one.id, one.run_id) for one in await ended()}
        bench.ahead = 2 * GRACE
        assert (await collector.collect("plan")).complete
        for workflow_id, run_id in runs:
            await bench.tell_to_delete(workflow_id, run_id)
        await bench.until_listed(*{workflow_id for workflow_id, _ in runs})
        for ahead in (4, 6, 8):
            bench.ahead = ahead * GRACE
            assert (await collector.collect("collect")).complete
        for case in cases:
            await case.finish()


# -- what schedules hand on


@workflow.defn
class HandsOn:
    """Ends as it is told, with what goes to the next run."""

    def __init__(self) -> None:
        self._ending = ""
        self._handed: list[str] = []

    @workflow.run
    async def run(self) -> str:
        """Return the run's id, or fail with it."""
        last, failure = workflow.get_last_completion_result(str), workflow.get_last_failure()
        details = failure.details if isinstance(failure, ApplicationError) else []
        self._handed = [text.split()[0] for text in (last, *details) if text]
        await workflow.wait_condition(lambda: bool(self._ending))
        text = large(f"{workflow.info().run_id} left")
        if self._ending == "fail":
            raise ApplicationError("told to", text)
        return text

    @workflow.signal
    def end(self, how: str) -> None:
        """Let it end."""
        self._ending = how

    @workflow.query
    def handed(self) -> list[str]:
        """Return the ids of the runs whose result and failure it was started with."""
        return self._handed


class Actions:
    """The actions of a schedule, one after the other."""

    def __init__(self, client: Client, schedule: ScheduleHandle) -> None:
        self._client = client
        self._schedule = schedule
        self._count = 0

    async def begun(self, overlap: ScheduleOverlapPolicy | None = None) -> WorkflowHandle[Any, Any]:
        """Trigger it; return the run that it starts."""
        self._count += 1

        async def started() -> bool:
            # What is due in the same second has the same id.
            if (await self._schedule.describe()).info.num_actions < self._count:
                await self._schedule.trigger(overlap=overlap)
                await asyncio.sleep(1.1)
            return (await self._schedule.describe()).info.num_actions >= self._count

        await until(started)
        action = (await self._schedule.describe()).info.recent_actions[-1].action
        assert isinstance(action, ScheduleActionExecutionStartWorkflow)
        return self._client.get_workflow_handle(action.workflow_id, run_id=action.first_execution_run_id)

    async def ended(self, how: str, **options: Any) -> WorkflowHandle[Any, Any]:
        """Trigger it; return the run that it starts once that has ended."""
        run = await self.begun(**options)
        await run.signal(HandsOn.end, how)
        with suppress(WorkflowFailureError):
            await run.result()

        async def taken_in() -> bool:
            return not (await self._schedule.describe()).info.running_actions

        await until(taken_in)
        return run

    async def reset(self, run: WorkflowHandle[Any, Any]) -> WorkflowHandle[Any, Any]:
        """Reset a run to its beginning; return the new one once that has ended, as the other had."""
        answer = await self._client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self._client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id or ""),
                reason="again",
                workflow_task_finish_event_id=3,
                request_id=new_id("request"),
            )
        )
        new: WorkflowHandle[Any, Any] = self._client.get_workflow_handle(run.id, run_id=answer.run_id)
        await new.result()
        return new


async def test_what_a_schedule_hands_on_after_a_reset_and_a_run_that_overlaps_is_kept(open_bench):
    async with (
        open_bench("handed") as bench,
        bench.collector() as collector,
        running_worker(bench.client, workflows=[HandsOn]) as queue,
    ):
        action = ScheduleActionStartWorkflow(HandsOn.run, id="hands-on", task_queue=queue)
        handle = await bench.client.create_schedule("hands-on", Schedule(action, spec=ScheduleSpec()))
        actions = Actions(bench.client, handle)
        first = await actions.ended("complete")
        beside = await actions.ended("complete", overlap=ScheduleOverlapPolicy.ALLOW_ALL)
        second = await actions.ended("complete")
        reset = await actions.reset(first)
        failed = await actions.ended("fail")
        runs = {(run.id, str(run.run_id)) for run in (first, second, reset, beside, failed)}
        await until_seen(bench.client, runs)
        bench.ahead = 2 * GRACE
        assert (await collector.collect("plan")).complete
        for workflow_id, run_id in runs:
            await bench.tell_to_delete(workflow_id, run_id)
        await bench.until_listed(*{workflow_id for workflow_id, _ in runs}, count=0)
        for ahead in (4, 6, 8):
            bench.ahead = ahead * GRACE
            assert (await collector.collect("collect")).complete
        # Not what ended last.
        run = await actions.begun()
        assert await run.query(HandsOn.handed) == [second.run_id, failed.run_id]


# -- the commands, on S3


@pytest.fixture
def command(
    server: TemporalServer,
    s3_server: S3Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Command:
    """What runs commands of gc over a bucket of its own."""
    bucket = new_id("gc")
    s3_server.create_bucket(bucket)
    file = tmp_path / "settings.toml"
    file.write_text(f"""
        [storage]
        threshold = {THRESHOLD}
        cache.max_size = 0
        [storage.drivers.s3]
        bucket = "{bucket}"
        endpoint_url = "{s3_server.endpoint_url}"
        region = "{s3_server.region}"
        access_key_id = "{s3_server.access_key_id}"
        secret_access_key = "{s3_server.secret_access_key}"
        [gc]
        grace = "2h"
        [[gc.owners]]
        namespaces = ["command"]
        address = "{server.address}"
    """)
    return Command(file, capsys, monkeypatch)


class Command:
    """Runs `temporal-payloads gc`, with a clock that is ahead."""

    def __init__(self, file: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.file = file
        self._capsys = capsys
        self.ahead = timedelta(0)
        ahead = partial(Collector, clock=lambda: datetime.now(UTC) + self.ahead)
        monkeypatch.setattr(collecting, "Collector", ahead)

    async def __call__(self, *arguments: str) -> tuple[int, Any]:
        """Return the status, and the document; or what was printed, of a command without one."""
        status = await asyncio.to_thread(main, ["gc", *arguments, "--config", str(self.file)])
        out = self._capsys.readouterr().out
        return status, json.loads(out) if "--json" in arguments else out


async def test_garbage_is_planned_put_aside_brought_back_and_deleted_by_commands(server, command):
    settings = PayloadSettings.load(command.file)
    assembly = build(settings)
    async with assembly.drivers_open():
        client = await Client.connect(server.address, namespace="command", data_converter=assembly.converter)
        async with running_worker(client) as queue:
            await client.execute_workflow(Echo.run, large("kept"), id="kept", task_queue=queue)
        target = StorageDriverWorkflowInfo(namespace="command", id="gone", run_id="run", type="Echo")
        payload = Payload(metadata={"encoding": b"json/plain"}, data=large("garbage").encode())
        driver = assembly.drivers["s3"]
        [claim] = await driver.store(StorageDriverStoreContext(target=target), [payload])

        async def there() -> bool:
            try:
                return await driver.retrieve(StorageDriverRetrieveContext(), [claim]) == [payload]
            except PayloadNotFoundError:
                return False

        command.ahead = 2 * GRACE
        status, plan = await command("plan", "--json")
        assert (status, plan["ok"]) == (1, False)
        assert [one["payloads"] for one in plan["stores"][0]["garbage"]] == [1]

        status, put = await command("put-aside", "--json")
        assert status == 0
        assert put["stores"][0]["changes"] == [{"action": "put_aside", "outcome": "done", "payloads": 1}]
        assert await there()
        _, shown = await command("status", "--json")
        assert shown["aside"][0]["collection"] == put["id"]
        assert shown["aside"][0]["payloads"] == 1
        assert shown["aside"][0]["due"] > shown["aside"][0]["since"]
        _, lines = await command("status", "--manifest", put["id"])
        decided, done = map(json.loads, lines.splitlines())
        assert (decided["rule"], decided["claim"]) == ("unreferenced", dict(claim.claim_data))
        assert (done["payload"], done["outcome"]) == (decided["payload"], "done")

        assert (await command("undo", "--collection", "20200101T000000.000Z-nosuch"))[0] == 2
        status, undone = await command("undo", "--json", "--collection", put["id"])
        assert (status, undone["stores"][0]["aside"]) == (0, [])
        _, shown = await command("status", "--json")
        assert shown["aside"] == []

        command.ahead = 6 * GRACE
        assert (await command("put-aside"))[0] == 0
        command.ahead = 8 * GRACE
        status, deleted = await command("delete", "--json")
        assert status == 0
        assert deleted["stores"][0]["changes"] == [{"action": "delete", "outcome": "done", "payloads": 1}]
        assert not await there()
        assert await client.get_workflow_handle("kept").result() == large("kept")
        assert (await command("plan"))[0] == 0  # for a person, and there is no garbage any more

        the_documents_are_as_the_help_tells([plan, put, undone, deleted], shown)
        text = (await command("status"))[1]
        assert put["id"] in text
        assert "delete 1 done" in text


def the_documents_are_as_the_help_tells(reports: list[Any], status: Any) -> None:
    """Hold the keys of all documents together to the help."""
    shape, told = shape_of(reports), told_shape(SHAPE_OF_REPORT)
    for place in ("", "namespaces", *(each for each in told if each.startswith("stores"))):
        if place != "stores.undeclared":
            assert shape[place] == told[place], place
    shape, told = shape_of(status), told_shape(status_command.EPILOG)
    assert (shape[""], shape["collections"]) == (told[""], told["collections"])


# -- everything at once

ROUNDS = 3


class Load:
    """Workflows that store the same few values over and over, and some of which are deleted."""

    def __init__(self, client: Client, queue: str, chance: random.Random) -> None:
        self._client = client
        self._queue = queue
        self._chance = chance
        self._count = 0
        self.kept: set[tuple[str, str]] = set()
        """Ids and run ids of what is not deleted."""
        self.deleted: set[tuple[str, str]] = set()
        """Of what is. Such a server may go on to list what was deleted just when it ended."""

    async def some(self, count: int) -> None:
        """Run some workflows to their ends, one after the other; delete one of three."""
        for _ in range(count):
            self._count += 1
            number = self._chance.randrange(5)
            # Under the same id the same input has the same key.
            handle = await self._client.start_workflow(
                Echo.run, large(f"load {number}"), id=f"load-{number}", task_queue=self._queue
            )
            await handle.result()
            run = (f"load-{number}", str(handle.first_execution_run_id))
            if self._count % 3:
                self.kept.add(run)
                continue
            self.deleted.add(run)
            await self._client.workflow_service.delete_workflow_execution(
                DeleteWorkflowExecutionRequest(
                    namespace=self._client.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=run[0], run_id=run[1]),
                )
            )


async def until_seen(client: Client, wanted: set[tuple[str, str]]) -> None:
    """Wait until visibility has these: ids and run ids of what has ended, kinds and ids of the rest."""

    async def seen() -> bool:
        holders = [holder async for holder in everything(client)]
        found = {(one.id, one.run_id) for one in holders if not one.running}
        found |= {(one.kind, one.id) for one in holders}
        return wanted <= found

    await until(seen)


async def test_nothing_that_is_needed_is_lost_and_all_that_is_not_goes(open_bench, monkeypatch):
    """Payloads on every way, while others are stored and deleted, and collections are cut off and go on.

    The clock leaps by a grace only where everything that was stored shows: that is what a grace is for.
    """
    # For this a grace is too, and here the minute would last longer than one.
    monkeypatch.setattr(recently_stored, "REMEMBERED_SECONDS", -1)
    chance = random.Random(20261130)
    async with (
        open_bench("everything") as bench,
        every_way(bench.client) as cases,
        running_worker(bench.client) as queue,
        bench.collector() as collector,
    ):
        load = Load(bench.client, queue, chance)
        held = {held for case in cases for held in case.holders}
        for _ in range(ROUNDS):
            await until_seen(bench.client, load.kept | held)
            bench.ahead += 2 * GRACE
            collecting = asyncio.create_task(cut_off_now_and_then(collector, chance))
            await load.some(9)
            report = await collecting
            assert report.complete, report.incomplete
            for workflow_id, run_id in load.kept:
                await read_back(bench, workflow_id, run_id)

        # The run that produced a schedule's last result is deleted; its next run needs that all the same.
        [schedule] = [case for case in cases if case.name == "schedules"]
        await bench.delete(*[each for kind, each in schedule.holders if kind == "workflow"])
        before = bench.stored
        await until_seen(bench.client, load.kept)
        for _ in range(4):  # one sees that a run is gone, one that its grace is over, one deletes
            bench.ahead += 2 * GRACE
            assert (await collector.collect("collect")).complete
        # Of queries and suchlike some stay as long as their run is open; of Nexus what has no namespace.
        assert await rules_of(collector) == {"needed", "own_run_open", "no_namespace"}
        assert {text for text in before - bench.stored if ORPHAN not in text and "load" not in text} == set()
        async for holder in everything(bench.client):
            if holder.kind == "workflow" and not holder.division:
                run = (holder.id, holder.run_id)
                if run not in load.deleted:
                    await read_back(bench, *run)
        await asyncio.gather(*(case.finish() for case in cases))

        # When histories go, so do their payloads.
        [inputs] = [case for case in cases if case.name == "inputs and results"]
        assert any(inputs.tag in text for text in bench.stored)
        await bench.delete(inputs.tag)
        for _ in range(3):
            bench.ahead += 2 * GRACE
            assert (await collector.collect("collect")).complete
        assert not any(inputs.tag in text for text in bench.stored)


async def rules_of(collector: Collector) -> set[str]:
    """Return the rules that keep, or condemn, what is in the store."""
    return set((await collector.collect("plan")).stores["memory"]["rules"])


async def cut_off_now_and_then(collector: Collector, chance: random.Random) -> Report:
    """Collect; cut it off at some moment, and go on."""
    resume = False
    while True:
        collecting = asyncio.create_task(collector.collect("collect", resume=resume))
        await asyncio.wait([collecting], timeout=chance.choice([0.01, 0.1, 0.5, 60]))
        if collecting.done():
            return await collecting
        collecting.cancel()
        with suppress(asyncio.CancelledError):
            await collecting
        begun = await collector.ledger.begun()
        resume = bool(begun) and await collector.ledger.report(begun[-1]) is None
