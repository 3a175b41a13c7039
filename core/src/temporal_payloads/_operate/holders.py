"""What holds payloads in a namespace, and how it is listed and read.

Runs of workflows, schedules, and the activities and Nexus operations that belong to no workflow.
"""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    DescribeActivityExecutionRequest,
    DescribeNexusOperationExecutionRequest,
    DescribeScheduleRequest,
    DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from google.protobuf.message import Message
    from temporalio.api.common.v1 import SearchAttributes
    from temporalio.client import Client

Kind = Literal["workflow", "schedule", "activity", "nexus_operation", "unknown"]

IN_A_DIVISION = "TemporalNamespaceDivision IS NOT NULL"
"""A list filter. What it matches is left out of every listing that does not ask for it: the workflows of the
server itself (schedulers, batch operations, deployments), and executions that are no workflows."""
SCHEDULERS = "TemporalScheduler"
"""The division of the workflows by which the server keeps schedules."""
_ARCHETYPES: dict[str, Kind | None] = {
    "3332429922": "activity",
    "131748067": "nexus_operation",
    "403648407": None,
}
"""Divisions of what is no workflow: a hash of `activity.activity`, `nexusoperation.operation` and
`scheduler.scheduler`. The last one is a schedule, and listed with those of the other scheduler."""


@dataclass(frozen=True, slots=True)
class Holder:
    """A run of a workflow, a schedule, or an activity or Nexus operation that belongs to no workflow.

    What the server lists and this release does not know has the kind `unknown`: it cannot be read.
    """

    kind: Kind
    namespace: str
    id: str
    run_id: str = ""
    """Empty for a schedule."""
    status: str = ""
    """Of an execution: `RUNNING`, `COMPLETED`, `FAILED`, `CONTINUED_AS_NEW`, ..., as it was listed."""
    start_time: datetime | None = None
    close_time: datetime | None = None
    """None while it runs."""
    history_length: int = 0
    """Events of a workflow that is closed. Of one that runs, what was listed is out of date."""
    type: str = ""
    """The workflow's type."""
    division: str = ""
    """What the server keeps apart under this name; empty for users' workflows."""
    scheduled_by: str = ""
    """The id of the schedule that started the workflow, or an earlier run of it."""

    @property
    def running(self) -> bool:
        """Whether it had not ended when it was listed. Schedules do not run."""
        return self.kind != "schedule" and self.close_time is None

    @property
    def succeeded(self) -> bool:
        """Whether it has completed, so that its schedule hands its result to the next run."""
        return self.status == "COMPLETED"


class UnknownHolderError(Exception):
    """The server lists an execution of a kind that this release does not know how to read."""


@dataclass(frozen=True)
class Held:
    """A message that holds payloads."""

    message: Message
    time: datetime | None
    """When it was written, as far as the server tells."""


async def workflows(client: Client, query: str | None = None) -> AsyncGenerator[Holder, None]:
    """Yield the runs of workflows that visibility lists: those that run, and those that are retained.

    Raises:
        RPCError: The server does not list them.
    """
    async with aclosing(_listed(client, query or "")) as listed:
        async for info in listed:
            yield _execution(client, "workflow", info, "")


async def in_divisions(client: Client) -> AsyncGenerator[Holder, None]:
    """Yield what other listings leave out: workflows of the server itself, activities, Nexus operations.

    Raises:
        RPCError: The server does not list them.
    """
    async with aclosing(_listed(client, IN_A_DIVISION)) as listed:
        async for info in listed:
            division = _text(info.search_attributes, "TemporalNamespaceDivision")
            # Only a workflow has a type here.
            kind = "workflow" if info.type.name else _ARCHETYPES.get(division, "unknown")
            if kind is not None:
                yield _execution(client, kind, info, division)


async def run_of(client: Client, workflow_id: str, run_id: str = "") -> Holder:
    """Return a run of a workflow, by default the latest one.

    Raises:
        RPCError: The server does not tell; `NOT_FOUND` where there is none.
    """
    described = await client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id, run_id=run_id),
        ),
        retry=True,
    )
    info = described.workflow_execution_info
    division = _text(info.search_attributes, "TemporalNamespaceDivision")
    return _execution(client, "workflow", info, division)


async def schedules(client: Client) -> AsyncGenerator[Holder, None]:
    """Yield every schedule, whichever of the server's schedulers keeps it.

    Raises:
        RPCError: The server does not list them.
    """
    async for schedule in await client.list_schedules():
        yield Holder("schedule", client.namespace, schedule.id)


