"""What can go wrong with GCS, and that each message names the setting or permission to look at."""

import asyncio
import traceback
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from local_servers import GCSServer, start_gcs
from temporal_payloads.plugin import (
    PayloadNotFoundError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporal_payloads_gcs._error_table import BY_REASON, BY_STATUS
from temporalio.converter import StorageDriverClaim, StorageDriverRetrieveContext

HASH = "ab" * 32
NAME = f"v0/ns/default/d/sha256/{HASH}"
SOMEBODY = "worker@mine.iam.gserviceaccount.com does not have"
DENIED = "denied on resource (or it may not exist)."


@pytest.fixture
def fails(open_driver: Any, store_context: Any, payload: Any) -> Any:
    """Store, retrieve or check with a server of which the test expects a failure; return that."""

    def claim(bucket: str) -> StorageDriverClaim:
        data = {"bucket": bucket, "object_name": NAME, "hash_algorithm": "sha256", "hash_value": HASH}
        return StorageDriverClaim(claim_data=data)

    async def fails_(
        endpoint_url: str, operation: str, bucket: str = "payloads", size: int = 100, **settings: Any
    ) -> StorageError:
        async with open_driver(endpoint_url, bucket, **settings) as driver:
            do = {
                "store": lambda: driver.store(store_context, [payload(1, size)]),
                "retrieve": lambda: driver.retrieve(StorageDriverRetrieveContext(), [claim(bucket)]),
                "check": driver.check,
            }
            with pytest.raises(StorageError) as caught:
                await do[operation]()
        return caught.value

    return fails_


@pytest.mark.parametrize(
    ("status", "message", "reason", "operation", "error_type", "advice"),
    [
        (
            404,
            f"No such object: payloads/{NAME}",
            "notFound",
            "retrieve",
            PayloadNotFoundError,
            "was deleted",
        ),
        (
            404,
            "The specified bucket does not exist.",
            "",
            "retrieve",
            StorageMisconfiguredError,
            "create bucket",
        ),
        (
            404,
            "The specified bucket does not exist.",
            "",
            "store",
            StorageMisconfiguredError,
            "create bucket",
        ),
        (404, "The specified bucket does not exist.", "", "check", StorageMisconfiguredError, "gcs.bucket"),
        (
            400,
            "Invalid bucket name: 'payloads'",
            "invalid",
            "check",
            StorageMisconfiguredError,
            "storage.drivers",
        ),
        (401, "Invalid Credentials", "authError", "store", StoragePermissionError, "gcs.service_file"),
        (401, "Invalid Credentials", "authError", "retrieve", StoragePermissionError, "metadata server"),
        (401, "Invalid Credentials", "authError", "check", StoragePermissionError, "GOOGLE_APPLICATION"),
        (
            403,
            "",
            "forbidden",
            "store",
            StoragePermissionError,
            "grant storage.objects.create on bucket payloads",
        ),
        (
            403,
            "",
            "forbidden",
            "retrieve",
            StoragePermissionError,
            "grant storage.objects.get on bucket payloads",
        ),
        (
            403,
            f"{SOMEBODY} storage.objects.list access. Permission 'storage.objects.list' {DENIED}",
            "forbidden",
            "retrieve",
            StoragePermissionError,
            "grant storage.objects.list",
        ),
        (
            403,
            f"{SOMEBODY} storage.objects.get access",
            "",
            "check",
            StoragePermissionError,
            "storage.objects.get",
        ),
        (403, "Quota exceeded", "rateLimitExceeded", "store", StorageUnavailableError, "storage.concurrency"),
        (403, "billing is disabled", "accountDisabled", "store", StoragePermissionError, "billing account"),
        (408, "", "", "store", StorageUnavailableError, "storage.concurrency"),
        (429, "Too many requests", "", "retrieve", StorageUnavailableError, "storage.concurrency"),
        (500, "backendError", "", "store", StorageUnavailableError, "status.cloud.google.com"),
        (502, "", "", "check", StorageUnavailableError, "status.cloud.google.com"),
        (503, "", "", "retrieve", StorageUnavailableError, "storage.concurrency"),
        (504, "", "", "retrieve", StorageUnavailableError, "status.cloud.google.com"),
        (507, "", "", "store", StorageUnavailableError, "the store is full"),
        (302, "", "", "check", StorageUnavailableError, "not an answer of Google Cloud Storage"),
    ],
)
async def test_each_answer_of_gcs_is_explained(
    *,
    stub: Any,
    fails: Any,
    status: int,
    message: str,
    reason: str,
    operation: str,
    error_type: type[StorageError],
    advice: str,
) -> None:
    stub.always(lambda: stub.error(status, message, reason))
    error = await fails(stub.endpoint_url, operation)
    assert type(error) is error_type
    assert advice in str(error)
    assert message.rstrip(".") in str(error)
    assert f"gs://payloads/v0/{'' if operation == 'check' else 'ns/default/'}" in str(error)
    assert stub.endpoint_url in str(error)
    assert error.store_asked


def test_every_answer_of_the_tables_is_tried_above() -> None:
    (mark,) = test_each_answer_of_gcs_is_explained.pytestmark
    # 407 is below, 412 in test_requests.py; of equal reasons one will do.
    assert set(BY_STATUS) - {case[0] for case in mark.args[1]} == {407, 412}
    assert {BY_REASON[case[2]] for case in mark.args[1] if case[2] in BY_REASON} == set(BY_REASON.values())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "No such object: payloads/v0"),
        (403, f"{SOMEBODY} access. Permission 'storage.objects.list' {DENIED}"),
        (403, f"{SOMEBODY} storage.objects.list access. Permission 'storage.objects.list' {DENIED}"),
    ],
)
async def test_an_object_that_may_be_read_and_is_not_there_is_no_failure_of_the_check(
    stub: Any, open_driver: Any, status: int, message: str
) -> None:
    stub.always(lambda: stub.error(status, message))
    async with open_driver(stub.endpoint_url, "payloads") as driver:
        await driver.check()


