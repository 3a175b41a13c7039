"""Each server serves what the tests of this repository need of it."""

import contextlib
import urllib.request

import botocore.exceptions
import pytest
import redis
from local_servers import RedisServer, S3Server, TemporalServer, start_redis, start_temporal
from local_servers.s3 import open_client
from temporalio.client import Client


@pytest.mark.parametrize("fixture", ["s3_server", "moto_server"])
def test_s3_keeps_objects_and_writes_conditionally(fixture, request):
    server: S3Server = request.getfixturevalue(fixture)
    server.create_bucket("kept-objects")
    server.create_bucket("kept-objects")
    with open_client(server) as client:
        client.put_object(Bucket="kept-objects", Key="a", Body=b"first", IfNoneMatch="*")
        with pytest.raises(botocore.exceptions.ClientError, match="PreconditionFailed"):
            client.put_object(Bucket="kept-objects", Key="a", Body=b"second", IfNoneMatch="*")
        body = client.get_object(Bucket="kept-objects", Key="a", Range="bytes=1-2")["Body"]
        assert body.read() == b"ir"


def test_s3_refuses_a_wrong_secret(s3_server: S3Server):
    stranger = S3Server(s3_server.endpoint_url, secret_access_key="wrong")
    with open_client(stranger) as client, pytest.raises(botocore.exceptions.ClientError, match="Signature"):
        client.list_buckets()


def test_each_test_has_a_bucket_of_its_own(s3_server: S3Server, s3_bucket: str):
    with open_client(s3_server) as client:
        assert client.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0


def test_redis_answers(redis_server: RedisServer):
    with redis_server.client() as client:
        client.set("a", b"b")
        assert client.get("a") == b"b"


def test_redis_wants_the_password(tmp_path):
    with start_redis(tmp_path, password="right") as server:
        assert "right" not in repr(server)
        assert "right" in server.url
        stranger = RedisServer(server.host, server.port)
        with stranger.client() as client, pytest.raises(redis.AuthenticationError):
            client.get("a")


def test_redis_with_tls_has_a_certificate_of_its_own_authority(redis_tls_server: RedisServer):
    value = bytes(range(256)) * 20_000
    with redis_tls_server.client() as client:
        client.set("a", value)
        assert client.get("a") == value
    with (
        contextlib.closing(redis.Redis.from_url(redis_tls_server.url)) as distrustful,
        pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        distrustful.ping()


def test_a_redis_cluster_spreads_keys_over_three_masters(redis_cluster: RedisServer):
    with contextlib.closing(redis.RedisCluster.from_url(redis_cluster.url)) as client:
        primaries = client.get_primaries()
        assert len(primaries) == 3
        before = [int(client.dbsize(target_nodes=node)) for node in primaries]  # other tests use it too
        for number in range(50):
            client.set(f"key-{number}", b"value")
        after = [int(client.dbsize(target_nodes=node)) for node in primaries]
        client.disconnect_connection_pools()
    new = [now - then for then, now in zip(before, after, strict=True)]
    assert sum(new) == 50
    assert min(new) > 0


async def test_temporal_takes_a_client(temporal_server: TemporalServer):
    client = await Client.connect(temporal_server.address, namespace=temporal_server.namespace)
    assert await client.service_client.check_health()


def test_temporal_can_have_more_namespaces_and_a_web_ui(tmp_path):
    with start_temporal(
        tmp_path, ui=True, ui_codec_endpoint="http://127.0.0.1:8081", namespaces=["eu"]
    ) as server:
        with urllib.request.urlopen(f"{server.http_url}/api/v1/namespaces/eu") as response:
            assert b'"eu"' in response.read()
        with urllib.request.urlopen(f"{server.ui_url}/api/v1/settings") as response:
            assert b"127.0.0.1:8081" in response.read()
