"""Reads back whatever a server holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.history import payloads_in

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from temporal_payloads._operate.holders import Holder
    from temporalio.client import Client, WorkflowHistory


async def read_back(client: Client, holders: Iterable[Holder]) -> list[WorkflowHistory]:
    """Decode what is in the histories of users' workflows; return those."""
    histories = []
    for holder in holders:
        if holder.kind == "workflow" and not holder.division:
            handle = client.get_workflow_handle(holder.id, run_id=holder.run_id)
            histories.append(await handle.fetch_history())
    for history in histories:
        for event in history.events:
            for _, payload in payloads_in(event):
                await client.data_converter.decode([payload])
    return histories


async def replayable(histories: list[WorkflowHistory]) -> AsyncIterator[WorkflowHistory]:
    """Yield those that a `Replayer` with `WORKFLOWS` can replay."""
    for history in histories:
        begun = any(event.HasField("workflow_task_completed_event_attributes") for event in history.events)
        # No worker has made the marker that stands for other SDKs' side effects.
        if begun and not history.workflow_id.startswith("markers"):
            yield history
