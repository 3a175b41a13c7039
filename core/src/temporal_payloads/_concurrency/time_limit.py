"""Until when the operation under way must have ended, for what may wait or be tried again."""

from __future__ import annotations

import asyncio
import math
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

_ends: ContextVar[Callable[[], float]] = ContextVar("operation_ends", default=lambda: math.inf)


@contextmanager
def operation_ending_at(when: Callable[[], float]) -> Iterator[None]:
    """Let it be known, in this block and the tasks that are begun in it, when the operation must end.

    Args:
        when: Tells it by the event loop's clock. It may change: others may come to wait for the operation.
    """
    token = _ends.set(when)
    try:
        yield
    finally:
        _ends.reset(token)


@asynccontextmanager
async def operation_within(seconds: float, late: Callable[[], Exception]) -> AsyncIterator[None]:
    """Cancel what this block does when its time is up, and let be known in it when that is.

    Args:
        seconds: How long it may take; it may be infinite.
        late: Makes what is raised then.
    """
    ends = asyncio.get_running_loop().time() + seconds
    limit = asyncio.timeout_at(ends if ends < math.inf else None)
    try:
        with operation_ending_at(lambda: ends):
            async with limit:
                yield
    except TimeoutError as error:
        # Else it is the block's own, such as that of a connection.
        if not limit.expired():
            raise
        raise late() from error


def operation_ends() -> float:
    """Return when the operation must end, by the event loop's clock; infinite if it need not."""
    return _ends.get()()


def time_left() -> float:
    """Return the seconds until the operation must end; infinite if it need not."""
    return operation_ends() - asyncio.get_running_loop().time()
