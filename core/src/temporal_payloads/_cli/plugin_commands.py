"""`temporal-payloads NAME`, where NAME is a plugin's command."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typer import BadParameter

from temporal_payloads._cli.commands import Commands, command_of
from temporal_payloads._cli.document import document, errors_in_document
from temporal_payloads._cli.exit_status import ExitStatus, WrongUseError
from temporal_payloads._cli.options import Config, Json, Profile, settings_asked_for
from temporal_payloads._cli.output import say, say_json
from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._plugins.commands import (
    KNOWN_COMMANDS,
    CommandContext,
    CommandPlugin,
    load_command,
    offered_commands,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from pydantic import BaseModel

    from temporal_payloads._settings.settings import PayloadSettings


EPILOG = """\
--json prints:
  version, ok, said (the lines that it prints otherwise), error, problems
  error: type, message (why it could not be done, or null)
  problems: message, place, origin (of each in the settings)
"""


def add_commands_of_plugins(root: Commands) -> None:
    """Add the commands of plugins to the command line. Only one that is called is imported."""
    offers = offered_commands()
    for name, found in offers.items():
        if name not in root.commands:
            offer = found[0].dist
            assert offer is not None, "entry points are found by distributions"
            root.add(name, f"A command of {offer.name}.", partial(_made, name, found))
    for name, distribution in KNOWN_COMMANDS.items():
        if name not in offers:
            root.add(name, "", partial(_not_installed, name, distribution), hidden=True)


def _not_installed(name: str, distribution: str) -> Any:
    raise WrongUseError(f"the command {name!r} is not installed. Run: pip install {distribution}")


def _made(name: str, offers: list[EntryPoint]) -> Any:
    plugin = load_command(name, offers)
    if callable(plugin.run):
        return command_of(_with_settings(plugin, plugin.run), name, help=plugin.help, epilog=EPILOG)
    group = Commands(name=name, help=plugin.help, rich_markup_mode=None)
    for inner, function in plugin.run.items():
        command = command_of(_with_settings(plugin, function), inner, epilog=EPILOG)
        group.add_command(command, inner)
    return group


def _with_settings(plugin: CommandPlugin, function: Callable[..., int]) -> Callable[..., int]:
    """Return a plugin's function with options of ours in place of its context."""

    def run(*, as_json: bool, config: Path | None, profile: str | None, **arguments: Any) -> int:
        said: list[str] = []
        settings = settings_asked_for(config, profile)
        with errors_in_document(as_json, said=said):
            context = CommandContext(
                drivers=_drivers(settings, plugin.driver_type), say=said.append if as_json else say
            )
            try:
                status = function(context, **arguments)
            except BadParameter as error:
                if not as_json:
                    raise
                raise WrongUseError(error.format_message()) from error
        if as_json:
            say_json(document(ok=status == ExitStatus.FINE, said=said))
        return status

    signature = inspect.signature(function, eval_str=True)
    _, *parameters = signature.parameters.values()
    ours = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=False if name == "as_json" else None,
            annotation=annotation,
        )
        for name, annotation in (("as_json", Json), ("config", Config), ("profile", Profile))
    ]
    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    # What Typer reads.
    run.__signature__ = signature.replace(parameters=[*parameters, *ours])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*parameters, *ours)}
    run.__doc__ = function.__doc__
    return run


def _drivers(settings: PayloadSettings, driver_type: str) -> Mapping[str, Any]:
    """Return the settings of the drivers of a type.

    Raises:
        ConfigurationError: They are wrong, or there is no such driver.
    """
    from temporal_payloads._build.findings import Findings  # noqa: PLC0415  # slow to import
    from temporal_payloads._plugins.registry import PluginRegistry  # noqa: PLC0415  # likewise

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
