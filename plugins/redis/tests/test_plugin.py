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


def test_a_client_that_decodes_responses_is_refused():
    with pytest.raises(ValueError, match="decode_responses=False"):
        new_redis_asyncio_client(redis.asyncio.Redis(decode_responses=True))
    with pytest.raises(ValueError, match="decode_responses=False"):
        new_redis_asyncio_client(redis.asyncio.RedisCluster("127.0.0.1", decode_responses=True))


def test_a_client_that_is_not_asynchronous_is_refused():
    with redis.Redis() as client, pytest.raises(TypeError, match="must be a redis"):
        new_redis_asyncio_client(client)
