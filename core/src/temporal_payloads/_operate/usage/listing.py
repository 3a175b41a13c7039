"""Listing stores, part by part, to count what they have."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._errors import message_of
from temporal_payloads._operate.pages import pages_of
from temporal_payloads._operate.usage.counts import StoreCounts
from temporal_payloads._storage.collecting import CollectableDriver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from temporal_payloads._storage.managed_driver import ManagedDriver

PARTS_AT_ONCE = 8
"""Parts of a store that are listed at the same time."""


async def count_stores(
    drivers: Mapping[str, ManagedDriver], namespaces: Sequence[str], counts: Mapping[str, StoreCounts]
) -> None:
    """Count what is in the stores, one after the other. Why one could not be counted is in its counts.

    Args:
        drivers: By their tables' keys.
        namespaces: The Temporal namespaces to look for; what belongs to none is counted too, and what a
            store shows of others.
        counts: By the same keys: what is counted, also while it is.
    """
    for key, driver in drivers.items():
        counted = counts[key]
        try:
            async with driver.opened() as opened:
                if not isinstance(opened, CollectableDriver):
                    told = "its driver cannot list what it has stored"
                    counted.error = {"type": "NotListableError", "message": told}
                    continue
                await count_store(opened, namespaces, counted)
        except Exception as error:  # noqa: BLE001  # a driver may raise anything
            counted.error = {"type": type(error).__name__, "message": message_of(error)}


async def count_store(driver: CollectableDriver, namespaces: Sequence[str], counts: StoreCounts) -> None:
    """Count what is in a store.

    Raises:
        StorageError: It cannot be listed.
    """
    asked: list[str | None] = [*dict.fromkeys(namespaces), None]
    parts: dict[str, set[str | None]] = {}
    """Each part of the store, and for which of the namespaces it is listed."""
    for namespace in asked:
        for shard in driver.shards([namespace]):
            parts.setdefault(shard, set()).add(namespace)

    async def count(part: tuple[str, set[str | None]]) -> None:
        shard, wanted = part
        inside_another = any(shard != other and shard.startswith(other) for other in parts)
        async with aclosing(pages_of(driver, shard)) as pages:
            async for page in pages:
                counts.others += 0 if inside_another else page.others
                for payload in page.payloads:
                    # A part may show payloads of others too: those of a namespace with a part of its own are
                    # counted there, and all that nobody has asked for here.
                    if payload.key.namespace in wanted or payload.key.namespace not in asked:
                        counts.add(payload)

    await gather_bounded(count, list(parts.items()), PARTS_AT_ONCE)
    counts.ended = True
