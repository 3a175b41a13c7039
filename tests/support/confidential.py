"""Workflows that carry confidential words in every way in which a workflow carries anything."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from support.activities import Gate, echo
    from support.values import large
    from support.workflows import KEYWORD

QUICK = timedelta(seconds=30)
AT_ONCE = RetryPolicy(initial_interval=timedelta(milliseconds=10), backoff_coefficient=1.0)

SECRETS = {
    "start",
    "start memo",
    "start summary",
    "start details",
    "activity",
    "activity summary",
    "local activity",
    "child",
    "child memo",
    "child signal",
    "timer summary",
    "heartbeat",
    "failure message",
    "failure details",
    "failure cause",
    "in the source",
    "own memo",
    "signal",
    "update",
    "update result",
    "continued",
    "continued memo",
    "end message",
    "end details",
    "current details",
    "query",
    "refused update",
    "schedule",
    "schedule memo",
    "termination",
}
"""The places of secrets; `secret` makes the words. Large ones are stored."""
OPEN = {
    "open-memo-key",
    "open-failure-type",
    "open-patch",
    "open-attribute",
    "open-reason",
    "open-header-key",
    "open-header",
    "open-signal",
    "open-update",
    "open_activity",
}
"""Words in places that stay readable."""


def secret(word: str, place: str) -> str:
    """Return what is confidential at a place: half of these are large enough to be stored."""
    assert place in SECRETS, place
    text = f"{word} of the {place}"
    return large(text, 3000) if len(place) % 2 else text


def _refuse(reason: str) -> None:
    raise ValueError(reason)


@activity.defn(name="open_activity")
async def fail_in_source(word: str) -> None:
    """Fail with a cause, with a line of source that is confidential itself."""
    try:
        _refuse(secret(word, "failure cause"))
    except ValueError as error:
        raise ApplicationError(  # a secret in the source: confidential of the in the source
            secret(word, "failure message"),
            secret(word, "failure details"),
            type="open-failure-type",
            non_retryable=True,
        ) from error


@workflow.defn
class ConfidentialChild:
    """Gets an argument, a memo and a signal."""

    def __init__(self) -> None:
        self._signal = ""

    @workflow.run
    async def run(self, value: str) -> str:
        """Return both."""
        await workflow.wait_condition(lambda: bool(self._signal))
        return value + self._signal

    @workflow.signal
    def put(self, value: str) -> None:
        """Take the signal."""
        self._signal = value


@workflow.defn
class Confidential:
    """Uses everything, in two runs; the second one fails."""

    def __init__(self) -> None:
        self._signal = ""
        self._updates = 0

    @workflow.run
    async def run(self, word: str, value: str, second: bool) -> str:
        """Fail in the end."""
        del value
        if second:
            raise ApplicationError(
                secret(word, "end message"), secret(word, "end details"), type="open-failure-type"
            )
        workflow.set_current_details(secret(word, "current details"))
        if workflow.patched("open-patch"):
            workflow.upsert_memo({"open-memo-key": secret(word, "own memo")})
        workflow.upsert_search_attributes([KEYWORD.value_set("open-attribute")])
        await workflow.execute_activity(
            echo,
            secret(word, "activity"),
            start_to_close_timeout=QUICK,
            summary=secret(word, "activity summary"),
        )
        await workflow.execute_local_activity(
            echo, secret(word, "local activity"), start_to_close_timeout=QUICK
        )
        child = await workflow.start_child_workflow(
            ConfidentialChild.run,
            secret(word, "child"),
            id=f"{workflow.info().workflow_id}-child",
            memo={"open-memo-key": secret(word, "child memo")},
        )
        await child.signal(ConfidentialChild.put, secret(word, "child signal"))
        await child
        await workflow.sleep(0.01, summary=secret(word, "timer summary"))
        await workflow.execute_activity_method(
            Gate.beat_and_resume,
            secret(word, "heartbeat"),
            start_to_close_timeout=QUICK,
            heartbeat_timeout=QUICK,
            retry_policy=AT_ONCE,
        )
        with contextlib.suppress(ActivityError):
            await workflow.execute_activity(fail_in_source, word, start_to_close_timeout=QUICK)
        await workflow.wait_condition(lambda: bool(self._signal) and self._updates > 0)
        await workflow.wait_condition(workflow.all_handlers_finished)
        workflow.continue_as_new(
            args=[word, secret(word, "continued"), True],
            memo={"open-memo-key": secret(word, "continued memo")},
        )

    @workflow.signal(name="open-signal")
    def put(self, value: str) -> None:
        """Take a signal."""
        self._signal = value

    @workflow.query
    def ask(self, value: str) -> str:
        """Return what was asked."""
        return value

    @workflow.query
    def refuse_to_say(self, why: str) -> None:
        """Say why, and no more."""
        raise ApplicationError(why, type="open-failure-type")

    @workflow.update(name="open-update-refused")
    async def refuse(self, word: str) -> None:
        """Refuse to change anything, with a reason."""
        await asyncio.sleep(0)
        raise ApplicationError(secret(word, "refused update"), type="open-failure-type")

    @workflow.update(name="open-update")
    async def change(self, word: str, value: str) -> str:
        """Return something confidential."""
        del value
        await asyncio.sleep(0.01)
        self._updates += 1
        return secret(word, "update result")


WORKFLOWS = [Confidential, ConfidentialChild]
