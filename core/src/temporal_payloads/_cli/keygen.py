"""`temporal-payloads keygen`: a new key for the encryption codec."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import sys

from temporal_payloads._cli.document import document
from temporal_payloads._cli.exit_status import ExitStatus
from temporal_payloads._cli.options import Json
from temporal_payloads._cli.output import hint, say, say_json, warn

KEY_SIZE = 32
"""Bytes: AES-256."""
_OF_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH

EPILOG = """\
How to put it in, without a payload that somebody cannot read:
  1. Give the key to every process that reads payloads (workers, starters, codec
     servers), under a new id:
         [codec.encryption]
         active = "2026-05"                        # as before
         [codec.encryption.keys]
         2026-05 = { env = "ORDERS_KEY_2026_05" }
         2026-11 = { env = "ORDERS_KEY_2026_11" }  # new: only reads
  2. When all of them have it (temporal-payloads check --peer), let it write:
         active = "2026-11"

The key before it stays in the ring until temporal-payloads keys --in-use says that it can be retired.

Whoever has the key reads all that it encrypts; if it is lost, all of that is lost. Keep it in a secret
manager.

Exit status:
  0, or 3 if the key could not be written

--json prints:
  version, ok, key, error (null), problems (none)

Examples:
  temporal-payloads keygen
  (umask 077; temporal-payloads keygen > orders.key)   nobody else can read it
  temporal-payloads keygen |
      kubectl create secret generic orders-2026-11 --from-file=key=/dev/stdin
  temporal-payloads keygen --json | jq -r .key
"""
_HINT = """\
Give it to every process under a new id; when all have it, make it active: temporal-payloads keygen -h"""


def run(*, as_json: Json = False) -> ExitStatus:
    """Print a new encryption key.

    Prints a new random key of 256 bits in the form that [codec.encryption] takes: base64, on one line, and
    nothing else. It is written nowhere, logged nowhere, and cannot be had again.
    """
    key = base64.b64encode(secrets.token_bytes(KEY_SIZE)).decode()
    if as_json:
        say_json(document(ok=True, key=key))
    else:
        say(key)
    if sys.stdout.isatty():
        hint(_HINT)
    _warn_of_open_file()
    return ExitStatus.FINE


def _warn_of_open_file() -> None:
    """Warn if the output goes to a file that others can read: a shell makes such files."""
    try:
        found = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return  # it is no file of the system's
    if os.name == "posix" and stat.S_ISREG(found.st_mode) and found.st_mode & _OF_OTHERS:
        warn(
            f"others can read the file that the key goes to (mode {stat.S_IMODE(found.st_mode):04o}): "
            "chmod 600, and next time umask 077"
        )
