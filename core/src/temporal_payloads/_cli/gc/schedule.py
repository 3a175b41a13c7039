"""`temporal-payloads gc schedule`."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Annotated, Any, Literal

import typer
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError, WrongUseError
from temporal_payloads._cli.gc.worker import Namespace, TaskQueue
from temporal_payloads._cli.options import Json, duration
from temporal_payloads._cli.output import say, say_json
from temporal_payloads._cli.temporal import (
    Address,
    Connection,
    TemporalConfig,
    TemporalProfile,
    connect,
    connection_asked_for,
    namespaces_asked_for,
)
from temporal_payloads._operate.collection.worker import (
    schedule_collections,
    start_collection,
    trigger_schedule,
)
from temporal_payloads._operate.collection.workflow import TASK_QUEUE, WORKFLOW_ID, CollectionInput

EPILOG = f"""\
Exit status:
  0 it is done, 2 wrong use, 3 Temporal cannot be reached, or a collection runs
  already (with --now)

The schedule is called {WORKFLOW_ID}; Temporal's own tools show, pause, trigger
and delete it. A collection that is due while the last one runs is left out; one
that begins while a command collects waits until that has ended. With --now the
schedule is triggered, if there is one for the same purpose.

--json prints:
  version, ok, namespace, task_queue, purpose, schedule, workflow, error,
    problems
  schedule: id, done (made, changed or triggered), every_seconds (or null)
  workflow: id, run_id (of what --now began without a schedule, else null)
  error: type, message (why it could not be done, or null)
  problems: message, place, origin (of each in Temporal's configuration)

Examples:
  temporal-payloads gc schedule --every 7d --namespace operations
  temporal-payloads gc schedule --every 1d --purpose put-aside
  temporal-payloads gc schedule --now --namespace operations
"""


def run(
    *,
    every: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How often one begins: 7d, 12h.")
    ] = None,
    now: Annotated[bool, typer.Option("--now", help="Begin one now.")] = False,
    purpose: Annotated[
        Literal["collect", "put-aside", "delete", "plan"],
        typer.Option(metavar="PURPOSE", help="What for; `collect` is both put-aside and delete."),
    ] = "collect",
    task_queue: TaskQueue = TASK_QUEUE,
    as_json: Json = False,
    address: Address = None,
    namespace: Namespace = None,
    temporal_config: TemporalConfig = None,
    temporal_profile: TemporalProfile = None,
) -> ExitStatus:
    """Let collections begin by themselves, as workflows on Temporal.

    It makes the schedule, or changes the one that is there. Workers take the collections up: see gc worker.
    """
    told: dict[str, Any] = {"task_queue": task_queue, "purpose": purpose, "schedule": None, "workflow": None}
    with errors_in_document(as_json, namespace=namespace, **told):
        if (every is None) is not now:
            raise WrongUseError("give one of --every and --now")
        given = CollectionInput(purpose)
        connection = connection_asked_for(address, temporal_config, temporal_profile)
        [name] = namespaces_asked_for([namespace] if namespace else None, connection)
        if every is None:
            done, parts = asyncio.run(_start(connection, name, given, task_queue))
        else:
            done, parts = asyncio.run(_schedule(connection, name, given, every, task_queue))
    if as_json:
        say_json(document(ok=True, namespace=name, **told | parts))
    else:
        say(done)
    return ExitStatus.FINE


def _period(text: str) -> timedelta:
    try:
        period = duration(text)
    except ValueError as error:
        raise WrongUseError(f"--every {error}") from error
    if period < timedelta(minutes=1):
        raise WrongUseError("--every must be 1m or more")
    return period


_Told = tuple[str, dict[str, Any]]
"""What was done: a line for a person, and the parts of the document."""


async def _start(connection: Connection, namespace: str, given: CollectionInput, task_queue: str) -> _Told:
    [client] = await connect(connection, [namespace])
    try:
        if await trigger_schedule(client, given):
            schedule = {"id": WORKFLOW_ID, "done": "triggered", "every_seconds": None}
            return f"Triggered schedule {WORKFLOW_ID}.", {"schedule": schedule}
        handle = await start_collection(client, given, task_queue=task_queue)
    except WorkflowAlreadyStartedError as error:
        raise UnfinishedError(f"a collection runs already in namespace {namespace!r}") from error
    except RPCError as error:
        raise UnfinishedError(f"the Temporal server did not start it: {error}") from error
    run_id = handle.first_execution_run_id
    started = {"workflow": {"id": handle.id, "run_id": run_id}}
    return f"Started workflow {handle.id}, run {run_id}.", started


async def _schedule(
    connection: Connection, namespace: str, given: CollectionInput, every: str, task_queue: str
) -> _Told:
    period = _period(every)
    [client] = await connect(connection, [namespace])
    try:
        new = await schedule_collections(client, given, every=period, task_queue=task_queue)
    except RPCError as error:
        raise UnfinishedError(f"the Temporal server did not take the schedule: {error}") from error
    done = "made" if new else "changed"
    schedule = {"id": WORKFLOW_ID, "done": done, "every_seconds": period.total_seconds()}
    return f"{done.capitalize()} schedule {WORKFLOW_ID}: every {every}.", {"schedule": schedule}
