"""From settings to an open client or driver. Imported when the driver is opened, for it loads aiohttp."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from temporal_payloads.plugin import StorageMisconfiguredError

from temporal_payloads_gcs._client import CreateOnlyGCSClient
from temporal_payloads_gcs._credentials import Credentials, NoCredentials, TokenCredentials, load_token
from temporal_payloads_gcs._driver import OffLoopGCSStorageDriver
from temporal_payloads_gcs._http import Http
from temporal_payloads_gcs._settings import GOOGLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from temporal_payloads.plugin import DriverContext

    from temporal_payloads_gcs._settings import GCSSettings

_MIN_CONNECTIONS = 10
"""One large payload alone is read in parallel ranges."""


@asynccontextmanager
async def open_driver(
    settings: GCSSettings, context: DriverContext
) -> AsyncIterator[OffLoopGCSStorageDriver]:
    """Open a client and yield the driver; see `temporal_payloads.plugin.DriverPlugin.open`.

    Raises:
        StorageMisconfiguredError: The credentials file or the CA bundle is not usable.
    """
    async with open_client(
        service_file=settings.service_file,
        endpoint_url=settings.endpoint_url,
        anonymous=settings.anonymous,
        ca_bundle=settings.ca_bundle,
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        connections=context.concurrency,
        place=context.place,
        largest_read=context.largest_read,
    ) as client:
        yield OffLoopGCSStorageDriver(client, settings, context)


@asynccontextmanager
async def open_client(
    *,
    service_file: Path | None,
    endpoint_url: str | None,
    anonymous: bool,
    ca_bundle: Path | None,
    connect_timeout: timedelta,
    read_timeout: timedelta,
    connections: int,
    place: str,
    largest_read: int | None = None,
) -> AsyncIterator[CreateOnlyGCSClient]:
    """Open the connections and yield a client; the arguments are as the settings have them."""
    endpoint = endpoint_url or GOOGLE
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=connect_timeout.total_seconds(), sock_read=read_timeout.total_seconds()
    )
    async with AsyncExitStack() as stack:
        tls, tls_for_tokens = await asyncio.to_thread(_trust, ca_bundle, place)
        connector = aiohttp.TCPConnector(limit=max(connections, _MIN_CONNECTIONS), ssl=tls)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=connector,
                timeout=timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "temporal-payloads-gcs"},
                auto_decompress=False,
            )
        )
        credentials: Credentials = NoCredentials()
        if not anonymous:
            # A session of its own: tokens come from other servers, with other proxies and limits.
            tokens = await stack.enter_async_context(
                aiohttp.ClientSession(trust_env=True, connector=aiohttp.TCPConnector(ssl=tls_for_tokens))
            )
            token = await asyncio.to_thread(load_token, service_file, tokens, place)
            credentials = TokenCredentials(token)
            stack.push_async_callback(credentials.close)
        http = Http(session, credentials, endpoint, _proxy_for(endpoint))
        yield CreateOnlyGCSClient(http, place=place, largest_read=largest_read)


def _trust(ca_bundle: Path | None, place: str) -> tuple[ssl.SSLContext | bool, ssl.SSLContext | bool]:
    """Return whom to trust for the store, and for the token server."""
    if ca_bundle is None:
        return True, True
    try:
        both = ssl.create_default_context(cafile=ca_bundle)
        # Tokens come from Google as a rule, whoever vouches for the store.
        both.load_default_certs()
        return ssl.create_default_context(cafile=ca_bundle), both
    except OSError as error:
        raise StorageMisconfiguredError(
            f"{place}.ca_bundle {str(ca_bundle)!r} is no PEM file of certificates: correct the "
            "path or the file",
            store_asked=False,
        ) from error


def _proxy_for(endpoint: str) -> str | None:
    # aiohttp would look for it at each request, in a thread.
    parts = urlsplit(endpoint)
    if proxy_bypass(parts.netloc):
        return None
    return getproxies().get(parts.scheme)
