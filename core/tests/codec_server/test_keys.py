"""The keys of an identity provider: which are used, and what a provider that is slow or down costs."""

import asyncio
import base64
import json
import time
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from temporal_payloads.codec_server import _keys, create_app
from temporal_payloads.codec_server._errors import RequestError
from temporal_payloads.codec_server._keys import KeySet, read_keys

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


@pytest.fixture
def key_set(provider):
    """The provider's keys, which are old as soon as they are read."""
    return KeySet(provider.url, ["RS256"], lifetime=0, timeout=5)


# -- which are used


def document(*entries):
    return json.dumps({"keys": entries}).encode()


def found(*entries, algorithms=ALGORITHMS):
    return {(key.key_id, key.algorithm_name) for key in read_keys(document(*entries), algorithms)}


@pytest.fixture(scope="module")
def entries():
    """A public key of each type, as providers publish them."""
    rsa_key: Any = jwt.algorithms.RSAAlgorithm
    ec_key: Any = jwt.algorithms.ECAlgorithm
    ed_key: Any = jwt.algorithms.OKPAlgorithm
    private = rsa.generate_private_key(65537, 2048)
    return {
        "rsa": {**rsa_key.to_jwk(private.public_key(), as_dict=True), "kid": "rsa"},
        "ec": {
            **ec_key.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True),
            "kid": "ec",
        },
        "p384": {
            **ec_key.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True),
            "kid": "p384",
        },
        "ed": {
            **ed_key.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True),
            "kid": "ed",
        },
        "private": {**rsa_key.to_jwk(private, as_dict=True), "kid": "private"},
        # Made for the test: what matters is that it is short.
        "short": {
            "kty": "RSA",
            "n": base64.urlsafe_b64encode(b"\xff" * 128).rstrip(b"=").decode(),
            "e": "AQAB",
            "kid": "short",
        },
        "oct": {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "kid": "oct"},
    }


def test_a_key_checks_the_algorithms_of_its_type_and_curve(entries):
    keys = [entries[name] for name in ("rsa", "ec", "p384", "ed")]
    assert found(*keys) == {("rsa", "RS256"), ("rsa", "PS256"), ("ec", "ES256"), ("ed", "EdDSA")}


def test_a_key_that_names_its_algorithm_checks_no_other(entries):
    assert found({**entries["rsa"], "alg": "PS256"}) == {("rsa", "PS256")}


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"use": 1},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"alg": []},
        {"key_ops": ["encrypt"]},
        {"key_ops": None},
        {"key_ops": "verify"},
        {"kty": "oct"},
        {"kty": "XYZ"},
        {"kty": None},
        {"n": None},
        {"n": "%%%"},
        {"n": ""},
        {"e": "é"},
    ],
)
def test_a_key_for_something_else_or_of_no_form_is_left_out_and_harms_no_other(entries, change):
    other = {**entries["rsa"], "kid": "other", **change}
    assert found(other, entries["ec"]) == {("ec", "ES256")}


@pytest.mark.parametrize("unfit", ["oct", "private", "short"])
def test_a_key_that_vouches_for_nobody_is_left_out(entries, unfit):
    assert found(entries[unfit], entries["ec"]) == {("ec", "ES256")}


def test_the_log_tells_which_key_is_too_short(entries, caplog):
    found(entries["short"], entries["ec"])
    assert "'short'" in caplog.text
    assert "1024 bits" in caplog.text


@pytest.mark.parametrize("entry", [None, 1, "key", [], {}])
def test_what_is_no_key_is_left_out(entries, entry):
    assert found(entry, entries["ec"]) == {("ec", "ES256")}


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b'{"keys": [{"kty": "oct", "k": "AA"}]}']
)
def test_a_document_without_a_key_is_no_key_set(text):
    with pytest.raises(ValueError, match=r"JSON Web Key Set|no key that checks RS256|Expecting value"):
        read_keys(text, ALGORITHMS)


