"""Whether the table is there, is of our version and kind, and lets us in."""

# ruff: noqa: S608 - a table's names are of letters, digits and underscores: see the settings

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from temporal_payloads.plugin import StorageMisconfiguredError, StoragePermissionError

from temporal_payloads_postgres._table import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from temporal_payloads_postgres._connections import Connection
    from temporal_payloads_postgres._errors import Origin
    from temporal_payloads_postgres._table import Table

NEEDED = ("SELECT", "INSERT", "UPDATE")
NEEDED_TO_READ = ("SELECT",)
NEEDED_TO_COLLECT = (*NEEDED, "DELETE")


@dataclass(frozen=True)
class Found:
    """What the database says of the table."""

    version: int
    """0 if there is no table."""
    ttl: timedelta | None = None


async def look_at(connection: Connection, table: Table) -> Found:
    """Return what the database says of the table."""
    cursor = await connection.execute("SELECT to_regclass(%s) IS NULL", (table.version,))
    if await cursor.fetchone() == (True,):
        return Found(0)
    # As a number: an interval's text depends on the session's settings.
    cursor = await connection.execute(f"SELECT version, extract(epoch FROM ttl)::bigint FROM {table.version}")
    row = await cursor.fetchone()
    if row is None:
        return Found(0)
    version, seconds = row
    return Found(version, None if seconds is None else timedelta(seconds=seconds))


async def check_table(
    connection: Connection,
    table: Table,
    ttl: timedelta | None,
    origin: Origin,
    needed: Sequence[str] = NEEDED,
) -> None:
    """Raise a `StorageError` unless the table is as it should be, and lets us in.

    Args:
        connection: To the database.
        table: The table.
        ttl: What the settings say.
        origin: How errors call the server and its settings.
        needed: What the role must be allowed.
    """
    found = await look_at(connection, table)
    if problem := difference(found, ttl, origin):
        raise StorageMisconfiguredError(problem)
    privileges = ", ".join(f"has_table_privilege(%s, '{privilege}')" for privilege in needed)
    cursor = await connection.execute(f"SELECT {privileges}", (table.qualified,) * len(needed))
    row = await cursor.fetchone()
    lacking = [privilege for privilege, has in zip(needed, row or (), strict=True) if not has]
    if lacking:
        raise StoragePermissionError(
            f"The role in {origin.setting('user')} lacks {' and '.join(lacking)} on the table {origin.table} "
            f"in {origin.server}: GRANT {', '.join(lacking)} ON {origin.table}. Where payloads are only "
            f"read, as by a codec server, SELECT is enough: set {origin.its}retrieve_only = true"
        )


async def require_expiry(connection: Connection, table: Table, ttl: timedelta | None, origin: Origin) -> None:
    """Raise a `StorageError` unless the database too says that the table's payloads expire."""
    found = await look_at(connection, table)
    if found.ttl is None:
        raise StorageMisconfiguredError(difference(found, ttl, origin) or "")


def difference(found: Found, ttl: timedelta | None, origin: Origin) -> str | None:
    """Return how the table differs from what these settings need, or None if it does not."""
    init = f"temporal-payloads postgres init --driver {origin.key}"
    if found.version == 0:
        return (
            f"The PostgreSQL database {origin.server} has no table {origin.table} that {init} has made: run "
            f"it, or check {origin.its}table"
        )
    if found.version < VERSION:
        return (
            f"The table {origin.table} in {origin.server} is of version {found.version}, and {VERSION} is "
            f"needed: run {init}"
        )
    if found.version > VERSION:
        return (
            f"The table {origin.table} in {origin.server} is of version {found.version}, newer than this "
            "temporal-payloads-postgres: update it"
        )
    if (found.ttl is None) != (ttl is None):
        return (
            f"The table {origin.table} in {origin.server} was made "
            f"{'without' if found.ttl is None else 'with'} a ttl, and {origin.its}ttl is "
            f"{'not ' if ttl is None else ''}set. A table stays what it was made as: set another "
            f"{origin.its}table and run {init}; the old one can be read as a driver of its own, with "
            "retrieve_only = true"
        )
    if found.ttl != ttl:
        return (
            f"Payloads in the table {origin.table} in {origin.server} are kept for {found.ttl}, and "
            f"{origin.its}ttl says {ttl}: correct it, or run {init} to change the table's"
        )
    return None
