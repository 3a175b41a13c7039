"""How `--help` looks: flowing text, options by subject, and examples as they were written."""

from __future__ import annotations

import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.output import heading, name_of_option, say

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDEST = 100
"""Columns, on whatever a terminal has."""
_NAMES_WIDEST = 26
"""Columns of the options' names at most; what is longer has its text on the next line."""


def print_help(command: Any, context: Any) -> None:
    """Print the help of a command or a group of commands."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    # Typer puts braces around an argument that must be given, which no other program does.
    say(command.get_usage(context).translate(str.maketrans("", "", "{}")))
    _print_text(command.help or "", width)
    sections = _sections(command, context)
    lengths = [len(names) for records in sections.values() for names, _ in records]
    names_width = max((length for length in lengths if length <= _NAMES_WIDEST), default=0)
    for title, records in sections.items():
        say()
        say(heading(f"{title}:"))
        for names, text in records:
            _print_record(names, text, names_width, width)
    _print_text(command.epilog or "", width)


def _sections(command: Any, context: Any) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Commands": [], "Options": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            found["Arguments"].append((record[0].partition(" ")[0], record[1]))
        else:
            found.setdefault(parameter.rich_help_panel or "Options", []).append(record)
    for name, each in getattr(command, "commands", {}).items():
        if not each.hidden:
            found["Commands"].append((name, (each.help or "").partition("\n")[0]))
    return {title: records for title, records in found.items() if records}


def _print_record(names: str, text: str, names_width: int, width: int) -> None:
    lines = textwrap.wrap(text, width - names_width - 4)
    if len(names) > names_width or not lines:
        say("  ", name_of_option(names))
    else:
        say("  ", name_of_option(names), " " * (names_width - len(names)), "  ", lines.pop(0))
    for line in lines:
        say(" " * (names_width + 4), line)


def _print_text(text: str, width: int) -> None:
    for paragraph in filter(None, text.strip("\n").split("\n\n")):
        say()
        for line in _flowing(paragraph, width):
            say(heading(line) if re.fullmatch(r"\S.*:", line) else line)


def _flowing(paragraph: str, width: int) -> Iterator[str]:
    """Yield the lines of a paragraph; one that is indented somewhere was laid out by hand, and stays."""
    lines = paragraph.splitlines()
    if any(line.startswith(" ") for line in lines):
        yield from lines
    else:
        yield from textwrap.wrap(" ".join(lines), width, break_long_words=False, break_on_hyphens=False)
