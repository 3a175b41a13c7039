"""What the commands print: lines and tables, in colour on a terminal, plain and whole anywhere else."""

from __future__ import annotations

import json
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.exit_status import ExitStatus

# Rich is imported where it is used: it takes a tenth of a second, and documents for programs need none of it.
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import TextIO

    from rich.text import Text

_WITHOUT_LIMIT = 100_000
"""Columns of what is no terminal: nothing is cut or wrapped there."""
_RED, _YELLOW = "31", "33"


class UnwritableError(Exception):
    """The output has no place to go to, and the message says why."""


@contextmanager
def while_it_can_be_written() -> Iterator[None]:
    """End the command when its output goes nowhere: quietly if its reader has ended, else with the reason."""
    try:
        try:
            yield
        finally:
            with _written():
                sys.stdout.flush()  # here, for at the interpreter's exit nobody can catch what it raises
    except BrokenPipeError:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BrokenPipeError:
                _drop(stream)
        raise SystemExit(ExitStatus.NOBODY_READS) from None
    except UnwritableError as error:
        _drop(sys.stdout)
        complain(f"cannot write the output: {error}")
        raise SystemExit(ExitStatus.UNFINISHED) from None


@contextmanager
def _written() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UnwritableError(error.strerror or type(error).__name__) from error


def _drop(stream: TextIO) -> None:
    """Let what a stream still holds, and would write at exit, go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(*parts: str | Text) -> None:
    """Print a line for whoever called the command: the parts, one after the other.

    A text is printed as it is: nothing in it is taken for markup.

    Raises:
        UnwritableError: The output cannot be written.
    """
    texts = [part for part in parts if isinstance(part, str)]
    line = "".join(texts) if len(texts) == len(parts) else _rendered(_joined(parts)).rstrip("\n")
    with _written():
        print(line, flush=True)  # noqa: T201  # a command talks to a person


def say_bytes(data: bytes) -> None:
    """Print bytes as they are.

    Raises:
        UnwritableError: The output cannot be written.
    """
    with _written():
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def say_json(document: Any) -> None:
    """Print a document for a program."""
    say(json.dumps(document, indent=2))


def complain(text: str) -> None:
    """Print what is wrong."""
    print(f"{_painted('error:', _RED)} {text}", file=sys.stderr)  # noqa: T201  # likewise


def warn(text: str) -> None:
    """Print what may be wrong."""
    print(f"{_painted('warning:', _YELLOW)} {text}", file=sys.stderr)  # noqa: T201  # likewise


def hint(text: str) -> None:
    """Print what a person may want to know, beside the output."""
    print(text, file=sys.stderr)  # noqa: T201  # likewise


def _painted(text: str, colour: str) -> str:
    # Without Rich, which may be what is missing.
    return f"\x1b[{colour}m{text}\x1b[0m" if in_colour(sys.stderr) else text


def on_terminal(stream: TextIO) -> bool:
    """Tell whether a person reads the stream, on something that can take a line back."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def in_colour(stream: TextIO) -> bool:
    """Tell whether the stream is to be in colour: https://no-color.org."""
    return on_terminal(stream) and not os.environ.get("NO_COLOR")


def printable(text: str) -> str:
    """Return a text that came from somewhere else as a terminal can take it."""
    return text if text.isprintable() else repr(text)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number of things."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def good(text: str) -> Text:
    """Return the text in green, on a terminal."""
    return _styled(text, "green")


def bad(text: str) -> Text:
    """Return the text in red, on a terminal."""
    return _styled(text, "red")


def doubtful(text: str) -> Text:
    """Return the text in yellow, on a terminal."""
    return _styled(text, "yellow")


def heading(text: str) -> Text:
    """Return the text in bold, on a terminal."""
    return _styled(text, "bold")


def name_of_option(text: str) -> Text:
    """Return the name of an option or a command in the colour of those, on a terminal."""
    return _styled(text, "cyan")


def _styled(text: str, style: str) -> Text:
    from rich.text import Text  # noqa: PLC0415  # see above

    return Text(text, style=style)


def _joined(parts: Iterable[str | Text]) -> Text:
    from rich.text import Text  # noqa: PLC0415  # see above

    return Text.assemble(*parts)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], *, right: Collection[str] = ()
) -> None:
    """Print a table. On a terminal, what is too wide is folded; elsewhere each row is a line, and whole.

    Args:
        columns: Their titles; empty for a table without.
        rows: Their cells. What no terminal could take in them is escaped.
        right: The columns whose cells are aligned on the right: numbers.
    """
    from rich import box  # noqa: PLC0415  # see above
    from rich.padding import Padding  # noqa: PLC0415  # likewise
    from rich.table import Table  # noqa: PLC0415  # likewise
    from rich.text import Text  # noqa: PLC0415  # likewise

    drawn = Table(
        box=box.SIMPLE_HEAD if columns and on_terminal(sys.stdout) else None,
        show_header=bool(columns),
        header_style="bold",
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for title in columns:
        drawn.add_column(title, justify="right" if title in right else "left", overflow="fold")
    cells = [[_cell(content) for content in row] for row in rows]
    if not on_terminal(sys.stdout) and not any("\n" in cell.plain for row in cells for cell in row):
        _say_plainly([[Text(title) for title in columns]] * bool(columns) + cells, columns, right)
        return
    for row in cells:
        drawn.add_row(*row)
    say("\n".join(line.rstrip() for line in _rendered(Padding(drawn, (0, 0, 0, 2))).splitlines()))


def _say_plainly(rows: Sequence[Sequence[Text]], columns: Sequence[str], right: Collection[str]) -> None:
    """Print rows as Rich does where there is no terminal; but it takes long for thousands of them."""
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    titles = columns or [""] * len(widths)
    lines = []
    for row in rows:
        line = "  "
        for cell, width, title in zip(row, widths, titles, strict=True):
            gap = " " * (width - cell.cell_len)
            line += f"{gap}{cell.plain}  " if title in right else f"{cell.plain}{gap}  "
        lines.append(line.rstrip())
    say("\n".join(lines))


def _cell(content: str | Text) -> Text:
    from rich.text import Text  # noqa: PLC0415  # see above

    if isinstance(content, str):
        return Text("\n".join(map(printable, content.splitlines())))
    return content


def _rendered(what: Any) -> str:
    """Return something of Rich's as it is printed on the standard output."""
    from rich.console import Console  # noqa: PLC0415  # see above

    console = Console(
        file=sys.stdout,
        width=None if on_terminal(sys.stdout) else _WITHOUT_LIMIT,
        force_terminal=in_colour(sys.stdout),
        # Nothing in a text is taken for something else.
        markup=False,
        emoji=False,
        highlight=False,
    )
    # Rich flushes what was printed before.
    with _written(), console.capture() as captured:
        console.print(what)
    return captured.get()
