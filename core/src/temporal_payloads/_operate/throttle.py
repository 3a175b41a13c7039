"""How many requests a second a server is sent at most."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from temporalio.service import ServiceClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta
    from typing import Any

    from google.protobuf.message import Message


class Throttle:
    """Lets requests through one after the other, so many a second.

    Args:
        rate: Requests a second; None for no limit.
    """

    def __init__(self, rate: float | None) -> None:
        self._pause = 1 / rate if rate else 0.0
        self._next = 0.0

    def within_a_second(self, most: int) -> int:
        """Return how many requests may be sent together: those of a second, one at least, `most` at most."""
        return max(1, min(most, int(1 / self._pause))) if self._pause else most

    async def wait(self, requests: int = 1) -> None:
        """Return when so many requests may be sent."""
        if not self._pause:
            return
        now = asyncio.get_running_loop().time()
        begins = max(self._next, now)
        self._next = begins + requests * self._pause
        if begins > now:
            await asyncio.sleep(begins - now)


class ThrottledService(ServiceClient):
    """A connection to Temporal, with no more than so many requests a second.

    Args:
        service: The connection.
        throttle: Shared by all that use the server.
    """

    def __init__(self, service: ServiceClient, throttle: Throttle) -> None:
        super().__init__(service.config)
        self._service = service
        self._throttle = throttle

    @property
    def worker_service_client(self) -> Any:
        """The connection's own client."""
        return self._service.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """Update the connection's metadata."""
        self._service.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """Update the connection's API key."""
        self._service.update_api_key(api_key)

    async def _rpc_call(
        self,
        rpc: str,
        req: Message,
        resp_type: type[Any],
        *,
        service: str,
        retry: bool,
        metadata: Mapping[str, str | bytes],
        timeout: timedelta | None,  # noqa: ASYNC109  # the SDK's signature
    ) -> Any:
        await self._throttle.wait()
        return await self._service._rpc_call(  # noqa: SLF001  # what each implementation has
            rpc, req, resp_type, service=service, retry=retry, metadata=metadata, timeout=timeout
        )
