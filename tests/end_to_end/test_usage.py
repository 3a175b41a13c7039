"""What `usage` counts on real servers is what was stored."""

from __future__ import annotations

from uuid import uuid4

import pytest
from temporal_payloads._build.assembly import build
from temporal_payloads._operate.usage.counts import StoreCounts
from temporal_payloads._operate.usage.listing import count_stores
from temporalio.api.common.v1 import Payload
from temporalio.converter import StorageDriverStoreContext, StorageDriverWorkflowInfo


@pytest.fixture(params=["s3_store", "redis_store", "postgres_store", "filesystem_store"])
def store(request):
    return request.getfixturevalue(request.param)


async def test_payloads_are_counted_on_each_backend(store):
    assembly = build(store.settings())
    [(key, driver)] = assembly.drivers.items()
    namespace = f"usage-{uuid4()}"
    for type_, count in (("Order", 20), ("Refund", 3)):
        for workflow in ("o-1", "o-2"):
            target = StorageDriverWorkflowInfo(namespace=namespace, type=type_, id=workflow, run_id="r")
            payloads = [Payload(data=f"{type_} {number}".encode().ljust(500)) for number in range(count)]
            await driver.store(StorageDriverStoreContext(target=target), payloads)
    counts = {key: StoreCounts(key)}
    await count_stores(assembly.drivers, [namespace], counts)
    counted = counts[key]
    assert counted.error is None
    found = {
        group.type: (group.kind, tally.payloads, tally.bytes // tally.payloads)
        for group, tally in counted.groups.items()
        if group.namespace == namespace
    }
    # Each has 500 bytes of data, and what a serialized payload has beside them.
    assert found == {"Order": ("workflow", 40, 503), "Refund": ("workflow", 6, 503)}
    # What one workflow has stored the other has too.
    assert counted.duplicates.counted().payloads >= 23
