"""What a failure looks like to the client, and in the history of a workflow that does not get on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from temporalio.api.history.v1 import HistoryEvent
    from temporalio.api.workflow.v1 import PendingActivityInfo
    from temporalio.client import WorkflowHandle


async def application_error(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    """Wait for the workflow to fail; return the innermost application error."""
    with pytest.raises(WorkflowFailureError) as raised:
        await handle.result()
    error: BaseException | None = raised.value
    while error is not None and not isinstance(error, ApplicationError):
        error = error.__cause__
    assert isinstance(error, ApplicationError)
    return error


async def event_of(handle: WorkflowHandle[Any, Any], event_type: EventType.ValueType) -> HistoryEvent:
    """Wait until the run's history has an event of this type; return the first."""
    failure_wanted = event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
    async for event in handle.fetch_history_events(wait_new_event=True):
        if event.event_type == event_type:
            return event
        if failure_wanted and event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
            # Further attempts of that task leave no events, however they end. A signal begins another task.
            await handle.signal("nobody-handles-this")
    raise AssertionError(f"the run ended without a {EventType.Name(event_type)}")


async def task_failure(handle: WorkflowHandle[Any, Any]) -> BaseException:
    """Wait until a workflow task of the run has failed; return its failure, decoded."""
    event = await event_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
    failure = event.workflow_task_failed_event_attributes.failure
    return await handle._client.data_converter.decode_failure(failure)


async def activity_failure(handle: WorkflowHandle[Any, Any]) -> BaseException:
    """Wait until a pending activity of the run tells why its last attempt failed; return that, decoded."""
    pending = await pending_activity(handle, lambda activity: activity.HasField("last_failure"))
    return await handle._client.data_converter.decode_failure(pending.last_failure)


async def pending_activity(
    handle: WorkflowHandle[Any, Any], such_that: Callable[[PendingActivityInfo], bool]
) -> PendingActivityInfo:
    """Wait until the server tells this of a pending activity of the run; return what it tells."""
    while True:
        described = await handle.describe()
        for pending in described.raw_description.pending_activities:
            if such_that(pending):
                return pending
        assert described.status == WorkflowExecutionStatus.RUNNING
        await asyncio.sleep(0.1)
