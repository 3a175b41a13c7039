"""`temporal-payloads postgres`: the table is made, kept and told about; never by anything else."""

import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from temporal_payloads.plugin import DriverContext
from temporal_payloads_postgres._plugin import temporal_payloads_driver
from temporal_payloads_postgres._settings import PostgresSettings

TABLE = "temporal_payloads.payloads"
QUOTED = '"temporal_payloads"."payloads'


@pytest.fixture
def call(empty_database, monkeypatch, tmp_path, capsys):
    """Runs `temporal-payloads` with settings for an empty database; returns status, output and errors."""
    from temporal_payloads._cli import main  # noqa: PLC0415  # as the script of that name does

    monkeypatch.chdir(tmp_path)

    def run(*arguments, **settings):
        lines = [f'{name} = "{value}"' for name, value in {**empty_database.address, **settings}.items()]
        text = "\n".join(["[storage.drivers.postgres]", *lines, ""])
        tomllib.loads(text)
        Path("temporal-payloads.toml").write_text(text)
        status = main(list(arguments))
        written = capsys.readouterr()
        return status, written.out, written.err

    return run


@pytest.fixture
def today(empty_database):
    """The day that it is for the database."""
    return empty_database.one("SELECT (now() AT TIME ZONE 'UTC')::date")


def partitions(database):
    names = database.run(
        "SELECT relname FROM pg_class JOIN pg_inherits ON oid = inhrelid AND relkind = 'r' ORDER BY relname"
    )
    return [name.removeprefix("payloads_") for (name,) in names]


def test_init_makes_the_table_once(empty_database, call):
    status, out, _ = call("postgres", "init")
    assert status == 0
    assert "CREATE TABLE" in out
    assert empty_database.one(f"SELECT version FROM {TABLE}_version") == 1
    assert call("postgres", "init") == (0, f"{TABLE}: nothing to do\n", "")


def test_what_was_done_is_told_to_programs_too(call):
    status, out, _ = call("postgres", "init", "--json")
    assert status == 0
    assert json.loads(out)["said"][-1] == f"{TABLE}: done"
    status, out, err = call("postgres", "maintain", "--json")
    error = json.loads(out)["error"]
    assert (status, err, error["type"]) == (2, "", "WrongUseError")
    assert "storage.drivers.postgres.ttl" in error["message"]


def test_another_role_can_be_named_for_the_occasion(empty_database, call, monkeypatch):
    empty_database.run("DROP ROLE IF EXISTS worker")
    empty_database.run("CREATE ROLE worker LOGIN PASSWORD 'local-password'")
    try:
        worker = replace(empty_database.server, user="worker").url
        status, _, err = call("postgres", "init", url=worker)
        told = " ".join(err.split())
        assert status == 3
        assert "role in storage.drivers.postgres.url may not make or change tables" in told
        assert "permission denied for database" in told
        assert "CREATE on the database" in told
        monkeypatch.setenv("TEMPORAL_PAYLOADS_STORAGE__DRIVERS__POSTGRES__URL", empty_database.server.url)
        assert call("postgres", "init", url=worker)[0] == 0
    finally:
        empty_database.run("DROP ROLE worker")


def test_check_says_what_to_run_and_is_content_after_it(call):
    status, out, _ = call("check")
    assert status == 1
    assert "temporal-payloads postgres init --driver postgres" in " ".join(out.split())
    call("postgres", "init")
    assert call("check")[0] == 0


def test_what_init_prints_can_be_run_by_somebody_else(empty_database, call):
    for ttl in ({}, {"ttl": "7d", "table": "temporal_payloads.other"}):
        status, out, _ = call("postgres", "init", "--print", **ttl)
        assert status == 0
        with empty_database.server.client() as client:
            client.execute(out)
        assert call("check", **ttl)[0] == 0


def test_init_prints_without_asking_the_database(call):
    status, out, _ = call("postgres", "init", "--print", url="postgresql://nobody@127.0.0.1:1/nowhere")
    assert status == 0
    assert out.startswith("BEGIN;\nCREATE SCHEMA")
    assert out.endswith("COMMIT;\n")


def test_a_table_of_an_older_version_is_told_with_what_to_run(empty_database, call):
    call("postgres", "init")
    empty_database.run(f"UPDATE {TABLE}_version SET version = 0")
    status, out, _ = call("check")
    assert status == 1
    assert "init" in out


def test_a_table_of_a_newer_version_is_left_alone(empty_database, call):
    call("postgres", "init")
    empty_database.run(f"UPDATE {TABLE}_version SET version = 2")
    for expected, arguments in ((1, ["check"]), (3, ["postgres", "init"])):
        status, out, err = call(*arguments)
        assert status == expected
        assert "newer than this temporal-payloads-postgres: update it" in " ".join((out + err).split())


