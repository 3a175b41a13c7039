"""How a failing test of the kit tells which promise was broken, how, and what usually breaks it."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, Protocol, cast

import pytest

P = ParamSpec("P")

LONGEST_LINE = 300
MOST_LINES = 40
INNERMOST_FRAMES = 8


class PromiseTest(Protocol[P]):
    """A test of the kit. Its name and docstring are the promise."""

    promise: str
    usually: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Hold a plugin to the promise."""


def broken_by(usually: str) -> Callable[[Callable[P, None]], PromiseTest[P]]:
    """Let a test tell its failure in three sentences: what was promised, what happened, what usually does it.

    Whatever the test or the plugin raises is told so, and shortened: no payload is printed.

    Args:
        usually: What usually breaks the promise.
    """

    def decorate(test: Callable[P, None]) -> PromiseTest[P]:
        name = test.__name__.removeprefix("test_").replace("_", " ")
        promise = f"{name[0].upper()}{name[1:]}. {' '.join((test.__doc__ or '').split())}".rstrip()

        @wraps(test)
        def told(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                test(*args, **kwargs)
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # whatever it is, it is told
                what = happened(error)
            else:
                return
            pytest.fail(f"Promised: {promise}\nHappened: {what}\nUsually:  {usually}", pytrace=False)

        telling = cast("PromiseTest[P]", told)
        telling.promise = promise
        telling.usually = usually
        return telling

    return decorate


def happened(error: BaseException) -> str:
    """Return what an exception says: words first, and where an error of others comes from after them."""
    if isinstance(error, AssertionError | pytest.fail.Exception) and str(error):
        words, others = str(error), error.__cause__
    else:
        words, others = raised(error), error
    where = traceback.format_exception(others, limit=-INNERMOST_FRAMES) if others else []
    return shortened("\n".join([words, "".join(where)]).strip())


def raised(error: BaseException) -> str:
    """Return in words that something was raised, for what happened."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name} was raised: {error}" if str(error) else f"{name} was raised, which says nothing more"


def shortened(text: str) -> str:
    """Return a text without the lines, and the ends of lines, that are too many to read."""
    lines = text.splitlines()
    if len(lines) > MOST_LINES:
        half = MOST_LINES // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} lines ...", *lines[-half:]]
    return "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines)
