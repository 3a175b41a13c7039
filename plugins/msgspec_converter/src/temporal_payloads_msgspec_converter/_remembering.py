"""What was found out about a class is kept with the class, and goes with it.

A workflow sandbox imports its modules anew for each run, so classes come and go.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

FoundT = TypeVar("FoundT")


def remembered(cls: type, name: str, find: Callable[[], FoundT]) -> FoundT:
    """Return what was found before under the name, or find it now."""
    try:
        found: FoundT = cls.__dict__[name]  # not a base class's
    except KeyError:
        found = find()
        with suppress(Exception):  # a class that lets nobody set anything is looked at each time
            setattr(cls, name, found)
    return found
