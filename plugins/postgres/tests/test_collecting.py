"""How rows are listed, put aside, brought back and deleted."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from temporal_payloads.plugin import (
    ClaimRejectedError,
    PayloadNotFoundError,
    StorageMisconfiguredError,
    StoragePermissionError,
)
from temporalio.converter import StorageDriverClaim

GRACE = timedelta(days=7)
TABLE = "temporal_payloads.payloads"


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


async def test_what_is_put_aside_is_dated_back_and_tells_since_when(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        assert database.one(f"SELECT touched < '1100-01-01' FROM {TABLE}")
        assert abs(aside.stored - datetime.now(UTC)) < timedelta(minutes=10)
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_what_was_stored_in_this_hour_is_put_aside_and_brought_back(
    database, open_driver, store_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        await driver.store(store_context, make_payloads(1))
        assert await driver.delete([aside]) == ["changed"]
        assert abs((await listed(driver))[0].stored - datetime.now(UTC)) < timedelta(minutes=10)


async def test_a_writer_of_an_earlier_release_brings_it_back_too(
    database, open_driver, store_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        # Word for word, with the data left out.
        database.run(
            f"INSERT INTO {TABLE} AS kept (key, part, data) SELECT key, part, data FROM {TABLE} "
            "ON CONFLICT (key, part) DO UPDATE SET touched = now() "
            "WHERE kept.touched < now() - interval '1 hour'"
        )
        assert [one.aside for one in await listed(driver)] == [False]
        assert await driver.delete([aside]) == ["changed"]


async def test_a_payload_of_several_parts_is_listed_and_deleted_as_one(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, make_payloads(2, size=3_000_000))
        assert [one.size for one in await listed(driver)] == [
            one.ByteSize() for one in make_payloads(2, 3_000_000)
        ]
        one, other = await put_aside(driver)
        assert await driver.delete([one]) == ["done"]
        assert database.one(f"SELECT count(*) FROM {TABLE}") == 3
        assert await driver.restore([other]) == ["done"]
        there = {claim.claim_data["key"]: claim for claim in claims}
        assert len(await driver.retrieve(retrieve_context, [there[other.claim.claim_data["key"]]])) == 1
        with pytest.raises(PayloadNotFoundError):
            await driver.retrieve(retrieve_context, [there[one.claim.claim_data["key"]]])


async def test_what_is_stored_while_it_is_deleted_is_there_afterwards(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(1, size=3_000_000)
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, payloads)
        (aside,) = await put_aside(driver)
        with database.server.client(autocommit=False) as deleting:
            deleting.execute(f"DELETE FROM {TABLE}")
            storing = asyncio.create_task(driver.store(store_context, payloads))
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not database.one(waits):  # noqa: ASYNC110  # in another process
                await asyncio.sleep(0.01)
            deleting.commit()
        assert await storing == claims
        assert await driver.retrieve(retrieve_context, claims) == payloads
        assert await driver.delete([aside]) == ["changed"]


async def test_what_is_touched_while_a_delete_waits_for_it_stays(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, make_payloads(3))
        aside = await put_aside(driver)
        with database.server.client(autocommit=False) as storing:
            storing.execute(
                f"UPDATE {TABLE} SET touched = now() WHERE key = %s", (aside[1].claim.claim_data["key"],)
            )
            deleting = asyncio.create_task(driver.delete(aside))
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            while not database.one(waits):  # noqa: ASYNC110  # in another process
                await asyncio.sleep(0.01)
            storing.commit()
        assert await deleting == ["done", "changed", "done"]
        there = [claim for claim in claims if claim == aside[1].claim]
        assert len(await driver.retrieve(retrieve_context, there)) == 1


async def test_nothing_is_collected_where_payloads_expire(
    expiring, database, open_driver, store_context, make_payloads
):
    async with open_driver(**expiring) as driver:
        await driver.store(store_context, make_payloads(3, size=1_500_000))
        days = "UPDATE temporal_payloads.expiring SET stored_on = stored_on - 1"
        database.run(days)
        await driver.store(store_context, make_payloads(2, size=1_500_000))
        assert "storage.drivers.postgres.ttl is set" in (driver.why_not_collected() or "")
        entries = await listed(driver)
        assert [(one.aside, one.size) for one in entries] == [
            (False, make_payloads(1, 1_500_000)[0].ByteSize())
        ] * 3
        ages = sorted((datetime.now(UTC) - one.stored).days for one in entries)
        assert ages[2] - ages[0] == 1
        for change in (driver.restore, driver.delete):
            with pytest.raises(StorageMisconfiguredError, match="its payloads expire"):
                await change(entries)
        with pytest.raises(StorageMisconfiguredError, match="its payloads expire"):
            driver.state()


async def test_more_rows_than_a_page_has_are_listed_in_order(
    database, open_driver, store_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, make_payloads(2500))
        pages = [page async for page in driver.list_payloads(*driver.shards(["default"]))]
        assert [len(page.payloads) for page in pages] == [1000, 1000, 500]
        keys = [one.claim.claim_data["key"] for page in pages for one in page.payloads]
        assert keys == sorted(claim.claim_data["key"] for claim in claims)


async def test_rows_that_no_driver_wrote_are_counted_and_left_alone(
    database, open_driver, store_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, make_payloads(2))
        database.run(f"INSERT INTO {TABLE} (key, part, data) VALUES ('v0/ns/default/notes', 0, 'mine')")
        (page,) = [page async for page in driver.list_payloads(*driver.shards(["default"]))]
        assert (len(page.payloads), page.others) == (2, 1)


async def test_a_row_that_somebody_dated_to_the_beginning_of_time_is_listed_as_aside(
    database, open_driver, store_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, make_payloads(1))
        database.run(f"UPDATE {TABLE} SET touched = '-infinity'")
        (one,) = await listed(driver)
        assert (one.aside, one.stored) == (True, None)
        assert await driver.restore([one]) == ["done"]


async def test_a_forged_listing_leads_nowhere(database, open_driver, store_context, make_payloads):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        data = {**aside.claim.claim_data, "key": "state/marks"}
        with pytest.raises(ClaimRejectedError):
            await driver.delete([replace(aside, claim=StorageDriverClaim(claim_data=data))])
        assert await driver.delete([replace(aside, tag="no number")]) == ["changed"]


async def test_a_role_without_delete_is_told_what_to_grant(database, open_driver):
    database.run("DROP ROLE IF EXISTS collector")
    database.run("CREATE ROLE collector LOGIN PASSWORD 'open-sesame'")
    grant = "GRANT {} TO collector"
    try:
        database.run(grant.format("USAGE ON SCHEMA temporal_payloads"))
        database.run(grant.format(f"SELECT, INSERT, UPDATE ON {TABLE}"))
        database.run(grant.format(f"SELECT ON {TABLE}_version"))
        address = {**database.address, "user": "collector", "password": "open-sesame"}
        server = database.server
        address["url"] = f"postgresql://{server.host}:{server.port}/{server.database}"
        async with open_driver(**address) as driver:
            await driver.check()
            with pytest.raises(StoragePermissionError, match=f"lacks DELETE on the table {TABLE}"):
                await driver.probe()
            database.run(grant.format(f"DELETE ON {TABLE}"))
            await driver.probe()
    finally:
        database.run("DROP OWNED BY collector")
        database.run("DROP ROLE collector")


async def test_a_batch_that_the_server_refuses_leaves_told_what_came_of_the_others(
    database, open_driver, store_context, make_payloads
):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, make_payloads(150))
        aside = await put_aside(driver)
        database.run(
            "CREATE FUNCTION refusing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF OLD.key LIKE '%%/{aside[-1].key.sha256}' THEN "
            "RAISE EXCEPTION 'not this one' USING ERRCODE = 'insufficient_privilege'; END IF; "
            "RETURN OLD; END $$"
        )
        try:
            database.run(
                f"CREATE TRIGGER refusing BEFORE DELETE ON {TABLE} FOR EACH ROW EXECUTE FUNCTION refusing()"
            )
            with pytest.raises(StoragePermissionError) as raised:
                await driver.delete(aside)
        finally:
            database.run("DROP FUNCTION refusing CASCADE")
        assert raised.value.changes == ["done"] * 100 + ["unknown"] * 50
        assert database.one(f"SELECT count(*) FROM {TABLE}") == 50


async def test_two_that_write_one_file_leave_the_one_or_the_other(database, open_driver):
    async with open_driver(**database.address) as driver:
        state = driver.state()
        files = [bytes([number]) * (500_000 + number * 600_000) for number in range(6)]
        await asyncio.gather(*(state.write("marks/a", data) for data in files))
        assert await state.read("marks/a") in files
