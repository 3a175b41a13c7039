"""One attempt to store payloads: how long each driver has, and which of them are passed over."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
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
    call: object
    """What it has in common with the other attempts of the same call, to store the same payloads."""

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
