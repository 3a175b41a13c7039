"""Files that commands read exports from, and payloads as they print them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from temporal_payloads._cli.exit_status import WrongUseError
from temporal_payloads._cli.output import on_terminal, say
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
        say_bytes(payload.data)


def say_bytes(data: bytes) -> None:
    """Print bytes as they are.

    Raises:
        WrongUseError: They are for a terminal, which cannot take them.
    """
    text = _as_text(data)
    if on_terminal(sys.stdout):
        if text is None:
            raise WrongUseError("it is not text; send it into a file or another program")
        say(text)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def json_text(value: Any) -> str:
    """Return a value that came from somewhere else as JSON that a terminal can take."""
    return re.sub(r"[^\n -~]", _escaped, json.dumps(value, indent=2, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    return found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1]


def _as_text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return text if all(line.isprintable() for line in text.splitlines()) else None
