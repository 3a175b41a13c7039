"""What is told when a real server is down, full, not ours, or refuses access."""

import pytest
from redis.asyncio import Redis
from redis.exceptions import (
    BusyLoadingError,
    ClusterDownError,
    MaxConnectionsError,
    RedisClusterException,
    ResponseError,
)
from temporal_payloads.plugin import (
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporal_payloads_redis import new_redis_asyncio_client
from temporal_payloads_redis._error_table import RULES
from temporal_payloads_redis._errors import Origin, explain


async def test_a_server_that_is_down_is_told_with_the_setting(
    start_server, open_driver, store_context, make_payloads
):
    server = start_server()
    server.stop()
    async with open_driver(url=f"redis://:s3cr3t@127.0.0.1:{server.port}/0") as driver:
        for action in (driver.check(), driver.store(store_context, make_payloads(1))):
            with pytest.raises(StorageUnavailableError) as caught:
                await action
            told = str(caught.value)
            assert server.url in told
            assert "storage.drivers.redis.url" in told
            assert "s3cr3t" not in told


async def test_a_host_that_does_not_exist_is_told_with_the_setting(open_driver):
    async with open_driver(host="no-such-host.invalid") as driver:
        with pytest.raises(StorageUnavailableError, match=r"storage\.drivers\.redis\.host"):
            await driver.check()


async def test_connections_that_the_server_has_closed_are_made_anew_without_an_error(
    server, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(100)
    async with open_driver(url=server.url) as driver:
        claims = await driver.store(store_context, payloads)
        server.command("CLIENT KILL", "TYPE", "normal")
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_driver_recovers_when_its_server_does(
    start_server, open_driver, store_context, retrieve_context, make_payloads
):
    server = start_server()
    payloads = make_payloads(3)
    async with open_driver(url=server.url) as driver:
        await driver.store(store_context, payloads)
        server.stop()
        with pytest.raises(StorageUnavailableError, match=r"storage\.drivers\.redis\.url"):
            await driver.store(store_context, payloads)
        server.start()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_server_that_does_not_answer_ends_in_a_timeout(listen, open_driver):
    async def silent(reader, writer):
        await reader.read()

    async with (
        listen(silent) as port,
        open_driver(host="127.0.0.1", port=port, timeout="50ms", retries=0) as driver,
    ):
        with pytest.raises(StorageUnavailableError, match=r"in time.*storage\.drivers\.redis\.timeout"):
            await driver.check()


async def test_something_else_than_redis_is_told(listen, open_driver):
    async def web(reader, writer):
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with listen(web) as port, open_driver(host="127.0.0.1", port=port) as driver:
        with pytest.raises(StorageMisconfiguredError, match="does not answer as a Redis server"):
            await driver.check()


async def test_a_replica_is_refused_where_writes_must_go(
    start_server, server, open_driver, store_context, make_payloads
):
    replica = start_server("--replicaof", f"127.0.0.1 {server.port}")
    async with open_driver(url=replica.url) as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"read-only replica.*redis\.url"):
            await driver.check()
        with pytest.raises(StorageMisconfiguredError, match="read-only replica"):
            await driver.store(store_context, make_payloads(1))


async def test_a_full_server_says_so_and_still_serves_what_it_has(
    start_server, open_driver, store_context, retrieve_context, make_payloads
):
    server = start_server("--maxmemory-policy", "noeviction")
    payloads = make_payloads(1)
    async with open_driver(url=server.url) as driver:
        claims = await driver.store(store_context, payloads)
        server.command("CONFIG", "SET", "maxmemory", "1mb")
        with pytest.raises(StorageUnavailableError, match="out of memory"):
            await driver.store(store_context, make_payloads(10, size=1_000_000))
        await driver.check()
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_database_that_does_not_exist_is_told(server, open_driver):
    async with open_driver(host="127.0.0.1", port=server.port, database=99) as driver:
        with pytest.raises(StorageMisconfiguredError, match="DB index is out of range"):
            await driver.check()


async def test_keys_of_another_kind_below_the_prefix_are_told(server):
    server.command("LPUSH", "k", "x")
    async with Redis(port=server.port) as redis_client:
        client = new_redis_asyncio_client(redis_client)
        with pytest.raises(StorageMisconfiguredError, match="key_prefix to a prefix of its own"):
            await client.get(key="k")


@pytest.fixture(scope="module")
def guarded(start_server):
    """A server with a default password, a user who may do what is needed, and some who may not."""
    server = start_server()
    rules = {
        "payloads": ["+get", "+mget", "+set", "+ping", "~temporalio:payloads:*", "resetchannels"],
        "reader": ["+get", "+mget", "+ping", "~temporalio:payloads:*"],
        "stranger": ["+@all", "~elsewhere:*"],
    }
    for user, rule in rules.items():
        server.command("ACL", "SETUSER", user, "on", f">{user}-s3cr3t", *rule)
    server.command("CONFIG", "SET", "requirepass", "default-s3cr3t")
    return server


def login(server, user):
    return {"host": "127.0.0.1", "port": server.port, "username": user, "password": f"{user}-s3cr3t"}


async def test_the_default_user_needs_the_password_alone(guarded, open_driver):
    async with open_driver(url=f"redis://:default-s3cr3t@127.0.0.1:{guarded.port}") as driver:
        await driver.check()


async def test_a_user_who_may_only_read_can_read(
    guarded, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(2)
    async with open_driver(**login(guarded, "payloads")) as driver:
        claims = await driver.store(store_context, payloads)
    async with open_driver(**login(guarded, "reader")) as driver:
        await driver.check()
        assert await driver.retrieve(retrieve_context, claims) == payloads
        with pytest.raises(StoragePermissionError, match=r"'set'.*storage\.drivers\.redis\.username"):
            await driver.store(store_context, payloads)


async def test_a_user_without_our_keys_is_refused(guarded, open_driver):
    async with open_driver(**login(guarded, "stranger")) as driver:
        with pytest.raises(StoragePermissionError, match=r"key.*~\{key_prefix\}:\*"):
            await driver.check()


@pytest.mark.parametrize("given", [{}, {"password": "wrong-s3cr3t"}, {"username": "u", "password": "s3cr3t"}])
async def test_a_refused_login_names_the_settings_and_no_password(guarded, open_driver, given):
    async with open_driver(host="127.0.0.1", port=guarded.port, **given) as driver:
        with pytest.raises(StoragePermissionError) as caught:
            await driver.check()
    told = str(caught.value)
    assert "storage.drivers.redis.username and storage.drivers.redis.password" in told
    assert "s3cr3t" not in told
    assert caught.value.__cause__ is None


async def test_a_password_where_none_is_asked_for_is_a_refused_login(server, open_driver):
    async with open_driver(host="127.0.0.1", port=server.port, password="s3cr3t") as driver:
        with pytest.raises(StoragePermissionError, match="without any password configured"):
            await driver.check()


@pytest.mark.parametrize(
    ("raised", "error_type", "told"),
    [
        (
            ResponseError("BUSY Redis is busy running a script."),
            StorageUnavailableError,
            "busy with a script",
        ),
        (ResponseError("MISCONF Errors writing to disk"), StorageUnavailableError, "save its data to disk"),
        (ResponseError("NOREPLICAS Not enough good replicas"), StorageUnavailableError, "too few replicas"),
        (
            ResponseError("ERR syntax error"),
            StorageMisconfiguredError,
            "Redis 7 or Valkey is needed for {}refresh_ttl",
        ),
        (BusyLoadingError("loading"), StorageUnavailableError, "is loading its data"),
        (MaxConnectionsError(), StorageUnavailableError, "raise {}pool_size"),
        (ClusterDownError("CLUSTERDOWN"), StorageUnavailableError, "failing over or resharding"),
        (RedisClusterException("no node"), StorageUnavailableError, "can't be used: no node. Check {}url"),
        (
            ResponseError("ERR of another kind"),
            StorageMisconfiguredError,
            "refused a command: ERR of another kind",
        ),
        (
            ResponseError("ERR unknown command 'GETS', with args beginning with: 's3cr3t'"),
            StorageMisconfiguredError,
            "refused a command: ERR unknown command 'GETS'",
        ),
    ],
    ids=str,
)
def test_what_no_server_here_can_be_brought_to_say_is_told_with_the_setting(raised, error_type, told):
    place = "storage.drivers.redis"
    error = explain(raised, Origin(server="redis://here:6379/0", address_setting="url", place=place))
    assert type(error) is error_type
    assert told.format(f"{place}.") in str(error)
    assert "here" in str(error)
    assert "s3cr3t" not in str(error)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.raised[0].__name__)
def test_nothing_that_a_server_says_ends_a_workflow(rule):
    assert issubclass(rule.error, StorageError)
    assert not rule.error.permanent


def test_a_server_is_not_quoted_at_any_length():
    assert len(str(explain(ResponseError("x" * 12_000_000), Origin(server="here")))) < 1_000
