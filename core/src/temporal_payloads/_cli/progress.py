"""How far long work is: said on standard error, on a terminal, and only of what takes more than a second."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from temporal_payloads._cli.output import on_terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PATIENCE = 1.0
"""Seconds without a word."""


class Step(NamedTuple):
    """How far work is."""

    text: str
    """What is done now."""
    done: int = 0
    total: int | None = None
    """None if nobody knows: then no bar is shown."""


def _step(told: Step | str) -> Step:
    return Step(told) if isinstance(told, str) else told


@contextmanager
def telling_progress(progress: Callable[[], Step | str]) -> Iterator[None]:
    """Tell how far the block is while it runs; nothing is left of it at the end.

    Args:
        progress: Says how far it is; asked a few times a second, from another thread.
    """
    if not on_terminal(sys.stderr):
        yield
        return
    ended = threading.Event()

    def tell() -> None:
        if not ended.wait(PATIENCE):
            from temporal_payloads._cli.progress_bar import show  # noqa: PLC0415  # imports Rich

            show(lambda: _step(progress()), ended)

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()


@contextmanager
def waiting_for(names: Iterable[str]) -> Iterator[Callable[[str], None]]:
    """Tell whom the command still waits for.

    What is yielded is to be called with the name of each that has answered.
    """
    waiting = dict.fromkeys(names)
    with telling_progress(lambda: f"waiting for {', '.join([*waiting]) or 'the end'} ..."):
        yield waiting.pop
