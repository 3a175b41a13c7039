"""The Azure Blob plugin passes what every storage driver plugin must."""

import pytest
from temporal_payloads.testing import DriverConformance
from temporal_payloads_azure_blob._plugin import temporal_payloads_driver
from temporal_payloads_azure_blob._settings import AzureBlobSettings


class TestConformance(DriverConformance):
    entry_point = "azure_blob"
    client_modules = ("azure", "aiohttp", "msal")

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_driver()

    @pytest.fixture
    def settings(self, azurite_server, azure_container):
        return AzureBlobSettings(
            container=azure_container,
            account_url=azurite_server.account_url,
            account_key=azurite_server.account_key,
        )

    @pytest.fixture
    def unusable_settings(self, settings, closed_port):
        nobody = f"http://127.0.0.1:{closed_port}/devstoreaccount1"
        return [settings.model_copy(update={"account_url": nobody, "max_attempts": 1})]
