"""Activities through which values of every size pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from support.values import large
from temporalio import activity
from temporalio.exceptions import ApplicationError


@activity.defn
async def echo(value: str) -> str:
    """Return the value."""
    return value


@activity.defn
async def produce(tag: str) -> str:
    """Return a large value."""
    return large(tag)


@activity.defn
async def fail_with_details(message: str, details: str) -> None:
    """Fail for good, with details."""
    raise ApplicationError(message, details, type="Refused", non_retryable=True)


@activity.defn
async def resume_from_heartbeat(tag: str) -> str:
    """Heartbeat a large value and wait for the worker's end; return what the next attempt finds of it."""
    if not activity.info().heartbeat_details:
        activity.heartbeat(large(tag))
        await asyncio.Event().wait()
    [found] = activity.info().heartbeat_details
    return str(found)


class Gate:
    """Holds an activity up until the test has looked at the server."""

    def __init__(self) -> None:
        self.reached: asyncio.Event = asyncio.Event()
        self.opened: asyncio.Event = asyncio.Event()
        self.task_token = b""

    @activity.defn
    async def beat_and_resume(self, value: str) -> str:
        """Heartbeat the value and fail; the next attempt returns what it finds in the heartbeat's details."""
        if activity.info().attempt == 1:
            activity.heartbeat(value)
            raise ApplicationError("the first attempt ends here")
        self.reached.set()
        await self.opened.wait()
        [found] = activity.info().heartbeat_details
        return str(found)

    @activity.defn
    async def complete_elsewhere(self) -> str:
        """Leave the completion to whoever has the task token."""
        self.task_token = activity.info().task_token
        self.reached.set()
        activity.raise_complete_async()


ALL: list[Callable[..., Any]] = [echo, produce, fail_with_details, resume_from_heartbeat]
