"""psycopg, and our words for where it cannot be imported."""

from __future__ import annotations

from temporal_payloads.plugin import StorageMisconfiguredError

try:
    import psycopg
    import psycopg_pool
    from psycopg import waiting
except ImportError:
    # Its own words are of its three implementations, and of what each of them lacks.
    raise StorageMisconfiguredError(
        "psycopg, the client of the Postgres driver, cannot be imported: it finds no libpq. Run: "
        "pip install 'temporal-payloads-postgres[binary]' (or install the system's libpq)",
        store_asked=False,
    ) from None

__all__ = ["psycopg", "psycopg_pool", "waiting"]
