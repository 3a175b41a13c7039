"""Collections on Temporal: the worker that takes their steps, and what starts them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.converter import DataConverter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from temporal_payloads._operate.collection.activities import CollectionActivities
from temporal_payloads._operate.collection.workflow import (
    TASK_QUEUE,
    WORKFLOW_ID,
    WORKFLOW_TYPE,
    CollectionInput,
    CollectionWorkflow,
)

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

    from temporal_payloads._operate.collection.collector import Collector

MISSED = timedelta(days=1)
"""How late a collection may begin that was missed while the server was down."""


def plain(client: Client) -> Client:
    """Return a client of the same connection and namespace with the SDK's own data converter.

    A collection must not depend on what it cleans up: its payloads are small, and go nowhere.
    """
    return Client(client.service_client, namespace=client.namespace, data_converter=DataConverter.default)


def collection_worker(
    client: Client, collector: Collector, *, task_queue: str = TASK_QUEUE, at_once: int = 4
) -> Worker:
    """Return a worker for collections.

    Args:
        client: Of the namespace that collections run in.
        collector: Open for as long as the worker runs; made with `tell=activities.tell`.
        task_queue: Where collections are started.
        at_once: How many steps it takes at the same time.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules("temporal_payloads")
    return Worker(
        plain(client),
        task_queue=task_queue,
        workflows=[CollectionWorkflow],
        activities=CollectionActivities(collector).all,
        max_concurrent_activities=at_once,
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    )


async def trigger_schedule(client: Client, given: CollectionInput) -> bool:
    """Let the schedule start a collection now; return whether there is one for the same.

    Raises:
        WorkflowAlreadyStartedError: One that it has started runs already.
    """
    owner = plain(client)
    handle = owner.get_schedule_handle(WORKFLOW_ID)
    try:
        described = await handle.describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    if described.info.running_actions:
        # The schedule would leave this one out, and tell nobody.
        raise WorkflowAlreadyStartedError(WORKFLOW_ID, WORKFLOW_TYPE)
    action = described.schedule.action
    if not isinstance(action, ScheduleActionStartWorkflow):
        return False
    [scheduled] = await owner.data_converter.decode(action.args, [CollectionInput])
    if scheduled != given:
        return False
    await handle.trigger()
    return True


async def start_collection(
    client: Client, given: CollectionInput, *, task_queue: str = TASK_QUEUE
) -> WorkflowHandle[Any, dict[str, Any]]:
    """Start a collection now.

    Raises:
        WorkflowAlreadyStartedError: One that was started so runs already.
    """
    return await plain(client).start_workflow(
        CollectionWorkflow.run, given, id=WORKFLOW_ID, task_queue=task_queue
    )


async def schedule_collections(
    client: Client, given: CollectionInput, *, every: timedelta, task_queue: str = TASK_QUEUE
) -> bool:
    """Let a collection begin so often; return whether the schedule is new, and was not only changed.

    One that is due while the last one still runs is left out. One that begins while another one runs that the
    schedule has not started (of `start_collection`, of a command) waits until that has ended.
    """
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            CollectionWorkflow.run, given, id=WORKFLOW_ID, task_queue=task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=MISSED),
    )
    owner = plain(client)
    try:
        await owner.create_schedule(WORKFLOW_ID, schedule)
    except ScheduleAlreadyRunningError:

        def replaced(_: ScheduleUpdateInput) -> ScheduleUpdate:
            return ScheduleUpdate(schedule)

        await owner.get_schedule_handle(WORKFLOW_ID).update(replaced)
        return False
    return True
