"""The Redis plugin passes what every storage driver plugin must."""

import pytest
from temporal_payloads.testing import DriverConformance
from temporal_payloads_redis._plugin import temporal_payloads_driver
from temporal_payloads_redis._settings import RedisSettings


class TestConformance(DriverConformance):
    entry_point = "redis"
    client_modules = ("redis", "hiredis")

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_driver()

    @pytest.fixture
    def settings(self, redis_server):
        return RedisSettings(url=redis_server.url, key_prefix="conformance")

    @pytest.fixture
    def unusable_settings(self, redis_server, redis_tls_server, closed_port):
        return (
            RedisSettings(url=f"redis://orders:open-sesame@127.0.0.1:{closed_port}"),
            RedisSettings(host="127.0.0.1", port=redis_server.port, password="open-sesame"),
            RedisSettings(url=redis_tls_server.url),
        )


class TestConformanceWithTLSAndAPassword(TestConformance):
    @pytest.fixture
    def settings(self, redis_tls_server):
        return RedisSettings(url=redis_tls_server.url, ca_file=redis_tls_server.ca_file)
