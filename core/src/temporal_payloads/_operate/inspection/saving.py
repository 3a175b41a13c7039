"""Decoded payloads as files."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from temporal_payloads._settings.trust import why_others_reach

if TYPE_CHECKING:
    from pathlib import Path

    from temporalio.api.common.v1 import Payload

    from temporal_payloads._operate.inspection.inspection import Inspected

INDEX = "index.json"
_LONGEST_FIELD = 80
"""Characters of a field in a file's name."""
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpg",
    b"%PDF-": "pdf",
    b"PK\x03\x04": "zip",
    b"\x1f\x8b": "gz",
    b"PAR1": "parquet",
}


class Folder:
    """A folder that decoded payloads are written into, each as a file. Nobody else can read them.

    Files that are there under the same names are replaced; others are left alone.

    Args:
        path: Made if it is not there.

    Raises:
        OSError: It cannot be made, or others can write in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        why = why_others_reach(path)
        if why is not None:
            raise OSError(errno.EACCES, why)

    async def take(self, one: Inspected, payload: Payload) -> str:
        """Write a payload; return the name of its file.

        Raises:
            OSError: It cannot be written.
        """
        name = self.file_of(one, payload)
        await asyncio.to_thread(self._write, name, payload.data)
        return name

    @staticmethod
    def file_of(one: Inspected, payload: Payload) -> str:
        """Return the name of a payload's file."""
        field = re.sub(r"[^A-Za-z0-9_-]+", "-", one.where)[:_LONGEST_FIELD].strip("-")
        event = one.event if one.event_id is None else f"{one.event_id}-{one.event}"
        return f"{one.number:05}-{event}-{field}.{extension_of(payload)}"

    def write_index(self, document: Any) -> None:
        """Write what the files are.

        Raises:
            OSError: It cannot be written.
        """
        self._write(INDEX, json.dumps(document, indent=2).encode())

    def _write(self, name: str, data: bytes) -> None:
        # A file of its own: one that is there may be open to others, or a link.
        new = self.path / f".{name}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        try:
            with open(os.open(new, flags, 0o600), "wb") as file:  # noqa: PTH123  # it has no flags
                file.write(data)
            new.replace(self.path / name)
        except BaseException:
            with suppress(OSError):
                new.unlink()
            raise


def extension_of(payload: Payload) -> str:
    """Return the extension of a file with a decoded payload's data."""
    encoding = payload.metadata.get("encoding", b"")
    if encoding.startswith(b"json/"):
        return "json"
    if encoding == b"binary/protobuf":
        return "pb"
    return next((name for start, name in _STARTS.items() if payload.data.startswith(start)), "bin")
