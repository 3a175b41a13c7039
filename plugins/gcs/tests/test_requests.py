"""Which requests a payload costs, and that an object that is there is never written over."""

import asyncio
import os
from typing import Any

import pytest
from aiohttp import web
from temporal_payloads.plugin import PayloadTooLargeError, StorageUnavailableError
from temporalio.converter import StorageDriverRetrieveContext

EMPTY = StorageDriverRetrieveContext()
MIB = 1024 * 1024


async def test_a_new_payload_is_one_request_and_so_is_reading_it(
    *, gcs_server: Any, gcs_bucket: str, open_driver: Any, store_context: Any, payload: Any, sent: list[str]
) -> None:
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        claims = await driver.store(store_context, [payload(1, 300_000)])
        assert sent == ["POST uploadType=media"]
        await driver.retrieve(EMPTY, claims)
        assert sent == ["POST uploadType=media", "GET alt=media"]


async def test_equal_payloads_of_one_call_are_one_request(
    *, gcs_server: Any, gcs_bucket: str, open_driver: Any, store_context: Any, payload: Any, sent: list[str]
) -> None:
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        claims = await driver.store(store_context, [payload(1)] * 3)
        assert await driver.retrieve(EMPTY, claims) == [payload(1)] * 3
    assert sent == ["POST uploadType=media", "GET alt=media"]


@pytest.mark.parametrize(
    ("size", "ranges"), [(8 * MIB, 1), (8 * MIB + 1, 2), (16 * MIB, 2), (20 * MIB + 7, 3)]
)
async def test_a_large_payload_is_read_in_ranges_without_a_request_for_its_size(
    *, gcs_server: Any, gcs_bucket: str, open_driver: Any, sent: list[str], size: int, ranges: int
) -> None:
    data = os.urandom(size)
    gcs_server.write(gcs_bucket, "large", data)
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        assert await driver._requests.get_object(bucket=gcs_bucket, object_name="large") == data
    assert sent == ["GET alt=media"] * ranges


@pytest.mark.parametrize("size", [0, 100, 300_000])
async def test_nobody_notices_that_the_store_closed_a_connection_that_was_kept(
    *, stub: Any, create_only: Any, open_driver: Any, store_context: Any, payload: Any, size: int
) -> None:
    async def closed_once(request: web.Request) -> web.StreamResponse:
        stub.answer = create_only.answer
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with open_driver(stub.endpoint_url, "payloads") as driver:
        await driver.store(store_context, [payload(1)])
        stub.answer = closed_once
        await driver.store(store_context, [payload(2, size)])
    assert stub.requests == ["POST"] * 3
    assert len(create_only.objects) == 2


async def test_a_store_that_closes_every_connection_is_asked_twice(
    *, stub: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    async def closed(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    stub.answer = closed
    async with open_driver(stub.endpoint_url, "payloads") as driver:
        with pytest.raises(StorageUnavailableError, match="Could not write gs://payloads/"):
            await driver.store(store_context, [payload(1)])
    assert stub.requests == ["POST"] * 2


@pytest.mark.parametrize("size", [100, 300_000])
async def test_a_payload_that_is_there_stays_as_it_was(
    *, stub: Any, create_only: Any, open_driver: Any, store_context: Any, payload: Any, size: int
) -> None:
    async with open_driver(stub.endpoint_url, "payloads") as driver:
        claims = await driver.store(store_context, [payload(1, size)])
        (name,) = create_only.objects
        create_only.objects[name] = b"as it was"
        assert await driver.store(store_context, [payload(1, size)]) == claims
    assert create_only.objects == {name: b"as it was"}
    assert stub.requests == ["POST", "POST"]


async def test_once_a_large_payload_was_there_already_the_next_is_asked_for_first(
    *, stub: Any, create_only: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    large, other = payload(1, 9 * MIB), payload(2, 9 * MIB)
    async with open_driver(stub.endpoint_url, "payloads") as driver:
        await driver.store(store_context, [large])
        await driver.store(store_context, [large])
        received = create_only.received
        assert stub.requests == ["POST"] * 2
        await driver.store(store_context, [large])
        assert create_only.received == received
        assert stub.requests == ["POST"] * 2 + ["GET"]
        await driver.store(store_context, [other])
        assert stub.requests == ["POST"] * 2 + ["GET"] * 2 + ["POST"]
        await driver.store(store_context, [payload(3, 9 * MIB)])
    assert stub.requests[5:] == ["POST"]
    assert len(create_only.objects) == 3


@pytest.mark.parametrize("size", [100, 300_000, 9 * MIB])
async def test_several_workers_may_store_the_same_payload_at_once(
    *, stub: Any, create_only: Any, open_driver: Any, store_context: Any, payload: Any, size: int
) -> None:
    async with (
        open_driver(stub.endpoint_url, "payloads") as one,
        open_driver(stub.endpoint_url, "payloads") as other,
    ):
        first, second = await asyncio.gather(
            *(driver.store(store_context, [payload(1, size)]) for driver in (one, other))
        )
    assert first == second
    assert len(create_only.objects) == 1


async def test_an_object_that_is_replaced_while_it_is_read_is_read_again_later(
    *, stub: Any, open_driver: Any
) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.headers["Range"].startswith("bytes=0-"):
            headers = {"Content-Range": f"bytes 0-{8 * MIB - 1}/{9 * MIB}", "x-goog-generation": "7"}
            return web.Response(status=206, body=bytes(8 * MIB), headers=headers)
        assert request.query["ifGenerationMatch"] == "7"
        refusal: web.Response = stub.error(412, "At least one of the pre-conditions did not hold.")
        return refusal

    stub.answer = answer
    async with open_driver(stub.endpoint_url, "payloads") as driver:
        with pytest.raises(StorageUnavailableError, match="replaced while it was read"):
            await driver._requests.get_object(bucket="payloads", object_name="large")


async def test_nothing_on_the_way_is_asked_to_compress(stub: Any, open_driver: Any) -> None:
    received: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        received.append(request.headers)
        return web.Response(headers={"x-goog-generation": "1"})

    stub.answer = answer
    async with open_driver(stub.endpoint_url, "payloads") as driver:
        await driver.check()
    assert [headers["Accept-Encoding"] for headers in received] == ["identity"]
    assert "Authorization" not in received[0]


@pytest.mark.parametrize("status", [206, 200])
async def test_a_server_that_sends_more_than_may_be_read_is_not_listened_to(
    stub: Any, open_driver: Any, status: int
) -> None:
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        headers = {"x-goog-generation": "1", "content-range": f"bytes 0-8388607/{600 * MIB}"}
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        while sent < 600 * MIB:
            await response.write(bytes(MIB))
            sent += MIB
        return response

    stub.answer = answer
    async with open_driver(stub.endpoint_url, "payloads", largest_read=MIB) as driver:
        with pytest.raises(PayloadTooLargeError):
            await driver.read("payloads", "v0/d/sha256/" + "0" * 64)
    assert stub.requests == ["GET"]
    assert sent < 100 * MIB
