"""Failures: their details always go through the converter, and with `encode_failures` all their text does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from support.assertions import assert_history, assert_nowhere, assert_stands_for
from support.values import large, small
from support.workers import connect, new_id, running_worker
from support.workflows import CatchesFailure, Fails
from temporal_payloads import build_data_converter
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ActivityError, ApplicationError

if TYPE_CHECKING:
    from end_to_end.conftest import App
    from local_servers import TemporalServer
    from support.stores import RedisStore
    from temporalio.api.failure.v1 import Failure

Sized = Callable[[str], str]
sizes = pytest.mark.parametrize("sized", [large, small])


def failures_in(failure: Failure) -> list[Failure]:
    """Return a failure and its causes."""
    return [failure, *(failures_in(failure.cause) if failure.HasField("cause") else [])]


async def failure_of(app: App, where: str, message: str, details: str) -> tuple[ApplicationError, Failure]:
    """Run the workflow that fails there; return the error and the failure that the server has."""
    handle = await app.start(Fails.run, where, message, details)
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    error: BaseException | None = raised.value.cause
    if where == "activity":
        assert isinstance(error, ActivityError)
        error = error.__cause__
    assert isinstance(error, ApplicationError)
    history = await handle.fetch_history()
    assert_nowhere(history.events, message)
    assert_nowhere(history.events, details)
    return error, history.events[-1].workflow_execution_failed_event_attributes.failure


@sizes
@pytest.mark.parametrize("where", ["workflow", "activity"])
async def test_details_and_message_reach_the_client(app: App, sized: Sized, where: str) -> None:
    error, failure = await failure_of(app, where, message := sized("message"), details := sized("details"))
    assert error.message == message
    assert error.details == (details,)
    assert error.type == "Refused"
    innermost = failures_in(failure)[-1]
    [kept] = innermost.application_failure_info.details.payloads
    assert_stands_for(kept, details, app.store)


@sizes
async def test_details_and_message_reach_workflow_code(app: App, sized: Sized) -> None:
    message, details = sized("message"), sized("details")
    handle = await app.start(CatchesFailure.run, message, details)
    assert await handle.result() == [message, details]
    assert_history(
        await handle.fetch_history(),
        details,
        app.store,
        "activity_task_failed.failure.application_failure_info.details",
    )


@pytest.mark.parametrize("where", ["workflow", "activity"])
async def test_encode_failures_hides_message_and_stack_and_keeps_the_type(app: App, where: str) -> None:
    message = small("the customer's name")
    error, failure = await failure_of(app, where, message, small("details"))
    for each in failures_in(failure):
        assert each.message == "Encoded failure"
        assert not each.stack_trace
    innermost = failures_in(failure)[-1]
    assert innermost.encoded_attributes.metadata["encoding"] == b"binary/gzip"
    assert innermost.application_failure_info.type == "Refused"
    assert error.message == message


async def test_without_encode_failures_the_message_can_be_read_in_the_history(
    redis_store: RedisStore, temporal_server: TemporalServer
) -> None:
    converter = build_data_converter(redis_store.settings(encode_failures=False))
    client = await connect(temporal_server, converter)
    async with running_worker(client) as task_queue:
        handle = await client.start_workflow(
            Fails.run,
            args=["workflow", "no such order", large("details")],
            id=new_id("wf"),
            task_queue=task_queue,
        )
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    failure = (await handle.fetch_history()).events[-1].workflow_execution_failed_event_attributes.failure
    assert failure.message == "no such order"
    assert_stands_for(failure.application_failure_info.details.payloads[0], large("details"), redis_store)
