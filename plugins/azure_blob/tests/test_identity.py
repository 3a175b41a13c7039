"""Without key, SAS and connection string an identity logs in, as on Azure."""

import base64
import json
import logging
import ssl
import time
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from temporal_payloads.plugin import StoragePermissionError, StorageUnavailableError

PLACE = "storage.drivers.azure_blob"
AUDIENCE = "https://storage.azure.com"
HEADER = "s3cret-header"


def token(audience: str = AUDIENCE) -> str:
    """Return what Entra ID gives out, as far as Azurite looks at it."""
    now = int(time.time())
    claims = {"aud": audience, "iss": "https://sts.windows.net/tenant/", "nbf": now - 60, "exp": now + 3600}
    parts = [{"alg": "RS256", "typ": "JWT"}, {**claims, "iat": now - 60}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])


@pytest.fixture
def managed_identity(stub: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The place where a machine on Azure asks for tokens; what it was asked for is noted."""
    asked = []

    async def answer(request: Any) -> Any:
        asked.append((dict(request.query), request.headers.get("X-IDENTITY-HEADER")))
        expires = str(int(time.time()) + 3600)
        return web.json_response(
            {"access_token": token(), "expires_on": expires, "resource": AUDIENCE, "token_type": "Bearer"}
        )

    stub.answer = answer
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{stub.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    return asked


def settings_of(server: Any) -> dict[str, Any]:
    return {"container": "payloads", "account_url": server.account_url, "ca_bundle": server.ca_file}


async def test_a_managed_identity_logs_in(
    managed_identity: Any,
    tls_azurite: Any,
    open_driver: Any,
    store_context: Any,
    payload: Any,
    caplog: pytest.LogCaptureFixture,
):
    with caplog.at_level(logging.DEBUG):
        async with open_driver(**settings_of(tls_azurite)) as driver:
            await driver.check()
            claims = await driver.store(store_context, [payload(1)])
            assert await driver.retrieve(None, claims) == [payload(1)]
    assert [(query["resource"], header) for query, header in managed_identity] == [(AUDIENCE, HEADER)]
    assert "client_id" not in managed_identity[0][0]
    assert "DefaultAzureCredential" in caplog.text
    assert token().partition(".")[2].partition(".")[0][:20] not in caplog.text
    assert HEADER not in caplog.text


async def test_a_client_id_names_the_managed_identity(
    managed_identity: Any, tls_azurite: Any, open_driver: Any
):
    async with open_driver(**settings_of(tls_azurite), client_id="the-client") as driver:
        await driver.check()
    assert managed_identity[0][0]["client_id"] == "the-client"


async def test_a_token_that_the_store_refuses_is_told(
    stub: Any, tls_azurite: Any, open_driver: Any, monkeypatch
):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{stub.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    expires = str(int(time.time()) + 3600)
    wrong = token("https://other.example.com")
    stub.always(
        lambda: web.json_response({"access_token": wrong, "expires_on": expires, "resource": AUDIENCE})
    )
    async with open_driver(**settings_of(tls_azurite)) as driver:
        with pytest.raises(StoragePermissionError, match="the login is not accepted") as caught:
            await driver.check()
    assert wrong not in str(caught.value)


async def test_no_identity_at_all_is_told(
    tls_azurite: Any, open_driver: Any, monkeypatch: pytest.MonkeyPatch
):
    # None of the ways to an identity leads anywhere, and none is waited for.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    async with open_driver(**settings_of(tls_azurite)) as driver:
        with pytest.raises(StoragePermissionError) as caught:
            await driver.check()
    assert "no identity was found that logs in" in str(caught.value)
    assert f"{PLACE}.client_id" in str(caught.value)
    assert not caught.value.store_asked


@pytest.fixture
def service_principal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The identity that variables describe."""
    for name, value in {"CLIENT_ID": "x", "TENANT_ID": "common", "CLIENT_SECRET": HEADER}.items():
        monkeypatch.setenv(f"AZURE_{name}", value)
    return monkeypatch


async def failure(open_driver: Any, kind: type[Exception]) -> str:
    settings = {"container": "payloads", "account_url": "https://orders.blob.core.windows.net"}
    async with open_driver(**settings) as driver:
        with pytest.raises(kind) as caught:
            await driver.check()
    assert not caught.value.store_asked  # type: ignore[attr-defined]  # a StorageError
    shown = "".join(traceback.format_exception(caught.value))
    assert HEADER not in shown
    assert "hunter2" not in shown
    assert caught.value.__cause__ is None
    return str(caught.value)


async def test_a_login_that_is_out_of_reach_is_an_outage_and_no_matter_of_permissions(
    open_driver: Any, service_principal: Any, closed_port: int
):
    service_principal.setenv("AZURE_AUTHORITY_HOST", f"https://127.0.0.1:{closed_port}")
    text = await failure(open_driver, StorageUnavailableError)
    assert "EnvironmentCredential failed: " in text
    assert f"{closed_port}" in text
    assert "AZURE_AUTHORITY_HOST" in text


async def test_a_proxy_before_the_login_is_told_without_its_password(
    open_driver: Any, service_principal: Any, refusing_proxy: str
):
    text = await failure(open_driver, StorageUnavailableError)
    assert "EnvironmentCredential failed: HTTP 407 from the proxy" in text
    assert refusing_proxy not in text


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (400, StoragePermissionError, "that identity does not log in: look at the variables AZURE_CLIENT_ID"),
        (503, StorageUnavailableError, "where that identity logs in can't be reached"),
    ],
)
async def test_what_the_identity_hears_where_it_logs_in_is_told(
    *, stub: Any, open_driver: Any, monkeypatch: pytest.MonkeyPatch, status: int, kind: Any, told: str
):
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{stub.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", HEADER)
    said = {"error": "no", "error_description": "The identity at https://user:hunter2@host is not assigned"}
    stub.always(lambda: web.json_response(said, status=status))
    text = await failure(open_driver, kind)
    assert "ManagedIdentityCredential" in text
    assert told in text


@pytest.fixture
async def tls_login(stub: Any, tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
    """The stub behind TLS, and the certificate of the authority that vouches for it."""
    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    ca_bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_bundle))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=tls)
    yield str(server.make_url("")).rstrip("/"), ca_bundle
    await server.close()


async def test_where_the_identity_logs_in_is_trusted_by_the_ca_bundle_too(
    stub: Any, tls_login: Any, open_driver: Any, service_principal: Any
):
    url, ca_bundle = tls_login
    service_principal.setenv("AZURE_AUTHORITY_HOST", url)
    stub.always(lambda: web.json_response({"error": "invalid_client"}, status=400))
    settings = {"container": "payloads", "account_url": "https://orders.blob.core.windows.net"}
    async with open_driver(**settings, ca_bundle=ca_bundle) as driver:
        with pytest.raises(StoragePermissionError, match="that identity does not log in"):
            await driver.check()
    assert stub.requests
