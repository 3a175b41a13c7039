"""Whose certificates are trusted."""

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from temporal_payloads.plugin import StorageMisconfiguredError, StorageUnavailableError


@pytest.fixture
async def tls_server(stub: Any, tmp_path: Path) -> AsyncIterator[tuple[str, Path]]:
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


async def test_a_store_with_a_certificate_of_its_own_is_trusted_by_its_ca_bundle_and_not_otherwise(
    *, tls_server: Any, stub: Any, create_only: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    url, ca_bundle = tls_server
    async with open_driver(url, "payloads", ca_bundle=ca_bundle) as driver:
        await driver.store(store_context, [payload(1)])
    assert len(create_only.objects) == 1
    async with open_driver(url, "payloads") as driver:
        with pytest.raises(StorageUnavailableError, match=r"certificate verify failed.*gcs\.ca_bundle"):
            await driver.check()


async def test_a_ca_bundle_that_is_none_is_told(open_driver: Any, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(StorageMisconfiguredError, match=r"gcs\.ca_bundle .* is no PEM file of certificates"):
        async with open_driver("https://127.0.0.1:1", "payloads", ca_bundle=tmp_path / "ca.pem"):
            pass


@pytest.fixture
def service_file(tls_server: Any, tmp_path: Path) -> Path:
    """A user of gcloud whose tokens come from the server behind TLS."""
    file = tmp_path / "credentials.json"
    user = {"client_id": "id", "client_secret": "secret", "refresh_token": "token"}
    file.write_text(json.dumps({"type": "authorized_user", "token_uri": f"{tls_server[0]}/token", **user}))
    return file


async def test_the_token_server_is_trusted_by_it_too(
    *, tls_server: Any, stub: Any, open_driver: Any, service_file: Path
) -> None:
    url, ca_bundle = tls_server
    granted = {"access_token": "t", "expires_in": 3600, "generation": "1"}
    stub.always(lambda: web.json_response(granted, headers={"x-goog-generation": "1"}))
    settings = {"anonymous": False, "service_file": service_file}
    async with open_driver(url, "payloads", ca_bundle=ca_bundle, **settings) as driver:
        await driver.read("payloads", "v0/d/sha256/" + "0" * 64)
    assert stub.requests == ["POST", "GET"]
