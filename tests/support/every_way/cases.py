"""The ways, each as a function that sends payloads along it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from support.activities import Gate, echo, fail_with_details
from support.every_way.definitions import (
    OFTEN,
    QUICK,
    Again,
    Attempt,
    Attempts,
    CallsNexus,
    Headed,
    Relays,
    Scheduled,
    Starts,
    TimesOut,
    Undoes,
    Waits,
)
from support.values import large
from support.workers import new_id, running_worker
from support.workflows import (
    CompletedElsewhere,
    Echo,
    Fails,
    KeepsMemo,
    LocalEcho,
    Mailbox,
    Parent,
    Relay,
    SignalsAnother,
)
from temporalio.api.batch.v1 import BatchOperationSignal, BatchOperationTermination
from temporalio.api.command.v1 import Command
from temporalio.api.common.v1 import Payloads, WorkflowExecution
from temporalio.api.enums.v1 import CommandType, EventType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeBatchOperationRequest,
    DescribeNamespaceRequest,
    PollWorkflowTaskQueueRequest,
    ResetWorkflowExecutionRequest,
    RespondWorkflowTaskCompletedRequest,
    RespondWorkflowTaskFailedRequest,
    StartBatchOperationRequest,
)
from temporalio.client import (
    ActivityFailureError,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleState,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import RetryPolicy, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from temporalio.client import Client

T = TypeVar("T")

ORPHAN = "orphan"
"""In values that are stored and stand in nothing that the server holds."""
UNSEEN = "unseen"
"""In values that are needed, and shown by nothing that the server tells."""


async def _nothing_more() -> None:
    """End a case that has ended."""


@dataclass
class Case:
    """A way of passing payloads, along which some have been sent."""

    name: str
    tag: str
    """What all its values begin with. It is the id of the workflow, schedule or whatever it is about; other
    ids of the case begin with it."""
    holders: list[tuple[str, str]] = field(default_factory=list)
    """Kind (as in `temporal_payloads._operate.holders`) and id of what holds payloads now."""
    finish: Callable[[], Awaitable[None]] = _nothing_more
    """Lets what still runs, or is kept for later, go on to its end, and asserts that it found its values.
    Call it once."""


class Ways:
    """What cases are made with.

    Args:
        client: Its data converter stores payloads.
        task_queue: Where a worker for everything runs.
        endpoint: Of Nexus, leading there.
    """

    def __init__(self, client: Client, task_queue: str, endpoint: str) -> None:
        self.client = client
        self.task_queue = task_queue
        self.endpoint = endpoint
        self.attempt = Attempt()
        self.gate = Gate()
        self._waiting: list[asyncio.Task[Any]] = []

    def in_background(self, waits: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Let something wait for as long as there are the cases."""
        task = asyncio.create_task(waits)
        self._waiting.append(task)
        return task

    async def end(self) -> None:
        """Let nothing wait any more."""
        for task in self._waiting:
            task.cancel()
        await asyncio.gather(*self._waiting, return_exceptions=True)

    async def start(
        self, workflow: Any, *args: Any, workflow_id: str, **options: Any
    ) -> WorkflowHandle[Any, Any]:
        """Start a workflow."""
        started: WorkflowHandle[Any, Any] = await self.client.start_workflow(
            workflow, args=args, id=workflow_id, **{"task_queue": self.task_queue} | options
        )
        return started

    async def run(self, workflow: Any, *args: Any, workflow_id: str, **options: Any) -> Any:
        """Run a workflow to its end."""
        return await (await self.start(workflow, *args, workflow_id=workflow_id, **options)).result()


async def inputs_and_results(ways: Ways) -> Case:
    """Of a workflow and an activity."""
    tag = new_id("inputs")
    await ways.run(Echo.run, large(tag), workflow_id=tag)
    return Case("inputs and results", tag, [("workflow", tag)])


async def memos(ways: Ways) -> Case:
    """One at the start, one that is added."""
    tag = new_id("memos")
    await ways.run(KeepsMemo.run, large(f"{tag} added"), workflow_id=tag, memo={"note": large(f"{tag} memo")})
    return Case("memos", tag, [("workflow", tag)])


