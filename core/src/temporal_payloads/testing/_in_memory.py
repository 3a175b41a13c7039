"""An application's data converter for its tests: its own settings, and nothing outside of the process."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic import BaseModel
from temporalio.converter import DataConverter

from temporal_payloads._build.assembly import build_data_converter
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._plugins.contract import ConfinedClaim, DriverContext, DriverPlugin
from temporal_payloads._plugins.keys import DataKey, KeyProvider, KeyProviderContext, KeyProviderPlugin
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.settings import PayloadSettings, without_cache
from temporal_payloads._storage.content_addressed import DEFAULT_MAX_PAYLOAD_SIZE
from temporal_payloads._storage.errors import PayloadIntegrityError
from temporal_payloads._storage.key_layout import KeyLayout
from temporal_payloads._storage.memory_driver import MemoryDriver
from temporal_payloads._storage.memory_store import MemoryStore

TEST_KEY = "text:test-key-test-key-test-key-test!"
"""A key for tests, in the form that the encryption codec takes. Everybody knows it: it is that of Temporal's
published samples."""
DEFAULT_MAX_SIZE = 1024 * 1024 * 1024

_KEY_SIZE = 32
_LAYOUT = KeyLayout()
_HINT = (
    "In tests, give variables that only a deployment has with the fixture payload_variables, keys as "
    "temporal_payloads.testing.TEST_KEY; choose another file or profile with the fixture payload_settings"
)


class PayloadsInMemory:
    """The data converter that an application's settings describe, with each store in this process's memory.

    Codecs, payload converter, threshold, routes, limits and the names that references record are those of the
    settings, and plugins check their tables as ever. In place of each store there is one in memory, empty at
    first, and in place of each key provider (AWS KMS) one that makes up its keys: nothing is asked of the
    network. `[storage.cache]` is off.

    For what builds a converter itself there are the parts: `PayloadsPlugin(payloads.settings,
    registry=payloads.registry)` has the same stores.

    Args:
        settings: The application's.
        base: The converter to start from, as of `build_data_converter`.
        max_size: Bytes that each store takes, 1 GiB by default. More is refused.

    Raises:
        ConfigurationError: The settings are wrong, as in production. A note says what tests can do about it.
    """

    def __init__(
        self,
        settings: PayloadSettings,
        *,
        base: DataConverter | None = None,
        max_size: int = DEFAULT_MAX_SIZE,
    ) -> None:
        self.registry: PluginRegistry = _InMemoryRegistry(max_size)
        """Where plugins are found; for plugins and observers that the application registers in code."""
        self.settings = without_cache(settings)
        """The settings without their cache."""
        try:
            self.converter = build_data_converter(self.settings, base=base, registry=self.registry)
        except ConfigurationError as error:
            error.add_note(_HINT)
            raise


class _InMemoryRegistry(PluginRegistry):
    """Gives plugins as they are, but for what they would ask others."""

    def __init__(self, max_size: int) -> None:
        super().__init__()
        self._max_size = max_size
        self._stores: dict[str, MemoryStore] = {}
        """By the names that references record."""

    def driver(self, name: str) -> DriverPlugin[Any]:
        plugin = super().driver(name)
        return replace(
            plugin,
            open=self._opener(plugin.driver_type),
            confine=_confine,
            imports=(),
            destination=(),
            ambient_credentials=(),
            retries=True,
            warning=lambda _settings: None,
        )

    def key_provider(self, name: str) -> KeyProviderPlugin[Any]:
        plugin = super().key_provider(name)
        return replace(plugin, open=_open_test_keys, imports=(), destination=(), ambient_credentials=())

    def _opener(self, driver_type: str) -> Callable[[BaseModel, DriverContext], Any]:
        @asynccontextmanager
        async def open_in_memory(settings: BaseModel, context: DriverContext) -> AsyncIterator[MemoryDriver]:
            yield MemoryDriver(
                self._stores.setdefault(context.name, MemoryStore(context.name)),
                driver_name=context.name,
                driver_type=driver_type,
                layout=_LAYOUT,
                max_payload_size=getattr(settings, "max_payload_size", DEFAULT_MAX_PAYLOAD_SIZE),
                max_size=self._max_size,
            )

        return open_in_memory


def _confine(_settings: BaseModel, claim: Any) -> ConfinedClaim:
    return _LAYOUT.confine(claim)


class _TestKeys(KeyProvider):
    """Any key there may be. What it wraps is open to everybody."""

    async def make_data_key(self, key: str) -> DataKey:
        plaintext = os.urandom(_KEY_SIZE)
        return DataKey(plaintext=plaintext, wrapped=_mark(key) + plaintext)

    async def unwrap_data_key(self, key: str, wrapped: bytes) -> bytes:
        if not wrapped.startswith(_mark(key)):
            raise PayloadIntegrityError(
                f"The data key was not wrapped by the key that stands for {key!r} in tests"
            )
        return wrapped[-_KEY_SIZE:]


@asynccontextmanager
async def _open_test_keys(_settings: BaseModel, _context: KeyProviderContext) -> AsyncIterator[_TestKeys]:
    yield _TestKeys()


def _mark(key: str) -> bytes:
    return b"temporal-payloads test key " + hashlib.sha256(key.encode()).digest()
