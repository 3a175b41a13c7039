"""Who may ask for what: shared tokens, and tokens of an identity provider."""

import base64
import hashlib
import hmac
import json
import logging
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError
from temporal_payloads import ConfigurationError
from temporal_payloads.codec_server import create_app
from temporal_payloads.codec_server._logs import TextFormatter
from temporal_payloads.observability import JsonFormatter

TOKEN = "a-token-of-some-length"
ISSUER = "https://login.example.com/"


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# -- shared tokens


async def test_a_request_without_a_token_is_challenged(serve, make):
    api = await serve({"auth": {"tokens": {"cli": {"token": TOKEN}}}})
    status, code, message = await api.error("decode", [make.plain(1)])
    assert (status, code) == (401, "unauthenticated")
    assert "Authorization: Bearer" in message
    response = await api.post("decode", [])
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", [f"Bearer {TOKEN}", f"bearer  {TOKEN}", TOKEN])
async def test_a_shared_token_opens_what_its_table_says(serve, make, header):
    api = await serve({"auth": {"tokens": {"cli": {"token": TOKEN, "namespaces": ["ord*"]}}}})
    headers = {"Authorization": header}
    assert await api.payloads("decode", [make.plain(1)], namespace="orders", headers=headers)
    assert (await api.error("decode", namespace="billing", headers=headers))[:2] == (403, "forbidden")


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN[:-1]]
)
async def test_any_other_token_is_refused(serve, header):
    api = await serve({"auth": {"tokens": {"cli": {"token": TOKEN}}}})
    status, code, message = await api.error("decode", headers={"Authorization": header})
    assert (status, code) == (401, "unauthenticated")
    assert TOKEN not in message


async def test_access_is_per_operation(serve, make, store):
    tokens = {
        "reader": {"token": TOKEN},
        "viewer": {"token": TOKEN + "2", "operations": "decode"},
        "writer": {"token": TOKEN + "3", "operations": ["encode"]},
    }
    api = await serve({"auth": {"tokens": tokens}})
    allowed = {
        suffix: [
            operation
            for operation in ("encode", "decode", "download")
            if (await api.post(operation, headers=bearer(TOKEN + suffix))).status == 200
        ]
        for suffix in ("", "2", "3")
    }
    assert allowed == {"": ["decode", "download"], "2": ["decode"], "3": ["encode"]}


async def test_a_token_can_come_from_a_file(serve, tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    api = await serve({"auth": {"tokens": {"cli": {"token_file": file}}}})
    assert (await api.post("decode", headers=bearer(TOKEN))).status == 200


def test_a_secret_too_short_to_be_one_is_a_configuration_error(make_settings, registry, tmp_path):
    with pytest.raises(ValidationError, match="at least 16"):
        make_settings(codec_server={"auth": {"tokens": {"cli": {"token": "hunter2"}}}})
    file = tmp_path / "token"
    file.write_text("hunter2")
    settings = make_settings(codec_server={"auth": {"tokens": {"cli": {"token_file": file}}}})
    with pytest.raises(ConfigurationError, match=r"tokens\.cli\.token_file.*at least 16") as caught:
        create_app(settings, registry=registry)
    assert "hunter2" not in str(caught.value)


async def test_a_refused_caller_learns_only_of_namespaces_that_are_open_to_it(serve, make, make_settings):
    own = make_settings(codecs=[])
    server = {
        "namespaces": {"orders": "p", "billing": "p", "secret-project": "p"},
        "auth": {"tokens": {"cli": {"token": TOKEN, "namespaces": ["orders"]}}},
    }
    api = await serve(server, profiles={"p": own})
    known = await api.error("decode", namespace="billing", headers=bearer(TOKEN))
    unknown = await api.error("decode", namespace="unheard", headers=bearer(TOKEN))
    assert known[:2] == unknown[:2] == (403, "forbidden")
    assert "it opens: orders" in known[2]
    assert "secret-project" not in known[2] + unknown[2]
    assert known[2].replace("billing", "") == unknown[2].replace("unheard", "")


# -- tokens of an identity provider


async def test_a_signed_token_opens_what_its_permissions_say(serve, make, provider, with_jwt):
    api = await serve(with_jwt())
    headers = bearer(provider.token(permissions=["orders:read", "billing:write"]))
    allowed = [
        (namespace, operation)
        for namespace in ("orders", "billing", "default")
        for operation in ("encode", "decode", "download")
        if (await api.post(operation, namespace=namespace, headers=headers)).status == 200
    ]
    assert allowed == [
        ("orders", "decode"),
        ("orders", "download"),
        ("billing", "encode"),
        ("billing", "decode"),
        ("billing", "download"),
    ]


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "'exp'"),
        ({"iss": "https://evil.example.com/"}, "issuer"),
        ({"iss": None}, "'iss'"),
        ({"aud": "something-else"}, "audience"),
        ({"aud": None}, "'aud'"),
        ({"nbf": time.time() + 3600}, "not valid yet"),
        ({"kid": "k9"}, "no such key"),
    ],
)
async def test_a_token_that_is_not_for_this_server_is_refused_with_the_reason(
    serve, provider, with_jwt, claims, reason
):
    api = await serve(with_jwt())
    token = provider.token(permissions=["default:admin"], **claims)
    status, code, message = await api.error("decode", headers=bearer(token))
    assert (status, code) == (401, "unauthenticated")
    assert reason in message


