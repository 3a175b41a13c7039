"""What is told when a real server is down, full, not ours, or refuses access."""

import asyncio
import contextlib
import socket
from dataclasses import replace

import pytest
from support.proxy import TcpProxy
from temporal_payloads.plugin import (
    DriverContext,
    PayloadNotFoundError,
    StorageError,
    StorageMisconfiguredError,
    StoragePermissionError,
    StorageUnavailableError,
)
from temporal_payloads_postgres._settings import PostgresSettings

TABLE = "temporal_payloads.payloads"
PLACE = r"storage\.drivers\.postgres"


async def assert_told(action, kind, *patterns):
    """The error is of this kind and says all this, and neither it nor a cause of it holds the password."""
    with pytest.raises(StorageError) as caught:
        await asyncio.wait_for(action, 20)
    told = str(caught.value)
    assert type(caught.value) is kind, told
    for pattern in patterns:
        caught.match(pattern)
    assert "local-password" not in told
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.fixture
def role(database):
    """A role that may log in, and no more; and the settings to do so."""
    database.run("DROP ROLE IF EXISTS payloads")
    database.run("CREATE ROLE payloads LOGIN PASSWORD 'local-password'")
    yield {"url": replace(database.server, user="payloads").url}
    database.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'payloads'")
    database.run("DROP OWNED BY payloads")
    database.run("DROP ROLE payloads")


def allow(database, privileges):
    database.run("GRANT USAGE ON SCHEMA temporal_payloads TO payloads")
    database.run(f"GRANT SELECT ON {TABLE}_version TO payloads")
    database.run(f"GRANT {privileges} ON {TABLE} TO payloads")


@pytest.fixture
def failing(database):
    """Lets each insert into the table fail with this SQLSTATE, raised by the server."""

    def fail(code):
        database.run(
            "CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION 'could not do it' USING ERRCODE = '{code}'; END $$"
        )
        database.run(
            f"CREATE TRIGGER failing BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION failing()"
        )

    yield fail
    database.run("DROP FUNCTION IF EXISTS failing CASCADE")


@pytest.mark.parametrize(
    ("changes", "kind", "setting"),
    [
        ({"password": "wrong"}, StoragePermissionError, "refused the login: .*url and .*password"),
        ({"user": "nobody"}, StoragePermissionError, "refused the login: .*url"),
        ({"database": "nowhere"}, StorageMisconfiguredError, "does not let us into the database: .*url"),
    ],
)
async def test_a_login_that_is_refused_is_told_at_once_with_the_setting(
    database, open_driver, store_context, make_payloads, changes, kind, setting
):
    async with open_driver(url=replace(database.server, **changes).url) as driver:
        await assert_told(driver.check(), kind, setting, PLACE)
        await assert_told(driver.store(store_context, make_payloads(3)), kind, setting, PLACE)


async def test_a_setting_that_is_not_in_a_url_is_named_by_itself(database, open_driver):
    server = database.server
    async with open_driver(
        host="127.0.0.1", port=server.port, database="x", user=server.user, password="y"
    ) as driver:
        await assert_told(driver.check(), StoragePermissionError, rf"{PLACE}\.user and {PLACE}\.password")


async def test_a_database_without_the_table_says_what_to_run(
    empty_database, open_driver, store_context, retrieve_context, make_payloads
):
    init = "temporal-payloads postgres init --driver postgres"
    async with open_driver(**empty_database.address) as driver:
        await assert_told(driver.check(), StorageMisconfiguredError, "has no table", init, rf"{PLACE}\.table")
        storing = driver.store(store_context, make_payloads(1))
        await assert_told(storing, StorageMisconfiguredError, "has no table", init, rf"{PLACE}\.table")


async def test_a_role_that_lacks_a_privilege_is_told_which(
    database, role, open_driver, store_context, make_payloads
):
    async with open_driver(**role) as driver:
        await assert_told(driver.check(), StoragePermissionError, "USAGE on the schema", rf"{PLACE}\.url")
        allow(database, "SELECT")
        await assert_told(driver.check(), StoragePermissionError, "lacks INSERT and UPDATE", "retrieve_only")
        storing = driver.store(store_context, make_payloads(1))
        await assert_told(storing, StoragePermissionError, "SELECT, INSERT and UPDATE on", rf"{PLACE}\.url")
        allow(database, "INSERT, UPDATE")
        await driver.check()


