"""Sizes: what is left as it is, what is refused, and what a bomb may cost."""

import gzip
import os
import threading
import tracemalloc
import zlib

import pytest
from temporal_payloads.plugin import PayloadIntegrityError, PayloadTooLargeError
from temporal_payloads_gzip_codec import GzipCodec, ZlibCodec
from temporalio.api.common.v1 import Payload

MIB = 1024 * 1024
INCOMPRESSIBLE = Payload(metadata={"encoding": b"binary/plain"}, data=os.urandom(1000))


def test_a_payload_below_min_size_is_left_as_it_is(codec_class, orders):
    size = orders.ByteSize()
    assert codec_class(min_size=size + 1).encode_payload(orders) is orders
    assert codec_class(min_size=size).encode_payload(orders) is not orders


def test_a_payload_that_does_not_get_smaller_is_left_as_it_is(codec_class):
    assert codec_class().encode_payload(INCOMPRESSIBLE) is INCOMPRESSIBLE


def test_a_payload_that_does_not_get_smaller_is_encoded_all_the_same_if_so_set(codec_class):
    encoded = codec_class(keep_if_not_smaller=False).encode_payload(INCOMPRESSIBLE)
    assert encoded.ByteSize() > INCOMPRESSIBLE.ByteSize()
    assert codec_class().decode_payload(encoded) == INCOMPRESSIBLE


def test_what_is_encoded_is_smaller_and_what_is_left_would_not_be(codec_class):
    always, only_smaller = codec_class(keep_if_not_smaller=False), codec_class()
    kept = set()
    for size in range(400):
        payload = Payload(
            metadata={"encoding": b"json/plain"}, data=b"abcdefgh"[: size % 8] * 3 + b"x" * size
        )
        smaller = always.encode_payload(payload).ByteSize() < payload.ByteSize()
        assert (only_smaller.encode_payload(payload) is not payload) == smaller
        kept.add(smaller)
    assert kept == {True, False}


def test_a_payload_that_looks_encoded_is_encoded_whatever_its_size(codec_class):
    looks_encoded = Payload(metadata={"encoding": codec_class.encoding.encode()}, data=b"x")
    codec = codec_class(min_size=1000)
    encoded = codec.encode_payload(looks_encoded)
    assert encoded is not looks_encoded
    assert codec.decode_payload(encoded) == looks_encoded


def test_a_payload_of_just_the_limit_is_encoded_and_decoded(codec_class, orders):
    codec = codec_class(max_decoded_size=orders.ByteSize())
    assert codec.decode_payload(codec.encode_payload(orders)) == orders


def test_a_payload_over_the_limit_is_refused_when_encoding_for_good(codec_class, orders):
    codec = codec_class(max_decoded_size=orders.ByteSize() - 1)
    with pytest.raises(PayloadTooLargeError, match=rf"codec\.{codec.codec_name}\.max_decoded_size") as caught:
        codec.encode_payload(orders)
    assert caught.value.non_retryable


ZEROS = bytes(64 * MIB)
BOMBS = {
    "gzip": (GzipCodec, gzip.compress(ZEROS)),
    "gzip that claims to be small": (GzipCodec, gzip.compress(ZEROS)[:-4] + (10).to_bytes(4, "little")),
    "gzip of many members": (GzipCodec, gzip.compress(ZEROS[:MIB]) * 64),
    "zlib": (ZlibCodec, zlib.compress(ZEROS)),
}


@pytest.mark.parametrize(("bombed", "bomb"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused_before_it_has_filled_the_memory(bombed, bomb):
    codec = bombed(max_decoded_size=2 * MIB)
    payload = Payload(metadata={"encoding": codec.encoding.encode()}, data=bomb)
    tracemalloc.start()
    try:
        with pytest.raises(
            PayloadTooLargeError, match=rf"codec\.{codec.codec_name}\.max_decoded_size"
        ) as caught:
            codec.decode_payload(payload)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB
    # The payload may be sound: an operator can raise the limit while the workflow waits.
    assert not caught.value.non_retryable


def test_a_small_payload_that_claims_to_be_huge_costs_nothing(orders):
    data = bytearray(GzipCodec().encode_payload(orders).data)
    data[-4:] = b"\xff\xff\xff\x7f"
    tracemalloc.start()
    try:
        with pytest.raises(Exception, match="Codec 'gzip' cannot decode"):
            GzipCodec().decode_payload(Payload(metadata={"encoding": b"binary/gzip"}, data=bytes(data)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MIB


async def test_a_large_payload_is_done_off_the_event_loop_and_a_small_one_in_place(codec_class, monkeypatch):
    threads = []

    def recording(name):
        method = getattr(codec_class, name)

        def record(self, *args):
            threads.append(threading.current_thread())
            return method(self, *args)

        monkeypatch.setattr(codec_class, name, record)

    recording("compress")
    recording("decompress")
    large, small = Payload(data=b"x" * MIB), Payload(data=b"x" * 1000)
    codec = codec_class()
    for payload in (large, small):
        encoded = await codec.encode([payload])
        assert await codec.decode(encoded) == [payload]
    here = threading.current_thread()
    # zlib does not say what its data expands to: it is tried in place, and given up there.
    tried = [True] if codec_class is ZlibCodec else []
    assert [thread is here for thread in threads] == [False, *tried, False, True, True]


async def test_a_payload_that_lies_about_its_size_is_not_decoded_in_place(monkeypatch):
    threads = []
    decompress = GzipCodec.decompress

    def record(self, data, limit):
        threads.append((threading.current_thread(), limit))
        return decompress(self, data, limit)

    monkeypatch.setattr(GzipCodec, "decompress", record)
    [bomb] = await GzipCodec().encode([Payload(data=bytes(100 * MIB))])
    bomb.data = bomb.data[:-4] + (1000).to_bytes(4, "little")
    with pytest.raises(PayloadIntegrityError):
        await GzipCodec().decode([bomb])
    [(first, limit), (second, _)] = threads
    assert first is threading.current_thread()
    assert limit < MIB
    assert second is not threading.current_thread()


async def test_many_payloads_that_lie_about_their_size_are_not_all_tried_in_place(monkeypatch):
    in_place = []
    decompress = ZlibCodec.decompress

    def record(self, data, limit):
        if threading.current_thread() is threading.main_thread():
            in_place.append(limit)
        return decompress(self, data, limit)

    monkeypatch.setattr(ZlibCodec, "decompress", record)
    payloads = [Payload(data=bytes(MIB)) for _ in range(20)]
    assert await ZlibCodec().decode(await ZlibCodec().encode(payloads)) == payloads
    assert len(in_place) == 1
