"""A workflow in an activity that outlives the worker that runs it."""

from __future__ import annotations

from datetime import timedelta

from support.activities import resume_from_heartbeat
from support.workflows import LONG, SOON
from temporalio import workflow

UNTIL_SOMEBODY_ELSE = timedelta(seconds=5)
"""After which the server gives the activity to another worker, if the one that has it left without a word."""


@workflow.defn
class WaitsInActivity:
    """An activity with a small argument, large details of its heartbeat, and a large result."""

    @workflow.run
    async def run(self, tag: str) -> str:
        """Return what the activity's second attempt found in its heartbeat."""
        return await workflow.execute_activity(
            resume_from_heartbeat,
            tag,
            schedule_to_close_timeout=LONG,
            heartbeat_timeout=UNTIL_SOMEBODY_ELSE,
            retry_policy=SOON,
        )
