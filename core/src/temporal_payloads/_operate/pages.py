"""What a store lists, page by page, no faster than it may be asked."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from temporal_payloads._storage.collecting import CollectableDriver, ListedPage


async def pages_of(
    driver: CollectableDriver, shard: str, *, wait: Callable[[], Awaitable[None]] | None = None
) -> AsyncGenerator[ListedPage, None]:
    """Yield the pages of a part of a store.

    Whoever stops before the end closes it (`aclosing`), and with it the driver's own listing.

    Args:
        driver: Its driver.
        shard: The part.
        wait: Returns when the next page may be asked for, as `Throttle.wait` does; None for no limit.

    Raises:
        StorageError: The store cannot be listed.
    """
    async with aclosing(driver.list_payloads(shard)) as pages:
        while True:
            if wait is not None:
                await wait()
            page = await anext(pages, None)
            if page is None:
                return
            yield page
