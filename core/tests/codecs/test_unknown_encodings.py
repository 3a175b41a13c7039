"""An encoding that neither a codec nor the payload converter reads is told at once.

The SDK's workers would drop a signal, and reject an update, for what the payload converter cannot read.
"""

import pytest
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads.plugin import PayloadNotDecodedError
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    BinaryPlainPayloadConverter,
    CompositePayloadConverter,
    DataConverter,
    DefaultPayloadConverter,
    PayloadConverter,
)


class Avro(BinaryPlainPayloadConverter):
    encoding = "binary/avro"


class WithAvro(CompositePayloadConverter):
    def __init__(self):
        super().__init__(*DefaultPayloadConverter.default_encoding_payload_converters, Avro())


class Opaque(PayloadConverter):
    """Says nothing of what it reads."""

    def to_payloads(self, values):
        return [Payload(metadata={"encoding": b"binary/opaque"}, data=value) for value in values]

    def from_payloads(self, payloads, type_hints=None):
        return [payload.data for payload in payloads]


def encoded_as(encoding):
    return [Payload(metadata={"encoding": encoding.encode()}, data=b"data")]


def converter(base=DataConverter.default, **settings):
    return build_data_converter(PayloadSettings(**settings), base=base)


@pytest.mark.parametrize("codecs", [(), ("gzip",)], ids=["without codecs", "with a codec"])
async def test_a_codec_that_nobody_knows_is_told_with_what_helps(codecs):
    with pytest.raises(PayloadNotDecodedError) as told:
        await converter(codecs=codecs).decode(encoded_as("binary/inverted"), [RawValue])
    assert not told.value.non_retryable
    assert "'binary/inverted'" in told.value.message
    assert f"(codecs: {', '.join(codecs) or 'none'})" in told.value.message
    assert "decode_only" in told.value.message


async def test_what_workflows_take_as_it_is_can_be_named():
    named = converter(raw_encodings=["binary/inverted"])
    [value] = await named.decode(encoded_as("binary/inverted"), [RawValue])
    assert value.payload == encoded_as("binary/inverted")[0]
    with pytest.raises(PayloadNotDecodedError, match="add it to raw_encodings"):
        await named.decode(encoded_as("binary/other"), [RawValue])


@pytest.mark.parametrize("codecs", [(), ("gzip",)], ids=["without codecs", "with that codec"])
@pytest.mark.parametrize("base", [DataConverter.default, DataConverter(payload_converter_class=Opaque)])
async def test_so_can_what_a_known_codec_writes(codecs, base):
    """Another project's payloads may be named as a codec's, and `gzip` leaves those alone."""
    [other] = encoded_as("binary/gzip")
    other.metadata["original_encoding"] = b"json/plain"
    with pytest.raises(PayloadNotDecodedError):
        await converter(base, codecs=codecs).decode([other], [RawValue])
    named = converter(base, codecs=codecs, raw_encodings=["binary/gzip"])
    decoded = await named.payload_codec.decode([other])
    assert decoded == [other]


async def test_no_more_of_a_long_encoding_is_told_than_helps():
    with pytest.raises(PayloadNotDecodedError) as told:
        await converter().decode(encoded_as(f"binary/{'x' * 100_000}"))
    assert len(told.value.message) < 1000


@pytest.mark.parametrize("encoding", ["avro/binary", "json/ours", "binary/null", "binary/protobuf", ""])
async def test_what_a_payload_converter_of_another_language_wrote_is_handed_on(encoding):
    [value] = await converter().decode(encoded_as(encoding), [RawValue])
    assert value.payload == encoded_as(encoding)[0]


async def test_what_the_payload_converter_says_that_it_reads_is_left_to_it():
    base = DataConverter(payload_converter_class=WithAvro)
    assert await converter(base).decode(encoded_as("binary/avro")) == [b"data"]


async def test_everything_is_left_to_a_payload_converter_that_says_nothing_of_what_it_reads():
    base = DataConverter(payload_converter_class=Opaque)
    assert await converter(base).decode(encoded_as("binary/opaque")) == [b"data"]
