"""`/encode`, which the Web UI and the CLI use for input that a person types."""

import pytest
from temporal_payloads._storage.references import is_encoded_reference, is_reference, read_reference
from temporal_payloads.plugin import PayloadTooLargeError, StorageUnavailableError


async def test_a_payload_is_encoded_by_the_codecs(serve, make):
    api = await serve()
    assert await api.payloads("encode", [make.plain("hello")]) == [make.flipped(make.plain("hello"))]


async def test_what_exceeds_the_threshold_after_the_codecs_is_stored_in_the_callers_namespace(
    serve, make, store
):
    api = await serve(codecs=[])
    small, large = make.plain("x"), make.plain("x" * 2000)
    [kept, reference] = await api.payloads("encode", [small, large], namespace="orders")
    assert kept == small
    assert is_reference(reference)
    assert reference.external_payloads[0].size_bytes == large.ByteSize()
    assert read_reference(reference).claim.claim_data["key"].startswith("v0/ns/orders/")
    assert list(store.objects.values()) == [large.SerializeToString()]


async def test_what_the_codecs_make_small_is_not_stored(serve, make, store):
    api = await serve()
    [encoded] = await api.payloads("encode", [make.plain("x" * 5000)])
    assert encoded == make.flipped(make.plain("x" * 5000))
    assert not store.objects


async def test_what_was_encoded_comes_back_by_decode(serve, make):
    api = await serve(storage={"driver": "memory", "threshold": 0})
    payloads = [make.plain("hello"), make.plain(list(range(1000)))]
    encoded = await api.payloads("encode", payloads)
    assert all(is_reference(payload) or is_encoded_reference(payload) for payload in encoded)
    assert await api.payloads("decode", encoded) == payloads


@pytest.mark.parametrize("operation", ["encode", "encode?preserveStorageRefs=true"])
async def test_what_is_encoded_or_stored_already_is_not_wrapped_again(serve, make, store, operation):
    api = await serve()
    done = [make.flipped(make.plain(1)), await store.put(make.flipped(make.plain(2)))]
    got = await api.payloads(operation, [*done, make.plain(3)])
    assert got == [*done, make.flipped(make.plain(3))]
    # A page that encodes twice changes nothing.
    assert await api.payloads(operation, got) == got


async def test_routes_choose_the_driver_as_for_a_worker(serve, make, store):
    storage = {"driver": "memory", "threshold": 0, "routes": [{"driver": "inline", "namespace": "small-*"}]}
    api = await serve(codecs=[], storage=storage)
    assert await api.payloads("encode", [make.plain(1)], namespace="small-a") == [make.plain(1)]
    [stored] = await api.payloads("encode", [make.plain(1)], namespace="large")
    assert is_reference(stored)


async def test_nothing_comes_back_in_the_clear_when_one_payload_cannot_be_stored(serve, make, store, caplog):
    api = await serve(codecs=[])
    store.failure = StorageUnavailableError("the store is down")
    status, code, message = await api.error("encode", [make.plain(1), make.plain("x" * 2000)])
    assert (status, code) == (503, "storage_unavailable")
    assert "cannot be reached" in message
    assert "the store is down" in caplog.text


@pytest.mark.parametrize("size", [1, 5000])
async def test_what_could_not_be_read_back_is_not_encoded(serve, make, store, size):
    payload = make.plain("x" * size)
    api = await serve()
    status, code, message = await api.error("encode", [payload], namespace=None)
    assert (status, code) == (400, "unknown_namespace")
    assert "X-Namespace" in message
    assert not store.objects
    lenient = await serve({"keys_without_namespace": True})
    encoded = await lenient.payloads("encode", [payload], namespace=None)
    assert await lenient.payloads("decode", encoded, namespace=None) == [payload]
    without_storage = await serve(storage={})
    encoded = await without_storage.payloads("encode", [payload], namespace=None)
    assert await without_storage.payloads("decode", encoded, namespace=None) == [payload]


async def test_input_that_no_driver_takes_is_refused_by_its_size(serve, make, store):
    api = await serve(codecs=[], storage={"driver": "memory", "threshold": 0})
    store.failure = PayloadTooLargeError("over max_payload_size")
    status, code, _ = await api.error("encode", [make.plain(1)])
    assert (status, code) == (413, "limit_exceeded")
