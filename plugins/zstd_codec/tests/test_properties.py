"""What holds for any payload and any damage."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from temporal_payloads.plugin import PayloadIntegrityError, StorageError
from temporal_payloads_zstd_codec import ZstdCodec
from temporalio.api.common.v1 import Payload

encodings = st.sampled_from([b"json/plain", b"binary/zstd", b"binary/gzip", b""])
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
    ZstdCodec, level=st.integers(1, 22), min_size=st.integers(0, 200), keep_if_not_smaller=st.booleans()
)
FRAME_HEADER = 18
"""The most bytes that say how the frame is to be read, before the data that its checksum protects."""


@settings(deadline=None)  # a loaded machine is no failure
@given(codec=codecs, payload=payloads)
def test_decoding_gives_what_was_encoded(codec, payload):
    assert codec.decode_payload(codec.encode_payload(payload)) == payload


@settings(deadline=None)  # a loaded machine is no failure
@given(codec=codecs, payload=payloads, data=st.data())
def test_damaged_data_is_a_storage_error_or_harmless(codec, payload, data):
    good = codec.encode_payload(payload)
    damage = data.draw(st.sampled_from(["flip", "cut", "append", "replace"]))
    bit = 0
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
    try:
        decoded = codec.decode_payload(Payload(metadata={"encoding": b"binary/zstd"}, data=bytes(bad)))
    except PayloadIntegrityError as error:
        assert "Codec 'zstd' cannot decode" in str(error)  # noqa: PT017  # both ends are good
    except StorageError:
        # A damaged header may ask for a dictionary, a size or a window that there is not.
        assert damage == "replace" or bit // 8 < FRAME_HEADER
    else:
        assert good.metadata["encoding"] != b"binary/zstd" or decoded == payload


def test_every_cut_is_an_integrity_error(orders):
    codec = ZstdCodec()
    encoded = codec.encode_payload(orders)
    for end in range(len(encoded.data)):
        with pytest.raises(PayloadIntegrityError):
            codec.decode_payload(Payload(metadata=encoded.metadata, data=encoded.data[:end]))


def test_every_flipped_byte_after_the_header_is_an_integrity_error(orders):
    codec = ZstdCodec()
    encoded = codec.encode_payload(orders)
    for at in range(FRAME_HEADER, len(encoded.data)):
        bad = bytearray(encoded.data)
        bad[at] ^= 0xFF
        with pytest.raises(PayloadIntegrityError):
            codec.decode_payload(Payload(metadata=encoded.metadata, data=bytes(bad)))


IN_ANOTHER_PROCESS = """
import hashlib
from temporal_payloads_zstd_codec import ZstdCodec
from temporalio.api.common.v1 import Payload
names = sorted({f"key-{n}" for n in range(30)}, key=hash)
payload = Payload(metadata={name: b"value" for name in names}, data=b"data" * 1000)
for level in range(1, 23):
    print(hashlib.sha256(ZstdCodec(level=level).encode_payload(payload).SerializeToString()).hexdigest())
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
        for seed in ("0", "1")
    }
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 22


def test_one_codec_serves_many_threads():
    codec = ZstdCodec()
    many = [Payload(data=hashlib.sha256(b"%d" % n).digest() * 1000) for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        encoded = list(pool.map(codec.encode_payload, many))
        decoded = list(pool.map(codec.decode_payload, encoded))
    assert encoded == [ZstdCodec().encode_payload(payload) for payload in many]
    assert decoded == many
