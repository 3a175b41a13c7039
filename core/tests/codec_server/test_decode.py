"""`/decode`, as the Web UI and the CLI use it."""

import base64
import json
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from temporal_payloads._storage.references import MARKER, MESSAGE_TYPE, is_reference
from temporalio.api.common.v1 import Payload

VECTORS = json.loads((Path(__file__).parents[3] / "tests/vectors/references.json").read_text())


async def test_an_encoded_payload_comes_back_decoded(serve, make):
    api = await serve()
    payload = make.plain("hello")
    assert await api.payloads("decode", [make.flipped(payload)]) == [payload]


async def test_a_payload_that_was_never_encoded_comes_back_as_it_is(serve, make):
    api = await serve()
    payloads = [make.plain("hello"), Payload(metadata={"encoding": b"binary/null"}), Payload()]
    assert await api.payloads("decode", payloads) == payloads


async def test_references_are_resolved_and_decoded_for_the_cli(serve, make, store):
    api = await serve()
    large = make.plain("x" * 5000)
    reference = await store.put(make.flipped(large))
    assert await api.payloads("decode", [make.plain(1), reference]) == [make.plain(1), large]


async def test_preserved_references_stay_whole_for_the_web_ui(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain("x" * 5000)))
    response = await api.post("decode?preserveStorageRefs=true", [reference, make.flipped(make.plain(1))])
    [first, second] = (await response.json())["payloads"]
    assert first == MessageToDict(reference)
    # The UI shows the size from here, and "0 Bytes" if it is lost.
    assert int(first["externalPayloads"][0]["sizeBytes"]) == reference.external_payloads[0].size_bytes > 0
    assert base64.b64decode(first["metadata"]["messageType"]) == MESSAGE_TYPE
    assert second == MessageToDict(make.plain(1))
    assert not store.reads


async def test_a_reference_that_went_through_a_codec_is_recognised_and_resolved(serve, make, store):
    api = await serve()
    large = make.plain("x" * 5000)
    encoded = make.flipped(await store.put(make.flipped(large)))
    encoded.metadata[MARKER] = b"true"
    assert await api.payloads("decode", [encoded]) == [large]
    assert await api.payloads("download", [encoded]) == [large]


async def test_a_reference_that_went_through_a_codec_is_preserved_in_the_clear(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain("x" * 5000)))
    encoded = make.flipped(reference)
    encoded.metadata[MARKER] = b"true"
    assert await api.payloads("decode?preserveStorageRefs=true", [encoded]) == [reference]


async def test_a_marked_reference_of_a_peer_is_preserved_with_its_size(serve):
    api = await serve(codecs=["gzip"])
    marked = Payload.FromString(base64.b64decode(VECTORS["references"]["marked"]))
    [found] = await api.payloads("decode?preserveStorageRefs=true", [marked])
    assert is_reference(found)
    assert found.external_payloads[0].size_bytes == VECTORS["expected"]["size_bytes"]


async def test_a_reference_in_the_older_form_is_resolved(serve, make, store):
    api = await serve()
    large = make.plain("x" * 5000)
    reference = await store.put(make.flipped(large))
    claim = json.loads(reference.data)["claimData"]
    legacy = Payload(
        metadata={"encoding": b"json/external-storage-reference"},
        data=json.dumps({"driver_name": "memory", "driver_claim": {"claim_data": claim}}).encode(),
    )
    assert await api.payloads("decode", [legacy]) == [large]
    assert await api.payloads("decode?preserveStorageRefs=true", [legacy]) == [legacy]


async def test_a_reference_under_an_earlier_name_of_the_driver_is_resolved(serve, make, store):
    storage = {
        "threshold": 1024,
        "cache": {"max_size": 0},
        "drivers": {"memory": {"read_aliases": ["attic"]}},
    }
    api = await serve(storage=storage)
    large = make.plain("x" * 5000)
    reference = await store.put(make.flipped(large))
    reference.data = reference.data.replace(b'"memory"', b'"attic"')
    assert await api.payloads("decode", [reference]) == [large]


