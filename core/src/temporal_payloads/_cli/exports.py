"""Files that commands read exports from, and payloads as they print them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.exit_status import WrongUseError
from temporal_payloads._cli.output import on_terminal, say, say_bytes
from temporal_payloads._operate.inspection.exported import LARGEST, ExportError, read_exported
from temporal_payloads._operate.inspection.values import value_of

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload, Payloads
    from temporalio.api.history.v1 import History

STDIN = Path("-")


def read_file(file: Path) -> Payload | Payloads | History:
    """Read what was exported to a file, or what comes on the standard input if it is `-`.

    Raises:
        WrongUseError: It cannot be read, or is nothing that was exported.
    """
    name = "the standard input" if file == STDIN else str(file)
    try:
        if file == STDIN:
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(LARGEST + 1)
        return read_exported(data)
    except OSError as error:
        raise WrongUseError(f"cannot read {name}: {error.strerror or error}") from error
    except ExportError as error:
        raise WrongUseError(f"cannot decode {name}: {error}") from error


def say_payload(payload: Payload) -> None:
    """Print a decoded payload: as JSON if it is, else its bytes.

    Raises:
        WrongUseError: They are for a terminal, which cannot take them.
    """
    value = value_of(payload)
    if payload.metadata["encoding"].startswith((b"json/", b"binary/null")):
        say(json_text(value))
    else:
        say_data(payload.data)


def say_data(data: bytes) -> None:
    """Print what is inside of a payload as it is.

    Raises:
        WrongUseError: It is for a terminal, which cannot take it.
    """
    if not on_terminal(sys.stdout):
        say_bytes(data)
        return
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if not all(line.isprintable() for line in text.splitlines()):
        raise WrongUseError("it is not text; send it into a file or another program")
    say(text)


def json_text(value: Any) -> str:
    """Return a value that came from somewhere else as JSON that a terminal can take."""
    return re.sub(r"[^\n -~]", _escaped, json.dumps(value, indent=2, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]
