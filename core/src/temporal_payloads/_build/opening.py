"""The drivers of a converter and what else has a client, opened and closed together."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._storage.errors import StorageUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta

logger = logging.getLogger("temporal_payloads")


class Openable(Protocol):
    """What has a client that is opened once per event loop: a driver, a key provider."""

    def kept_open(self, *, check: bool = False) -> AbstractAsyncContextManager[None]:
        """Keep this loop's client open, and ask its server whether it can be used."""


async def import_in_thread(modules: Collection[str]) -> None:
    """Import modules without stalling the event loop: a client library can take a second."""
    if any(module not in sys.modules for module in modules):
        await asyncio.to_thread(lambda: [importlib.import_module(module) for module in modules])


@asynccontextmanager
async def all_open(
    drivers: Collection[Openable],
    *,
    check: bool,
    optional: Collection[Openable],
    replaceable: Collection[Openable],
    closing_timeout: timedelta,
) -> AsyncIterator[None]:
    """Keep the drivers open in this event loop. Several stores that are down cost the time of one.

    Args:
        drivers: Which ones; they are opened, and in the end closed, all at once.
        check: Also ask each store whether it is there and lets us in.
        optional: Those of the drivers that may fail: that is logged, and they are opened at their first use.
        replaceable: Those whose stores may be out of reach, likewise. All else has to be corrected first.
        closing_timeout: How long closing may take. After that, or when it fails, it is logged and left.

    Raises:
        StorageError: Why the first of the drivers cannot be used; its notes tell of the others.
    """
    opened: list[tuple[Openable, AbstractAsyncContextManager[None]]] = []

    async def open_one(driver: Openable) -> Exception | None:
        hold = driver.kept_open(check=check)
        try:
            await hold.__aenter__()
        except Exception as error:  # noqa: BLE001  # told with the others', by whoever asked
            away = isinstance(error, StorageUnavailableError) and driver in replaceable
            if driver not in optional and not away:
                return error
            logger.warning("%r cannot be used now, and is tried again when it is needed: %s", driver, error)
        else:
            opened.append((driver, hold))
        return None

    async def close_one(one: tuple[Openable, AbstractAsyncContextManager[None]]) -> None:
        driver, hold = one
        try:
            async with asyncio.timeout(closing_timeout.total_seconds()):
                await hold.__aexit__(None, None, None)
        except Exception as error:  # noqa: BLE001  # what is done with a driver cannot fail any more by its closing
            logger.warning("%r was not closed properly: %s: %s", driver, type(error).__name__, error)

    try:
        failures = await gather_bounded(open_one, list(drivers), limit=len(drivers))
        _raise_first(dict(zip(drivers, failures, strict=True)))
        yield
    finally:
        await gather_bounded(close_one, opened, limit=len(opened))


def _raise_first(failures: dict[Openable, Exception | None]) -> None:
    failed = [(driver, error) for driver, error in failures.items() if error is not None]
    if not failed:
        return
    (_, first), *others = failed
    for driver, error in others:
        note = f"Also, {driver!r}: {error}"
        # Workers that start together share one failure.
        if note not in getattr(first, "__notes__", ()):
            first.add_note(note)
    raise first
