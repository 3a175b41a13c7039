"""Workflows, activities and Nexus operations for the ways that `support.workflows` has none for."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import nexusrpc.handler
from temporalio import activity, nexus, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

with workflow.unsafe.imports_passed_through():
    from support.values import large

QUICK = timedelta(seconds=60)
"""Limit of an activity."""
OFTEN = RetryPolicy(initial_interval=timedelta(milliseconds=50), backoff_coefficient=1.0)
ONCE = RetryPolicy(maximum_attempts=1)
HEADER = "note"


@workflow.defn
class Waits:
    """Keeps what it was started with until it is told to end."""

    def __init__(self) -> None:
        self._told: list[str] = []

    @workflow.run
    async def run(self, value: str) -> list[str]:
        """Return the value, and what it was told."""
        await workflow.wait_condition(lambda: bool(self._told))
        return [value, *self._told]

    @workflow.signal
    def end(self, value: str) -> None:
        """End, and return this as well."""
        self._told.append(value)

    @workflow.update
    def refuse(self, value: str) -> None:
        """Take nothing."""

    @refuse.validator
    def _refuse(self, value: str) -> None:
        raise ApplicationError("refused", value[:10])


@workflow.defn
class Starts:
    """Starts a child in one of several ways."""

    def __init__(self) -> None:
        self._may_end = False

    @workflow.run
    async def run(self, how: str, child_id: str, value: str) -> str:
        """Start the child; return what it returned, if it was waited for."""
        if how == "abandoned":
            await workflow.start_child_workflow(
                Waits.run, value, id=child_id, parent_close_policy=workflow.ParentClosePolicy.ABANDON
            )
            return ""
        result = await workflow.execute_child_workflow("Echo", value, id=child_id, result_type=str)
        await workflow.wait_condition(lambda: self._may_end)
        return str(result)

    @workflow.signal
    def end(self) -> None:
        """End."""
        self._may_end = True


@workflow.defn
class Again:
    """Runs again, by cron or a retry policy; what a run leaves reaches the next one, which waits."""

    def __init__(self) -> None:
        self._may_end = False

    @workflow.run
    async def run(self, how: str, value: str, left: str) -> list[str]:
        """Return what the run before has left, with what it was started with."""
        if how == "fails" and workflow.info().attempt == 1:
            raise ApplicationError("the first run ends here", left)
        if how == "cron" and not workflow.has_last_completion_result():
            return [left]
        await workflow.wait_condition(lambda: self._may_end)
        if how == "cron":
            return [value, *(workflow.get_last_completion_result(type_hint=list[str]) or ())]
        failure = workflow.get_last_failure()
        assert isinstance(failure, ApplicationError)
        return [value, failure.details[0]]

    @workflow.signal
    def end(self) -> None:
        """End."""
        self._may_end = True


@workflow.defn
class Scheduled:
    """Hands its result to the next run of its schedule."""

    @workflow.run
    async def run(self, value: str) -> list[str]:
        """Return the value, and what the run before returned last."""
        last = workflow.get_last_completion_result(type_hint=list[str])
        return [value, last[-1] if last else large(f"{value[:40]} first")]


@workflow.defn
class Attempts:
    """An activity that is tried again and again, with heartbeats and failures."""

    @workflow.run
    async def run(self, tag: str) -> str:
        """Return what it returns in the end."""
        return await workflow.execute_activity_method(
            Attempt.until_opened,
            tag,
            start_to_close_timeout=QUICK,
            retry_policy=OFTEN,
            summary=f"{tag} tries",
        )


@workflow.defn
class TimesOut:
    """An activity that goes silent after a heartbeat."""

    @workflow.run
    async def run(self, tag: str) -> str:
        """Return what is known of the heartbeat."""
        while True:
            try:
                await workflow.execute_activity(
                    beat_and_go_silent,
                    tag,
                    start_to_close_timeout=QUICK,
                    heartbeat_timeout=timedelta(seconds=1),
                    retry_policy=ONCE,
                )
            except ActivityError as error:
                details = getattr(error.cause, "last_heartbeat_details", ())
                # On a busy machine the time may be over before the heartbeat has come.
                if details:
                    return str(details[0])


@workflow.defn
class Undoes:
    """A local activity that fails, and an activity that fails with a chain of causes."""

    @workflow.run
    async def run(self, tag: str) -> list[str]:
        """Return the details of all causes."""
        details: list[str] = []
        for run in (workflow.execute_activity, workflow.execute_local_activity):
            try:
                await run(fail_in_a_chain, tag, start_to_close_timeout=QUICK, retry_policy=ONCE)
            except Exception as error:  # noqa: BLE001  # the test says which it must be
                cause: BaseException | None = error
                while cause is not None:
                    details += getattr(cause, "details", ())
                    cause = cause.__cause__
        return details


@workflow.defn
class CallsNexus:
    """A Nexus operation that answers at once, one that is a workflow, and one that fails."""

    @workflow.run
    async def run(self, endpoint: str, tag: str, operation: str) -> str:
        """Return what it returned, or the message of its failure."""
        client = workflow.create_nexus_client(service=Relays, endpoint=endpoint)
        called: Any = getattr(Relays, operation)
        try:
            return str(await client.execute_operation(called, large(f"{tag} {operation}")))
        except Exception as error:  # noqa: BLE001  # the test says which it must be
            return str(error.__cause__)


@workflow.defn
class Headed:
    """Gives an activity a header (`GivesHeaders`)."""

    @workflow.run
    async def run(self) -> str:
        """Return what the activity's header says."""
        return await workflow.execute_activity(read_header, start_to_close_timeout=QUICK)


