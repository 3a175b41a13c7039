"""Against a real server: what it says of a namespace, and what that means."""

import asyncio
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from temporal_payloads._operate.doctor.examination import Wanted, examine
from temporal_payloads._operate.doctor.temporal import compare_expiry, look_at_namespaces, told
from temporalio.client import Client


@pytest.fixture
async def client(temporal_server):
    return await Client.connect(temporal_server.address, namespace=temporal_server.namespace)


async def test_the_server_is_asked_for_retention_limits_and_search_attributes(client, assemble, levels, only):
    facts = await look_at_namespaces([client], assemble().settings.storage)
    assert levels(facts.findings) == {
        "namespace": "ok",
        "blob size limit": "ok",
        "search attributes": "ok",
    }
    assert facts.retention == {"default": facts.longest_retention}
    assert facts.retention["default"] >= timedelta(days=1)
    assert (
        "up to 2,097,152 bytes; they are offloaded from 1,024 bytes on"
        in only(facts.findings, "blob size limit").message
    )


async def test_a_threshold_above_the_servers_limit_is_a_problem(client, assemble, only):
    facts = await look_at_namespaces([client], assemble(storage={"threshold": "3MiB"}).settings.storage)
    finding = only(facts.findings, "blob size limit")
    assert (finding.level, finding.place) == ("problem", "storage.threshold")
    assert "3,145,728" in finding.message


async def test_a_namespace_that_is_not_there_is_a_problem(client, assemble, only):
    facts = await look_at_namespaces(
        [client, Client(client.service_client, namespace="nowhere")], assemble().settings.storage
    )
    [missing] = [finding for finding in facts.findings if finding.place == "namespace nowhere"]
    assert missing.level == "problem"
    assert "--namespace" in missing.advice
    assert facts.longest_retention is not None


async def test_the_longest_retention_reaches_the_drivers(client, assemble, memory):
    assembly = assemble()
    found = await examine(assembly, assembly.drivers, Wanted(), clients=[client])
    assert any(finding.check == "namespace" for finding in found.findings)


async def test_without_a_server_its_part_is_left_out_with_a_note(assemble, only):
    assembly = assemble()
    found = await examine(assembly, assembly.drivers, Wanted(), no_temporal="nobody answers at nowhere:7233")
    finding = only(found.findings, "Temporal")
    assert finding.level == "skipped"
    assert "nobody answers at nowhere:7233" in finding.message


async def eventually(ask):
    """Ask until there is an answer."""
    async with asyncio.timeout(60):
        while (answer := await ask()) is None:  # noqa: ASYNC110  # visibility tells nobody
            await asyncio.sleep(0.2)
    return answer


async def expiry_of(client, assemble, ttl):
    assembly = assemble(storage={"drivers": {"memory": {"ttl": int(ttl.total_seconds())}}})
    facts = await look_at_namespaces([client], assembly.settings.storage)
    [finding] = await compare_expiry([client], assembly.drivers, facts)
    return finding


async def test_payloads_that_expire_before_histories_are_a_problem(client, assemble):
    finding = await expiry_of(client, assemble, timedelta(hours=23))
    assert (finding.level, finding.place) == ("problem", "storage.drivers.memory")
    assert "23:00:00" in finding.message


async def test_payloads_that_outlast_retention_and_runs_are_fine(client, assemble):
    finding = await expiry_of(client, assemble, timedelta(days=90))
    assert finding.level == "ok"
    assert "90 days" in finding.message


async def test_a_run_that_lasts_longer_than_its_payloads_may_is_a_problem(client, assemble):
    handle = await client.start_workflow("Forever", id=f"forever-{uuid4()}", task_queue="nobody")
    try:
        facts = await look_at_namespaces([client], assemble().settings.storage)
        retention = facts.retention["default"]

        async def is_told():
            finding = await expiry_of(client, assemble, retention + timedelta(seconds=1))
            return finding if finding.level == "problem" else None

        finding = await eventually(is_told)  # once visibility lists it, and it is a second old
        assert re.search("runs? for more than 0:00:01", finding.message)
    finally:
        await handle.terminate()


async def test_payloads_that_do_not_expire_are_not_compared(client, assemble):
    assembly = assemble()
    facts = await look_at_namespaces([client], assembly.settings.storage)
    assert await compare_expiry([client], assembly.drivers, facts) == []


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (timedelta(days=1), "1 day"),
        (timedelta(days=7), "7 days"),
        (timedelta(hours=3), "3:00:00"),
        (timedelta(days=1, hours=1), "1 day, 1:00:00"),
        (timedelta(0), "0:00:00"),
    ],
)
def test_durations_are_told_in_days_where_they_are_days(duration, words):
    assert told(duration) == words
