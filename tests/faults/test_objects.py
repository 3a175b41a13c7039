"""A payload is gone or was changed: whoever needs it fails for good, with a type and a message to act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from faults.conftest import claim_at
from support.failures import application_error, event_of
from support.values import large
from support.workers import new_id, running_worker
from support.workflows import Echo, EchoElsewhere
from temporal_payloads.plugin import StorageError
from temporalio.api.enums.v1 import EventType

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.conftest import Bench
    from support.stores import Store

FAULTS = {
    "PayloadNotFoundError": lambda store, claim: store.delete(claim),
    "PayloadIntegrityError": lambda store, claim: store.overwrite(claim, store.read(claim) + b"!"),
}


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest) -> str:
    """The failure type that must come of it."""
    return str(request.param)


def inflict(fault: str, store: Store, claim: dict[str, str]) -> None:
    """Make the fault in the store."""
    harm: Callable[[Store, dict[str, str]], None] = FAULTS[fault]
    harm(store, claim)


async def test_a_workflow_without_its_argument_fails_for_good(
    bench: Bench, fault: str, task_queue: str
) -> None:
    client = await bench.client()
    handle = await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    claim = await claim_at(handle, "workflow_execution_started.input")
    inflict(fault, bench.store, claim)
    async with running_worker(client, task_queue):
        error = await application_error(handle)
    assert error.type == fault
    assert error.non_retryable
    assert claim["key"] in error.message


async def test_an_activity_without_its_argument_fails_for_good(
    bench: Bench, fault: str, task_queue: str
) -> None:
    client = await bench.client()
    activity_queue = new_id("activities")
    async with running_worker(client, task_queue):
        handle = await bench.start(
            client, EchoElsewhere.run, large("order"), activity_queue, task_queue=task_queue
        )
        await event_of(handle, EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
        inflict(fault, bench.store, await claim_at(handle, "activity_task_scheduled.input"))
        async with running_worker(client, activity_queue):
            error = await application_error(handle)
    assert error.type == fault
    assert error.non_retryable


async def test_a_client_without_the_result_is_told_why(bench: Bench, fault: str, task_queue: str) -> None:
    client = await bench.client()
    async with running_worker(client, task_queue):
        handle = await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
        await handle.result()
    claim = await claim_at(handle, "workflow_execution_completed.result")
    inflict(fault, bench.store, claim)
    with pytest.raises(StorageError) as raised:
        await handle.result()
    assert raised.value.type == fault
    assert claim["key"] in str(raised.value)
