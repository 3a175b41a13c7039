"""The documents that commands print for programs: their shapes, as they are and as `--help` tells them."""

from __future__ import annotations

import re
from typing import Any


def shape_of(document: Any, at: str = "") -> dict[str, set[str]]:
    """Return the keys of each table in a document, by where it is: `codecs.keys`, or "" for the whole."""
    found: dict[str, set[str]] = {}
    tables = document if isinstance(document, list) else [document]
    for table in tables:
        if isinstance(table, dict):
            found.setdefault(at, set()).update(table)
            for key, value in table.items():
                for place, keys in shape_of(value, f"{at}.{key}" if at else key).items():
                    found.setdefault(place, set()).update(keys)
    return found


def told_shape(epilog: str, command: str = "--json") -> dict[str, set[str]]:
    """Return the same, as the end of a command's help has it.

    There, under `COMMAND prints:`, a line (and what is indented more) lists the keys of the whole; one for
    each table in it begins with where that is: `codecs.keys: id, source`. (What is in parentheses is no key).
    """
    block = re.search(rf"^{command} prints.*:\n((?: {{2}}.*\n)+)", epilog, re.MULTILINE)
    assert block is not None, command
    items = re.findall(r"^ {2}(\S.*(?:\n {4}.*)*)", block[1], re.MULTILINE)
    split = [re.fullmatch(r"(?:([\w.]+): )?(.*)", item, re.DOTALL) for item in items]
    return {
        found[1] or "": set(re.findall(r"\w+", re.sub(r"\([^)]*\)", "", found[2])))
        for found in split
        if found is not None
    }
