"""Drivers as the kit runs them: by core, in event loops of their own."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriverActivityInfo,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)

from temporal_payloads._concurrency.per_loop import PerLoop
from temporal_payloads._plugins.contract import ConfinedClaim, DriverContext, DriverPlugin
from temporal_payloads._settings.models import CircuitSettings
from temporal_payloads._storage.asking import AskedDriver
from temporal_payloads._storage.circuit import Circuit
from temporal_payloads._storage.managed_driver import ManagedDriver
from temporal_payloads._storage.namespaces import AllowedNamespaces
from temporal_payloads._storage.operations import DriverIdentity

PLACE = "storage.drivers.conformance"
TIMEOUT = timedelta(minutes=1)
WORKFLOW = StorageDriverWorkflowInfo(namespace="default", id="order-1", run_id="run-1", type="Order")
STORE = StorageDriverStoreContext(target=WORKFLOW)
RETRIEVE = StorageDriverRetrieveContext()
TARGETS = (
    None,
    WORKFLOW,
    StorageDriverWorkflowInfo(namespace="default", id="order-1"),
    StorageDriverWorkflowInfo(
        namespace="prod.a1b2", id="a/b:c 9%&+=?#~/../größe-注文", run_id="r", type="Ünï/T"
    ),
    StorageDriverWorkflowInfo(namespace="default", id="ö" * 500, run_id="r" * 500, type="T" * 500),
    StorageDriverActivityInfo(namespace="default", id="resize-1", run_id="run-1", type="Resize"),
)
Story = Callable[[ManagedDriver], Awaitable[None]]


def managed(
    plugin: DriverPlugin[Any],
    settings: BaseModel,
    confine: Callable[[StorageDriverClaim], ConfinedClaim] | None = None,
) -> ManagedDriver:
    """Return the driver as core runs it, without cache and deduplication: each call reaches the store."""
    context = driver_context(plugin)
    return ManagedDriver(
        DriverIdentity(name=context.name, type=plugin.driver_type, place=PLACE, fingerprint=PLACE),
        AskedDriver(
            PerLoop(partial(plugin.open, settings, context)),
            Circuit(CircuitSettings(failures=0), PLACE),
            retries_itself=True,
        ),
        has_fallback=False,
        confine=confine or partial(plugin.confine, settings),
        namespaces=AllowedNamespaces(None),
        timeout=TIMEOUT,
        cache=None,
        dedupe=False,
        missing_is_final=False,
        notify=lambda _event: None,
        wants=lambda _kind: False,
    )


def run(
    plugin: DriverPlugin[Any],
    settings: BaseModel,
    story: Story,
    *,
    confine: Callable[[StorageDriverClaim], ConfinedClaim] | None = None,
) -> None:
    """Tell the story of one driver in an event loop of its own."""
    driver = managed(plugin, settings, confine)
    run_loop(lambda: story(driver))


def run_loop(story: Callable[[], Awaitable[None]]) -> None:
    """Run it in an event loop of its own. What it leaves open is for another test to complain of."""
    complaints_of(story)


def complaints_of(story: Callable[[], Awaitable[None]]) -> list[str]:
    """Run it in an event loop of its own, and return what the loop and Python say was left open."""
    complaints: list[str] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context["message"])
        )
        await story()

    gc.collect()  # what others left is not ours to complain of
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        asyncio.run(main())
        gc.collect()
    return complaints + [str(each.message) for each in caught if issubclass(each.category, ResourceWarning)]


def driver_context(plugin: DriverPlugin[Any], name: str | None = None) -> DriverContext:
    """Return the context with which core would open the driver."""
    return DriverContext(name=name or plugin.driver_name, place=PLACE, concurrency=8)


def trusting(claim: StorageDriverClaim) -> ConfinedClaim:
    """Let every claim through, to see what the driver itself makes of it."""
    return ConfinedClaim(claim=claim, sha256=repr(sorted(claim.claim_data.items())), namespace=None)


async def store(driver: ManagedDriver, *payloads: Payload) -> list[StorageDriverClaim]:
    """Store payloads for a workflow."""
    return await driver.store(STORE, payloads)
