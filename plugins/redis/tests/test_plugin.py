import subprocess
import sys
from datetime import timedelta
from importlib.metadata import entry_points

import pytest
import redis
import redis.asyncio
from temporal_payloads_redis import _plugin, new_redis_asyncio_client
from temporal_payloads_redis._settings import RedisSettings


def test_the_entry_point_redis_names_the_plugin():
    (found,) = entry_points(group="temporal_payloads.drivers", name="redis")
    assert found.load() is _plugin


def test_registering_the_plugin_does_not_import_redis():
    program = (
        "import sys, temporal_payloads_redis._plugin as plugin\n"
        "driver = plugin.temporal_payloads_driver()\n"
        "driver.settings(url='redis://127.0.0.1')\n"
        "assert not {'redis', 'hiredis'} & set(sys.modules), 'imported'\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_name_and_type_are_those_of_the_sample(plugin):
    assert (plugin.driver_name, plugin.driver_type, plugin.api_version) == ("redis", "redis", 1)


def test_the_plugin_tells_how_long_payloads_are_kept(plugin):
    assert plugin.expiry(RedisSettings(host="a")) is None
    assert plugin.expiry(RedisSettings(host="a", ttl="7d")) == timedelta(days=7)


HERE = {"url": "redis://user:secret@here:6379/1"}


@pytest.mark.parametrize(
    "same",
    [
        {"url": "redis://user:other@here:6379/1"},
        {"url": "rediss://user:secret@here/1", "check_hostname": False},
        {"host": "here", "database": 1, "username": "user", "password": "rotated"},
        {**HERE, "pool_size": 3, "connect_timeout": "1s", "timeout": "2s", "retries": 0, "ttl": "7d"},
        {**HERE, "max_payload_size": 1000},
    ],
)
def test_tuning_and_a_new_password_leave_the_store_what_it_was(plugin, same):
    assert plugin.identity(RedisSettings(**same)) == plugin.identity(RedisSettings(**HERE))


@pytest.mark.parametrize(
    "other",
    [
        {"url": "redis://user:secret@there:6379/1"},
        {"url": "redis://user:secret@here:6380/1"},
        {"url": "redis://user:secret@here:6379/2"},
        {"url": "redis://somebody:secret@here:6379/1"},
        {**HERE, "key_prefix": "tenant"},
        {"sentinel": {"hosts": ["here:6379"], "service_name": "a"}, "database": 1, "username": "user"},
    ],
)
def test_another_server_database_user_or_prefix_is_another_store(plugin, other):
    assert plugin.identity(RedisSettings(**other)) != plugin.identity(RedisSettings(**HERE))


def test_no_secret_is_part_of_what_tells_stores_apart(plugin):
    assert "secret" not in str(plugin.identity(RedisSettings(**HERE)))


def test_a_client_that_decodes_responses_is_refused():
    with pytest.raises(ValueError, match="decode_responses=False"):
        new_redis_asyncio_client(redis.asyncio.Redis(decode_responses=True))
    with pytest.raises(ValueError, match="decode_responses=False"):
        new_redis_asyncio_client(redis.asyncio.RedisCluster("127.0.0.1", decode_responses=True))


def test_a_client_that_is_not_asynchronous_is_refused():
    with redis.Redis() as client, pytest.raises(TypeError, match="must be a redis"):
        new_redis_asyncio_client(client)
