"""What the commands print: plain text, in colour on a terminal, and tables."""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import TextIO

ALL_WELL = 0
UNREACHABLE = 1
CONFIGURATION_WRONG = 2
INTERRUPTED = 130
"""What a shell reports of a command that SIGINT ended."""
NOBODY_READS = 141
"""What a shell reports of a command that SIGPIPE ended, as it ends most commands in `command | head`."""
_GREEN, _YELLOW, _RED, _BOLD = "32", "33", "31", "1"


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
        raise SystemExit(NOBODY_READS) from None
    except UnwritableError as error:
        _drop(sys.stdout)
        complain(f"cannot write the output: {error}")
        raise SystemExit(UNREACHABLE) from None


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


def say(text: str = "") -> None:
    """Print a line for whoever called the command.

    Raises:
        UnwritableError: The output cannot be written.
    """
    with _written():
        print(text, flush=True)  # noqa: T201  # a command talks to a person


def say_json(document: Any) -> None:
    """Print a document for a program."""
    say(json.dumps(document, indent=2))


def complain(text: str) -> None:
    """Print what is wrong."""
    print(f"{_paint('error:', _RED, sys.stderr)} {text}", file=sys.stderr)  # noqa: T201  # likewise


def warn(text: str) -> None:
    """Print what may be wrong."""
    print(f"{_paint('warning:', _YELLOW, sys.stderr)} {text}", file=sys.stderr)  # noqa: T201  # likewise


def hint(text: str) -> None:
    """Print what a person may want to know, beside the output."""
    print(text, file=sys.stderr)  # noqa: T201  # likewise


def printable(text: str) -> str:
    """Return a text that came from somewhere else as a terminal can take it."""
    return text if text.isprintable() else repr(text)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number of things."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


@contextmanager
def waiting_for(names: Iterable[str]) -> Iterator[Callable[[str], None]]:
    """Say, on a terminal, whom the command still waits for, and take the line back at the end.

    What is yielded is to be called with the name of each that has answered.
    """
    waiting = dict.fromkeys(names)
    on_terminal = bool(waiting) and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"

    def show() -> None:
        if on_terminal:
            text = f"  waiting for {', '.join(waiting)} ..." if waiting else ""
            print(f"\r\x1b[K{text}", end="", flush=True)  # noqa: T201  # likewise

    def answered(name: str) -> None:
        del waiting[name]
        show()

    show()
    try:
        yield answered
    finally:
        waiting.clear()
        show()


@contextmanager
def telling_progress(progress: Callable[[], str]) -> Iterator[None]:
    """Say on standard error how far long work is: on a terminal in one line, else a line now and then."""
    stream = sys.stderr
    on_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(0.5 if on_terminal else 30):
            print(
                f"\r\x1b[K  {progress()}" if on_terminal else progress(),
                end="" if on_terminal else "\n",
                file=stream,
                flush=True,
            )  # likewise

    teller = threading.Thread(target=tell, name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
        if on_terminal:
            print("\r\x1b[K", end="", file=stream, flush=True)  # likewise


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
