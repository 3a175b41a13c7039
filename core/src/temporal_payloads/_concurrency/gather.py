"""Concurrent work of which the first failure is the caller's, and nothing is left running."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

T = TypeVar("T")
R = TypeVar("R")


async def gather_bounded(work: Callable[[T], Awaitable[R]], items: Sequence[T], limit: int) -> list[R]:
    """Run `work` on each item, at most `limit` at once, and return the results in the items' order.

    The first exception is raised as it is (no exception group: callers match on its type), after the
    remaining work was cancelled and has ended.

    Example::

        async def read(self, keys):
            return await gather_bounded(self._client.get, keys, limit=self._concurrency)
    """
    if len(items) == 1:
        return [await work(items[0])]
    queue = iter(enumerate(items))
    results: dict[int, R] = {}

    async def worker() -> None:
        for index, item in queue:
            results[index] = await work(item)

    tasks = [asyncio.create_task(worker()) for _ in range(min(limit, len(items)))]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    return [results[index] for index in range(len(items))]
