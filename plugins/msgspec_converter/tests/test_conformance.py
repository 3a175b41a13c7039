"""The conformance kit, by itself and on top of another converter."""

import pytest
from temporal_payloads.testing import PayloadConverterConformance
from temporal_payloads_msgspec_converter._plugin import temporal_payloads_payload_converter
from temporal_payloads_msgspec_converter._settings import MsgspecSettings
from temporalio.converter import CompositePayloadConverter, DefaultPayloadConverter


class OfOnesOwn(CompositePayloadConverter):
    def __init__(self):
        super().__init__(*DefaultPayloadConverter.default_encoding_payload_converters)


class TestConformance(PayloadConverterConformance):
    entry_point = "msgspec"
    client_modules = ("msgspec",)
    bases = (OfOnesOwn,)

    @pytest.fixture
    def plugin(self):
        return temporal_payloads_payload_converter()

    @pytest.fixture
    def settings(self):
        return MsgspecSettings()
