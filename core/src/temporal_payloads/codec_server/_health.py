"""Whether the server can do its work, for those who restart it or send it requests."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from aiohttp import web

from temporal_payloads.codec_server._errors import Code, RequestError, cause_of

if TYPE_CHECKING:
    from temporal_payloads.codec_server._profiles import Profiles

logger = logging.getLogger("temporal_payloads.codec_server")

READY_SECONDS = 5.0
"""How long these answers count, so that nobody can make the server ask them all the time."""


class Health:
    """`/healthz` and `/readyz`."""

    def __init__(self, profiles: Profiles) -> None:
        self._profiles = profiles
        self._checking = asyncio.Lock()
        self._checked_at = float("-inf")
        self._failure: Exception | None = None

    async def alive(self, request: web.Request) -> web.Response:
        """Answer that the process answers."""
        del request
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """Answer whether every storage and every key provider can be reached."""
        del request
        async with self._checking:
            if time.monotonic() - self._checked_at > READY_SECONDS:
                await self._check()
        if self._failure is not None:
            raise RequestError(
                503,
                Code.NOT_READY,
                "a storage or a key provider cannot be reached; the server's log says which and why",
            )
        return web.json_response({"status": "ready"})

    async def _check(self) -> None:
        failure: Exception | None = None
        try:
            await self._profiles.check()
        except Exception as error:  # noqa: BLE001  # a driver or codec may raise anything
            logger.warning("Not ready: %s", cause_of(error))
            failure = error
        self._failure = failure
        self._checked_at = time.monotonic()
