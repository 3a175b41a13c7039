"""Which requests a payload costs, and what they leave in the container."""

import asyncio
import os
from typing import Any

import pytest
from temporal_payloads.plugin import PayloadTooLargeError
from temporal_payloads_azure_blob import AzureBlobStorageDriver
from temporal_payloads_azure_blob._driver import key_layout

MIB = 1024 * 1024
KEY = key_layout("any").write(None, "0" * 64)
BLOCKS = ["HEAD", "PUT block", "PUT block", "PUT block", "PUT blocklist"]
"""What a payload of two and a half blocks costs."""


def driver_of(wire: Any, **arguments: Any) -> AzureBlobStorageDriver:
    return AzureBlobStorageDriver(wire.client, **{"block_size": MIB, **arguments})


@pytest.mark.parametrize("size", [1, 1000, MIB])
async def test_a_new_payload_is_one_put(wire: Any, container: Any, size: int) -> None:
    data = os.urandom(size)
    await driver_of(wire).write({KEY: data})
    assert wire.take() == ["PUT"]
    assert container.blob(KEY) == data


async def test_a_payload_that_is_there_is_a_put_and_a_head_and_stays_as_it_was(
    wire: Any, container: Any
) -> None:
    driver = driver_of(wire)
    await driver.write({KEY: b"first"})
    wire.take()
    await driver.write({KEY: b"second"})
    assert wire.take() == ["PUT", "HEAD"]
    assert container.blob(KEY) == b"first"


async def test_blocks_that_an_upload_left_behind_are_not_taken_for_the_payload(
    wire: Any, container: Any
) -> None:
    container.client.get_blob_client(KEY).stage_block("left-behind", b"a block")
    await driver_of(wire).write({KEY: b"small"})
    assert container.blob(KEY) == b"small"


@pytest.mark.parametrize("size", [0, 1, MIB])
async def test_a_payload_of_up_to_one_block_is_read_with_one_get(wire: Any, size: int) -> None:
    driver, data = driver_of(wire), os.urandom(size)
    await driver.write({KEY: data})
    wire.take()
    assert await driver.read([KEY]) == [data]
    assert wire.take() == ["GET"]


async def test_a_missing_payload_is_one_get(wire: Any) -> None:
    assert await driver_of(wire).read([KEY]) == [None]
    assert wire.take() == ["GET"]


@pytest.mark.parametrize("size", [MIB + 1, 2 * MIB, 3 * MIB + 7])
async def test_a_large_payload_is_read_in_ranges_without_a_head(wire: Any, size: int) -> None:
    driver, data = driver_of(wire), os.urandom(size)
    await driver.write({KEY: data})
    wire.take()
    assert await driver.read([KEY]) == [data]
    assert wire.take() == ["GET"] * -(-size // MIB)


async def test_a_large_payload_is_written_in_blocks(wire: Any, container: Any) -> None:
    data = os.urandom(2 * MIB + MIB // 2)
    await driver_of(wire).write({KEY: data})
    assert wire.take() == BLOCKS
    assert container.blob(KEY) == data


async def test_a_large_payload_that_is_there_is_one_head(wire: Any, container: Any) -> None:
    driver, data = driver_of(wire), os.urandom(2 * MIB)
    await driver.write({KEY: data})
    wire.take()
    await driver.write({KEY: os.urandom(2 * MIB)})
    assert wire.take() == ["HEAD"]
    assert container.blob(KEY) == data


def write_at(wire: Any, container: Any, moment: str, data: bytes) -> None:
    """Let somebody else write the blob just before a request like this is sent."""

    def interfere(request: str) -> None:
        if request == moment:
            wire.when_sent = lambda _: None
            container.client.upload_blob(KEY, data, overwrite=True)

    wire.when_sent = interfere


@pytest.mark.parametrize("moment", ["PUT block", "PUT blocklist"])
async def test_a_large_payload_that_somebody_else_writes_meanwhile_stays_as_it_is(
    wire: Any, container: Any, moment: str
) -> None:
    write_at(wire, container, moment, b"theirs")
    await driver_of(wire).write({KEY: os.urandom(2 * MIB + 1)})
    assert container.blob(KEY) == b"theirs"


async def test_writers_of_one_large_payload_at_once_all_succeed(wire: Any, container: Any) -> None:
    data = os.urandom(3 * MIB + 1)
    drivers = [driver_of(wire), driver_of(wire), driver_of(wire, block_size=2 * MIB)]
    for number in range(3):
        key = KEY[:-1] + str(number)
        await asyncio.gather(*(driver.write({key: data}) for driver in drivers))
        assert container.blob(key) == data


async def test_an_upload_that_is_cancelled_leaves_no_blob_and_can_be_done_again(
    wire: Any, container: Any
) -> None:
    driver, data = driver_of(wire, requests_at_once=2), os.urandom(5 * MIB)
    upload = asyncio.create_task(driver.write({KEY: data}))
    wire.when_sent = lambda request: upload.cancel() if wire.sent.count("PUT block") == 3 else None
    with pytest.raises(asyncio.CancelledError):
        await upload
    assert await driver.read([KEY]) == [None]
    wire.when_sent = lambda _: None
    await driver.write({KEY: data})
    assert container.blob(KEY) == data


async def test_a_download_that_is_cancelled_ends_all_its_requests(wire: Any) -> None:
    driver = driver_of(wire)
    await driver.write({KEY: os.urandom(6 * MIB)})
    before = asyncio.all_tasks()
    wire.take()
    download = asyncio.create_task(driver.read([KEY]))
    wire.when_sent = lambda _: download.cancel() if len(wire.sent) == 4 else None
    with pytest.raises(asyncio.CancelledError):
        await download
    assert asyncio.all_tasks() == before


async def test_no_more_requests_are_under_way_than_are_allowed(wire: Any) -> None:
    driver = driver_of(wire, requests_at_once=3)
    under_way = most = 0
    send = wire.client._pipeline._transport.send

    async def counting(*arguments: Any, **options: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            return await send(*arguments, **options)
        finally:
            under_way -= 1

    wire.client._pipeline._transport.send = counting
    large = {KEY[:-1] + str(number): os.urandom(4 * MIB) for number in range(3)}
    small = {KEY[:-2] + f"{number:x}": b"small" for number in range(16, 40)}
    await asyncio.gather(driver.write(large), driver.write(small))
    await asyncio.gather(driver.read(list(large)), driver.read(list(small)))
    assert most == 3


async def test_what_a_peer_with_a_higher_limit_wrote_is_read_unless_reads_have_a_limit(
    container: Any, open_driver: Any, store_context: Any, payload: Any
):
    async with open_driver(**container.settings) as peer:
        claims = await peer.store(store_context, [payload(1, 3_000), payload(2, 1_000)])
    limit = {"max_payload_size": 2_000}
    async with open_driver(**container.settings, **limit) as worker:
        assert await worker.retrieve(None, claims) == [payload(1, 3_000), payload(2, 1_000)]
    async with open_driver(**container.settings, **limit, largest_read=2_000) as codec_server:
        with pytest.raises(PayloadTooLargeError, match=r"3\d\d\d bytes.*azure_blob\.max_payload_size"):
            await codec_server.retrieve(None, claims[:1])
        assert await codec_server.retrieve(None, claims[1:]) == [payload(2, 1_000)]
