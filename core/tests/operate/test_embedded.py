"""Payloads inside of messages of the server that nobody has a descriptor for."""

import base64
import json

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from temporal_payloads._operate.embedded import (
    DEEPEST,
    TooIntricateError,
    hashes_in,
    hashes_within,
    opaque_in,
    payloads_within,
)
from temporalio.api.batch.v1 import BatchOperationSignal
from temporalio.api.common.v1 import Callback, Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.schedule.v1 import Schedule
from temporalio.api.workflowservice.v1 import StartBatchOperationRequest

HASH = "0123456789abcdef" * 4
PAYLOAD = Payload(metadata={"encoding": b"json/plain"}, data=b'"seven"')
ENCODED = Payload(metadata={"encoding": b"binary/gzip"}, data=bytes(range(256)))


def batch(*payloads: Payload) -> StartBatchOperationRequest:
    signal = BatchOperationSignal(signal="put", input=Payloads(payloads=payloads))
    return StartBatchOperationRequest(namespace="orders", job_id="j", signal_operation=signal)


def schedule(*payloads: Payload) -> Schedule:
    message = Schedule()
    message.action.start_workflow.input.payloads.extend(payloads)
    return message


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(batch(PAYLOAD, ENCODED).SerializeToString(), id="protobuf"),
        pytest.param(schedule(PAYLOAD, ENCODED).SerializeToString(), id="another message"),
        pytest.param(MessageToJson(batch(PAYLOAD, ENCODED)).encode(), id="JSON of protobuf"),
        pytest.param(
            MessageToJson(batch(PAYLOAD, ENCODED), preserving_proto_field_name=True, indent=None).encode(),
            id="JSON with the fields' own names",
        ),
        pytest.param(base64.b64encode(batch(PAYLOAD, ENCODED).SerializeToString()), id="base64"),
        pytest.param(
            base64.urlsafe_b64encode(batch(PAYLOAD, ENCODED).SerializeToString()).rstrip(b"="),
            id="base64 for URLs, without padding",
        ),
        pytest.param(
            json.dumps(
                {"State": [base64.b64encode(batch(PAYLOAD, ENCODED).SerializeToString()).decode()]}
            ).encode(),
            id="base64 in JSON",
        ),
        pytest.param(json.dumps(MessageToJson(batch(PAYLOAD, ENCODED))).encode(), id="JSON in JSON"),
        pytest.param(
            AnyMessage(value=batch(PAYLOAD, ENCODED).SerializeToString()).SerializeToString(), id="any"
        ),
    ],
)
def test_payloads_are_found_in_whatever_form_they_are(data):
    assert list(payloads_within(data)) == [PAYLOAD, ENCODED]


def test_what_is_a_payload_itself_is_found_and_not_what_is_inside_of_it():
    outer = Payload(metadata={"encoding": b"binary/protobuf"}, data=batch(PAYLOAD).SerializeToString())
    assert list(payloads_within(outer.SerializeToString())) == [outer]
    assert list(payloads_within(outer.data)) == [PAYLOAD]


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'"text"', b"\x00" * 100, b"\xff" * 100, b"AAAA" * 100, b"{" * 100_000]
)
def test_in_anything_else_is_nothing(data):
    assert list(payloads_within(data)) == []
    assert list(hashes_within(data)) == []


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_what_stands_around_a_message_does_not_matter(before, after):
    inner = batch(PAYLOAD).SerializeToString()
    around = Payloads(payloads=[Payload(data=before)]).SerializeToString()
    around += b"\xa2\x06" + bytes([len(inner) & 127 | 128, len(inner) >> 7]) + inner
    around += Payloads(payloads=[Payload(data=after)]).SerializeToString()
    assert PAYLOAD in list(payloads_within(around))


@given(st.binary(max_size=2000))
def test_no_bytes_end_it(data):
    list(payloads_within(data))
    list(hashes_within(data))


def test_messages_without_end_within_each_other_are_told():
    data = b""
    for _ in range(3000):
        data = b"\x0a" + _varint(len(data)) + data
    for look in (payloads_within, hashes_within):
        with pytest.raises(TooIntricateError):
            list(look(data))


def _varint(number: int) -> bytes:
    data = b""
    while number > 127:
        data += bytes([number & 127 | 128])
        number >>= 7
    return data + bytes([number])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(HASH.encode(), id="text"),
        pytest.param(b"\x0a@" + HASH.encode(), id="protobuf"),
        pytest.param(json.dumps({"key": f"v0/d/sha256/{HASH}"}).encode(), id="JSON"),
        pytest.param(b'{"h": "\\u0030' + HASH[1:].encode() + b'"}', id="escaped in JSON"),
        pytest.param(json.dumps({HASH: 1}).encode(), id="a name in JSON"),
        pytest.param(base64.b64encode(b"v0/" + HASH.encode()), id="base64"),
        pytest.param(json.dumps([base64.b64encode(b"v0/" + HASH.encode()).decode()]).encode(), id="nested"),
    ],
)
def test_hashes_are_found_in_whatever_form_they_are(data):
    assert HASH in set(hashes_within(data))


def test_a_hash_within_more_digits_is_found():
    assert HASH in set(hashes_in(b"0f" + HASH.encode() + b"a0"))
    assert len(set(hashes_in(b"0f" + HASH.encode() + b"a0"))) == 5
    assert list(hashes_in(HASH[:-1].encode())) == list(hashes_in(HASH.upper().encode())) == []


def test_of_digits_without_end_only_the_first_and_the_last_count():
    assert list(hashes_in(b"0" * 1_000_000 + HASH.encode())) == ["0" * 64, HASH]


def test_bytes_outside_of_payloads_are_opaque():
    event = HistoryEvent()
    started = event.workflow_execution_started_event_attributes
    started.input.payloads.add().data = b"of a payload"
    started.search_attributes.indexed_fields["Keyword"].data = b"of the server"
    started.completion_callbacks.append(Callback(internal=Callback.Internal(data=b"inside")))
    started.memo.fields["note"].data = b"of a payload"
    assert list(opaque_in(event)) == [b"inside"]


def test_what_is_packed_into_any_is_opaque():
    packed = AnyMessage()
    packed.Pack(batch(PAYLOAD))
    assert [each for data in opaque_in(packed) for each in payloads_within(data)] == [PAYLOAD]


def nested(times: int) -> bytes:
    """A payload in so many messages, the one in the other."""
    data = PAYLOAD.SerializeToString()
    for _ in range(times):
        data = AnyMessage(value=data).SerializeToString()
    return data


def test_what_lies_too_deep_to_be_looked_at_is_told_and_not_passed_over():
    assert list(payloads_within(nested(DEEPEST))) == [PAYLOAD]
    for look in (payloads_within, hashes_within):
        with pytest.raises(TooIntricateError):
            list(look(nested(DEEPEST + 1)))


def test_json_that_is_nested_too_deep_to_be_read_is_told_and_not_passed_over():
    payload = MessageToJson(PAYLOAD)
    with pytest.raises(TooIntricateError):
        list(payloads_within(b"[" * 100_000 + payload.encode() + b"]" * 100_000))


def test_a_payload_is_found_in_json_beside_a_number_that_python_does_not_read():
    assert list(payloads_within(b"[" + b"9" * 5000 + b", " + MessageToJson(PAYLOAD).encode() + b"]")) == [
        PAYLOAD
    ]
