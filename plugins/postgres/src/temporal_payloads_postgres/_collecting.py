"""Listing payloads in the table, and changing what becomes of them; and the files of a collector.

Put aside means: dated back by centuries. Every writer that finds a payload so old touches it, with the same
statement that would insert it, and what was touched is not deleted.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from temporal_payloads.plugin import StorageUnavailableError, change_batches

from temporal_payloads_postgres._table import CENTURIES

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from temporal_payloads.plugin import Change

    from temporal_payloads_postgres._connections import Connections
    from temporal_payloads_postgres._table import Table

PAGE = 1000
"""Payloads in one statement of a listing."""
BATCH = 100
"""Payloads in one statement that changes them: a writer of one of them waits for all."""
_FILES = "state/"
"""What the keys of a collector's files begin with. Those of payloads begin with `v0/`."""
_BY_INDEX = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off"
_FILE_PART = 1024 * 1024
_LONG_AGO = datetime(1900, 1, 1, tzinfo=UTC).timestamp()


class Row(NamedTuple):
    """A payload as the table has it."""

    key: str
    size: int
    state: str

    @property
    def is_aside(self) -> bool:
        """Whether it is dated back."""
        return float(self.state) < _LONG_AGO

    @property
    def stored(self) -> datetime | None:
        """When it was last touched, or put aside; None if somebody has dated it otherwise."""
        seconds = float(self.state) + (CENTURIES.total_seconds() if self.is_aside else 0)
        return datetime.fromtimestamp(seconds, UTC) if seconds > _LONG_AGO else None


class Collecting:
    """What a collector does to the table.

    Args:
        connections: To the database.
        table: The table.
    """

    def __init__(self, connections: Connections, table: Table) -> None:
        self._connections = connections
        self._table = table

    async def pages(self, prefix: str) -> AsyncGenerator[list[Row], None]:
        """Yield the payloads whose keys begin with this, in their order."""
        last, end = prefix, _end_of(prefix)
        while True:
            page = await self._rows(self._table.list_after, last, end, PAGE)
            if page:
                yield page
                last = page[-1].key
            if len(page) < PAGE:
                return

    async def look(self, key: str) -> Row | None:
        """Return one payload."""
        rows = await self._rows(self._table.list_one, key, 1)
        return rows[0] if rows else None

    async def _rows(self, statement: str, *values: str | int) -> list[Row]:
        async with self._connections.one() as connection, connection.transaction():
            # By the index, which has the order: else a page of a table with partitions is a sort of all rows.
            await connection.execute(_BY_INDEX)
            cursor = await connection.execute(statement, values)
            return [Row(*row) for row in await cursor.fetchall()]

    async def put_aside(self, rows: Sequence[tuple[str, str]]) -> list[Change]:
        """Date payloads back, given by key and state, each if it is not."""
        return await self._change(self._table.put_aside, rows)

    async def restore(self, rows: Sequence[tuple[str, str]]) -> list[Change]:
        """Date payloads to now, each if it is dated back."""
        return await self._change(self._table.restore, rows)

    async def delete(self, rows: Sequence[tuple[str, str]]) -> list[Change]:
        """Delete payloads, each if it is dated back."""
        return await self._change(self._table.delete, rows)

    async def _change(self, statement: str, rows: Sequence[tuple[str, str]]) -> list[Change]:
        async def change(batch: Sequence[tuple[str, str]]) -> list[Change]:
            keys, states = map(list, zip(*batch, strict=True))
            try:
                async with self._connections.one() as connection:
                    cursor = await connection.execute(statement, (keys, states))
                    found = {key: (done, there) for key, done, there in await cursor.fetchall()}
            except StorageUnavailableError:
                return ["unknown"] * len(batch)
            return [_outcome(*found[key]) for key in keys]

        return await change_batches(change, rows, BATCH, self._connections.size)


def _outcome(done: bool, there: bool) -> Change:  # as the database says it
    if done:
        return "done"
    return "changed" if there else "gone"


class PostgresState:
    """The files of a collector, in the table; see `temporal_payloads.plugin.StateStore`.

    Args:
        connections: To the database.
        table: A table whose payloads do not expire.
    """

    def __init__(self, connections: Connections, table: Table) -> None:
        self._connections = connections
        self._table = table

    async def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None if there is none."""
        async with self._connections.one() as connection:
            cursor = await connection.execute(self._table.read_file, (_FILES + name,), binary=True)
            parts = [part for (part,) in await cursor.fetchall()]
        return b"".join(parts) if parts else None

    async def write(self, name: str, data: bytes) -> None:
        """Write a file as a whole, over one that is there."""
        key = _FILES + name
        starts = range(0, len(data) or 1, _FILE_PART)
        async with self._connections.one() as connection, connection.transaction():
            await connection.execute(
                "SELECT set_config('idle_in_transaction_session_timeout', %b, true)",
                (connection.statement_milliseconds,),
            )
            for number, start in enumerate(starts):
                part = data[start : start + _FILE_PART]
                await connection.execute(self._table.write_file, (key, number, part))
            await connection.execute(self._table.cut_file, (key, len(starts)))

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with this, sorted."""
        first = _FILES + prefix
        async with self._connections.one() as connection:
            cursor = await connection.execute(self._table.list_files, (first, _end_of(first)))
            return sorted(key.removeprefix(_FILES) for (key,) in await cursor.fetchall())

    async def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        async with self._connections.one() as connection:
            await connection.execute(self._table.cut_file, (_FILES + name, 0))


def _end_of(prefix: str) -> str:
    """Return the first text, by its bytes, after all that begin with this."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
