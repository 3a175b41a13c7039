"""Credentials are not sent where a file says that nobody named, unless it holds them itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr

from temporal_payloads._plugins.contract import DriverPlugin
from temporal_payloads._settings.problems import FILE_VARIABLE, Place, is_variable, variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from temporal_payloads._build.findings import Findings
    from temporal_payloads._plugins.keys import KeyProviderPlugin
    from temporal_payloads._settings.models import PluginTable

    _Plugin = DriverPlugin[Any] | KeyProviderPlugin[Any]


def check_destination(
    place: Place,
    table: PluginTable,
    plugin: _Plugin,
    findings: Findings,
    options: BaseModel | None = None,
) -> None:
    """Report where the file of the working directory sends what is secret and does not stand in it.

    Such a file is read only because the process was started where it lies, which may be a checkout or a
    download. It may say where credentials go that it holds itself, and no others.

    Args:
        place: Where the driver or key provider is configured.
        table: Its settings.
        plugin: Its plugin, which knows what decides about the destination.
        findings: What is wrong is reported there; it knows what the settings were read from.
        options: The plugin's own settings; None if there is something wrong with them.
    """
    if not findings.sources.file_is_implicit or not plugin.destination:
        return
    if credentials := _credentials_of_environment(place, table, plugin, findings):
        sent = f"the credentials of {' and '.join(credentials)} are sent"
    elif isinstance(plugin, DriverPlugin) and options is not None and plugin.sends_found_credentials(options):
        sent = "credentials are sent that stand in another file or come from a metadata server"
    else:
        return
    for name in plugin.destination:
        setting = (*place, *name.split("."))
        origin = findings.origin_of(setting)
        if _is_set(table.options, name) and origin and not is_variable(origin):
            findings.add(
                setting,
                f"decides where {sent}, but nobody named this file: it was found in the working directory. "
                f"Set {variable(setting)} instead, or name the file: {FILE_VARIABLE}={findings.sources.file}",
            )


def _credentials_of_environment(
    place: Place, table: PluginTable, plugin: _Plugin, findings: Findings
) -> list[str]:
    """Return the variables that the driver's credentials come from, ours or those of its client library."""
    secrets = [name for name in _secrets(plugin.settings) if _is_set(table.options, name)]
    origins = [findings.origin_of((*place, *name.split("."))) or "" for name in secrets]
    if origins:
        return sorted({origin for origin in origins if is_variable(origin)})
    # Only without credentials of the settings does a client look for its own.
    return [name for name in plugin.ambient_credentials if os.environ.get(name)]


def _secrets(model: type[BaseModel], around: str = "") -> Iterator[str]:
    """Yield the dotted names of the secret settings, those of inner tables too."""
    for name, field in model.model_fields.items():
        for part in _parts(field.annotation):
            if part in (SecretStr, SecretBytes):
                yield around + name
            elif isinstance(part, type) and issubclass(part, BaseModel):
                yield from _secrets(part, f"{around}{name}.")


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from _parts(argument)


def _is_set(options: Any, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(options, dict) or part not in options:
            return False
        options = options[part]
    return True
