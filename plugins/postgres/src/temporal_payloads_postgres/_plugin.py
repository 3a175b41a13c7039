"""The entry point `postgres` of temporal-payloads; `psycopg` is imported when a driver is opened."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from temporal_payloads.plugin import DriverPlugin, hookimpl

from temporal_payloads_postgres._settings import PostgresSettings
from temporal_payloads_postgres._table import LAYOUT, Table

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from temporal_payloads.plugin import ConfinedClaim, DriverContext
    from temporalio.converter import StorageDriver, StorageDriverClaim


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[PostgresSettings]:
    """Describe the PostgreSQL driver."""
    return DriverPlugin(
        api_version=1,
        settings=PostgresSettings,
        driver_type="postgres",
        driver_name="postgres",
        identity=_identity,
        open=_open,
        imports=("temporal_payloads_postgres._connect",),
        confine=_confine,
        expiry=_expiry,
        destination=("url", "host", "port"),
        ambient_credentials=(
            "PGPASSWORD",
            "PGPASSFILE",
            "PGSERVICEFILE",
            "PGSSLCERT",
            "PGSSLKEY",
        ),
    )


@asynccontextmanager
async def _open(settings: PostgresSettings, context: DriverContext) -> AsyncIterator[StorageDriver]:
    from temporal_payloads_postgres._connect import open_connections  # noqa: PLC0415  # imports psycopg
    from temporal_payloads_postgres._driver import PostgresStorageDriver  # noqa: PLC0415  # likewise

    async with open_connections(settings, context.place) as connections:
        yield PostgresStorageDriver(
            connections,
            Table(*settings.schema_and_table, expires=settings.ttl is not None),
            driver_name=context.name,
            ttl=settings.ttl,
            retrieve_only=context.retrieve_only,
            max_payload_size=settings.max_payload_size,
        )


def _confine(_: PostgresSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    return LAYOUT.confine(claim)


def _expiry(settings: PostgresSettings) -> timedelta | None:
    return settings.ttl


def _identity(settings: PostgresSettings) -> dict[str, object]:
    user, _ = settings.login
    return {
        "hosts": sorted(settings.hosts),
        "database": settings.database_name,
        "user": user,
        "table": settings.table,
    }
