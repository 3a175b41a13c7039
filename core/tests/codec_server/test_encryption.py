"""A codec server with the encryption codec: what it encrypts, and what it says where it cannot decrypt."""

import json
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel
from support.keys import KEYS, variable_of
from temporal_payloads._storage.references import (
    LEGACY_ENCODING,
    MARKER,
    MESSAGE_TYPE,
    is_encoded_reference,
    is_reference,
)
from temporal_payloads.plugin import KeyProvider, KeyProviderPlugin, KeyUnavailableError, hookimpl
from temporalio.api.common.v1 import Payload

pytestmark = pytest.mark.usefixtures("keys_in_environment")

KMS_KEY = "kms:///orders"


class BrokenProvider(KeyProvider):
    """A provider whose keys are in a region that is down."""

    async def make_data_key(self, key):
        raise KeyUnavailableError("the region is down, at kms.example")

    async def unwrap_data_key(self, key, wrapped):
        raise KeyUnavailableError("the region is down, at kms.example")


class NoSettings(BaseModel):
    pass


@pytest.fixture
def kms_is_down(registry):
    """Offer that provider."""

    @asynccontextmanager
    async def open_provider(settings, context):
        yield BrokenProvider()

    class Plugin:
        @hookimpl
        def temporal_payloads_key_provider(self):
            return KeyProviderPlugin(api_version=1, settings=NoSettings, open=open_provider)

    registry.register_key_provider("kms", Plugin())


# -- encode


async def test_what_is_encoded_was_encrypted_and_comes_back_by_decode(serve, make):
    api = await serve(**make.encrypting("key-1"))
    payloads = [make.plain("hello"), make.plain(list(range(50)))]
    encoded = await api.payloads("encode", payloads)
    assert [make.key_of(payload) for payload in encoded] == ["key-1", "key-1"]
    assert b"hello" not in encoded[0].SerializeToString()
    assert await api.payloads("decode", encoded) == payloads


async def test_what_only_another_codec_of_the_chain_has_encoded_is_encrypted_all_the_same(serve, make):
    api = await serve(**make.encrypting("key-1"))
    half_way = make.flipped(make.plain("hello"))
    [encoded] = await api.payloads("encode", [half_way])
    assert make.key_of(encoded) == "key-1"
    assert await api.payloads("decode", [encoded]) == [make.plain("hello")]


@pytest.mark.parametrize("encoding", [b"binary/gzip", b"binary/zlib", b"binary/own"])
async def test_so_is_what_any_other_codec_has_encoded(serve, make, encoding):
    """What says that it is encoded need not be: nothing leaves in clear because of a name."""
    api = await serve(**make.encrypting("key-1"), decode_only=["zlib"])
    [encoded] = await api.payloads("encode", [Payload(metadata={"encoding": encoding}, data=b"hello")])
    assert make.key_of(encoded) == "key-1"


async def test_what_is_encrypted_already_is_left_as_it_is(serve, make):
    api = await serve(**make.encrypting("key-1"))
    encoded = await api.payloads("encode", [make.plain(1), make.plain(2)])
    assert await api.payloads("encode", [*encoded, make.plain(3)]) != encoded
    assert (await api.payloads("encode", [*encoded, make.plain(3)]))[:2] == encoded


@pytest.mark.parametrize("require_encrypted", [False, True])
@pytest.mark.parametrize("codecs", [["encryption"], ["flip", "encryption"], ["encryption", "flip"]])
async def test_nothing_leaves_in_clear_because_it_says_that_it_is_encrypted(
    serve, make, caplog, codecs, require_encrypted
):
    api = await serve(**make.encrypting("key-1", codecs=codecs), require_encrypted=require_encrypted)
    says_so = {"encoding": b"binary/encrypted"}
    with_key = {**says_so, "encryption-key-id": b"key-1"}
    for metadata, code in (
        (says_so, "payload_not_encrypted"),
        ({**says_so, "encryption-key-id": b"key-9"}, "payload_not_encrypted"),
        (with_key, "payload_corrupt"),
    ):
        payload = Payload(metadata=metadata, data=b"a secret, long enough for nonce and tag")
        assert (await api.error("encode", [make.plain(1), payload]))[:2] == (422, code)
    assert "its metadata has no encryption-key-id" in caplog.text


