"""Connections from psycopg's pool, which tell at once why there are none, and end when they are told to."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakSet

from temporal_payloads_postgres._errors import Origin, explain, postgres_errors_explained
from temporal_payloads_postgres._psycopg import psycopg, psycopg_pool, waiting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

MAX_IDLE = 60.0
"""Seconds after which a connection that nobody uses is closed: each is a process of the server's."""
CANCEL_TIMEOUT = 1.0
"""Seconds; of asking the server to end a statement that was given up, while who gave it up waits."""
PATIENCE = 24 * 3600.0
"""Seconds; of waiting for a connection that others use. Core's `storage.timeout` ends it long before."""
POOL_NAME = "temporal-payloads: "
"""What the names of our pools begin with, in psycopg's log."""


def _is_not_told_by_us(record: logging.LogRecord) -> bool:
    """Leave out of the pool's log what whoever asked for a connection is told anyway, in our words."""
    of_whom = record.args[0] if isinstance(record.args, tuple) and record.args else ""
    return record.levelno != logging.WARNING or not str(of_whom).startswith(POOL_NAME)


# A filter that is there already is not added again.
logging.getLogger("psycopg.pool").addFilter(_is_not_told_by_us)


class Connection(psycopg.AsyncConnection[Any]):
    """A connection on which a statement that is given up ends at once."""

    statement_timeout: float | None = None

    @classmethod
    async def connect(  # type: ignore[override]  # only the pool calls it, with what it was given
        cls,
        conninfo: str = "",
        *,
        owner: Connections,
        timeouts: tuple[float, float],
        **kwargs: Any,
    ) -> Self:
        """Connect.

        Args:
            conninfo: Empty.
            owner: Told of it, and of why it failed.
            timeouts: Seconds for connecting, and for each statement.
            kwargs: Where to, and how.
        """
        connect_timeout, statement_timeout = timeouts
        try:
            async with asyncio.timeout(connect_timeout):
                connection = await super().connect(conninfo, **kwargs)
        except (psycopg.Error, OSError) as error:
            raise owner.failed(error) from None
        connection.statement_timeout = statement_timeout
        owner.opened(connection)
        return connection

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Wait for what the server answers to a statement."""
        try:
            async with asyncio.timeout(self.statement_timeout):
                return await waiting.wait_async(gen, self.pgconn.socket, *args, **kwargs)
        except (asyncio.CancelledError, TimeoutError):
            # psycopg would also wait for what the server answers. What we do can be done again.
            await self._end()
            raise

    async def _end(self) -> None:
        """Have the server end the statement, and hang up.

        Hanging up alone is not noticed by a server process that waits for a lock, nor by PgBouncer's.
        """
        try:
            async with asyncio.timeout(CANCEL_TIMEOUT):
                await self.cancel_safe(timeout=CANCEL_TIMEOUT)
        except (psycopg.Error, OSError, TimeoutError):
            pass  # out of reach; the server ends it by its own limits
        finally:
            self.pgconn.finish()

    @property
    def statement_milliseconds(self) -> str:
        """The limit of each statement as a setting of the server's."""
        return str(math.ceil((self.statement_timeout or 0) * 1000))

    @property
    def is_alive(self) -> bool:
        """Whether the server has not hung up, as far as that is known without asking it."""
        try:
            for _ in range(2):  # what it said at last, and that it hung up
                self.pgconn.consume_input()
        except psycopg.Error:
            return False
        return not self.closed


class Connections:
    """Up to so many connections, opened when they are needed.

    Args:
        parameters: What psycopg connects with.
        size: How many there may be.
        timeouts: Seconds for connecting, and for each statement.
        origin: How errors call the server and its settings.
    """

    def __init__(
        self, parameters: Mapping[str, Any], *, size: int, timeouts: tuple[float, float], origin: Origin
    ) -> None:
        self.size = size
        self.origin = origin
        self._timeouts = timeouts
        # No prepared statements: with PgBouncer in transaction mode, each may reach another server process.
        options = {**parameters, "autocommit": True, "prepare_threshold": None}
        self._pool = psycopg_pool.AsyncConnectionPool(
            kwargs={**options, "owner": self, "timeouts": timeouts},
            connection_class=Connection,
            min_size=0,
            max_size=size,
            open=False,
            name=f"{POOL_NAME}{origin.place}",
            timeout=PATIENCE,
            max_idle=MAX_IDLE,
            reconnect_timeout=0,
        )
        self._failure: asyncio.Future[Exception] | None = None
        self._opened = WeakSet[Connection]()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Self]:
        """Open the pool, which connects to nothing yet, and close it at the end."""
        await self._pool.open()
        try:
            yield self
        finally:
            # What is just connecting ends by its own limit.
            await self._pool.close(timeout=self._timeouts[0] + 1)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[Connection]:
        """Take a connection for the length of a block, in which psycopg's errors become storage errors."""
        connection = await self._take()
        try:
            with postgres_errors_explained(self.origin):
                try:
                    yield connection
                except psycopg.errors.ReadOnlySqlTransaction:
                    # To a server that is a replica now: the next one looks for the primary again.
                    connection.pgconn.finish()
                    raise
        finally:
            await self._pool.putconn(connection)

    async def _take(self) -> Connection:
        while True:
            connection = await self._next()
            if connection.is_alive:
                return connection
            connection.pgconn.finish()
            await self._pool.putconn(connection)

    async def _next(self) -> Connection:
        """Return a connection, or raise why the server gives none.

        The pool alone would try again for as long as one waits, and say that time is up. While there are
        other connections, one waits for these.
        """
        getting = asyncio.create_task(self._pool.getconn())
        failure = self._next_failure()
        waited = False
        try:
            while not getting.done():
                await asyncio.wait((getting, failure), return_when=asyncio.FIRST_COMPLETED)
                if failure.done() and all(connection.closed for connection in self._opened):
                    break
                failure = self._next_failure()
            waited = True
        finally:
            if not getting.done():
                getting.cancel()
                await asyncio.wait([getting])
            # Who is cancelled takes nothing, and it may have come just then.
            if not waited and not getting.cancelled() and getting.exception() is None:
                await self._pool.putconn(getting.result())
        if getting.cancelled():
            raise explain(failure.result(), self.origin)
        return getting.result()

    def _next_failure(self) -> asyncio.Future[Exception]:
        if self._failure is None or self._failure.done():
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    def opened(self, connection: Connection) -> None:
        """Know of a new connection."""
        self._opened.add(connection)

    def failed(self, error: Exception) -> Exception:
        """Tell those who wait why there is no new connection, and return it as a storage error."""
        # Its traceback, and those of its causes, keep the half-made connection open.
        error.__context__ = error.__cause__ = None
        error = error.with_traceback(None)
        if self._failure is not None and not self._failure.done():
            self._failure.set_result(error)
        return explain(error, self.origin)
