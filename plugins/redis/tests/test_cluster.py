"""The driver on a real cluster of three primaries."""

import pytest
import redis
from local_servers.process import free_ports, wait_until
from redis.asyncio import RedisCluster
from temporal_payloads.plugin import (
    PayloadNotFoundError,
    StorageMisconfiguredError,
    StorageUnavailableError,
)
from temporal_payloads_redis import RedisStorageDriver, new_redis_asyncio_client


class Nodes:
    """The cluster's nodes, looked at beside the driver."""

    def __init__(self, client):
        self.client = client
        self.primaries = client.get_primaries()
        self.addresses = [f"127.0.0.1:{node.port}" for node in self.primaries]
        self.url = f"redis://{self.addresses[0]}/0"

    def each(self, *words):
        return [node.redis_connection.execute_command(*words) for node in self.primaries]

    def move_slots(self, slots, *, giver, taker):
        """Move slots that hold no keys, and wait until all nodes agree; as a resharding tool does."""
        ids = self.each("CLUSTER MYID")
        giving, taking = (self.primaries[number].redis_connection for number in (giver, taker))
        for slot in slots:
            taking.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[giver])
            giving.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[taker])
            # For a slot that it is importing, a node raises its epoch: the others believe it over the giver.
            taking.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[taker])
            giving.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[taker])
        wait_until("The cluster", self.check_agreement)

    def check_agreement(self):
        views = [
            sorted((first, last, port) for first, last, (_, port, *_) in view)
            for view in self.each("CLUSTER SLOTS")
        ]
        assert views[0] == views[1] == views[2]


@pytest.fixture
def nodes(redis_cluster):
    with redis.RedisCluster(redis_cluster.host, redis_cluster.port) as client:
        nodes = Nodes(client)
        nodes.each("FLUSHALL")
        yield nodes


@pytest.mark.parametrize("pool_size", [1, 8])
async def test_5000_payloads_in_one_call_are_spread_over_the_nodes(  # fixtures
    nodes, open_driver, store_context, retrieve_context, make_payloads, pool_size
):
    payloads = make_payloads(5000)
    async with open_driver(url=nodes.url, cluster=True, pool_size=pool_size) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads
    kept = nodes.each("DBSIZE")
    assert sum(kept) == 5000
    assert all(kept)


async def test_any_node_that_is_listed_leads_to_the_cluster(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(50, size=100_000)
    async with open_driver(cluster=["127.0.0.1:1", nodes.addresses[2]]) as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_ttl_and_refresh_work_in_a_cluster(nodes, open_driver, store_context, make_payloads):
    payloads = make_payloads(30)
    cluster = {"cluster": [nodes.addresses[0]]}
    async with open_driver(**cluster, ttl="1h") as driver:
        claims = await driver.store(store_context, payloads)
    async with open_driver(**cluster, ttl="2h", refresh_ttl=True) as driver:
        await driver.store(store_context, payloads)
    for claim in claims:
        assert nodes.client.pttl(claim.claim_data["key"]) > 7_000_000


async def test_a_missing_payload_is_told_in_a_cluster(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(cluster=[nodes.addresses[0]]) as driver:
        claims = await driver.store(store_context, make_payloads(3))
        nodes.each("FLUSHALL")
        with pytest.raises(PayloadNotFoundError):
            await driver.retrieve(retrieve_context, claims)


async def test_a_cluster_client_made_by_hand_works(nodes, store_context, retrieve_context, make_payloads):
    payloads = make_payloads(300, size=10_000)
    async with RedisCluster.from_url(nodes.url) as client:
        driver = RedisStorageDriver(new_redis_asyncio_client(client))
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_slots_that_move_while_the_driver_is_open_are_followed(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(2000)
    async with open_driver(url=nodes.url, cluster=True) as driver:
        await driver.check()  # from now on it knows where the slots are
        nodes.move_slots(range(100), giver=0, taker=1)
        try:
            claims = await driver.store(store_context, payloads)
            assert await driver.retrieve(retrieve_context, claims) == payloads
        finally:
            nodes.each("FLUSHALL")
            nodes.move_slots(range(100), giver=1, taker=0)


async def test_connections_that_the_nodes_have_closed_are_made_anew_without_an_error(
    nodes, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(100)
    async with open_driver(url=nodes.url, cluster=True) as driver:
        claims = await driver.store(store_context, payloads)
        nodes.each("CLIENT KILL", "TYPE", "normal")
        assert await driver.store(store_context, payloads) == claims
        nodes.each("CLIENT KILL", "TYPE", "normal")
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_node_that_is_gone_is_an_error_until_it_is_back(
    start_server, open_driver, store_context, retrieve_context, make_payloads
):
    node = start_server("--cluster-enabled", "yes", "--cluster-port", str(free_ports(1)[0]))
    node.command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    wait_until("The cluster", lambda: ready(node))
    payloads = make_payloads(100)
    async with open_driver(url=node.url, cluster=True) as driver:
        claims = await driver.store(store_context, payloads)
        node.stop()
        with pytest.raises(StorageUnavailableError, match=r"storage\.drivers\.redis\.url"):
            await driver.retrieve(retrieve_context, claims)
        node.start()
        wait_until("The cluster", lambda: ready(node))
        assert await driver.store(store_context, payloads) == claims
        assert await driver.retrieve(retrieve_context, claims) == payloads


def ready(node):
    assert node.command("CLUSTER INFO")["cluster_state"] == "ok"


async def test_a_cluster_used_as_a_single_server_is_told(nodes, open_driver, store_context, make_payloads):
    async with open_driver(url=nodes.url) as driver:
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
    async with open_driver(url=f"redis://u:s3cr3t@{nodes.addresses[0]}", cluster=True) as driver:
        with pytest.raises(Exception, match="refused the login") as caught:
            await driver.check()
    assert "s3cr3t" not in str(caught.value)