async def headers(ways: Ways) -> Case:
    """A header of an activity."""
    tag = new_id("headers")
    assert await ways.run(Headed.run, workflow_id=tag) == large(f"{tag} header")
    return Case("headers", tag, [("workflow", tag)])


async def signals(ways: Ways) -> Case:
    """By a client, at the start, and by another workflow."""
    tag = new_id("signals")
    options = {"start_signal": "put", "start_signal_args": [large(f"{tag} first")]}
    box = await ways.start(Mailbox.run, workflow_id=tag, **options)
    await box.signal(Mailbox.put, large(f"{tag} second"))
    await ways.run(SignalsAnother.run, tag, large(f"{tag} third"), workflow_id=f"{tag}-other")
    assert await box.result() == large(f"{tag} third")
    return Case("signals", tag, [("workflow", tag), ("workflow", f"{tag}-other")])


async def updates(ways: Ways) -> Case:
    """Of a workflow that runs, with the start, and one that is refused, which leaves no trace."""
    tag = new_id("updates")
    operation = WithStartWorkflowOperation(
        Mailbox.run,
        large(f"{tag} start"),
        id=tag,
        task_queue=ways.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    await ways.client.execute_update_with_start_workflow(
        Mailbox.swap, large(f"{tag} first"), start_workflow_operation=operation
    )
    box = await operation.workflow_handle()
    assert await box.execute_update(Mailbox.swap_slowly, large(f"{tag} second")) == large(f"{tag} second")
    refusing = await ways.start(Waits.run, large(f"{tag} refusing"), workflow_id=f"{tag}-refuses")
    with pytest.raises(WorkflowUpdateFailedError):
        await refusing.execute_update(Waits.refuse, large(f"{ORPHAN} {tag} refused"))
    await refusing.terminate()

    async def finish() -> None:
        await box.signal(Mailbox.close)
        assert await box.result() == large(f"{tag} second")

    return Case("updates", tag, [("workflow", tag), ("workflow", f"{tag}-refuses")], finish)


async def queries(ways: Ways) -> Case:
    """Arguments and results, which stand in no history."""
    tag = new_id("queries")
    box = await ways.start(Mailbox.run, large(tag), workflow_id=tag)
    asked = large(f"{ORPHAN} {tag} asked")
    assert await box.query(Mailbox.joined, asked) == large(tag) + asked

    async def finish() -> None:
        await box.signal(Mailbox.close)
        assert await box.result() == large(tag)

    return Case("queries", tag, [("workflow", tag)], finish)


async def failures(ways: Ways) -> Case:
    """With details, long messages that are encoded, and causes; of activities, local ones and workflows."""
    tag = new_id("failures")
    found = await ways.run(Undoes.run, tag, workflow_id=tag)
    assert found == [large(f"{tag} {which}") for which in ("outer", "middle", "inner")] * 2
    told, details = large(f"{tag} told"), large(f"{tag} details")
    with pytest.raises(WorkflowFailureError) as raised:
        await ways.run(Fails.run, "workflow", told, details, workflow_id=f"{tag}-workflow")
    assert isinstance(raised.value.cause, ApplicationError)
    assert list(raised.value.cause.details) == [details]
    return Case("failures", tag, [("workflow", tag), ("workflow", f"{tag}-workflow")])


async def pending_activities(ways: Ways) -> Case:
    """A heartbeat and a failure that no event has yet."""
    tag = new_id("pending")
    running = await ways.start(Attempts.run, tag, workflow_id=tag)
    await ways.attempt.reached[tag].wait()

    async def finish() -> None:
        ways.attempt.opened[tag].set()
        assert await running.result() == large(f"{tag} beat")

    return Case("pending activities", tag, [("workflow", tag)], finish)


async def last_heartbeats(ways: Ways) -> Case:
    """A heartbeat in the failure of an activity that went silent."""
    tag = new_id("silent")
    assert await ways.run(TimesOut.run, tag, workflow_id=tag) == large(f"{tag} last beat")
    return Case("last heartbeats", tag, [("workflow", tag)])


async def completed_elsewhere(ways: Ways) -> Case:
    """An activity's result that its worker does not send."""
    tag = new_id("elsewhere")
    running = await ways.start(CompletedElsewhere.run, workflow_id=tag)
    await ways.gate.reached.wait()
    handle = ways.client.get_async_activity_handle(task_token=ways.gate.task_token)
    await handle.heartbeat(large(f"{ORPHAN} {tag} beat"))  # it is gone when the activity ends
    await handle.complete(large(f"{tag} result"))
    assert await running.result() == large(f"{tag} result")
    return Case("activities completed elsewhere", tag, [("workflow", tag)])


async def local_activities(ways: Ways) -> Case:
    """A result in a marker."""
    tag = new_id("local")
    await ways.run(LocalEcho.run, large(tag), workflow_id=tag)
    return Case("local activities", tag, [("workflow", tag)])


async def side_effects(ways: Ways) -> Case:
    """Payloads in a marker as other SDKs leave it for a side effect; there are none in Python."""
    tag = new_id("markers")
    queue = TaskQueue(name=f"{tag}-queue")
    await ways.start(Waits.run, large(tag), workflow_id=tag, task_queue=queue.name)
    service = ways.client.workflow_service
    polled = await service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(namespace=ways.client.namespace, task_queue=queue, identity=tag)
    )
    marker = Command(command_type=CommandType.COMMAND_TYPE_RECORD_MARKER)
    marker.record_marker_command_attributes.marker_name = "SideEffect"
    details = marker.record_marker_command_attributes.details["data"]
    details.payloads.extend(await ways.client.data_converter.encode([large(f"{tag} marked")]))
    end = Command(command_type=CommandType.COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION)
    end.complete_workflow_execution_command_attributes.SetInParent()
    await service.respond_workflow_task_completed(
        RespondWorkflowTaskCompletedRequest(
            namespace=ways.client.namespace,
            task_token=polled.task_token,
            commands=[marker, end],
            identity=tag,
        )
    )
    return Case("side effects", tag, [("workflow", tag)])


