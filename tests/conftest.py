"""Fixtures of the tests that cross distributions: one Temporal server, one bucket and one Redis a session."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from support.events import StorageEvents
from support.keys import new_kms_key
from support.stores import (
    AzureBlobStore,
    FilesystemStore,
    GCSStore,
    PostgresStore,
    RedisStore,
    S3Store,
    Store,
    s3_admin,
)
from support.stores.postgres import make_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_servers import AzuriteServer, GCSServer, PostgresServer, RedisServer, S3Server


@pytest.fixture(scope="session")
def s3_store(s3_server: S3Server) -> Iterator[S3Store]:
    """One bucket for all tests: workflow ids keep their payloads apart."""
    s3_server.create_bucket("payloads")
    with s3_admin(s3_server) as admin:
        yield S3Store(s3_server, "payloads", admin)


@pytest.fixture
def kms_key(moto_server: S3Server) -> Iterator[str]:
    """The URI of a key that moto's KMS keeps."""
    with new_kms_key(moto_server.endpoint_url) as key:
        yield key


@pytest.fixture
def redis_store(redis_server: RedisServer) -> RedisStore:
    """The shared Redis."""
    return RedisStore(redis_server)


@pytest.fixture(scope="session")
def gcs_store(gcs_server: GCSServer) -> GCSStore:
    """One bucket for all tests."""
    gcs_server.create_bucket("payloads")
    return GCSStore(gcs_server, "payloads", gcs_server)


@pytest.fixture(scope="session")
def postgres_store(postgres_server: PostgresServer) -> PostgresStore:
    """One table for all tests."""
    asyncio.run(make_table(postgres_server))
    return PostgresStore(postgres_server)


@pytest.fixture(scope="session")
def filesystem_store(tmp_path_factory: pytest.TempPathFactory) -> FilesystemStore:
    """One directory for all tests."""
    return FilesystemStore(tmp_path_factory.mktemp("payloads"))


@pytest.fixture(scope="session")
def azure_blob_store(azurite_server: AzuriteServer) -> Iterator[AzureBlobStore]:
    """One container for all tests."""
    from azure.storage.blob import ContainerClient  # noqa: PLC0415 - slow to import, and few tests need it

    azurite_server.create_container("payloads")
    credential = {"account_name": azurite_server.account_name, "account_key": azurite_server.account_key}
    with ContainerClient(azurite_server.account_url, "payloads", credential) as admin:
        yield AzureBlobStore(azurite_server, admin)


@pytest.fixture(params=["s3_store", "redis_store"])
def store(request: pytest.FixtureRequest) -> Store:
    """Each store in turn."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Store)
    return found


@pytest.fixture
def storage_events() -> StorageEvents:
    """What the converters of the test did with their stores."""
    return StorageEvents()


@pytest.fixture(autouse=True)
def nothing_left_open() -> Iterator[None]:
    """Collect garbage after each test, so that what it left open warns, and fails, in that very test."""
    yield
    gc.collect()