class Attempt:
    """Holds the second attempt of activities up until they are opened, each by its tag."""

    def __init__(self) -> None:
        self.reached: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self.opened: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    @activity.defn
    async def until_opened(self, tag: str) -> str:
        """Heartbeat and fail; the next attempt waits, and returns what it found in the heartbeat."""
        if activity.info().attempt == 1:
            activity.heartbeat(large(f"{tag} beat"))
            raise ApplicationError("the first attempt ends here", large(f"{tag} why"))
        [found] = activity.info().heartbeat_details
        self.reached[tag].set()
        await self.opened[tag].wait()
        return str(found)


@activity.defn
async def beat_and_go_silent(tag: str) -> None:
    """Heartbeat once, and then no more."""
    activity.heartbeat(large(f"{tag} last beat"))
    await asyncio.Event().wait()


@activity.defn
async def fail_in_a_chain(tag: str) -> None:
    """Fail for a reason that has a reason, each with details."""
    outer = ApplicationError("outer", large(f"{tag} outer"), non_retryable=True)
    outer.__cause__ = middle = ApplicationError("middle", large(f"{tag} middle"))
    middle.__cause__ = ApplicationError(large(f"{tag} message", 2000), large(f"{tag} inner"))
    raise outer


@activity.defn
async def read_header() -> str:
    """Return what the header says."""
    return _header.get()


_header: ContextVar[str] = ContextVar("header")


class GivesHeaders(Interceptor):
    """Gives the activity `read_header` its header."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002  # the SDK's name, as below
    ) -> type[WorkflowInboundInterceptor]:
        """Return what sets the header."""
        return _SetsHeader

    def intercept_activity(
        self,
        next: ActivityInboundInterceptor,  # noqa: A002
    ) -> ActivityInboundInterceptor:
        """Return what reads the header."""
        return _ReadsHeader(next)


class _SetsHeader(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_SetsHeaderOfActivity(outbound))


class _SetsHeaderOfActivity(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:  # noqa: A002
        if input.activity == "read_header":
            value = large(f"{workflow.info().workflow_id} header")
            input.headers = {**input.headers, HEADER: workflow.payload_converter().to_payload(value)}
        return super().start_activity(input)


class _ReadsHeader(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if HEADER in input.headers:
            _header.set(activity.payload_converter().from_payload(input.headers[HEADER], str))
        return await super().execute_activity(input)


@nexusrpc.service
class Relays:
    """Operations that give back what they are given."""

    at_once: nexusrpc.Operation[str, str]
    by_workflow: nexusrpc.Operation[str, str]
    fails: nexusrpc.Operation[str, str]
    never: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Relays)
class RelaysHandler:
    """Handles them."""

    @nexusrpc.handler.sync_operation
    async def at_once(self, ctx: nexusrpc.handler.StartOperationContext, value: str) -> str:
        """Return the value."""
        return value

    @nexus.workflow_run_operation
    async def by_workflow(
        self, ctx: nexus.WorkflowRunOperationContext, value: str
    ) -> nexus.WorkflowHandle[str]:
        """Return what a workflow returns."""
        return await ctx.start_workflow(
            "Echo", value, id=f"{value.split(maxsplit=1)[0]}-run", result_type=str
        )

    @nexusrpc.handler.sync_operation
    async def fails(self, ctx: nexusrpc.handler.StartOperationContext, value: str) -> str:
        """Fail for good."""
        raise nexusrpc.OperationError(value[:60], state=nexusrpc.OperationErrorState.FAILED)

    @nexusrpc.handler.sync_operation
    async def never(self, ctx: nexusrpc.handler.StartOperationContext, value: str) -> str:
        """Fail, and be tried again."""
        raise nexusrpc.HandlerError(value[:60], type=nexusrpc.HandlerErrorType.UNAVAILABLE)
