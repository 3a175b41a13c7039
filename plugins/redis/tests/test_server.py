"""The driver on a real server."""

import asyncio
import hashlib
from datetime import timedelta
from functools import partial

import pytest
from local_servers.process import wait_until
from redis.asyncio import Redis
from temporal_payloads.plugin import (
    ClaimRejectedError,
    PayloadNotFoundError,
)
from temporal_payloads_redis import RedisStorageDriver, new_redis_asyncio_client
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverClaim

SCOPE = "temporalio:payloads:v0:ns:default:wt:Order:wi:order%2F1:ri:run-1:d:sha256:"
"""What the sample's keys begin with for the target of `store_context`."""


async def test_payloads_are_stored_and_retrieved(
    server, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = [*make_payloads(100), *make_payloads(3, size=3_000_000), Payload()]
    async with open_driver(url=server.url) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads
        assert await driver.retrieve(retrieve_context, claims[::-1]) == payloads[::-1]


async def test_a_peer_on_the_sample_reads_what_we_write(server, open_driver, store_context, make_payloads):
    (payload,) = make_payloads(1)
    async with open_driver(url=server.url) as driver:
        (claim,) = await driver.store(store_context, [payload])
    data = payload.SerializeToString()
    sha256 = hashlib.sha256(data).hexdigest()
    assert dict(claim.claim_data) == {"key": SCOPE + sha256, "hash_algorithm": "sha256", "hash_value": sha256}
    assert server.command("GET", SCOPE + sha256) == data


async def test_we_read_what_a_peer_on_the_sample_writes(
    server, open_driver, plugin, retrieve_context, make_payloads
):
    (payload,) = make_payloads(1)
    data = payload.SerializeToString()
    sha256 = hashlib.sha256(data).hexdigest()
    assert server.command("SET", SCOPE + sha256, data, "NX")
    claim = StorageDriverClaim(
        claim_data={"key": SCOPE + sha256, "hash_algorithm": "sha256", "hash_value": sha256}
    )
    async with open_driver(url=server.url) as driver:
        assert await driver.retrieve(retrieve_context, [claim]) == [payload]


async def test_neither_side_writes_what_the_other_has_written(
    server, open_driver, store_context, make_payloads
):
    (payload,) = make_payloads(1)
    data = payload.SerializeToString()
    key = SCOPE + hashlib.sha256(data).hexdigest()
    server.command("SET", key, data, "NX", "PX", 5_000_000)
    async with open_driver(url=server.url, ttl="30d") as driver:
        await driver.store(store_context, [payload])
    assert server.command("PTTL", key) <= 5_000_000
    assert server.command("SET", key, data, "NX") is None


@pytest.mark.parametrize("pool_size", [1, 4])
async def test_5000_payloads_in_one_call_stay_within_the_pool(  # fixtures
    server, open_driver, store_context, retrieve_context, make_payloads, listen, relay_to, pool_size
):
    payloads = make_payloads(5000)
    relay = relay_to(server)
    connected, most = 0, 0

    async def count(reader, writer):
        nonlocal connected, most
        connected += 1
        most = max(most, connected)
        try:
            await relay(reader, writer)
        finally:
            connected -= 1

    async with (
        listen(count) as port,
        open_driver(url=f"redis://127.0.0.1:{port}/0", pool_size=pool_size) as driver,
    ):
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads
    assert 0 < most <= pool_size


async def test_many_calls_at_once_stay_within_the_pool(
    server, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(200, size=10_000)
    async with open_driver(url=server.url, pool_size=2) as driver:
        claims = await asyncio.gather(*[driver.store(store_context, [payload]) for payload in payloads])
        found = await asyncio.gather(*[driver.retrieve(retrieve_context, claim) for claim in claims])
    assert [payload for (payload,) in found] == payloads


async def test_a_client_made_by_hand_is_used_within_its_pool(
    server, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(2000, size=3000)
    async with Redis(port=server.port, max_connections=2) as client:
        driver = RedisStorageDriver(new_redis_asyncio_client(client))
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_missing_payload_is_told_by_its_key(
    server, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(url=server.url) as driver:
        claims = await driver.store(store_context, make_payloads(30))
        server.command("DEL", claims[20].claim_data["key"])
        with pytest.raises(PayloadNotFoundError, match=claims[20].claim_data["key"]):
            await driver.retrieve(retrieve_context, claims)


async def test_a_claim_without_hash_is_rejected(
    server, open_driver, store_context, retrieve_context, make_payloads
):
    async with open_driver(url=server.url) as driver:
        (claim,) = await driver.store(store_context, make_payloads(1))
        with pytest.raises(ClaimRejectedError):
            await driver.retrieve(
                retrieve_context, [StorageDriverClaim(claim_data={"key": claim.claim_data["key"]})]
            )


async def test_a_database_of_the_url_is_used(server, open_driver, store_context, make_payloads):
    async with open_driver(url=f"redis://127.0.0.1:{server.port}/3") as driver:
        await driver.store(store_context, make_payloads(5))
    assert server.command("INFO", "keyspace")["db3"]["keys"] == 5


# Expiry


async def test_without_a_ttl_payloads_never_expire(server, open_driver, store_context, make_payloads):
    async with open_driver(url=server.url) as driver:
        (claim,) = await driver.store(store_context, make_payloads(1))
    assert server.command("PTTL", claim.claim_data["key"]) == -1


async def test_a_ttl_is_exact_to_the_millisecond(server, open_driver, store_context, make_payloads):
    async with open_driver(url=server.url, ttl=1000.0001) as driver:
        (claim,) = await driver.store(store_context, make_payloads(1))
    assert 900_000 < server.command("PTTL", claim.claim_data["key"]) <= 1_000_001
    expires = server.command("PEXPIRETIME", claim.claim_data["key"])
    seconds, microseconds = server.command("TIME")
    assert expires <= seconds * 1000 + microseconds // 1000 + 1_000_001


async def test_an_expired_payload_is_gone_and_can_be_stored_again(
    server, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(1)
    async with open_driver(url=server.url, ttl="1ms") as driver:
        claims = await driver.store(store_context, payloads)
        wait_until("The expiry", partial(check_gone, server, claims[0]))
        with pytest.raises(PayloadNotFoundError):
            await driver.retrieve(retrieve_context, claims)
    async with open_driver(url=server.url, ttl="1h") as driver:
        await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


def check_gone(server, claim):
    assert not server.command("EXISTS", claim.claim_data["key"])


@pytest.mark.parametrize(
    ("refresh_ttl", "ttl_before", "ttl_now", "expected"),
    [
        (False, "1h", "2h", "1h"),  # as in the sample, a duplicate store does not extend the expiry
        (True, "1h", "2h", "2h"),
        (True, "2h", "1h", "2h"),  # never shorter
        (True, None, "1h", None),  # what never expires goes on to never expire
    ],
)
async def test_what_storing_equal_bytes_again_does_to_their_expiry(  # parameters and fixtures
    server, open_driver, store_context, make_payloads, refresh_ttl, ttl_before, ttl_now, expected
):
    payloads = make_payloads(3)
    async with open_driver(url=server.url, ttl=ttl_before) as driver:
        claims = await driver.store(store_context, payloads)
    async with open_driver(url=server.url, ttl=ttl_now, refresh_ttl=refresh_ttl) as driver:
        assert await driver.store(store_context, payloads) == claims
    hours = {"1h": 3_600_000, "2h": 7_200_000}
    for claim in claims:
        left = server.command("PTTL", claim.claim_data["key"])
        assert left == -1 if expected is None else hours[expected] - 60_000 < left <= hours[expected]


async def test_one_client_method_extends_one_key(server):
    async with Redis(port=server.port) as redis_client:
        client = new_redis_asyncio_client(redis_client)
        assert not await client.extend_ttl(key="k", ttl=timedelta(hours=1))
        assert await client.set_if_absent(key="k", data=b"x", ttl=timedelta(minutes=1))
        assert not await client.set_if_absent(key="k", data=b"y")
        assert await client.extend_ttl(key="k", ttl=timedelta(hours=1))
        assert await client.extend_ttl(key="k", ttl=timedelta(minutes=1))
        assert server.command("PTTL", "k") > 3_000_000
        assert await client.get(key="k") == b"x"
        assert await client.get(key="l") is None


def sets_executed(server):
    return server.command("INFO", "commandstats").get("cmdstat_set", {"calls": 0})["calls"]


def check_sets_executed(server, sets):
    assert sets_executed(server) >= sets


async def test_a_payload_that_expires_between_store_and_refresh_is_written_again(  # fixtures
    server, listen, relay_to, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(1)
    async with open_driver(url=server.url, ttl="1h") as driver:
        claims = await driver.store(store_context, payloads)
    deleted: list[int] = []

    async def expire_before_pexpire(reader, server_writer):
        while data := await reader.read(65536):
            head, mark, tail = data.partition(b"*4\r\n$7\r\nPEXPIRE")
            if mark and not deleted:
                sets = sets_executed(server) + 1
                server_writer.write(head)
                await asyncio.to_thread(wait_until, "SET", partial(check_sets_executed, server, sets))
                deleted.append(server.command("DEL", claims[0].claim_data["key"]))
                data = mark + tail
            server_writer.write(data)
        server_writer.close()

    async with (
        listen(relay_to(server, expire_before_pexpire)) as port,
        open_driver(url=f"redis://127.0.0.1:{port}", ttl="1h", refresh_ttl=True) as driver,
    ):
        assert await driver.store(store_context, payloads) == claims
    assert deleted == [1]
    async with open_driver(url=server.url) as driver:
        assert await driver.retrieve(retrieve_context, claims) == payloads
    assert server.command("PTTL", claims[0].claim_data["key"]) > 3_000_000
