"""Every command line that a page shows exists: its command, and each option by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from support.pages import PAGES, path_of
from temporal_payloads._cli.app import application

if TYPE_CHECKING:
    from collections.abc import Iterator

INVOKED = re.compile(r"(?<![\w/'\[-])temporal-payloads((?: +[^\s`|;&)]+)+)")
"""What stands after the program's name, up to the end of the line, the code or the command."""


def command_lines() -> Iterator[Any]:
    """Return, for each page, the words after the program's name wherever the page calls it."""
    for page in PAGES:
        text = page.read_text()
        code = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^(?: {4}|\$ )(.*)$", text, re.MULTILINE)]
        for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            code += block.split("\n")
        found = {match[1].strip() for line in code for match in INVOKED.finditer(line)}
        if found:
            yield pytest.param(sorted(found), id=path_of(page))


def called(line: str) -> tuple[list[str], list[str]]:
    """Return the command that a line calls, by its path, and what was not there."""
    command: Any = application()
    path: list[str] = []
    words = line.split()
    while words and hasattr(command, "commands"):
        word = words[0].removeprefix("--") if getattr(command, "otherwise", "") else words[0]
        if not re.fullmatch(r"[a-z-]+", word) or word not in command.commands:
            break
        command = command.made(word)
        path.append(words.pop(0))
    options = {name for parameter in command.params for name in parameter.opts} | {"--help"}
    unknown = [word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    return path, [option for option in unknown if option not in options]


@pytest.mark.parametrize("lines", list(command_lines()))
def test_its_command_lines_exist(lines: list[str]) -> None:
    for line in lines:
        path, unknown = called(line)
        assert unknown == [], f"temporal-payloads {line}"
        if re.fullmatch(r"[a-z][a-z-]*", line.split()[0]):
            assert path, f"temporal-payloads {line}"
