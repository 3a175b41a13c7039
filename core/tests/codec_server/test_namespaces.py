"""One server for many namespaces, and what a caller can reach from each."""

import logging

import pytest
from pydantic import ValidationError
from temporal_payloads import ConfigurationError
from temporal_payloads.codec_server import create_app
from yarl import URL


@pytest.fixture
def profiles(make_settings):
    return {"plain": make_settings(codecs=[]), "flip": make_settings()}


async def test_the_header_chooses_the_profile(serve, make, profiles):
    namespaces = {"orders": "plain", "billing": "flip"}
    api = await serve({"namespaces": namespaces}, profiles=profiles, codecs=[], storage={})
    assert await api.payloads("encode", [make.plain(1)], namespace="orders") == [make.plain(1)]
    assert await api.payloads("encode", [make.plain(1)], namespace="billing") == [make.flipped(make.plain(1))]


async def test_an_unknown_namespace_is_told_which_are_known(serve, make, profiles):
    api = await serve({"namespaces": {"orders": "plain", "billing": "flip"}}, profiles=profiles)
    status, code, message = await api.error("decode", [make.plain(1)], namespace="odrers")
    assert (status, code) == (400, "unknown_namespace")
    assert "billing, orders" in message


async def test_a_request_without_the_header_is_told_to_send_it(serve, make, profiles):
    api = await serve({"namespaces": {"orders": "plain"}}, profiles=profiles)
    status, code, message = await api.error("decode", [make.plain(1)], namespace=None)
    assert (status, code) == (400, "unknown_namespace")
    assert "X-Namespace" in message


async def test_unlisted_namespaces_can_be_served_by_the_servers_own_settings(serve, make, profiles):
    server = {"namespaces": {"orders": "plain"}, "serve_unlisted": True}
    api = await serve(server, profiles=profiles)
    assert await api.payloads("encode", [make.plain(1)], namespace="x") == [make.flipped(make.plain(1))]
    assert await api.payloads("encode", [make.plain(1)], namespace="orders") == [make.plain(1)]


async def test_an_empty_profile_is_the_servers_own_settings(serve, make):
    api = await serve({"namespaces": {"orders": ""}})
    assert await api.payloads("encode", [make.plain(1)], namespace="orders") == [make.flipped(make.plain(1))]
    assert (await api.error("encode", [make.plain(1)], namespace="x"))[1] == "unknown_namespace"


async def test_without_a_list_every_namespace_is_served(serve, make):
    api = await serve()
    for namespace in ("default", "anything", None):
        assert await api.payloads("decode", [make.plain(1)], namespace=namespace) == [make.plain(1)]


def test_profiles_come_from_the_servers_file(registry, write_settings, make):
    file = write_settings(
        """
        codecs = ["flip"]
        [codec_server.namespaces]
        orders = "eu"
        [profile.eu]
        codecs = []
        """
    )
    create_app(file=file, registry=registry)


def test_every_problem_of_every_profile_is_reported_at_once(registry, write_settings):
    file = write_settings(
        """
        codecs = ["flop"]
        [codec_server.namespaces]
        orders = "eu"
        billing = "us"
        [codec_server.auth.tokens.ci]
        token_file = "nowhere"
        [profile.eu]
        codecs = ["flap"]
        """
    )
    with pytest.raises(ConfigurationError) as caught:
        create_app(file=file, registry=registry)
    message = str(caught.value)
    assert "'flop'" in message
    assert "'flap'" in message
    assert "there is no profile 'us'" in message
    assert "codec_server.auth.tokens.ci.token_file" in message


# -- the namespace in the path


async def status(api, path, namespace="orders"):
    headers = {} if namespace is None else {"X-Namespace": namespace}
    response = await api.client.post(path, json={"payloads": []}, headers=headers)
    return response.status, (await response.json()).get("code")


MISMATCH = (400, "namespace_mismatch")


@pytest.mark.parametrize("path", ["/decode", "/orders/decode", "/codec/orders/decode", "/%6frders/decode"])
async def test_the_path_may_name_the_namespace_of_the_header(serve, path):
    assert await status(await serve(), path) == (200, None)


