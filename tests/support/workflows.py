"""Workflows through which values of every size pass, one for each way that a value can take."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from support.activities import Gate, echo, fail_with_details, produce, resume_from_heartbeat
    from support.values import large

QUICK = timedelta(seconds=30)
"""Limit of an activity."""
AT_ONCE = RetryPolicy(initial_interval=timedelta(milliseconds=10), backoff_coefficient=1.0)
SOON = RetryPolicy(initial_interval=timedelta(milliseconds=200), backoff_coefficient=1.0)
LONG = timedelta(minutes=2)
"""Limit of an activity that waits for a worker that can read its argument."""
UNTIL_SOMEBODY_ELSE = timedelta(seconds=15)
"""After which the server gives an activity to another worker, if the one that has it left without a word."""
KEYWORD = SearchAttributeKey.for_keyword("TestKeyword")


@workflow.defn
class Echo:
    """Argument to result, through an activity."""

    @workflow.run
    async def run(self, value: str) -> str:
        """Return what the activity returns."""
        return await workflow.execute_activity(
            echo, value, start_to_close_timeout=QUICK, retry_policy=AT_ONCE
        )


@workflow.defn
class EchoElsewhere:
    """Argument to result, through an activity on a task queue of its own."""

    @workflow.run
    async def run(self, value: str, task_queue: str) -> str:
        """Return what the activity returns."""
        return await workflow.execute_activity(
            echo, value, task_queue=task_queue, schedule_to_close_timeout=LONG, retry_policy=SOON
        )


@workflow.defn
class LocalEcho:
    """Argument to result, through a local activity."""

    @workflow.run
    async def run(self, value: str) -> str:
        """Return what the local activity returns."""
        return await workflow.execute_local_activity(echo, value, start_to_close_timeout=QUICK)


@workflow.defn
class Parent:
    """Argument to result, through a child workflow, which also gets a memo."""

    @workflow.run
    async def run(self, value: str) -> str:
        """Return what the child returns."""
        return await workflow.execute_child_workflow(Echo.run, value, memo={"note": value})


@workflow.defn
class SignalsAnother:
    """A signal from one workflow to another."""

    @workflow.run
    async def run(self, workflow_id: str, value: str) -> None:
        """Send the value."""
        await workflow.get_external_workflow_handle(workflow_id).signal("put", value)
        await workflow.get_external_workflow_handle(workflow_id).signal("close")


@workflow.defn
class Mailbox:
    """Signals, queries and updates; the result is the last value that was put."""

    def __init__(self) -> None:
        self._value = ""
        self._closed = False

    @workflow.run
    async def run(self, value: str = "") -> str:
        """Wait until the mailbox is closed."""
        self._value = self._value or value
        await workflow.wait_condition(lambda: self._closed)
        return self._value

    @workflow.signal
    def put(self, value: str) -> None:
        """Put a value."""
        self._value = value

    @workflow.signal
    def close(self) -> None:
        """End the workflow."""
        self._closed = True

    @workflow.query
    def joined(self, other: str) -> str:
        """Return the value and the argument."""
        return self._value + other

    @workflow.update
    def swap(self, value: str) -> str:
        """Put a value, and return the one that was there."""
        self._value, previous = value, self._value
        return previous

    @workflow.update
    async def swap_slowly(self, value: str) -> str:
        """Put what an activity makes of a value, and return it."""
        self._value = await workflow.execute_activity(
            echo, value, start_to_close_timeout=QUICK, retry_policy=AT_ONCE
        )
        return self._value


@workflow.defn
class Relay:
    """Hands its argument and a memo to a second run."""

    @workflow.run
    async def run(self, value: str) -> str:
        """Return the value in the second run."""
        if workflow.info().continued_run_id is None:
            workflow.continue_as_new(value, memo={"note": value})
        return value


@workflow.defn
class Fails:
    """A failure with details, of an activity or of the workflow itself."""

    @workflow.run
    async def run(self, where: str, message: str, details: str) -> None:
        """Fail there."""
        if where == "activity":
            await workflow.execute_activity(
                fail_with_details, args=[message, details], start_to_close_timeout=QUICK
            )
        raise ApplicationError(message, details, type="Refused")


@workflow.defn
class CatchesFailure:
    """A failure's details as the workflow's code sees them."""

    @workflow.run
    async def run(self, message: str, details: str) -> list[str]:
        """Return message and details of the activity's failure."""
        try:
            await workflow.execute_activity(
                fail_with_details, args=[message, details], start_to_close_timeout=QUICK
            )
        except Exception as error:  # noqa: BLE001  # the test says which it must be
            cause = error.__cause__
            assert isinstance(cause, ApplicationError)
            return [cause.message, cause.details[0]]
        return []


