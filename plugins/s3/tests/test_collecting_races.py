"""No payload that somebody needs is lost, whatever writers and a collector do at once."""

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.retries.standard import ExponentialBackoff
from support.collecting_storm import CollectingStorm, rounds
from support.lossy_proxy import LossyProxy, Queue

ROUNDS = rounds(100)
"""On two cores of their own, ten thousand take a quarter of an hour or so."""


@asynccontextmanager
async def storm_on(open_driver: Any, server: Any, bucket: str, **options: Any) -> Any:
    random = Random(1)
    queue = Queue(random)
    address = urlsplit(server.endpoint_url)
    async with AsyncExitStack() as stack:
        proxies = [
            await stack.enter_async_context(LossyProxy(str(address.hostname), address.port or 0, queue))
            for _ in range(3)
        ]

        async def settle() -> None:
            for proxy in proxies:
                await proxy.settle()

        drivers = [
            await stack.enter_async_context(
                open_driver(
                    replace(server, endpoint_url=f"http://127.0.0.1:{proxy.port}"),
                    bucket,
                    max_attempts=4,
                    pool_size=20,
                )
            )
            for proxy in proxies
        ]
        calm = await stack.enter_async_context(open_driver(server, bucket))
        yield CollectingStorm(
            writers=drivers[:2], collector=drivers[2], calm=calm, random=random, settle=settle, **options
        )


@pytest.fixture(autouse=True)
def retries_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)


@pytest.mark.parametrize("versioning", [None, "Enabled"])
async def test_nothing_that_somebody_needs_is_lost(
    *, open_driver: Any, s3_server: Any, s3_bucket: str, wire: Any, versioning: str | None
) -> None:
    if versioning:
        await wire.client.put_bucket_versioning(
            Bucket=s3_bucket, VersioningConfiguration={"Status": versioning}
        )
    kept = versioning == "Enabled"
    async with storm_on(open_driver, s3_server, s3_bucket, looks_missing=kept) as storm:
        outcomes = await storm.run(ROUNDS)
    expected = {"store: done", "put_aside: done", "restore: done", "delete: done", "delete: changed"}
    assert expected <= set(outcomes), outcomes
