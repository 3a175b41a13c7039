"""A workflow that runs, event by event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads._operate.holders import Held, time_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from temporalio.client import Client


async def followed(client: Client, workflow_id: str, run_id: str) -> AsyncGenerator[Held, None]:
    """Yield the events of a run as they come, until it has ended; then those of the run that goes on from it.

    Raises:
        RPCError: The server does not give them.
    """
    while run_id:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id)
        run_id = ""
        async for event in handle.fetch_history_events(wait_new_event=True, skip_archival=True):
            yield Held(event, time_of(event.event_time))
            kind = event.WhichOneof("attributes")
            attributes = getattr(event, kind) if kind else event
            # Continued as new, by cron, or a retry.
            run_id = getattr(attributes, "new_execution_run_id", "")
