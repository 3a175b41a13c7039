"""The format: one zstd frame of the serialized payload, and nothing else."""

import os
import sys

import pytest
from temporal_payloads.plugin import PayloadIntegrityError
from temporal_payloads_zstd_codec import ZstdCodec
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def encoded_as(data):
    return Payload(metadata={"encoding": b"binary/zstd"}, data=data)


@pytest.mark.parametrize("level", range(1, 23))
def test_any_zstd_decompresses_what_every_level_writes(level, orders):
    encoded = ZstdCodec(level=level).encode_payload(orders)
    assert dict(encoded.metadata) == {"encoding": b"binary/zstd"}
    assert Payload.FromString(zstd.decompress(encoded.data)) == orders
    assert zstd.get_frame_info(encoded.data).decompressed_size == orders.ByteSize()


@pytest.mark.parametrize("level", [19, 20, 22])
def test_no_level_writes_what_the_smallest_window_can_not_read(level):
    # More than twice as large as that window: the highest levels would like to look back further.
    payload = Payload(data=os.urandom(1024 * 1024) * 20)
    codec = ZstdCodec(level=level, max_window_size=8 * 1024 * 1024)
    assert codec.decode_payload(codec.encode_payload(payload)) == payload


def test_frames_of_a_streaming_writer_are_decoded(orders):
    compressor = zstd.ZstdCompressor()
    serialized = orders.SerializeToString()
    frame = (
        compressor.compress(serialized[:5000]) + compressor.compress(serialized[5000:]) + compressor.flush()
    )
    assert not zstd.get_frame_info(frame).decompressed_size
    assert ZstdCodec().decode_payload(encoded_as(frame)) == orders


def test_two_frames_are_not_one_payload(orders):
    frame = ZstdCodec().encode_payload(orders).data
    with pytest.raises(PayloadIntegrityError, match="follow after the zstd frame"):
        ZstdCodec().decode_payload(encoded_as(frame + frame))


async def test_values_travel_through_the_sdks_converter():
    values = [None, "text", {"orders": [{"id": number} for number in range(20_000)]}, b"\x00" * 1000]
    converter = DataConverter(payload_codec=ZstdCodec())
    assert await converter.decode(await converter.encode(values)) == values


@pytest.mark.parametrize(
    "metadata", [{}, {"encoding": b"json/plain"}, {"encoding": b"binary/gzip"}, {"encoding": b"\xff\xfe"}]
)
def test_payloads_that_the_codec_did_not_encode_are_passed_through_by_decode(metadata):
    payload = Payload(metadata=metadata, data=b"anything")
    assert ZstdCodec().decode_payload(payload) is payload
