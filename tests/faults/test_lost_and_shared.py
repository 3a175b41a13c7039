"""What workers share and remember of a store, when the store lacks a payload or is gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from faults.conftest import NO_CACHE
from temporal_payloads import build_data_converter
from temporal_payloads.plugin import PayloadIntegrityError, PayloadNotFoundError, StorageUnavailableError
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from support.events import StorageEvents
    from support.proxy import TcpProxy
    from support.stores import Store

PAYLOAD = Payload(metadata={"encoding": b"json/plain"}, data=b'"' + b"x" * 5000 + b'"')
READING = StorageDriverRetrieveContext()


def stored_by(workflow_id: str) -> StorageDriverStoreContext:
    """Return the context in which a workflow stores."""
    target = StorageDriverWorkflowInfo(namespace="default", id=workflow_id, run_id="run", type="Order")
    return StorageDriverStoreContext(target=target)


def driver_of(store: Store, events: StorageEvents) -> StorageDriver:
    """Return the driver as the SDK gets it, without a cache."""
    converter = build_data_converter(store.settings(cache=NO_CACHE), registry=events.registry)
    assert converter.external_storage
    return converter.external_storage.drivers[0]


@pytest.mark.parametrize(
    "lose",
    [
        lambda store, claim: store.delete(claim),
        lambda store, claim: store.overwrite(claim, b"damaged"),
    ],
    ids=["deleted", "damaged"],
)
async def test_a_payload_that_is_lost_is_there_again_once_it_is_stored_again(
    store: Store, storage_events: StorageEvents, lose: Callable[[Store, Mapping[str, str]], None]
) -> None:
    driver = driver_of(store, storage_events)
    (claim,) = await driver.store(stored_by("lost"), [PAYLOAD])
    lose(store, claim.claim_data)
    with pytest.raises((PayloadNotFoundError, PayloadIntegrityError)):
        await driver.retrieve(READING, [claim])
    store.delete(claim.claim_data)  # what is damaged has to be taken away: nothing is ever overwritten
    assert await driver.store(stored_by("lost"), [PAYLOAD]) == [claim]
    assert await driver.retrieve(READING, [claim]) == [PAYLOAD]


async def test_a_payload_that_one_workflow_has_lost_does_not_fail_another_that_has_the_same(
    store: Store, storage_events: StorageEvents
) -> None:
    driver = driver_of(store, storage_events)
    lost = await driver.store(stored_by("one"), [PAYLOAD])
    there = await driver.store(stored_by("other"), [PAYLOAD])
    store.delete(lost[0].claim_data)
    failure, payloads, again = await asyncio.gather(
        *(driver.retrieve(READING, claims) for claims in (lost, there, there)), return_exceptions=True
    )
    assert isinstance(failure, PayloadNotFoundError)
    assert payloads == again == [PAYLOAD]


async def test_fifty_readers_of_a_payload_share_one_request_and_its_failure(
    store: Store, proxy: TcpProxy, storage_events: StorageEvents
) -> None:
    driver = driver_of(store.through(proxy.port), storage_events)
    claims = await driver.store(stored_by("outage"), [PAYLOAD])
    proxy.stall()
    reading = [asyncio.create_task(driver.retrieve(READING, claims)) for _ in range(50)]
    await asyncio.sleep(0.2)
    assert proxy.connections == 1
    await proxy.cut()
    failures = await asyncio.gather(*reading, return_exceptions=True)
    assert {type(failure) for failure in failures} == {StorageUnavailableError}
    assert len(set(map(id, failures))) == 50
