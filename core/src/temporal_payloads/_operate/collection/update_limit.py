"""How long a client may go on sending one update: for as long as that, nothing shows what it refers to.

The SDK sends an update again until a worker has accepted or rejected it, without end and without encoding it
anew. Until then it is in no history and no description, so that a collector takes its payloads for garbage.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from temporalio.client import Interceptor, OutboundInterceptor, WorkflowUpdateRPCTimeoutOrCancelledError

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from datetime import timedelta
    from typing import TypeVar

    from temporalio.client import (
        StartWorkflowUpdateInput,
        StartWorkflowUpdateWithStartInput,
        WorkflowUpdateHandle,
    )

    T = TypeVar("T")


class UpdateLimit(Interceptor):
    """Ends calls of updates that take longer than this, as if the server had not answered in time.

    Args:
        limit: Well below the grace of a collection.
    """

    def __init__(self, limit: timedelta) -> None:
        self._limit = limit

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002  # the SDK's
        """Return what stands between the client's methods and its calls."""
        return _Outbound(next, self._limit)


class _Outbound(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, limit: timedelta) -> None:
        super().__init__(following)
        self._limit = limit

    async def start_workflow_update(
        self,
        input: StartWorkflowUpdateInput,  # noqa: A002  # the SDK's name for it
    ) -> WorkflowUpdateHandle[Any]:
        return await self._within_limit(super().start_workflow_update(input))

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,  # noqa: A002  # the SDK's name for it
    ) -> WorkflowUpdateHandle[Any]:
        return await self._within_limit(super().start_update_with_start_workflow(input))

    async def _within_limit(self, call: Awaitable[T]) -> T:
        deadline = asyncio.timeout(self._limit.total_seconds())
        try:
            async with deadline:
                return await call
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise WorkflowUpdateRPCTimeoutOrCancelledError from error