def test_something_else_under_the_name_is_left_alone(empty_database, call):
    empty_database.run("CREATE SCHEMA temporal_payloads")
    empty_database.run(f"CREATE TABLE {TABLE} (theirs integer)")
    status, _, err = call("postgres", "init")
    assert status == 3
    assert "something else under the name of our table" in err
    assert empty_database.run(f"SELECT * FROM {TABLE}") == []


def test_nothing_remains_of_an_init_that_fails(empty_database, call):
    empty_database.run("CREATE SCHEMA temporal_payloads")
    empty_database.run(f"CREATE TABLE {TABLE}_version (theirs integer)")
    assert call("postgres", "init")[0] == 3
    assert empty_database.one("SELECT to_regclass(%s) IS NULL", TABLE)


def test_a_table_keeps_the_kind_that_it_was_made_as(call):
    call("postgres", "init")
    for expected, arguments in ((1, ["check"]), (3, ["postgres", "init"])):
        status, out, err = call(*arguments, ttl="7d")
        assert status == expected
        assert "was made without a ttl" in " ".join((out + err).split())


def test_init_changes_the_ttl_and_check_tells_a_difference(call):
    call("postgres", "init", ttl="7d")
    status, out, _ = call("check", ttl="9d")
    assert status == 1
    assert "are kept for 7 days" in " ".join(out.split())
    assert "UPDATE" in call("postgres", "init", ttl="9d")[1]
    assert call("check", ttl="9d")[0] == 0


def test_a_ttl_with_a_fraction_of_a_second_is_rounded_up(call):
    assert call("postgres", "init", ttl="129600.4")[0] == 0
    assert call("check", ttl="129600.4")[0] == 0
    assert call("postgres", "init", ttl="129601")[1] == f"{TABLE}: nothing to do\n"


def test_maintain_makes_the_partitions_that_are_missing(empty_database, call, today):
    call("postgres", "init", ttl="7d")
    days = [f"{today + timedelta(days=day):%Y%m%d}" for day in range(31)]
    assert partitions(empty_database) == [*days, "default"]
    empty_database.run(f"DROP TABLE {TABLE}_{days[5]}, {TABLE}_{days[6]}")
    empty_database.run(f"INSERT INTO {TABLE} VALUES ('k', 0, %s, '')", today + timedelta(days=5))
    status, out, _ = call("postgres", "maintain", "--print", ttl="7d")
    assert (status, out.count("CREATE TABLE")) == (0, 1)
    assert len(partitions(empty_database)) == 30
    call("postgres", "maintain", ttl="7d")
    # The day that has payloads in the default partition stays there.
    assert partitions(empty_database) == [*days[:5], *days[6:], "default"]
    assert call("postgres", "maintain", ttl="7d")[1] == f"{TABLE}: nothing to do\n"


def test_maintain_drops_what_has_expired_and_never_earlier(empty_database, call, today):
    call("postgres", "init", ttl="7d")
    kept, expired = today - timedelta(days=8), today - timedelta(days=9)
    for day in (kept, expired):
        bounds = f"FROM ('{day}') TO ('{day + timedelta(days=1)}')"
        empty_database.run(f"CREATE TABLE {TABLE}_{day:%Y%m%d} PARTITION OF {TABLE} FOR VALUES {bounds}")
        empty_database.run(f"INSERT INTO {TABLE} VALUES ('partition', 0, %s, '')", day)
    call("postgres", "maintain", ttl="7d")
    assert empty_database.run(f"SELECT stored_on FROM {TABLE}") == [(kept,)]
    assert f"{expired:%Y%m%d}" not in partitions(empty_database)


@pytest.mark.parametrize(("ttl", "days"), [("7d", 8), ("36h", 3)])
def test_maintain_deletes_from_the_default_partition_what_has_expired_and_never_earlier(
    empty_database, call, today, ttl, days
):
    call("postgres", "init", ttl=ttl)
    kept, expired = today - timedelta(days=days), today - timedelta(days=days + 1)
    for day in (kept, expired):
        empty_database.run(f"INSERT INTO {TABLE} VALUES ('k', 0, %s, '')", day)
    status, out, _ = call("postgres", "maintain", "--print", ttl=ttl)
    assert (status, out.count(f"DELETE FROM {QUOTED}_default\" WHERE stored_on < '{kept}'")) == (0, 1)
    call("postgres", "maintain", ttl=ttl)
    assert empty_database.run(f"SELECT stored_on FROM {TABLE}_default") == [(kept,)]


def test_maintain_deletes_all_that_has_expired_however_much_it_is(empty_database, call, today):
    call("postgres", "init", ttl="7d")
    fill = "SELECT 'k' || n, 0, %s, '' FROM generate_series(1, 10000) AS n"
    for day in (today - timedelta(days=90), today - timedelta(days=8)):
        empty_database.run(f"INSERT INTO {TABLE} {fill}", day)
    call("postgres", "maintain", ttl="7d")
    counted = f"SELECT count(*), min(stored_on) FROM {TABLE}_default"
    assert empty_database.run(counted) == [(10000, today - timedelta(days=8))]


