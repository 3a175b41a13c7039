"""What browsers are told about which pages may call the server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from temporal_payloads.codec_server._errors import Code, RequestError
from temporal_payloads.codec_server._metrics import ROUTE as METRICS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporal_payloads._settings.codec_server import CodecServerSettings

REQUEST_HEADERS = "content-type,x-namespace,authorization,authorization-extras"
"""What the Web UI sends; `Authorization-Extras` only with "pass access token"."""


class Cors:
    """Answers preflights, and puts the headers on every response, errors included."""

    def __init__(self, settings: CodecServerSettings) -> None:
        self._origins = frozenset(settings.allowed_origins)
        self._credentials = settings.allow_credentials
        self._max_age = str(int(settings.preflight_max_age.total_seconds()))

    @web.middleware
    async def middleware(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Answer a preflight here; refuse what a page of another origin asks."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin not in self._origins:
            # Not left to the browser: a page that got this server's address under its own name (DNS
            # rebinding) would be of the same origin to the browser, and still says here where it is from.
            raise RequestError(
                403,
                Code.ORIGIN_NOT_ALLOWED,
                f"pages of {origin[:200]} may not call this server",
                detail="if they are to, list their origin in codec_server.allowed_origins",
            )
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            return web.Response(
                status=204,
                headers={
                    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "POST",
                    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: REQUEST_HEADERS,
                    hdrs.ACCESS_CONTROL_MAX_AGE: self._max_age,
                },
            )
        return await handler(request)

    async def add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Put the headers on a response that is about to be sent. No page is to read metrics."""
        if request.match_info.route.name == METRICS:
            return
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin in self._origins:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            if self._credentials:
                response.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
