"""What `temporal-payloads postgres` does to a table: which statements that takes, and running them."""

# ruff: noqa: S608 - a table's names are of letters, digits and underscores: see the settings

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from temporal_payloads.plugin import StorageMisconfiguredError, StoragePermissionError

from temporal_payloads_postgres._checking import Found, difference, look_at
from temporal_payloads_postgres._psycopg import psycopg
from temporal_payloads_postgres._schema import (
    DAYS_AHEAD,
    LOCK,
    LOCK_TIMEOUT,
    change_ttl,
    migration,
    new_partition,
)
from temporal_payloads_postgres._table import VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from temporal_payloads_postgres._connections import Connection, Connections
    from temporal_payloads_postgres._errors import Origin
    from temporal_payloads_postgres._table import Table

_PAGES = 16
"""Of the default partition, in one transaction: some thousand rows at most, each with up to a megabyte."""
_BOUNDS = re.compile(r"FROM \('(\d{4}-\d{2}-\d{2})'\) TO \('(\d{4}-\d{2}-\d{2})'\)")


@dataclass(frozen=True)
class Partition:
    """A part of the table, for the payloads of some days."""

    name: str
    """As in a statement, with its schema: it may have been moved to another."""
    first: date
    end: date
    """The day after its last."""


def initial(table: Table, ttl: timedelta | None, today: date) -> list[str]:
    """Return the statements that make the table in a database that has none."""
    days = range(DAYS_AHEAD + 1) if table.expires else range(0)
    partitions = [new_partition(table, today + timedelta(days=day)) for day in days]
    return [*migration(table, 0, ttl), *partitions]


async def initialise(connections: Connections, table: Table, ttl: timedelta | None) -> list[str]:
    """Make the table, or bring it to our version and `ttl`. Returns the statements that were run.

    Raises:
        StorageMisconfiguredError: It cannot become what the settings say.
    """
    async with _alone(connections) as connection:
        found = await look_at(connection, table)
        if found.version == 0:
            statements = initial(table, ttl, await _today(connection))
        else:
            if found.version > VERSION or (found.ttl is None) != (ttl is None):
                raise StorageMisconfiguredError(difference(found, ttl, connections.origin) or "")
            statements = migration(table, found.version, ttl) if found.version < VERSION else []
            if ttl is not None and ttl != found.ttl:
                statements.append(change_ttl(table, ttl))
        await _run(connection, statements, connections.origin)
        return statements


async def maintain(connections: Connections, table: Table, ttl: timedelta, *, dry: bool = False) -> list[str]:
    """Make partitions for the days to come, and drop those whose payloads have all expired.

    Args:
        connections: To the database.
        table: A table with partitions.
        ttl: What the settings say; what the database says must be the same.
        dry: Run nothing.

    Returns:
        The statements that were run, or would be.

    Raises:
        StorageMisconfiguredError: The table is not as the settings say.
    """
    async with _alone(connections) as connection:
        _require(await look_at(connection, table), ttl, connections.origin)
        today = await _today(connection)
        kept = _first_kept(today, ttl)
        partitions = await _partitions(connection, table)
        days = await _days_in_default(connection, table)
        dropped = [f"DROP TABLE {part.name}" for part in partitions if part.end <= kept]
        if not dry:
            await _run(connection, dropped, connections.origin)
    expired = f"DELETE FROM {table.named('_default')} WHERE stored_on < '{kept}'"
    deleted = [expired] if any(day < kept for day in days) else []
    if deleted and not dry:
        await _delete(connections, table, expired)
    made = [day for day in _missing(today, partitions) if day not in days]
    for day in [] if dry else made:
        # Each by itself: the default partition is locked, and looked through, for each of them.
        async with _alone(connections) as connection:
            if day in _missing(today, await _partitions(connection, table)):
                await _run(connection, [new_partition(table, day)], connections.origin)
    return [*dropped, *deleted, *(new_partition(table, day) for day in made)]


async def _delete(connections: Connections, table: Table, statement: str) -> None:
    """Delete some pages' rows at a time: nobody waits for that, and what is done stays done."""
    async with connections.one() as connection:
        cursor = await connection.execute(
            "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::bigint",
            (table.named("_default"),),
        )
        ((pages,),) = await cursor.fetchall()
        for page in range(0, pages, _PAGES):
            await connection.execute(
                f"{statement} AND ctid >= '({page},0)'::tid AND ctid < '({page + _PAGES},0)'::tid"
            )


def _require(found: Found, ttl: timedelta, origin: Origin) -> None:
    if problem := difference(found, ttl, origin):
        raise StorageMisconfiguredError(problem)


def _missing(today: date, partitions: Sequence[Partition]) -> list[date]:
    """Return the days to come that have no partition. Not today: its payloads may be in the default one."""
    days = [today + timedelta(days=number) for number in range(1, DAYS_AHEAD + 1)]
    return [day for day in days if not any(part.first <= day < part.end for part in partitions)]


def _first_kept(today: date, ttl: timedelta) -> date:
    """Return the first day of which something may not have expired.

    What was stored in the last moment of the day before has lived for ttl, rounded up to whole days. And for
    a day more: a transaction that lasts past midnight is dated by its beginning, and what was stored a short
    time ago is not stored again.
    """
    return today - timedelta(days=-(-ttl // timedelta(days=1)) + 1)


async def _today(connection: Connection) -> date:
    cursor = await connection.execute("SELECT (now() AT TIME ZONE 'UTC')::date")
    row = await cursor.fetchone()
    assert row is not None
    day: date = row[0]
    return day


async def _partitions(connection: Connection, table: Table) -> list[Partition]:
    cursor = await connection.execute(
        "SELECT format('%%I.%%I', nspname, relname), pg_get_expr(relpartbound, part.oid) "
        "FROM pg_class AS part "
        "JOIN pg_namespace AS schema ON schema.oid = relnamespace WHERE part.oid IN "
        "(SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass) ORDER BY relname",
        (table.qualified,),
    )
    found = [(name, _BOUNDS.search(bounds)) for name, bounds in await cursor.fetchall()]
    return [
        Partition(name, date.fromisoformat(bounds[1]), date.fromisoformat(bounds[2]))
        for name, bounds in found
        if bounds
    ]


async def _days_in_default(connection: Connection, table: Table) -> set[date]:
    cursor = await connection.execute(f"SELECT DISTINCT stored_on FROM {table.named('_default')}")
    return {day for (day,) in await cursor.fetchall()}


@asynccontextmanager
async def _alone(connections: Connections) -> AsyncIterator[Connection]:
    async with connections.one() as connection, connection.transaction():
        await connection.execute(LOCK_TIMEOUT)
        await connection.execute("SET LOCAL datestyle = 'ISO'")
        await connection.execute(LOCK)
        yield connection


async def _run(connection: Connection, statements: Sequence[str], origin: Origin) -> None:
    for statement in statements:
        try:
            await connection.execute(statement)
        except psycopg.errors.InsufficientPrivilege as error:
            raise StoragePermissionError(
                f"The role in {origin.setting('user')} may not make or change tables in {origin.server}: "
                f"{error.diag.message_primary}. A new table needs CREATE on the database, for its schema; an "
                "existing one its owner. Name another role for the occasion, in "
                f"{origin.setting('user')} (environment variables come before files), or give a DBA what "
                "--print prints"
            ) from None
