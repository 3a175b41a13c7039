"""How blobs are listed, put aside, brought back and deleted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporal_payloads.plugin import ClaimRejectedError, StoragePermissionError
from temporalio.converter import StorageDriverClaim, StorageDriverRetrieveContext

GRACE = timedelta(days=7)
MIB = 1024 * 1024


async def listed(driver):
    return [
        one
        for shard in driver.shards(["default"])
        async for page in driver.list_payloads(shard)
        for one in page.payloads
    ]


async def put_aside(driver):
    assert set(await driver.put_aside(await listed(driver), grace=GRACE)) == {"done"}
    return await listed(driver)


async def test_what_is_put_aside_is_marked_in_its_metadata(container, open_driver, store_context, payload):
    async with open_driver(**container.settings) as driver:
        claims = await driver.store(store_context, [payload(1)])
        (aside,) = await put_aside(driver)
        assert abs(aside.stored - datetime.now(UTC)) < timedelta(minutes=10)
        blob = container.client.get_blob_client(claims[0].claim_data["key"])
        assert blob.get_blob_properties().metadata == {"temporal_payloads_aside": "true"}
        assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == [payload(1)]


@pytest.mark.parametrize("size", [100, 3 * MIB])
async def test_a_writer_writes_anew_what_is_put_aside(size, container, open_driver, store_context, payload):
    async with open_driver(**container.settings, block_size=MIB) as driver:
        claims = await driver.store(store_context, [payload(1, size)])
        (aside,) = await put_aside(driver)
        await driver.store(store_context, [payload(1, size)])
        assert await driver.delete([aside]) == ["changed"]
        assert [one.aside for one in await listed(driver)] == [False]
        assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == [payload(1, size)]


async def test_a_listing_that_is_wrong_about_the_state_changes_nothing(
    container, open_driver, store_context, payload
):
    async with open_driver(**container.settings) as driver:
        await driver.store(store_context, [payload(1)])
        (stored,) = await listed(driver)
        assert await driver.delete([replace(stored, aside=True)]) == ["changed"]
        assert await driver.delete([replace(stored, aside=True, tag=f"aside {stored.tag}x")]) == ["changed"]
        data = {**stored.claim.claim_data, "key": "state/marks"}
        with pytest.raises(ClaimRejectedError):
            await driver.delete([replace(stored, claim=StorageDriverClaim(claim_data=data))])


async def test_blobs_that_no_driver_wrote_are_counted_and_left_alone(
    container, open_driver, store_context, payload
):
    async with open_driver(**container.settings) as driver:
        await driver.store(store_context, [payload(1), payload(2)])
        blob = container.client.get_blob_client("v0/ns/default/notes.txt")
        blob.upload_blob(b"mine")
        (page,) = [page async for page in driver.list_payloads(*driver.shards(["default"]))]
        assert (len(page.payloads), page.others) == (2, 1)


async def test_the_permissions_of_the_readme_suffice(container, open_driver, store_context, payload):
    async with open_driver(**container.settings_with_sas("rcwdl")) as driver:
        await driver.probe()
        await driver.store(store_context, [payload(1)])
        assert await driver.delete(await put_aside(driver)) == ["done"]
        await driver.state().write("a", b"b")
        assert await driver.state().names("") == ["a"]
    async with open_driver(**container.settings_with_sas("rcw")) as driver:
        await driver.store(store_context, [payload(2)])
        with pytest.raises(StoragePermissionError):
            await listed(driver)


async def test_a_blob_that_somebody_holds_on_to_is_refused_and_the_others_are_deleted(
    container, open_driver, store_context, payload
):
    async with open_driver(**container.settings) as driver:
        claims = await driver.store(store_context, [payload(number) for number in range(5)])
        leased, kept, *_ = (container.client.get_blob_client(claim.claim_data["key"]) for claim in claims)
        aside = await put_aside(driver)
        leased.acquire_lease()
        kept.create_snapshot()
        assert sorted(await driver.delete(aside)) == ["done"] * 3 + ["refused"] * 2
        left = await listed(driver)
        assert all(one.aside for one in left)
        assert await driver.delete(left) == ["refused"] * 2