def held_by(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    """Return the messages of one of them, page by page.

    What moves from a description into the history meanwhile comes twice, and is not missed.

    Raises:
        RPCError: Why one could not be had; `NOT_FOUND` where it was deleted meanwhile.
        UnknownHolderError: Its kind is `unknown`.
    """
    match holder.kind:
        case "workflow":
            return _of_workflow(client, holder)
        case "schedule":
            return _of_schedule(client, holder)
        case "activity":
            return _of_activity(client, holder)
        case "nexus_operation":
            return _of_nexus_operation(client, holder)
        case "unknown":
            raise UnknownHolderError(
                f"The server lists {holder.id!r} of division {holder.division!r} in namespace "
                f"{holder.namespace!r}, which this release of temporal-payloads does not know how to read. "
                "Use a release that knows this version of the server"
            )


async def _of_workflow(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    if holder.running:
        # What an activity that runs now told with its heartbeat, or failed with before, is in no event. When
        # the activity ends it moves into one, or is gone. So this comes before the history.
        described = await client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=holder.namespace,
                execution=WorkflowExecution(workflow_id=holder.id, run_id=holder.run_id),
            ),
            retry=True,
        )
        for activity in described.pending_activities:
            yield Held(activity, time_of(activity.last_heartbeat_time) or time_of(activity.last_started_time))
        for operation in described.pending_nexus_operations:
            yield Held(operation, time_of(operation.last_attempt_complete_time))
        for callback in described.callbacks:
            yield Held(callback, time_of(callback.last_attempt_complete_time))
    handle = client.get_workflow_handle(holder.id, run_id=holder.run_id)
    async for event in handle.fetch_history_events(skip_archival=True):
        yield Held(event, time_of(event.event_time))


async def _of_schedule(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    described = await client.workflow_service.describe_schedule(
        DescribeScheduleRequest(namespace=holder.namespace, schedule_id=holder.id), retry=True
    )
    yield Held(described, time_of(described.info.update_time) or time_of(described.info.create_time))


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
    yield Held(described, time_of(info.close_time) or time_of(info.schedule_time))


async def _of_nexus_operation(client: Client, holder: Holder) -> AsyncGenerator[Held, None]:
    described = await client.workflow_service.describe_nexus_operation_execution(
        DescribeNexusOperationExecutionRequest(
            namespace=holder.namespace,
            operation_id=holder.id,
            run_id=holder.run_id,
            include_input=True,
            include_outcome=True,
        ),
        retry=True,
    )
    info = described.info
    yield Held(described, time_of(info.close_time) or time_of(info.schedule_time))


async def _listed(client: Client, query: str) -> AsyncGenerator[WorkflowExecutionInfo, None]:
    # Not by the SDK's own method: it knows no status of a later release of the server.
    request = ListWorkflowExecutionsRequest(namespace=client.namespace, query=query)
    while True:
        found = await client.workflow_service.list_workflow_executions(request, retry=True)
        for info in found.executions:
            yield info
        if not found.next_page_token:
            return
        request.next_page_token = found.next_page_token


def _execution(client: Client, kind: Kind, info: WorkflowExecutionInfo, division: str) -> Holder:
    return Holder(
        kind,
        client.namespace,
        info.execution.workflow_id,
        info.execution.run_id,
        status=status_name(info.status),
        start_time=time_of(info.start_time),
        close_time=time_of(info.close_time),
        history_length=info.history_length,
        type=info.type.name,
        division=division,
        scheduled_by=_text(info.search_attributes, "TemporalScheduledById"),
    )


def status_name(number: WorkflowExecutionStatus.ValueType) -> str:
    """Return the name of a status, without its prefix; the number of one of a later release."""
    try:
        return WorkflowExecutionStatus.Name(number).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    except ValueError:
        return str(number)


def _text(attributes: SearchAttributes, name: str) -> str:
    """Return the value of a search attribute that the server itself has set."""
    found = attributes.indexed_fields.get(name)
    value = json.loads(found.data) if found is not None and found.data else ""
    return value if isinstance(value, str) else str(value)


def time_of(stamp: Timestamp) -> datetime | None:
    """Return a time of the server's; None if it has none."""
    return stamp.ToDatetime(UTC) if stamp.seconds > 0 else None
