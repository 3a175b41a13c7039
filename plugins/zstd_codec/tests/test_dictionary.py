"""A dictionary that was trained on payloads like those to come."""

import random
import sys

import pytest
from temporal_payloads.plugin import PayloadIntegrityError, StorageMisconfiguredError
from temporal_payloads_zstd_codec import ZstdCodec
from temporalio.api.common.v1 import Payload

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def small_order(number):
    return Payload(
        metadata={"encoding": b"json/plain"},
        data=b'{"order_id":"ORD-%d","customer":"Customer %d","notes":"keep cold"}' % (number, number * 7),
    )


def train(path, seed):
    numbers = random.Random(seed)
    samples = [small_order(numbers.randrange(10**6)).SerializeToString() for _ in range(2000)]
    path.write_bytes(zstd.train_dict(samples, 2048).dict_content)
    return path


@pytest.fixture
def dictionary(tmp_path):
    return train(tmp_path / "current", seed=1)


@pytest.fixture
def old_dictionary(tmp_path):
    return train(tmp_path / "old", seed=2)


def test_a_dictionary_makes_small_payloads_smaller(dictionary):
    payload = small_order(123)
    encoded = ZstdCodec(dictionary=dictionary).encode_payload(payload)
    assert encoded.ByteSize() < ZstdCodec(keep_if_not_smaller=False).encode_payload(payload).ByteSize()
    assert ZstdCodec(dictionary=dictionary).decode_payload(encoded) == payload


def test_the_frame_names_its_dictionary(dictionary):
    frame = ZstdCodec(dictionary=dictionary).encode_payload(small_order(1)).data
    trained = zstd.ZstdDict(dictionary.read_bytes())
    assert zstd.get_frame_info(frame).dictionary_id == trained.dict_id
    assert Payload.FromString(zstd.decompress(frame, zstd_dict=trained)) == small_order(1)


def test_a_frame_whose_dictionary_is_not_configured_says_which_one_it_needs(dictionary, old_dictionary):
    encoded = ZstdCodec(dictionary=old_dictionary).encode_payload(small_order(1))
    needed = zstd.ZstdDict(old_dictionary.read_bytes()).dict_id
    for codec in (ZstdCodec(), ZstdCodec(dictionary=dictionary)):
        with pytest.raises(
            StorageMisconfiguredError, match=rf"{needed}.*codec\.zstd\.read_dictionaries"
        ) as caught:
            codec.decode_payload(encoded)
        # An operator can add the file while the workflow waits.
        assert not caught.value.non_retryable


def test_earlier_dictionaries_and_frames_without_one_stay_readable(dictionary, old_dictionary):
    codec = ZstdCodec(dictionary=dictionary, read_dictionaries=[old_dictionary])
    for writer in (
        ZstdCodec(dictionary=old_dictionary),
        ZstdCodec(keep_if_not_smaller=False),
        ZstdCodec(dictionary=dictionary),
    ):
        assert codec.decode_payload(writer.encode_payload(small_order(1))) == small_order(1)


def test_another_dictionary_under_the_same_id_is_an_integrity_error(dictionary, tmp_path):
    content = bytearray(dictionary.read_bytes())
    content[-500:] = bytes(500)
    other = tmp_path / "other"
    other.write_bytes(content)
    encoded = ZstdCodec(dictionary=dictionary).encode_payload(small_order(1))
    with pytest.raises(PayloadIntegrityError):
        ZstdCodec(dictionary=other).decode_payload(encoded)


def test_a_file_that_is_no_dictionary_is_refused_by_name(tmp_path):
    file = tmp_path / "orders.json"
    file.write_text("no dictionary")
    with pytest.raises(ValueError, match=r"orders\.json is not a trained dictionary"):
        ZstdCodec(dictionary=file)
    with pytest.raises(FileNotFoundError, match="missing"):
        ZstdCodec(read_dictionaries=[tmp_path / "missing"])
