"""How keys are listed, put aside, brought back and deleted."""

import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import redis
from temporal_payloads.plugin import (
    ClaimRejectedError,
    StorageMisconfiguredError,
    StoragePermissionError,
    gather_bounded,
)
from temporal_payloads_redis import RedisStorageDriver, RedisStorageDriverClient
from temporalio.converter import StorageDriverClaim

README = Path(__file__).parents[1] / "README.md"
GRACE = timedelta(days=7)
DAY = 24 * 3600 * 1000


async def listed(driver):
    return [one async for page in driver.list_payloads("all") for one in page.payloads]


async def put_aside(driver):
    assert set(await driver.put_aside(await listed(driver), grace=GRACE)) == {"done"}
    return await listed(driver)


def key_of(claim):
    return claim.claim_data["key"]


async def test_what_is_put_aside_expires_after_ten_times_the_grace(
    server, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(url=server.url) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        await put_aside(driver)
        assert 69 * DAY < server.command("PTTL", key_of(claims[0])) < 71 * DAY
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(1)


async def test_what_is_put_aside_for_seconds_stays_for_an_hour(
    server, open_driver, store_context, make_payloads
):
    async with open_driver(url=server.url) as driver:
        claims = await driver.store(store_context, make_payloads(1))
        assert await driver.put_aside(await listed(driver), grace=timedelta(0)) == ["done"]
        assert server.command("PTTL", key_of(claims[0])) > 3_500_000


async def test_storing_without_a_ttl_takes_an_expiry_away(server, open_driver, store_context, make_payloads):
    async with open_driver(url=server.url, ttl="1d") as driver:
        claims = await driver.store(store_context, make_payloads(3))
    async with open_driver(url=server.url) as driver:
        await driver.store(store_context, make_payloads(3))
    assert [server.command("PTTL", key_of(claim)) for claim in claims] == [-1] * 3


async def test_nothing_is_collected_where_payloads_expire(server, open_driver, store_context, make_payloads):
    async with open_driver(url=server.url, ttl="1d") as driver:
        await driver.store(store_context, make_payloads(1))
        assert "1 day" in (driver.why_not_collected() or "")
        entries = await listed(driver)
        assert [one.aside for one in entries] == [False]
        for change in (partial(driver.put_aside, grace=GRACE), driver.restore, driver.delete):
            with pytest.raises(StorageMisconfiguredError, match="expire by themselves"):
                await change(entries)
        assert await listed(driver) == entries


class OwnClient(RedisStorageDriverClient):
    """What the documentation asks of a client of one's own."""

    def __init__(self):
        self.items = {}

    async def get(self, *, key):
        return self.items.get(key)

    async def set_if_absent(self, *, key, data, ttl=None):
        del ttl
        return self.items.setdefault(key, data) is data


async def test_a_client_of_one_s_own_stores_and_reads_and_is_not_collected(
    store_context, retrieve_context, make_payloads
):
    driver = RedisStorageDriver(OwnClient())
    claims = await driver.store(store_context, make_payloads(3))
    assert await driver.retrieve(retrieve_context, claims) == make_payloads(3)
    assert "OwnClient, is no CollectableRedisClient" in (driver.why_not_collected() or "")
    with pytest.raises(StorageMisconfiguredError, match="OwnClient"):
        await listed(driver)
    with pytest.raises(StorageMisconfiguredError, match="OwnClient"):
        driver.state()


async def test_what_was_done_and_is_asked_for_again_is_told_as_it_is(
    server, open_driver, store_context, make_payloads, monkeypatch
):
    async with open_driver(url=server.url) as driver:
        await driver.store(store_context, make_payloads(1))
        run = driver._client.run

        async def lose_the_first_answer(*, commands):
            if commands and commands[0][0] == "EVAL":
                await run(commands=commands)
            return await run(commands=commands)

        monkeypatch.setattr(driver._client, "run", lose_the_first_answer)
        assert await driver.restore(await put_aside(driver)) == ["changed"]
        assert await driver.delete(await put_aside(driver)) == ["gone"]
        assert await listed(driver) == []


@pytest.mark.parametrize("days", [-365, -1])
async def test_a_clock_that_is_wrong_deletes_nothing(
    days, server, open_driver, store_context, make_payloads, monkeypatch
):
    now = time.time
    async with open_driver(url=server.url) as driver:
        await driver.store(store_context, make_payloads(1))
        entries = await listed(driver)
        monkeypatch.setattr(time, "time", lambda: now() + days * DAY / 1000)
        with pytest.raises(StorageMisconfiguredError, match="clocks"):
            await driver.put_aside(entries, grace=timedelta(hours=1))
        monkeypatch.undo()
        assert await listed(driver) == entries


async def test_a_server_that_evicts_what_expires_is_not_collected(server, open_driver):
    async with open_driver(url=server.url) as driver:
        await driver.probe()
        server.command("CONFIG", "SET", "maxmemory-policy", "volatile-lru")
        try:
            with pytest.raises(StorageMisconfiguredError, match="maxmemory-policy volatile-lru"):
                await driver.probe()
        finally:
            server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_server_that_is_too_old_is_told(start_server, open_driver, store_context, make_payloads):
    # What Redis 6 says to a command that it does not know.
    old = start_server("--rename-command", "PEXPIRETIME", "")
    async with open_driver(url=old.url) as driver:
        await driver.store(store_context, make_payloads(1))
        with pytest.raises(StorageMisconfiguredError, match="needs to be Redis 7 or Valkey"):
            await driver.probe()


async def test_the_permissions_of_the_readme_suffice(server, open_driver, store_context, make_payloads):
    to_store = ("+get", "+mget", "+set", "+ping")
    to_collect = "+scan +strlen +pexpiretime +info +eval +pexpireat +persist +unlink +time"
    assert to_collect in README.read_text(encoding="utf-8")
    may = [*to_store, *to_collect.split(), "~temporalio:payloads:*"]
    try:
        server.command("ACL", "SETUSER", "collector", "on", ">open-sesame", *may)
        login = {"host": "127.0.0.1", "port": server.port, "username": "collector", "password": "open-sesame"}
        async with open_driver(**login) as driver:
            await driver.check()
            await driver.probe()
            await driver.store(store_context, make_payloads(3))
            assert await driver.delete(await put_aside(driver)) == ["done"] * 3
            await driver.state().write("a", b"b")
            assert await driver.state().names("") == ["a"]
            await driver.state().remove("a")
            server.command("ACL", "SETUSER", "collector", "-unlink")
            with pytest.raises(StoragePermissionError, match=r"\+unlink \+time"):
                await driver.probe()
            server.command("ACL", "SETUSER", "collector", "-scan")
            with pytest.raises(StoragePermissionError, match=r"\+scan"):
                await listed(driver)
    finally:
        server.command("ACL", "DELUSER", "collector")


async def test_a_batch_that_the_server_refuses_leaves_told_what_came_of_the_others(
    server, open_driver, store_context, make_payloads
):
    async with open_driver(url=server.url) as driver:
        await driver.store(store_context, make_payloads(300))
        entries = await listed(driver)
    may = [f"~{key_of(one.claim)}" for one in entries[:256]]
    try:
        server.command("ACL", "SETUSER", "collector", "on", ">open-sesame", "+@all", *may)
        login = {"host": "127.0.0.1", "port": server.port, "username": "collector", "password": "open-sesame"}
        async with open_driver(**login) as driver:
            with pytest.raises(StoragePermissionError) as raised:
                await driver.put_aside(entries, grace=GRACE)
        assert raised.value.changes == ["done"] * 256 + ["unknown"] * 44
    finally:
        server.command("ACL", "DELUSER", "collector")


@pytest.mark.parametrize("prefix", ["a[b]c*", "a?", "back\\slash", ""])
async def test_only_keys_below_the_prefix_are_listed(
    prefix, server, open_driver, store_context, make_payloads
):
    async with open_driver(url=server.url, key_prefix=prefix) as driver:
        claims = await driver.store(store_context, make_payloads(2))
        for key in (b"other", b"abc:v0", b"ab:x", b"\xff\xfe"):
            server.command("SET", key, "x")
        server.command("RPUSH", f"{prefix}:v0:d:sha256:{'0' * 64}", "x")
        assert {key_of(one.claim) for one in await listed(driver)} == set(map(key_of, claims))


async def test_what_no_driver_wrote_is_counted(server, open_driver, store_context, make_payloads):
    async with open_driver(url=server.url) as driver:
        await driver.store(store_context, make_payloads(2))
        await driver.state().write("marks/a", b"x")
        server.command("SET", "temporalio:payloads:notes", "mine")
        server.command("SET", b"temporalio:payloads:\xff", "mine")
        assert sum([page.others async for page in driver.list_payloads("all")]) == 2


async def test_5000_keys_are_listed_in_pages(server, open_driver, store_context, make_payloads):
    async with open_driver(url=server.url) as driver:
        claims = await driver.store(store_context, make_payloads(5000))
        pages = [page async for page in driver.list_payloads("all")]
        assert {key_of(one.claim) for page in pages for one in page.payloads} == set(map(key_of, claims))
        assert max(len(page.payloads) for page in pages) < 2000


async def test_a_forged_listing_leads_nowhere(server, open_driver, store_context, make_payloads):
    async with open_driver(url=server.url) as driver:
        await driver.store(store_context, make_payloads(1))
        (aside,) = await put_aside(driver)
        key = key_of(aside.claim).replace("temporalio:payloads", "other")
        claim = StorageDriverClaim(claim_data={**aside.claim.claim_data, "key": key})
        with pytest.raises(ClaimRejectedError):
            await driver.delete([replace(aside, claim=claim)])
        assert await driver.delete([replace(aside, tag="no number")]) == ["changed"]


async def test_a_cluster_is_listed_and_collected_on_all_of_its_nodes(
    redis_cluster, open_driver, store_context, retrieve_context, make_payloads
):
    with redis.RedisCluster(redis_cluster.host, redis_cluster.port) as client:
        client.flushall(target_nodes=redis.RedisCluster.PRIMARIES)
    async with open_driver(cluster=[f"127.0.0.1:{redis_cluster.port}"]) as driver:
        claims = await driver.store(store_context, make_payloads(600))
        await driver.probe()
        aside = await put_aside(driver)
        assert {key_of(one.claim) for one in aside} == set(map(key_of, claims))
        assert all(one.aside for one in aside)
        await driver.store(store_context, make_payloads(300))
        changes = dict(zip((key_of(one.claim) for one in aside), await driver.delete(aside), strict=True))
        assert [changes[key_of(claim)] for claim in claims] == ["changed"] * 300 + ["done"] * 300
        assert await driver.retrieve(retrieve_context, claims[:300]) == make_payloads(300)
        state = driver.state()
        await gather_bounded(lambda number: state.write(f"marks/{number}", b"x"), range(20), 8)
        assert len(await state.names("marks/")) == 20
