"""What a forked process must make anew before it goes on."""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class RenewedAfterFork(Protocol):
    """An object with a lock, or with threads of its own."""

    def renew_after_fork(self) -> None:
        """Replace what threads of the parent may hold: in the child there are none of them to let it go."""


_objects: WeakSet[RenewedAfterFork] = WeakSet()


def renewed_after_fork(obj: RenewedAfterFork) -> None:
    """Call the object's `renew_after_fork` in every forked process, as long as somebody else uses it.

    Example::

        class Counter:
            def __init__(self):
                self.renew_after_fork()
                renewed_after_fork(self)

            def renew_after_fork(self):
                self._lock = threading.Lock()
    """
    _objects.add(obj)


def _renew() -> None:
    for obj in list(_objects):
        obj.renew_after_fork()


if hasattr(os, "register_at_fork"):
    # One function for all objects: what is registered here cannot be taken back.
    os.register_at_fork(after_in_child=_renew)
