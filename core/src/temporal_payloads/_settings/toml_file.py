"""The TOML file: its text, and what may be wrong with it."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MAX_DEPTH = 32
"""Far more tables inside each other than any settings have, far fewer than Python can recurse through."""
_BYTE_ORDER_MARK = "\ufeff"
_VALUES = {
    "True": "TOML writes true and false in small letters",
    "False": "TOML writes true and false in small letters",
    "None": "TOML has no such value; leave the setting out",
    "null": "TOML has no such value; leave the setting out",
}
"""What people write where reading stops, and what to tell them."""
_HEADERS = (
    (
        re.compile(r"\s*\[+(.*\.)?storage\.driver\."),
        "storage.driver is the name of the default driver; a driver's table is [storage.drivers.NAME]",
    ),
    (re.compile(r"\s*\[+(.*\.)?codecs\."), "codecs is the list of codecs; a codec's table is [codec.NAME]"),
    (
        re.compile(r"\s*\[+(.*\.)?payload_converter\."),
        "payload_converter is the name of a payload converter; its table is [payload_converters.NAME]",
    ),
)
"""Likewise, of lines."""


class UnreadableError(Exception):
    """The file cannot be used; the message says why."""


def read_toml(path: Path) -> dict[str, Any]:
    """Return the file's tables.

    Raises:
        UnreadableError: With what is wrong, and what to do. Nothing that stands in the file is in it.
        FileNotFoundError: There is no such file.
    """
    text = ""
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except FileNotFoundError:
        raise
    except IsADirectoryError:
        raise UnreadableError("is a directory, not a TOML file") from None
    except OSError as error:
        raise UnreadableError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UnreadableError(f"is not UTF-8 text (byte {error.start}), so it is no TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise UnreadableError(f"is not valid TOML: {error}{_hint(text, str(error))}") from None
    except (ValueError, RecursionError) as error:
        # A name with a null byte, a number with thousands of digits, brackets nested by the hundred.
        raise UnreadableError(f"cannot be read: {error}") from None
    if depth(document) > MAX_DEPTH:
        raise UnreadableError(f"has tables more than {MAX_DEPTH} deep")
    return document


def _hint(text: str, error: str) -> str:
    if text.startswith(_BYTE_ORDER_MARK):
        return ". The file begins with a byte order mark (BOM); save it as UTF-8 without one"
    where = re.search(r"at line (\d+), column (\d+)", error)
    if not where:
        return ""
    line = text.split("\n")[int(where[1]) - 1]
    word = re.match(r"\s*(\w*)", line[int(where[2]) - 1 :])
    if word and word[1] in _VALUES:
        return f". {_VALUES[word[1]]}"
    return next((f". {hint}" for header, hint in _HEADERS if header.match(line)), "")


def depth(value: object) -> int:
    """Return how many tables and lists lie inside each other; without recursion, for it may be many."""
    levels = 0
    level = [value]
    while level := [
        inner
        for outer in level
        if isinstance(outer, dict | list)
        for inner in (outer.values() if isinstance(outer, dict) else outer)
    ]:
        levels += 1
    return levels
