"""The line of a terminal that says how far work is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from rich.console import RenderableType
    from rich.progress import Task

_BETWEEN = 0.2
"""Seconds between two questions."""


class _Bar(BarColumn):
    """A bar where the end is known, and nothing where it is not."""

    def render(self, task: Task) -> RenderableType:  # type: ignore[override]  # a column may draw anything
        """Return what is drawn."""
        return super().render(task) if task.total is not None else Text()


def show(progress: Callable[[], tuple[str, int, int | None]], ended: threading.Event) -> None:
    """Show how far work is until it has ended; then take the line back.

    Args:
        progress: Says what is done now, how much of it is done, and of how much.
        ended: Set when it has ended.
    """
    # What else the command prints meanwhile goes where it always goes.
    shown = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        _Bar(bar_width=20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, markup=False, emoji=False, highlight=False),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    text, done, total = progress()
    task = shown.add_task(text, completed=done, total=total)
    with shown:
        while not ended.wait(_BETWEEN):
            text, done, total = progress()
            shown.update(task, description=text, completed=done, total=total)