async def test_a_token_with_another_signature_is_refused(serve, provider, with_jwt):
    api = await serve(with_jwt())
    head, body, signature = provider.token(permissions=["default:read"]).split(".")
    _, other, _ = provider.token(permissions=["default:admin"]).split(".")
    for token in (f"{head}.{other}.{signature}", f"{head}.{body}.", f"{head}.{body}", "....", "é"):
        assert (await api.error("decode", headers=bearer(token)))[0] == 401
    unsigned = jwt.encode({"iss": ISSUER, "aud": "payloads", "exp": time.time() + 99}, "", algorithm="none")
    assert (await api.error("decode", headers=bearer(unsigned)))[0] == 401


async def test_a_token_signed_with_the_public_key_as_a_shared_secret_is_refused(serve, provider, with_jwt):
    api = await serve(with_jwt())

    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    claims = {"iss": ISSUER, "aud": "payloads", "exp": time.time() + 99, "permissions": ["default:admin"]}
    text = part({"alg": "HS256", "kid": "k1"}) + b"." + part(claims)
    signature = hmac.digest(json.dumps(provider.jwks["keys"][0]).encode(), text, hashlib.sha256)
    token = (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
    status, _, message = await api.error("decode", headers=bearer(token))
    assert status == 401
    assert "RS256" in message
    # It is refused before the provider is bothered.
    assert provider.requests == 0


async def test_only_the_allowed_algorithms_are_accepted(serve, provider, with_jwt):
    provider.keys["e1"] = ec.generate_private_key(ec.SECP256R1())
    claims = {"permissions": ["default:read"]}
    both = await serve(with_jwt())
    assert (await both.post("decode", headers=bearer(provider.token(**claims)))).status == 200
    token = provider.token(key="e1", algorithm="ES256", **claims)
    assert (await both.post("decode", headers=bearer(token))).status == 200
    one = await serve(with_jwt(algorithms=["RS256"]))
    assert (await one.post("decode", headers=bearer(token))).status == 401


@pytest.mark.parametrize("algorithm", ["HS256", "none"])
def test_an_algorithm_with_a_shared_key_is_a_configuration_error(make_settings, algorithm):
    settings = {"jwks_url": "https://x.example/keys", "issuer": "i", "audience": "a", "algorithms": algorithm}
    with pytest.raises(ValidationError, match="public key"):
        make_settings(codec_server={"auth": {"jwt": settings}})


def test_keys_are_not_fetched_over_a_network_in_the_clear(make_settings):
    settings = {"jwks_url": "http://x.example/keys", "issuer": "i", "audience": "a"}
    with pytest.raises(ValidationError, match="https://"):
        make_settings(codec_server={"auth": {"jwt": settings}})


def test_a_password_in_the_address_of_public_keys_is_refused_for_it_would_be_shown(make_settings):
    settings = {"jwks_url": "https://u:s3cr3t@x.example/keys", "issuer": "i", "audience": "a"}
    with pytest.raises(ValidationError, match="no user name or password") as caught:
        make_settings(codec_server={"auth": {"jwt": settings}})
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "claims"),
    [
        ({"claim": "groups", "value": "payload-readers"}, {"groups": ["x", "payload-readers"]}),
        ({"claim": "scope", "value": "payloads:read"}, {"scope": "openid payloads:read"}),
        ({"claim": "realm_access.roles", "value": "reader"}, {"realm_access": {"roles": ["reader"]}}),
        ({"claim": "https://x.example/ns", "value": "{namespace}"}, {"https://x.example/ns": ["default"]}),
    ],
)
async def test_rules_read_the_claims_that_a_provider_writes(serve, provider, with_jwt, rule, claims):
    api = await serve(with_jwt(rules=[rule]))
    assert (await api.post("decode", headers=bearer(provider.token(**claims)))).status == 200
    assert (await api.post("encode", headers=bearer(provider.token(**claims)))).status == 403
    assert (
        await api.post("decode", headers=bearer(provider.token(permissions=["default:read"])))
    ).status == 403


