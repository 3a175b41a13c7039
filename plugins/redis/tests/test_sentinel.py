"""The driver finding its primary through a real Sentinel."""

import asyncio

import pytest
from local_servers.process import wait_until
from temporal_payloads.plugin import StoragePermissionError, StorageUnavailableError

PASSWORD = "s3cr3t"
NEVER = 60_000
"""Milliseconds: in the time of these tests no server is taken to be down by itself."""


@pytest.fixture(scope="module")
def primary(start_server):
    return start_server()


@pytest.fixture(scope="module")
def replica(start_server, primary):
    return start_server("--replicaof", f"127.0.0.1 {primary.port}")


@pytest.fixture(scope="module")
def sentinel(start_server, tmp_path_factory, primary, replica):
    # A Sentinel writes its state into its configuration file, so it needs one.
    file = tmp_path_factory.mktemp("sentinel") / "sentinel.conf"
    file.write_text(
        f"requirepass {PASSWORD}\n"
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        f"sentinel down-after-milliseconds main {NEVER}\n"
        "sentinel failover-timeout main 2000\n"
    )
    server = start_server(str(file), "--sentinel", password=PASSWORD)
    wait_until("The replica, as the Sentinel sees it,", lambda: knows(server, replica))
    return server


def set_down_after(sentinel, milliseconds):
    sentinel.command("SENTINEL", "SET", "main", "down-after-milliseconds", milliseconds)


def knows(sentinel, replica):
    with sentinel.address.client() as client:
        (seen,) = client.sentinel_slaves("main")
    assert seen["port"] == replica.port
    assert not seen["is_disconnected"]


def settings(sentinel, **changes):
    return {
        "sentinel": {
            "hosts": ["127.0.0.1:1", f"127.0.0.1:{sentinel.port}"],
            "service_name": "main",
            "password": PASSWORD,
            **changes,
        }
    }


async def test_an_unknown_service_name_is_told_without_the_password(sentinel, open_driver):
    async with open_driver(**settings(sentinel, service_name="mine")) as driver:
        with pytest.raises(StorageUnavailableError, match=r"redis\.sentinel\.service_name") as caught:
            await driver.check()
    assert "'mine'" in str(caught.value)
    assert PASSWORD not in str(caught.value)


async def test_a_wrong_password_of_sentinel_is_told(sentinel, open_driver):
    async with open_driver(**settings(sentinel, password="not-it")) as driver:
        with pytest.raises(StoragePermissionError, match=r"redis\.sentinel\.password") as caught:
            await driver.check()
    assert "not-it" not in str(caught.value)


async def test_the_driver_follows_the_primary_through_a_failover(  # fixtures
    sentinel, primary, replica, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(10)
    async with open_driver(**settings(sentinel)) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert primary.command("DBSIZE") == 10
        set_down_after(sentinel, 300)
        primary.stop()
        await asyncio.to_thread(wait_until, "The failover", lambda: led_by(sentinel, replica))
        set_down_after(sentinel, NEVER)
        assert await driver.store(store_context, payloads) == claims
        assert await driver.retrieve(retrieve_context, claims) == payloads
        assert replica.command("DBSIZE") == 10


def led_by(sentinel, server):
    assert server.command("ROLE")[0] == b"master"
    with sentinel.address.client() as client:
        assert client.sentinel_master("main")["port"] == server.port
