"""References as every SDK wrote them, and as we write them."""

import base64
import json
from pathlib import Path

import pytest
from temporal_payloads._storage.claim_bounds import MAX_CLAIM_SIZE, bounded
from temporal_payloads._storage.references import (
    MAX_REFERENCE_SIZE,
    Reference,
    is_encoded_reference,
    is_reference,
    read_reference,
)
from temporal_payloads.plugin import ClaimRejectedError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
)

VECTORS = json.loads((Path(__file__).parents[3] / "tests" / "vectors" / "references.json").read_text())
EXPECTED = VECTORS["expected"]


def vector(name):
    return Payload.FromString(base64.b64decode(VECTORS["references"][name]))


@pytest.mark.parametrize("name", ["canonical", "legacy", "typescript"])
def test_a_reference_in_the_clear_is_recognised_and_read(name):
    payload = vector(name)
    assert is_reference(payload)
    assert not is_encoded_reference(payload)
    reference = read_reference(payload)
    assert reference.driver_name == EXPECTED["driver_name"]
    data = reference.claim.claim_data
    assert (data["bucket"], data["key"]) == (EXPECTED["bucket"], EXPECTED["key"])
    assert EXPECTED["hash_value"] in data.values()
    assert reference.size == (0 if name == "legacy" else EXPECTED["size_bytes"])


def test_a_reference_that_has_been_through_a_codec_is_recognised_by_its_mark():
    payload = vector("marked")
    assert is_encoded_reference(payload)
    assert not is_reference(payload)


@pytest.mark.parametrize(
    "payload",
    [
        Payload(),
        Payload(metadata={"encoding": b"json/plain"}),
        Payload(metadata={"encoding": b"json/protobuf", "messageType": b"temporal.api.common.v1.Payload"}),
        Payload(metadata={"encoding": b"json/protobuf"}),
        Payload(metadata={"messageType": b"temporal.api.sdk.v1.ExternalStorageReference"}),
    ],
)
def test_other_payloads_are_no_references(payload):
    assert not is_reference(payload)
    assert not is_encoded_reference(payload)


def test_what_is_written_is_read_again():
    reference = Reference("d", StorageDriverClaim(claim_data={"key": "k", "b": "ü"}), 77)
    assert read_reference(reference.to_payload()) == reference


def test_what_is_written_is_what_the_sdk_writes():
    """But for white space and the order of keys, which vary."""
    reference = read_reference(vector("canonical"))
    written, theirs = reference.to_payload(), vector("canonical")
    assert written.metadata == theirs.metadata
    assert written.external_payloads == theirs.external_payloads
    assert json.loads(written.data) == json.loads(theirs.data)


class Answering(StorageDriver):
    """Answers any claim, to see which claim the SDK read."""

    def name(self):
        return EXPECTED["driver_name"]

    async def store(self, context, payloads):
        raise NotImplementedError

    async def retrieve(self, context, claims):
        return [
            Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(dict(claim.claim_data)).encode())
            for claim in claims
        ]


@pytest.mark.parametrize("name", ["canonical", "legacy", "typescript"])
async def test_the_sdk_reads_in_a_reference_what_we_read(name):
    converter = DataConverter(external_storage=ExternalStorage(drivers=[Answering()]))
    (read_by_the_sdk,) = await converter.decode([vector(name)])
    assert read_by_the_sdk == dict(read_reference(vector(name)).claim.claim_data)


@pytest.mark.parametrize("data", [b"", b"null", b"{", b'{"driverName": 5}', b"\xff"])
@pytest.mark.parametrize("name", ["canonical", "legacy"])
def test_a_reference_that_cannot_be_read_is_rejected(name, data):
    payload = vector(name)
    payload.data = data
    with pytest.raises(ClaimRejectedError, match="could not be read"):
        read_reference(payload)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("canonical", b'"hello"'),
        ("canonical", b"[]"),
        ("canonical", b'["hello"]'),
        ("canonical", b"{}"),
        ("canonical", b'{"hello": 1}'),
        ("canonical", b'{"claimData": {"key": "k"}}'),
        ("canonical", b'{"driverName": ""}'),
        ("legacy", b'{"driver_name": "", "driver_claim": {"claim_data": {"key": "k"}}}'),
    ],
)
def test_a_reference_that_names_no_driver_is_rejected(name, data):
    payload = vector(name)
    payload.data = data
    with pytest.raises(ClaimRejectedError, match="could not be read: it names no driver"):
        read_reference(payload)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("canonical", rb'{"\ud800": 1}'),
        ("canonical", rb'{"driverName": "\ud800"}'),
        ("canonical", rb'{"driverName": "d", "claimData": {"\ud800": "k"}}'),
        ("legacy", rb'{"driver_name": "\ud800", "driver_claim": {"claim_data": {"key": "k"}}}'),
        ("legacy", rb'{"driver_name": "d", "driver_claim": {"claim_data": {"key": "\ud800"}}}'),
    ],
)
def test_a_reference_with_half_of_a_surrogate_pair_is_rejected_and_stops_nobody(name, data):
    payload = vector(name)
    payload.data = data
    with pytest.raises(ClaimRejectedError, match="could not be read"):
        read_reference(payload)


def test_what_a_newer_release_adds_to_a_reference_is_left_to_it():
    payload = vector("canonical")
    payload.data = json.dumps(json.loads(payload.data) | {"region": "eu"}).encode()
    assert read_reference(payload) == read_reference(vector("canonical"))


@pytest.mark.parametrize("name", ["canonical", "legacy"])
def test_a_reference_larger_than_any_is_rejected_before_it_is_parsed(name, monkeypatch):
    payload = vector(name)
    payload.data += b" " * MAX_REFERENCE_SIZE
    monkeypatch.delattr("temporal_payloads._storage.references.Parse")
    monkeypatch.delattr("temporal_payloads._storage.references.json")
    with pytest.raises(ClaimRejectedError, match=rf"has {len(payload.data)} bytes; at most \d+ are accepted"):
        read_reference(payload)


def test_the_largest_claim_makes_a_reference_that_is_read_again():
    largest = StorageDriverClaim(claim_data={"key": "\N{SPEAKER}" * (MAX_CLAIM_SIZE - 3)})
    reference = Reference("d", bounded(largest), 77)
    assert read_reference(reference.to_payload()) == reference