def test_maintain_lets_others_read_and_write_while_it_deletes(empty_database, call, today):
    call("postgres", "init", ttl="7d")
    empty_database.run(f"DROP TABLE {TABLE}_{today + timedelta(days=30):%Y%m%d}")  # so that one is made too
    empty_database.run(f"INSERT INTO {TABLE} VALUES ('old', 0, '2026-01-01', '')")
    empty_database.run(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN OLD; END'"
    )
    empty_database.run(
        f"CREATE TRIGGER hold BEFORE DELETE ON {TABLE}_default FOR EACH ROW EXECUTE FUNCTION hold()"
    )
    with empty_database.server.client() as client, ThreadPoolExecutor() as threads:
        client.execute("SELECT pg_advisory_lock(1)")
        maintaining = threads.submit(call, "postgres", "maintain", ttl="7d")
        while not empty_database.one("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            assert not maintaining.done()
        try:
            client.execute("SET lock_timeout = '1s'")
            client.execute(f"INSERT INTO {TABLE} VALUES ('new', 0, %s, '')", [today])
            assert client.execute(f"SELECT count(*) FROM {TABLE}").fetchone() == (2,)
        finally:
            client.execute("SELECT pg_advisory_unlock(1)")
        assert maintaining.result()[0] == 0
    assert empty_database.run(f"SELECT key FROM {TABLE}") == [("new",)]


def test_maintain_makes_each_partition_by_itself_for_each_locks_the_default_one(empty_database, call, today):
    call("postgres", "init", ttl="7d")
    days = [f"{today + timedelta(days=day):%Y%m%d}" for day in (5, 6, 7)]
    for day in days:
        empty_database.run(f"DROP TABLE {TABLE}_{day}")
    call("postgres", "maintain", ttl="7d")
    names = [f"payloads_{day}" for day in days]
    transactions = "SELECT count(DISTINCT xmin::text) FROM pg_class WHERE relname = ANY(%s)"
    assert empty_database.one(transactions, names) == 3


def test_maintain_drops_a_partition_that_was_moved_to_another_schema(empty_database, call):
    call("postgres", "init", ttl="7d")
    empty_database.run("CREATE SCHEMA elsewhere")
    empty_database.run(
        f"CREATE TABLE elsewhere.old PARTITION OF {TABLE} FOR VALUES FROM ('2026-01-01') TO ('2026-01-02')"
    )
    status, out, _ = call("postgres", "maintain", ttl="7d")
    assert (status, "DROP TABLE elsewhere.old" in out) == (0, True)


def test_maintain_needs_a_ttl(call):
    call("postgres", "init")
    status, _, err = call("postgres", "maintain")
    assert status == 2
    assert "storage.drivers.postgres.ttl: it is not set" in err


async def test_without_maintenance_payloads_are_stored_as_ever_and_a_payload_stored_later_lives_longer(
    empty_database, call, today, store_context, retrieve_context, make_payloads
):
    import asyncio  # noqa: PLC0415

    await asyncio.to_thread(call, "postgres", "init", ttl="7d")
    for day in partitions(empty_database)[:-1]:
        empty_database.run(f"DROP TABLE {TABLE}_{day}")
    settings = PostgresSettings(**empty_database.address, ttl="7d")
    context = DriverContext(name="postgres", place="storage.drivers.postgres", concurrency=8)
    payloads = [*make_payloads(2), *make_payloads(1, size=2_500_000)]
    async with temporal_payloads_driver().open(settings, context) as driver:
        claims = await driver.store(store_context, payloads)
        empty_database.run(f"UPDATE {TABLE} SET stored_on = '2026-01-01'")
        assert await driver.store(store_context, payloads) == claims
        assert await driver.store(store_context, payloads) == claims
        days = empty_database.run(f"SELECT stored_on, count(*) FROM {TABLE} GROUP BY 1 ORDER BY 1")
        assert days == [(date(2026, 1, 1), 5), (today, 5)]
        assert await driver.retrieve(retrieve_context, claims) == payloads
    query = f"SELECT attstorage::text FROM pg_attribute WHERE attrelid = '{TABLE}_default'::regclass"
    assert empty_database.one(f"{query} AND attname = 'data'") == "e"


def test_of_several_drivers_one_is_named(call, empty_database, tmp_path):
    call("postgres", "init")
    several = tmp_path / "several.toml"
    old = f'[storage.drivers.old]\ntype = "postgres"\nurl = "{empty_database.server.url}"\n'
    chosen = '[storage]\ndriver = "postgres"\n'
    several.write_text(f"{chosen}{Path('temporal-payloads.toml').read_text()}{old}")
    for driver in ([], ["--driver", "new"]):
        status, _, err = call("postgres", "init", "--config", str(several), *driver)
        assert status == 2
        assert "postgres, old" in err
    assert call("postgres", "init", "--config", str(several), "--driver", "old")[0] == 0
