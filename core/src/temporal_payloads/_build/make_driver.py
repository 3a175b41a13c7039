"""From a plugin and its settings to the driver that the SDK gets."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import sys
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from temporal_payloads._storage.cache.payload_cache import shared_cache
from temporal_payloads._plugins.contract import DriverContext
from temporal_payloads._storage.managed_driver import DriverIdentity, ManagedDriver
from temporal_payloads._concurrency.per_loop import PerLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from temporalio.converter import StorageDriver

    from temporal_payloads._plugins.contract import DriverPlugin, StorageEvent
    from temporal_payloads._settings.models import StorageSettings


def make_driver(
    plugin: DriverPlugin[Any],
    options: BaseModel,
    *,
    name: str,
    place: str,
    storage: StorageSettings,
    notify: Callable[[StorageEvent], None],
) -> ManagedDriver:
    """Make a driver; nothing is opened.

    Args:
        plugin: Whose driver it is.
        options: The plugin's own settings.
        name: The driver name that references record.
        place: Where it is configured.
        storage: The settings of all drivers.
        notify: Told of each operation when it has ended.
    """
    context = DriverContext(name=name, place=place, concurrency=storage.concurrency)
    return ManagedDriver(
        DriverIdentity(
            name=name,
            type=plugin.driver_type,
            place=place,
            fingerprint=_fingerprint(name, plugin, options),
        ),
        PerLoop(partial(_open, plugin, options, context)),
        confine=partial(plugin.confine, options),
        timeout=storage.timeout,
        cache=shared_cache(storage.cache),
        # Where payloads expire, storing again is what keeps them.
        dedupe=plugin.expiry(options) is None,
        notify=notify,
    )


@asynccontextmanager
async def _open(
    plugin: DriverPlugin[Any], options: BaseModel, context: DriverContext
) -> AsyncIterator[StorageDriver]:
    if any(module not in sys.modules for module in plugin.imports):
        await asyncio.to_thread(lambda: [importlib.import_module(module) for module in plugin.imports])
    async with plugin.open(options, context) as driver:
        yield driver


def _fingerprint(name: str, plugin: DriverPlugin[Any], options: BaseModel) -> str:
    """Tell stores apart by their settings. Passwords do not count: a hash would let them be guessed."""
    identity = [name, plugin.driver_type, options.model_dump()]
    text = json.dumps(identity, sort_keys=True, default=_without_password)
    return hashlib.sha256(text.encode()).hexdigest()


def _without_password(value: object) -> str:
    if not isinstance(value, SecretStr):
        return str(value)
    # A URL is secret for the password in it; where it leads to is what tells stores apart.
    with suppress(ValueError):
        url = urlsplit(value.get_secret_value())
        user, at, server = url.netloc.rpartition("@")
        return f"{url.scheme}://{user.partition(':')[0]}{at}{server}{url.path}" if server else "secret"
    return "secret"
