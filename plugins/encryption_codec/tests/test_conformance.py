"""The encryption plugin passes what every codec plugin must, but that equal payloads become equal bytes."""

import pytest
from temporal_payloads.testing import CodecConformance
from temporal_payloads_encryption_codec._plugin import temporal_payloads_codec
from temporal_payloads_encryption_codec._settings import EncryptionSettings

pytestmark = pytest.mark.usefixtures("keys")

RING = {"active": "a", "keys": {"a": {"env": "KEY_1"}, "b": {"env": "KEY_2"}}}


class TestEncryption(CodecConformance):
    entry_point = "encryption"
    client_modules = ("cryptography",)
    deterministic = False

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_codec()

    @pytest.fixture
    def settings(self):
        return EncryptionSettings(**RING)


class TestDeterministicEncryption(TestEncryption):
    """With that setting, equal payloads become equal bytes too."""

    deterministic = True

    @pytest.fixture
    def settings(self):
        return EncryptionSettings(**RING, deterministic=True)
