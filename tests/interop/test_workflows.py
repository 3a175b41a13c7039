"""Applications on the plain SDK and ours complete the same workflows, on one store, both ways round."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from interop.peers import peer_converter
from support.history import driver_name, event_payloads, is_reference
from support.queries import answer_of
from support.values import large, small
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import CatchesFailure, Mailbox, Parent
from temporal_payloads import build_data_converter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from local_servers import TemporalServer
    from support.stores import Store
    from temporalio.client import Client

NO_CACHE = {"max_size": 0}


@pytest.fixture(params=["ours starts, theirs works", "theirs starts, ours works"])
def peer_works(request: pytest.FixtureRequest) -> bool:
    """Which side the peer is on."""
    return str(request.param).startswith("ours")


@pytest.fixture
async def sides(
    temporal_server: TemporalServer, store: Store, peer_works: bool
) -> AsyncIterator[tuple[Client, str]]:
    """A starter on one side, and the task queue of a worker on the other."""
    ours = build_data_converter(store.settings(cache=NO_CACHE))
    async with AsyncExitStack() as stack:
        theirs = await stack.enter_async_context(peer_converter(store))
        starter, worker = (ours, theirs) if peer_works else (theirs, ours)
        worker_client = await connect(temporal_server, worker)
        task_queue = await stack.enter_async_context(running_worker(worker_client))
        yield await connect(temporal_server, starter), task_queue


async def test_arguments_activities_children_and_results(sides: tuple[Client, str], store: Store) -> None:
    client, task_queue = sides
    for sized in (large, small):
        value = sized("order")
        handle = await client.start_workflow(
            Parent.run, value, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert await handle.result() == value
        payloads = event_payloads(await handle.fetch_history())
        for place in ("workflow_execution_started.input", "workflow_execution_completed.result"):
            assert is_reference(payloads[place][0]) == (sized is large)
            if sized is large:
                assert driver_name(payloads[place][0]) == store.driver_name


async def test_signals_queries_and_updates(sides: tuple[Client, str]) -> None:
    client, task_queue = sides
    first, second = large("first"), large("second")
    handle = await client.start_workflow(
        Mailbox.run, first, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
    )
    assert await answer_of(handle, Mailbox.joined, second) == first + second
    assert await handle.execute_update(Mailbox.swap, second) == first
    await handle.signal(Mailbox.put, first)
    await handle.signal(Mailbox.close)
    assert await handle.result() == first


async def test_failures_with_details_and_encoded_messages(sides: tuple[Client, str]) -> None:
    client, task_queue = sides
    message, details = small("message"), large("details")
    found = await client.execute_workflow(
        CatchesFailure.run,
        args=[message, details],
        id=new_id("wf"),
        task_queue=task_queue,
        run_timeout=RUN_TIMEOUT,
    )
    assert found == [message, details]
