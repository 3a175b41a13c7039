"""The driver finding its primary through a real Sentinel."""

import time

import pytest
import redis
from temporal_payloads.plugin import StoragePermissionError, StorageUnavailableError

pytestmark = pytest.mark.server

PASSWORD = "s3cr3t"


@pytest.fixture(scope="module")
def primary(start_server):
    return start_server()


@pytest.fixture(scope="module")
def replica(start_server, primary):
    return start_server("--replicaof", f"127.0.0.1 {primary.port}")


@pytest.fixture(scope="module")
def sentinel(start_server, find_port, tmp_path_factory, primary, replica):
    # A Sentinel writes its state into its configuration file, so it has one instead of options.
    port = find_port()
    file = tmp_path_factory.mktemp("sentinel") / "sentinel.conf"
    file.write_text(
        f"port {port}\nrequirepass {PASSWORD}\n"
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n"
    )
    server = start_server(str(file), "--sentinel", port=port)
    with redis.Redis(port=port, password=PASSWORD) as client:
        deadline = time.monotonic() + 20
        while client.sentinel_master("main")["num-slaves"] < 1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    return server


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


async def test_the_driver_follows_the_primary_through_a_failover(
    sentinel, primary, replica, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(10)
    async with open_driver(**settings(sentinel)) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert primary.command("DBSIZE") == 10
        primary.stop()
        deadline = time.monotonic() + 30
        while replica.command("ROLE")[0] != b"master":
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # A workflow's payloads are tried again by Temporal; here, by the test.
        while True:
            assert time.monotonic() < deadline
            try:
                assert await driver.store(store_context, payloads) == claims
                break
            except StorageUnavailableError:
                time.sleep(0.05)
        assert await driver.retrieve(retrieve_context, claims) == payloads
        assert replica.command("DBSIZE") == 10
