"""Which requests a payload costs on a real server, and what they leave in it."""

import asyncio
import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from temporal_payloads.plugin import StorageUnavailableError
from temporal_payloads_s3 import new_s3_client

KEY = "v0/d/sha256/" + hashlib.sha256(b"").hexdigest()
MIB = 1024 * 1024


def client_of(wire: Any) -> Any:
    return new_s3_client(wire.client, multipart_threshold=12 * MIB, part_size=5 * MIB)


async def test_a_new_payload_is_one_put(wire: Any, s3_bucket: str) -> None:
    client = client_of(wire)
    assert not await client.object_exists(bucket=s3_bucket, key=KEY)
    await client.put_object(bucket=s3_bucket, key=KEY, data=b"x" * 300_000)
    assert wire.take() == ["PUT"]


async def test_a_put_waits_for_no_permission_to_send_its_body(wire: Any, s3_bucket: str) -> None:
    headers: list[dict[str, Any]] = []
    client = client_of(wire)
    wire.client.meta.events.register_last(
        "before-send.s3", lambda request, **_: headers.append(request.headers)
    )
    await client.put_object(bucket=s3_bucket, key=KEY, data=b"x" * 300_000)
    await client.put_object(bucket=s3_bucket, key=KEY + "2", data=b"x" * 12 * MIB)
    assert not [sent for sent in headers if "Expect" in sent]


async def test_a_payload_that_is_there_is_a_put_and_a_head_and_stays_as_it_was(
    wire: Any, s3_bucket: str
) -> None:
    client = client_of(wire)
    await client.put_object(bucket=s3_bucket, key=KEY, data=b"first")
    wire.take()
    await client.put_object(bucket=s3_bucket, key=KEY, data=b"second")
    assert wire.take() == ["PUT", "HEAD"]  # a collection may have put it aside
    assert await client.get_object(bucket=s3_bucket, key=KEY) == b"first"


@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
async def test_a_payload_of_up_to_one_part_is_read_with_one_get(wire: Any, s3_bucket: str, size: int) -> None:
    client = client_of(wire)
    data = os.urandom(size)
    await client.put_object(bucket=s3_bucket, key=KEY, data=data)
    wire.take()
    assert await client.get_object(bucket=s3_bucket, key=KEY) == data
    assert wire.take() == ["GET"]


