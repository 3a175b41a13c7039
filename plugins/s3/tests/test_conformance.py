"""The S3 plugin passes what every storage driver plugin must."""

import pytest
from pydantic import SecretStr
from temporal_payloads.testing import DriverConformance
from temporal_payloads_s3._plugin import temporal_payloads_driver
from temporal_payloads_s3._settings import S3Settings


class TestConformance(DriverConformance):
    entry_point = "s3"
    client_modules = ("aioboto3", "aiobotocore", "aiohttp", "boto3", "botocore")

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_driver()

    @pytest.fixture
    def settings(self, s3_server, s3_bucket):
        return S3Settings(
            bucket=s3_bucket,
            endpoint_url=s3_server.endpoint_url,
            region=s3_server.region,
            access_key_id=s3_server.access_key_id,
            secret_access_key=s3_server.secret_access_key,
        )

    @pytest.fixture
    def unusable_settings(self, settings, closed_port):
        nobody = f"http://127.0.0.1:{closed_port}"
        secret = SecretStr("open-sesame")
        changes = {"endpoint_url": nobody, "secret_access_key": secret, "max_attempts": 1}
        return [settings.model_copy(update=changes)]
