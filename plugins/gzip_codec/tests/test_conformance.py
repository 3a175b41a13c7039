"""The gzip and zlib plugins pass what every codec plugin must."""

import pytest
from temporal_payloads.testing import CodecConformance
from temporal_payloads_gzip_codec._plugin import gzip, zlib
from temporal_payloads_gzip_codec._settings import GzipSettings, ZlibSettings


class TestGzip(CodecConformance):
    entry_point = "gzip"
    client_modules = ("isal", "deflate")

    @pytest.fixture
    def plugin(self):
        return gzip.temporal_payloads_codec()

    @pytest.fixture(params=[{}, {"level": 9}, {"min_size": 0}], ids=str)
    def settings(self, request):
        return GzipSettings(**request.param)


class TestZlib(CodecConformance):
    entry_point = "zlib"
    client_modules = ("isal", "deflate")

    @pytest.fixture
    def plugin(self):
        return zlib.temporal_payloads_codec()

    @pytest.fixture(params=[{}, {"level": 9}, {"min_size": 0}], ids=str)
    def settings(self, request):
        return ZlibSettings(**request.param)
