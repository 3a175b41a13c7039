"""What goes wrong is told in words that name the setting, and shows no secret."""

import asyncio
import logging
import ssl
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from azure.storage.blob.aio import ContainerClient
from temporal_payloads.plugin import (
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)

PLACE = "storage.drivers.azure_blob"
OTHER_KEY = "b3RoZXIga2V5"


async def failure(open_driver: Any, kind: type[Exception], settings: dict[str, Any]) -> str:
    """Return what the check says."""
    async with open_driver(**settings) as driver:
        with pytest.raises(kind) as caught:
            await driver.check()
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return str(caught.value)


async def test_a_missing_container_is_told(
    container: Any, open_driver: Any, store_context: Any, payload: Any
):
    async with open_driver(**{**container.settings, "container": "not-made"}) as driver:
        for call in (driver.check(), driver.store(store_context, [payload(1)])):
            with pytest.raises(StorageMisconfiguredError) as caught:
                await call
            assert "ContainerNotFound" in str(caught.value)
            assert f"create container {container.server.account_url}/not-made" in str(caught.value)
            assert f"{PLACE}.container" in str(caught.value)


async def test_a_missing_container_is_told_for_a_large_payload_too(
    container: Any, open_driver: Any, store_context: Any, payload: Any
):
    settings = {**container.settings, "container": "not-made", "block_size": "1MiB"}
    async with open_driver(**settings) as driver:
        with pytest.raises(StorageMisconfiguredError, match="create container"):
            await driver.store(store_context, [payload(1, 2_000_000)])


async def test_a_wrong_key_is_told_and_not_shown(container: Any, open_driver: Any):
    settings = {**container.settings, "account_key": OTHER_KEY}
    text = await failure(open_driver, StoragePermissionError, settings)
    assert f"at {PLACE}.account_key" in text
    assert OTHER_KEY not in text
    assert "\n" not in text


async def test_an_expired_sas_is_told_and_not_shown(container: Any, open_driver: Any):
    settings = container.settings_with_sas("rcw", expires_in=timedelta(hours=-1))
    text = await failure(open_driver, StoragePermissionError, settings)
    assert f"{PLACE}.sas_token (it may have expired" in text
    assert settings["sas_token"].partition("sig=")[2] not in text


async def test_a_sas_without_the_permission_names_those_that_are_needed(
    container: Any, open_driver: Any, store_context: Any, payload: Any
):
    text = await failure(open_driver, StoragePermissionError, container.settings_with_sas("l"))
    assert "a SAS the permissions r, c and w" in text
    async with open_driver(**container.settings_with_sas("r")) as driver:
        await driver.check()
        with pytest.raises(StoragePermissionError, match="Storage Blob Data Contributor"):
            await driver.store(store_context, [payload(1)])


async def test_to_read_create_and_write_is_permission_enough(
    container: Any, open_driver: Any, store_context: Any, payload: Any
):
    payloads = [payload(1), payload(2, 2_500_000)]
    async with open_driver(**container.settings_with_sas("rcw"), block_size="1MiB") as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.store(store_context, payloads) == claims
        assert await driver.retrieve(None, claims) == payloads


async def test_a_sas_that_may_not_overwrite_takes_what_is_there_for_stored(stub: Any, open_driver: Any):
    # So says Azure to a SAS with c and without w; Azurite says what it says to a SAS without either.
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if request.method == "PUT":
            refusal: web.Response = stub.error(403, "UnauthorizedBlobOverwrite")
            return refusal
        return web.Response(headers={"x-ms-blob-type": "BlockBlob"})

    stub.answer = answer
    async with open_driver(**stub.settings) as driver:
        await driver.write({"key": b"data"})
    assert stub.requests == ["PUT", "HEAD"]