@pytest.mark.parametrize("require_encrypted", [False, True])
async def test_nor_because_a_codec_after_encryption_has_encoded_it(serve, make, require_encrypted):
    settings = make.encrypting("key-1", codecs=["encryption", "flip"])
    api = await serve(**settings, require_encrypted=require_encrypted)
    status, code, message = await api.error("encode", [make.flipped(make.plain("hello"))])
    assert (status, code) == (422, "payload_not_encrypted")
    assert (
        message == "a payload is not encrypted, as far as the server can tell, and does not leave like that"
    )
    done = await api.payloads("encode", [make.plain("hello")])
    assert await api.payloads("encode", done) == done


@pytest.mark.parametrize("require_encrypted", [False, True])
async def test_nor_because_it_says_that_it_is_a_reference(serve, make, require_encrypted):
    api = await serve(**make.encrypting("key-1"), require_encrypted=require_encrypted)
    marked = make.plain("hello")
    marked.metadata[MARKER] = b"true"
    [encoded] = await api.payloads("encode", [marked])
    assert make.key_of(encoded) == "key-1"
    assert await api.payloads("decode", [encoded]) == [marked]
    now = {"encoding": b"json/protobuf", "messageType": MESSAGE_TYPE}
    for metadata in (now, {"encoding": LEGACY_ENCODING}):
        for data in (b"hello", b'"hello"', b"{}", b'{"hello": 1}'):
            error = await api.error("encode", [Payload(metadata=metadata, data=data)])
            assert error[:2] == (403, "reference_rejected")


async def test_nor_because_it_says_that_a_codec_has_encoded_a_reference(serve, make):
    api = await serve(**make.encrypting("key-1"), storage={"driver": "memory", "threshold": 0})
    claims = Payload(metadata={"encoding": b"binary/encrypted", MARKER: b"true"}, data=b"hello")
    assert (await api.error("encode", [claims]))[:2] == (422, "payload_not_encrypted")


async def test_a_reference_that_only_other_codecs_have_encoded_is_encrypted_and_stays_a_reference(
    serve, make, store, worker
):
    api = await serve(**make.encrypting("key-1"), storage={"driver": "memory", "threshold": 0})
    large = make.plain("hello")
    reference = await store.put(await worker(large, make.encrypting("key-1")))
    half_way = make.flipped(reference)
    half_way.metadata[MARKER] = b"true"
    half_way.external_payloads.extend(reference.external_payloads)
    [encoded] = await api.payloads("encode", [half_way])
    assert is_encoded_reference(encoded)
    assert make.key_of(encoded) == "key-1"
    assert encoded.external_payloads == reference.external_payloads
    assert len(store.objects) == 1
    assert await api.payloads("encode", [encoded]) == [encoded]
    assert await api.payloads("decode", [encoded]) == [large]


async def test_what_is_stored_was_encrypted_before(serve, make, store):
    api = await serve(**make.encrypting("key-1", codecs=["encryption"]))
    large = make.plain("x" * 2000)
    [reference] = await api.payloads("encode", [large])
    assert is_reference(reference) or is_encoded_reference(reference)
    [stored] = store.objects.values()
    assert make.key_of(Payload.FromString(stored)) == "key-1"
    assert await api.payloads("decode", [reference]) == [large]
    assert await api.payloads("download", [reference]) == [large]


async def test_the_key_that_writes_is_that_of_the_callers_namespace(serve, make):
    namespaces = {"prod-*": ["key-2", "key-1"], "orders": ["key-3"]}
    api = await serve(**make.encrypting("key-1", "key-2", "key-3", namespaces=namespaces))
    for namespace, key in {"prod-eu": "key-2", "orders": "key-3", "test": "key-1", "Orders": "key-1"}.items():
        [encoded] = await api.payloads("encode", [make.plain(1)], namespace=namespace)
        assert make.key_of(encoded) == key


