"""What `temporal-payloads check` finds of a server."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporal_payloads.plugin import DiagnosisContext
from temporal_payloads_redis import RedisStorageDriver, RedisStorageDriverClient
from temporal_payloads_redis._diagnosing import ServerDiagnosis
from temporal_payloads_redis._errors import Origin

PLACE = "storage.drivers.redis"
WORKER = ("~temporalio:payloads:*", "+ping", "+get", "+mget", "+set")
"""What a user needs who stores and reads."""
README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
(COLLECTOR,) = re.findall(r"^\+scan .*", README, re.MULTILINE)


@pytest.fixture
def look(open_driver, store_context, make_payloads):
    """Look at a server, with payloads written for that or without."""

    async def diagnosed(settings, *, write=False, **context):
        async with open_driver(**settings) as driver:
            if write:
                context["written"] = await driver.store(store_context, make_payloads(2))
            findings = await driver.diagnose(DiagnosisContext(place=PLACE, **context))
        found = {finding.check: finding for finding in findings}
        assert len(found) == len(findings)
        return found

    return diagnosed


def levels(found, *checks):
    return {check: found[check].level for check in checks or found}


async def test_a_server_as_it_should_be_is_found_well(look, start_server):
    server = start_server("--appendonly", "yes", "--maxmemory", "100mb")
    found = await look({"url": server.url}, write=True, use="collector")
    assert {check for check, finding in found.items() if finding.level != "ok"} == {"least privilege"}
    assert "FLUSHALL" in found["least privilege"].message
    assert "104,857,600 bytes at most" in found["maxmemory-policy"].message
    assert server.command("DBSIZE") == 0


async def test_what_was_written_is_deleted(look, server):
    found = await look({"url": server.url}, write=True)
    assert found["clean-up"].level == "ok"
    assert server.command("DBSIZE") == 0


async def test_without_write_no_key_appears_or_goes(look, server):
    server.command("SET", "temporalio:payloads:v0:d:sha256:" + "0" * 64, "kept")
    assert "clean-up" not in await look({"url": server.url})
    assert server.command("DBSIZE") == 1


@pytest.mark.parametrize(
    ("policy", "limit", "settings", "level"),
    [
        ("allkeys-lru", "100mb", {}, "problem"),
        ("allkeys-lru", "0", {}, "warning"),
        ("volatile-ttl", "100mb", {}, "warning"),
        ("volatile-ttl", "100mb", {"ttl": "7d"}, "problem"),
        ("noeviction", "100mb", {"ttl": "7d"}, "ok"),
    ],
)
async def test_a_server_that_evicts_payloads_is_told(look, server, policy, limit, settings, level):
    server.command("CONFIG", "SET", "maxmemory-policy", policy)
    server.command("CONFIG", "SET", "maxmemory", limit)
    try:
        found = await look({"url": server.url, **settings})
    finally:
        server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.command("CONFIG", "SET", "maxmemory", "0")
    assert found["maxmemory-policy"].level == level
    assert policy in found["maxmemory-policy"].message
    assert ("noeviction" in found["maxmemory-policy"].advice) == (level != "ok")


async def test_a_full_server_is_told(look, server):
    server.command("CONFIG", "SET", "maxmemory", "1")
    try:
        found = await look({"url": server.url})
    finally:
        server.command("CONFIG", "SET", "maxmemory", "0")
    assert found["memory"].level == "problem"


async def test_a_server_that_saves_nothing_is_told(look, server):
    found = await look({"url": server.url})
    assert found["persistence"].level == "warning"
    assert "a restart of the server loses all payloads" in found["persistence"].message


async def test_a_server_that_only_takes_snapshots_is_told(look, server):
    server.command("CONFIG", "SET", "save", "3600 1")
    try:
        found = await look({"url": server.url})
    finally:
        server.command("CONFIG", "SET", "save", "")
    assert found["persistence"].level == "warning"
    assert "Snapshots only" in found["persistence"].message


@pytest.fixture
def user(server):
    """Make a user with these rights, and return the settings that log in as him."""
    names: list[str] = []

    def make(*rights):
        name = f"user-{len(names)}"
        names.append(name)
        server.command("ACL", "SETUSER", name, "reset", "on", ">its-password", *rights)
        return {"url": server.url, "username": name, "password": "its-password"}

    yield make
    if names:
        server.command("ACL", "DELUSER", *names)


async def test_a_user_with_just_a_workers_rights_is_found_well_as_a_worker(look, user):
    found = await look(user(*WORKER), write=True)
    assert {check for check, finding in found.items() if finding.level == "problem"} == set()
    assert levels(found, "clock", "version", "persistence") == dict.fromkeys(
        ("clock", "version", "persistence"), "skipped"
    )
    assert found["least privilege"].level == "skipped"
    assert "not granted; needed by the collector" in found["permission UNLINK"].message
    # Such a user cannot remove what was written, and is told what is left.
    assert found["clean-up"].level == "warning"


async def test_the_rights_that_a_collector_lacks_are_told_one_by_one(look, user):
    found = await look(user(*WORKER), use="collector")
    lacking = {check for check, finding in found.items() if finding.level == "problem"}
    assert lacking == {f"permission {name}" for name in COLLECTOR.upper().replace("+", "").split()}
    assert found["permission UNLINK"].advice.startswith("ACL SETUSER ... +unlink ~temporalio:payloads:*")
    assert found["permission UNLINK"].place == f"{PLACE}.url"


async def test_a_user_with_just_a_collectors_rights_is_found_well_as_a_collector(look, user):
    found = await look(user(*WORKER, *COLLECTOR.split()), use="collector", write=True)
    assert {check for check, finding in found.items() if finding.level == "problem"} == set()
    assert found["clean-up"].level == "ok"


async def test_what_refreshing_a_ttl_needs_is_a_right_only_where_it_is_refreshed(look, user):
    login = {**user(*WORKER), "ttl": "1d"}
    assert not [one for one in (await look(login)).values() if one.level == "problem"]
    refreshing = await look({**login, "refresh_ttl": True})
    assert {check for check, finding in refreshing.items() if finding.level == "problem"} == {
        "permission PEXPIRE",
        "permission PTTL",
    }


async def test_a_user_who_may_not_write_is_no_worker_but_a_reader(look, user):
    reader = user("~temporalio:payloads:*", "+ping", "+get", "+mget")
    as_worker, as_reader = await look(reader), await look(reader, use="reader")
    as_either = await look(reader, use_named=False)
    assert as_worker["permission SET"].level == "problem"
    assert as_reader["permission SET"].level == "ok"
    assert as_either["permission SET"].level == "warning"
    assert not [one for one in as_either.values() if one.level == "problem"]


async def test_keys_of_another_prefix_need_rights_of_their_own(look, user):
    found = await look({**user(*WORKER), "key_prefix": "orders"})
    assert levels(found, "permission GET", "permission SET") == {
        "permission GET": "problem",
        "permission SET": "problem",
    }
    assert "~orders:*" in found["permission GET"].advice


async def test_a_user_who_may_ask_and_not_flush_is_found_well(look, user):
    found = await look(user("+@all", "-flushall", "-flushdb", "~*"))
    assert found["least privilege"].level == "ok"


@pytest.mark.parametrize("apart", [timedelta(minutes=1), timedelta(minutes=-1)])
async def test_a_clock_that_is_off_is_told(look, server, apart):
    found = await look({"url": server.url}, now=lambda: datetime.now(UTC) + apart)
    assert found["clock"].level == "warning"
    assert ("behind" if apart > timedelta(0) else "ahead of") in found["clock"].message


async def test_every_primary_of_a_cluster_is_looked_at(look, redis_cluster):
    address = f"{redis_cluster.host}:{redis_cluster.port}"
    found = await look({"cluster": [address]}, write=True, use="collector")
    assert found["cluster"].message == "3 primaries own all slots"
    assert {
        found[check].level for check in ("clock", "version", "permission SCAN", "permission EVAL", "clean-up")
    } == {"ok"}


class OldServer:
    """Answers as Redis 6 does, which nobody packages here."""

    async def execute_command(self, *command: Any, **_: Any) -> Any:
        if command == ("INFO",):
            return {"redis_version": "6.2.14", "maxmemory_policy": "noeviction", "aof_enabled": 1}
        if command[0] == "TIME":
            return int(datetime.now(UTC).timestamp()), 0
        return b""


@pytest.mark.parametrize(("use", "level"), [("worker", "warning"), ("collector", "problem")])
async def test_an_old_server_cannot_be_collected_from(use, level):
    redis: Any = OldServer()
    context = DiagnosisContext(place=PLACE, use=use)
    findings = await ServerDiagnosis(
        redis, Origin(server="old"), "never", (), None, context=context, place="url"
    ).run()
    [version] = [finding for finding in findings if finding.check == "version"]
    assert version.level == level
    assert "Redis 6.2.14" in version.message


async def test_a_client_that_cannot_look_says_so_and_what_was_left(store_context, make_payloads):
    class Shelf(RedisStorageDriverClient):
        def __init__(self):
            self.kept = {}

        async def get(self, *, key):
            return self.kept.get(key)

        async def set_if_absent(self, *, key, data, ttl=None):
            return self.kept.setdefault(key, data) is data

    driver = RedisStorageDriver(Shelf())
    written = await driver.store(store_context, make_payloads(1))
    skipped, left = await driver.diagnose(DiagnosisContext(place=PLACE, written=written))
    assert (skipped.level, left.level) == ("skipped", "warning")
    assert written[0].claim_data["key"] in left.message
