"""Payloads move to another store under workflows in flight, and the old one goes: migrating-stores.md."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from google.protobuf.json_format import MessageToDict, ParseDict
from local_servers import start_redis, start_temporal
from moving.stories import Deployment, Move, deployment
from moving.waiting import WaitsInActivity
from support.history import driver_name, is_reference, payloads_in
from support.workers import connect
from support.workflows import Mailbox
from temporal_payloads import PayloadSettings
from temporal_payloads._cli import main
from temporal_payloads.codec_server import create_app
from temporalio.api.common.v1 import Payload
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from local_servers import TemporalServer
    from support.stores import PostgresStore, S3Store
    from temporalio.client import WorkflowHistory

PAIRS = ["s3-to-s3", "redis-to-s3", "filesystem-to-postgres"]
OLD_NAME = "first"
"""What references to the old store record."""
Table = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """An old store and a new one."""

    old: Table
    new: Table
    remove_old: Callable[[], None]
    """Makes the old store go: the bucket, the server, the directory."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A server with a namespace for each pair: what other tests have in theirs was stored elsewhere."""
    with start_temporal(tmp_path_factory.mktemp("temporal"), namespaces=PAIRS) as started:
        yield started


@pytest.fixture(params=PAIRS)
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, s3_store: S3Store, postgres_store: PostgresStore
) -> Iterator[Pair]:
    """Each pair in turn."""

    def bucket(name: str) -> Table:
        s3_store.server.create_bucket(name)
        return s3_store.table() | {"type": "s3", "bucket": name}

    if request.param == "s3-to-s3":

        def remove_bucket() -> None:
            listed = s3_store.admin.list_objects_v2(Bucket="moved-from")["Contents"]
            for each in listed:
                s3_store.admin.delete_object(Bucket="moved-from", Key=each["Key"])
            s3_store.admin.delete_bucket(Bucket="moved-from")

        yield Pair(bucket("moved-from"), bucket("moved-to"), remove_bucket)
    elif request.param == "redis-to-s3":
        running = start_redis(tmp_path / "redis")
        redis = running.__enter__()
        gone = []

        def stop() -> None:
            gone.append(True)
            running.__exit__(None, None, None)

        yield Pair({"type": "redis", "url": redis.url, "retries": 0}, bucket("moved-from-redis"), stop)
        if not gone:
            stop()
    else:
        directory = tmp_path / "payloads"
        directory.mkdir()
        yield Pair(
            {"type": "filesystem", "path": str(directory), "create": True},
            postgres_store.table() | {"type": "postgres"},
            lambda: shutil.rmtree(directory),
        )


@pytest.fixture
async def move(server: TemporalServer, request: pytest.FixtureRequest) -> AsyncIterator[Move]:
    """A task queue in the pair's namespace."""
    pair = request.node.callspec.params["pair"]
    begun = Move(dataclasses.replace(server, namespace=pair))
    yield begun
    await begun.close()


def with_drivers(old: Table, new: Table) -> dict[str, Any]:
    """Return settings with these two drivers."""
    return {
        "codecs": ["gzip"],
        "storage": {"drivers": {"old": old | {"driver_name": OLD_NAME}, "new": new}},
    }


def deployed(settings: Mapping[str, Any], *, large: str) -> Deployment:
    return deployment(settings, small="binary/gzip", large=large)


@pytest.fixture
def migrate(
    tmp_path: Path,
    server: TemporalServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., Any]:
    """Run `temporal-payloads migrate` with settings; return its status and its document."""

    async def migrate(settings: Mapping[str, Any], namespace: str, *options: str) -> tuple[int, Any]:
        tables = json.dumps(settings["storage"]["drivers"])
        monkeypatch.setenv("TEMPORAL_PAYLOADS_STORAGE__DRIVERS", tables)
        monkeypatch.setenv("TEMPORAL_PAYLOADS_CODECS", ",".join(settings["codecs"]))
        monkeypatch.setenv("TEMPORAL_PAYLOADS_GC__STATE", str(tmp_path / "state"))
        arguments = ["--from", "old", "--to", "new", "--json", "--namespace", namespace, *options]
        capsys.readouterr()
        status = await asyncio.to_thread(main, ["migrate", "--address", server.address, *arguments])
        return status, json.loads(capsys.readouterr().out)

    return migrate


async def test_move_payloads_to_another_store(move: Move, pair: Pair, migrate: Callable[..., Any]) -> None:
    namespace = move.server.namespace
    read_only = {"retrieve_only": True}
    moved = with_drivers(pair.old | {"moved_to": "new"}, pair.new)
    read = deployed(with_drivers(pair.old, pair.new | read_only), large=OLD_NAME)
    write = deployed(moved, large="new")

    # 1. Everybody can read the new store; 2. some write there, others still to the old one.
    await move.step(read)
    await move.step(read, write)

    # 3. Copied while workflows get on. What is written to the old store afterwards is found by `--verify`.
    _, (status, report) = await asyncio.gather(move.step(read, write), migrate(moved, namespace))
    assert status == 0, report
    assert report["copied"]
    await move.step(read)
    status, report = await migrate(moved, namespace, "--verify")
    assert status == 1, report
    assert report["missing"] == len(report["failures"]) > 0

    # 4. When nobody writes to the old store any more, the rest is copied, and all is proved to be there.
    await move.step(write)
    status, report = await migrate(moved, namespace)
    assert status == 0, report
    assert report["done"]
    assert report["copied"]
    status, report = await migrate(moved, namespace, "--verify")
    assert status == 0, report
    assert report["complete"]

    # 5. The old store goes: first for those that still ask it for what the new one does not have.
    pair.remove_old()
    off = with_drivers(pair.old | {"moved_to": "new", "off": True}, pair.new)
    await move.step(write, deployed(off, large="new"))
    await move.everything_ends()
    await move.close()
    status, report = await migrate(off, namespace, "--verify")
    assert status == 0, report
    await everything_reads(move, off)


async def everything_reads(move: Move, settings: dict[str, Any]) -> None:
    """Replay every history, and ask a codec server for all that references of the old store lead to."""
    converter = deployed(settings, large="new").converter
    client = await connect(move.server, converter)
    histories: list[WorkflowHistory] = []
    async for run in client.list_workflows():
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        histories.append(await handle.fetch_history())
    assert histories
    replayer = Replayer(
        workflows=[Mailbox, WaitsInActivity],
        data_converter=converter,
        namespace=move.server.namespace,
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    for history in histories:
        assert (await replayer.replay_workflow(history)).replay_failure is None
    references = [
        payload
        for history in histories
        for event in history.events
        for _, payload in payloads_in(event)
        if is_reference(payload) and driver_name(payload) == OLD_NAME
    ]
    assert references
    async with (
        TestClient(TestServer(create_app(PayloadSettings.model_validate(settings)))) as codec_server,
        codec_server.post(
            "/decode",
            json={"payloads": [MessageToDict(reference) for reference in references]},
            headers={"X-Namespace": move.server.namespace},
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
        shown = [ParseDict(each, Payload()) for each in json.loads(await answer.read())["payloads"]]
    assert {payload.metadata["encoding"] for payload in shown} == {b"json/plain"}
    assert not any("temporal-payloads-error" in payload.metadata for payload in shown)
