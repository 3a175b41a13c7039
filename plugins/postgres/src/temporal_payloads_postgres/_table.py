"""The table: what it is called, and the statements that write and read it.

A payload is one row for each megabyte: in one piece, tens of megabytes would stand in the way of the event
loop. A writer puts them in within one transaction, so that a reader finds all of them or none.
"""

# ruff: noqa: S608 - a table's names are of letters, digits and underscores: see the settings

from __future__ import annotations

from dataclasses import dataclass

from temporal_payloads.plugin import KeyLayout

LAYOUT = KeyLayout(max_length=2048)
"""An entry of a PostgreSQL index has 2,700 bytes at most."""
VERSION = 1
"""Of the table's structure; the database says which one it has."""
TOUCHED_EVERY = "1 hour"
"""A payload that is stored again is marked as wanted once in this time: else it would grow the table."""


@dataclass(frozen=True)
class Table:
    """A table of payloads. Both names are of letters, digits and underscores: see the settings."""

    schema: str
    name: str
    expires: bool
    """Whether it has a partition for each day."""

    @property
    def qualified(self) -> str:
        """The name in a statement."""
        return self.named("")

    @property
    def version(self) -> str:
        """The name, in a statement, of the table that says what this one is like."""
        return self.named("_version")

    def named(self, suffix: str) -> str:
        """Return the name, in a statement, of what belongs to the table."""
        return f'"{self.schema}"."{self.name}{suffix}"'

    @property
    def insert_many(self) -> str:
        """Insert payloads of one part each: keys, data."""
        return (
            f"INSERT INTO {self.qualified} AS kept (key, part, data) "
            "SELECT new.key, 0, new.data FROM unnest(%b::text[], %b::bytea[]) AS new (key, data) "
            f"{self._kept}"
        )

    @property
    def insert_first(self) -> str:
        """Insert the first part of a payload: key, data, milliseconds. Returns true if it was not there.

        The server ends the transaction if it hears nothing for so long: else a writer that vanished would
        stand in the way of whoever stores the same payload.
        """
        # A row that was updated has the updating transaction as its xmax.
        new = "true" if self.expires else "xmax = 0"
        return (
            f"INSERT INTO {self.qualified} AS kept (key, part, data) VALUES (%b, 0, %b) {self._kept} "
            f"RETURNING {new}, set_config('idle_in_transaction_session_timeout', %b, true)"
        )

    @property
    def insert_next(self) -> str:
        """Insert another part of a payload: key, part, data."""
        return f"INSERT INTO {self.qualified} (key, part, data) VALUES (%b, %b, %b) ON CONFLICT DO NOTHING"

    @property
    def _kept(self) -> str:
        if self.expires:
            return "ON CONFLICT DO NOTHING"  # of today: it will live as long as if it were stored now
        # Whoever collects garbage may have marked it as unwanted ('-infinity'): that ends here.
        return (
            "ON CONFLICT (key, part) DO UPDATE SET touched = now() "
            f"WHERE kept.touched < now() - interval '{TOUCHED_EVERY}'"
        )

    @property
    def look(self) -> str:
        """Find the parts of payloads: bytes, keys. Those beyond so many bytes come without their data.

        Returns key, part, size, data or null; in the order of key and part.
        """
        return (
            "SELECT key, part, size, CASE WHEN upto <= %b OR upto = size THEN data END FROM "
            "(SELECT key, part, octet_length(data) AS size, data, "
            "sum(octet_length(data)) OVER (ORDER BY key, part)::bigint AS upto "
            f"FROM {self._distinct('key = ANY(%b::text[])')}) AS found ORDER BY key, part"
        )

    @property
    def fetch(self) -> str:
        """Read the parts of payloads from one to another: keys, first key, its part, last key, its part."""
        within = "key = ANY(%b::text[]) AND (key, part) >= (%b::text, %b) AND (key, part) <= (%b::text, %b)"
        return f"SELECT key, part, data FROM {self._distinct(within)} ORDER BY key, part"

    def _distinct(self, condition: str) -> str:
        # What was stored on several days is there as often, each time with the same bytes.
        distinct = "DISTINCT ON (key, part) " if self.expires else ""
        order = " ORDER BY key, part" if self.expires else ""
        return f"(SELECT {distinct}key, part, data FROM {self.qualified} WHERE {condition}{order}) AS kept"
