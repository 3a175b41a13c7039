"""What we write, peers read; what they write, we read; and both are what the recorded vectors say."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from interop.peers import GoZlibCodec, SampleGzipCodec, peer_converter, peer_driver
from support.history import REFERENCE_MARKER, REFERENCE_MESSAGE, claim_of, in_the_clear, is_reference
from support.values import large, small
from temporal_payloads import PayloadSettings, build_data_converter
from temporal_payloads.plugin import PayloadNotFoundError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    PayloadCodec,
    StorageDriverActivityInfo,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.stores import S3Store, Store
    from temporalio.converter import StorageDriver, StorageDriverClaim

VECTORS = Path(__file__).parents[1] / "vectors"
CODECS, REFERENCES, CLAIMS = (
    json.loads((VECTORS / f"{name}.json").read_text()) for name in ("codecs", "references", "storage_claims")
)
PEER_CODECS = {"gzip": SampleGzipCodec(), "zlib": GoZlibCodec()}
NO_CACHE = {"max_size": 0}


def payload_of(text: str) -> Payload:
    """Read a payload of the vectors."""
    return Payload.FromString(base64.b64decode(text))


def our_codec(name: str) -> PayloadCodec:
    """Return the codec that settings with just this name build."""
    codec = build_data_converter(PayloadSettings(codecs=(name,))).payload_codec
    assert codec is not None
    return codec


def target_of(case: dict[str, Any]) -> StorageDriverWorkflowInfo | StorageDriverActivityInfo | None:
    """Return the workflow or activity that a vector's payload was stored for."""
    target = dict(case["target"] or {})
    kind = target.pop("kind", None)
    if kind is None:
        return None
    return (StorageDriverWorkflowInfo if kind == "workflow" else StorageDriverActivityInfo)(**target)


@pytest.mark.parametrize("codec", PEER_CODECS)
@pytest.mark.parametrize("case", CODECS["cases"], ids=lambda case: case["name"])
class TestCodecVectors:
    """`codecs.json`."""

    async def test_we_decode_what_was_recorded(self, codec: str, case: dict[str, str]) -> None:
        assert await our_codec(codec).decode([payload_of(case[codec])]) == [payload_of(case["payload"])]

    async def test_peers_decode_what_we_encode(self, codec: str, case: dict[str, str]) -> None:
        encoded = await our_codec(codec).encode([payload_of(case["payload"])])
        assert await PEER_CODECS[codec].decode(encoded) == [payload_of(case["payload"])]


@pytest.mark.parametrize("codec", PEER_CODECS)
async def test_what_is_worth_compressing_is_compressed_under_the_peers_name(codec: str) -> None:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(small("order")).encode())
    [encoded] = await our_codec(codec).encode([payload])
    assert dict(encoded.metadata) == {"encoding": f"binary/{codec}".encode()}


async def test_claims_are_those_that_were_recorded_and_each_side_retrieves_the_others(
    store: Store, subtests: pytest.Subtests
) -> None:
    payload = payload_of(CLAIMS["payload"])
    storage = build_data_converter(store.settings(cache=NO_CACHE)).external_storage
    assert storage is not None
    [ours] = storage.drivers
    async with peer_driver(store) as theirs:
        for case in CLAIMS["cases"]:
            context = StorageDriverStoreContext(target=target_of(case))
            expected = case[f"{store.type}_claim"]
            for writer, reader in ((theirs, ours), (ours, theirs)):
                with subtests.test(target=case["target"], writer=type(writer).__name__):
                    [claim] = await writer.store(context, [payload])
                    assert dict(claim.claim_data) == expected
                    assert await retrieve(reader, claim) == payload
                store.delete(expected)


async def retrieve(driver: StorageDriver, claim: StorageDriverClaim) -> Payload:
    """Retrieve one payload."""
    [payload] = await driver.retrieve(StorageDriverRetrieveContext(), [claim])
    return payload


