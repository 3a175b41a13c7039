"""One attempt to store payloads: how long each driver has, and which of them are passed over."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class StoreAttempt:
    """What `storage.timeout` leaves for storing, in this task and in those that it begins."""

    ends: float
    """When a driver without a fallback must have stored, by the event loop's clock."""
    ends_with_fallback: float
    """When a driver that has a fallback must have stored; the rest of the time is the fallback's."""
    passed_over: frozenset[str]
    """The recorded names of drivers in whose place their fallbacks store."""
    failed: set[str] = field(default_factory=set)
    """The recorded names of drivers that failed in this attempt."""

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Let what is stored in this block, and in the tasks that are begun in it, be part of the attempt."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[StoreAttempt | None] = ContextVar("store_attempt", default=None)


def current_attempt() -> StoreAttempt | None:
    """Return the attempt that is under way; None where no driver has a fallback."""
    return _current.get()


_ends: ContextVar[float] = ContextVar("operation_ends", default=float("inf"))


@contextmanager
def operation_ending_at(when: float) -> Iterator[None]:
    """Let `time_left` know, in this block and the tasks that are begun in it, when the operation must end."""
    token = _ends.set(when)
    try:
        yield
    finally:
        _ends.reset(token)


def time_left() -> float:
    """Return the seconds until the operation must end; infinite if it need not."""
    return _ends.get() - asyncio.get_running_loop().time()
