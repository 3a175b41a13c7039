"""What we write, the peers read; what they write, we read."""

import base64
import gzip
import json
import zlib
from pathlib import Path

import pytest
from temporal_payloads.plugin import PayloadIntegrityError
from temporal_payloads_gzip_codec import GzipCodec, ZlibCodec
from temporalio.api.common.v1 import Payload
from temporalio.converter import DataConverter, PayloadCodec

VECTORS = json.loads((Path(__file__).parents[3] / "tests/vectors/codecs.json").read_text())["cases"]
by_name = pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])


class SampleCodec(PayloadCodec):
    """The peer: what the sample `external_storage` does, in the standard library's words."""

    async def encode(self, payloads):
        serialized = [payload.SerializeToString() for payload in payloads]
        return [Payload(metadata={"encoding": b"binary/gzip"}, data=gzip.compress(s)) for s in serialized]

    async def decode(self, payloads):
        return [
            Payload.FromString(gzip.decompress(p.data)) if p.metadata["encoding"] == b"binary/gzip" else p
            for p in payloads
        ]


def payload_of(text):
    return Payload.FromString(base64.b64decode(text))


@by_name
def test_the_peers_vectors_are_decoded(vector):
    payload = payload_of(vector["payload"])
    assert GzipCodec().decode_payload(payload_of(vector["gzip"])) == payload
    assert ZlibCodec().decode_payload(payload_of(vector["zlib"])) == payload


@by_name
@pytest.mark.parametrize("level", range(1, 10))
def test_the_peers_decompress_what_every_level_writes(vector, level):
    payload = payload_of(vector["payload"])
    options = {"level": level, "keep_if_not_smaller": False}
    gzipped = GzipCodec(**options).encode_payload(payload)
    zlibbed = ZlibCodec(**options).encode_payload(payload)
    assert dict(gzipped.metadata) == {"encoding": b"binary/gzip"}
    assert dict(zlibbed.metadata) == {"encoding": b"binary/zlib"}
    assert Payload.FromString(gzip.decompress(gzipped.data)) == payload
    assert Payload.FromString(zlib.decompress(zlibbed.data)) == payload


async def test_values_travel_between_the_sample_and_us_in_both_directions():
    values = [None, "text", {"orders": [{"id": number} for number in range(1000)]}, b"\x00" * 1000]
    theirs = DataConverter(payload_codec=SampleCodec())
    ours = DataConverter(payload_codec=GzipCodec())
    assert await ours.decode(await theirs.encode(values)) == values
    assert await theirs.decode(await ours.encode(values)) == values


def test_gzip_of_several_members_is_decoded(orders):
    serialized = orders.SerializeToString()
    members = b"".join(gzip.compress(serialized[at : at + 1000]) for at in range(0, len(serialized), 1000))
    payload = Payload(metadata={"encoding": b"binary/gzip"}, data=members)
    assert GzipCodec().decode_payload(payload) == orders


def test_a_gzip_header_with_a_file_name_and_a_time_is_decoded(orders):
    deflated = gzip.compress(orders.SerializeToString(), mtime=0)[10:]
    header = b"\x1f\x8b\x08\x08" + (1_800_000_000).to_bytes(4, "little") + b"\x00\x03orders.json\x00"
    payload = Payload(metadata={"encoding": b"binary/gzip"}, data=header + deflated)
    assert GzipCodec().decode_payload(payload) == orders


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"encoding": b"json/plain"},
        {"encoding": b"binary/encrypted", "encryption-key-id": b"key"},
        {"encoding": b"binary/zstd"},
        {"encoding": b"\xff\xfe"},
    ],
)
def test_payloads_that_the_codec_did_not_encode_are_passed_through_by_decode(codec_class, metadata):
    payload = Payload(metadata=metadata, data=b"anything")
    assert codec_class().decode_payload(payload) is payload


def test_gzip_of_the_project_that_records_the_original_encoding_is_passed_through_by_decode():
    metadata = {"encoding": b"binary/gzip", "original_encoding": b"json/plain"}
    payload = Payload(metadata=metadata, data=gzip.compress(b'"data only"'))
    assert GzipCodec().decode_payload(payload) is payload


def test_more_metadata_beside_the_encoding_does_not_keep_a_payload_from_being_decoded(codec_class, orders):
    encoded = codec_class().encode_payload(orders)
    encoded.metadata["__temporal_external_storage_reference"] = b"true"
    assert codec_class().decode_payload(encoded) == orders


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_gzip_of_several_members_is_decoded_whole(size):
    payload = Payload(metadata={"encoding": b"binary/plain"}, data=bytes(size))
    serialized = payload.SerializeToString(deterministic=True)
    middle = len(serialized) // 2
    members = [serialized[:middle], b"", serialized[middle:]]
    data = b"".join(gzip.compress(member) for member in members)
    assert GzipCodec().decode_payload(Payload(metadata={"encoding": b"binary/gzip"}, data=data)) == payload


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_what_follows_after_gzip_data_is_told(size):
    encoded = GzipCodec().encode_payload(Payload(data=bytes(size)))
    encoded.data += b"garbage, and then the size: " + size.to_bytes(4, "little")
    with pytest.raises(PayloadIntegrityError):
        GzipCodec().decode_payload(encoded)
