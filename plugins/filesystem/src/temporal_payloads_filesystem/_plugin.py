"""The entry point `filesystem` of temporal-payloads. No directory is looked at before a driver is used."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from temporal_payloads.plugin import DriverPlugin, hookimpl

from temporal_payloads_filesystem._driver import DRIVER_TYPE, THREADS, FilesystemStorageDriver
from temporal_payloads_filesystem._paths import LAYOUT
from temporal_payloads_filesystem._settings import FilesystemSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from temporal_payloads.plugin import ConfinedClaim, DriverContext
    from temporalio.converter import StorageDriverClaim


@hookimpl
def temporal_payloads_driver() -> DriverPlugin[FilesystemSettings]:
    """Describe the filesystem driver."""
    return DriverPlugin(
        api_version=1,
        settings=FilesystemSettings,
        driver_type=DRIVER_TYPE,
        driver_name=DRIVER_TYPE,
        identity=_identity,
        open=_open,
        confine=_confine,
    )


@asynccontextmanager
async def _open(
    settings: FilesystemSettings, context: DriverContext
) -> AsyncIterator[FilesystemStorageDriver]:
    driver = FilesystemStorageDriver(
        settings.directory,
        driver_name=context.name,
        create=settings.may_create and not context.retrieve_only,
        retrieve_only=context.retrieve_only,
        mode=settings.file_mode,
        max_payload_size=settings.max_payload_size,
        threads=min(context.concurrency, THREADS),
        place=context.place,
    )
    try:
        yield driver
    finally:
        await driver.aclose()


def _confine(settings: FilesystemSettings, claim: StorageDriverClaim) -> ConfinedClaim:
    del settings  # every store has the same keys, and a claim never says where the store is
    return LAYOUT.confine(claim)


def _identity(settings: FilesystemSettings) -> dict[str, object]:
    return {"path": str(settings.directory)}
