"""Key providers with one fault each."""

import asyncio
import logging
import os
import threading
import time
from functools import partial

from pydantic import SecretStr
from temporal_payloads.testing import KeyProviderConformance

from gallery.exhibit import Exhibit
from gallery.vault import (
    NOBODY,
    NONCE,
    ForbiddenError,
    VaultClient,
    VaultKeyProvider,
    VaultSettings,
    vault,
)

SECRET = "open-sesame"


def exhibit(name, plugin, breaks=None, says="", *also, attributes=None, **more):
    return Exhibit(
        name=name,
        kit=KeyProviderConformance,
        plugin=plugin,
        settings=lambda: VaultSettings(token=SecretStr(SECRET)),
        breaks=breaks,
        says=says,
        also=frozenset(also),
        attributes={"malformed_keys": ("", "orders", "awskms:///orders"), **(attributes or {})},
        fixtures={
            "unusable_settings": lambda: [VaultSettings(address=NOBODY, token=SecretStr(SECRET))],
            "key": lambda: "vault:///orders",
            "missing_key": lambda: "vault:///no-such-key",
        },
        **more,
    )


def with_provider(provider):
    return partial(vault, provider=provider)


class ForgetfulClient(VaultClient):
    def __init__(self, address):
        super().__init__(address)
        self.secret = os.urandom(1)


class OfThisProviderAlone(VaultKeyProvider):
    def wrap(self, key, plaintext):
        nonce = os.urandom(NONCE)
        return nonce + key.encrypt(nonce, plaintext, str(id(self.settings)).encode() + self.client.secret)

    def unwrap(self, key, wrapped):
        aad = str(id(self.settings)).encode() + self.client.secret
        return key.decrypt(wrapped[:NONCE], wrapped[NONCE:], aad)


class InClear(VaultKeyProvider):
    def wrap(self, key, plaintext):
        return super().wrap(key, plaintext) + plaintext

    def unwrap(self, key, wrapped):
        if wrapped[-32:] != super().unwrap(key, wrapped[:-32]):
            raise ValueError
        return wrapped[-32:]


class Of128Bits(VaultKeyProvider):
    def new_key(self):
        return os.urandom(16)


class AlwaysTheSame(VaultKeyProvider):
    def new_key(self):
        return b"d" * 32


class Unauthenticated(VaultKeyProvider):
    def wrap(self, key, plaintext):
        return bytes(byte ^ 0x5C for byte in plaintext)

    def unwrap(self, key, wrapped):
        return self.wrap(key, wrapped)


class LettingTheLibrarysErrorsThrough(VaultKeyProvider):
    async def vault_key(self, key):
        return await self.client.key(key)


class NotNamingTheKey(VaultKeyProvider):
    async def vault_key(self, key):
        return await super().vault_key(key if key == "vault:///orders" else "it")


class ShowingItsToken(VaultKeyProvider):
    def __repr__(self):
        return f"VaultKeyProvider({self.settings.token.get_secret_value()})"


class LoggingDataKeys(VaultKeyProvider):
    def wrap(self, key, plaintext):
        logging.getLogger("vault").debug("wrapping %s", plaintext.hex())
        return super().wrap(key, plaintext)


class GoingOn(VaultKeyProvider):
    async def vault_key(self, key):
        try:
            return await super().vault_key(key)
        except asyncio.CancelledError:
            return await super().vault_key(key)


class Blocking(VaultKeyProvider):
    async def make_data_key(self, key):
        # In pieces: a pause of this process, which costs whoever looks a look, costs this one a piece.
        for _ in range(5):
            time.sleep(0.005)  # noqa: ASYNC251  # the point of it
        return await super().make_data_key(key)


class NeverClosed(VaultClient):
    def close(self):
        pass


class LeavingAThread(VaultKeyProvider):
    async def vault_key(self, key):
        given_up = threading.Event()

        def work():
            if given_up.wait(0.02):
                for _ in range(400):
                    time.sleep(0.005)

        try:
            await asyncio.to_thread(work)
        except asyncio.CancelledError:
            given_up.set()
            raise
        return await super().vault_key(key)


def check_nothing(settings, key):
    """Let all through."""


def check_in_silence(settings, key):
    if not key.startswith("vault:///"):
        raise ValueError


KEY_PROVIDERS = [
    exhibit(
        "a good key provider",
        vault,
        entry_point="vault",
        attributes={"client_modules": ("sqlite3",)},
    ),
    exhibit(
        "data keys of one provider alone",
        partial(vault, provider=OfThisProviderAlone, client=ForgetfulClient),
        "a_data_key_is_opened_again",
        "PayloadIntegrityError",
    ),
    exhibit(
        "a data key in clear",
        with_provider(InClear),
        "a_data_key_has_256_bits_and_is_wrapped",
        "the wrapped key holds the key in clear",
    ),
    exhibit(
        "a data key of 128 bits",
        with_provider(Of128Bits),
        "a_data_key_has_256_bits_and_is_wrapped",
        "it has 128 bits",
    ),
    exhibit(
        "a data key that is always the same",
        with_provider(AlwaysTheSame),
        "each_data_key_is_new",
        "of 5 data keys, 1 are different",
    ),
    exhibit(
        "a damaged data key opened",
        with_provider(Unauthenticated),
        "a_damaged_data_key_is_told",
        "changed in its last bit was opened, to another data key",
    ),
    exhibit(
        "the client library's error for a missing key of keys",
        with_provider(LettingTheLibrarysErrorsThrough),
        "a_key_that_cannot_be_had_is_told",
        f"make_data_key raised gallery.vault.{ForbiddenError.__name__}",
        "a_provider_that_cannot_be_used_is_told",
    ),
    exhibit(
        "an error that does not name the key",
        with_provider(NotNamingTheKey),
        "a_key_that_cannot_be_had_is_told",
        "does not name 'no-such-key'",
    ),
    exhibit(
        "malformed keys let through",
        partial(vault, check_key=check_nothing),
        "a_malformed_key_is_told_before_anybody_is_asked",
        "'' was let through",
    ),
    exhibit(
        "malformed keys refused in silence",
        partial(vault, check_key=check_in_silence),
        "a_malformed_key_is_told_before_anybody_is_asked",
        "it does not say what is wrong",
    ),
    exhibit(
        "a token in repr",
        with_provider(ShowingItsToken),
        "no_data_key_and_no_secret_is_shown",
        r"a secret is shown by repr\(provider\)",
    ),
    exhibit(
        "a data key in the log",
        with_provider(LoggingDataKeys),
        "no_data_key_and_no_secret_is_shown",
        "a secret is shown by the log of vault",
    ),
    exhibit(
        "a cancelled call for a key that goes on",
        with_provider(GoingOn),
        "a_call_that_is_cancelled_ends_as_cancelled",
        "returned as if nothing had happened",
    ),
    exhibit(
        "the event loop blocked for keys",
        with_provider(Blocking),
        "calls_do_not_stop_the_event_loop",
        "no other task of the event loop had a turn for",
    ),
    exhibit(
        "a session with the vault left open",
        partial(vault, client=NeverClosed),
        "closing_leaves_nothing_open_or_at_work",
        "left open: unclosed vault client",
    ),
    exhibit(
        "a thread for keys still at work",
        with_provider(LeavingAThread),
        "closing_leaves_nothing_open_or_at_work",
        "still at work: thread",
    ),
]