@pytest.mark.parametrize(
    "path",
    [
        "/billing/decode",
        "/orders/billing/decode",
        "/orders%2Fbilling/decode",
        "/Orders/decode",
        "/my-orders/decode",
        "/orders2/decode",
        "/codec/decode",
        "/orders/../billing/decode",
        "/orders/./decode",
        "/billing//decode",
        "/%FF/decode",
        "/%00/decode",
    ],
)
async def test_the_path_may_not_name_another_namespace_than_the_header(serve, path):
    api = await serve()
    url = URL(f"http://127.0.0.1:{api.client.port}{path}", encoded=True)
    async with api.client.session.post(
        url, json={"payloads": []}, headers={"X-Namespace": "orders"}
    ) as response:
        assert (response.status, (await response.json())["code"]) == MISMATCH


@pytest.mark.parametrize("prefix", ["/codec", "codec/", "/codec/"])
async def test_with_the_prefix_of_a_proxy_no_other_path_is_served(serve, prefix):
    api = await serve({"path_prefix": prefix})
    for path in ("/codec/decode", "/codec/orders/decode", "/codec//decode"):
        assert await status(api, path) == (200, None)
    for path in ("/decode", "/orders/decode", "/codec/billing/decode", "/x/codec/orders/decode"):
        assert await status(api, path) == MISMATCH
    assert await status(api, "/codec/decode", None) == (200, None)
    assert await status(api, "/codec/orders/decode", None) == MISMATCH


async def test_with_an_empty_prefix_only_the_namespace_stands_before_the_operation(serve):
    api = await serve({"path_prefix": ""})
    assert await status(api, "/decode") == await status(api, "/orders/decode") == (200, None)
    assert await status(api, "/codec/orders/decode") == await status(api, "/billing/decode") == MISMATCH
    assert await status(api, "/orders/decode", None) == MISMATCH


async def test_the_log_tells_how_to_serve_a_prefix(serve, caplog):
    caplog.set_level(logging.INFO)
    await status(await serve(), "/codec/decode")
    [record] = [record for record in caplog.records if record.name.endswith("codec_server.access")]
    assert "codec_server.path_prefix" in record.fields["reason"]


@pytest.mark.parametrize("prefix", ["/codec/{namespace}", "/codec?x", "/co%64ec"])
def test_a_prefix_that_is_no_plain_path_is_a_configuration_error(make_settings, prefix):
    with pytest.raises(ValidationError, match="path_prefix"):
        make_settings(codec_server={"path_prefix": prefix})


# -- confinement


@pytest.mark.parametrize("operation", ["decode", "download"])
async def test_a_payload_of_another_namespace_is_refused(serve, make, store, operation, caplog):
    api = await serve()
    reference = await store.put(make.flipped(make.plain("secret")), namespace="billing")
    if operation == "download":
        status, code, message = await api.error(operation, [reference], namespace="orders")
        assert (status, code) == (403, "reference_rejected")
        assert "'billing'" in message
        assert "also_reads" not in message
    else:
        [got] = await api.payloads(operation, [reference], namespace="orders")
        assert got.metadata["temporal-payloads-error"].startswith(b"reference_rejected: ")
    assert "codec_server.also_reads" in caplog.text
    assert not store.reads


async def test_another_namespace_is_served_where_the_settings_list_it(serve, make, store):
    api = await serve({"also_reads": {"orders": ["billing"]}})
    reference = await store.put(make.flipped(make.plain(1)), namespace="billing")
    assert await api.payloads("download", [reference], namespace="orders") == [make.plain(1)]
    # In this direction only.
    back = await store.put(make.flipped(make.plain(1)), namespace="orders")
    assert (await api.error("download", [back], namespace="billing"))[0] == 403


async def test_a_key_without_a_namespace_is_served_only_if_the_settings_say_so(serve, make, store, caplog):
    reference = await store.put(make.flipped(make.plain(1)), namespace=None)
    strict = await serve()
    status, code, message = await strict.error("download", [reference])
    assert (status, code) == (403, "reference_rejected")
    assert "codec_server" not in message
    assert "codec_server.keys_without_namespace = true" in caplog.text
    lenient = await serve({"keys_without_namespace": True})
    assert await lenient.payloads("download", [reference]) == [make.plain(1)]


async def test_a_request_without_a_namespace_reads_no_stored_payload(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    status, _, message = await api.error("download", [reference], namespace=None)
    assert status == 403
    assert "X-Namespace" in message


async def test_a_forged_reference_outside_the_configured_storage_is_refused(serve, make, store):
    api = await serve()
    reference = await store.put(make.flipped(make.plain(1)))
    forged = type(reference)()
    forged.CopyFrom(reference)
    forged.data = reference.data.replace(b"v0/", b"../secrets/")
    status, code, _ = await api.error("download", [forged])
    assert (status, code) == (403, "reference_rejected")
    assert not store.reads
