"""Connections: how many there may be, and what each may cost before it has sent a request."""

from __future__ import annotations

import asyncio
import logging
import resource
import select
from typing import TYPE_CHECKING, Any

from aiohttp import web

from temporal_payloads.codec_server._errors import limit_exceeded

if TYPE_CHECKING:
    from temporal_payloads._settings.codec_server import LimitSettings

logger = logging.getLogger("temporal_payloads.codec_server")

MAX_HEADER_SIZE = 32 * 1024
"""Bytes of a header: tokens that list a person's groups get long, and the Web UI may send two."""
MAX_HEADERS_SIZE = 128 * 1024
"""Bytes of all headers of a request."""
KEEPALIVE_SECONDS = 75
"""Proxies reuse a connection for up to a minute. To them it is an error if it was closed meanwhile."""
ACCEPTED_AT_ONCE = 8
"""Connections that are accepted in one turn of the loop; some turns later they are counted."""
RECEIVED_AT_ONCE = 16 * 1024
"""Bytes that are taken from a connection before the others have their turn. asyncio takes 256 KiB: with all
connections sending at once, a turn of the loop would last half a second."""
BACKLOG = 1024
"""Connections that the system keeps until they are accepted. One more has to try again a second later."""
SPARE = 32
"""Connections beyond the limit, on which health is told, and everything else that there is no room."""
PROMPT_SECONDS = 1.0
"""Time in which a client that has just connected gets to send its request before it counts as idle."""
FILES_BESIDE = 8 * ACCEPTED_AT_ONCE + SPARE + 64
"""Open files that the server needs beside its connections, those to the stores for instance."""

_HANG_UP: int = getattr(select, "POLLRDHUP", 0)
"""Where the system tells it, that the client closed its side; errors are told without being asked for."""


def connections_for(settings: LimitSettings) -> int:
    """Return how many connections there may be: as the settings say, if the system allows as many files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return settings.connections
    possible = max(files - FILES_BESIDE, files // 4)
    if possible < settings.connections:
        logger.warning(
            "codec_server.limits.connections is %d, but the limit of open files (ulimit -n) is %d: no more "
            "than %d connections are taken at once",
            settings.connections,
            files,
            possible,
        )
    return min(settings.connections, possible)


class Connections:
    """The connections of a server; called, it makes the protocol for one more.

    Args:
        server: What answers requests.
        settings: How many there may be, and how long clients may take.
    """

    def __init__(self, server: web.Server, settings: LimitSettings) -> None:
        self._server = server
        self._limit = connections_for(settings)
        self._open: dict[Connection, None] = {}
        self.header_seconds = settings.client_time.total_seconds()

    def __call__(self) -> Connection:
        """Make a connection."""
        return Connection(self, self._server)

    def add(self, connection: Connection) -> bool:
        """Take one more in, if need be in place of one that is gone or idle; tell whether there is room."""
        if len(self._open) >= self._limit:
            self._drop_gone()
        if len(self._open) >= self._limit:
            idle = next((each for each in self._open if self._may_go(each)), None)
            if idle is not None:
                self.remove(idle)
                idle.force_close()
        if len(self._open) >= self._limit + SPARE:
            return False
        connection.is_spare = len(self._open) >= self._limit
        self._open[connection] = None
        return True

    def _may_go(self, connection: Connection) -> bool:
        """Tell whether a connection is idle. Who has just connected is about to send a request."""
        age = asyncio.get_running_loop().time() - connection.since
        return connection.is_idle and (connection.sent_headers > 0 or age > PROMPT_SECONDS)

    def _drop_gone(self) -> None:
        """Close the connections whose clients are gone, which shows late where nothing is read from them."""
        poll = select.poll()
        by_file: dict[int, Connection] = {}
        for connection in self._open:
            socket: Any = connection.transport and connection.transport.get_extra_info("socket")
            if socket is not None and socket.fileno() >= 0:
                by_file[socket.fileno()] = connection
                poll.register(socket.fileno(), _HANG_UP)
        for file, _ in poll.poll(0):
            gone = by_file[file]
            self.remove(gone)
            if gone.transport is not None:
                gone.transport.abort()

    def remove(self, connection: Connection) -> None:
        """Count it no longer."""
        self._open.pop(connection, None)

    def used(self, connection: Connection) -> None:
        """Put it behind all whose last request came earlier."""
        if connection in self._open:
            connection.since = asyncio.get_running_loop().time()
            del self._open[connection]
            self._open[connection] = None


class Connection(web.RequestHandler):
    """A connection whose client has limited time and space for a request's headers."""

    __slots__ = ("_connections", "_header_timer", "is_spare", "sent_headers", "since")

    def __init__(self, connections: Connections, server: web.Server) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]  # the application has its own
            keepalive_timeout=KEEPALIVE_SECONDS,
            max_line_size=MAX_HEADER_SIZE,
            max_field_size=MAX_HEADER_SIZE,
            read_bufsize=RECEIVED_AT_ONCE,
        )
        # Without what clients send ahead: nobody does it, and it would be parsed and kept.
        self._max_msg_queue_size, self._msg_queue_resume_size = 1, 0
        self._connections = connections
        self.since = self._loop.time()
        """When something came last, by the loop's clock."""
        self.is_spare = False
        """Whether it is one more than there may be."""
        self.sent_headers = 0
        """Bytes of headers that have come, of a request that is not complete."""
        self._header_timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        """Whether there is no complete request."""
        return self._waiter is not None and not self._waiter.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, if there is room."""
        super().connection_made(transport)
        if hasattr(transport, "max_size"):  # not with TLS, which takes time enough for each piece
            transport.max_size = RECEIVED_AT_ONCE
        if not self._connections.add(self):
            self.force_close()
            return
        self._start_timer()
        if self.is_spare:
            self._lingering_time = 0  # what is refused is not read to its end

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._connections.remove(self)
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came in: headers, or the current request's body, or what a client sends ahead."""
        is_ahead = self._current_request is not None and self._current_request.content.is_eof()
        super().data_received(data)
        if self.is_idle and data:
            self._start_timer()
        elif not self.is_idle:
            self._stop_timer()
            self._connections.used(self)
        if self.is_idle or is_ahead:
            self.sent_headers += len(data)
        else:
            self.sent_headers = 0
        if self.sent_headers > MAX_HEADERS_SIZE:
            self.force_close()

    def _start_timer(self) -> None:
        if self._header_timer is None:
            self._header_timer = self._loop.call_later(self._connections.header_seconds, self._give_up)

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        if self.is_idle:
            self.force_close()


def require_room(request: web.Request) -> None:
    """Refuse a request whose connection is one more than there may be.

    Raises:
        RequestError: It is.
    """
    # In a service that mounts the application connections are not counted.
    if isinstance(request.protocol, Connection) and request.protocol.is_spare:
        raise limit_exceeded("connections", "the server has as many connections as it may", 503)
