"""What the driver makes of a real server: what is in the table, how it gets there and back."""

import asyncio
import os
from dataclasses import replace

import pytest
from support.proxy import TcpProxy
from temporal_payloads.plugin import StorageUnavailableError
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo

MIB = 1024 * 1024
TABLE = "temporal_payloads.payloads"
HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
ASLEEP = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


def a_large_payload(size):
    return Payload(metadata={"encoding": b"binary/plain"}, data=os.urandom(size))


async def eventually(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # another process will not set an event
            await asyncio.sleep(0.01)


async def stored(driver, context, payloads):
    return [claim.claim_data["key"] for claim in await driver.store(context, payloads)]


async def test_what_is_stored_is_retrieved_in_order(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(1_000, size=3_000)
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims[::-1]) == payloads[::-1]


@pytest.mark.parametrize("size", [1, MIB - 100, MIB, MIB + 1, 3 * MIB, 7 * MIB + 5])
async def test_a_payload_of_any_size_comes_back_alone_and_among_others(
    database, open_driver, store_context, retrieve_context, make_payloads, size
):
    payloads = [*make_payloads(3), a_large_payload(size), *make_payloads(2, size=700_000)]
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads
        assert await driver.retrieve(retrieve_context, claims[3:4]) == payloads[3:4]


async def test_no_row_has_more_than_a_megabyte(database, open_driver, store_context):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, [a_large_payload(5 * MIB + 1)])
    assert database.one(f"SELECT max(octet_length(data)) FROM {TABLE}") == MIB
    assert database.one(f"SELECT array_agg(part ORDER BY part) FROM {TABLE}") == [0, 1, 2, 3, 4, 5]


