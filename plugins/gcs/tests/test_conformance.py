"""The GCS plugin passes what every storage driver plugin must."""

import pytest
from temporal_payloads.testing import DriverConformance
from temporal_payloads_gcs._plugin import temporal_payloads_driver
from temporal_payloads_gcs._settings import GCSSettings


class TestConformance(DriverConformance):
    entry_point = "gcs"
    client_modules = ("aiohttp", "gcloud")

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_driver()

    @pytest.fixture
    def settings(self, gcs_server, gcs_bucket):
        return GCSSettings(bucket=gcs_bucket, endpoint_url=gcs_server.endpoint_url, anonymous=True)

    @pytest.fixture
    def unusable_settings(self, settings, closed_port):
        return [settings.model_copy(update={"endpoint_url": f"http://127.0.0.1:{closed_port}"})]
