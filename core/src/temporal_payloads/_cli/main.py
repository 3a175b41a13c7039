"""What the command line says, and which command it calls."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, NoReturn

from temporal_payloads._cli import check, codec_server, keygen, keys, new_plugin, plugins, schema
from temporal_payloads._cli.options import settings_options
from temporal_payloads._cli.output import (
    CONFIGURATION_WRONG,
    INTERRUPTED,
    UNREACHABLE,
    complain,
    while_it_can_be_written,
)
from temporal_payloads._errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLES = """\
examples:
  temporal-payloads check                          is everything right, and do the stores answer?
  temporal-payloads check --profile prod --json    the same of one profile, for a program
  temporal-payloads check --peer there.json        does another deployment read what is written here?
  temporal-payloads keygen                         a new encryption key
  temporal-payloads keys --in-use                  which keys workflows and schedules still need
  temporal-payloads codec-server                   decode payloads for the Web UI and the CLI
  temporal-payloads schema -o settings.schema.json what an editor needs to help with the settings
  temporal-payloads new-plugin driver shelf        a distribution to start from, for a store of your own

Settings come from temporal-payloads.toml in the working directory, or the file that --config or
TEMPORAL_PAYLOADS_CONFIG_FILE names, and from variables that begin with TEMPORAL_PAYLOADS_.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit status: 0 if all is well, 1 if a store cannot be reached, an address is taken, the output
        cannot be written or something else is in the way (each command's help says what), 2 if the command
        line or the settings are wrong, 130 if the command was interrupted, 141 if nobody reads the output any
        longer.
    """
    argv = sys.argv[1:] if argv is None else argv
    with while_it_can_be_written():
        try:
            arguments = _parser(argv).parse_args(argv)
            status: int = arguments.run(arguments)
        except ConfigurationError as error:
            complain(str(error))
            return CONFIGURATION_WRONG
        return status


def run() -> NoReturn:
    """Run the command as the process's own, and end the process."""
    status = main()
    if status in (INTERRUPTED, UNREACHABLE):
        # What the SDK's core has begun it cannot end: it may panic or crash while Python shuts down.
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="temporal-payloads",
        description="Temporal's payload codecs and external storage, from one declarative configuration.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=version("temporal-payloads"))
    settings = settings_options()
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (check, keygen, keys, codec_server, schema, new_plugin):
        command.add_to(commands, settings)
    plugins.add_to(commands, settings, argv)
    return parser
