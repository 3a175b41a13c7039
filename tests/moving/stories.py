"""What the stories of moves are told with: deployments, and steps between them with workflows in flight."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any

import pytest
from moving.waiting import WaitsInActivity
from support.failures import event_of, pending_activity
from support.history import REFERENCE_MARKER, driver_name, event_payloads, is_reference
from support.queries import answer_of
from support.values import THRESHOLD, large, small
from support.workers import connect, new_id, running_worker
from support.workflows import Mailbox
from temporal_payloads import PayloadSettings, build_data_converter
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from local_servers import TemporalServer
    from temporalio.api.common.v1 import Payload
    from temporalio.client import Client, WorkflowHandle
    from temporalio.converter import DataConverter

TASK_TIMEOUT = timedelta(seconds=1)
"""After which a workflow task is tried again: the SDK reports its first failure only."""
RUN_TIMEOUT = timedelta(minutes=5)
"""Some workflows are there from the first step to the last."""
STEPS_IN_FLIGHT = 2
"""How many steps a workflow sees after that at which it was started. The first one sees all."""


@dataclass(eq=False)
class Deployment:
    """What a worker or a client is deployed with: its converter, and how that writes (`how_written`)."""

    converter: DataConverter
    small: str
    large: str


def deployment(settings: Mapping[str, Any], *, small: str, large: str) -> Deployment:
    """Return what these settings deploy. Payloads come from the store each time, and from no cache.

    Args:
        settings: As they stand in the file.
        small: How a value below the usual threshold is written.
        large: How one above it is written.
    """
    storage = {"threshold": THRESHOLD, "cache": {"max_size": 0}} | settings.get("storage", {})
    converter = build_data_converter(PayloadSettings.model_validate({**settings, "storage": storage}))
    return Deployment(converter, small, large)


async def how_written(payload: Payload, converter: DataConverter) -> str:
    """Return the driver that stores a payload, or its encoding and the key that it is encrypted with."""
    if is_reference(payload):
        if REFERENCE_MARKER in payload.metadata and converter.payload_codec:
            [payload] = await converter.payload_codec.decode([payload])
        return driver_name(payload)
    encoding = payload.metadata["encoding"].decode()
    key = payload.metadata.get("encryption-key-id")
    return f"{encoding} with {key.decode()}" if key else encoding


@dataclass
class InFlight:
    """A workflow, and what it returns in the end."""

    id: str
    value: str
    steps_left: float


@dataclass
class Move:
    """Workflows in flight on one task queue, while what serves them is deployed anew, step by step.

    Some wait for a message, others in an activity that has reported its progress. A worker reads a workflow's
    whole history at each of its tasks, so whoever gets the task reads what all others wrote.
    """

    server: TemporalServer
    task_queue: str = field(default_factory=lambda: new_id("move"))
    _workers: dict[Deployment, AsyncExitStack] = field(default_factory=dict)
    _clients: dict[Deployment, Client] = field(default_factory=dict)
    _steps_of: Counter[Deployment] = field(default_factory=Counter)
    _waiting: list[InFlight] = field(default_factory=list)
    _in_activity: list[InFlight] = field(default_factory=list)
    _ended: list[InFlight] = field(default_factory=list)
    _updates: list[tuple[InFlight, asyncio.Task[str]]] = field(default_factory=list)
    """Those that wait to be accepted, and then have an id."""
    _steps: count[int] = field(default_factory=count)
    _numbers: count[int] = field(default_factory=count)
    _something_failed: bool = False

    # -- what a table of steps says

    async def in_steps(
        self,
        old: Deployment,
        *,
        read: Deployment,
        write: Deployment,
        forget: Deployment | None = None,
    ) -> None:
        """Make a move, and undo each of its steps."""
        await self.through(old, read, write)
        await self.through(write, read)
        await self.everything_ends()
        await self.through(read, old)
        await self.everything_ends()
        if forget is not None:
            await self.through(write, forget, write)
            await self.everything_ends()

    async def through(self, *deployments: Deployment) -> None:
        """Go from each deployment to the next; in between, workers and clients of both are side by side."""
        if list(self._workers) != [deployments[0]]:
            await self.step(deployments[0])
        for old, new in pairwise(deployments):
            await self.step(old, new)
        await self.step(deployments[-1])

    async def step(self, *deployed: Deployment) -> None:
        """Let these be deployed, as workers and as clients: every workflow gets on, and new ones start."""
        await self._deploy(deployed)
        clients = [await self._client(each) for each in deployed]
        await self._updates_are_done(clients[0])
        # In turn: at a step with two kinds of clients, there are workflows that hear from each.
        first = next(self._steps)
        turns = [clients[(first + number) % len(clients)] for number in range(len(self._waiting))]
        await asyncio.gather(*map(self._get_on, self._waiting, turns))
        for each in self._waiting:
            each.steps_left -= 1
        await self._end([each for each in self._waiting if not each.steps_left], clients)
        newcomers = [await self._client(each) for each in deployed if each not in self._steps_of]
        await asyncio.gather(*(_returns(each, newcomers) for each in self._ended))
        await asyncio.gather(*map(self._start, deployed))

    async def too_early(self, *workers: Deployment, client: Deployment, error: str) -> None:
        """Let a client send large values that these workers cannot read: who gets one waits, and says why."""
        self._something_failed = True
        await self._deploy(workers)
        sender = await self._client(client)
        for each in self._waiting:
            each.value = self._next(large)
            await sender.get_workflow_handle(each.id).signal(Mailbox.put, each.value)
        await self._start_waiting(client, self._next(large))

        async def waits(each: InFlight) -> None:
            handle = sender.get_workflow_handle(each.id)
            event = await event_of(handle, EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED)
            failure = event.workflow_task_failed_event_attributes.failure
            assert failure.application_failure_info.type == error, failure

        for each in self._waiting:
            each.value = self._next(large)
            self._updates.append((each, asyncio.create_task(self._update(each, sender))))
        await asyncio.gather(*map(waits, self._waiting))

    async def is_lost(self, *, client: Deployment) -> None:
        """Let a client send small values that the workers cannot read and that they do not let wait."""
        sender = await self._client(client)
        for each in self._waiting:
            handle = sender.get_workflow_handle_for(Mailbox.run, each.id)
            await handle.signal(Mailbox.put, self._next(small))
            with pytest.raises(WorkflowUpdateFailedError):
                await handle.execute_update(Mailbox.swap, self._next(small))

    async def cannot_be_read(self, *, writer: Deployment, reader: Deployment, error: str) -> None:
        """Let a client ask for a result that it cannot read: it gets this type of error, and that is all."""
        workflow = await self._start_workflow(writer, Mailbox.run, self._next(large))
        await workflow.signal(Mailbox.close)
        result = await workflow.result()
        with pytest.raises(ApplicationError) as raised:
            await (await self._client(reader)).get_workflow_handle(workflow.id).result()
        assert raised.value.type == error
        assert await workflow.result() == result

    async def everything_ends(self) -> None:
        """Let every workflow end, and their histories be past retention: nobody reads them again."""
        deployed = list(self._workers)
        clients = [await self._client(each) for each in deployed]
        await self._end(self._waiting, clients)
        # An activity that waits for the end of its worker goes on with the next one.
        await self._deploy(())
        await self._deploy(deployed)
        await asyncio.gather(*(_returns(each, clients) for each in self._in_activity))
        if not self._something_failed:
            all_of_them = (*self._ended, *self._in_activity)
            await asyncio.gather(*(_nothing_failed(each, clients[0]) for each in all_of_them))
        self._ended, self._in_activity, self._something_failed = [], [], False

    # -- how it comes about

    async def close(self) -> None:
        """Stop the workers."""
        await self._deploy(())

    async def _deploy(self, deployed: Iterable[Deployment]) -> None:
        deployed = list(deployed)
        for old in [each for each in self._workers if each not in deployed]:
            await self._workers.pop(old).aclose()
        for new in deployed:
            if new not in self._workers:
                self._workers[new] = stack = AsyncExitStack()
                client = await self._client(new)
                await stack.enter_async_context(
                    running_worker(
                        client,
                        self.task_queue,
                        workflows=[Mailbox, WaitsInActivity],
                        max_cached_workflows=0,
                        # The sandbox imports a workflow's modules anew at each task: most of the time.
                        workflow_runner=UnsandboxedWorkflowRunner(),
                    )
                )

    async def _client(self, deployment: Deployment) -> Client:
        if deployment not in self._clients:
            self._clients[deployment] = await connect(self.server, deployment.converter)
        return self._clients[deployment]

    def _next(self, sized: Callable[[str], str]) -> str:
        return sized(f"value {next(self._numbers)}")

    async def _start(self, by: Deployment) -> None:
        """Start a workflow with a small value at the deployment's first step, with a large one next."""
        self._steps_of[by] += 1
        is_small = self._steps_of[by] % 2 == 1
        handle = await self._start_waiting(by, self._next(small if is_small else large))
        [payload] = event_payloads(await handle.fetch_history())["workflow_execution_started.input"]
        assert await how_written(payload, by.converter) == (by.small if is_small else by.large)
        if self._steps_of[by] == 1:
            await self._start_in_activity(by)

    async def _start_in_activity(self, by: Deployment) -> None:
        tag = self._next(str)
        handle = await self._start_workflow(by, WaitsInActivity.run, tag)
        self._in_activity.append(InFlight(handle.id, large(tag), math.inf))
        await pending_activity(handle, lambda activity: activity.HasField("heartbeat_details"))

    async def _start_waiting(self, by: Deployment, value: str) -> WorkflowHandle[Any, Any]:
        handle = await self._start_workflow(by, Mailbox.run, value)
        self._waiting.append(InFlight(handle.id, value, STEPS_IN_FLIGHT if self._waiting else math.inf))
        return handle

    async def _start_workflow(self, by: Deployment, workflow: Any, *args: Any) -> WorkflowHandle[Any, Any]:
        client = await self._client(by)
        handle: WorkflowHandle[Any, Any] = await client.start_workflow(
            workflow,
            args=args,
            id=new_id("wf"),
            task_queue=self.task_queue,
            run_timeout=RUN_TIMEOUT,
            task_timeout=TASK_TIMEOUT,
        )
        return handle

    async def _get_on(self, workflow: InFlight, client: Client) -> None:
        handle = client.get_workflow_handle_for(Mailbox.run, workflow.id)
        asked, sent = self._next(small), self._next(large)
        assert await answer_of(handle, Mailbox.joined, asked) == workflow.value + asked
        if len(workflow.value) < len(sent):
            assert await handle.execute_update(Mailbox.swap_slowly, sent) == sent
        else:
            sent = asked
            await handle.signal(Mailbox.put, sent)
        workflow.value = sent

    async def _update(self, workflow: InFlight, client: Client) -> str:
        handle = client.get_workflow_handle(workflow.id)
        update = await handle.start_update(
            Mailbox.swap_slowly, workflow.value, wait_for_stage=WorkflowUpdateStage.ACCEPTED
        )
        return update.id

    async def _updates_are_done(self, client: Client) -> None:
        for workflow, accepted in self._updates:
            handle = client.get_workflow_handle(workflow.id)
            update = handle.get_update_handle(await accepted, result_type=str)
            assert await update.result() == workflow.value
        self._updates.clear()

    async def _end(self, workflows: Iterable[InFlight], clients: Sequence[Client]) -> None:
        """End these; whoever is deployed reads their results."""
        ending = list(workflows)
        for number, each in enumerate(ending):
            await clients[number % len(clients)].get_workflow_handle(each.id).signal(Mailbox.close)
        self._waiting = [each for each in self._waiting if each not in ending]
        self._ended += ending
        await asyncio.gather(*(_returns(each, clients) for each in ending))


async def _returns(workflow: InFlight, clients: Sequence[Client]) -> None:
    for client in clients:
        assert await client.get_workflow_handle(workflow.id, result_type=str).result() == workflow.value


async def _nothing_failed(workflow: InFlight, client: Client) -> None:
    history = await client.get_workflow_handle(workflow.id).fetch_history()
    failed = [e for e in history.events if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED]
    assert not failed, failed[0]
