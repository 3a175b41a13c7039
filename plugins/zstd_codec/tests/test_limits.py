"""Sizes: what is left as it is, what is refused, and what a bomb may cost."""

import os
import sys
import threading
import tracemalloc

import pytest
from temporal_payloads.plugin import PayloadTooLargeError
from temporal_payloads_zstd_codec import ZstdCodec
from temporalio.api.common.v1 import Payload

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1024 * 1024
INCOMPRESSIBLE = Payload(metadata={"encoding": b"binary/plain"}, data=os.urandom(1000))


def test_a_payload_below_min_size_is_left_as_it_is(orders):
    size = orders.ByteSize()
    assert ZstdCodec(min_size=size + 1).encode_payload(orders) is orders
    assert ZstdCodec(min_size=size).encode_payload(orders) is not orders


def test_a_payload_that_does_not_get_smaller_is_left_as_it_is_unless_so_set():
    assert ZstdCodec().encode_payload(INCOMPRESSIBLE) is INCOMPRESSIBLE
    encoded = ZstdCodec(keep_if_not_smaller=False).encode_payload(INCOMPRESSIBLE)
    assert encoded.ByteSize() > INCOMPRESSIBLE.ByteSize()
    assert ZstdCodec().decode_payload(encoded) == INCOMPRESSIBLE


def test_a_payload_of_just_the_limit_is_encoded_and_decoded(orders):
    codec = ZstdCodec(max_decoded_size=orders.ByteSize())
    assert codec.decode_payload(codec.encode_payload(orders)) == orders


def test_a_payload_over_the_limit_is_refused_when_encoding_for_good(orders):
    codec = ZstdCodec(max_decoded_size=orders.ByteSize() - 1)
    with pytest.raises(PayloadTooLargeError, match=r"codec\.zstd\.max_decoded_size") as caught:
        codec.encode_payload(orders)
    assert caught.value.non_retryable


def streamed(data):
    compressor = zstd.ZstdCompressor()
    return compressor.compress(data) + compressor.flush()


BOMBS = {
    "that says its size": zstd.compress(bytes(64 * MIB)),
    "that does not say its size": streamed(bytes(64 * MIB)),
    "just over the limit": streamed(bytes(2 * MIB + 1)),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_has_filled_the_memory(bomb):
    codec = ZstdCodec(max_decoded_size=2 * MIB)
    payload = Payload(metadata={"encoding": b"binary/zstd"}, data=bomb)
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLargeError, match=r"codec\.zstd\.max_decoded_size") as caught:
            codec.decode_payload(payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB
    # The payload may be sound: an operator can raise the limit while the workflow waits.
    assert not caught.value.non_retryable


def test_a_frame_that_needs_a_larger_window_than_allowed_is_refused():
    parameters = zstd.CompressionParameter
    data = Payload(data=os.urandom(MIB) * 20).SerializeToString()
    frame = zstd.compress(data, options={parameters.window_log: 25})
    payload = Payload(metadata={"encoding": b"binary/zstd"}, data=frame)
    assert ZstdCodec().decode_payload(payload).SerializeToString() == data
    with pytest.raises(PayloadTooLargeError, match=r"codec\.zstd\.max_window_size") as caught:
        ZstdCodec(max_window_size=8 * MIB).decode_payload(payload)
    assert not caught.value.non_retryable


async def test_a_large_payload_is_done_off_the_event_loop_and_a_small_one_in_place(monkeypatch):
    threads = []

    def recording(name):
        method = getattr(ZstdCodec, name)

        def record(self, *args):
            threads.append(threading.current_thread())
            return method(self, *args)

        monkeypatch.setattr(ZstdCodec, name, record)

    recording("compress")
    recording("decompress")
    codec = ZstdCodec()
    for payload in (Payload(data=b"x" * MIB), Payload(data=b"x" * 1000)):
        encoded = await codec.encode([payload])
        assert await codec.decode(encoded) == [payload]
    unsized = Payload(metadata={"encoding": b"binary/zstd"}, data=streamed(Payload().SerializeToString()))
    assert await codec.decode([unsized]) == [Payload()]
    here = threading.current_thread()
    assert [thread is here for thread in threads] == [False, False, True, True, False]