async def test_a_server_that_is_not_there_is_told(open_driver: Any, closed_port: int):
    settings = {
        "container": "payloads",
        "account_url": f"http://127.0.0.1:{closed_port}/account",
        "account_key": OTHER_KEY,
    }
    text = await failure(open_driver, StorageUnavailableError, settings)
    assert f"{PLACE}.account_url, and whether the store runs" in text


async def test_a_name_that_does_not_resolve_is_told(open_driver: Any):
    settings = {"container": "payloads", "account_url": "http://nobody.invalid", "account_key": OTHER_KEY}
    text = await failure(open_driver, StorageUnavailableError, settings)
    assert "name resolution of this machine" in text


async def test_a_proxy_that_is_not_there_is_told(
    open_driver: Any, closed_port: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HTTP_PROXY", f"http://user:pa55word@127.0.0.1:{closed_port}")
    monkeypatch.delenv("http_proxy", raising=False)
    settings = {"container": "payloads", "account_url": "http://nobody.invalid", "account_key": OTHER_KEY}
    text = await failure(open_driver, StorageUnavailableError, settings)
    assert "HTTP_PROXY and NO_PROXY" in text
    assert "pa55word" not in text


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_proxy_that_refuses_is_told_without_its_password(
    open_driver: Any, refusing_proxy: str, scheme: str
):
    settings = {
        "container": "payloads",
        "account_url": f"{scheme}://account.example.com",
        "account_key": OTHER_KEY,
    }
    text = await failure(open_driver, StorageUnavailableError, settings)
    assert "HTTP 407" in text
    assert "HTTPS_PROXY, HTTP_PROXY and NO_PROXY" in text
    assert refusing_proxy not in text


@pytest.mark.parametrize(
    ("status", "code", "kind", "advice"),
    [
        (503, "ServerBusy", StorageUnavailableError, "lower storage.concurrency"),
        (500, "InternalError", StorageUnavailableError, "try again later"),
        (403, "KeyBasedAuthenticationNotPermitted", StoragePermissionError, "the account takes no keys"),
        (403, "AuthenticationFailed", StoragePermissionError, "the login is not accepted"),
        (401, "NoAuthenticationInformation", StoragePermissionError, "the login is not accepted"),
        (403, "AuthorizationFailure", StoragePermissionError, "a firewall of the account"),
        (403, "AuthorizationSourceIPMismatch", StoragePermissionError, "other addresses than this machine's"),
        (403, "AuthorizationProtocolMismatch", StoragePermissionError, "write https://"),
        (403, "AccountIsDisabled", StoragePermissionError, "enable the account"),
        (409, "ContainerBeingDeleted", StorageMisconfiguredError, "create container"),
        (409, "BlobArchived", StorageUnavailableError, "rehydrate it"),
        (400, "SomethingNew", StorageMisconfiguredError, "does not accept the request"),
    ],
)
async def test_each_answer_has_its_advice(
    stub: Any, open_driver: Any, status: int, code: str, kind: type[Exception], advice: str
):
    stub.always(lambda: stub.error(status, code))
    text = await failure(open_driver, kind, stub.settings)
    assert f"{code}: It failed; " in text
    assert advice in text
    assert "RequestId" not in text


async def test_an_answer_that_is_not_azures_is_no_missing_payload(stub: Any, open_driver: Any):
    stub.always(lambda: web.Response(status=404, text="<html>Not found, says the proxy</html>"))
    text = await failure(open_driver, StorageUnavailableError, stub.settings)
    assert "HTTP 404; that is not an answer of Azure Blob Storage" in text


async def test_silence_is_told(stub: Any, open_driver: Any):
    silent = asyncio.Event()

    async def answer(_request: web.Request) -> web.Response:
        await silent.wait()
        return web.Response()

    stub.answer = answer
    text = await failure(open_driver, StorageUnavailableError, {**stub.settings, "read_timeout": "100ms"})
    silent.set()
    assert f"silent for longer than {PLACE}.read_timeout" in text


async def test_a_body_that_breaks_off_is_asked_for_again(stub: Any, open_driver: Any):
    data, broken = b"x" * 300_000, False

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal broken
        headers = {"ETag": '"e"', "Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
        response = web.StreamResponse(status=206, headers={**headers, "x-ms-blob-type": "BlockBlob"})
        response.content_length = len(data)
        await response.prepare(request)
        if not broken:
            broken = True
            await response.write(data[:1000])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(data)
        return response

    stub.answer = answer
    async with open_driver(**stub.settings) as driver:
        assert await driver.read(["key"]) == [data]
    assert stub.requests == ["GET", "GET"]


async def test_what_is_out_of_reach_is_tried_as_often_as_the_settings_say(stub: Any, open_driver: Any):
    stub.always(lambda: stub.error(503, "ServerBusy"))
    await failure(open_driver, StorageUnavailableError, {**stub.settings, "max_attempts": 3})
    assert len(stub.requests) == 3


async def test_a_blob_that_is_replaced_while_it_is_read_is_told(
    container: Any, open_driver: Any, monkeypatch: pytest.MonkeyPatch
):
    container.client.upload_blob("key", b"x" * 3_000_000)
    download, done = ContainerClient.get_blob_client, False

    def replacing(client: ContainerClient, key: str) -> Any:
        blob = download(client, key)
        original = blob.download_blob

        async def once(**options: Any) -> Any:
            nonlocal done
            if options["offset"] and not done:
                done = True
                container.client.upload_blob("key", b"y" * 3_000_000, overwrite=True)
            return await original(**options)

        monkeypatch.setattr(blob, "download_blob", once)
        return blob

    monkeypatch.setattr(ContainerClient, "get_blob_client", replacing)
    async with open_driver(**container.settings, block_size="1MiB") as driver:
        with pytest.raises(StorageUnavailableError, match="replaced while it was read"):
            await driver.read(["key"])


async def test_a_certificate_is_checked_against_the_ca_bundle(tls_azurite: Any, open_driver: Any):
    settings = {
        "container": "payloads",
        "account_url": tls_azurite.account_url,
        "account_key": tls_azurite.account_key,
    }
    text = await failure(open_driver, StorageUnavailableError, settings)
    assert f"{PLACE}.ca_bundle" in text
    async with open_driver(**settings, ca_bundle=tls_azurite.ca_file) as driver:
        await driver.check()


async def test_a_ca_bundle_that_is_none_is_told(open_driver: Any, tmp_path: Any):
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    settings = {"container": "payloads", "account_url": "https://a.blob.core.windows.net", "ca_bundle": file}
    with pytest.raises(StorageMisconfiguredError, match="is no PEM file of certificates") as caught:
        async with open_driver(**settings):
            pass
    assert isinstance(caught.value.__cause__, ssl.SSLError)


@pytest.mark.parametrize("login", ["key", "sas", "connection_string"])
async def test_nothing_secret_is_logged_at_any_level(
    login: str,
    container: Any,
    open_driver: Any,
    store_context: Any,
    payload: Any,
    caplog: pytest.LogCaptureFixture,
):
    settings = container.settings if login == "key" else container.settings_with_sas("rcw")
    secrets = [container.server.account_key]
    if login != "key":
        secrets.append(settings["sas_token"].partition("sig=")[2].partition("&")[0])
    if login == "connection_string":
        endpoint, sas = settings.pop("account_url"), settings.pop("sas_token")
        settings["connection_string"] = f"BlobEndpoint={endpoint};SharedAccessSignature={sas}"
    with caplog.at_level(logging.DEBUG):
        async with open_driver(**settings, block_size="1MiB") as driver:
            claims = await driver.store(store_context, [payload(1), payload(2, 2_500_000)])
            await driver.retrieve(None, claims)
            assert await driver.read(["missing"]) == [None]
    assert "blob" in caplog.text
    assert not [secret for secret in secrets if secret in caplog.text]