async def children(ways: Ways) -> Case:
    """A child that outlives its parent, a parent that outlives its child, and a memo of a child."""
    tag = new_id("children")
    await ways.run(Starts.run, "abandoned", f"{tag}-child", large(f"{tag} child"), workflow_id=tag)
    parent = await ways.start(
        Starts.run, "waited for", f"{tag}-ended", large(f"{tag} ended"), workflow_id=f"{tag}-parent"
    )
    await ways.run(Parent.run, large(f"{tag} memo"), workflow_id=f"{tag}-memo")
    child = ways.client.get_workflow_handle(f"{tag}-child")
    ended = f"WorkflowId = '{tag}-ended' AND ExecutionStatus = 'Completed'"
    await _until(lambda: _count(ways.client, ended))

    async def finish() -> None:
        await child.signal(Waits.end, large(f"{tag} told"))
        assert await child.result() == [large(f"{tag} child"), large(f"{tag} told")]
        await parent.signal(Starts.end)
        assert await parent.result() == large(f"{tag} ended")

    ids = [tag, f"{tag}-child", f"{tag}-parent", f"{tag}-ended", f"{tag}-memo"]
    return Case("children", tag, [("workflow", each) for each in ids], finish)


async def continued_as_new(ways: Ways) -> Case:
    """What a run hands to the next one, with a memo."""
    tag = new_id("continued")
    await ways.run(Relay.run, large(tag), workflow_id=tag)
    return Case("continued as new", tag, [("workflow", tag)])


async def resets(ways: Ways) -> Case:
    """A new run that has the old run's payloads in its history."""
    tag = new_id("resets")
    first = await ways.start(Echo.run, large(tag), workflow_id=tag)
    await first.result()
    history = await first.fetch_history()
    *_, last = (
        event.event_id
        for event in history.events
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    )
    await ways.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=ways.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=tag, run_id=first.first_execution_run_id or ""),
            reason="again",
            workflow_task_finish_event_id=last,
            request_id=new_id("request"),
        )
    )
    assert await ways.client.get_workflow_handle(tag, result_type=str).result() == large(tag)
    return Case("resets", tag, [("workflow", tag)])


