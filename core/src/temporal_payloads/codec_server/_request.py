"""What a request says of itself in its headers and path, checked before anything else looks at it."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from temporal_payloads._settings.codec_server import is_loopback
from temporal_payloads.codec_server._errors import Code, RequestError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from temporal_payloads._settings.codec_server import CodecServerSettings

NAMESPACE_HEADER = "X-Namespace"
DECISIVE_HEADERS = (NAMESPACE_HEADER, hdrs.AUTHORIZATION, hdrs.ORIGIN, hdrs.HOST)
"""What decides who may do what."""
MAX_NAMESPACE_LENGTH = 1000
"""Characters; Temporal's own limit of a name, unless its operator raised it."""
SHOWN = 80
"""Characters that a message repeats of what a client sent."""


@web.middleware
async def check_headers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse a request whose decisive headers can be read in two ways."""
    for name in DECISIVE_HEADERS:
        values = request.headers.getall(name, ())
        if len(values) > 1:
            # A proxy that decides by one of them may not have read the one that we would.
            raise RequestError(400, Code.BAD_REQUEST, f"the request has more than one {name} header")
        # Bytes that are no UTF-8 arrive as surrogates, which can be neither encoded nor printed.
        if not "".join(values).isprintable():
            raise RequestError(400, Code.BAD_REQUEST, f"the header {name} holds characters that are no text")
    return await handler(request)


def read_namespace(request: web.Request, path_prefix: str | None) -> str:
    """Return the namespace that the request is about; empty if it names none.

    Args:
        request: Of one of the three operations.
        path_prefix: As `codec_server.path_prefix` says.

    Raises:
        RequestError: It is too long for a name, or the path names another.
    """
    namespace = request.headers.get(NAMESPACE_HEADER, "")
    if len(namespace) > MAX_NAMESPACE_LENGTH:
        raise RequestError(
            400,
            Code.BAD_REQUEST,
            f"the header {NAMESPACE_HEADER} has more than {MAX_NAMESPACE_LENGTH} characters",
        )
    path = request.match_info["prefix"].strip("/")
    if path_prefix is not None:
        agrees = path in (path_prefix, f"{path_prefix}/{namespace}".strip("/"))
    else:
        agrees = not path or not namespace or f"/{path}".endswith(f"/{namespace}")
    if not agrees:
        raise RequestError(
            400,
            Code.NAMESPACE_MISMATCH,
            f"the path is that of {path[-SHOWN:]!r}, and the header {NAMESPACE_HEADER} says "
            f"{namespace[:SHOWN]!r}; both must name the same namespace",
            detail="if a proxy puts the path in front, name it in codec_server.path_prefix",
        )
    return namespace


class Hosts:
    """The names under which people reach the server.

    A page of a stranger can have its own name point at this machine (DNS rebinding), and its browser then
    lets it read our answers. A name that we do not know is such a name; an address cannot be one.
    """

    def __init__(self, settings: CodecServerSettings) -> None:
        self._names = {settings.host.lower(), *settings.allowed_hosts}
        # Whoever listens on all addresses of a machine does not name them.
        self._any_address = settings.host in ("", "0.0.0.0", "::")  # noqa: S104  # compared, not listened on

    def require(self, request: web.Request) -> str:
        """Return the request's `Host` as it is.

        Raises:
            RequestError: It is not one of the server's.
        """
        host = request.headers.get(hdrs.HOST, "")
        name = _without_port(host)
        if name in self._names or is_loopback(name) or (self._any_address and _is_address(name)):
            return host
        raise RequestError(
            403,
            Code.HOST_NOT_ALLOWED,
            "the server's page is not shown under this name; the server's log says what to do about it",
            detail=f"if people reach the server as {name[:SHOWN]!r}, list that in codec_server.allowed_hosts",
        )


def _without_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    # An IPv6 address has colons of its own, within brackets.
    return (name if colon and port.isascii() and port.isdigit() else host.lower()).strip("[]")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
