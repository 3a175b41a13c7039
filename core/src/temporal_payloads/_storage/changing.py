"""Changes of payloads in a store, one by one: what came of each, also if the store fails in between."""

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
    changes: list[Change] = ["unknown"] * len(payloads)
    failures: list[StorageError] = []

    async def change_one(number: int) -> None:
        if failures:
            return
        try:
            changes[number] = await change(payloads[number])
        except StorageError as error:
            failures.append(error)

    await gather_bounded(change_one, range(len(payloads)), limit)
    if failures:
        failures[0].changes = changes
        raise failures[0]
    return changes
