"""How objects are listed, and that nothing is deleted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from temporal_payloads.plugin import StorageMisconfiguredError
from temporal_payloads_gcs._claims import claim_for, confine
from temporal_payloads_gcs._settings import GCSSettings
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverActivityInfo, StorageDriverClaim, StorageDriverStoreContext

GRACE = timedelta(days=7)


async def listed(driver, *namespaces):
    return [
        one
        for shard in driver.shards(namespaces)
        async for page in driver.list_payloads(shard)
        for one in page.payloads
    ]


async def test_more_objects_than_a_page_has_are_listed(gcs_server, gcs_bucket, open_driver, store_context):
    payloads = [Payload(data=f"{number}".encode()) for number in range(1200)]
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        claims = await driver.store(store_context, payloads)
        pages = [page async for page in driver.list_payloads(*driver.shards(["default"]))]
        found = {one.claim.claim_data["object_name"] for page in pages for one in page.payloads}
        assert found == {claim.claim_data["object_name"] for claim in claims}
        ages = {datetime.now(UTC) - one.stored for page in pages for one in page.payloads}
        assert max(ages) < timedelta(minutes=10)


async def test_a_name_tells_for_what_its_payload_was_stored(gcs_server, gcs_bucket, open_driver):
    target = StorageDriverActivityInfo(namespace="größe/1", id="a b:c", run_id=None, type="Resize")
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        await driver.store(StorageDriverStoreContext(target=target), [Payload(data=b"x")])
        (one,) = await listed(driver, "größe/1")
        key = one.key
        assert (key.namespace, key.kind, key.type) == ("größe/1", "activity", "Resize")
        assert (key.id, key.run_id) == ("a b:c", "null")


async def test_objects_that_no_driver_wrote_are_counted(gcs_server, gcs_bucket, open_driver, store_context):
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        await driver.store(store_context, [Payload(data=b"x")])
        await driver._requests.put_object(
            bucket=gcs_bucket, object_name="v0/ns/default/notes.txt", data=b"mine"
        )
        (page,) = [page async for page in driver.list_payloads(*driver.shards(["default"]))]
        assert (len(page.payloads), page.others) == (1, 1)


async def test_with_a_bucket_for_each_namespace_each_lists_its_own(gcs_server, open_driver, store_context):
    for namespace in ("orders", "bills"):
        gcs_server.create_bucket(f"listed-{namespace}")
    async with open_driver(gcs_server.endpoint_url, "listed-{namespace}") as driver:
        for namespace in ("orders", "bills"):
            context = StorageDriverStoreContext(target=replace(store_context.target, namespace=namespace))
            await driver.store(context, [Payload(data=namespace.encode())])
        found = await listed(driver, "orders", "bills", "nobody-made-it", None)
        assert [one.claim.claim_data["bucket"] for one in found] == ["listed-orders", "listed-bills"]
        with pytest.raises(StorageMisconfiguredError, match="needs a namespace"):
            driver.claim_for(None, "0" * 64)


async def test_a_bucket_that_is_not_there_is_an_error_and_not_an_empty_list(gcs_server, open_driver):
    async with open_driver(gcs_server.endpoint_url, "mistyped") as driver:
        with pytest.raises(StorageMisconfiguredError, match="create bucket mistyped"):
            await listed(driver, "orders")


async def test_nothing_is_put_aside_and_the_driver_says_why(
    gcs_server, gcs_bucket, open_driver, store_context
):
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        await driver.store(store_context, [Payload(data=b"x")])
        entries = await listed(driver, "default")
        assert "preconditions" in (driver.why_not_collected() or "")
        for change in (partial(driver.put_aside, grace=GRACE), driver.restore, driver.delete):
            with pytest.raises(StorageMisconfiguredError, match=r"Nothing of storage\.drivers\.gcs is"):
                await change(entries)
        with pytest.raises(StorageMisconfiguredError):
            await driver.probe()
        assert await listed(driver, "default") == entries


async def test_the_files_of_a_collector_are_kept(gcs_server, gcs_bucket, open_driver):
    async with open_driver(gcs_server.endpoint_url, gcs_bucket) as driver:
        state = driver.state()
        for name in ("marks/a", "marks/b", "other"):
            await state.write(name, b"before")
            await state.write(name, name.encode() * 100_000)
        assert await state.names("marks/") == ["marks/a", "marks/b"]
        assert await state.read("marks/b") == b"marks/b" * 100_000
        for _ in range(2):
            await state.remove("marks/a")
        assert await state.read("marks/a") is None
        assert await listed(driver, "default", None) == []


def test_where_a_moved_payload_lies_is_confined_however_long_its_namespace_is():
    settings = GCSSettings(bucket="payloads")
    for namespace in ("default", "ü" * 400, "null", None):
        claim = claim_for(settings, namespace, "0" * 64)
        assert confine(settings, claim).claim == StorageDriverClaim(claim_data=claim.claim_data)
        assert confine(settings, claim).namespace == namespace