async def test_payloads_are_kept_out_of_line_and_are_not_compressed_again(
    database, open_driver, store_context
):
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, [Payload(data=bytes(MIB // 2))])
    assert database.one(f"SELECT pg_column_size(data) = octet_length(data) FROM {TABLE}")
    query = (
        f"SELECT attstorage::text FROM pg_attribute WHERE attrelid = '{TABLE}'::regclass AND attname = 'data'"
    )
    assert database.one(query) == "e"


async def test_a_payload_stored_again_and_again_does_not_grow_the_table(
    database, open_driver, store_context, make_payloads
):
    payloads = [*make_payloads(3), a_large_payload(2 * MIB)]
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, payloads)
        before = database.run(f"SELECT ctid, key, part, touched FROM {TABLE} ORDER BY key, part")
        for _ in range(5):
            await driver.store(store_context, payloads)
    assert database.run(f"SELECT ctid, key, part, touched FROM {TABLE} ORDER BY key, part") == before


@pytest.mark.parametrize("touched", ["-infinity", "2026-01-01"])
async def test_storing_again_tells_a_collector_that_the_payload_is_wanted(
    database, open_driver, store_context, make_payloads, touched
):
    async with open_driver(**database.address) as driver:
        for payloads in (make_payloads(2), [a_large_payload(2 * MIB)]):
            await driver.store(store_context, payloads)
            database.run(f"UPDATE {TABLE} SET touched = %s", touched)
            keys = await stored(driver, store_context, payloads)
            recent = "part = 0 AND touched > now() - interval '1m'"
            found = database.one(f"SELECT count(*) FROM {TABLE} WHERE key = ANY(%s) AND {recent}", keys)
            assert found == len(keys)


async def test_a_payload_that_is_deleted_while_it_is_stored_again_is_written_again(
    database, open_driver, store_context, retrieve_context
):
    payloads = [a_large_payload(2 * MIB)]
    async with open_driver(**database.address) as driver:
        await driver.store(store_context, payloads)
        with database.server.client(autocommit=False) as collector:
            collector.execute(f"DELETE FROM {TABLE}")
            storing = asyncio.create_task(driver.store(store_context, payloads))
            await eventually(lambda: database.one("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            collector.commit()
        assert await driver.retrieve(retrieve_context, await storing) == payloads


async def test_a_large_payload_is_seen_whole_or_not_at_all(
    database, open_driver, store_context, make_payloads
):
    payload = a_large_payload(3 * MIB)
    async with open_driver(**database.address, timeout="60s") as driver:
        # Holds its last part back: the others are written by then.
        database.run(
            "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN IF NEW.part = 3 THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END'"
        )
        database.run(f"CREATE TRIGGER slow BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION slow()")
        try:
            storing = asyncio.create_task(driver.store(store_context, [payload]))
            await eventually(lambda: database.one(f"SELECT count(*) {ASLEEP}"))
            assert database.one(f"SELECT count(*) FROM {TABLE}") == 0
            storing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(storing, 30)
        finally:
            database.run(f"SELECT pg_terminate_backend(pid) {ASLEEP}")
            database.run("DROP FUNCTION slow CASCADE")
        assert database.one(f"SELECT count(*) FROM {TABLE}") == 0
        # The connection is not in the way of the next.
        await driver.store(store_context, [payload])
        assert database.one(f"SELECT count(*) FROM {TABLE}") == 4


async def test_a_statement_that_is_cancelled_does_not_wait_for_the_server(
    database, open_driver, store_context, make_payloads
):
    async with open_driver(**database.address, timeout="60s") as driver:
        with database.server.client(autocommit=False) as other:
            other.execute(f"LOCK TABLE {TABLE}")
            waiting = asyncio.create_task(driver.store(store_context, make_payloads(1)))
            await eventually(lambda: database.one("SELECT count(*) FROM pg_locks WHERE NOT granted"))
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(waiting, 30)
        await driver.store(store_context, make_payloads(1))


async def test_a_writer_that_vanishes_amid_a_payload_does_not_block_who_stores_it_again(
    database, open_driver, store_context
):
    payload = a_large_payload(3 * MIB)
    database.run(
        "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN IF NEW.part = 1 THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NEW; END'"
    )
    database.run(f"CREATE TRIGGER held BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION held()")
    try:
        async with TcpProxy("127.0.0.1", database.server.port) as proxy:
            lost = replace(database.server, port=proxy.port).url
            async with (
                open_driver(url=lost, timeout="3s") as vanishing,
                open_driver(**database.address, timeout="20s") as driver,
            ):
                with database.server.client() as holder:
                    holder.execute("SELECT pg_advisory_lock(1)")
                    storing = asyncio.create_task(vanishing.store(store_context, [payload]))
                    await eventually(lambda: database.one(HELD))
                    proxy.stall()  # before it hears how it went on
                await driver.store(store_context, [payload])
                with pytest.raises(StorageUnavailableError):
                    await storing
                await proxy.cut()  # else its pool would wait for the next connection
    finally:
        database.run("DROP FUNCTION held CASCADE")
    assert database.one(f"SELECT count(*) FROM {TABLE}") == 4


async def test_calls_that_are_cancelled_at_any_moment_leave_the_pool_its_connections(database, open_driver):
    async with open_driver(**database.address, pool_size=2) as driver:
        for round_ in range(80):
            calls = [asyncio.create_task(driver.read(["a"])) for _ in range(4)]
            for _ in range(round_ % 40):
                await asyncio.sleep(0)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert await asyncio.wait_for(driver.read(["a"]), 20) == [None]


async def test_writers_of_the_same_payloads_in_different_orders_do_not_block_each_other(
    database, open_driver, store_context, make_payloads
):
    payloads = make_payloads(400)
    async with open_driver(**database.address) as driver:
        await asyncio.gather(
            *(driver.store(store_context, payloads[:: 1 if number % 2 else -1]) for number in range(20))
        )
    assert database.one(f"SELECT count(*) FROM {TABLE}") == 400


async def test_no_more_connections_are_opened_than_the_pool_may_have(
    database, open_driver, store_context, make_payloads
):
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'temporal-payloads'"
    await eventually(lambda: not database.one(ours))  # those of the tests before come to their end
    async with open_driver(**database.address, pool_size=3) as driver:
        await asyncio.gather(
            *(driver.store(store_context, make_payloads(100, size=size)) for size in range(20))
        )
        assert 1 <= database.one(ours) <= 3
    await eventually(lambda: not database.one(ours))


async def test_long_names_are_left_out_of_the_key(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    target = replace(store_context.target, id="ö" * 500, type="T" * 900)
    async with open_driver(**database.address) as driver:
        claims = await driver.store(StorageDriverStoreContext(target=target), make_payloads(1))
        assert claims[0].claim_data["key"].startswith("v0/ns/default/d/sha256/")
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_the_longest_key_fits_into_the_index(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    target = StorageDriverWorkflowInfo(namespace="n", id="i" * 950, run_id="r", type="t" * 970)
    async with open_driver(**database.address) as driver:
        (claim,) = await driver.store(StorageDriverStoreContext(target=target), make_payloads(1))
        assert 2000 < len(claim.claim_data["key"]) <= 2048
        assert await driver.retrieve(retrieve_context, [claim]) == make_payloads(1)


async def test_nothing_to_store_or_retrieve_is_no_error(
    database, open_driver, store_context, retrieve_context
):
    async with open_driver(**database.address) as driver:
        assert await driver.store(store_context, []) == []
        assert await driver.retrieve(retrieve_context, []) == []
