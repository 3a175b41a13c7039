"""What an application's tests assert of a workflow holds for every run of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.values import large
from support.workers import RUN_TIMEOUT, connect, new_id, running_worker
from temporal_payloads import PayloadSettings
from temporal_payloads.testing import (
    PayloadsInMemory,
    assert_nothing_exceeds,
    assert_offloaded,
    assert_references_resolve,
)
from temporalio import workflow

if TYPE_CHECKING:
    from local_servers import TemporalServer


@workflow.defn
class WorksOff:
    """Takes one value after the other away, each in a run of its own."""

    @workflow.run
    async def run(self, values: list[str]) -> str:
        """Return when nothing is left."""
        if values:
            workflow.continue_as_new(values[1:])
        return "done"


async def test_the_earlier_runs_of_a_continued_workflow_count(temporal_server: TemporalServer) -> None:
    settings = PayloadSettings.model_validate({"storage": {"driver": "memory", "threshold": "1KiB"}})
    converter = PayloadsInMemory(settings).converter
    client = await connect(temporal_server, converter)
    values = [large("one"), large("two")]
    async with running_worker(client, workflows=[WorksOff]) as task_queue:
        handle = await client.start_workflow(
            WorksOff.run, values, id=new_id("wf"), task_queue=task_queue, run_timeout=RUN_TIMEOUT
        )
        assert await handle.result() == "done"

    await assert_offloaded(handle, [values, values[1:]], converter=converter)
    await assert_nothing_exceeds(handle, "10KiB")
    await assert_references_resolve(handle, converter=converter)
    elsewhere = PayloadsInMemory(settings).converter
    with pytest.raises(
        AssertionError, match=r"\n  - run 1 of 3, event 1 \(WorkflowExecutionStarted\), input"
    ):
        await assert_references_resolve(handle, converter=elsewhere)
    last = await handle.fetch_history()
    await assert_offloaded(last, [], converter=converter)
