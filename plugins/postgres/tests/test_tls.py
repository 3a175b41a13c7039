"""TLS, and PgBouncer in transaction mode."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
import trustme
from local_servers import start_postgres
from temporal_payloads.plugin import StorageMisconfiguredError, StorageUnavailableError
from temporal_payloads_postgres import _connections

OURS = "FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'temporal-payloads'"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


async def test_a_server_that_offers_tls_is_spoken_to_with_tls(database, open_driver):
    async with open_driver(**database.address) as driver:
        await driver.check()
        assert database.one(f"SELECT bool_and(ssl) {OURS}")


async def test_a_server_that_proves_who_it_is_is_trusted(database, open_driver):
    async with open_driver(**database.address, ssl_root_cert=database.server.ca_file) as driver:
        await driver.check()
        assert database.one(f"SELECT bool_and(ssl) {OURS}")


async def test_a_server_of_another_authority_is_not_trusted(database, open_driver, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    async with open_driver(**database.address, ssl_root_cert=tmp_path / "other.pem") as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"is not trusted: .*postgres\.ssl_root_cert"):
            await driver.check()


async def test_an_authority_that_is_missing_is_told_with_the_setting(database, open_driver, tmp_path):
    async with open_driver(**database.address, ssl_root_cert=tmp_path / "missing.pem") as driver:
        with pytest.raises(StorageMisconfiguredError, match=r"postgres\.ssl_root_cert"):
            await driver.check()


async def test_a_server_without_tls_is_told_with_the_setting(open_driver, tmp_path):
    with start_postgres(tmp_path) as server:
        async with open_driver(url=server.url, sslmode="require") as driver:
            with pytest.raises(
                StorageMisconfiguredError, match=r"does not speak TLS, and .*postgres\.sslmode"
            ):
                await driver.check()


async def test_pgbouncer_in_transaction_mode_is_as_good_as_the_server_itself(
    database, pgbouncer, open_driver, store_context, retrieve_context, make_payloads
):
    sizes = (20, 300_000, 2_500_000)
    payloads = [payload for size in sizes for payload in make_payloads(20, size=size)]
    async with open_driver(url=pgbouncer.url, pool_size=16) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        read = await asyncio.gather(*(driver.retrieve(retrieve_context, claims) for _ in range(3)))
    assert read == [payloads] * 3


@pytest.fixture
def time_is_up(monkeypatch):
    """Lets what has a limit of 99 seconds run out of time now."""
    limits = []
    timeout = asyncio.timeout

    def noted(delay):
        limit = timeout(delay)
        if delay == 99:
            limits.append(limit)
        return limit

    def now():
        for limit in limits:
            with contextlib.suppress(RuntimeError):  # of those that are over
                limit.reschedule(asyncio.get_running_loop().time())

    monkeypatch.setattr(asyncio, "timeout", noted)
    return now


async def test_a_statement_that_is_given_up_ends_in_the_server(
    database, pgbouncer, open_driver, time_is_up, monkeypatch
):
    # Else a server that is asked to end a statement, and is busy, need not have done so.
    monkeypatch.setattr(_connections, "CANCEL_TIMEOUT", 20.0)
    through = replace(pgbouncer, database=database.server.database)
    for url in (database.server.url, through.url):
        async with open_driver(url=url, timeout="99s", pool_size=4) as driver:
            with database.server.client(autocommit=False) as other:
                other.execute("LOCK TABLE temporal_payloads.payloads")
                calls = [asyncio.create_task(driver.read([str(number)])) for number in range(3)]
                async with asyncio.timeout(60):
                    while database.one(WAITING) != 3:  # noqa: ASYNC110  # another process sets no event
                        await asyncio.sleep(0.01)
                calls[0].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await calls[0]
                time_is_up()
                for call in calls[1:]:
                    with pytest.raises(StorageUnavailableError):
                        await call
                async with asyncio.timeout(60):
                    while database.one(WAITING):  # noqa: ASYNC110  # as above
                        await asyncio.sleep(0.01)
            assert await driver.read(["a"]) == [None]
