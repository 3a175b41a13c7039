"""Schedules on the test's Temporal server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from temporalio.client import ScheduleDescription, ScheduleHandle


async def described_once_started(handle: ScheduleHandle) -> ScheduleDescription:
    """Wait until a schedule has started a workflow; return what the server then tells of it."""
    async with asyncio.timeout(60):
        while True:
            description = await handle.describe()
            if description.info.recent_actions:
                return description
            await asyncio.sleep(0.1)
