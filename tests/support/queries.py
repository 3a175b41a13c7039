"""Queries of workflows whose workers come and go."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from temporalio.service import RPCError, RPCStatusCode

if TYPE_CHECKING:
    from temporalio.client import WorkflowHandle

NO_ANSWER = (RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED)


async def answer_of(handle: WorkflowHandle[Any, Any], query: Any, argument: object) -> Any:
    """Ask until a worker answers: the server may give a query to one that has just left, or is busy."""
    async with asyncio.timeout(120):
        while True:
            try:
                return await handle.query(query, argument)
            except RPCError as error:
                if error.status not in NO_ANSWER:
                    raise