async def test_a_role_that_may_only_read_is_enough_where_nothing_is_stored(
    database, role, plugin, retrieve_context
):
    allow(database, "SELECT")
    context = DriverContext(
        name="postgres", place="storage.drivers.postgres", concurrency=8, retrieve_only=True
    )
    async with plugin.open(PostgresSettings(**role), context) as driver:
        await driver.check()
        database.run(f"REVOKE SELECT ON {TABLE} FROM payloads")
        await assert_told(driver.check(), StoragePermissionError, "lacks SELECT")


@pytest.mark.parametrize("table", ["payloads", "expiring"])
async def test_what_is_missing_has_expired_only_where_the_database_says_so_too(
    database, expiring, open_driver, store_context, retrieve_context, make_payloads, table
):
    settings = {**expiring, "table": f"temporal_payloads.{table}"}
    async with open_driver(**settings) as driver:
        claims = await driver.store(store_context, make_payloads(3))
        assert await driver.retrieve(retrieve_context, claims) == make_payloads(3)
        database.run(f"TRUNCATE temporal_payloads.{table}")
        for _ in range(2):
            retrieving = driver.retrieve(retrieve_context, claims)
            if table == "payloads":
                await assert_told(retrieving, StorageMisconfiguredError, "was made without a ttl", PLACE)
            else:
                await assert_told(retrieving, PayloadNotFoundError, "expired")


async def test_a_read_only_server_is_refused_before_anything_is_read(database, role, open_driver):
    allow(database, "SELECT, INSERT, UPDATE")
    database.run("ALTER ROLE payloads SET default_transaction_read_only = on")
    async with open_driver(**role) as driver:
        await assert_told(driver.check(), StorageMisconfiguredError, "can't be written to", "replica", PLACE)


async def test_a_server_that_becomes_read_only_is_told_as_a_replica(
    database, failing, open_driver, store_context, make_payloads
):
    ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'temporal-payloads'"
    async with open_driver(**database.address) as driver:
        failing("25006")
        storing = driver.store(store_context, make_payloads(1))
        await assert_told(storing, StorageMisconfiguredError, "can't be written to: .*replica")
        async with asyncio.timeout(20):  # and is left alone: the next connection may reach the primary
            while database.one(ours):  # noqa: ASYNC110  # another process will not set an event
                await asyncio.sleep(0.01)


async def test_a_server_without_room_for_connections_is_told_with_the_pool(database, role, open_driver):
    database.run("ALTER ROLE payloads CONNECTION LIMIT 0")
    async with open_driver(**role) as driver:
        await assert_told(
            driver.check(), StorageUnavailableError, "no connection left", rf"{PLACE}\.pool_size"
        )


async def test_a_pool_that_the_server_does_not_let_grow_makes_do_with_what_it_has(
    database, role, open_driver, store_context, retrieve_context, make_payloads
):
    allow(database, "SELECT, INSERT, UPDATE")
    database.run("ALTER ROLE payloads CONNECTION LIMIT 2")
    payloads = make_payloads(40, size=300_000)
    async with open_driver(**role) as driver:
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        ("53100", StorageUnavailableError, "disk .* is full"),
        ("53200", StorageUnavailableError, "short of something"),
        ("57P01", StorageUnavailableError, "stopping, starting or recovering"),
        ("40001", StorageUnavailableError, "gave a statement up"),
        ("08006", StorageUnavailableError, "hung up"),
        ("42P10", StorageMisconfiguredError, "not as the settings say: .*temporal-payloads check"),
        ("54000", StorageMisconfiguredError, rf"{PLACE}\.max_payload_size"),
        ("XX000", StorageMisconfiguredError, "refused a statement: could not do it"),
    ],
)
async def test_what_the_server_says_by_its_sqlstate_is_told_in_our_words(
    database, failing, open_driver, store_context, make_payloads, code, kind, words
):
    failing(code)
    async with open_driver(**database.address) as driver:
        await assert_told(
            driver.store(store_context, make_payloads(1)), kind, words, "could not do it|our words"
        )


async def test_a_statement_that_the_server_gives_up_is_told(
    database, role, open_driver, store_context, make_payloads
):
    allow(database, "SELECT, INSERT, UPDATE")
    database.run("ALTER ROLE payloads SET lock_timeout = '10ms'")
    async with open_driver(**role) as driver:
        with database.server.client(autocommit=False) as other:
            other.execute(f"LOCK TABLE {TABLE}")
            storing = driver.store(store_context, make_payloads(1))
            await assert_told(storing, StorageUnavailableError, "holds a lock on temporal_payloads.payloads")