async def test_what_cannot_be_encrypted_is_not_given_back_in_clear(serve, make, kms_is_down, caplog):
    api = await serve(codecs=["flip", "encryption"], codec={"encryption": {"active": KMS_KEY}})
    status, code, message = await api.error("encode", [make.plain("hello")])
    assert (status, code) == (503, "encryption_key_unavailable")
    assert "cannot be had from where it is kept" in message
    assert "kms.example" not in message
    assert "the region is down, at kms.example" in caplog.text


# -- decode


async def test_workers_and_server_read_each_other(serve, make, worker):
    settings = make.encrypting("key-1")
    api = await serve(**settings)
    assert await api.payloads("decode", [await worker(make.plain(1), settings)]) == [make.plain(1)]


async def test_what_is_only_read_is_decoded_in_whatever_layer_it_stands(serve, make, worker):
    before = make.encrypting("key-1", codecs=["zlib", "encryption", "flip"])
    api = await serve(**make.encrypting("key-1", codecs=["encryption"]), decode_only=["zlib", "flip"])
    payload = make.plain("hello" * 50)
    assert await api.payloads("decode", [await worker(payload, before)]) == [payload]
    assert make.key_of((await api.payloads("encode", [payload]))[0]) == "key-1"


async def test_a_missing_key_is_named_and_the_log_says_what_to_do(serve, make, worker, caplog):
    api = await serve(**make.encrypting("key-1", "key-2"))
    encoded = await worker(make.plain("hello"), make.encrypting("key-3"))
    [back, other] = await api.payloads("decode", [encoded, make.plain(1)])
    assert make.reason_of(back) == (
        "payload_not_decoded",
        (
            "none of the server's codecs decodes the payload (it was encrypted with the key 'key-3'); the "
            "server's log says what to do"
        ),
    )
    assert (back, other) == (encoded, make.plain(1))
    assert "which is not in the key ring (key-1, key-2)" in caplog.text
    assert "Add that key to the ring's keys; it need not be active" in caplog.text


async def test_so_is_that_of_a_stored_payload(serve, make, worker, store):
    api = await serve(**make.encrypting("key-1"))
    reference = await store.put(await worker(make.plain("hello"), make.encrypting("key-3")))
    status, code, message = await api.error("download", [reference])
    assert (status, code) == (422, "payload_not_decoded")
    assert "with the key 'key-3'" in message


async def test_a_key_that_its_provider_does_not_open_is_no_fault_of_the_payload(
    serve, make, kms_is_down, store
):
    codec = {"encryption": {"active": KMS_KEY}}
    api = await serve(codecs=["flip", "encryption"], codec=codec)
    sealed = Payload(
        metadata={
            "encoding": b"binary/encrypted",
            "encryption-key-id": KMS_KEY.encode(),
            "encryption-dek": b"AAAA",
        },
        data=b"x" * 40,
    )
    [back] = await api.payloads("decode", [sealed])
    code, sentence = make.reason_of(back)
    assert (code, back) == ("encryption_key_unavailable", sealed)
    assert f"with the key {KMS_KEY!r}" in sentence
    status, code, _ = await api.error("download", [await store.put(sealed)])
    assert (status, code) == (503, "encryption_key_unavailable")


async def test_a_wrong_key_is_told_as_a_payload_that_is_damaged(serve, make, worker, monkeypatch):
    encoded = await worker(make.plain("hello"), make.encrypting("key-1"))
    monkeypatch.setenv(variable_of("key-1"), "text:" + "another-" * 4)
    api = await serve(**make.encrypting("key-1"))
    [back] = await api.payloads("decode", [encoded])
    assert make.reason_of(back)[0] == "payload_corrupt"


async def test_no_answer_shows_a_key(serve, make, worker, caplog):
    api = await serve(**make.encrypting("key-1"))
    encoded = await worker(make.plain("hello"), make.encrypting("key-3"))
    texts = [caplog.text, await (await api.post("decode", [encoded])).text()]
    texts.append(await (await api.client.get("/")).text())
    for key in KEYS.values():
        assert not any(key.hex() in text or make.b64(key) in text for text in texts)