async def test_a_bucket_that_is_not_there_is_told(gcs_server: GCSServer, fails: Any) -> None:
    for operation in ("store", "retrieve", "check"):
        error = await fails(gcs_server.endpoint_url, operation, "no-such-bucket")
        assert isinstance(error, StorageMisconfiguredError)
        assert "create bucket no-such-bucket, or correct storage.drivers.gcs.bucket" in str(error)


@pytest.mark.parametrize("size", [100, 9 * 1024 * 1024])
@pytest.mark.parametrize(
    "response",
    [
        lambda: web.Response(text="<html>Welcome!</html>", content_type="text/html"),
        lambda: web.json_response({"name": "no generation"}),
        lambda: web.json_response([]),
    ],
    ids=["html", "other json", "list"],
)
async def test_a_server_that_is_no_gcs_is_not_believed(
    stub: Any, fails: Any, response: Any, size: int
) -> None:
    stub.always(response)
    for operation in ("store", "retrieve", "check"):
        error = await fails(stub.endpoint_url, operation, size=size)
        assert isinstance(error, StorageUnavailableError)
        assert "not an answer of Google Cloud Storage; look at storage.drivers.gcs.endpoint_url" in str(error)


async def test_the_page_of_a_proxy_is_not_quoted(stub: Any, fails: Any) -> None:
    stub.always(lambda: web.Response(status=503, text="<html>hunter2</html>", content_type="text/html"))
    assert "hunter2" not in str(await fails(stub.endpoint_url, "store"))


async def test_a_range_without_a_size_is_not_believed(stub: Any, fails: Any) -> None:
    stub.always(lambda: web.Response(status=206, headers={"x-goog-generation": "1"}))
    assert "a range without a size" in str(await fails(stub.endpoint_url, "retrieve"))


async def test_a_silent_store_is_told_with_the_timeout(stub: Any, fails: Any) -> None:
    async def answer(request: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    stub.answer = answer
    error = await fails(stub.endpoint_url, "check", read_timeout="100ms")
    assert isinstance(error, StorageUnavailableError)
    assert "silent for longer than storage.drivers.gcs.read_timeout" in str(error)


async def test_an_answer_that_breaks_off_is_told(stub: Any, fails: Any) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        headers = {"x-goog-generation": "1", "Content-Length": "1000"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        await response.write(b"x")
        assert request.transport
        request.transport.abort()
        return response

    stub.answer = answer
    assert isinstance(await fails(stub.endpoint_url, "retrieve"), StorageUnavailableError)


async def test_a_store_that_is_not_there_is_told_with_the_endpoint(fails: Any, closed_port: int) -> None:
    error = await fails(f"http://127.0.0.1:{closed_port}", "check")
    assert isinstance(error, StorageUnavailableError)
    assert "look at storage.drivers.gcs.endpoint_url, and whether the store runs" in str(error)


async def test_a_host_that_is_not_known_is_told(fails: Any) -> None:
    error = await fails("http://no-such-host.invalid", "check")
    assert isinstance(error, StorageUnavailableError)
    assert "the name resolution of this machine" in str(error)


async def test_a_proxy_that_is_not_there_is_told(
    monkeypatch: pytest.MonkeyPatch, fails: Any, closed_port: int
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    error = await fails("http://gcs.example.com", "check")
    assert isinstance(error, StorageUnavailableError)
    assert "HTTPS_PROXY, HTTP_PROXY and NO_PROXY" in str(error)


@pytest.mark.parametrize("scheme", ["https", "http"])
async def test_a_proxy_that_refuses_is_told_without_its_password(
    refusing_proxy: str, fails: Any, scheme: str
) -> None:
    error = await fails(f"{scheme}://gcs.example.com", "check")
    assert isinstance(error, StorageUnavailableError)
    assert "HTTP 407" in str(error)
    assert "HTTPS_PROXY, HTTP_PROXY and NO_PROXY" in str(error)
    assert refusing_proxy not in "".join(traceback.format_exception(error))


async def test_a_proxy_whose_address_is_none_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, fails: Any
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:99999")
    monkeypatch.setenv("https_proxy", "http://user:hunter2@127.0.0.1:99999")
    error = await fails("https://gcs.example.com", "check")
    assert "the proxy's URL can't be read; look at the HTTP proxy: HTTPS_PROXY" in str(error)
    assert "hunter2" not in "".join(traceback.format_exception(error))


async def test_a_store_that_was_killed_serves_again_when_it_is_back(
    tmp_path: Path, open_driver: Any, store_context: Any, payload: Any
) -> None:
    with start_gcs(tmp_path) as server:
        server.create_bucket("payloads")
        port = int(server.endpoint_url.rpartition(":")[2])
        driver_of = open_driver(server.endpoint_url, "payloads")
        driver = await driver_of.__aenter__()
        await driver.store(store_context, [payload(1)])
    with pytest.raises(StorageUnavailableError):
        await driver.store(store_context, [payload(1)])
    with start_gcs(tmp_path, port=port) as server:
        server.create_bucket("payloads")
        claims = await driver.store(store_context, [payload(1)])
        assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == [payload(1)]
        await driver_of.__aexit__(None, None, None)
