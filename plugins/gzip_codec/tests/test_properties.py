"""What holds for any payload and any damage."""

import gzip
import hashlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_payloads.plugin import PayloadIntegrityError
from temporal_payloads_gzip_codec import GzipCodec, ZlibCodec
from temporalio.api.common.v1 import Payload

encodings = st.sampled_from([b"json/plain", b"binary/gzip", b"binary/zlib", b"binary/null", b""])
payloads = st.builds(
    Payload,
    metadata=st.dictionaries(st.text(max_size=20), st.binary(max_size=20), max_size=4).flatmap(
        lambda metadata: st.builds(lambda encoding: {**metadata, "encoding": encoding}, encodings)
    ),
    data=st.binary(max_size=2000) | st.binary(max_size=30).map(lambda part: part * 100),
    external_payloads=st.lists(
        st.builds(Payload.ExternalPayloadDetails, size_bytes=st.integers(0, 2**62)), max_size=3
    ),
)
codecs = st.builds(
    lambda codec_class, **options: codec_class(**options),
    st.sampled_from([GzipCodec, ZlibCodec]),
    level=st.integers(1, 9),
    min_size=st.integers(0, 200),
    keep_if_not_smaller=st.booleans(),
)


@settings(deadline=None)  # a loaded machine is no failure
@given(codec=codecs, payload=payloads)
def test_decoding_gives_what_was_encoded(codec, payload):
    assert codec.decode_payload(codec.encode_payload(payload)) == payload


@settings(deadline=None)  # a loaded machine is no failure
@given(codec=codecs, payload=payloads)
def test_decoding_twice_gives_what_was_encoded_twice(codec, payload):
    twice = codec.encode_payload(codec.encode_payload(payload))
    assert codec.decode_payload(codec.decode_payload(twice)) == payload


@settings(deadline=None)  # a loaded machine is no failure
@given(codec=codecs, payload=payloads, data=st.data())
def test_damaged_data_is_an_integrity_error_or_harmless(codec, payload, data):
    good = codec.encode_payload(payload)
    damage = data.draw(st.sampled_from(["flip", "cut", "append", "replace"]))
    if damage == "flip":
        bit = data.draw(st.integers(0, max(len(good.data) * 8 - 1, 0)))
        bad = bytearray(good.data or b"\x00")
        bad[bit // 8] ^= 1 << bit % 8
    elif damage == "cut":
        bad = good.data[: data.draw(st.integers(0, max(len(good.data) - 1, 0)))]
    elif damage == "append":
        bad = good.data + data.draw(st.binary(min_size=1, max_size=50))
    else:
        bad = data.draw(st.binary(max_size=200))
    damaged = Payload(metadata={"encoding": codec.encoding.encode()}, data=bytes(bad))
    try:
        decoded = codec.decode_payload(damaged)
    except PayloadIntegrityError as error:
        assert f"Codec {codec.codec_name!r} cannot decode" in str(error)  # noqa: PT017  # both ends are good
    else:
        assert good.metadata["encoding"] != codec.encoding.encode() or decoded == payload


@pytest.mark.parametrize("level", [1, 3, 4, 9])
def test_every_cut_is_an_integrity_error(codec_class, level, orders):
    codec = codec_class(level=level)
    encoded = codec.encode_payload(orders)
    for end in range(len(encoded.data)):
        with pytest.raises(PayloadIntegrityError):
            codec.decode_payload(Payload(metadata=encoded.metadata, data=encoded.data[:end]))


def test_equal_payloads_are_equal_bytes_at_any_time(codec_class, orders, monkeypatch):
    first = codec_class().encode_payload(orders)
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)
    assert codec_class().encode_payload(orders) == first
    assert codec_class is not GzipCodec or first.data[4:8] == bytes(4)


IN_ANOTHER_PROCESS = """
import hashlib, sys
from temporal_payloads_gzip_codec import GzipCodec, ZlibCodec
from temporalio.api.common.v1 import Payload
names = sorted({f"key-{n}" for n in range(30)}, key=hash)
payload = Payload(metadata={name: b"value" for name in names}, data=b"data" * 1000)
for level in range(1, 10):
    for codec in (GzipCodec(level=level), ZlibCodec(level=level)):
        print(hashlib.sha256(codec.encode_payload(payload).SerializeToString()).hexdigest())
"""


def test_equal_payloads_are_equal_bytes_in_any_process():
    outputs = {
        subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            env={"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 18


def test_one_codec_serves_many_threads(codec_class):
    codec = codec_class(level=6)
    many = [Payload(data=hashlib.sha256(b"%d" % n).digest() * 1000) for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        encoded = list(pool.map(codec.encode_payload, many))
        decoded = list(pool.map(codec.decode_payload, encoded))
    assert encoded == [codec_class(level=6).encode_payload(payload) for payload in many]
    assert decoded == many


def test_the_smallest_level_is_no_larger_than_the_standard_library_at_its_default(orders):
    peer = len(gzip.compress(orders.SerializeToString()))
    assert len(GzipCodec(level=9).encode_payload(orders).data) <= peer * 1.02
