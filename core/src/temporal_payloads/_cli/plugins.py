"""`temporal-payloads NAME`, where NAME is a plugin's command."""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, Any

from temporal_payloads._build.findings import Findings
from temporal_payloads._cli.options import settings_asked_for
from temporal_payloads._cli.output import UNREACHABLE, complain, say
from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._plugins.commands import (
    KNOWN_COMMANDS,
    CommandContext,
    CommandPlugin,
    load_command,
    offered_commands,
    provider,
)
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import BaseModel

    from temporal_payloads._settings.settings import PayloadSettings


def add_to(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    settings: argparse.ArgumentParser,
    argv: Sequence[str],
) -> None:
    """Add the commands of plugins to the command line. Only the one that is called is imported.

    Raises:
        ConfigurationError: The one that is called cannot be had.
    """
    called = next((word for word in argv if not word.startswith("-")), None)
    offers = {name: found for name, found in offered_commands().items() if name not in commands.choices}
    for name, found in offers.items():
        whose = f"a command of {provider(found[0])}"
        if name != called:
            commands.add_parser(name, help=whose)
            continue
        command = load_command(name, found)
        parser = commands.add_parser(
            name,
            parents=[settings],
            help=whose,
            description=command.help,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(parser)
        parser.set_defaults(run=partial(_run, command))
    if called and called in KNOWN_COMMANDS and called not in offers:
        parser = commands.add_parser(called)
        parser.error(f"the command {called!r} is not installed. Run: pip install {KNOWN_COMMANDS[called]}")


def _run(command: CommandPlugin, arguments: argparse.Namespace) -> int:
    settings = settings_asked_for(arguments)
    try:
        return command.run(
            arguments, CommandContext(drivers=_drivers(settings, command.driver_type), say=say)
        )
    except StorageError as error:
        complain(error.message)
        return UNREACHABLE


def _drivers(settings: PayloadSettings, driver_type: str) -> dict[str, Any]:
    """Return the settings of the drivers of a type.

    Raises:
        ConfigurationError: They are wrong, or there is no such driver.
    """
    findings = Findings(settings)
    found: dict[str, BaseModel | None] = {}
    model = PluginRegistry().driver(driver_type).settings
    for key, table in settings.storage.drivers.items():
        if (table.type or key).rpartition(":")[2] == driver_type:
            found[key] = findings.validated(("storage", "drivers", key), table, model)
    findings.raise_all()
    if not found:
        raise ConfigurationError(
            Problem(
                f"there is no driver of type {driver_type!r} in the settings: add a table "
                f"[storage.drivers.{driver_type}], or name the file with --config"
            )
        )
    return found
