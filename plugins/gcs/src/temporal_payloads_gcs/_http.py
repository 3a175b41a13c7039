"""One request to the JSON API."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

import aiohttp
from yarl import URL

from temporal_payloads_gcs._errors import refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from temporal_payloads_gcs._credentials import Credentials

T = TypeVar("T")

AS_STORED = {"Accept-Encoding": "identity"}
"""Nothing on the way is to compress what is an encoded payload already."""


class Http:
    """Sends requests with credentials to one endpoint, and to no other.

    Args:
        session: The caller closes it.
        credentials: What requests are authorized with.
        endpoint_url: Scheme, host and port.
        proxy: URL of an HTTP proxy.
    """

    def __init__(
        self, session: aiohttp.ClientSession, credentials: Credentials, endpoint_url: str, proxy: str | None
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._proxy = proxy
        self.endpoint_url = endpoint_url
        self._context = copy_context()

    async def send(
        self,
        method: str,
        path: str,
        receive: Callable[[aiohttp.ClientResponse], Awaitable[T]],
        *,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], AsyncIterator[memoryview]] | None = None,
    ) -> T:
        """Send a request and return what `receive` makes of its success.

        It is sent once more if its connection was closed before there was an answer: a store, or what stands
        before it, closes connections that were kept, and does so while a request is on its way to it.

        Args:
            method: The HTTP method.
            path: Path and query, percent-encoded.
            receive: Reads the response.
            headers: In addition to those of the credentials.
            body: Makes the body.

        Raises:
            RefusedError: The store answered with an error.
            CredentialsError: There is no token.
        """

        async def exchange() -> T:
            login = await self._credentials.headers()
            all_headers = {**AS_STORED, **(headers or {}), **login}
            async with self._session.request(
                method,
                URL(self.endpoint_url + path, encoded=True),
                headers=all_headers,
                data=body() if body else None,
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                if response.status == HTTPStatus.UNAUTHORIZED:
                    self._credentials.refused(login)
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    raise await refusal(response)
                return await receive(response)

        async def exchange_or_again() -> T:
            try:
                return await exchange()
            except aiohttp.ClientConnectorError:
                raise
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                # What aiohttp itself does for methods that it takes to be idempotent. Ours is by its
                # precondition: if the first request was carried out, the second finds the object there.
                if method != "POST":
                    raise
                return await exchange()

        # A connection keeps the context in which it was made for as long as it lives, with all that the
        # caller has in his: each request is sent in that of the opening.
        return await asyncio.create_task(exchange_or_again(), context=self._context.copy())
