"""Which keys workflows and schedules still need: rotation up to the day on which a key is retired."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from local_servers import start_temporal
from support.activities import ALL as ALL_ACTIVITIES
from support.activities import Gate, echo
from support.history import claim_of, event_payloads, is_reference, payloads_in
from support.keys import encryption, kms_access, put_keys_into_environment
from support.values import large, small
from support.workers import RUN_TIMEOUT, new_id, running_worker
from support.workflows import CompletedElsewhere, Echo, Mailbox, Parent, Relay
from temporal_payloads import build_data_converter
from temporal_payloads._cli import main
from temporal_payloads._operate.histories import reference_in
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DeleteWorkflowExecutionRequest,
    DescribeActivityExecutionRequest,
)
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from google.protobuf.message import Message
    from local_servers import S3Server, TemporalServer
    from support.stores import RedisStore, S3Store, Store

KEY_ID = "encryption-key-id"
NAMESPACES = ("rotation", "retirement", "kms", "doubt", "cache", "missing", "unreachable")


def as_toml(table: dict[str, Any], path: str = "") -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in table.items() if not isinstance(value, dict)]
    text = (f"[{path}]\n" if path else "") + "\n".join(lines) + "\n"
    for key, value in table.items():
        if isinstance(value, dict):
            text += as_toml(value, f"{path}.{json.dumps(key)}" if path else json.dumps(key))
    return text


class Bench:
    """A namespace of its own, a store, and the command with the settings of a deployment."""

    def __init__(self, server: TemporalServer, client: Client, store: Store, file: Path, capsys: Any) -> None:
        self.server = server
        self.plain = client
        self.store = store
        self._file = file
        self._capsys = capsys

    def settings(self, active: str, *others: str, **changes: Any) -> Any:
        table = {"codec": {"encryption": encryption(active, *others)}, "cache": {"max_size": 0}, **changes}
        return self.store.settings(codecs=["gzip", "encryption"], **table)

    def client(self, active: str, *others: str, **changes: Any) -> Client:
        """Return a client of a deployment with these keys."""
        config = self.plain.config()
        config["data_converter"] = build_data_converter(self.settings(active, *others, **changes))
        return Client(**config)

    async def command(self, active: str, *others: str, ask: str = "--in-use", **changes: Any) -> Any:
        """Run the command where these keys are, and return its status and what it printed."""
        settings = self.settings(active, *others, **changes)
        table = settings.model_dump(mode="json", exclude_unset=True)
        self._file.write_text(as_toml(table))
        arguments = ["keys", *ask.split(), "--config", str(self._file)]
        arguments += ["--address", self.server.address, "--namespace", self.plain.namespace]
        self._capsys.readouterr()
        status = await asyncio.to_thread(main, arguments)
        written = self._capsys.readouterr()
        return status, written.out if "--json" not in ask else json.loads(written.out), written.err

    async def really_there(self) -> dict[str, int]:
        """Count the payloads by the key that their metadata names, past everything that is tested."""
        counts: dict[str, int] = {}
        for payload in [payload async for payload in self._payloads()]:
            there = payload
            # A release of the SDK that encrypts references names the key there too.
            if KEY_ID not in payload.metadata:
                assert is_reference(payload)
                there = Payload.FromString(self.store.read(claim_of(payload)))
            key = there.metadata[KEY_ID].decode()
            counts[key] = counts.get(key, 0) + 1
        return counts

    async def _payloads(self) -> AsyncIterator[Payload]:
        async for message in self._messages():
            for _, payload in payloads_in(message):
                yield payload

    async def _messages(self) -> AsyncIterator[Message]:
        async for run in self.plain.list_workflows():
            handle = self.plain.get_workflow_handle(run.id, run_id=run.run_id)
            for event in (await handle.fetch_history()).events:
                yield event
            for pending in (await handle.describe()).raw_description.pending_activities:
                yield pending
        async for schedule in await self.plain.list_schedules():
            yield (await self.plain.get_schedule_handle(schedule.id).describe()).raw_description.schedule
        async for activity in self.plain.list_activities(""):
            yield await self.plain.workflow_service.describe_activity_execution(
                DescribeActivityExecutionRequest(
                    namespace=self.plain.namespace,
                    activity_id=activity.activity_id,
                    include_input=True,
                    include_outcome=True,
                )
            )

    async def until_listed(self, **expected: int) -> None:
        """Wait until visibility has caught up."""
        async with asyncio.timeout(120):
            while True:
                there = {
                    "workflows": len([one async for one in self.plain.list_workflows()]),
                    "schedules": len([one async for one in await self.plain.list_schedules()]),
                    "activities": len([one async for one in self.plain.list_activities("")]),
                }
                if expected.items() <= there.items():
                    return
                await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def server(
    temporal_server: TemporalServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TemporalServer]:
    """A server with namespaces of which nobody else knows: whole namespaces are read here."""
    with start_temporal(tmp_path_factory.mktemp("temporal"), namespaces=NAMESPACES) as server:
        yield server


@pytest.fixture
def make_bench(
    server: TemporalServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    keys: dict[str, str] = {}
    put_keys_into_environment(keys)
    for name, value in keys.items():
        monkeypatch.setenv(name, value)

    async def make_bench(namespace: str, store: Store) -> Bench:
        client = await Client.connect(server.address, namespace=namespace)
        return Bench(server, client, store, tmp_path / "temporal-payloads.toml", capsys)

    return make_bench


def by_id(document: Any) -> dict[str, Any]:
    return {key["id"]: key for key in document["keys"]}


@asynccontextmanager
async def deployed(client: Client, gate: Gate | None = None) -> AsyncIterator[str]:
    gate = gate or Gate()
    activities = [*ALL_ACTIVITIES, gate.complete_elsewhere]
    async with running_worker(client, client.namespace, activities=activities) as task_queue:
        yield task_queue


async def start(client: Client, workflow: Any, *args: Any, **options: Any) -> Any:
    return await client.start_workflow(
        workflow,
        args=args,
        id=new_id("wf"),
        task_queue=client.namespace,
        run_timeout=RUN_TIMEOUT,
        **options,
    )


async def start_all_that_holds_payloads(client: Client, gate: Gate) -> Any:
    """Start workflows of which five end and two wait, a schedule, and an activity; return one that waits."""
    await (await start(client, Echo.run, large("echo"))).result()
    await (await start(client, Parent.run, large("parent"))).result()
    await (await start(client, Relay.run, small("relay"))).result()
    mailbox = await start(client, Mailbox.run, small("mail"), memo={"note": large("note")})
    await mailbox.signal(Mailbox.put, large("letter"))
    await mailbox.execute_update(Mailbox.swap, small("swap"))
    await start(client, CompletedElsewhere.run)
    await gate.reached.wait()
    await client.get_async_activity_handle(task_token=gate.task_token).heartbeat(large("beat"))
    await schedule(client)
    await client.execute_activity(
        echo,
        large("alone"),
        id=new_id("activity"),
        task_queue=client.namespace,
        start_to_close_timeout=timedelta(seconds=30),
    )
    return mailbox


async def schedule(client: Client) -> Any:
    action = ScheduleActionStartWorkflow(
        Echo.run, large("on time"), id=new_id("wf"), task_queue=client.namespace, memo={"a": "b"}
    )
    paused = Schedule(action, spec=ScheduleSpec(), state=ScheduleState(paused=True))
    return await client.create_schedule(new_id("schedule"), paused)


async def test_every_payload_is_counted_by_its_key_before_and_after_a_rotation(
    make_bench, s3_store: S3Store
) -> None:
    bench = await make_bench("rotation", s3_store)

    # The new key is everywhere, and does not write yet.
    client, gate = bench.client("key-1", "key-2"), Gate()
    async with deployed(client, gate):
        mailbox = await start_all_that_holds_payloads(client, gate)
        await bench.until_listed(workflows=7, schedules=1, activities=1)
        status, document, _ = await bench.command("key-1", "key-2", ask="--in-use --json")
    assert (status, document["gaps"]) == (0, [])
    one, two = by_id(document)["key-1"], by_id(document)["key-2"]
    assert {one["id"]: one["payloads"]} == await bench.really_there()
    assert (one["workflows"], one["schedules"], one["activities"]) == (7, 1, 1)
    assert (one["verdict"], one["writes"]) == ("it writes", True)
    assert (two["payloads"], two["newest_use"], two["verdict"]) == (0, None, "can be retired")
    assert (document["workflows"], document["running"]) == (7, 2)

    # The new key writes.
    client = bench.client("key-2", "key-1")
    async with deployed(client):
        await (await start(client, Echo.run, large("echo"))).result()
        await client.get_workflow_handle(mailbox.id).signal(Mailbox.put, large("second letter"))
        await bench.until_listed(workflows=8)
        status, document, _ = await bench.command("key-2", "key-1", ask="--in-use --json")
    assert status == 0
    assert {key["id"]: key["payloads"] for key in document["keys"]} == await bench.really_there()
    old, new = by_id(document)["key-1"], by_id(document)["key-2"]
    assert (old["verdict"], new["verdict"]) == ("in use", "it writes")
    assert (old["workflows"], new["workflows"]) == (7, 2)
    assert old["newest_use"] < new["newest_use"]
    status, out, _ = await bench.command("key-2", "key-1", ask="--key key-1 --limit 3")
    assert status == 1
    assert "in use" in out
    assert "and 6 more" in out


async def test_a_key_is_retired_once_nothing_needs_it(make_bench, redis_store: RedisStore) -> None:
    bench = await make_bench("retirement", redis_store)
    client = bench.client("key-1", "key-2")
    async with deployed(client):
        await (await start(client, Mailbox.run, large("old"))).query(Mailbox.joined, "")
        scheduled = await schedule(client)
        await bench.until_listed(workflows=1, schedules=1)

    client = bench.client("key-2", "key-1")
    async with deployed(client):
        status, document, _ = await bench.command("key-2", "key-1", ask="--key key-1 --json")
        assert (status, by_id(document)["key-1"]["verdict"]) == (1, "in use")
        assert [holder["kind"] for holder in by_id(document)["key-1"]["needed_by"]] == [
            "workflow",
            "schedule",
        ]

        # What retention does in the end.
        async for run in bench.plain.list_workflows():
            await bench.plain.workflow_service.delete_workflow_execution(
                DeleteWorkflowExecutionRequest(
                    namespace=bench.plain.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=run.id, run_id=run.run_id),
                )
            )
        await bench.until_listed(workflows=0)
        assert (await bench.command("key-2", "key-1", ask="--key key-1"))[0] == 1
        await scheduled.delete()
        last = await start(client, Mailbox.run, large("last"))
        await bench.until_listed(workflows=1, schedules=0)
        status, out, _ = await bench.command("key-2", "key-1", ask="--key key-1")
        assert status == 0
        assert "can be retired" in out

    # The old key is gone, and nobody misses it.
    client = bench.client("key-2")
    async with deployed(client):
        await client.get_workflow_handle(last.id).signal(Mailbox.close)
        assert await client.get_workflow_handle(last.id).result() == large("last")
    status, document, _ = await bench.command("key-2", ask="--in-use --json")
    assert (status, list(by_id(document))) == (0, ["key-2"])


async def test_keys_that_kms_keeps_are_counted_where_payloads_are_bound_to_their_namespace(
    make_bench, s3_store: S3Store, moto_server: S3Server, kms_key: str
) -> None:
    bench = await make_bench("kms", s3_store)
    ring = encryption("key-1", bind="namespace")
    ring["keys"][kms_key] = {}
    provider = {"awskms": kms_access(moto_server.endpoint_url)}
    before, now = (
        {"codec": {"encryption": ring | {"active": active}}, "key_providers": provider}
        for active in ("key-1", kms_key)
    )
    for changes in (before, now):
        client = bench.client("", **changes)
        async with deployed(client):
            await (await start(client, Echo.run, large("echo"))).result()
    await bench.until_listed(workflows=2)
    status, document, _ = await bench.command("", ask="--in-use --json", **now)
    assert (status, document["gaps"]) == (0, [])
    counted = {key["id"]: key["payloads"] for key in document["keys"]}
    assert counted == await bench.really_there()
    assert set(counted) == {"key-1", kms_key}
    assert [by_id(document)[key]["verdict"] for key in ("key-1", kms_key)] == ["in use", "it writes"]


async def test_a_payload_that_cannot_be_read_leaves_every_key_in_doubt(
    make_bench, redis_store: RedisStore
) -> None:
    bench = await make_bench("doubt", redis_store)
    client = bench.client("key-1", "key-2", "key-3")
    async with deployed(client):
        handle = await start(client, Echo.run, large("echo"))
        await handle.result()
        await bench.until_listed(workflows=1)
        status, document, _ = await bench.command("key-1", "key-2", "key-3", ask="--key key-2 --json")
        assert (status, by_id(document)["key-2"]["verdict"]) == (0, "can be retired")

        [payload] = event_payloads(await handle.fetch_history())["workflow_execution_completed.result"]
        reference = await reference_in(payload, client.data_converter.payload_codec)
        assert reference
        bench.store.delete(reference.claim.claim_data)
        status, document, _ = await bench.command("key-1", "key-2", "key-3", ask="--key key-2 --json")
        assert (status, by_id(document)["key-2"]["verdict"]) == (1, "not known")
        [gap] = document["gaps"]
        assert "PayloadNotFoundError" in gap["what"]
        assert gap["example"]["id"] == handle.id
        status, out, _ = await bench.command("key-1", "key-2")
        assert status == 1
        assert "Not complete: no key can be retired by this" in out
        assert handle.id in out
        assert "can be retired" not in out.replace("no key can be retired", "")


async def test_nothing_is_left_in_the_cache_of_the_machine(
    make_bench, redis_store: RedisStore, tmp_path: Path
) -> None:
    bench = await make_bench("cache", redis_store)
    client = bench.client("key-1")
    async with deployed(client):
        await (await start(client, Echo.run, large("echo"))).result()
        await bench.until_listed(workflows=1)
    directory = tmp_path / "cache"
    status, _, _ = await bench.command("key-1", cache={"dir": str(directory)})
    assert status == 0
    assert not directory.exists() or not list(directory.rglob("*"))


async def test_payloads_of_a_key_that_is_not_here_are_counted_and_told(
    make_bench, redis_store: RedisStore
) -> None:
    bench = await make_bench("missing", redis_store)
    client = bench.client("key-1")
    async with deployed(client):
        await (await start(client, Echo.run, large("echo"))).result()
        await (await start(client, Echo.run, small("echo"))).result()
        await bench.until_listed(workflows=2)
    status, document, _ = await bench.command("key-2", "key-3", ask="--in-use --json")
    missing = by_id(document)["key-1"]
    assert (status, missing["verdict"], missing["in_ring"]) == (1, "missing", False)
    assert {"key-1": missing["payloads"]} == await bench.really_there()
    assert by_id(document)["key-3"]["verdict"] == "not known"
    # A name that is misspelt is not taken for a key that nothing needs.
    status, out, _ = await bench.command("key-1", "key-2", ask="--key kye-2")
    assert status == 1
    assert "Is the id right?" in out
    # Some of the workflows tell nothing about the others.
    status, out, _ = await bench.command("key-1", "key-2", ask="--key key-2 --query WorkflowType='Nobody'")
    assert status == 1
    assert "workflows that do not match" in out


async def test_without_temporal_or_the_store_nothing_is_said_of_any_key(
    make_bench, redis_store: RedisStore, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = await make_bench("unreachable", redis_store)
    status, out, err = await bench.command("key-1", driver={"url": f"redis://127.0.0.1:{closed_port}/0"})
    assert (status, out) == (3, "")
    assert str(closed_port) in err
    nowhere = f"127.0.0.1:{closed_port}"
    assert await asyncio.to_thread(main, ["keys", "--in-use", "--address", nowhere]) == 3
    monkeypatch.setenv("TEMPORAL_ADDRESS", nowhere)
    assert await asyncio.to_thread(main, ["keys", "--in-use"]) == 3
    # As Temporal's own tools have it.
    monkeypatch.setenv("TEMPORAL_ADDRESS", bench.server.address)
    monkeypatch.setenv("TEMPORAL_NAMESPACE", bench.plain.namespace)
    assert await asyncio.to_thread(main, ["keys", "--in-use"]) == 0
