import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import redis
from temporal_payloads_redis._settings import RedisSettings, SentinelSettings

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CONFIGURATIONS = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
(PROGRAM,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
(RULES,) = re.findall(r"ACL SETUSER payloads (.*)", README)


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_the_configurations_of_the_readme_are_valid(text):
    RedisSettings(**tomllib.loads(text)["storage"]["drivers"]["redis"])


@pytest.mark.parametrize("setting", [*RedisSettings.model_fields, *SentinelSettings.model_fields])
def test_the_readme_names_every_setting(setting):
    assert f"`{setting}`" in README


async def test_the_program_of_the_readme_makes_a_driver():
    names: dict[str, Any] = {}
    exec(compile(PROGRAM, "README.md", "exec"), names)
    assert names["driver"].name() == "redis"
    await names["redis_client"].aclose()


@pytest.fixture
def user(server):
    server.command("ACL", "SETUSER", "payloads", *RULES.split())
    yield {"host": "127.0.0.1", "port": server.port, "username": "payloads", "password": "PASSWORD"}
    server.command("ACL", "DELUSER", "payloads")


async def test_the_permissions_of_the_readme_suffice(
    user, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(20)
    async with open_driver(**user, ttl="1h") as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads


async def test_the_permissions_that_refresh_ttl_adds_suffice(
    user, server, open_driver, store_context, make_payloads
):
    (added,) = re.findall(r"with `refresh_ttl` also `(.*?)`", README)
    server.command("ACL", "SETUSER", "payloads", *added.split())
    async with open_driver(**user, ttl="1h", refresh_ttl=True) as driver:
        claims = await driver.store(store_context, make_payloads(20))
        assert await driver.store(store_context, make_payloads(20)) == claims


async def test_the_permission_that_a_database_adds_suffices(user, server, open_driver):
    (added,) = re.findall(r"also\n?\s*`(\+select)`", README)
    server.command("ACL", "SETUSER", "payloads", added)
    async with open_driver(**user, database=1) as driver:
        await driver.check()


@pytest.fixture
def cluster_user(redis_cluster):
    (added,) = re.findall(r"in a cluster also `(.*?)`", README)
    with redis.RedisCluster(redis_cluster.host, redis_cluster.port) as client:
        nodes = [node.redis_connection for node in client.get_primaries()]
        for node in nodes:
            node.execute_command("ACL SETUSER", "payloads", *RULES.split(), *added.split())
        yield {"username": "payloads", "password": "PASSWORD", "url": redis_cluster.url, "cluster": True}
        for node in nodes:
            node.execute_command("ACL DELUSER", "payloads")


async def test_the_permissions_that_a_cluster_adds_suffice(
    cluster_user, open_driver, store_context, retrieve_context, make_payloads
):
    payloads = make_payloads(50)
    async with open_driver(**cluster_user) as driver:
        await driver.check()
        claims = await driver.store(store_context, payloads)
        assert await driver.retrieve(retrieve_context, claims) == payloads
