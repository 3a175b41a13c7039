"""The driver on a client that has just the two methods that the sample's clients have."""

import asyncio
from datetime import timedelta

import pytest
from temporal_payloads.plugin import (
    ClaimRejectedError,
    PayloadIntegrityError,
    PayloadNotFoundError,
    PayloadTooLargeError,
)
from temporal_payloads_redis import RedisStorageDriver, RedisStorageDriverClient
from temporalio.converter import StorageDriverClaim


class SampleClient(RedisStorageDriverClient):
    """What a user of the sample wrote: `get` and `set_if_absent`, here in memory."""

    def __init__(self):
        self.values = {}
        self.ttls = {}
        self.under_way = 0
        self.most_at_once = 0

    async def get(self, *, key):
        async with self._counted():
            return self.values.get(key)

    async def set_if_absent(self, *, key, data, ttl=None):
        async with self._counted():
            if key in self.values:
                return False
            self.values[key] = data
            self.ttls[key] = ttl
            return True

    def _counted(self):
        client = self

        class Counted:
            async def __aenter__(self):
                client.under_way += 1
                client.most_at_once = max(client.most_at_once, client.under_way)
                await asyncio.sleep(0)

            async def __aexit__(self, *_):
                client.under_way -= 1

        return Counted()


class ClientThatForgets(SampleClient):
    """The key that `set_if_absent` has just found expires before its expiry can be extended."""

    async def extend_ttl(self, *, key, ttl):
        del self.values[key]
        return False


@pytest.fixture
def client():
    return SampleClient()


async def test_what_is_stored_is_retrieved_in_order(client, store_context, retrieve_context, make_payloads):
    driver = RedisStorageDriver(client)
    payloads = make_payloads(100)
    claims = await driver.store(store_context, payloads)
    assert await driver.retrieve(retrieve_context, claims[::-1]) == payloads[::-1]


async def test_a_client_written_for_the_sample_works_with_bounded_concurrency(
    client, store_context, retrieve_context, make_payloads
):
    driver = RedisStorageDriver(client)
    claims = await driver.store(store_context, make_payloads(1000))
    await driver.retrieve(retrieve_context, claims)
    assert 1 < client.most_at_once <= 32


async def test_equal_payloads_are_stored_once(client, store_context, retrieve_context, make_payloads):
    driver = RedisStorageDriver(client)
    payloads = make_payloads(1) * 3
    claims = await driver.store(store_context, payloads)
    assert len(client.values) == 1
    assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_the_ttl_is_given_at_the_first_store(client, store_context, make_payloads):
    ttl = timedelta(days=7)
    await RedisStorageDriver(client, ttl=ttl).store(store_context, make_payloads(1))
    assert list(client.ttls.values()) == [ttl]


async def test_name_and_type_are_redis(client):
    driver = RedisStorageDriver(client)
    assert (driver.name(), driver.type()) == ("redis", "redis")
    assert RedisStorageDriver(client, driver_name="mine").name() == "mine"
    assert RedisStorageDriver(client, driver_name="").name() == "redis"


async def test_the_prefix_counts_without_the_colons_at_its_end(client, store_context, make_payloads):
    claims = await RedisStorageDriver(client, key_prefix="mine::").store(store_context, make_payloads(1))
    assert claims[0].claim_data["key"].startswith("mine:v0:ns:default:wt:Order:wi:order%2F1:ri:run-1:d:")


async def test_a_missing_payload_is_a_non_retryable_error(
    client, store_context, retrieve_context, make_payloads
):
    driver = RedisStorageDriver(client)
    claims = await driver.store(store_context, make_payloads(2))
    del client.values[claims[1].claim_data["key"]]
    with pytest.raises(PayloadNotFoundError, match="expired, was deleted, or is in another store") as caught:
        await driver.retrieve(retrieve_context, claims)
    assert caught.value.type == "PayloadNotFoundError"
    assert caught.value.non_retryable


async def test_changed_bytes_are_an_integrity_error(client, store_context, retrieve_context, make_payloads):
    driver = RedisStorageDriver(client)
    claims = await driver.store(store_context, make_payloads(1))
    client.values[claims[0].claim_data["key"]] += b"\0"
    with pytest.raises(PayloadIntegrityError):
        await driver.retrieve(retrieve_context, claims)


async def test_a_claim_without_a_hash_is_rejected_before_the_store_is_asked(
    client, store_context, retrieve_context, make_payloads
):
    driver = RedisStorageDriver(client)
    claims = await driver.store(store_context, make_payloads(1))
    bare = StorageDriverClaim(claim_data={"key": claims[0].claim_data["key"]})
    with pytest.raises(ClaimRejectedError, match="hash_value"):
        await driver.retrieve(retrieve_context, [bare])


async def test_a_payload_over_the_limit_stops_the_whole_store(client, store_context, make_payloads):
    driver = RedisStorageDriver(client, max_payload_size=100)
    with pytest.raises(PayloadTooLargeError, match="max_payload_size of 100 bytes"):
        await driver.store(store_context, [*make_payloads(1), *make_payloads(1, size=200)])
    assert not client.values


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ttl": timedelta(0)}, "ttl must be greater than zero"),
        ({"max_payload_size": 0}, "max_payload_size must be greater than zero"),
        ({"refresh_ttl": True}, "refresh_ttl needs a ttl"),
        ({"refresh_ttl": True, "ttl": timedelta(1)}, "SampleClient has none"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(client, arguments, message):
    with pytest.raises(ValueError, match=message):
        RedisStorageDriver(client, **arguments)


async def test_a_payload_that_expires_while_its_ttl_is_refreshed_is_written_again(
    store_context, retrieve_context, make_payloads
):
    driver = RedisStorageDriver(ClientThatForgets(), ttl=timedelta(hours=1), refresh_ttl=True)
    payloads = make_payloads(1)
    await driver.store(store_context, payloads)
    claims = await driver.store(store_context, payloads)
    assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_nothing_to_store_or_retrieve_is_no_error(client, store_context, retrieve_context):
    driver = RedisStorageDriver(client)
    assert await driver.store(store_context, []) == []
    assert await driver.retrieve(retrieve_context, []) == []


async def test_check_asks_for_a_key_below_the_prefix(client):
    await RedisStorageDriver(client, key_prefix="mine").check()
