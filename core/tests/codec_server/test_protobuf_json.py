"""Payloads as JSON: what protobuf writes and reads, in pieces and without building what is too much."""

import json
import os
import tracemalloc

import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from temporal_payloads.codec_server._errors import RequestError
from temporal_payloads.codec_server._fields import PIECE_SIZE, PayloadFields
from temporal_payloads.codec_server._protobuf_json import PayloadsReader, write_payloads
from temporalio.api.common.v1 import Payload

PAYLOADS = st.builds(
    lambda metadata, data, sizes: Payload(
        metadata=metadata,
        data=data,
        external_payloads=[Payload.ExternalPayloadDetails(size_bytes=size) for size in sizes],
    ),
    st.dictionaries(st.text(max_size=20), st.binary(max_size=20), max_size=3),
    st.binary(max_size=100) | st.integers(0, 3).map(lambda n: bytes(PIECE_SIZE + n)),
    st.lists(st.integers(0, 2**62), max_size=3),
)


def written(*payloads):
    return b"".join(write_payloads([PayloadFields.of(payload) for payload in payloads]))


@given(st.lists(PAYLOADS, max_size=4))
async def test_it_is_byte_for_byte_what_protobuf_writes_and_is_read_again(payloads):
    expected = ",".join(MessageToJson(payload, indent=None) for payload in payloads)
    assert written(*payloads) == f'{{"payloads":[{expected}]}}'.encode()
    assert await PayloadsReader(4).read(bytearray(written(*payloads))) == payloads


@given(PAYLOADS)
def test_the_size_is_that_of_the_serialized_payload(payload):
    assert PayloadFields.of(payload).size == payload.ByteSize()


def test_a_payload_has_no_fields_but_those_that_are_written():
    assert [field.name for field in Payload.DESCRIPTOR.fields] == ["metadata", "data", "external_payloads"]


def test_a_large_payload_is_written_in_small_pieces():
    results = [PayloadFields.of(Payload(data=os.urandom(10_000_000)))]
    assert max(map(len, write_payloads(results))) < 4 * PIECE_SIZE
    assert not results


@pytest.mark.parametrize("text", ["", "=", "==", "A", "A=", "AA=A", "AA===", "A" * PIECE_SIZE + "=A", "Ä"])
async def test_base64_over_the_end_of_a_piece_is_checked_as_elsewhere(text):
    document = bytearray(json.dumps({"payloads": [{"data": "A" * PIECE_SIZE + text}]}).encode())
    if text in ("", "=", "=="):
        # Padding that pads nothing was always read.
        [payload] = await PayloadsReader(1).read(document)
        assert len(payload.data) == PIECE_SIZE * 3 // 4
    else:
        with pytest.raises(RequestError, match=r"payloads\[0\]\.data is not base64"):
            await PayloadsReader(1).read(document)


@pytest.mark.parametrize("piece", [b"{},", b"[", b'{"a":', b"0,"])
async def test_what_has_too_many_values_is_not_built(piece):
    body = bytearray(b'{"payloads":[' + piece * 1_000_000)
    tracemalloc.start()
    with pytest.raises(RequestError, match=r"codec_server\.limits\.payloads"):
        await PayloadsReader(1000).read(body)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000


async def test_payloads_may_have_much_metadata():
    payload = Payload(metadata={f"key-{n}": b"value" for n in range(30)}, data=b"x")
    payloads = [payload] * 1000
    assert await PayloadsReader(1000).read(bytearray(written(*payloads))) == payloads


async def test_metadata_has_a_bound():
    payload = Payload(metadata={"k" * 2_000_000: b""})
    with pytest.raises(RequestError, match="bytes of metadata"):
        PayloadFields.of(payload)
    body = bytearray(json.dumps({"payloads": [{"metadata": {"k" * 2_000_000: ""}}]}).encode())
    with pytest.raises(RequestError, match="bytes of metadata"):
        await PayloadsReader(1).read(body)
