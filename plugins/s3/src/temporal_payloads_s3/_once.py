"""A client that sends a request once, for what must not be done twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiobotocore.httpsession import AIOHTTPSession

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager, AsyncExitStack

    import aiohttp
    from types_aiobotocore_s3.client import S3Client


class SendingOnce(AIOHTTPSession):
    """Makes sessions of aiohttp that don't send again what got no answer.

    Where a connection breaks, aiohttp sends a `DELETE` once more by itself, whatever botocore is told.
    """

    # Both are private, for there is no setting; aiohttp's own test client does the same.
    async def _get_session(self, proxy_url: str | None) -> aiohttp.ClientSession:
        session: aiohttp.ClientSession = await super()._get_session(proxy_url)  # type: ignore[misc]  # no stub
        session._retry_connection = False  # noqa: SLF001
        return session


class OnFirstUse:
    """A client that is opened when it is first asked for: only collections need it.

    Args:
        new_client: Makes it.
        stack: Closes it.
    """

    def __init__(
        self, new_client: Callable[[], AbstractAsyncContextManager[S3Client]], stack: AsyncExitStack
    ) -> None:
        self._new_client = new_client
        self._stack = stack
        self._lock = asyncio.Lock()
        self._open: S3Client | None = None

    async def get(self) -> S3Client:
        """Return the client, open."""
        async with self._lock:
            if self._open is None:
                self._open = await self._stack.enter_async_context(self._new_client())
            return self._open
