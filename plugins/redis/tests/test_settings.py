import re
from datetime import timedelta

import pytest
from pydantic import ValidationError
from temporal_payloads_redis._settings import RedisSettings

SECRET = "s3cr3t"


def problem(**settings):
    with pytest.raises(ValidationError) as caught:
        RedisSettings(**settings)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_url_holds_everything():
    settings = RedisSettings(url="rediss://us%40er:p%2Fw@example.com:6390/3")
    assert settings.nodes == (("example.com", 6390),)
    assert settings.uses_tls
    assert settings.database_number == 3
    assert settings.login == ("us@er", "p/w")


def test_a_url_needs_no_more_than_a_host():
    settings = RedisSettings(url="redis://example.com")
    assert settings.nodes == (("example.com", 6379),)
    assert not settings.uses_tls
    assert settings.database_number == 0
    assert settings.login == (None, None)


def test_the_password_may_be_set_apart_from_the_url():
    assert RedisSettings(url="redis://user@example.com", password=SECRET).login == ("user", SECRET)


def test_everything_can_be_set_one_by_one():
    settings = RedisSettings(host="::1", port="6390", database="2", username="u", password=SECRET, tls="true")
    assert settings.nodes == (("::1", 6390),)
    assert settings.database_number == 2
    assert settings.login == ("u", SECRET)
    assert settings.uses_tls


def test_hosts_are_a_list_or_in_a_variable_a_text_with_commas():
    expected = (("a", 6379), ("b", 7000), ("::1", 7001))
    assert RedisSettings(cluster=["a", "b:7000", "[::1]:7001"]).nodes == expected
    assert RedisSettings(cluster="a, b:7000,[::1]:7001").nodes == expected
    assert RedisSettings(url="redis://a", cluster="true").cluster is True
    sentinel = {"hosts": "a,b:7000", "service_name": "main"}
    assert RedisSettings(sentinel=sentinel).nodes == (("a", 26379), ("b", 7000))


def test_defaults_are_those_of_the_sample():
    settings = RedisSettings(host="a")
    assert settings.key_prefix == "temporalio:payloads"
    assert settings.ttl is None
    assert settings.refresh_ttl is False
    assert settings.max_payload_size == 50 * 1024 * 1024


def test_durations_and_sizes_have_units():
    settings = RedisSettings(host="a", ttl="7d", timeout="500ms", max_payload_size="1MiB")
    assert settings.ttl == timedelta(days=7)
    assert settings.timeout == timedelta(milliseconds=500)
    assert settings.max_payload_size == 1024 * 1024


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "no server is named: set url"),
        ({"cluster": True}, "no server is named: set url"),
        ({"url": "redis://a", "host": "b"}, "url and host each name the server: keep one"),
        ({"host": "a", "cluster": ["b"]}, r"host and cluster \(a list\) each name the server"),
        (
            {"host": "a", "sentinel": {"hosts": ["b"], "service_name": "m"}},
            "host and sentinel each name the server",
        ),
        (
            {"cluster": True, "sentinel": {"hosts": ["b"], "service_name": "m"}},
            "cluster and sentinel exclude each other",
        ),
        ({"url": "redis://a", "port": 1}, "port goes with host"),
        ({"url": "redis://a", "database": 1}, "database goes with host"),
        ({"url": "redis://a/1", "cluster": True}, "a cluster has database 0 only"),
        ({"cluster": ["a"], "database": 1}, "a cluster has database 0 only"),
        ({"url": f"redis://:{SECRET}@a", "password": SECRET}, "the url holds a password and password is set"),
        ({"url": "redis://u@a", "username": "v"}, "the url holds a user name and username is set"),
        ({"url": "redis://a", "tls": True}, "write rediss:// for TLS"),
        ({"url": "rediss://a", "tls": False}, "write rediss:// for TLS"),
        ({"host": "a", "ca_file": "ca.pem"}, "ca_file without TLS"),
        ({"host": "a", "check_hostname": False}, "check_hostname without TLS"),
        ({"host": "a", "tls": True, "cert_file": "c.pem"}, "cert_file needs key_file"),
        ({"host": "a", "tls": True, "key_file": "k.pem"}, "key_file needs cert_file"),
        ({"host": "a", "refresh_ttl": True}, "set ttl too"),
        ({"host": "a", "ttl": 0}, "longer than 0 seconds"),
        ({"host": "a", "ttl": "soon"}, "not a duration"),
        ({"host": "a", "timeout": "0s"}, "longer than 0 seconds"),
        ({"host": "a", "pool_size": 0}, "greater than or equal to 1"),
        ({"host": "a", "retries": -1}, "greater than or equal to 0"),
        ({"host": "a", "database": -1}, "greater than or equal to 0"),
        ({"host": "a", "max_payload_size": "1GiB"}, "less than or equal to"),
        ({"cluster": []}, "at least 1 item"),
        ({"cluster": ["a:b:c"]}, "'host:port'"),
        ({"cluster": [f"u:{SECRET}@a"]}, "'host:port'"),
        ({"sentinel": {"hosts": ["a"]}}, "service_name"),
        ({"host": "a", "hots": "b"}, "hots"),
        ({"host": f"redis://:{SECRET}@a"}, "a URL goes into url"),
        ({"host": f"u:{SECRET}@a"}, "a bare host name"),
        ({"host": "a:6379"}, "a port into port"),
        ({"url": f"http://:{SECRET}@a"}, "must begin with redis://, or rediss://"),
        ({"url": f"redis://:{SECRET}/{SECRET}@a"}, "special characters of the password percent-encoded"),
        ({"url": f"redis://:{SECRET}#{SECRET}@a:1"}, "special characters of the password percent-encoded"),
        ({"url": "redis://"}, "names no host"),
        ({"url": f"redis://a?password={SECRET}"}, "settings of their own"),
        ({"url": "redis://a/main"}, "the number of a database"),
    ],
)
def test_what_contradicts_itself_is_refused_with_what_to_do(settings, sentence):
    assert re.search(sentence, problem(**settings))


def test_several_contradictions_are_told_at_once():
    told = problem(url="redis://a", host="b", refresh_ttl=True, ca_file="ca.pem")
    assert "keep one" in told
    assert "set ttl too" in told
    assert "ca_file without TLS" in told


def test_passwords_are_never_shown():
    settings = RedisSettings(url=f"redis://user:{SECRET}@a/0")
    apart = RedisSettings(password=SECRET, sentinel={"hosts": ["a"], "service_name": "m", "password": SECRET})
    for shown in (
        repr(settings),
        str(settings),
        repr(apart),
        settings.model_dump_json(),
        str(apart.model_dump()),
    ):
        assert SECRET not in shown


def test_every_setting_is_described_for_the_reference():
    assert [name for name, field in RedisSettings.model_fields.items() if not field.description] == []
