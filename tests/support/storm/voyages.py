"""The workflows that go through the storm, and what they must have brought home."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError

SIZES = (300, 300, 6_000, 40_000, 200_000)
"""Of the values of each workflow, by its number: the first two stay in the history, the others do not."""
LEAST_ROUNDS = 2
"""So that each workflow has continued as new."""
AGAIN_SOON = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    maximum_interval=timedelta(seconds=2),
    backoff_coefficient=1.5,
)
ATTEMPT = timedelta(seconds=8)
"""Limit of one attempt of an activity: as long an activity waits whose worker was killed."""


@dataclass(frozen=True)
class Voyage:
    """A workflow on its way, as it is handed from run to run."""

    name: str
    size: int
    """Characters of each of its values."""
    pause: float
    """Seconds between two rounds."""
    rounds: int = 0
    seen: str = ""
    """A digest of all that activities and child workflows returned, in order."""
    signals: int = 0
    heard: str = ""
    """A digest of all that signals brought, in order."""
    last: int | None = None
    """How many signals there will have been, once that is known."""
    ballast: str = ""

    def after_round(self, *values: str) -> Voyage:
        """Return the workflow as one more round leaves it."""
        return replace(
            self,
            rounds=self.rounds + 1,
            seen=_digest(self.seen, *values),
            ballast=content(f"{self.name} ballast {self.rounds + 1}", self.size),
        )

    def after_signals(self, *values: str) -> Voyage:
        """Return the workflow as these signals leave it."""
        heard = self.heard
        for value in values:
            heard = _digest(heard, value)
        return replace(self, signals=self.signals + len(values), heard=heard)


@dataclass(frozen=True)
class Errand:
    """What an activity or a child workflow is to do, with a value that it can verify."""

    tag: str
    value: str


def content(tag: str, size: int) -> str:
    """Return text of this size, an even number, that compression halves, at hardly any cost."""
    return hashlib.shake_256(tag.encode()).hexdigest(size // 2)


def _digest(before: str, *values: str) -> str:
    return hashlib.sha256("\n".join((before, *values)).encode()).hexdigest()


def errand(voyage: Voyage, kind: str) -> Errand:
    """Return what this round's activity or child workflow is given."""
    tag = f"{voyage.name} {kind} {voyage.rounds}"
    return Errand(tag, content(tag, voyage.size))


def answer(to: Errand) -> str:
    """Return what an errand brings back.

    Raises:
        ApplicationError: The value is not the one that was sent.
    """
    verify(to.tag, to.value)
    return content(f"{to.tag} answered", len(to.value))


def signal_value(name: str, number: int, size: int) -> str:
    """Return what the signal of this number brings."""
    return content(f"{name} signal {number}", size)


def verify(tag: str, value: str) -> None:
    """Raise what ends a workflow if this is not the value of this tag: nothing else here does."""
    if value != content(tag, len(value)) or not value:
        raise ApplicationError(f"not the value of {tag!r}", type="WrongValue", non_retryable=True)


def expected(start: Voyage, rounds: int, signals: int) -> Voyage:
    """Return the result of a workflow that made so many rounds and got so many signals."""
    voyage = start
    for _ in range(rounds):
        voyage = voyage.after_round(answer(errand(voyage, "activity")), answer(errand(voyage, "child")))
    voyage = voyage.after_signals(*(signal_value(start.name, n, start.size) for n in range(signals)))
    return replace(voyage, last=signals)


@activity.defn
async def run_errand(to: Errand) -> str:
    """Return the answer."""
    return answer(to)


@workflow.defn
class ErrandWorkflow:
    """A child workflow."""

    @workflow.run
    async def run(self, to: Errand) -> str:
        """Return the answer."""
        return answer(to)


@workflow.defn
class VoyageWorkflow:
    """Rounds of an activity, a child workflow and a pause, a run each, until told that it is over."""

    def __init__(self) -> None:
        self._values: list[str] = []
        self._last: int | None = None

    @workflow.signal
    def put(self, value: str) -> None:
        """Bring a value."""
        self._values.append(value)

    @workflow.signal
    def finish(self, signals: int) -> None:
        """Tell how many signals there were; when all are here, the workflow may end."""
        self._last = signals

    @workflow.run
    async def run(self, voyage: Voyage) -> Voyage:
        """Return the workflow as its last round left it."""
        if voyage.rounds:
            verify(f"{voyage.name} ballast {voyage.rounds}", voyage.ballast)
        self._last = self._last if self._last is not None else voyage.last
        by_activity = await workflow.execute_activity(
            run_errand,
            errand(voyage, "activity"),
            start_to_close_timeout=ATTEMPT,
            retry_policy=AGAIN_SOON,
        )
        by_child = await workflow.execute_child_workflow(
            ErrandWorkflow.run,
            errand(voyage, "child"),
            id=f"{voyage.name}-child-{voyage.rounds}",
            task_timeout=workflow.info().task_timeout,
        )
        voyage = voyage.after_round(by_activity, by_child)

        def is_over() -> bool:
            return self._last is not None and voyage.signals + len(self._values) == self._last

        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(is_over, timeout=voyage.pause)
        voyage = replace(voyage.after_signals(*self._values), last=self._last)
        if voyage.last != voyage.signals or voyage.rounds < LEAST_ROUNDS:
            workflow.continue_as_new(voyage)
        return voyage


WORKFLOWS = [VoyageWorkflow, ErrandWorkflow]
ACTIVITIES = [run_errand]
