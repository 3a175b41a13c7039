"""The one bounded thread pool in which work that would stall an event loop is done."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

OFFLOAD_SIZE = 512 * 1024
"""Bytes of work that are done in place: about a millisecond, which no event loop minds. A thread would take
a third of that just to come and go, and a payload of a few hundred kilobytes twice as long.

Example::

    found = await run_off_loop(file.read_bytes, OFFLOAD_SIZE)  # whatever its size: a disk can be slow
"""


@cache
def _pool() -> ThreadPoolExecutor:
    # Compression, hashing and encryption release the GIL: more threads than cores would only take turns.
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="temporal-payloads")


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork: a child that kept the pool would wait for nobody.
    os.register_at_fork(after_in_child=_pool.cache_clear)


async def run_off_loop(work: Callable[[], T], size: int) -> T:
    """Do `work`, which handles `size` bytes: here if that is quick, else in the pool.

    A thread cannot be stopped. If the caller is cancelled, work that waits for a thread is not begun, and
    work that a thread has begun is waited for: what it holds is held until then.

    Example::

        digest = await run_off_loop(lambda: hashlib.sha256(data).hexdigest(), len(data))
    """
    if size < OFFLOAD_SIZE:
        return work()
    begun = _pool().submit(work)
    done = asyncio.wrap_future(begun)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        if not begun.cancel():
            await _ended(done)
        raise


async def _ended(done: asyncio.Future[T]) -> None:
    while not done.done():
        # Whoever is cancelled again has still to wait.
        with suppress(asyncio.CancelledError):
            await asyncio.wait([done])
    # Nobody wants the result any more, nor the failure.
    _ = done.cancelled() or done.exception()
