"""From settings to an open driver. Imported when the driver is opened, for it loads the Azure libraries."""

from __future__ import annotations

import asyncio
import importlib
import random
import ssl
import urllib.request
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import azure.storage.blob
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.core.pipeline.transport import AioHttpTransport
from azure.storage.blob.aio import ContainerClient, ExponentialRetry
from temporal_payloads.plugin import StorageMisconfiguredError

from temporal_payloads_azure_blob._driver import AzureBlobStorageDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from azure.core.credentials_async import AsyncTokenCredential
    from temporal_payloads.plugin import DriverContext

    from temporal_payloads_azure_blob._settings import AzureBlobSettings

_MIN_POOL_SIZE = 8
"""One large payload alone goes in parallel blocks."""
_CHUNK = 256 * 1024
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0
"""Seconds between a request and its repetition; the libraries' own first pause is 15 seconds."""


@asynccontextmanager
async def open_driver(
    settings: AzureBlobSettings, context: DriverContext
) -> AsyncIterator[AzureBlobStorageDriver]:
    """Open a client and yield the driver; see `temporal_payloads.plugin.DriverPlugin.open`.

    Raises:
        StorageMisconfiguredError: The file of `ca_bundle` can't be read.
    """
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(_new_session(settings, context))
        container = ContainerClient(
            settings.account.url,
            settings.container,
            credential=await _credential(settings, stack),
            transport=Transport(
                session=session,
                session_owner=False,
                connection_timeout=settings.connect_timeout.total_seconds(),
                read_timeout=settings.read_timeout.total_seconds(),
                connection_data_block_size=_CHUNK,
            ),
            retry_policy=_Retry(retry_total=settings.max_attempts - 1),
            # So that one call is one request; the driver cuts what is large itself.
            max_single_put_size=settings.block_size,
            max_single_get_size=settings.block_size,
            proxies=_proxies(settings.account.url),
            user_agent=f"temporal-payloads-azure-blob azure-storage-blob/{azure.storage.blob.__version__}",
        )
        yield AzureBlobStorageDriver(
            await stack.enter_async_context(container),
            driver_name=context.name,
            max_payload_size=settings.max_payload_size,
            block_size=settings.block_size,
            requests_at_once=settings.pool_size or max(context.concurrency, _MIN_POOL_SIZE),
            place=context.place,
            largest_read=context.largest_read,
        )


def _new_session(settings: AzureBlobSettings, context: DriverContext) -> aiohttp.ClientSession:
    tls: ssl.SSLContext | bool = True
    if settings.ca_bundle:
        try:
            tls = ssl.create_default_context(cafile=settings.ca_bundle)
        except OSError as error:  # ssl.SSLError is one
            raise StorageMisconfiguredError(
                f"{context.place}.ca_bundle, {settings.ca_bundle}, is no PEM file of certificates: {error}",
                store_asked=False,
            ) from error
    return aiohttp.ClientSession(
        # The driver bounds how many requests there are. One that waited for a connection would time out.
        connector=aiohttp.TCPConnector(limit=0, ssl=tls),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
    )


def _proxies(url: str) -> dict[str, str]:
    """Return the proxies that the environment names. Left to it, aiohttp looks for them with each request."""
    return {} if urllib.request.proxy_bypass(urlsplit(url).hostname or "") else urllib.request.getproxies()


async def _credential(
    settings: AzureBlobSettings, stack: AsyncExitStack
) -> AzureNamedKeyCredential | AzureSasCredential | AsyncTokenCredential:
    account = settings.account
    if account.key:
        return AzureNamedKeyCredential(account.name, account.key)
    if account.sas:
        return AzureSasCredential(account.sas)
    # For this case alone, and in a thread: importing it takes half a second.
    identity = await asyncio.to_thread(importlib.import_module, "temporal_payloads_azure_blob._identity")
    arguments: dict[str, Any] = {}
    if settings.client_id:
        arguments["managed_identity_client_id"] = settings.client_id
    if settings.ca_bundle:
        tls = ssl.create_default_context(cafile=settings.ca_bundle)
        # Tokens come from Microsoft as a rule, whoever vouches for the store.
        tls.load_default_certs()
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls), cookie_jar=aiohttp.DummyCookieJar(), trust_env=True
        )
        arguments["transport"] = AioHttpTransport(
            session=await stack.enter_async_context(session), session_owner=False
        )
    credential: AsyncTokenCredential = await stack.enter_async_context(identity.Identity(**arguments))
    return credential


class Transport(AioHttpTransport):  # type: ignore[misc]  # loaded lazily, which mypy can't see
    """Sends large bodies in chunks. aiohttp would copy one that is bytes, and warns of that."""

    def _get_request_data(self, request: Any) -> Any:
        data = super()._get_request_data(request)
        return _chunks(data) if isinstance(data, bytes) and len(data) > _CHUNK else data


async def _chunks(data: bytes) -> AsyncIterator[memoryview]:
    view = memoryview(data)
    for start in range(0, len(data), _CHUNK):
        yield view[start : start + _CHUNK]


class _Retry(ExponentialRetry):
    """Repeats what found the store out of reach or busy, after short pauses that grow."""

    def get_backoff_time(self, settings: dict[str, Any]) -> float:
        pause = min(_FIRST_PAUSE * 2 ** settings["count"], _LONGEST_PAUSE)
        return random.uniform(pause / 2, pause)  # noqa: S311  # no secret