async def cron(ways: Ways) -> Case:
    """The result of a run, for the next one."""
    return await _again(ways, new_id("cron"), "cron", cron_schedule="@every 1s")


async def retries(ways: Ways) -> Case:
    """The failure of a run, for the next one."""
    policy = RetryPolicy(initial_interval=timedelta(milliseconds=10), maximum_attempts=2)
    return await _again(ways, new_id("retries"), "fails", retry_policy=policy)


async def _again(ways: Ways, tag: str, how: str, **options: Any) -> Case:
    first = await ways.start(
        Again.run, how, large(f"{tag} value"), large(f"{tag} left"), workflow_id=tag, **options
    )
    latest = ways.client.get_workflow_handle(tag)
    while True:
        described = await latest.describe()
        if described.run_id != first.first_execution_run_id:
            break
        await asyncio.sleep(0.05)
    second = ways.client.get_workflow_handle(tag, run_id=described.run_id, result_type=list[str])

    async def finish() -> None:
        await second.signal(Again.end)
        *_, last = [event async for event in second.fetch_history_events(wait_new_event=True)]
        result = last.workflow_execution_completed_event_attributes.result
        [found] = await ways.client.data_converter.decode_wrapper(result)
        assert found == [large(f"{tag} value"), large(f"{tag} left")]
        if how == "cron":
            await latest.terminate()

    return Case("cron" if how == "cron" else "retries", tag, [("workflow", tag)], finish)


async def schedules(ways: Ways) -> Case:
    """What a schedule starts runs with, and the result of a run, for the next one."""
    tag = new_id("schedule")
    action = ScheduleActionStartWorkflow(
        Scheduled.run,
        large(tag),
        id=f"{tag}-run",
        task_queue=ways.task_queue,
        memo={"note": large(f"{tag} memo")},
    )
    handle = await ways.client.create_schedule(
        tag, Schedule(action=action, spec=ScheduleSpec(), state=ScheduleState(paused=True))
    )

    async def triggered(count: int) -> WorkflowHandle[Any, list[str]]:
        async def last() -> ScheduleActionExecutionStartWorkflow | None:
            actions = (await handle.describe()).info.recent_actions
            action = actions[-1].action if len(actions) == count else None
            assert isinstance(action, ScheduleActionExecutionStartWorkflow | None)
            return action

        await handle.trigger()
        started = await _until(last)
        assert started is not None
        return ways.client.get_workflow_handle(
            started.workflow_id, run_id=started.first_execution_run_id, result_type=list[str]
        )

    async def has_the_result() -> bool:
        return not (await handle.describe()).info.running_actions

    first = await triggered(1)
    _, left = await first.result()
    await _until(has_the_result)

    async def finish() -> None:
        second = await triggered(2)
        assert await second.result() == [large(tag), left]

    return Case("schedules", tag, [("schedule", tag), ("workflow", first.id)], finish)


async def standalone_activities(ways: Ways) -> Case:
    """Activities that belong to no workflow: one that has ended, one that failed, one that is tried again."""
    tag = new_id("standalone")
    options: dict[str, Any] = {"task_queue": ways.task_queue, "start_to_close_timeout": QUICK}
    ended = await ways.client.start_activity(echo, large(tag), id=tag, **options)
    assert await ended.result() == large(tag)
    failed = await ways.client.start_activity(
        fail_with_details, args=[large(f"{tag} told"), large(f"{tag} details")], id=f"{tag}-failed", **options
    )
    with pytest.raises(ActivityFailureError):
        await failed.result()
    waiting = f"{tag}-waits"
    running = await ways.client.start_activity_method(
        Attempt.until_opened, waiting, id=waiting, retry_policy=OFTEN, summary=f"{tag} waits", **options
    )
    await ways.attempt.reached[waiting].wait()

    async def finish() -> None:
        ways.attempt.opened[waiting].set()
        assert await running.result() == large(f"{waiting} beat")

    ids = [tag, f"{tag}-failed", waiting]
    return Case("standalone activities", tag, [("activity", each) for each in ids], finish)


