import os
import subprocess
import sys
from datetime import timedelta
from importlib.metadata import entry_points

import pytest
from temporal_payloads_postgres import _command, _plugin
from temporal_payloads_postgres._settings import PostgresSettings

HERE = {"url": "postgresql://user:secret@here:5432/temporal"}


def test_the_entry_points_name_the_plugin_and_its_command():
    (driver,) = entry_points(group="temporal_payloads.drivers", name="postgres")
    (command,) = entry_points(group="temporal_payloads.commands", name="postgres")
    assert (driver.load(), command.load()) == (_plugin, _command.command)


def test_the_plugin_tells_how_long_payloads_are_kept(plugin):
    assert plugin.expiry(PostgresSettings(**HERE)) is None
    assert plugin.expiry(PostgresSettings(**HERE, ttl="7d")) == timedelta(days=7)


@pytest.mark.parametrize(
    "same",
    [
        {"url": "postgresql://user:other@here/temporal?sslmode=require"},
        {"host": "here", "database": "temporal", "user": "user", "password": "rotated"},
        {
            **HERE,
            "pool_size": 3,
            "connect_timeout": "1s",
            "timeout": "2s",
            "ttl": "7d",
            "max_payload_size": 1,
        },
    ],
)
def test_tuning_and_a_new_password_leave_the_store_what_it_was(plugin, same):
    assert plugin.identity(PostgresSettings(**same)) == plugin.identity(PostgresSettings(**HERE))


@pytest.mark.parametrize(
    "other",
    [
        {"url": "postgresql://user:secret@there/temporal"},
        {"url": "postgresql://user:secret@here:5433/temporal"},
        {"url": "postgresql://user:secret@here/other"},
        {"url": "postgresql://somebody:secret@here/temporal"},
        {**HERE, "table": "temporal_payloads.other"},
    ],
)
def test_another_server_database_user_or_table_is_another_store(plugin, other):
    assert plugin.identity(PostgresSettings(**other)) != plugin.identity(PostgresSettings(**HERE))


def test_no_secret_is_part_of_what_tells_stores_apart(plugin):
    assert "secret" not in str(plugin.identity(PostgresSettings(**HERE)))


def test_without_libpq_the_error_says_what_to_install():
    program = (
        "import asyncio\n"
        "from temporal_payloads import PayloadSettings, open_data_converter\n"
        "from temporal_payloads.plugin import StorageMisconfiguredError\n"
        "table = {'url': 'postgresql://u:s3cr3t@127.0.0.1:1/b'}\n"
        "async def main():\n"
        "    settings = PayloadSettings(storage={'drivers': {'postgres': table}})\n"
        "    try:\n"
        "        async with open_data_converter(settings): pass\n"
        "    except StorageMisconfiguredError as error:\n"
        "        print(error)\n"
        "asyncio.run(main())\n"
    )
    # psycopg looks for an implementation of this name; what it lacks then is what it lacks without libpq.
    environment = {**os.environ, "PSYCOPG_IMPL": "missing"}
    ended = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "pip install 'temporal-payloads-postgres[binary]'" in ended.stdout