async def test_a_symmetric_key_among_the_providers_opens_nothing(serve, make, provider, with_jwt, entries):
    provider.others = [{**entries["oct"], "kid": "k1"}, {"kty": "unheard-of", "kid": "k1"}, "no key"]
    api = await serve(with_jwt())
    genuine = provider.token(permissions=["default:read"])
    assert (await api.post("decode", headers=make.bearer(genuine))).status == 200
    claims = {
        "iss": provider.issuer,
        "aud": "payloads",
        "exp": time.time() + 99,
        "permissions": "default:read",
    }
    secret = base64.urlsafe_b64decode(entries["oct"]["k"] + "=")
    forged = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": "k1"})
    assert (await api.post("decode", headers=make.bearer(forged))).status == 401


async def test_a_key_without_an_algorithm_checks_each_that_is_accepted(serve, make, provider, with_jwt):
    api = await serve(with_jwt(algorithms=["RS256", "PS512"]))
    for algorithm, status in (("RS256", 200), ("PS512", 200), ("RS512", 401)):
        token = provider.token(algorithm=algorithm, permissions=["default:read"])
        assert (await api.post("decode", headers=make.bearer(token))).status == status


# -- when they are read


async def test_keys_are_read_once_for_many_requests(serve, make, provider, with_jwt):
    api = await serve(with_jwt())
    headers = make.bearer(provider.token(permissions=["default:read"]))
    responses = await asyncio.gather(*(api.post("decode", headers=headers) for _ in range(20)))
    assert {response.status for response in responses} == {200}
    assert provider.requests == 1


async def test_a_new_key_is_fetched_when_a_token_names_it(serve, make, provider, with_jwt):
    api = await serve(with_jwt())
    await api.post("decode", headers=make.bearer(provider.token(permissions=["default:read"])))
    provider.keys["k2"] = rsa.generate_private_key(65537, 2048)
    headers = make.bearer(provider.token(key="k2", permissions=["default:read"]))
    assert (await api.post("decode", headers=headers)).status == 200
    assert provider.requests == 2


async def test_invented_key_ids_do_not_make_the_server_ask_the_provider_each_time(
    serve, make, provider, with_jwt
):
    api = await serve(with_jwt())
    for number in range(5):
        headers = make.bearer(provider.token(kid=f"invented-{number}"))
        assert (await api.post("decode", headers=headers)).status == 401
    assert provider.requests == 2


async def test_a_provider_that_is_down_is_no_fault_of_the_caller(serve, make, provider, with_jwt):
    provider.broken = True
    api = await serve(with_jwt())
    status, code, _ = await api.error("decode", headers=make.bearer(provider.token()))
    assert (status, code) == (503, "keys_unavailable")


async def test_keys_from_before_are_used_while_the_provider_is_down(provider, key_set):
    assert await key_set.find("k1", "RS256")
    provider.broken = True
    for _ in range(5):
        assert await key_set.find("k1", "RS256")
    # The failure is remembered.
    assert provider.requests == 2


async def test_a_provider_that_was_down_is_asked_again(provider, key_set, monkeypatch):
    provider.broken = True
    for _ in range(5):
        with pytest.raises(RequestError, match="keys cannot be read"):
            await key_set.find("k1", "RS256")
    assert provider.requests == 1
    provider.broken = False
    monkeypatch.setattr(_keys, "FAILURE_PAUSE", 0)
    assert await key_set.find("k1", "RS256")


async def test_keys_can_come_from_a_file(serve, make, provider, tmp_path):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(provider.jwks))
    settings = {
        "jwks_file": file,
        "issuer": [provider.issuer, "https://other.example"],
        "audience": ["x", "payloads"],
    }
    api = await serve({"auth": {"jwt": settings}})
    headers = make.bearer(provider.token(permissions=["default:read"]))
    assert (await api.post("decode", headers=headers)).status == 200


# -- a provider that is slow or hostile