async def test_snake_case_with_numbers_is_read_like_camel_case_with_strings(serve, make, store):
    api = await serve()
    large = make.plain("x" * 5000)
    reference = await store.put(make.flipped(large))
    size = reference.external_payloads[0].size_bytes
    camel = MessageToDict(reference)
    snake = {
        "metadata": camel["metadata"],
        "data": camel["data"],
        "external_payloads": [{"size_bytes": size}],
    }
    camel["externalPayloads"] = [{"sizeBytes": str(size)}]
    body = json.dumps({"payloads": [snake, camel]})
    response = await api.post("decode?preserveStorageRefs=true", body=body)
    assert (await response.json())["payloads"] == [camel, camel]


async def test_base64_without_padding_and_in_the_url_alphabet_is_read(serve):
    api = await serve()
    body = json.dumps({"payloads": [{"data": "-_8"}]})
    response = await api.post("decode", body=body)
    assert await response.json() == {"payloads": [{"data": "+/8="}]}


async def test_no_payloads_in_are_no_payloads_out(serve):
    api = await serve()
    for body in ('{"payloads": []}', "{}"):
        response = await api.post("decode", body=body)
        assert await response.json() == {"payloads": []}


async def test_fields_of_a_newer_api_are_ignored(serve):
    api = await serve()
    response = await api.post("decode", body='{"payloads": [{"data": "AA==", "colour": 1}], "x": 2}')
    assert await response.json() == {"payloads": [{"data": "AA=="}]}


# The last is what the Web UI makes of an endpoint with a slash at its end.
@pytest.mark.parametrize("prefix", ["", "/default", "/codec/eu/default", "/codec/", "/"])
async def test_any_path_prefix_will_do(serve, make, prefix):
    api = await serve()
    address = str(api.client.make_url("/")).rstrip("/")
    response = await api.client.session.post(
        f"{address}{prefix}/decode", json={"payloads": [MessageToDict(make.flipped(make.plain(1)))]}
    )
    assert await response.json() == {"payloads": [MessageToDict(make.plain(1))]}


async def test_one_payload_that_cannot_be_decoded_does_not_take_the_others_with_it(
    serve, make, store, caplog
):
    api = await serve()
    good = make.plain("x" * 5000)
    reference = await store.put(make.flipped(good))
    lost = await store.put(make.flipped(make.plain("y" * 5000)))
    [lost_key] = [key for key in store.objects if key in lost.data.decode()]
    del store.objects[lost_key]
    corrupt = Payload(metadata={"encoding": b"binary/flip"}, data=b"no gzip")
    foreign = await store.put(make.flipped(make.plain("z" * 5000)), namespace="other")
    sent = [corrupt, reference, lost, make.flipped(make.plain(1)), foreign]
    got = await api.payloads("decode", sent)
    assert got[1] == good
    assert got[3] == make.plain(1)
    for index, code in [(0, "payload_corrupt"), (2, "payload_not_found"), (4, "reference_rejected")]:
        reason = got[index].metadata["temporal-payloads-error"].decode()
        assert reason.startswith(f"{code}: ")
        assert len(reason) > len(code) + 20
        del got[index].metadata["temporal-payloads-error"]
        assert got[index] == sent[index]
    assert "BadGzipFile" in caplog.text
    assert lost_key in caplog.text


async def test_a_payload_of_a_codec_that_is_not_configured_says_so(serve, caplog):
    api = await serve()
    payload = Payload(metadata={"encoding": b"binary/encrypted"}, data=b"...")
    [got] = await api.payloads("decode", [payload])
    assert got.metadata["encoding"] == b"binary/encrypted"
    reason = got.metadata["temporal-payloads-error"].decode()
    assert reason == "payload_not_decoded: none of the server's codecs decodes the payload"
    assert "Add 'encryption' to codecs" in caplog.text


async def test_a_store_that_is_down_leaves_inline_payloads_readable(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain("x" * 5000)))
    store.failure = ConnectionError("password=hunter2 refused")
    [inline, kept] = await api.payloads("decode", [make.flipped(make.plain(1)), reference])
    assert inline == make.plain(1)
    reason = kept.metadata["temporal-payloads-error"].decode()
    assert reason.startswith("storage_unavailable: ")
    # Whatever a client library says is for the log alone.
    assert "hunter2" not in reason