async def nexus_operations(ways: Ways) -> Case:
    """Operations that a workflow calls: answered at once, by a workflow, with a failure, or not at all."""
    tag = new_id("nexus")
    at_once, by_workflow, _ = await asyncio.gather(
        *(
            ways.run(CallsNexus.run, ways.endpoint, tag, operation, workflow_id=f"{tag}-{operation}")
            for operation in ("at_once", "by_workflow", "fails")
        )
    )
    assert (at_once, by_workflow) == (large(f"{tag} at_once"), large(f"{tag} by_workflow"))
    pending = await ways.start(CallsNexus.run, ways.endpoint, tag, "never", workflow_id=f"{tag}-never")

    async def finish() -> None:
        await pending.terminate()

    ids = [f"{tag}-{operation}" for operation in ("at_once", "by_workflow", "fails", "never")]
    holders = [("workflow", each) for each in (*ids, f"{tag}-run")]
    return Case("Nexus operations", tag, holders, finish)


async def standalone_nexus_operations(ways: Ways) -> Case | None:
    """Operations that belong to no workflow, where the server has them."""
    described = await ways.client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=ways.client.namespace)
    )
    if not described.namespace_info.capabilities.standalone_nexus_operation:
        return None
    tag = new_id("operation")
    client = ways.client.create_nexus_client(Relays, ways.endpoint)
    value = large(tag)
    ended = await client.start_operation(Relays.at_once, value, id=tag, summary=f"{tag} ends")
    assert await ended.result() == value
    waits = await client.start_operation(Relays.never, large(f"{tag} never"), id=f"{tag}-never")

    async def finish() -> None:
        await waits.terminate()

    holders = [("nexus_operation", tag), ("nexus_operation", f"{tag}-never")]
    return Case("standalone Nexus operations", tag, holders, finish)


async def batches(ways: Ways) -> Case:
    """A signal, and a termination with details, to whatever matches a query."""
    tag = new_id("batch")
    signalled = await ways.start(Waits.run, large(f"{tag} waits"), workflow_id=tag)
    await ways.start(Waits.run, large(f"{tag} waits too"), workflow_id=f"{tag}-ended")
    told = await _payloads(ways, f"{tag} told")
    await _batch(ways, tag, signal_operation=BatchOperationSignal(signal="end", input=told))
    assert await signalled.result() == [large(f"{tag} waits"), large(f"{tag} told")]
    details = await _payloads(ways, f"{tag} details")
    await _batch(ways, f"{tag}-ended", termination_operation=BatchOperationTermination(details=details))
    jobs = [("workflow", f"{each}-job") for each in (tag, f"{tag}-ended")]
    return Case("batch operations", tag, [("workflow", tag), ("workflow", f"{tag}-ended"), *jobs])


async def _batch(ways: Ways, workflow_id: str, **operation: Any) -> None:
    query, job = f"WorkflowId = '{workflow_id}'", f"{workflow_id}-job"
    service, namespace = ways.client.workflow_service, ways.client.namespace
    await _until(lambda: _count(ways.client, query))
    request = StartBatchOperationRequest(
        namespace=namespace, job_id=job, reason="a test", visibility_query=query, **operation
    )

    async def started() -> bool:
        try:
            await service.start_batch_operation(request)
        except RPCError as error:
            # One at a time; the one before has done its work, and its end may not show yet.
            if "Max concurrent batch operations" not in str(error):
                raise
            return False
        return True

    await _until(started)

    async def done() -> int:
        request = DescribeBatchOperationRequest(namespace=namespace, job_id=job)
        return (await service.describe_batch_operation(request)).complete_operation_count

    assert await _until(done) == 1


async def metadata(ways: Ways) -> Case:
    """What a person reads of a workflow in the Web UI."""
    tag = new_id("metadata")
    options = {"static_summary": f"{tag} summary", "static_details": large(f"{tag} details")}
    await ways.run(Echo.run, large(tag), workflow_id=tag, **options)
    return Case("metadata", tag, [("workflow", tag)])


