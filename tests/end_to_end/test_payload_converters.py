"""Every way that a value takes, with the msgspec converter and codecs and a store behind it."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from end_to_end.conftest import App
from support.activities import ALL as ALL_ACTIVITIES
from support.activities import Gate
from support.history import event_payloads, is_reference
from support.queries import answer_of
from support.shipping import Parcel, Pricing, Ship, parcel
from support.values import large, small
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from support.workflows import Beats, CatchesFailure, KeepsMemo, LocalEcho, Mailbox, Parent, Relay
from temporal_payloads import PayloadSettings, PayloadsPlugin
from temporalio.client import WorkflowFailureError
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from local_servers import TemporalServer
    from support.events import StorageEvents
    from support.stores import RedisStore, Store


def with_msgspec(store: Store) -> PayloadSettings:
    """Return the store's settings with the converter."""
    return store.settings().model_copy(update={"payload_converter": "msgspec"})


@pytest.fixture
async def app(
    temporal_server: TemporalServer, redis_store: RedisStore, storage_events: StorageEvents
) -> AsyncIterator[App]:
    """A running worker and a client with the converter, gzip, encoded failures and a store."""
    settings = with_msgspec(redis_store)
    plugin = PayloadsPlugin(settings, registry=storage_events.registry)
    client = await connect(temporal_server, DataConverter.default, plugins=[plugin])
    gate = Gate()
    activities = [*ALL_ACTIVITIES, gate.beat_and_resume, gate.complete_elsewhere]
    async with running_worker(client, activities=activities) as task_queue:
        yield App(client, task_queue, redis_store, gate, storage_events)


@pytest.mark.parametrize("sized", [large, small])
@pytest.mark.parametrize("workflow", [Parent, LocalEcho, Relay], ids=lambda workflow: str(workflow.__name__))
async def test_arguments_results_children_and_memos(app: App, workflow: Any, sized: Any) -> None:
    value = sized("größe")
    handle = await app.start(workflow.run, value)
    assert await handle.result() == value
    payloads = event_payloads(await handle.fetch_history())
    assert is_reference(payloads["workflow_execution_started.input"][0]) == (sized is large)


async def test_signals_queries_and_updates(app: App) -> None:
    first, second = large("first"), small("second")
    handle = await app.start(Mailbox.run, first)
    assert await answer_of(handle, Mailbox.joined, second) == first + second
    assert await handle.execute_update(Mailbox.swap_slowly, second) == second
    await handle.signal(Mailbox.put, first)
    await handle.signal(Mailbox.close)
    assert await handle.result() == first


async def test_failures_heartbeats_and_memos(app: App) -> None:
    message, details = small("message"), large("details")
    assert await (await app.start(CatchesFailure.run, message, details)).result() == [message, details]
    beats = await app.start(Beats.run, details)
    await app.gate.reached.wait()
    app.gate.opened.set()
    assert await beats.result() == details
    assert await (await app.start(KeepsMemo.run, "added", memo={"note": message})).result() == message


@pytest.mark.parametrize("converter", ["plain", "msgspec"])
async def test_an_argument_that_does_not_fit_fails_a_workflow_that_asks_for_it(
    temporal_server: TemporalServer, redis_store: RedisStore, converter: str
) -> None:
    """A workflow fails for the errors that its worker names: an error of another type would block it."""
    plugins = [PayloadsPlugin(with_msgspec(redis_store))] if converter == "msgspec" else []
    client = await connect(temporal_server, DataConverter.default, plugins=plugins)
    async with running_worker(
        client,
        workflows=[Ship],
        activities=Pricing("any").all(),
        workflow_failure_exception_types=[TypeError],
    ) as task_queue:
        with pytest.raises(WorkflowFailureError) as caught:
            await client.execute_workflow(
                "Ship", [{"id": "no UUID"}], id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
            )
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == "TypeError"
    assert cause.message == "Failed converting list[support.shipping.Parcel] index 0"


async def test_models_that_each_sandbox_imports_anew_do_not_pile_up(
    temporal_server: TemporalServer, redis_store: RedisStore
) -> None:
    client = await connect(
        temporal_server, DataConverter.default, plugins=[PayloadsPlugin(with_msgspec(redis_store))]
    )
    async with running_worker(
        client, workflows=[Ship], activities=Pricing("any").all(), max_cached_workflows=0
    ) as task_queue:
        for _ in range(3):
            await client.execute_workflow(
                Ship.run,
                [parcel(number) for number in range(5)],
                id=new_id("wf"),
                task_queue=task_queue,
                run_timeout=RUN_TIMEOUT,
            )
    gc.collect()
    kinds = [each for each in gc.get_objects() if isinstance(each, type)]
    parcels = [each for each in kinds if (each.__module__, each.__name__) == (Parcel.__module__, "Parcel")]
    # This process's own and those of the last sandboxes; there were 18 workflow tasks, each with a sandbox.
    assert len(parcels) < 9
