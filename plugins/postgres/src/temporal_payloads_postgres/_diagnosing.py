"""What `temporal-payloads check` finds of a database: rights, clock, settings by which payloads are lost."""

# ruff: noqa: S608 - a table's names are of letters, digits and underscores: see the settings

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from temporal_payloads.plugin import COLLECTOR, READERS, WRITERS, Diagnosis

from temporal_payloads_postgres._psycopg import psycopg

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from temporal_payloads.plugin import Finding

    from temporal_payloads_postgres._connections import Connection
    from temporal_payloads_postgres._errors import Origin
    from temporal_payloads_postgres._table import Table

NEEDED_BY = {"SELECT": READERS, "INSERT": WRITERS, "UPDATE": WRITERS, "DELETE": COLLECTOR}
_DURABLE = {
    "fsync": "what was stored may be lost, or the whole database damaged, when the machine fails",
    "full_page_writes": "the database may be damaged when the machine fails",
    "synchronous_commit": "what was stored in the last second may be lost when the server fails, though its "
    "reference is in a history",
}
"""Settings that must not be off, and why."""


@dataclass
class TableDiagnosis(Diagnosis):
    """Looks at the table, the role and the server.

    Args:
        connection: To the database.
        table: The table.
        ttl: After how long its payloads expire; None: never.
        origin: How findings call the server and its settings.
        written: The keys of what was stored for this check.
    """

    connection: Connection
    table: Table
    ttl: timedelta | None
    origin: Origin
    written: Sequence[str]

    async def run(self) -> list[Finding]:
        """Return what is found."""
        await self._clock()
        await self._rights()
        await self._durability()
        if self.ttl is not None:
            await self._partitions()
        await self._clean_up()
        return self.findings

    async def _clock(self) -> None:
        asked = self.context.now()
        theirs = await self._one("SELECT clock_timestamp()")
        self.findings.append(
            self.context.clock(theirs, asked=asked, answered=self.context.now(), place=self.place)
        )

    async def _rights(self) -> None:
        for privilege, needed_by in NEEDED_BY.items():
            has = await self._one("SELECT has_table_privilege(%s, %s)", self.table.qualified, privilege)
            self.permission(privilege, has, needed_by, place=self._role)
        role, superuser = await self._row(
            "SELECT rolname, rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        may_empty = await self._one("SELECT has_table_privilege(%s, 'TRUNCATE')", self.table.qualified)
        if superuser:
            self.found(
                "warning",
                "least privilege",
                f"The role {role!r} is a superuser: whoever gets at this process's password owns the server",
                f"Use a role that may do no more than {', '.join(self._needed())} on {self.origin.table}",
                place=self._role,
            )
        elif may_empty and self.context.use != "collector":
            self.found(
                "warning",
                "least privilege",
                f"The role {role!r} may empty the table {self.origin.table} (it owns it, or has TRUNCATE)",
                f"Let another role own it, and grant {', '.join(self._needed())} to this one",
                place=self._role,
            )
        else:
            told = (
                "may empty the table, as a collector may by DELETE" if may_empty else "does not own the table"
            )
            self.found("ok", "least privilege", f"the role {role!r} {told}", place=self._role)

    def how_to_grant(self, permission: str) -> str:
        """Return how a role is given a privilege."""
        return f"GRANT {permission} ON {self.origin.table}, or use another role"

    def _needed(self) -> list[str]:
        return [name for name, uses in NEEDED_BY.items() if self.context.use in uses]

    async def _durability(self) -> None:
        off = [name for name in _DURABLE if await self._one("SELECT current_setting(%s)", name) == "off"]
        for name in off:
            self.found(
                "warning", "durability", f"{name} is off on the server: {_DURABLE[name]}", f"Set {name} = on"
            )
        if not off:
            self.found("ok", "durability", "what is stored has been flushed to the server's disk")

    async def _partitions(self) -> None:
        """Look whether there are partitions for the days to come."""
        tomorrow = await self._one(
            "SELECT to_regclass(%s || to_char((now() AT TIME ZONE 'UTC')::date + 1, 'YYYYMMDD') || '\"') "
            "IS NOT NULL",
            self.table.named("_").removesuffix('"'),
        )
        if tomorrow:
            self.found("ok", "partitions", "there is one for tomorrow")
            return
        self.found(
            "warning",
            "partitions",
            "There is no partition for tomorrow: payloads then go into the default one, from which what has "
            "expired is deleted row by row",
            f"Run temporal-payloads postgres maintain --driver {self.origin.key} every day",
        )

    async def _clean_up(self) -> None:
        if not self.written:
            return
        left: Sequence[str] = ()
        try:
            async with self.connection.transaction():
                await self.connection.execute(
                    f"DELETE FROM {self.table.qualified} WHERE key = ANY(%s::text[])", (list(self.written),)
                )
        except psycopg.errors.InsufficientPrivilege:
            left = self.written
        self.cleaned_up(left, self.origin.table, "Delete it with another role, or leave it to gc")

    async def _row(self, statement: str, *values: Any) -> tuple[Any, ...]:
        cursor = await self.connection.execute(statement, values)
        row = await cursor.fetchone()
        assert row is not None  # none of the statements finds nothing
        found: tuple[Any, ...] = row
        return found

    async def _one(self, statement: str, *values: Any) -> Any:
        (value,) = await self._row(statement, *values)
        return value

    @property
    def _role(self) -> str:
        return self.origin.setting("user")
