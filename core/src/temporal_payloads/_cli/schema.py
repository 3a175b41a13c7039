"""`temporal-payloads schema`: a JSON Schema of the settings' file, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from temporal_payloads._build.json_schema import installed_plugins, settings_schema
from temporal_payloads._cli.exit_status import ExitStatus, UnfinishedError
from temporal_payloads._cli.output import say_json, warn
from temporal_payloads._errors import PluginLoadError
from temporal_payloads._plugins.registry import PluginRegistry

EPILOG = """\
How to use it:
  1. Write it beside the settings, and again when plugins have changed:
         temporal-payloads schema -o temporal-payloads.schema.json
  2. Name it in the first line of temporal-payloads.toml:
         #:schema ./temporal-payloads.schema.json
     Taplo and the editors' extensions that are built on it read that line (Even
     Better TOML, for example).

Exit status:
  0, or 3 if the schema could not be written

Its output is JSON by itself: the schema. So it has no --json.

Examples:
  temporal-payloads schema
  temporal-payloads schema -o temporal-payloads.schema.json
"""


def run(
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="The file to write instead.")
    ] = None,
) -> ExitStatus:
    """Print a JSON Schema of the settings' file, for editors.

    Prints a JSON Schema (draft-07) of temporal-payloads.toml: all settings, with those of the plugins that
    are installed. An editor offers them, shows what they are, and marks what is wrong.
    """
    broken: list[PluginLoadError] = []
    schema = settings_schema(installed_plugins(PluginRegistry(), broken))
    for error in broken:
        warn(f"left out of the schema: {error}")
    if output is None:
        say_json(schema)
        return ExitStatus.FINE
    try:
        output.write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UnfinishedError(f"cannot write {output}: {error.strerror}") from error
    return ExitStatus.FINE
