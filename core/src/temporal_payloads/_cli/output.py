"""What the commands print: plain text, in colour on a terminal, and tables."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

ALL_WELL = 0
UNREACHABLE = 1
CONFIGURATION_WRONG = 2
_GREEN, _RED, _BOLD = "32", "31", "1"


def say(text: str = "") -> None:
    """Print a line for whoever called the command."""
    print(text, flush=True)  # noqa: T201  # a command talks to a person


def complain(text: str) -> None:
    """Print what is wrong."""
    print(f"{_paint('error:', _RED, sys.stderr)} {text}", file=sys.stderr)  # noqa: T201  # likewise


def good(text: str) -> str:
    """Return the text in green, on a terminal."""
    return _paint(text, _GREEN, sys.stdout)


def bad(text: str) -> str:
    """Return the text in red, on a terminal."""
    return _paint(text, _RED, sys.stdout)


def heading(text: str) -> str:
    """Return the text in bold, on a terminal."""
    return _paint(text, _BOLD, sys.stdout)


def _paint(text: str, colour: str, stream: TextIO) -> str:
    # https://no-color.org
    coloured = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return f"\x1b[{colour}m{text}\x1b[0m" if coloured else text


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns, indented; the last column is not padded."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  " + "  ".join([*(c.ljust(w) for c, w in zip(row[:-1], widths, strict=False)), row[-1]])
        for row in rows
    )
