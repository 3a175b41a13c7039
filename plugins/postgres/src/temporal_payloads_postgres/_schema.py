"""How the table is made and changed. Nothing here runs by itself: `temporal-payloads postgres` does it."""

# ruff: noqa: S608 - a table's names are of letters, digits and underscores: see the settings

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta

from temporal_payloads_postgres._table import VERSION, Table

DAYS_AHEAD = 30
"""For how many days partitions are made in advance."""
LOCK = "SELECT pg_advisory_xact_lock(hashtext('temporal-payloads postgres init'))"
"""Two that change the table take turns."""

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"
"""While a statement waits for the table, everybody else's wait behind it."""

Migration = Callable[[Table], Sequence[str]]


def _first(table: Table) -> list[str]:
    name = table.qualified
    if table.expires:
        time = "stored_on date NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')::date"
        primary_key, partitioned = "key, part, stored_on", " PARTITION BY RANGE (stored_on)"
    else:
        time = "touched timestamptz NOT NULL DEFAULT now()"
        primary_key, partitioned = "key, part", ""
    statements = [
        f'CREATE SCHEMA IF NOT EXISTS "{table.schema}"',
        (
            f"CREATE TABLE {name} (\n"
            '    key text COLLATE "C" NOT NULL,\n'
            "    part integer NOT NULL,\n"
            f"    {time},\n"
            "    data bytea NOT NULL,\n"
            f"    PRIMARY KEY ({primary_key})\n"
            f"){partitioned}"
        ),
        # Payloads are compressed already, if at all: trying again costs time and gains nothing.
        f"ALTER TABLE {name} ALTER COLUMN data SET STORAGE EXTERNAL",
    ]
    if table.expires:
        # Takes what no other partition takes, so that storing never depends on maintenance.
        statements.append(f"CREATE TABLE {table.named('_default')} PARTITION OF {name} DEFAULT")
    statements.append(f"CREATE TABLE {table.version} (version integer NOT NULL, ttl interval)")
    return statements


MIGRATIONS: Sequence[Migration] = (_first,)
"""Each leads from the version of its index to the next. Version 0 is a database without the table."""
assert len(MIGRATIONS) == VERSION


def migration(table: Table, version: int, ttl: timedelta | None) -> list[str]:
    """Return the statements that lead from a version to the newest one."""
    statements = [statement for step in MIGRATIONS[version:] for statement in step(table)]
    if version == 0:
        return [*statements, f"INSERT INTO {table.version} VALUES ({VERSION}, {_interval(ttl)})"]
    return [*statements, f"UPDATE {table.version} SET version = {VERSION}"]


def change_ttl(table: Table, ttl: timedelta) -> str:
    """Return the statement by which payloads of a table with partitions are kept for longer or shorter."""
    return f"UPDATE {table.version} SET ttl = {_interval(ttl)}"


def new_partition(table: Table, day: date) -> str:
    """Return the statement that makes the partition of a day."""
    partition = table.named(f"_{day:%Y%m%d}")
    bounds = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
    return f"CREATE TABLE {partition} PARTITION OF {table.qualified} FOR VALUES {bounds}"


def _interval(ttl: timedelta | None) -> str:
    return "NULL" if ttl is None else f"interval '{ttl.total_seconds():.0f} seconds'"
