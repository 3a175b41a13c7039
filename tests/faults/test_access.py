"""The store refuses, or is not the one in the settings: each fault has its own type, and can be mended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.values import large
from support.workflows import Echo
from temporal_payloads import open_data_converter
from temporal_payloads.plugin import StorageMisconfiguredError, StoragePermissionError

if TYPE_CHECKING:
    from faults.conftest import Bench
    from support.stores import RedisStore, S3Store

PASSWORD = "right-password"


@pytest.fixture
def locked_out(bench: Bench) -> dict[str, Any]:
    """Changes to the driver's table that make its credentials wrong."""
    if bench.store.type == "s3":
        return {"secret_access_key": "wrong-secret"}
    return {"username": "nobody", "password": "wrong-secret"}


async def test_wrong_credentials_keep_a_client_out(
    bench: Bench, locked_out: dict[str, Any], task_queue: str
) -> None:
    client = await bench.client(driver=locked_out)
    with pytest.raises(StoragePermissionError) as raised:
        await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    assert f"storage.drivers.{bench.store.type}" in str(raised.value)
    assert "wrong-secret" not in str(raised.value)


async def test_wrong_credentials_show_when_a_converter_is_opened(
    bench: Bench, locked_out: dict[str, Any]
) -> None:
    with pytest.raises(StoragePermissionError):
        async with open_data_converter(bench.store.settings(driver=locked_out)):
            pass


async def test_a_workflow_waits_for_a_worker_with_the_right_credentials(
    bench: Bench, locked_out: dict[str, Any], task_queue: str
) -> None:
    client = await bench.client()
    handle = await bench.start(client, Echo.run, large("order"), task_queue=task_queue)
    async with await bench.worker(task_queue, driver=locked_out):
        await bench.events.failure("StoragePermissionError")
    async with await bench.worker(task_queue):
        assert await handle.result() == large("order")


async def test_a_missing_bucket_is_named_with_its_setting(s3_store: S3Store) -> None:
    settings = s3_store.settings(driver={"bucket": "no-such-bucket"})
    with pytest.raises(StorageMisconfiguredError) as raised:
        async with open_data_converter(settings):
            pass
    assert "no-such-bucket" in str(raised.value)
    assert "storage.drivers.s3.bucket" in str(raised.value)
    assert not raised.value.non_retryable


async def test_a_user_without_a_permission_is_told_which(redis_store: RedisStore) -> None:
    with redis_store.server.client() as admin:
        admin.execute_command(
            "ACL", "SETUSER", "reader", "on", f">{PASSWORD}", "~*", "+get", "+mget", "+ping"
        )
    settings = redis_store.settings(driver={"username": "reader", "password": PASSWORD})
    async with open_data_converter(settings) as converter:
        with pytest.raises(StoragePermissionError) as raised:
            await converter.encode([large("order")])
    assert "'set'" in str(raised.value)
    assert PASSWORD not in str(raised.value)
