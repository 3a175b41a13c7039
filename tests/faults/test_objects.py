"""A payload is gone: by default its workflow waits, and ends where payloads expire or the settings say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from faults.conftest import Bench, claim_at
from support.failures import application_error, event_of, task_failure
from support.history import claim_of, event_payloads
from support.queries import answer_of
from support.values import large
from support.workers import new_id, running_worker
from support.workflows import Echo, EchoElsewhere, Mailbox
from temporal_payloads.plugin import StorageError
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.stores import RedisStore, Store

FINAL: dict[str, Any] = {"driver": {"missing_payload": "fail"}}
EXPIRES = {"ttl": "1h"}
FAULTS = {
    "PayloadNotFoundError": lambda store, claim: store.delete(claim),
    "PayloadIntegrityError": lambda store, claim: store.overwrite(claim, store.read(claim) + b"!"),
}


async def test_a_workflow_without_its_argument_fails_for_good_if_the_settings_say_so(
    bench: Bench, task_queue: str
) -> None:
    client = await bench.client(**FINAL)
    handle = await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    claim = await claim_at(handle, "workflow_execution_started.input")
    bench.store.delete(claim)
    async with running_worker(client, task_queue):
        error = await application_error(handle)
    assert error.type == "PayloadNotFoundError"
    assert error.non_retryable
    assert claim["key"] in error.message


async def test_an_activity_without_its_argument_fails_for_good_if_the_settings_say_so(
    bench: Bench, task_queue: str
) -> None:
    client = await bench.client(**FINAL)
    activity_queue = new_id("activities")
    async with running_worker(client, task_queue):
        handle = await bench.start(
            client, EchoElsewhere.run, large("order"), activity_queue, task_queue=task_queue
        )
        await event_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
        bench.store.delete(await claim_at(handle, "activity_task_scheduled.input"))
        async with running_worker(client, activity_queue):
            error = await application_error(handle)
    assert error.type == "PayloadNotFoundError"
    assert error.non_retryable


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_client_without_the_result_is_told_why(bench: Bench, fault: str, task_queue: str) -> None:
    client = await bench.client()
    async with running_worker(client, task_queue):
        handle = await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
        await handle.result()
    claim = await claim_at(handle, "workflow_execution_completed.result")
    harm: Callable[[Store, dict[str, str]], None] = FAULTS[fault]
    harm(bench.store, claim)
    with pytest.raises(StorageError) as raised:
        await handle.result()
    assert raised.value.type == fault
    assert claim["key"] in str(raised.value)


# -- where payloads expire


@pytest.fixture
def redis_bench(
    temporal_server: TemporalServer, redis_store: RedisStore, storage_events: StorageEvents
) -> Bench:
    """The store that can let payloads expire."""
    return Bench(temporal_server, redis_store, storage_events)


def expire(store: RedisStore, claim: dict[str, str]) -> None:
    """Let the payload's time be up."""
    with store.server.client() as client:
        assert 0 < client.ttl(claim["key"]) <= 3600
        client.pexpire(claim["key"], 0)


async def test_a_workflow_ends_once_its_payload_has_expired_and_not_before(
    redis_bench: Bench, redis_store: RedisStore, task_queue: str
) -> None:
    client = await redis_bench.client(driver=EXPIRES)
    handle = await redis_bench.start(client, Mailbox.run, task_queue=task_queue)
    async with running_worker(client, task_queue, max_cached_workflows=0):
        await handle.signal(Mailbox.put, large("in time"))
        assert await answer_of(handle, Mailbox.joined, "!") == large("in time") + "!"
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    await handle.signal(Mailbox.put, large("too late"))
    payloads = event_payloads(await handle.fetch_history())
    expire(redis_store, claim_of(payloads["workflow_execution_signaled.input"][1]))
    async with running_worker(client, task_queue, max_cached_workflows=0):
        error = await application_error(handle)
    assert error.type == "PayloadNotFoundError"
    assert error.non_retryable
    assert "missing_payload" in error.message


async def test_a_workflow_whose_payload_has_expired_waits_for_it_if_the_settings_say_so(
    redis_bench: Bench, redis_store: RedisStore, task_queue: str
) -> None:
    client = await redis_bench.client(driver=EXPIRES | {"missing_payload": "retry"}, encode_failures=False)
    handle = await redis_bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    claim = await claim_at(handle, "workflow_execution_started.input")
    stored = redis_store.read(claim)
    expire(redis_store, claim)
    async with running_worker(client, task_queue):
        assert "PayloadNotFoundError" in str(await task_failure(handle))
        redis_store.overwrite(claim, stored)
        assert await handle.result() == large("order")
