"""The storage driver: payloads under content-addressed keys in a table of PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporal_payloads.plugin import (
    DEFAULT_MAX_PAYLOAD_SIZE,
    CollectableDriver,
    ContentAddressedDriver,
    ListedPage,
    StorageMisconfiguredError,
    StorageUnavailableError,
    gather_bounded,
    probe_conditions,
    run_off_loop,
)

from temporal_payloads_postgres._checking import (
    NEEDED,
    NEEDED_TO_COLLECT,
    NEEDED_TO_READ,
    check_table,
    require_expiry,
)
from temporal_payloads_postgres._collecting import Collecting, PostgresState
from temporal_payloads_postgres._diagnosing import TableDiagnosis
from temporal_payloads_postgres._table import LAYOUT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
    from datetime import timedelta

    from temporal_payloads.plugin import Change, DiagnosisContext, Finding, ListedPayload

    from temporal_payloads_postgres._collecting import Row
    from temporal_payloads_postgres._connections import Connections
    from temporal_payloads_postgres._table import Table

DRIVER_TYPE = "postgres"
PART_BYTES = 1024 * 1024
"""Bytes in one statement, and in one row."""
STATEMENT_ROWS = 256
"""Payloads in one statement."""

Part = tuple[str, int, int]
"""What is known of a part of a payload before it is fetched: key, number, size."""


class PostgresStorageDriver(ContentAddressedDriver, CollectableDriver):
    """Stores Temporal payloads in a table.

    Equal payloads of one workflow or activity are stored once. What one call stores is in several
    transactions, each of about a megabyte, or of one payload.

    Args:
        connections: To the database; the caller closes them.
        table: The table.
        driver_name: The name recorded in references.
        ttl: After how long the table's payloads expire; None: never.
        retrieve_only: Whether the check asks for no right to write.
        max_payload_size: Largest serialized payload in bytes that is stored.
    """

    def __init__(
        self,
        connections: Connections,
        table: Table,
        *,
        driver_name: str = DRIVER_TYPE,
        ttl: timedelta | None = None,
        retrieve_only: bool = False,
        max_payload_size: int = DEFAULT_MAX_PAYLOAD_SIZE,
    ) -> None:
        super().__init__(driver_name=driver_name, layout=LAYOUT, max_payload_size=max_payload_size)
        self._connections = connections
        self._table = table
        self._ttl = ttl
        self._retrieve_only = retrieve_only
        self._collecting = Collecting(connections, table)
        self._expires = False

    def type(self) -> str:
        """Return the driver type."""
        return DRIVER_TYPE

    async def write(self, items: Mapping[str, bytes]) -> None:
        """Write each value under its key, unless the key is there already."""
        await gather_bounded(self._write, list(_batches(items)), self._connections.size)

    async def _write(self, batch: dict[str, bytes]) -> None:
        async with self._connections.one() as connection:
            if sum(map(len, batch.values())) <= PART_BYTES:
                await connection.execute(self._table.insert_many, (list(batch), list(batch.values())))
                return
            ((key, data),) = batch.items()
            parts = memoryview(data)
            async with connection.transaction():
                first = (key, bytes(parts[:PART_BYTES]), connection.statement_milliseconds)
                cursor = await connection.execute(self._table.insert_first, first)
                row = await cursor.fetchone()
                if row is None or not row[0]:
                    return  # it is there, and so is the rest
                for number, start in enumerate(range(PART_BYTES, len(data), PART_BYTES), 1):
                    part = bytes(parts[start : start + PART_BYTES])
                    await connection.execute(self._table.insert_next, (key, number, part))

    async def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value under each key, None where there is none."""
        found: dict[str, dict[int, bytes]] = {key: {} for key in keys}
        some = [keys[start : start + STATEMENT_ROWS] for start in range(0, len(keys), STATEMENT_ROWS)]

        def take(key: str, part: int, data: bytes) -> None:
            if key not in found:
                # Damaged on its way. What was asked for must not look as if it had expired.
                raise StorageUnavailableError("The PostgreSQL server answered with what was not asked for")
            found[key][part] = data

        async def look(wanted: Sequence[str]) -> list[Part]:
            async with self._connections.one() as connection:
                cursor = await connection.execute(self._table.look, (PART_BYTES, list(wanted)), binary=True)
                rest: list[Part] = []
                async for key, part, size, data in cursor:
                    if data is None:
                        rest.append((key, part, size))
                    else:
                        take(key, part, data)
            return rest

        async def fetch(parts: list[Part]) -> None:
            wanted = list(dict.fromkeys(key for key, _, _ in parts))
            bounds = (*parts[0][:2], *parts[-1][:2])
            async with self._connections.one() as connection:
                cursor = await connection.execute(self._table.fetch, (wanted, *bounds), binary=True)
                async for key, part, data in cursor:
                    take(key, part, data)

        rest = await gather_bounded(look, some, self._connections.size) if some else []
        batches = [batch for parts in rest for batch in _part_batches(parts)]
        if batches:
            await gather_bounded(fetch, batches, self._connections.size)
        if self._ttl is not None and not all(found.values()):
            # Core takes it as expired, which is final. A ttl that was set by mistake must not end a workflow.
            await self._require_expiry()
        size = sum(len(part) for parts in found.values() for part in parts.values())
        return await run_off_loop(lambda: [_joined(found[key]) for key in keys], size)

    async def check(self) -> None:
        """Raise a `StorageError` unless payloads can be stored in the table and read from it."""
        await self._check(NEEDED_TO_READ if self._retrieve_only else NEEDED)

    async def _check(self, needed: Sequence[str]) -> None:
        async with self._connections.one() as connection:
            await check_table(connection, self._table, self._ttl, self._connections.origin, needed)

    # -- what a collector asks for

    def shards(self, namespaces: Sequence[str | None]) -> Sequence[str]:
        """Return what the keys of these namespaces begin with."""
        return LAYOUT.prefixes(namespaces)

    async def list_payloads(self, shard: str) -> AsyncGenerator[ListedPage, None]:
        """Yield what is there under a prefix, in the order of the keys, with a statement for each page."""
        async for rows in self._collecting.pages(shard):
            payloads = [one for row in rows if (one := self._listed(row))]
            yield ListedPage(payloads=payloads, others=len(rows) - len(payloads))

    def _listed(self, row: Row) -> ListedPayload | None:
        return self.listed(row.key, size=row.size, tag=row.state, stored=row.stored, aside=row.is_aside)

    async def probe(self) -> None:
        """Make sure that the role may delete, and that the table does as it is told.

        Raises:
            StorageError: Why nothing may be deleted.
        """

        async def look(key: str) -> ListedPayload | None:
            row = await self._collecting.look(key)
            return None if row is None else self._listed(row)

        await self._check(NEEDED_TO_COLLECT)
        await probe_conditions(self, look)

    async def put_aside(self, payloads: Sequence[ListedPayload], *, grace: timedelta) -> list[Change]:
        """Date payloads back, by which they are aside. They can be read all the same."""
        del grace
        return await self._collecting.put_aside(self._rows(payloads))

    async def restore(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Bring payloads back that are aside."""
        return await self._collecting.restore(self._rows(payloads))

    async def delete(self, payloads: Sequence[ListedPayload]) -> list[Change]:
        """Delete payloads that are aside."""
        return await self._collecting.delete(self._rows(payloads))

    def _rows(self, payloads: Sequence[ListedPayload]) -> list[tuple[str, str]]:
        self._require_collected()
        return [(self.key_of(payload), payload.tag) for payload in payloads]

    def state(self) -> PostgresState:
        """Return where a collector keeps its files: in rows of the table, beside the payloads."""
        self._require_collected()
        return PostgresState(self._connections, self._table)

    def why_not_collected(self) -> str | None:
        """Return why nothing is collected: payloads expire."""
        if self._table.expires:
            return f"its payloads expire: {self._connections.origin.its}ttl is set"
        return None

    def _require_collected(self) -> None:
        if why := self.why_not_collected():
            raise StorageMisconfiguredError(f"Nothing of driver {self.name()!r} is collected: {why}")

    async def diagnose(self, context: DiagnosisContext) -> list[Finding]:
        """Return what is found of the table, the role and the server."""
        written = [claim.claim_data["key"] for claim in context.written]
        origin = self._connections.origin
        async with self._connections.one() as connection:
            return await TableDiagnosis(
                connection,
                self._table,
                self._ttl,
                origin,
                written,
                context=context,
                place=origin.setting("host"),
            ).run()

    async def _require_expiry(self) -> None:
        """Raise a `StorageError` unless the table is one whose payloads expire; asked once."""
        if not self._expires:
            async with self._connections.one() as connection:
                await require_expiry(connection, self._table, self._ttl, self._connections.origin)
            self._expires = True


def _batches(items: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """Divide what is to be written into what goes in one transaction.

    In the order of the keys: two writers that insert the same ones wait for each other, and never both.
    """
    batch: dict[str, bytes] = {}
    size = 0
    for key in sorted(items):
        data = items[key]
        if batch and (size + len(data) > PART_BYTES or len(batch) == STATEMENT_ROWS):
            yield batch
            batch, size = {}, 0
        batch[key] = data
        size += len(data)
    if batch:
        yield batch


def _part_batches(parts: Sequence[Part]) -> Iterator[list[Part]]:
    batch: list[Part] = []
    size = 0
    for part in parts:
        if batch and size + part[2] > PART_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(part)
        size += part[2]
    if batch:
        yield batch


def _joined(parts: Mapping[int, bytes]) -> bytes | None:
    if len(parts) > 1:
        return b"".join(parts[number] for number in sorted(parts))
    return parts.get(0)
