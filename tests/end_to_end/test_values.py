"""Every way that a value takes between clients, workflows and activities goes through the converter.

Each test says two things: the value arrives as it was sent, and what the server holds of it is a reference
into the store if it is large, encoded if it is small, and never the value itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.assertions import assert_history
from support.proxy import TcpProxy
from support.queries import answer_of
from support.values import large, small
from support.workers import RUN_TIMEOUT, new_id
from support.workflows import Echo, LocalEcho, Mailbox, Parent, Relay, SignalsAnother
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import GrpcCompression

if TYPE_CHECKING:
    from end_to_end.conftest import App
    from local_servers import TemporalServer

pytestmark = pytest.mark.parametrize("sized", [large, small])

Sized = Callable[[str], str]


async def test_workflow_and_activity_arguments_and_results(app: App, sized: Sized) -> None:
    value = sized("order")
    handle = await app.start(Echo.run, value)
    assert await handle.result() == value
    assert_history(
        await handle.fetch_history(),
        value,
        app.store,
        "workflow_execution_started.input",
        "activity_task_scheduled.input",
        "activity_task_completed.result",
        "workflow_execution_completed.result",
    )


async def test_local_activities(app: App, sized: Sized) -> None:
    value = sized("order")
    handle = await app.start(LocalEcho.run, value)
    assert await handle.result() == value
    assert_history(await handle.fetch_history(), value, app.store, "marker_recorded.details.result")


async def test_child_workflows_and_their_memo(app: App, sized: Sized) -> None:
    value = sized("order")
    handle = await app.start(Parent.run, value)
    assert await handle.result() == value
    history = await handle.fetch_history()
    assert_history(
        history,
        value,
        app.store,
        "start_child_workflow_execution_initiated.input",
        "start_child_workflow_execution_initiated.memo.fields.note",
        "child_workflow_execution_completed.result",
    )
    [child_id] = {
        event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id
        for event in history.events
        if event.HasField("child_workflow_execution_started_event_attributes")
    }
    child = await app.client.get_workflow_handle(child_id).fetch_history()
    assert_history(child, value, app.store, "workflow_execution_started.input")


async def test_signals_from_a_client(app: App, sized: Sized) -> None:
    value = sized("order")
    handle = await app.start(Mailbox.run)
    await handle.signal(Mailbox.put, value)
    await handle.signal(Mailbox.close)
    assert await handle.result() == value
    assert_history(await handle.fetch_history(), value, app.store, "workflow_execution_signaled.input")


async def test_signals_from_another_workflow(app: App, sized: Sized) -> None:
    value = sized("order")
    mailbox = await app.start(Mailbox.run)
    sender = await app.start(SignalsAnother.run, mailbox.id, value)
    await sender.result()
    assert await mailbox.result() == value
    assert_history(
        await sender.fetch_history(),
        value,
        app.store,
        "signal_external_workflow_execution_initiated.input",
    )
    assert_history(await mailbox.fetch_history(), value, app.store, "workflow_execution_signaled.input")


async def test_signal_with_start(app: App, sized: Sized) -> None:
    argument, signal = sized("argument"), sized("signal")
    handle = await app.start(Mailbox.run, argument, start_signal="put", start_signal_args=[signal])
    await handle.signal(Mailbox.close)
    assert await handle.result() == signal
    history = await handle.fetch_history()
    assert_history(history, argument, app.store, "workflow_execution_started.input")
    assert_history(history, signal, app.store, "workflow_execution_signaled.input")


async def test_update_with_start(app: App, sized: Sized) -> None:
    argument, update = sized("argument"), sized("update")
    operation = WithStartWorkflowOperation(
        Mailbox.run,
        argument,
        id=new_id("wf"),
        task_queue=app.task_queue,
        run_timeout=RUN_TIMEOUT,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    previous = await app.client.execute_update_with_start_workflow(
        Mailbox.swap, update, start_workflow_operation=operation
    )
    assert previous in (argument, "")  # the update may be handled before the workflow's first line is
    handle = await operation.workflow_handle()
    await handle.signal(Mailbox.close)
    await handle.result()
    history = await handle.fetch_history()
    assert_history(history, argument, app.store, "workflow_execution_started.input")
    assert_history(
        history,
        update,
        app.store,
        "workflow_execution_update_accepted.accepted_request.input.args",
    )


async def test_updates(app: App, sized: Sized) -> None:
    first, second = sized("first"), sized("second")
    handle = await app.start(Mailbox.run, first)
    assert await answer_of(handle, Mailbox.joined, "") == first
    assert await handle.execute_update(Mailbox.swap, second) == first
    assert await handle.execute_update(Mailbox.swap_slowly, first) == first
    await handle.signal(Mailbox.close)
    assert await handle.result() == first
    history = await handle.fetch_history()
    for value in (first, second):
        assert_history(
            history,
            value,
            app.store,
            "workflow_execution_update_accepted.accepted_request.input.args",
            "workflow_execution_update_completed.outcome.success",
        )


async def test_queries_and_their_arguments(app: App, sized: Sized, temporal_server: TemporalServer) -> None:
    value, other = sized("value"), sized("other")
    handle = await app.start(Mailbox.run, value)
    host, port = temporal_server.address.split(":")
    async with TcpProxy(host, int(port)) as wire:
        client = await Client.connect(
            f"127.0.0.1:{wire.port}",
            data_converter=app.client.data_converter,
            grpc_compression=GrpcCompression.NONE,
        )
        found = await answer_of(client.get_workflow_handle_for(Mailbox.run, handle.id), Mailbox.joined, other)
    assert found == value + other
    # The server keeps no history of queries, so what passes on the wire must tell.
    assert handle.id.encode() in wire.traffic
    assert value[:20].encode() not in wire.traffic
    assert other[:20].encode() not in wire.traffic


async def test_continue_as_new_and_its_memo(app: App, sized: Sized) -> None:
    value = sized("order")
    handle = await app.start(Relay.run, value)
    first_run = handle.first_execution_run_id
    assert await handle.result() == value
    assert_history(
        await app.client.get_workflow_handle(handle.id, run_id=first_run).fetch_history(),
        value,
        app.store,
        "workflow_execution_started.input",
    )
    assert_history(
        await app.client.get_workflow_handle(handle.id).fetch_history(),
        value,
        app.store,
        "workflow_execution_started.memo.fields.note",
        "workflow_execution_completed.result",
    )
