"""What holds payloads in a namespace: runs of workflows, schedules, activities that belong to no workflow."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DescribeActivityExecutionRequest,
    DescribeScheduleRequest,
    DescribeWorkflowExecutionRequest,
    ListActivityExecutionsRequest,
    ListActivityExecutionsResponse,
)
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from google.protobuf.message import Message
    from temporalio.client import Client

Kind = Literal["workflow", "schedule", "activity"]


@dataclass(frozen=True)
class Holder:
    """A run of a workflow, a schedule, or an activity that belongs to no workflow."""

    kind: Kind
    namespace: str
    id: str
    run_id: str = ""
    """Empty for a schedule."""
    running: bool = False


@dataclass(frozen=True)
class Held:
    """A message that holds payloads."""

    message: Message
    time: datetime | None
    """When it was written, as far as the server tells."""


async def workflows(client: Client, query: str | None) -> AsyncGenerator[Holder, None]:
    """Yield every run that visibility lists: those that run, and those that are retained.

    Raises:
        RPCError: The server does not list them.
    """
    async for run in client.list_workflows(query):
        running = run.status is WorkflowExecutionStatus.RUNNING
        yield Holder("workflow", client.namespace, run.id, run.run_id, running)


async def schedules(client: Client) -> AsyncGenerator[Holder, None]:
    """Yield every schedule.

    Raises:
        RPCError: The server does not list them.
    """
    async for schedule in await client.list_schedules():
        yield Holder("schedule", client.namespace, schedule.id)


async def activities(client: Client) -> AsyncGenerator[Holder, None]:
    """Yield every activity that belongs to no workflow; none where the server does not know such.

    Raises:
        RPCError: The server does not list them.
    """
    request = ListActivityExecutionsRequest(namespace=client.namespace)
    while True:
        try:
            found: ListActivityExecutionsResponse
            found = await client.workflow_service.list_activity_executions(request, retry=True)
        except RPCError as error:
            if error.status is RPCStatusCode.UNIMPLEMENTED:
                return
            raise
        for one in found.executions:
            yield Holder("activity", client.namespace, one.activity_id, one.run_id)
        if not found.next_page_token:
            return
        request.next_page_token = found.next_page_token


def held_by(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    """Return the messages of one of them, page by page.

    Raises:
        RPCError: Why one could not be had; `NOT_FOUND` where it was deleted meanwhile.
    """
    if holder.kind == "workflow":
        return _of_workflow(client, holder)
    return _of_schedule(client, holder) if holder.kind == "schedule" else _of_activity(client, holder)


async def _of_workflow(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    handle = client.get_workflow_handle(holder.id, run_id=holder.run_id)
    async for event in handle.fetch_history_events(skip_archival=True):
        yield Held(event, _time(event.event_time))
    if not holder.running:
        return
    # No event has what an activity that runs now told with its heartbeat, or failed with before.
    described = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=holder.namespace,
            execution=WorkflowExecution(workflow_id=holder.id, run_id=holder.run_id),
        ),
        retry=True,
    )
    for activity in described.pending_activities:
        yield Held(activity, _time(activity.last_heartbeat_time) or _time(activity.last_started_time))
    for operation in described.pending_nexus_operations:
        yield Held(operation, _time(operation.last_attempt_complete_time))
    for callback in described.callbacks:
        yield Held(callback, _time(callback.last_attempt_complete_time))


async def _of_schedule(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    described = await client.workflow_service.describe_schedule(
        DescribeScheduleRequest(namespace=holder.namespace, schedule_id=holder.id), retry=True
    )
    yield Held(described, _time(described.info.update_time) or _time(described.info.create_time))


async def _of_activity(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    described = await client.workflow_service.describe_activity_execution(
        DescribeActivityExecutionRequest(
            namespace=holder.namespace,
            activity_id=holder.id,
            run_id=holder.run_id,
            include_input=True,
            include_outcome=True,
            include_heartbeat_details=True,
            include_last_failure=True,
        ),
        retry=True,
    )
    info = described.info
    yield Held(described, _time(info.close_time) or _time(info.schedule_time))


def _time(stamp: Timestamp) -> datetime | None:
    return stamp.ToDatetime(UTC) if stamp.seconds else None