@workflow.defn
class KeepsMemo:
    """A memo that it was started with and one that it adds."""

    @workflow.run
    async def run(self, added: str) -> str:
        """Return the memo that it was started with."""
        workflow.upsert_memo({"added": added})
        return str(workflow.memo_value("note", type_hint=str))


@workflow.defn
class SetsSearchAttribute:
    """Search attributes, which the server reads."""

    @workflow.run
    async def run(self, value: str) -> str | None:
        """Return the attribute that it was started with, and set another value."""
        started_with = workflow.info().typed_search_attributes.get(KEYWORD)
        workflow.upsert_search_attributes([KEYWORD.value_set(value)])
        return started_with


@workflow.defn
class Beats:
    """An activity that goes on from its heartbeat's details."""

    @workflow.run
    async def run(self, value: str) -> str:
        """Return what the activity's second attempt found."""
        return await workflow.execute_activity_method(
            Gate.beat_and_resume,
            value,
            start_to_close_timeout=QUICK,
            heartbeat_timeout=QUICK,
            retry_policy=AT_ONCE,
        )


@workflow.defn
class Resumes:
    """An activity on a task queue of its own, with a small argument and large details of its heartbeat."""

    @workflow.run
    async def run(self, tag: str, task_queue: str) -> str:
        """Return what the activity found when it was run again."""
        return await workflow.execute_activity(
            resume_from_heartbeat,
            tag,
            task_queue=task_queue,
            schedule_to_close_timeout=LONG,
            heartbeat_timeout=UNTIL_SOMEBODY_ELSE,
            retry_policy=SOON,
        )


@workflow.defn
class CompletedElsewhere:
    """An activity that something outside the worker completes."""

    @workflow.run
    async def run(self) -> str:
        """Return what the activity was completed with."""
        return await workflow.execute_activity_method(Gate.complete_elsewhere, start_to_close_timeout=QUICK)


@workflow.defn
class Produces:
    """A large value that comes from nowhere: from an activity, or from the workflow itself."""

    @workflow.run
    async def run(self, where: str, tag: str) -> str:
        """Return the value."""
        if where == "activity":
            return await workflow.execute_activity(
                produce, tag, start_to_close_timeout=QUICK, retry_policy=AT_ONCE
            )
        return large(tag)


@workflow.defn
class Collects:
    """Large values of many activities at the same time."""

    @workflow.run
    async def run(self, tag: str, count: int) -> int:
        """Return how much they made."""
        values = await asyncio.gather(
            *(
                workflow.execute_activity(produce, f"{tag}-{number}", start_to_close_timeout=QUICK)
                for number in range(count)
            )
        )
        return sum(map(len, values))


ALL = [
    Beats,
    CatchesFailure,
    Collects,
    CompletedElsewhere,
    Echo,
    EchoElsewhere,
    Fails,
    KeepsMemo,
    LocalEcho,
    Mailbox,
    Parent,
    Produces,
    Relay,
    Resumes,
    SetsSearchAttribute,
    SignalsAnother,
]