async def test_no_data_of_a_row_is_told(database, open_driver, store_context, make_payloads):
    database.run(f"ALTER TABLE {TABLE} ADD CONSTRAINT refusing CHECK (part > 0) NOT VALID")
    try:
        async with open_driver(**database.address) as driver:
            with pytest.raises(StorageError, match="refusing") as caught:
                await driver.store(store_context, make_payloads(1))
        assert "Failing row" not in str(caught.value)
    finally:
        database.run(f"ALTER TABLE {TABLE} DROP CONSTRAINT refusing")


async def test_connections_that_the_server_has_closed_are_made_anew_without_an_error(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(40, size=300_000)
    async with open_driver(**database.address) as driver:
        claims = await driver.store(store_context, payloads)
        ours = "FROM pg_stat_activity WHERE application_name = 'temporal-payloads'"
        database.run(f"SELECT pg_terminate_backend(pid, 5000) {ours}")
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_a_driver_recovers_when_its_server_does(
    database, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(3)
    async with TcpProxy("127.0.0.1", database.server.port) as proxy:
        async with open_driver(url=replace(database.server, port=proxy.port).url) as driver:
            claims = await driver.store(store_context, payloads)
            await proxy.cut()
            for _ in range(2):
                reading = driver.retrieve(retrieve_context, claims)
                await assert_told(reading, StorageUnavailableError, "can't be reached, or hung up", PLACE)
            await proxy.restore()
            assert await driver.retrieve(retrieve_context, claims) == payloads
        await proxy.idle()


async def at_last(action):
    """Do it again until it succeeds: on a busy machine, limits this short can be over before it has."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(StorageUnavailableError):
                return await action()


async def test_a_server_that_falls_silent_ends_in_a_timeout(
    database, open_driver, store_context, make_payloads
):
    async with TcpProxy("127.0.0.1", database.server.port) as proxy:
        url = replace(database.server, port=proxy.port).url
        async with open_driver(url=url, timeout="200ms", connect_timeout="200ms") as driver:
            await at_last(driver.check)
            proxy.stall()
            for _ in range(2):  # on an open connection, and on a new one
                storing = driver.store(store_context, make_payloads(1))
                await assert_told(storing, StorageUnavailableError, "in time", rf"{PLACE}\.timeout")
            proxy.flow()
            await at_last(lambda: driver.store(store_context, make_payloads(1)))
        await proxy.idle()


async def test_what_is_no_postgres_is_told_with_the_setting(open_driver):
    async def other(reader, writer):
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    listener = await asyncio.start_server(other, "127.0.0.1", 0)
    async with (
        listener,
        open_driver(host="127.0.0.1", port=listener.sockets[0].getsockname()[1], database="a") as driver,
    ):
        await assert_told(
            driver.check(), StorageUnavailableError, "can't be reached, or hung up", rf"{PLACE}\.host"
        )


async def test_of_several_hosts_the_one_that_can_be_written_to_is_used(database, open_driver):
    server = database.server
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        hosts = f"127.0.0.1:{closed.getsockname()[1]},127.0.0.1:{server.port}"
        async with open_driver(
            url=f"postgresql://{server.user}:{server.password}@{hosts}/postgres"
        ) as driver:
            await driver.check()


async def test_a_host_that_does_not_answer_leaves_the_next_its_time(database, open_driver):
    server = database.server
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(5)  # and accepts nothing
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{server.port}"
        url = f"postgresql://{server.user}:{server.password}@{hosts}/{server.database}"
        async with open_driver(url=url, connect_timeout="4s") as driver:
            await driver.check()


async def test_a_host_that_does_not_exist_is_told_with_the_setting(open_driver):
    async with open_driver(host="no-such-host.invalid", database="a") as driver:
        await assert_told(driver.check(), StorageUnavailableError, "can't be reached", rf"{PLACE}\.host")


async def test_what_an_error_tells_is_not_logged_once_more(open_driver, closed_port, caplog):
    async with open_driver(host="127.0.0.1", port=closed_port, database="d") as driver:
        await assert_told(driver.check(), StorageUnavailableError, "can't be reached")
    assert [record.getMessage() for record in caplog.records if record.name == "psycopg.pool"] == []
