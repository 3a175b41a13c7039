"""On whichever way payloads were passed, they are read from another store once they were moved there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from local_servers import start_temporal
from support.every_way import ALL, WORKFLOWS, every_way
from support.every_way.definitions import GivesHeaders
from support.every_way.reading import read_back, replayable
from support.holders import everything
from support.values import THRESHOLD
from support.workers import connect, new_id
from temporal_payloads import PayloadSettings
from temporal_payloads._build.assembly import Assembly, build
from temporal_payloads._operate.collection.namespace import Namespace
from temporal_payloads._operate.collection.stores import stores_open
from temporal_payloads._operate.holders import Holder
from temporal_payloads._operate.migration.migration import Migration
from temporal_payloads._operate.migration.move import move_between
from temporal_payloads._storage import memory_driver
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_servers import TemporalServer
    from support.every_way import Case
    from temporal_payloads._operate.migration.report import Report
    from temporalio.client import Client

OLD, NEW = new_id("old"), new_id("new")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TemporalServer]:
    """A server of its own: what other tests have in theirs was stored elsewhere."""
    with start_temporal(tmp_path) as server:
        yield server


def assembly_with(**old: Any) -> Assembly:
    """Return what settings with both stores describe; the old one as given."""
    drivers = {
        "old": {"type": "memory", "store": OLD, **old},
        "new": {"type": "memory", "store": NEW},
    }
    writes = "new" if old else "old"
    storage = {"driver": writes, "threshold": THRESHOLD, "drivers": drivers, "cache": {"max_size": 0}}
    settings = {"codecs": ["gzip"], "encode_failures": True, "storage": storage}
    return build(PayloadSettings.model_validate(settings))


async def migrate(client: Client, *, verify: bool = False) -> Report:
    assembly = assembly_with(moved_to="new")
    async with assembly.drivers_open(), stores_open(assembly) as stores:
        namespace = Namespace(client, stores.chain)
        migration = Migration(
            assembly,
            stores,
            move_between(assembly, "old", "new", copies=not verify),
            {(await namespace.owner()).key: namespace},
        )
        return await (migration.verify() if verify else migration.copy())


async def until_listed(client: Client, cases: list[Case]) -> list[Holder]:
    """Wait until visibility has whatever the cases are held by."""
    wanted = {held for case in cases for held in case.holders}
    async with asyncio.timeout(60):
        while True:
            holders = [holder async for holder in everything(client)]
            if wanted <= {(holder.kind, holder.id) for holder in holders}:
                return holders
            await asyncio.sleep(0.2)


@pytest.mark.server
@pytest.mark.usefixtures("references_in_clear")
async def test_whatever_passes_payloads_reads_them_from_the_new_store_when_the_old_one_is_gone(
    server: TemporalServer,
) -> None:
    before = assembly_with()
    client = await connect(server, before.converter)
    async with before.drivers_open(), every_way(client) as cases:
        assert len(cases) == len(ALL)
        await until_listed(client, cases)
        # While all of them are in flight; what they do then is written to the old store still.
        copied = await migrate(client)
        assert copied.ok, copied.parts()
        assert copied.in_doubt
        await asyncio.gather(*(case.finish() for case in cases))
        holders = await until_listed(client, cases)
        copied_later = await migrate(client)
        assert copied_later.ok, copied_later.parts()
        assert copied_later.outcomes["copied"]
        assert copied_later.runs_read < copied_later.runs
        verified = await migrate(client, verify=True)
        assert verified.ok, verified.parts()

    memory_driver._stores[OLD]._payloads.clear()
    off = assembly_with(moved_to="new", off=True)
    async with off.drivers_open(check=True):
        client = await connect(server, off.converter)
        histories = await read_back(client, holders)
        replayer = Replayer(
            workflows=WORKFLOWS,
            data_converter=off.converter,
            interceptors=[GivesHeaders()],
            workflow_runner=UnsandboxedWorkflowRunner(),
            namespace=client.namespace,
        )
        await replayer.replay_workflows(replayable(histories))
