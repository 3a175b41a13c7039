"""Payloads on every way that the SDK has for them, for tests of what finds, keeps and moves them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from support.activities import ALL as ALL_ACTIVITIES
from support.every_way.cases import ALL, ORPHAN, UNSEEN, Case, Ways
from support.every_way.definitions import (
    Again,
    Attempts,
    CallsNexus,
    GivesHeaders,
    Headed,
    RelaysHandler,
    Scheduled,
    Starts,
    TimesOut,
    Undoes,
    Waits,
    beat_and_go_silent,
    fail_in_a_chain,
    read_header,
)
from support.workers import new_id, running_worker
from support.workflows import ALL as ALL_WORKFLOWS
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest
from temporalio.worker import UnsandboxedWorkflowRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from temporalio.client import Client

__all__ = ["ALL", "ORPHAN", "UNSEEN", "WORKFLOWS", "Case", "Ways", "every_way"]

WORKFLOWS = [
    *ALL_WORKFLOWS,
    Again,
    Attempts,
    CallsNexus,
    Headed,
    Scheduled,
    Starts,
    TimesOut,
    Undoes,
    Waits,
]
"""For a `Replayer` of the cases' histories."""


LIMIT = 120
"""Seconds for one of the cases."""


@asynccontextmanager
async def every_way(
    client: Client, ways: Sequence[Callable[[Ways], Awaitable[Case | None]]] = ALL
) -> AsyncIterator[list[Case]]:
    """Send payloads on every way; yield the cases while a worker runs.

    Args:
        client: Its data converter stores payloads; the server has standalone activities.
        ways: By default all of them.
    """
    queue = new_id("every-way")
    await client.operator_service.create_nexus_endpoint(
        CreateNexusEndpointRequest(
            spec=EndpointSpec(
                name=queue,
                target=EndpointTarget(
                    worker=EndpointTarget.Worker(namespace=client.namespace, task_queue=queue)
                ),
            )
        )
    )
    making = Ways(client, queue, endpoint=queue)
    async with running_worker(
        client,
        queue,
        workflows=WORKFLOWS,
        activities=[
            *ALL_ACTIVITIES,
            making.attempt.until_opened,
            making.gate.complete_elsewhere,
            making.gate.beat_and_resume,
            beat_and_go_silent,
            fail_in_a_chain,
            read_header,
        ],
        nexus_service_handlers=[RelaysHandler()],
        interceptors=[GivesHeaders()],
        workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox would import everything for each workflow
    ):
        try:
            made = await asyncio.gather(*(_made(way, making) for way in ways))
            yield [case for case in made if case is not None]
        finally:
            await making.end()


async def _made(way: Callable[[Ways], Awaitable[Case | None]], ways: Ways) -> Case | None:
    try:
        async with asyncio.timeout(LIMIT):
            return await way(ways)
    except TimeoutError as error:
        raise TimeoutError(f"{way.__name__} has not been made within {LIMIT} s") from error
