"""What `temporal-payloads check` finds of a table, a role and a server."""

from datetime import UTC, datetime, timedelta

import pytest
from temporal_payloads.plugin import DiagnosisContext

PLACE = "storage.drivers.postgres"
TABLE = "temporal_payloads.payloads"


@pytest.fixture
def look(open_driver, store_context, make_payloads):
    """Look at a table, with payloads written for that or without."""

    async def diagnosed(settings, *, write=False, **context):
        async with open_driver(**settings) as driver:
            if write:
                context["written"] = await driver.store(store_context, make_payloads(2))
            findings = await driver.diagnose(DiagnosisContext(place=PLACE, **context))
        assert all(finding.place.startswith(PLACE) for finding in findings)
        return findings

    return diagnosed


def one(findings, check):
    [found] = [finding for finding in findings if finding.check == check]
    return found


@pytest.fixture
def role(database):
    """Make a role with these privileges on the table, and return the settings that log in as it."""
    names: list[str] = []

    def make(*privileges):
        name = f"role_{len(names)}"
        names.append(name)
        database.run(f"CREATE ROLE {name} LOGIN PASSWORD 'its-password'")
        database.run(f"GRANT USAGE ON SCHEMA temporal_payloads TO {name}")
        database.run(f"GRANT SELECT ON {TABLE}_version TO {name}")
        if privileges:
            database.run(f"GRANT {', '.join(privileges)} ON {TABLE} TO {name}")
        server = database.server
        return {
            "host": server.host,
            "port": server.port,
            "database": server.database,
            "user": name,
            "password": "its-password",
        }

    yield make
    for name in names:
        database.run(f"DROP OWNED BY {name}")
        database.run(f"DROP ROLE {name}")


async def test_a_workers_role_with_just_its_privileges_is_found_well(look, role):
    findings = await look(role("SELECT", "INSERT", "UPDATE"))
    # The server of the tests flushes nothing.
    assert {finding.check for finding in findings if finding.level != "ok"} == {"durability"}
    assert "not granted; needed by the collector" in one(findings, "permission DELETE").message


@pytest.mark.parametrize(
    ("use", "lacking"),
    [
        ("reader", set()),
        ("worker", {"INSERT", "UPDATE"}),
        ("collector", {"INSERT", "UPDATE", "DELETE"}),
    ],
)
async def test_each_privilege_that_a_role_lacks_is_told_with_what_to_grant(look, role, use, lacking):
    findings = await look(role("SELECT"), use=use)
    problems = {finding.check: finding for finding in findings if finding.level == "problem"}
    assert set(problems) == {f"permission {name}" for name in lacking}
    for name in lacking:
        assert problems[f"permission {name}"].advice.startswith(f"GRANT {name} ON {TABLE}")
        assert problems[f"permission {name}"].place == f"{PLACE}.user"


async def test_a_superuser_and_an_owner_are_more_than_is_needed(look, database, role):
    findings = await look(database.address)
    assert one(findings, "least privilege").level == "warning"
    assert "superuser" in one(findings, "least privilege").message
    may_empty = await look(role("SELECT", "INSERT", "UPDATE", "TRUNCATE"))
    assert one(may_empty, "least privilege").level == "warning"
    assert "SELECT, INSERT, UPDATE" in one(may_empty, "least privilege").advice


async def test_a_collectors_role_may_empty_the_table_anyway(look, role):
    every = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")
    may_empty = one(await look(role(*every), use="collector"), "least privilege")
    assert may_empty.level == "ok"
    assert "may empty the table" in may_empty.message
    may_not = one(await look(role(*every[:-1]), use="collector"), "least privilege")
    assert "does not own the table" in may_not.message


async def test_a_server_that_does_not_flush_is_told(look, database):
    finding = one(await look(database.address), "durability")
    assert finding.level == "warning"
    assert "fsync is off" in finding.message


async def test_what_was_written_is_deleted(look, database):
    database.run(f"INSERT INTO {TABLE} (key, part, data) VALUES ('v0/kept', 0, 'x')")
    findings = await look(database.address, write=True)
    assert one(findings, "clean-up").level == "ok"
    assert database.run(f"SELECT key FROM {TABLE}") == [("v0/kept",)]


async def test_what_a_role_may_not_delete_is_named(look, database, role):
    findings = await look(role("SELECT", "INSERT", "UPDATE"), write=True)
    left = one(findings, "clean-up")
    assert left.level == "warning"
    keys = [key for (key,) in database.run(f"SELECT key FROM {TABLE}")]
    assert len(keys) == 2
    assert all(key in left.message for key in keys)


@pytest.mark.parametrize("apart", [timedelta(minutes=6), timedelta(minutes=-6)])
async def test_a_clock_that_is_off_is_told(look, database, apart):
    findings = await look(database.address, now=lambda: datetime.now(UTC) + apart)
    assert one(findings, "clock").level == "problem"
    assert ("behind" if apart > timedelta(0) else "ahead of") in one(findings, "clock").message


async def test_a_table_whose_maintenance_nobody_runs_is_told(look, expiring, database):
    assert one(await look(expiring), "partitions").level == "ok"
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    name = f"temporal_payloads.expiring_{tomorrow:%Y%m%d}"
    database.run(f"ALTER TABLE temporal_payloads.expiring DETACH PARTITION {name}")
    database.run(f"ALTER TABLE {name} RENAME TO taken_away")
    try:
        finding = one(await look(expiring), "partitions")
    finally:
        database.run(f"ALTER TABLE temporal_payloads.taken_away RENAME TO expiring_{tomorrow:%Y%m%d}")
        database.run(
            f"ALTER TABLE temporal_payloads.expiring ATTACH PARTITION {name} "
            f"FOR VALUES FROM ('{tomorrow}') TO ('{tomorrow + timedelta(days=1)}')"
        )
    assert finding.level == "warning"
    assert "temporal-payloads postgres maintain --driver postgres" in finding.advice
