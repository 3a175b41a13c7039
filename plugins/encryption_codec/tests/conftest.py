import base64

import pytest
from temporal_payloads.plugin import CodecContext, DataKey, KeyProvider
from temporal_payloads_encryption_codec._making import make_codec
from temporal_payloads_encryption_codec._settings import EncryptionSettings
from temporalio.api.common.v1 import Payload

ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))


class Vault(KeyProvider):
    """A provider whose wrapped keys are the keys, turned around; it counts what it is asked."""

    def __init__(self):
        self.asked = []
        self.failure = None
        self.made = 0

    async def make_data_key(self, key):
        self.asked.append(("make", key))
        if self.failure:
            raise self.failure
        self.made += 1
        plaintext = self.made.to_bytes(31, "little") + b"."
        return DataKey(plaintext=plaintext, wrapped=key.encode() + plaintext[::-1])

    async def unwrap_data_key(self, key, wrapped):
        self.asked.append(("open", key))
        if self.failure:
            raise self.failure
        assert wrapped.startswith(key.encode())
        return wrapped.removeprefix(key.encode())[::-1]


@pytest.fixture
def vault():
    return Vault()


@pytest.fixture
def keys(monkeypatch):
    """Three keys in variables."""
    for number, key in enumerate((ONE, TWO, THREE), 1):
        monkeypatch.setenv(f"KEY_{number}", base64.b64encode(key).decode())


@pytest.fixture
def make(keys, vault):
    """Make a codec of settings, as core does."""

    def make(stored_from=16_384, **settings):
        context = CodecContext(
            place="codec.encryption", key_provider=lambda _: vault, stored_from=stored_from
        )
        return make_codec(EncryptionSettings(**settings), context)

    return make


@pytest.fixture
def make_payload():
    return lambda size=100: Payload(metadata={"encoding": b"json/plain"}, data=b"x" * size)


@pytest.fixture
def payload(make_payload):
    return make_payload()
