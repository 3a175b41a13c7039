"""Running the server: where it listens, with TLS or without, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._settings.codec_server import is_loopback
from temporal_payloads.codec_server._connections import ACCEPTED_AT_ONCE, BACKLOG, Connections

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from temporal_payloads._settings.codec_server import CodecServerSettings

logger = logging.getLogger("temporal_payloads.codec_server")


def check_listening(settings: CodecServerSettings) -> ssl.SSLContext | None:
    """Return the TLS context of a server with these settings, or None without TLS.

    Raises:
        ConfigurationError: It would be open to anybody, or its certificate cannot be used.
    """
    problems = []
    protected = settings.auth.tokens or settings.auth.jwt or settings.allow_unauthenticated
    if not protected and not is_loopback(settings.host):
        problems.append(
            Problem(
                f"{settings.host} can be reached from other machines, and nobody needs to say who they are. "
                "Set up codec_server.auth, or listen on 127.0.0.1; if something in front of the server "
                "authenticates, set codec_server.allow_unauthenticated = true",
                "codec_server.host",
            )
        )
    context = None
    if settings.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(settings.tls.cert_file, settings.tls.key_file, password=_no_password)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            problems.append(
                Problem(
                    f"cert_file {settings.tls.cert_file} with key_file {settings.tls.key_file} cannot be "
                    f"used: {reason}",
                    "codec_server.tls",
                )
            )
    if problems:
        raise ConfigurationError(problems)
    return context


def _no_password() -> str:
    # OpenSSL would ask for it on the terminal.
    raise ValueError("the key is encrypted; give one that is not")


@asynccontextmanager
async def listening(app: web.Application, settings: CodecServerSettings) -> AsyncIterator[str]:
    """Run the application while the block runs, and yield its address.

    At the end no new connection is taken, requests in flight are finished (for as long as a request may
    take), and the drivers are closed.

    Raises:
        ConfigurationError: As `check_listening`.
        OSError: The address is taken or not this machine's.
        StorageError: A driver cannot be opened.
    """
    context = check_listening(settings)
    seconds = settings.limits.request_time.total_seconds()
    # Work for a client that is gone is cancelled; aiohttp would finish it.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=seconds)
    await runner.setup()
    try:
        assert runner.server is not None, "it is set up"
        connections = Connections(runner.server, settings.limits)
        server = await asyncio.get_running_loop().create_server(
            connections,
            settings.host,
            settings.port,
            backlog=ACCEPTED_AT_ONCE,
            ssl=context,
            ssl_handshake_timeout=settings.limits.client_time.total_seconds() if context else None,
        )
        for each in server.sockets:
            # asyncio has one number for both, and accepts as many at once.
            with socket.socket(fileno=os.dup(each.fileno())) as same:
                same.listen(BACKLOG)
        port = server.sockets[0].getsockname()[1]
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            yield f"{'https' if context else 'http'}://{host}:{port}"
        finally:
            server.close()
    finally:
        await runner.cleanup()


async def serve(
    app: web.Application,
    settings: CodecServerSettings,
    *,
    when_ready: Callable[[str], None] | None = None,
) -> None:
    """Run the application until SIGINT or SIGTERM comes, then finish what is in flight.

    Args:
        app: What `create_app` made.
        settings: Where to listen.
        when_ready: Called with the server's address once it answers; by default the log tells it.

    Raises:
        ConfigurationError: It would be open to anybody, or its certificate cannot be used.
        OSError: The address is taken or not this machine's.
        StorageError: A driver cannot be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM)
    for number in signals:
        loop.add_signal_handler(number, stop.set)
    try:
        async with listening(app, settings) as address:
            if when_ready is None:
                logger.info("Codec server at %s", address)
            else:
                when_ready(address)
            await stop.wait()
            logger.info("Stopping: requests in flight are finished")
            for number in signals:
                # Whoever asks again does not want to wait.
                loop.remove_signal_handler(number)
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
