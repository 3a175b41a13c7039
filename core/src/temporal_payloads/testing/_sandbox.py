"""A workflow in the SDK's sandbox, without a server: the replay of a history that is made here."""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from temporalio.api.common.v1 import Payload, Payloads, WorkflowType
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionCompletedEventAttributes,
    WorkflowExecutionStartedEventAttributes,
    WorkflowTaskCompletedEventAttributes,
    WorkflowTaskScheduledEventAttributes,
    WorkflowTaskStartedEventAttributes,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter, PayloadConverter
from temporalio.worker import Replayer
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

from temporal_payloads.testing._watching import ATTEMPTS

MODULE = "temporal_payloads_conformance_workflow"
FOLDER = Path(__file__).parent / "_workflow"
DEADLOCK = "TMPRL1101"
"""What the SDK calls a workflow that had no end of its task for two seconds. Where the machine was busy with
others meanwhile, a worker's server would give it the task again; a replayer has none."""


async def run_in_sandbox(converter_class: type[PayloadConverter], passthrough: Sequence[str]) -> None:
    """Run the workflow of the kit twice, each time in a sandbox of its own.

    Args:
        converter_class: The payload converter that the workflow's worker has.
        passthrough: Modules that are passed through its sandbox, beside the SDK's own list. To import others
            is an error.

    Raises:
        Exception: The workflow's arguments could not be decoded, or it found them to be others.
    """
    restrictions = SandboxRestrictions.default.with_passthrough_modules(
        *passthrough
    ).with_import_notification_policy(SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH)
    converter = DataConverter(payload_converter_class=converter_class)
    with _importable():
        module = importlib.import_module(MODULE)
        replayer = Replayer(
            workflows=[module.ConformanceWorkflow],
            data_converter=converter,
            workflow_runner=SandboxedWorkflowRunner(restrictions),
        )
        for run_id in ("run-1", "run-2"):
            argument = converter.payload_converter.to_payload(module.an_order())
            await _replay(replayer, _history(run_id, argument))


async def _replay(replayer: Replayer, history: WorkflowHistory) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            async with asyncio.timeout(60):  # a replay on which the SDK's core gives up never ends
                await replayer.replay_workflow(history)
        except RuntimeError as error:
            if DEADLOCK not in str(error) or attempt == ATTEMPTS:
                raise
        else:
            return


@contextmanager
def _importable() -> Iterator[None]:
    """Let the workflow's module be found by its name alone, as an application's is."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield
    finally:
        sys.path.remove(str(FOLDER))


def _history(run_id: str, argument: Payload) -> WorkflowHistory:
    """Return the history of a workflow that was given an argument and completed in its first task."""
    events = [
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
            workflow_execution_started_event_attributes=WorkflowExecutionStartedEventAttributes(
                workflow_type=WorkflowType(name="ConformanceWorkflow"),
                task_queue=TaskQueue(name="conformance"),
                input=Payloads(payloads=[argument]),
                original_execution_run_id=run_id,
                first_execution_run_id=run_id,
                attempt=1,
            ),
        ),
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
            workflow_task_scheduled_event_attributes=WorkflowTaskScheduledEventAttributes(),
        ),
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
            workflow_task_started_event_attributes=WorkflowTaskStartedEventAttributes(scheduled_event_id=2),
        ),
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
            workflow_task_completed_event_attributes=WorkflowTaskCompletedEventAttributes(
                scheduled_event_id=2, started_event_id=3
            ),
        ),
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
            workflow_execution_completed_event_attributes=WorkflowExecutionCompletedEventAttributes(
                workflow_task_completed_event_id=4
            ),
        ),
    ]
    for number, event in enumerate(events, start=1):
        event.event_id = number
        event.event_time.FromSeconds(number)
    return WorkflowHistory(workflow_id="conformance", events=events)