@pytest.mark.parametrize("size", [5 * MIB + 1, 10 * MIB, 12 * MIB, 15 * MIB + 7])
async def test_a_large_payload_is_read_in_ranges_without_a_head(wire: Any, s3_bucket: str, size: int) -> None:
    client = client_of(wire)
    data = os.urandom(size)
    await client.put_object(bucket=s3_bucket, key=KEY, data=data)
    wire.take()
    assert await client.get_object(bucket=s3_bucket, key=KEY) == data
    assert wire.take() == ["GET"] * -(-size // (5 * MIB))


async def test_a_large_payload_is_written_in_parts(wire: Any, s3_bucket: str) -> None:
    await client_of(wire).put_object(bucket=s3_bucket, key=KEY, data=os.urandom(12 * MIB))
    assert wire.take() == ["POST", "PUT", "PUT", "PUT", "POST"]


async def test_a_large_payload_is_asked_for_first_only_while_duplicates_come(
    wire: Any, s3_bucket: str
) -> None:
    client = client_of(wire)
    written = ["POST", "PUT", "PUT", "PUT", "POST"]
    large = os.urandom(12 * MIB)
    costs = []
    for name in ("a", "a", "a", "a", "b", "c"):
        await client.put_object(bucket=s3_bucket, key=name, data=large)
        costs.append(wire.take())
    assert costs == [
        written,
        [*written, "DELETE", "HEAD"],  # the first duplicate is noticed at the end, and its parts are dropped
        ["HEAD"],
        ["HEAD"],
        ["HEAD", *written],
        written,
    ]


async def test_small_duplicates_do_not_make_large_payloads_asked_for(wire: Any, s3_bucket: str) -> None:
    client = client_of(wire)
    for _ in range(2):
        await client.put_object(bucket=s3_bucket, key="small", data=b"same")
    wire.take()
    await client.put_object(bucket=s3_bucket, key="large", data=os.urandom(12 * MIB))
    assert "HEAD" not in wire.take()


async def leftovers(wire: Any, bucket: str) -> list[Any]:
    uploads = (await wire.client.list_multipart_uploads(Bucket=bucket)).get("Uploads", [])
    objects = (await wire.client.list_objects_v2(Bucket=bucket)).get("Contents", [])
    return [*uploads, *objects]


def on_part(wire: Any, number: int, do: Callable[[], object]) -> None:
    def when_sent(request: Any, **_event: Any) -> None:
        if f"partNumber={number}" in request.url:
            do()

    wire.client.meta.events.register("before-send.s3.UploadPart", when_sent)


async def test_an_upload_that_fails_leaves_nothing(wire: Any, s3_bucket: str) -> None:
    def fail() -> None:
        raise ConnectionResetError("the network is gone")

    on_part(wire, 2, fail)
    with pytest.raises(StorageUnavailableError, match="the network is gone"):
        await client_of(wire).put_object(bucket=s3_bucket, key=KEY, data=os.urandom(12 * MIB))
    assert wire.take()[-1] == "DELETE"
    assert not await leftovers(wire, s3_bucket)


async def test_an_upload_that_is_cancelled_leaves_nothing(wire: Any, s3_bucket: str) -> None:
    upload = asyncio.create_task(
        client_of(wire).put_object(bucket=s3_bucket, key=KEY, data=os.urandom(12 * MIB))
    )
    on_part(wire, 3, upload.cancel)
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert not await leftovers(wire, s3_bucket)


async def test_a_range_that_breaks_off_is_asked_for_again(stub: Any, open_driver: Any) -> None:
    data = os.urandom(300_000)
    broken = False

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal broken
        response = web.StreamResponse(
            status=206, headers={"ETag": '"e"', "Content-Range": "bytes 0-299999/300000"}
        )
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
    async with open_driver(stub.server, "payloads") as driver:
        assert await driver._requests.get_object(bucket="payloads", key=KEY) == data
    assert stub.requests == ["GET", "GET"]


class Store:
    """What a simple S3-compatible store does: it keeps objects, and knows neither conditions nor ranges."""

    def __init__(self, stub: Any, refusal: tuple[int, str]) -> None:
        self.error: Callable[[int, str], web.Response] = stub.error
        self.refusal = refusal
        self.objects: dict[str, bytes] = {}
        stub.answer = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "PUT":
            if "If-None-Match" in request.headers:
                return self.error(*self.refusal)
            self.objects[request.path] = await request.read()
            return web.Response(headers={"ETag": '"e"'})
        if request.path not in self.objects:
            return self.error(404, "NoSuchKey")
        return web.Response(body=self.objects[request.path], headers={"ETag": '"e"'})


async def test_a_store_that_cannot_write_conditionally_is_asked_first_from_then_on(
    stub: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    store = Store(stub, (501, "NotImplemented"))
    async with open_driver(stub.server, "payloads") as driver:
        (first,) = await driver.store(store_context, [payload(1)])
        assert stub.requests == ["PUT", "HEAD", "PUT"]
        stub.requests.clear()
        await driver.store(store_context, [payload(2)])
        assert stub.requests == ["HEAD", "PUT"]
        stub.requests.clear()
        await driver.store(store_context, [payload(2)])
        assert stub.requests == ["HEAD"]
        assert len(store.objects) == 2
        stub.requests.clear()
        assert await driver.retrieve(None, [first]) == [payload(1)]
        assert stub.requests == ["GET"]


async def test_a_payload_that_somebody_else_is_writing_or_deleting_is_written_all_the_same(
    stub: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    store = Store(stub, (409, "ConditionalRequestConflict"))
    async with open_driver(stub.server, "payloads") as driver:
        for _ in range(2):
            stub.requests.clear()
            await driver.store(store_context, [payload(1)])
            assert stub.requests == ["PUT", "PUT"]  # the next payload is written conditionally again
    assert len(store.objects) == 1
