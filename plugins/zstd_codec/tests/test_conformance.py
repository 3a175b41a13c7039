"""The zstd plugin passes what every codec plugin must."""

import pytest
from temporal_payloads.testing import CodecConformance
from temporal_payloads_zstd_codec._plugin import temporal_payloads_codec
from temporal_payloads_zstd_codec._settings import ZstdSettings


class TestZstd(CodecConformance):
    entry_point = "zstd"
    client_modules = ("zstandard", "backports", "compression")

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_codec()

    @pytest.fixture(params=[{}, {"level": 19}, {"min_size": 0}], ids=str)
    def settings(self, request):
        return ZstdSettings(**request.param)
