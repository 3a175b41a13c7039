"""Changes of payloads in a store: what came of each, also if the store fails in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from temporal_payloads._concurrency.gather import gather_bounded
from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from temporal_payloads._storage.change import Change

T = TypeVar("T")


async def change_each(
    change: Callable[[T], Awaitable[Change]], payloads: Sequence[T], limit: int
) -> list[Change]:
    """Change payloads one by one, at most `limit` at once, and return what came of it in their order.

    When the store fails, changes that are under way end, and no more are begun.

    Args:
        change: Changes one.
        payloads: All of them.
        limit: How many at once.

    Raises:
        StorageError: The first that `change` raised; its `changes` say what came of all, in their order.

    Example::

        async def delete(self, payloads):
            return await change_each(self._delete_one, payloads, self._concurrency)
    """

    async def change_one(batch: Sequence[T]) -> list[Change]:
        return [await change(batch[0])]

    return await change_batches(change_one, payloads, 1, limit)


async def change_batches(
    change: Callable[[Sequence[T]], Awaitable[Sequence[Change]]],
    payloads: Sequence[T],
    size: int,
    limit: int,
) -> list[Change]:
    """Change payloads in batches, at most `limit` at once, and return what came of each in their order.

    It is `change_each` for a store that changes several with one request. When the store fails, batches that
    are under way end, and no more are begun.

    Args:
        change: Changes the payloads of a batch, and returns what came of each in their order.
        payloads: All of them.
        size: How many payloads in a batch, at most.
        limit: How many batches at once.

    Raises:
        StorageError: The first that `change` raised; its `changes` say what came of all, in their order. Of
            the batch that failed that is `unknown`.

    Example::

        async def delete(self, payloads):
            return await change_batches(self._delete_at_once, payloads, 100, self._concurrency)
    """
    changes: list[Change] = ["unknown"] * len(payloads)
    failures: list[StorageError] = []

    async def change_batch(start: int) -> None:
        if failures:
            return
        numbers = range(start, min(start + size, len(payloads)))
        try:
            outcomes = await change(payloads[start : start + size])
        except StorageError as error:
            failures.append(error)
            return
        for number, outcome in zip(numbers, outcomes, strict=True):
            changes[number] = outcome

    await gather_bounded(change_batch, range(0, len(payloads), size), limit)
    if failures:
        failures[0].changes = changes
        raise failures[0]
    return changes