@pytest.mark.parametrize("form", REFERENCES["references"])
async def test_a_recorded_reference_of_any_form_leads_to_its_key(s3_store: S3Store, form: str) -> None:
    """Nobody has the payload that the vectors' references stand for: that much can be told, and by whom."""
    converter = build_data_converter(s3_store.settings(cache=NO_CACHE))
    with pytest.raises(PayloadNotFoundError) as raised:
        await converter.decode([payload_of(REFERENCES["references"][form])])
    assert REFERENCES["expected"]["key"] in str(raised.value)
    assert REFERENCES["expected"]["bucket"] in str(raised.value)


@pytest.mark.parametrize("sized", [large, small])
class TestValues:
    """One value, from converter to converter."""

    async def test_peers_read_what_we_write(self, store: Store, sized: Callable[[str], str]) -> None:
        value = sized("order")
        [payload] = await build_data_converter(store.settings()).encode([value])
        assert is_reference(payload) == (sized is large)
        async with peer_converter(store) as peer:
            assert await peer.decode([payload]) == [value]

    async def test_we_read_what_peers_write(self, store: Store, sized: Callable[[str], str]) -> None:
        value = sized("order")
        async with peer_converter(store) as peer:
            [payload] = await peer.encode([value])
        assert is_reference(payload) == (sized is large)
        converter = build_data_converter(store.settings(cache=NO_CACHE))
        assert await converter.decode([payload]) == [value]

    async def test_equal_values_get_equal_references(self, store: Store, sized: Callable[[str], str]) -> None:
        """Unlike the sample's gzip, which stamps the time."""
        first = build_data_converter(store.settings(cache=NO_CACHE))
        second = build_data_converter(store.settings(cache=NO_CACHE))
        assert await first.encode([sized("order")]) == await second.encode([sized("order")])


async def written_by_a_peer(store: Store, value: str) -> tuple[Payload, dict[str, str]]:
    """Let the peer store a value; return its reference, in the clear, and the claim in it."""
    async with peer_converter(store) as peer:
        [reference] = await peer.encode([value])
    return in_the_clear(reference), claim_of(reference)


async def test_we_read_the_spelling_of_the_typescript_sdk(s3_store: S3Store) -> None:
    value = large("typescript")
    reference, claim = await written_by_a_peer(s3_store, value)
    claim["hashAlgorithm"] = claim.pop("hash_algorithm")
    claim["hashValue"] = claim.pop("hash_value")
    reference.data = json.dumps({"claimData": claim, "driverName": "aws.s3driver"}).encode()
    converter = build_data_converter(s3_store.settings(cache=NO_CACHE))
    assert await converter.decode([reference]) == [value]


async def test_we_read_the_legacy_form_of_a_reference(store: Store) -> None:
    value = large("legacy")
    _, claim = await written_by_a_peer(store, value)
    reference = Payload(
        metadata={"encoding": b"json/external-storage-reference"},
        data=json.dumps({"driver_name": store.driver_name, "driver_claim": {"claim_data": claim}}).encode(),
    )
    converter = build_data_converter(store.settings(cache=NO_CACHE))
    assert await converter.decode([reference]) == [value]


async def test_we_read_a_reference_that_went_through_a_codec(store: Store) -> None:
    value = large("marked")
    reference, _ = await written_by_a_peer(store, value)
    [marked] = await SampleGzipCodec().encode([reference])
    marked.metadata[REFERENCE_MARKER] = b"true"
    marked.external_payloads.extend(reference.external_payloads)
    converter = build_data_converter(store.settings(cache=NO_CACHE))
    assert await converter.decode([marked]) == [value]


async def test_we_write_the_canonical_form(store: Store) -> None:
    [written] = await build_data_converter(store.settings()).encode([large("order")])
    reference = in_the_clear(written)
    assert dict(reference.metadata) == {"encoding": b"json/protobuf", "messageType": REFERENCE_MESSAGE}
    assert set(json.loads(reference.data)) == {"driverName", "claimData"}
    claim = claim_of(reference)
    assert set(claim) == {"key", "hash_algorithm", "hash_value", *(["bucket"] if store.type == "s3" else [])}
    assert written.external_payloads == reference.external_payloads
    assert reference.external_payloads[0].size_bytes == len(store.read(claim))
