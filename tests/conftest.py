"""Fixtures of the tests that cross distributions: one Temporal server, one bucket and one Redis a session."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest
from support.events import StorageEvents
from support.stores import RedisStore, S3Store, Store, s3_admin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_servers import RedisServer, S3Server


@pytest.fixture(scope="session")
def s3_store(s3_server: S3Server) -> Iterator[S3Store]:
    """One bucket for all tests: workflow ids keep their payloads apart."""
    s3_server.create_bucket("payloads")
    with s3_admin(s3_server) as admin:
        yield S3Store(s3_server, "payloads", admin)


@pytest.fixture
def redis_store(redis_server: RedisServer) -> RedisStore:
    """The shared Redis."""
    return RedisStore(redis_server)


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
