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
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import TextIO

    from rich.console import Console
    from rich.text import Text

_WITHOUT_LIMIT = 100_000
"""Columns of what is no terminal: nothing is cut or wrapped there."""
_MARGIN, _GAP = 2, 3
"""What is left free on a terminal before a table, and between its columns: as Rich does."""
_NOTHING = "-"
"""What a cell says that has nothing to say; no line below a row says so."""
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
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    *,
    right: Collection[str] = (),
    below: Sequence[str] = (),
    titles: bool = True,
) -> None:
    """Print a table. On a terminal, what is too wide is folded; elsewhere each row is a line, and whole.

    Args:
        columns: Their titles; empty for a table without.
        rows: Their cells. What no terminal could take in them is escaped.
        right: The columns whose cells are aligned on the right: numbers.
        below: Columns that go below their row, each whole and on a line of its own, where the terminal is too
            narrow: the first one first, and no more than must. Nothing is folded then.
        titles: Whether the titles are printed.
    """
    from rich import box  # noqa: PLC0415  # see above
    from rich.padding import Padding  # noqa: PLC0415  # likewise
    from rich.table import Table  # noqa: PLC0415  # likewise
    from rich.text import Text  # noqa: PLC0415  # likewise

    cells = [[_cell(content) for content in row] for row in rows]
    if on_terminal(sys.stdout) and (moved := _too_many(columns, cells, below)):
        _say_with_lines_below(columns, cells, moved, right, titles=titles)
        return
    titled = bool(columns) and titles
    drawn = Table(
        box=box.SIMPLE_HEAD if titled and on_terminal(sys.stdout) else None,
        show_header=titled,
        header_style="bold",
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_edge=False,
    )
    for title in columns:
        drawn.add_column(title, justify="right" if title in right else "left", overflow="fold")
    if not on_terminal(sys.stdout) and not any("\n" in cell.plain for row in cells for cell in row):
        _say_plainly([[Text(title) for title in columns]] * titled + cells, columns, right)
        return
    for row in cells:
        drawn.add_row(*row)
    say("\n".join(line.rstrip() for line in _rendered(Padding(drawn, (0, 0, 0, 2))).splitlines()))


def _too_many(columns: Sequence[str], cells: Sequence[Sequence[Text]], below: Sequence[str]) -> Sequence[str]:
    """Return the columns that must go below their rows for the others to be beside each other."""
    widths = _widths(columns, cells)
    for count in range(len(below)):
        if _length(widths, below[:count]) <= _width():
            return below[:count]
    return below


def _length(widths: Mapping[str, int], moved: Collection[str]) -> int:
    """Return how long the lines of a table are."""
    beside = [width for title, width in widths.items() if title not in moved]
    return _MARGIN + sum(beside) + _GAP * (len(beside) - 1)


def _widths(columns: Sequence[str], cells: Sequence[Sequence[Text]]) -> dict[str, int]:
    lengths = zip(*[[cell.cell_len for cell in row] for row in cells], strict=True) if cells else ()
    widest = [max(column) for column in lengths] or [0] * len(columns)
    return {title: max(len(title), width) for title, width in zip(columns, widest, strict=True)}


def _say_with_lines_below(
    columns: Sequence[str],
    cells: Sequence[Sequence[Text]],
    moved: Collection[str],
    right: Collection[str],
    *,
    titles: bool,
) -> None:
    widths = _widths(columns, cells)
    lines = []
    if titles:
        beside = [(title, heading(title)) for title in columns if title not in moved]
        lines.append(_line(beside, widths, right))
        lines.append(_joined([" " * _MARGIN, "─" * (min(_width(), _length(widths, moved)) - _MARGIN)]))
    for row in cells:
        named = list(zip(columns, row, strict=True))
        lines.append(_line([each for each in named if each[0] not in moved], widths, right))
        lines += [
            _joined([" " * 2 * _MARGIN, _styled(f"{title.lower()} ", "dim"), cell])
            for title, cell in named
            if title in moved and cell.plain != _NOTHING
        ]
    say(_rendered(_joined([part for line in lines for part in (line, "\n")]), whole=True).rstrip("\n"))


def _line(named: Iterable[tuple[str, Text]], widths: Mapping[str, int], right: Collection[str]) -> Text:
    parts: list[str | Text] = [" " * _MARGIN]
    for title, cell in named:
        gap = " " * (widths[title] - cell.cell_len)
        parts += [gap, cell, " " * _GAP] if title in right else [cell, gap, " " * _GAP]
    line = _joined(parts)
    line.rstrip()
    return line


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


def _rendered(what: Any, *, whole: bool = False) -> str:
    """Return something of Rich's as it is printed on the standard output.

    Args:
        what: A text or a table.
        whole: Whether lines are left to the terminal that are longer than it is wide.
    """
    console = _console()
    # Rich flushes what was printed before.
    with _written(), console.capture() as captured:
        console.print(what, soft_wrap=whole)
    return captured.get()


def _width() -> int:
    """Return how many columns the terminal has."""
    return _console().width


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415  # see above

    return Console(
        file=sys.stdout,
        width=None if on_terminal(sys.stdout) else _WITHOUT_LIMIT,
        force_terminal=in_colour(sys.stdout),
        # Nothing in a text is taken for something else.
        markup=False,
        emoji=False,
        highlight=False,
    )
