"""Namespaces whose keys are in one ring: a codec server decrypts for each what its keys are for."""

import pytest

pytestmark = pytest.mark.usefixtures("keys_in_environment")


@pytest.fixture
def shared(make):
    """The settings of a server for two namespaces, whose keys are in one ring."""
    namespaces = {"orders": ["key-2", "key-3"], "billing*": ["key-4"]}
    return make.encrypting("key-1", "key-2", "key-3", "key-4", namespaces=namespaces)


@pytest.mark.parametrize("namespace", ["billing", "billing-eu", "other", None])
async def test_a_key_of_some_namespaces_decrypts_for_those_alone(
    serve, make, worker, shared, namespace, caplog
):
    api = await serve(**shared)
    encoded = await worker(make.plain("secret"), shared, "orders")
    assert await api.payloads("decode", [encoded], namespace="orders") == [make.plain("secret")]
    [back] = await api.payloads("decode", [encoded], namespace=namespace)
    assert make.reason_of(back) == (
        "key_not_for_namespace",
        (
            "the payload's key is not for this namespace (it was encrypted with the key 'key-2'); the "
            "server's log says what to do"
        ),
    )
    assert back == encoded
    assert "The key 'key-2' is for namespaces that match orders" in caplog.text
    assert "codec_server.also_reads" in caplog.text


async def test_nor_does_it_for_a_stored_payload_of_another_namespace(serve, make, worker, shared, store):
    """Whoever can write to a bucket, or to one namespace, does not get another's read for them."""
    api = await serve(**shared)
    reference = await store.put(await worker(make.plain("secret"), shared, "orders"), namespace="billing")
    assert (await api.error("download", [reference], namespace="billing"))[:2] == (
        403,
        "key_not_for_namespace",
    )


async def test_a_key_that_only_reads_for_a_namespace_is_for_that_too(serve, make, worker, shared):
    api = await serve(**shared)
    encoded = await worker(make.plain(1), make.encrypting("key-3"))
    assert await api.payloads("decode", [encoded], namespace="orders") == [make.plain(1)]
    [back] = await api.payloads("decode", [encoded], namespace="billing")
    assert make.reason_of(back)[0] == "key_not_for_namespace"


@pytest.mark.parametrize("namespace", ["orders", "billing-eu", "other", None])
async def test_a_key_that_no_pattern_names_is_for_all(serve, make, worker, shared, namespace):
    api = await serve(**shared)
    encoded = await worker(make.plain(1), make.encrypting("key-1"))
    assert await api.payloads("decode", [encoded], namespace=namespace) == [make.plain(1)]


async def test_one_namespace_may_be_let_read_what_is_anothers(serve, make, worker, shared, store):
    api = await serve({"also_reads": {"support": ["orders"]}}, **shared)
    encoded = await worker(make.plain(1), shared, "orders")
    assert await api.payloads("decode", [encoded], namespace="support") == [make.plain(1)]
    reference = await store.put(encoded, namespace="orders")
    assert await api.payloads("download", [reference], namespace="support") == [make.plain(1)]
    of_billing = await worker(make.plain(1), shared, "billing")
    [back] = await api.payloads("decode", [of_billing], namespace="support")
    assert make.reason_of(back)[0] == "key_not_for_namespace"
    # What it may read it does not write: its own key is that of its namespace.
    assert make.key_of((await api.payloads("encode", [make.plain(1)], namespace="support"))[0]) == "key-1"


async def test_profiles_that_share_a_ring_keep_their_namespaces_apart(
    serve, make, worker, make_settings, shared
):
    server = {"namespaces": {"orders": "a", "billing": "b"}}
    profiles = {"a": make_settings(**shared), "b": make_settings(**shared | {"decode_only": []})}
    api = await serve(server, profiles=profiles)
    encoded = await worker(make.plain(1), shared, "orders")
    assert await api.payloads("decode", [encoded], namespace="orders") == [make.plain(1)]
    [back] = await api.payloads("decode", [encoded], namespace="billing")
    assert make.reason_of(back)[0] == "key_not_for_namespace"


# -- bind


async def test_what_is_bound_to_a_namespace_is_decrypted_for_that_one(serve, make, worker):
    settings = make.encrypting("key-1", bind="namespace")
    api = await serve({"also_reads": {"support": ["orders"]}}, **settings)
    encoded = await worker(make.plain(1), settings, "orders")
    for allowed in ("orders", "support"):
        assert await api.payloads("decode", [encoded], namespace=allowed) == [make.plain(1)]
    refused: list[tuple[str | None, str]] = [("billing", "payload_corrupt"), (None, "payload_not_decoded")]
    for namespace, code in refused:
        [back] = await api.payloads("decode", [encoded], namespace=namespace)
        assert make.reason_of(back)[0] == code


async def test_input_is_bound_to_the_callers_namespace(serve, make):
    api = await serve(**make.encrypting("key-1", bind="namespace"))
    [encoded] = await api.payloads("encode", [make.plain(1)], namespace="orders")
    assert encoded.metadata["encryption-bind"] == b"namespace"
    assert await api.payloads("decode", [encoded], namespace="orders") == [make.plain(1)]