async def test_a_silent_provider_costs_a_request_less_than_its_time(
    serve, make, provider, with_jwt, caplog, pass_time
):
    provider.answering.clear()
    api = await serve({**with_jwt(), "limits": {"request_time": 10}})
    headers = make.bearer(provider.token())
    asking = [asyncio.create_task(api.error("decode", headers=headers)) for _ in range(10)]
    await provider.asked.wait()
    pass_time(5)
    # Together and not one after the other.
    answers = await asyncio.gather(*asking)
    assert {answer[:2] for answer in answers} == {(503, "keys_unavailable")}
    assert provider.requests == 1
    assert provider.url in caplog.text
    # Nobody waits for it again so soon.
    assert (await api.error("decode", headers=headers))[:2] == (503, "keys_unavailable")
    assert provider.requests == 1


async def test_a_request_that_leaves_takes_nobodys_keys_along(provider, key_set):
    provider.answering.clear()
    first = asyncio.create_task(key_set.find("k1", "RS256"))
    second = asyncio.create_task(key_set.find("k1", "RS256"))
    await asyncio.sleep(0.1)
    first.cancel()
    provider.answering.set()
    assert await second
    assert provider.requests == 1


async def test_old_keys_are_used_while_a_silent_provider_is_asked_for_new_ones(
    provider, key_set, monkeypatch
):
    monkeypatch.setattr(_keys, "PATIENCE", 0.1)
    assert await key_set.find("k1", "RS256")
    provider.answering.clear()
    for _ in range(5):
        assert await key_set.find("k1", "RS256")
        assert key_set._reading is not None  # and goes on
    assert provider.requests == 2
    await key_set.close()


async def test_a_server_stops_though_the_provider_is_silent(
    serve_app, make_settings, registry, with_jwt, make, provider
):
    provider.answering.clear()
    app = create_app(make_settings(codec_server=with_jwt()), registry=registry)
    api = await serve_app(app)
    request = asyncio.create_task(api.post("decode", headers=make.bearer(provider.token())))
    await provider.asked.wait()
    request.cancel()
    start = time.monotonic()
    await api.client.close()
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_key_set_without_an_end_is_not_read_to_its_end(caplog, chunked):
    sent = 0

    async def serve_keys(request):
        nonlocal sent
        response = web.StreamResponse()
        if not chunked:
            response.content_length = 1 << 30
        await response.prepare(request)
        while True:
            await response.write(b" " * 65536)
            sent += 65536

    app = web.Application()
    app.add_routes([web.get("/keys", serve_keys)])
    async with TestServer(app) as server:
        keys = KeySet(str(server.make_url("/keys")), ["RS256"], lifetime=60, timeout=5)
        with pytest.raises(RequestError):
            await keys.find("k1", "RS256")
    assert "over 1048576 bytes" in caplog.text
    assert sent < 64 * 1024 * 1024


async def test_a_key_file_without_an_end_is_not_read_to_its_end(caplog, tmp_path):
    file = tmp_path / "keys"
    with file.open("wb") as sparse:
        sparse.truncate(1 << 33)
    with pytest.raises(RequestError):
        await KeySet(file, ["RS256"], lifetime=60, timeout=5).find("k1", "RS256")
    assert "over 1048576 bytes" in caplog.text


@pytest.mark.parametrize("answer", [b"[" * 100_000, b"\xff", b"null", b'{"keys": ' + b"9" * 5000 + b"}"])
async def test_an_answer_that_is_no_json_is_no_fault_of_the_caller(answer):
    async def serve_keys(request):
        return web.Response(body=answer)

    app = web.Application()
    app.add_routes([web.get("/keys", serve_keys)])
    async with TestServer(app) as server:
        with pytest.raises(RequestError, match="keys cannot be read"):
            await KeySet(str(server.make_url("/keys")), ["RS256"], lifetime=60, timeout=5).find("k1", "RS256")
