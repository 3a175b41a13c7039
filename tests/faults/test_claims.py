"""A reference is input, and input can be forged: what lies outside the settings is refused, unseen.

The workflow waits: what looks forged may also be a worker with another bucket or prefix.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from faults.conftest import Bench
from support.failures import task_failure
from support.history import claim_of
from support.values import large
from support.workers import connect
from support.workflows import Echo
from temporalio.client import WorkflowExecutionStatus
from temporalio.common import RawValue
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.proxy import TcpProxy
    from support.stores import RedisStore, S3Store
    from temporalio.api.common.v1 import Payload

Claim = dict[str, str]
OTHER_HASH = "ab" * 32

FORGERIES: dict[str, Callable[[Claim], Claim]] = {
    "another prefix": lambda claim: claim | {"key": f"backups/{claim['key']}"},
    "another layout": lambda claim: claim | {"key": "customers.csv"},
    "a path upwards": lambda claim: claim | {"key": claim["key"].replace("v0", "v0/..", 1)},
    "a wrong hash": lambda claim: claim | {"hash_value": OTHER_HASH},
    "no hash": lambda claim: {name: claim[name] for name in claim if name != "hash_value"},
    "another algorithm": lambda claim: claim | {"hash_algorithm": "md5"},
}


def forge(reference: Payload, change: Callable[[Claim], Claim]) -> Payload:
    """Return the reference with another claim."""
    forged = type(reference)()
    forged.CopyFrom(reference)
    data: dict[str, Any] = json.loads(reference.data)
    forged.data = json.dumps(data | {"claimData": change(claim_of(reference))}).encode()
    return forged


async def refuse(bench: Bench, proxy: TcpProxy, task_queue: str, forged: Payload, **changes: Any) -> str:
    """Start a workflow with a forged reference: it says so and waits, and nothing is asked of the store."""
    attacker = await connect(bench.server, DataConverter.default)
    handle = await bench.start(attacker, Echo.run, RawValue(forged), task_queue=task_queue)
    store = bench.store.through(proxy.port)
    async with await bench.worker(task_queue, store=store, encode_failures=False, **changes):
        error = await task_failure(handle)
    assert isinstance(error, ApplicationError)
    assert error.type == "ClaimRejectedError"
    assert not error.non_retryable
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    await handle.terminate()
    assert not proxy.traffic
    return error.message


async def genuine_reference(bench: Bench) -> Payload:
    """Store a value and return its reference, which an attacker may have seen."""
    [reference] = await bench.converter().encode([large("order")])
    return reference


async def test_a_reference_that_somebody_else_made_is_good_as_long_as_it_is_true(
    bench: Bench, proxy: TcpProxy, task_queue: str
) -> None:
    client = await connect(bench.server, DataConverter.default)
    reference = await genuine_reference(bench)
    handle = await bench.start(client, Echo.run, RawValue(reference), task_queue=task_queue)
    async with await bench.worker(task_queue, store=bench.store.through(proxy.port)):
        reader = (await bench.client()).get_workflow_handle(handle.id, result_type=str)
        assert await reader.result() == large("order")
    assert proxy.traffic


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_claim_is_refused_unseen(
    bench: Bench, proxy: TcpProxy, task_queue: str, forgery: str
) -> None:
    forged = forge(await genuine_reference(bench), FORGERIES[forgery])
    await refuse(bench, proxy, task_queue, forged)


async def test_another_bucket_is_refused_unseen(
    temporal_server: TemporalServer,
    s3_store: S3Store,
    storage_events: StorageEvents,
    proxy_of_s3: TcpProxy,
    task_queue: str,
) -> None:
    bench = Bench(temporal_server, s3_store, storage_events)
    forged = forge(await genuine_reference(bench), lambda claim: claim | {"bucket": "payroll"})
    message = await refuse(bench, proxy_of_s3, task_queue, forged)
    assert "'payroll'" in message


async def test_another_namespaces_key_in_this_namespaces_bucket_is_refused_unseen(
    temporal_server: TemporalServer,
    s3_store: S3Store,
    storage_events: StorageEvents,
    proxy_of_s3: TcpProxy,
    task_queue: str,
) -> None:
    bench = Bench(temporal_server, s3_store, storage_events)
    forged = forge(
        await genuine_reference(bench),
        lambda claim: (
            claim | {"bucket": "payloads-default", "key": f"v0/ns/other/d/sha256/{claim['hash_value']}"}
        ),
    )
    driver = {"bucket": "payloads-{namespace}"}
    message = await refuse(bench, proxy_of_s3, task_queue, forged, driver=driver)
    assert "'payloads-other'" in message


async def test_another_redis_prefix_is_refused_unseen(
    temporal_server: TemporalServer,
    redis_store: RedisStore,
    storage_events: StorageEvents,
    proxy_of_redis: TcpProxy,
    task_queue: str,
) -> None:
    bench = Bench(temporal_server, redis_store, storage_events)
    message = await refuse(
        bench, proxy_of_redis, task_queue, await genuine_reference(bench), driver={"key_prefix": "tenant-7"}
    )
    assert "'tenant-7:'" in message


async def test_another_namespaces_payload_is_refused_unseen_where_namespaces_are_listed(
    bench: Bench, proxy: TcpProxy, task_queue: str
) -> None:
    message = await refuse(
        bench, proxy, task_queue, await genuine_reference(bench), namespaces=["another-tenant"]
    )
    assert "storage.namespaces" in message
