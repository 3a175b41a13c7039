"""`temporal-payloads keygen`: a new key for the encryption codec."""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import stat
import sys

from temporal_payloads._cli.output import ALL_WELL, hint, say, warn

KEY_SIZE = 32
"""Bytes: AES-256."""
_OF_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH

_DESCRIPTION = """\
Prints a new random key of 256 bits in the form that [codec.encryption] takes: base64, on one line, and
nothing else. It is written nowhere, logged nowhere, and cannot be had again.
"""
_EPILOG = """\
How to put it in, without a payload that somebody cannot read:
  1. Give the key to every process that reads payloads (workers, starters, codec servers), under a new id:
         [codec.encryption]
         active = "2026-05"                        # as before
         [codec.encryption.keys]
         2026-05 = { env = "ORDERS_KEY_2026_05" }
         2026-11 = { env = "ORDERS_KEY_2026_11" }  # new: it is read, and does not write yet
  2. When all of them have it (temporal-payloads check --peer), let it write: active = "2026-11".
The key before it stays in the ring until temporal-payloads keys --in-use says that it can be retired.

Whoever has the key reads all that it encrypts; if it is lost, all of that is lost. Keep it in a secret
manager.

exit status: 0, or 1 if the key could not be written

examples:
  temporal-payloads keygen
  (umask 077; temporal-payloads keygen > orders-2026-11.key)     a file that nobody else can read
  temporal-payloads keygen | kubectl create secret generic orders-2026-11 --from-file=key=/dev/stdin
  temporal-payloads keygen --json | jq -r .key
"""
_HINT = """\
Give it to every process under a new id; when all have it, make it active: temporal-payloads keygen -h"""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], settings: argparse.ArgumentParser
) -> None:
    """Add the command to the command line."""
    del settings  # it reads none
    parser = commands.add_parser(
        "keygen",
        help="print a new encryption key",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for a program")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a key."""
    key = base64.b64encode(secrets.token_bytes(KEY_SIZE)).decode()
    say(json.dumps({"key": key}) if arguments.json else key)
    if sys.stdout.isatty():
        hint(_HINT)
    _warn_of_open_file()
    return ALL_WELL


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