async def test_a_rule_is_about_its_namespaces_only(serve, provider, with_jwt):
    api = await serve(with_jwt(rules=[{"claim": "sub", "value": "ada", "namespaces": "orders*"}]))
    headers = bearer(provider.token())
    assert (await api.post("decode", namespace="orders-eu", headers=headers)).status == 200
    assert (await api.post("decode", namespace="billing", headers=headers)).status == 403


@pytest.mark.parametrize("permissions", [None, 1, {}, [1, None], "", [], ["*:read"], [":read"]])
async def test_claims_of_another_form_open_nothing(serve, provider, with_jwt, permissions):
    api = await serve(with_jwt())
    headers = bearer(provider.token(permissions=permissions))
    assert (await api.post("decode", headers=headers)).status == 403


async def test_a_token_without_a_key_id_is_checked_with_the_only_key(serve, provider, with_jwt):
    api = await serve(with_jwt())
    headers = bearer(provider.token(kid=None, permissions=["default:read"]))
    assert (await api.post("decode", headers=headers)).status == 200


async def test_tokens_and_an_identity_provider_work_side_by_side(serve, provider, with_jwt):
    settings = with_jwt()
    settings["auth"]["tokens"] = {"cli": {"token": TOKEN}}
    api = await serve(settings)
    assert (await api.post("decode", headers=bearer(TOKEN))).status == 200
    headers = bearer(provider.token(permissions=["default:read"]))
    assert (await api.post("decode", headers=headers)).status == 200


# -- hostile tokens


@pytest.mark.parametrize(
    "header",
    [
        '{"alg": "RS256", "kid": ' + "[" * 20_000 + "}",
        '{"alg": "RS256", "kid": ' + "9" * 9000 + "}",
        '{"alg": "RS256", "kid": 1}',
        '{"alg": "RS256", "kid": ["k1"]}',
        '{"alg": "RS256", "kid": "\\ud800"}',
        '{"alg": ["RS256"], "kid": "k1"}',
        '{"alg": {}, "kid": "k1"}',
        '{"alg": "RS256", "kid": "k1", "b64": false, "crit": ["b64"]}',
        '{"alg": "RS256", "kid": "k1", "crit": ["unheard-of"]}',
        '{"alg": "RS256", "kid": "k1", "jku": "https://evil.example/keys", "zip": "DEF"}',
        '["RS256"]',
        "null",
        "\xff",
    ],
)
async def test_a_token_with_a_strange_header_is_refused(serve, provider, with_jwt, header):
    api = await serve(with_jwt())
    _, body, signature = provider.token(permissions=["default:read"]).split(".")
    head = base64.urlsafe_b64encode(header.encode("latin-1")).rstrip(b"=").decode()
    # 8 KiB is what the test's server takes; what is longer is cut, and no token either.
    token = f"{head[:6000]}.{body}.{signature}"
    assert (await api.error("decode", headers=bearer(token)))[:2] == (401, "unauthenticated")


@pytest.mark.parametrize(
    "claims",
    [{"exp": "soon"}, {"exp": []}, {"exp": float("inf")}, {"aud": {}}, {"iss": []}, {"sub": 1}, {"nbf": "x"}],
)
async def test_a_signed_token_with_strange_claims_is_refused(serve, provider, with_jwt, claims):
    api = await serve(with_jwt())
    body = {
        "iss": ISSUER,
        "aud": "payloads",
        "exp": time.time() + 99,
        "permissions": ["default:read"],
        **claims,
    }
    text = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "RS256", "kid": "k1"}, body)
    )
    algorithm = jwt.get_algorithm_by_name("RS256")
    signature = base64.urlsafe_b64encode(algorithm.sign(text.encode(), provider.keys["k1"])).rstrip(b"=")
    token = f"{text}.{signature.decode()}"
    assert (await api.error("decode", headers=bearer(token)))[:2] == (401, "unauthenticated")


async def test_what_a_token_calls_its_caller_forges_no_log_line(serve, provider, with_jwt, caplog):
    caplog.set_level(logging.INFO)
    api = await serve(with_jwt())
    name = "ada\nINFO request who=root \ud800\x1b[2J" + "x" * 3000
    headers = bearer(provider.token(sub=name, permissions=["default:read"]))
    assert (await api.post("decode", headers=headers)).status == 200
    [record] = [each for each in caplog.records if each.name.endswith("codec_server.access")]
    for line in (TextFormatter().format(record), JsonFormatter().format(record)):
        assert line.isprintable()
        assert line.isascii()
        assert len(line) < 4000
