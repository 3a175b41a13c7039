"""`temporal-payloads schema`: a JSON Schema of the settings' file, for editors."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from temporal_payloads._build.json_schema import installed_plugins, settings_schema
from temporal_payloads._cli.output import ALL_WELL, UNREACHABLE, complain, say_json, warn
from temporal_payloads._errors import PluginLoadError
from temporal_payloads._plugins.registry import PluginRegistry

_DESCRIPTION = """\
Prints a JSON Schema (draft-07) of temporal-payloads.toml: all settings, with those of the plugins that are
installed. An editor offers them, shows what they are, and marks what is wrong.
"""
_EPILOG = """\
How to use it:
  1. Write it beside the settings, and again after a plugin was installed or updated:
         temporal-payloads schema -o temporal-payloads.schema.json
  2. Name it in the first line of temporal-payloads.toml:
         #:schema ./temporal-payloads.schema.json
     Taplo and the editors' extensions that are built on it read that line (Even Better TOML, for example).

exit status: 0, or 1 if the file could not be written
"""


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], settings: argparse.ArgumentParser
) -> None:
    """Add the command to the command line."""
    del settings  # it reads none
    parser = commands.add_parser(
        "schema",
        help="print a JSON Schema of the settings' file, for editors",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="the file to write instead")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print or write the schema."""
    broken: list[PluginLoadError] = []
    schema = settings_schema(installed_plugins(PluginRegistry(), broken))
    for error in broken:
        warn(f"left out of the schema: {error}")
    if arguments.output is None:
        say_json(schema)
        return ALL_WELL
    try:
        arguments.output.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        complain(f"cannot write {arguments.output}: {error.strerror}")
        return UNREACHABLE
    return ALL_WELL