# -- require_encrypted


async def test_with_it_a_payload_in_clear_comes_back_as_it_was_with_the_reason(serve, make, caplog):
    api = await serve(**make.encrypting("key-1"), require_encrypted=True)
    clear = [make.plain("hello"), make.flipped(make.plain("hello"))]
    encoded = await api.payloads("encode", [make.plain(1)])
    for operation in ("decode", "decode?preserveStorageRefs=true"):
        *back, decoded = await api.payloads(operation, [*clear, *encoded])
        for payload, was in zip(back, clear, strict=True):
            code, sentence = make.reason_of(payload)
            assert (code, payload) == ("payload_not_encrypted", was)
            assert sentence.startswith("the payload is in clear, and this server's settings require")
        assert decoded == make.plain(1)
    assert "whoever can write to the namespace may have put it there" in caplog.text


async def test_with_it_what_was_stored_in_clear_is_not_served(serve, make, store):
    api = await serve(**make.encrypting("key-1"), require_encrypted=True)
    reference = await store.put(make.plain("hello"))
    status, code, _ = await api.error("download", [reference])
    assert (status, code) == (422, "payload_not_encrypted")
    [back] = await api.payloads("decode", [reference])
    assert (make.reason_of(back)[0], back) == ("payload_not_encrypted", reference)


async def test_with_it_input_is_encrypted_as_ever(serve, make):
    api = await serve(**make.encrypting("key-1"), require_encrypted=True)
    assert make.key_of((await api.payloads("encode", [make.plain(1)]))[0]) == "key-1"


# -- codecs by import path


async def test_a_codec_by_its_import_path_is_served_as_any_other(serve, make, worker, install):
    install("legacy")
    path = "my_app.codecs:LegacyCodec"
    for settings in ({"codecs": ["flip", path]}, {"codecs": ["flip"], "decode_only": [path]}):
        api = await serve(**settings)
        encoded = await worker(make.plain(1), {"codecs": ["flip", path]})
        assert encoded.metadata["encoding"] == b"binary/legacy"
        assert await api.payloads("decode", [encoded]) == [make.plain(1)]
    api = await serve(codecs=[path])
    encoded = await api.payloads("encode", [make.plain(1)])
    assert encoded[0].metadata["encoding"] == b"binary/legacy"
    assert await api.payloads("encode", encoded) == encoded


@pytest.mark.parametrize("codecs", [["my_app.codecs:Unnamed"], ["my_app.codecs:Unnamed", "flip"]])
async def test_one_that_does_not_tell_its_encodings_is_asked_what_is_encoded(serve, make, install, codecs):
    install("legacy")
    api = await serve(codecs=codecs)
    done = await api.payloads("encode", [make.plain(1)])
    got = await api.payloads("encode", [*done, make.plain(2)])
    assert got[:1] == done
    assert await api.payloads("decode", got) == [make.plain(1), make.plain(2)]


# -- as its clients ask


async def test_requests_as_the_cli_sends_them(serve, make, worker):
    """Snake case, no `preserveStorageRefs`, and the metadata's values in base64."""
    settings = make.encrypting("key-1")
    api = await serve(**settings)
    encoded = await worker(make.plain("hello"), settings)
    metadata = {name: make.b64(value) for name, value in encoded.metadata.items()}
    payload = {"metadata": metadata, "data": make.b64(encoded.data), "external_payloads": []}
    response = await api.post("decode", body=json.dumps({"payloads": [payload]}))
    [decoded] = (await response.json())["payloads"]
    assert decoded["data"] == make.b64(b'"hello"')


async def test_encoded_attributes_of_a_failure_are_shown(serve, make, worker):
    settings = make.encrypting("key-1")
    api = await serve(**settings)
    attributes = make.plain({"message": "no such card", "stack_trace": "File app.py"})
    encoded = await worker(attributes, settings)
    assert await api.payloads("decode?preserveStorageRefs=true", [encoded]) == [attributes]
