"""The KMS plugin passes what every key provider plugin must."""

import pytest
from temporal_payloads.testing import KeyProviderConformance
from temporal_payloads_aws_kms._plugin import temporal_payloads_key_provider
from temporal_payloads_aws_kms._settings import KmsSettings


class TestConformance(KeyProviderConformance):
    entry_point = "awskms"
    client_modules = ("aioboto3", "aiobotocore", "aiohttp", "boto3", "botocore")
    malformed_keys = (
        "",
        "orders",
        "awskms://",
        "awskms:///alias/orders?regio=eu-central-1",
        "gcpkms:///orders",
    )

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_key_provider()

    @pytest.fixture
    def settings(self, settings):
        return KmsSettings(**settings(secret_access_key="open-sesame"))

    @pytest.fixture
    def unusable_settings(self, settings, closed_port):
        nobody = f"http://127.0.0.1:{closed_port}"
        return [settings.model_copy(update={"endpoint_url": nobody, "max_attempts": 1})]

    @pytest.fixture
    def key(self, new_key):
        return f"awskms:///{new_key()}"

    @pytest.fixture
    def missing_key(self):
        return "awskms:///alias/no-such-key"