async def delayed(ways: Ways) -> Case:
    """A workflow that has not begun."""
    tag = new_id("delayed")
    waiting = await ways.start(Waits.run, large(tag), workflow_id=tag, start_delay=timedelta(hours=1))

    async def finish() -> None:
        # The rest of the delay is left out then.
        options = {"start_signal": "end", "start_signal_args": [large(f"{tag} told")]}
        await ways.start(Waits.run, "", workflow_id=tag, **options)
        assert await waiting.result() == [large(tag), large(f"{tag} told")]

    return Case("delayed start", tag, [("workflow", tag)], finish)


async def terminated(ways: Ways) -> Case:
    """Details of a termination."""
    tag = new_id("terminated")
    running = await ways.start(Waits.run, large(tag), workflow_id=tag)
    await running.terminate(large(f"{tag} details"))
    return Case("termination", tag, [("workflow", tag)])


async def admitted_updates(ways: Ways) -> Case:
    """An update that the server has taken and no worker has seen: nothing shows it."""
    tag = new_id("admitted")
    queue = f"{tag}-queue"
    box = await ways.start(Mailbox.run, large(tag), workflow_id=tag, task_queue=queue)
    value = large(f"{UNSEEN} {tag} swapped")
    update = ways.in_background(_update_however_long(box, value))

    async def finish() -> None:
        async with running_worker(ways.client, queue):
            assert await update == ""  # it comes before the workflow's own code
            await box.signal(Mailbox.close)
            assert await box.result() == value

    return Case("admitted updates", tag, [("workflow", tag)], finish)


async def _update_however_long(box: WorkflowHandle[Any, Any], value: str) -> str:
    """Send an update, and send it again when the request has lasted as long as one may."""
    update_id = new_id("update")
    while True:
        try:
            return await box.execute_update(Mailbox.swap, value, id=update_id)
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            # It also stands for being cancelled.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise


async def buffered_signals(ways: Ways) -> Case:
    """A signal that arrives while a workflow task runs: nothing shows it until that has ended."""
    tag = new_id("buffered")
    queue = TaskQueue(name=f"{tag}-queue")
    longest = timedelta(seconds=120)
    waits = await ways.start(
        Waits.run, large(tag), workflow_id=tag, task_queue=queue.name, task_timeout=longest
    )
    service, namespace = ways.client.workflow_service, ways.client.namespace
    polled = await service.poll_workflow_task_queue(
        PollWorkflowTaskQueueRequest(namespace=namespace, task_queue=queue, identity=tag)
    )
    told = large(f"{UNSEEN} {tag} told")
    await waits.signal(Waits.end, told)

    async def finish() -> None:
        with suppress(RPCError):  # it may have timed out
            await service.respond_workflow_task_failed(
                RespondWorkflowTaskFailedRequest(
                    namespace=namespace, task_token=polled.task_token, identity=tag
                )
            )
        async with running_worker(ways.client, queue.name, workflows=[Waits]):
            assert await waits.result() == [large(tag), told]

    return Case("buffered signals", tag, [("workflow", tag)], finish)


async def _payloads(ways: Ways, tag: str) -> Payloads:
    return Payloads(payloads=await ways.client.data_converter.encode([large(tag)]))


async def _count(client: Client, query: str) -> int:
    return (await client.count_workflows(query)).count


async def _until(what: Callable[[], Awaitable[T]]) -> T:
    """Wait until it returns something, and return that."""
    while True:
        found = await what()
        if found:
            return found
        await asyncio.sleep(0.1)


ALL: list[Callable[[Ways], Awaitable[Case | None]]] = [
    admitted_updates,
    batches,
    buffered_signals,
    children,
    completed_elsewhere,
    continued_as_new,
    cron,
    delayed,
    failures,
    headers,
    inputs_and_results,
    last_heartbeats,
    local_activities,
    memos,
    metadata,
    nexus_operations,
    pending_activities,
    queries,
    resets,
    retries,
    schedules,
    side_effects,
    signals,
    standalone_activities,
    standalone_nexus_operations,
    terminated,
    updates,
]
