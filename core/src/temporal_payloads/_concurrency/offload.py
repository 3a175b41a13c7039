"""The one bounded thread pool in which work that would stall an event loop is done."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

OFFLOAD_SIZE = 512 * 1024
"""Bytes of work that are done in place: about a millisecond, which no event loop minds. A thread would take
a third of that just to come and go, and a payload of a few hundred kilobytes twice as long."""


@cache
def _pool() -> ThreadPoolExecutor:
    # Compression, hashing and encryption release the GIL: more threads than cores would only take turns.
    return ThreadPoolExecutor(max_workers=os.cpu_count() or 1, thread_name_prefix="temporal-payloads")


if hasattr(os, "register_at_fork"):
    # Threads do not survive a fork: a child that kept the pool would wait for nobody.
    os.register_at_fork(after_in_child=_pool.cache_clear)


async def run_off_loop(work: Callable[[], T], size: int) -> T:
    """Do `work`, which handles `size` bytes: here if that is quick, else in the pool."""
    if size < OFFLOAD_SIZE:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_pool(), work)
