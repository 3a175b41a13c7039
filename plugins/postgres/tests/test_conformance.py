"""The PostgreSQL plugin passes what every storage driver plugin must."""

import pytest
from temporal_payloads.testing import DriverConformance
from temporal_payloads_postgres._plugin import temporal_payloads_driver
from temporal_payloads_postgres._settings import PostgresSettings


class TestConformance(DriverConformance):
    entry_point = "postgres"
    client_modules = ("psycopg", "psycopg_pool", "psycopg_binary")

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_driver()

    @pytest.fixture
    def settings(self, database):
        return PostgresSettings(**database.address)

    @pytest.fixture
    def unusable_settings(self, closed_port):
        url = f"postgresql://payloads:open-sesame@127.0.0.1:{closed_port}/payloads"
        return [PostgresSettings.model_validate({"url": url})]


class TestConformanceWithAnExpiry(TestConformance):
    @pytest.fixture
    def settings(self, expiring):
        return PostgresSettings(**expiring)
