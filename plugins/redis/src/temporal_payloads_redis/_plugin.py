"""The entry point `redis` of temporal-payloads. Nothing here imports `redis` before a driver is opened."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from temporal_payloads.plugin import DriverPlugin, hookimpl

from temporal_payloads_redis._driver import DRIVER_TYPE, RedisStorageDriver
from temporal_payloads_redis._keys import key_layout
from temporal_payloads_redis._settings import RedisSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from temporal_payloads.plugin import ConfinedClaim, DriverContext
    from temporalio.converter import StorageDriverClaim


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[RedisSettings]:
    """Describe the Redis driver."""
    return DriverPlugin(
        api_version=1,
        settings=RedisSettings,
        driver_type=DRIVER_TYPE,
        driver_name=DRIVER_TYPE,
        identity=_identity,
        open=_open,
        imports=("temporal_payloads_redis._connect",),
        confine=_confine,
        expiry=_expiry,
        retries=True,
        destination=("url", "host", "port", "sentinel.hosts", "cluster"),
    )


@asynccontextmanager
async def _open(settings: RedisSettings, context: DriverContext) -> AsyncIterator[RedisStorageDriver]:
    from temporal_payloads_redis._connect import open_client  # noqa: PLC0415  # imports redis

    async with open_client(settings, context) as client:
        yield RedisStorageDriver(
            client,
            driver_name=context.name,
            key_prefix=settings.key_prefix,
            ttl=settings.ttl,
            refresh_ttl=settings.refresh_ttl,
            max_payload_size=settings.max_payload_size,
        )


def _confine(settings: RedisSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    return key_layout(settings.key_prefix).confine(claim)


def _expiry(settings: RedisSettings) -> timedelta | None:
    return settings.ttl


def _identity(settings: RedisSettings) -> dict[str, object]:
    user, _ = settings.login
    return {
        "nodes": sorted(settings.nodes),
        "service_name": settings.sentinel and settings.sentinel.service_name,
        "database": settings.database_number,
        "user": user,
        "key_prefix": settings.key_prefix,
    }
