"""Whoever stores a payload that a collection has put aside brings it back."""

import hashlib
import os
from typing import Any

import pytest
from aiohttp import web
from temporal_payloads_s3 import new_s3_client
from temporal_payloads_s3._aside import tag_of
from temporal_payloads_s3._location import Location
from temporal_payloads_s3._unversioned import UnversionedObjects

KEY = "v0/d/sha256/" + hashlib.sha256(b"").hexdigest()
MIB = 1024 * 1024


def client_of(wire: Any) -> Any:
    return new_s3_client(wire.client, multipart_threshold=12 * MIB, part_size=5 * MIB)


async def etag(wire: Any, bucket: str) -> str:
    found: str = (await wire.client.head_object(Bucket=bucket, Key=KEY))["ETag"]
    return found.strip('"')


async def put_aside(wire: Any, bucket: str, size: int) -> None:
    objects = UnversionedObjects(client_of(wire), wire.client)
    assert await objects.put_aside(Location(bucket, KEY), await etag(wire, bucket), size) == "done"
    assert (await etag(wire, bucket)).endswith("-1")
    wire.take()


@pytest.mark.parametrize("size", [0, 1, 5 * MIB])
async def test_it_is_written_again_with_one_more_request(wire: Any, s3_bucket: str, size: int) -> None:
    client, data = client_of(wire), os.urandom(size)
    await client.put_object(bucket=s3_bucket, key=KEY, data=data)
    stored = await etag(wire, s3_bucket)
    await put_aside(wire, s3_bucket, size)
    assert await client.get_object(bucket=s3_bucket, key=KEY) == data
    wire.take()
    await client.put_object(bucket=s3_bucket, key=KEY, data=data)
    assert wire.take() == ["PUT", "HEAD", "PUT"]
    assert await etag(wire, s3_bucket) == stored
    assert await client.get_object(bucket=s3_bucket, key=KEY) == data


async def test_a_large_one_is_written_again_in_parts(wire: Any, s3_bucket: str) -> None:
    client, data = client_of(wire), os.urandom(12 * MIB)
    for _ in range(2):  # the second time it is taken to be a duplicate, and asked for first
        await client.put_object(bucket=s3_bucket, key=KEY, data=data)
        await put_aside(wire, s3_bucket, len(data))
        await client.put_object(bucket=s3_bucket, key=KEY, data=data)
        assert (await etag(wire, s3_bucket)).endswith("-3")
        assert await client.get_object(bucket=s3_bucket, key=KEY) == data


@pytest.mark.parametrize("size", [5 * MIB, 6 * MIB])
async def test_nothing_else_is_written_in_a_single_part(wire: Any, s3_bucket: str, size: int) -> None:
    client = new_s3_client(wire.client, multipart_threshold=5 * MIB, part_size=6 * MIB)
    await client.put_object(bucket=s3_bucket, key=KEY, data=os.urandom(size))
    assert wire.take() == ["PUT"]
    assert "-" not in await etag(wire, s3_bucket)


async def test_it_keeps_what_was_asked_for_with_it(
    moto_server: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    moto_server.create_bucket("asked")
    asked = {"server_side_encryption": "AES256", "storage_class": "STANDARD_IA", "tags": {"team": "a b"}}
    async with open_driver(moto_server, "asked", **asked) as driver:
        client: Any = driver._requests.client
        objects = UnversionedObjects(driver._requests, client)
        (claim,) = await driver.store(store_context, [payload(1)])
        place = {"Bucket": "asked", "Key": claim.claim_data["key"]}
        for change in ("put_aside", "restore"):
            before = tag_of(await client.head_object(**place))
            arguments = [1] if change == "put_aside" else []
            assert await getattr(objects, change)(Location(*place.values()), before, *arguments) == "done"
            found = await client.head_object(**place)
            assert tag_of(found) != before
            assert found["ServerSideEncryption"] == "AES256"
            assert found["StorageClass"] == "STANDARD_IA"
            tags = (await client.get_object_tagging(**place))["TagSet"]
            assert tags == [{"Key": "team", "Value": "a b"}]


def answers(stub: Any, *expected: web.Response) -> None:
    """Give the next requests these answers, in order."""
    left = list(expected)

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        return left.pop(0)

    stub.answer = answer


def found(etag: str) -> web.Response:
    return web.Response(headers={"ETag": f'"{etag}"'})


@pytest.mark.parametrize("status", [403, 404])
async def test_a_writer_that_does_not_see_it_writes_it_again(
    stub: Any, open_driver: Any, store_context: Any, payload: Any, status: int
) -> None:
    answers(stub, stub.error(412, "PreconditionFailed"), web.Response(status=status), found("e"))
    async with open_driver(stub.server, "payloads") as driver:
        await driver.store(store_context, [payload(1)])
    assert stub.requests == ["PUT", "HEAD", "PUT"]


async def test_it_is_written_again_where_the_store_is_asked_first(
    stub: Any, open_driver: Any, store_context: Any, payload: Any
) -> None:
    etags = ("e-1", "e", "e-1", "e", "e")
    answers(stub, stub.error(501, "NotImplemented"), *map(found, etags))
    async with open_driver(stub.server, "payloads") as driver:
        await driver.store(store_context, [payload(1)])
        assert stub.requests == ["PUT", "HEAD", "PUT"]
        stub.requests.clear()
        await driver.store(store_context, [payload(1)])
        assert stub.requests == ["HEAD", "PUT"]
        stub.requests.clear()
        await driver.store(store_context, [payload(1)])
        assert stub.requests == ["HEAD"]
