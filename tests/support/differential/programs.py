"""A generated program, and the two runs of it that are compared."""

from __future__ import annotations

import re
import sys
import typing
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from support.differential import prelude

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODULE = "models"
"""The name under which a program's classes are found while it runs, as forward references need it."""

_PRELUDE = {
    name: member
    for name, member in vars(prelude).items()
    if not name.startswith("_") and name != "annotations"
}


@dataclass(frozen=True)
class Program:
    """Class statements, and the expression of the hint that they are for."""

    statements: tuple[str, ...]
    hint: str
    postponed: bool
    """Whether its annotations are text, as with `from __future__ import annotations`."""

    def source(self) -> str:
        """Return the statements as a module."""
        future = ["from __future__ import annotations"] if self.postponed else []
        return "\n\n".join([*future, *self.statements])

    def __str__(self) -> str:
        return f"{self.source()}\n\nhint = {self.hint}"


class Run:
    """One run of a program, with classes that no other run has."""

    def __init__(self, program: Program) -> None:
        self.module = ModuleType(MODULE)
        self.events: list[Any] = []
        self._names = vars(self.module)
        self._names.update(_PRELUDE, note=self.events.append, number=_counter())
        self.execute(program.source())
        self.hint = self.evaluate(program.hint)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make this run's module the one that forward references find."""
        before = sys.modules.get(MODULE)
        sys.modules[MODULE] = self.module
        try:
            yield
        finally:
            del sys.modules[MODULE]
            if before is not None:
                sys.modules[MODULE] = before

    def execute(self, source: str) -> None:
        """Execute statements."""
        with self.current():
            exec(compile(source, MODULE, "exec"), self._names)  # that is what it is for

    def evaluate(self, expression: str) -> Any:
        """Evaluate an expression among the program's classes."""
        with self.current():
            return eval(expression, self._names)  # that is what it is for

    def classes(self) -> dict[str, type]:
        """Return the classes that the program declares."""
        return {
            name: member
            for name, member in self._names.items()
            if isinstance(member, type) and name not in _PRELUDE
        }


def _counter() -> Any:
    """Return a function that gives another number each time, so that a call too many shows."""
    numbers = iter(range(1_000_000))
    return lambda: next(numbers)


def sections(file: Path) -> dict[str, tuple[str, ...]]:
    """Read class statements from a file in which a line `# title: expression; expression` stands before each.

    Returns:
        For each title the statements, and after them the expressions.
    """
    found = {}
    for section in re.split(r"^# ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, source = section.partition("\n")
        title, _, expressions = head.partition(": ")
        found[title] = (source.strip(), *expressions.split("; "))
    return found


def forget_typing() -> None:
    """Empty the caches in which `typing` keeps the arguments of generics alive."""
    for empty in typing._cleanups:  # type: ignore[attr-defined]  # the way that CPython's own tests do it
        empty()
