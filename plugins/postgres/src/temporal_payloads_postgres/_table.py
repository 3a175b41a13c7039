"""The table: what it is called, and the statements that write and read it.

A payload is one row for each megabyte: in one piece, tens of megabytes would stand in the way of the event
loop. A writer puts them in within one transaction, so that a reader finds all of them or none.
"""

# ruff: noqa: S608 - a table's names are of letters, digits and underscores: see the settings

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporal_payloads.plugin import KeyLayout

LAYOUT = KeyLayout(max_length=2048)
"""An entry of a PostgreSQL index has 2,700 bytes at most."""
VERSION = 1
"""Of the table's structure; the database says which one it has."""
CENTURIES = timedelta(days=365_250)
"""By so much a payload that is put aside is dated back. To writers of every release it is one that nobody has
stored for long, and they touch it."""
_BACK = f"interval '{CENTURIES.total_seconds():.0f} seconds'"
_ASIDE = "kept.touched < '1900-01-01 00:00:00+00'"
_STATE = "extract(epoch FROM kept.touched)::text"
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
        # What is put aside was touched centuries ago: that ends here.
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

    # -- what a collector asks for

    def _listing(self, which: str) -> str:
        """List payloads with such keys, in their order, at most so many (the last value).

        Returns key, bytes, and the state: when it was touched, in seconds since 1970.
        """
        if self.expires:
            columns, group = "max(octet_length(data)) AS size, max(stored_on) AS time", " GROUP BY key, part"
        else:
            columns, group = "octet_length(data) AS size, touched AS time", ""
        return (
            "SELECT key, sum(size)::bigint, max(extract(epoch FROM time)) FILTER (WHERE part = 0)::text FROM "
            f"(SELECT key, part, {columns} FROM {self.qualified} WHERE {which}{group}) AS parts "
            "GROUP BY key ORDER BY key LIMIT %b"
        )

    @property
    def list_after(self) -> str:
        """List payloads with keys between two: the one before the first, the one after the last, a number."""
        return self._listing("key > %b AND key < %b")

    @property
    def list_one(self) -> str:
        """List the payload with this key: key, a number."""
        return self._listing("key = %b")

    @property
    def put_aside(self) -> str:
        """Put payloads aside; see `_change`."""
        return self._change(
            f"NOT {_ASIDE}", f"UPDATE {self.qualified} AS kept SET touched = now() - {_BACK} FROM listed"
        )

    @property
    def restore(self) -> str:
        """Bring payloads back; see `_change`."""
        return self._change(_ASIDE, f"UPDATE {self.qualified} AS kept SET touched = now() FROM listed")

    @property
    def delete(self) -> str:
        """Delete payloads, with all of their parts; see `_change`."""
        return self._change(_ASIDE, f"DELETE FROM {self.qualified} AS kept USING listed", parts="")

    def _change(self, condition: str, change: str, parts: str = "AND kept.part = 0") -> str:
        """Change payloads that are still as they were listed: keys, states.

        Returns each key, whether it was changed, and whether it was there. Rows are locked in the order of
        their keys, as writers lock them, and looked at again once they are locked.
        """
        return (
            "WITH wanted AS (SELECT * FROM unnest(%b::text[], %b::text[]) AS wanted (key, state)), "
            f"listed AS (SELECT kept.key FROM {self.qualified} AS kept JOIN wanted ON wanted.key = kept.key "
            f"WHERE kept.part = 0 AND {_STATE} = wanted.state AND {condition} "
            "ORDER BY kept.key FOR UPDATE OF kept), "
            f"changed AS ({change} WHERE kept.key = listed.key {parts} RETURNING kept.key) "
            "SELECT wanted.key, wanted.key IN (SELECT key FROM changed), "
            f"EXISTS (SELECT FROM {self.qualified} AS kept WHERE kept.key = wanted.key) FROM wanted"
        )

    @property
    def write_file(self) -> str:
        """Write a part of a collector's file, over one that is there: key, part, data."""
        return (
            f"INSERT INTO {self.qualified} (key, part, data) VALUES (%b, %b, %b) "
            "ON CONFLICT (key, part) DO UPDATE SET data = excluded.data"
        )

    @property
    def cut_file(self) -> str:
        """Remove the parts of a collector's file from one on: key, part."""
        return f"DELETE FROM {self.qualified} WHERE key = %b AND part >= %b"

    @property
    def read_file(self) -> str:
        """Read the parts of a collector's file: key."""
        return f"SELECT data FROM {self.qualified} WHERE key = %b ORDER BY part"

    @property
    def list_files(self) -> str:
        """List the keys of a collector's files between two: the first, the one after the last."""
        return f"SELECT key FROM {self.qualified} WHERE part = 0 AND key >= %b AND key < %b"

    def _distinct(self, condition: str) -> str:
        # What was stored on several days is there as often, each time with the same bytes.
        distinct = "DISTINCT ON (key, part) " if self.expires else ""
        order = " ORDER BY key, part" if self.expires else ""
        return f"(SELECT {distinct}key, part, data FROM {self.qualified} WHERE {condition}{order}) AS kept"
