"""What a plugin tells core that keeps keys: how data keys are made and opened with a key it never shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel

SettingsT = TypeVar("SettingsT", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class DataKey:
    """A key that encrypts payloads, and the same key as it may be written beside them.

    Example::

        key = DataKey(plaintext=secrets.token_bytes(32), wrapped=b"what the vault made of it")
        assert "plaintext" not in repr(key)
    """

    plaintext: bytes = field(repr=False)
    """256 bits."""
    wrapped: bytes = field(repr=False)
    """The key, encrypted by the key that the provider keeps."""


@dataclass(frozen=True, kw_only=True)
class KeyDescription:
    """A key of a codec, as the commands show it: nothing of the key itself.

    Example::

        def describe_keys(self) -> list[KeyDescription]:
            return [KeyDescription(id="2026-11", source="variable ORDERS_KEY", active=True)]

        [key] = describe_keys(None)
        assert key.writes
    """

    id: str
    """As payloads name it."""
    source: str
    """Where it comes from, for a person: `variable ORDERS_KEY`, `file /run/keys/orders`."""
    active: bool = False
    """Whether it writes where no pattern of `writes_for` or of another key matches the namespace."""
    writes_for: Sequence[str] = ()
    """Patterns of the namespaces that it writes for."""
    reads_for: Sequence[str] = ()
    """Patterns of the namespaces that it is for without writing for them."""
    fingerprint: str | None = None
    """Tells two keys under one id apart, and nothing else: the key cannot be found out from it, not by trying
    either. None where that cannot be had, or where the id says enough (the URI of a provider's key).
    """

    @property
    def writes(self) -> bool:
        """Whether it writes for any namespace."""
        return self.active or bool(self.writes_for)


class KeyProvider(ABC):
    """Makes data keys, and opens them again, with keys that stay where they are kept.

    Keys are named by their URI (`awskms:///alias/orders`), whose scheme is the provider's type. Core opens a
    provider once per event loop, gives each call its deadline, and tells what it raises as an error of this
    project. Caching, renewal and the sharing of calls are the encryption codec's.

    Example::

        class VaultKeyProvider(KeyProvider):
            def __init__(self, client):
                self._client = client

            async def make_data_key(self, key):
                plaintext = secrets.token_bytes(32)
                return DataKey(plaintext=plaintext, wrapped=await self._client.encrypt(key, plaintext))

            async def unwrap_data_key(self, key, wrapped):
                return await self._client.decrypt(key, wrapped)
    """

    @abstractmethod
    async def make_data_key(self, key: str) -> DataKey:
        """Return a new data key, wrapped by this key.

        Raises:
            KeyUnavailableError: Why there is none: the permission and the key that are missing.
        """

    @abstractmethod
    async def unwrap_data_key(self, key: str, wrapped: bytes) -> bytes:
        """Return the data key that this key wrapped.

        Raises:
            KeyUnavailableError: Why it cannot be had.
            PayloadIntegrityError: It is no data key that this key wrapped.
        """


@dataclass(frozen=True, kw_only=True)
class KeyProviderContext:
    """What `KeyProviderPlugin.open` may want to know beside its own settings.

    Example::

        @asynccontextmanager
        async def open_provider(
            settings: VaultSettings, context: KeyProviderContext
        ) -> AsyncIterator[KeyProvider]:
            if not settings.address:
                raise KeyUnavailableError(f"{context.place}.address is empty; set it")
            async with my_vault.connect(settings.address) as client:
                yield VaultKeyProvider(client)
    """

    place: str
    """Where the provider is configured (`key_providers.awskms`), for error messages."""


@dataclass(frozen=True, kw_only=True)
class KeyProviderPlugin(Generic[SettingsT]):
    """A key provider as a plugin; what the `temporal_payloads_key_provider` hook returns.

    Its entry point's name is the scheme of the keys that it knows (`awskms`).

    Example::

        @hookimpl
        def temporal_payloads_key_provider() -> KeyProviderPlugin[VaultSettings]:
            return KeyProviderPlugin(
                api_version=1,
                settings=VaultSettings,
                open=open_provider,
                imports=("my_vault",),
                destination=("address",),
            )
    """

    api_version: int
    """The plugin API that this plugin was written for: 1. Write the number, not a constant of core's."""
    settings: type[SettingsT]
    """The model of a `[key_providers.NAME]` table: `extra="forbid"`, frozen, secrets as `SecretStr`."""
    open: Callable[[SettingsT, KeyProviderContext], AbstractAsyncContextManager[KeyProvider]]
    """Opens the client and yields the provider; called once per event loop, at the first use."""
    check_key: Callable[[SettingsT, str], None] = lambda _settings, _key: None
    """Raises a `ValueError`, whose text says what is wrong, if no key can have this URI. It asks nobody."""
    imports: Sequence[str] = ()
    """Modules that `open` imports; see `DriverPlugin.imports`."""
    destination: Sequence[str] = ()
    """The settings that decide where credentials are sent; see `DriverPlugin.destination`."""
    ambient_credentials: Sequence[str] = ()
    """Variables from which the client library takes credentials; see `DriverPlugin.ambient_credentials`."""
