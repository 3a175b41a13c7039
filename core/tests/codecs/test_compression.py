"""What every compressing codec has from its base class."""

from temporal_payloads._storage.serialized import serialize
from temporalio.api.common.v1 import Payload

LARGE = b"\x00\xff" * 100_000


def test_equal_payloads_are_serialized_to_equal_bytes_whatever_order_their_metadata_came_in():
    names = [f"key-{number}" for number in range(20)]
    for data in (b"small", LARGE):
        forward = Payload(metadata=dict.fromkeys(names, b"x"), data=data)
        backward = Payload(metadata=dict.fromkeys(reversed(names), b"x"), data=data)
        assert serialize(forward) == serialize(backward)


def test_a_large_payload_is_serialized_as_protobuf_does_it():
    payload = Payload(
        metadata={"encoding": b"json/plain", "other": b""},
        data=LARGE,
        external_payloads=[Payload.ExternalPayloadDetails(size_bytes=7), Payload.ExternalPayloadDetails()],
    )
    assert b"".join(serialize(payload)) == payload.SerializeToString(deterministic=True)


def test_fields_of_a_newer_sdk_survive():
    from_the_future = Payload(data=LARGE).SerializeToString() + b"\x7a\x03new"  # field 15
    assert b"".join(serialize(Payload.FromString(from_the_future))) == from_the_future
