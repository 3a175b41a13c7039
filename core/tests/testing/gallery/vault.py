"""A good key provider: a vault in this process, with keys that never leave it."""

import asyncio
import os
import warnings
from contextlib import asynccontextmanager

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from temporal_payloads.plugin import (
    DataKey,
    KeyProvider,
    KeyProviderPlugin,
    KeyUnavailableError,
    PayloadIntegrityError,
    hookimpl,
)

NOBODY = "nobody"
"""The address of a vault that is not there."""
NONCE = 12


class VaultSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    address: str = Field("localhost", description="Where the vault is.")
    token: SecretStr | None = Field(None, description="What the vault asks for.")


class ForbiddenError(Exception):
    """What the client library raises."""


class VaultClient:
    """A client library's client."""

    def __init__(self, address):
        self.address = address
        self.keys = {"vault:///orders": AESGCM(b"k" * 32)}
        self.closed = False

    async def key(self, uri):
        await asyncio.sleep(0)
        if self.address == NOBODY or uri not in self.keys:
            raise ForbiddenError(uri)
        return self.keys[uri]

    def close(self):
        self.closed = True

    def __del__(self):
        if not self.closed:
            warnings.warn("unclosed vault client", ResourceWarning, source=self, stacklevel=2)


class VaultKeyProvider(KeyProvider):
    def __init__(self, client, settings):
        self.client = client
        self.settings = settings

    async def make_data_key(self, key):
        plaintext = self.new_key()
        return DataKey(plaintext=plaintext, wrapped=self.wrap(await self.vault_key(key), plaintext))

    async def unwrap_data_key(self, key, wrapped):
        try:
            return self.unwrap(await self.vault_key(key), wrapped)
        except (InvalidTag, ValueError) as error:
            raise PayloadIntegrityError(f"No data key that {key} has wrapped") from error

    async def vault_key(self, key):
        try:
            return await self.client.key(key)
        except ForbiddenError as error:
            raise KeyUnavailableError(f"The vault at {self.settings.address} refused {key}") from error

    def new_key(self):
        return os.urandom(32)

    def wrap(self, key, plaintext):
        nonce = os.urandom(NONCE)
        return nonce + key.encrypt(nonce, plaintext, None)

    def unwrap(self, key, wrapped):
        return key.decrypt(wrapped[:NONCE], wrapped[NONCE:], None)


def check_key(settings, key):
    if not key.startswith("vault:///"):
        raise ValueError("it must be vault:///NAME")


def vault(provider=VaultKeyProvider, client=VaultClient, **changes):
    @asynccontextmanager
    async def open_provider(settings, context):
        opened = client(settings.address)
        try:
            yield provider(opened, settings)
        finally:
            opened.close()

    given = {"api_version": 1, "settings": VaultSettings, "open": open_provider, "check_key": check_key}
    return KeyProviderPlugin(**given | changes)


@hookimpl
def temporal_payloads_key_provider():
    return vault()
