"""The driver on a real cluster of three primaries."""

import time

import pytest
from redis.asyncio import RedisCluster
from temporal_payloads.plugin import (
    PayloadNotFoundError,
    StorageMisconfiguredError,
    StorageUnavailableError,
)
from temporal_payloads_redis import RedisStorageDriver, new_redis_asyncio_client

pytestmark = pytest.mark.server


@pytest.fixture
def nodes(cluster):
    for node in cluster:
        node.command("FLUSHALL")
    return cluster


@pytest.mark.parametrize("pool_size", [1, 8])
async def test_5000_payloads_in_one_call_are_spread_over_the_nodes(
    nodes, open_driver, store_context, retrieve_context, make_payloads, pool_size
):
    payloads = make_payloads(5000)
    async with open_driver(
        url=f"redis://127.0.0.1:{nodes[0].port}", cluster=True, pool_size=pool_size
    ) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads
    kept = [node.command("DBSIZE") for node in nodes]
    assert sum(kept) == 5000
    assert all(kept)


async def test_any_node_that_is_listed_leads_to_the_cluster(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(50, size=100_000)
    async with open_driver(cluster=["127.0.0.1:1", f"127.0.0.1:{nodes[2].port}"]) as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_ttl_and_refresh_work_in_a_cluster(nodes, open_driver, store_context, make_payloads):
    payloads = make_payloads(30)
    cluster = {"cluster": [f"127.0.0.1:{nodes[0].port}"]}
    async with open_driver(**cluster, ttl="1h") as driver:
        claims = await driver.store(store_context, payloads)
    async with open_driver(**cluster, ttl="2h", refresh_ttl=True) as driver:
        await driver.store(store_context, payloads)
    async with RedisCluster("127.0.0.1", nodes[0].port) as client:
        for claim in claims:
            assert await client.pttl(claim.claim_data["key"]) > 7_000_000


async def test_a_missing_payload_is_told_in_a_cluster(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(cluster=[f"127.0.0.1:{nodes[0].port}"]) as driver:
        claims = await driver.store(store_context, make_payloads(3))
        for node in nodes:
            node.command("FLUSHALL")
        with pytest.raises(PayloadNotFoundError):
            await driver.retrieve(retrieve_context, claims)


async def test_a_cluster_client_made_by_hand_works(nodes, store_context, retrieve_context, make_payloads):
    payloads = make_payloads(300, size=10_000)
    async with RedisCluster("127.0.0.1", nodes[0].port) as client:
        driver = RedisStorageDriver(new_redis_asyncio_client(client))
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_slots_that_move_while_the_driver_is_open_are_followed(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    first, second = nodes[0], nodes[1]
    payloads = make_payloads(100)
    async with open_driver(cluster=[f"127.0.0.1:{second.port}"]) as driver:
        await driver.store(store_context, make_payloads(1))
        owner = second.command("CLUSTER", "MYID")
        giver = first.command("CLUSTER", "MYID")
        moved = range(200)
        try:
            for node in (second, first, nodes[2]):
                for slot in moved:
                    if not first.command("CLUSTER", "COUNTKEYSINSLOT", slot):
                        node.command("CLUSTER", "SETSLOT", slot, "NODE", owner)
            many = make_payloads(2000)
            claims = await driver.store(store_context, many)
            assert await driver.retrieve(retrieve_context, claims) == many
            claims = await driver.store(store_context, payloads)
            assert await driver.retrieve(retrieve_context, claims) == payloads
        finally:
            for node in nodes:
                node.command("FLUSHALL")
            for node in (first, second, nodes[2]):
                for slot in moved:
                    node.command("CLUSTER", "SETSLOT", slot, "NODE", giver)


async def test_a_node_that_is_gone_is_an_error_until_it_is_back(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(100)
    async with open_driver(cluster=[f"127.0.0.1:{nodes[0].port}"]) as driver:
        claims = await driver.store(store_context, payloads)
        nodes[2].stop()
        try:
            with pytest.raises(StorageUnavailableError, match=r"storage\.drivers\.redis\.cluster|cluster at"):
                await driver.retrieve(retrieve_context, claims)
        finally:
            nodes[2].start()
        deadline = time.monotonic() + 20
        while any(b"cluster_state:ok" not in node.command("CLUSTER", "INFO") for node in nodes):
            assert time.monotonic() < deadline
        assert await driver.store(store_context, payloads) == claims
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_cluster_used_as_a_single_server_is_told(nodes, open_driver, store_context, make_payloads):
    async with open_driver(url=nodes[0].url) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"storage\.drivers\.redis\.cluster = true"):
            await driver.store(store_context, make_payloads(20))


async def test_a_single_server_used_as_a_cluster_is_told(server, open_driver):
    async with open_driver(url=server.url, cluster=True) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"not part of a cluster.*redis\.cluster"):
            await driver.check()


async def test_a_cluster_that_is_down_is_told_with_the_setting(open_driver):
    async with open_driver(cluster=["127.0.0.1:1"]) as driver:
        with pytest.raises(
            StorageUnavailableError, match=r"127\.0\.0\.1:1.*storage\.drivers\.redis\.cluster"
        ):
            await driver.check()


async def test_the_wrong_password_of_a_cluster_is_told(nodes, open_driver):
    async with open_driver(url=f"redis://u:s3cr3t@127.0.0.1:{nodes[0].port}", cluster=True) as driver:
        with pytest.raises(Exception, match="refused the login") as caught:
            await driver.check()
    assert "s3cr3t" not in str(caught.value)
