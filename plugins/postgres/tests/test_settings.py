import re
from datetime import timedelta

import pytest
from pydantic import ValidationError
from temporal_payloads_postgres._settings import PostgresSettings

SECRET = "s3cr3t"
HERE = {"host": "here", "database": "temporal"}


def problem(**settings):
    with pytest.raises(ValidationError) as caught:
        PostgresSettings(**settings)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_url_holds_everything():
    settings = PostgresSettings(url="postgresql://us%40er:p%2Fw@example.com:6000/temp%20oral?sslmode=require")
    assert settings.hosts == (("example.com", 6000),)
    assert settings.database_name == "temp oral"
    assert settings.login == ("us@er", "p/w")
    assert settings.effective_sslmode == "require"


def test_a_url_needs_no_more_than_a_host_and_a_database():
    settings = PostgresSettings(url="postgres://example.com/temporal")
    assert settings.hosts == (("example.com", 5432),)
    assert settings.database_name == "temporal"
    assert settings.login == (None, None)
    assert settings.effective_sslmode == "prefer"


def test_a_url_may_name_several_hosts():
    settings = PostgresSettings(url=f"postgresql://u:{SECRET}@a,b:5433,[::1]:5434/temporal")
    assert settings.hosts == (("a", 5432), ("b", 5433), ("::1", 5434))
    assert settings.login == ("u", SECRET)


def test_the_password_may_be_set_apart_from_the_url():
    settings = PostgresSettings(url="postgresql://user@example.com/temporal", password=SECRET)
    assert settings.login == ("user", SECRET)


def test_everything_can_be_set_one_by_one():
    settings = PostgresSettings(host="a, b:5433", port="6000", database="temporal", user="u", password=SECRET)
    assert settings.hosts == (("a", 6000), ("b", 5433))
    assert settings.database_name == "temporal"
    assert settings.login == ("u", SECRET)


def test_whoever_names_an_authority_wants_the_server_to_prove_who_it_is():
    assert PostgresSettings(**HERE, ssl_root_cert="ca.pem").effective_sslmode == "verify-full"
    settings = PostgresSettings(**HERE, ssl_root_cert="ca.pem", sslmode="verify-ca")
    assert settings.effective_sslmode == "verify-ca"


def test_defaults():
    settings = PostgresSettings(**HERE)
    assert settings.schema_and_table == ("temporal_payloads", "payloads")
    assert settings.ttl is None
    assert settings.pool_size == 8
    assert (settings.connect_timeout, settings.timeout) == (timedelta(seconds=5), timedelta(seconds=10))
    assert settings.max_payload_size == 50 * 1024 * 1024


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "no server is named: set url"),
        ({"host": "a"}, "host needs database"),
        ({"url": "postgresql://a/b", "host": "c"}, "host beside url"),
        ({"url": "postgresql://a/b", "database": "c", "port": 1}, "port and database beside url"),
        (
            {"url": f"postgresql://u:{SECRET}@a/b", "password": SECRET},
            "holds a password and password is",
        ),
        ({"url": "postgresql://u@a/b", "user": "v"}, "holds a user name and user is set too"),
        (
            {"url": "postgresql://a/b?sslmode=require", "sslmode": "require"},
            "holds sslmode and sslmode",
        ),
        ({"url": "mysql://a/b"}, "must begin with postgresql://"),
        ({"url": "postgresql://a"}, "must name a database"),
        ({"url": "postgresql:///b"}, "can't be read: write postgresql://"),
        ({"url": f"postgresql://u:{SECRET}[@a/b"}, "can't be read: write postgresql://"),
        ({"url": f"postgresql://u:{SECRET}/x@a/b"}, "can't be read: write postgresql://"),
        ({"url": f"postgresql://a/b?password={SECRET}"}, "takes sslmode and nothing else after"),
        ({"url": f"postgresql://u:#{SECRET}@a/b"}, "percent-encode . and # in the password"),
        ({"url": "postgresql://a/b?sslmode=on"}, "sslmode that there is not: it is one of disable, allow"),
        ({**HERE, "ssl_root_cert": "ca.pem", "sslmode": "prefer"}, "need not be encrypted: set sslmode"),
        ({**HERE, "ssl_cert": "a.pem", "sslmode": "require"}, "ssl_cert and ssl_key, .* go together"),
        ({**HERE, "host": f"u:{SECRET}@a"}, "must hold hosts as"),
        ({**HERE, "ttl": "23h"}, "must be a day or more"),
        ({**HERE, "timeout": 0}, "must be longer than 0 seconds"),
        ({**HERE, "pool_size": 0}, "greater than or equal to 1"),
        ({**HERE, "max_payload_size": "2GiB"}, "less than or equal to"),
        ({**HERE, "passwrod": SECRET}, "Extra inputs are not permitted"),
    ],
)
def test_what_makes_no_sense_is_told(settings, message):
    assert re.search(message, problem(**settings))


@pytest.mark.parametrize(
    "table", ["payloads", "a.b.c", 'a."b', "a.b; DROP TABLE c", "a.1b", "ä.b", f"a.{'b' * 46}", "a.b\n", ""]
)
def test_a_table_is_named_by_schema_and_table_of_plain_letters(table):
    assert "String should match pattern" in problem(**HERE, table=table)


def test_no_secret_is_shown():
    settings = PostgresSettings(url=f"postgresql://u:{SECRET}@a/b")
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()}"
