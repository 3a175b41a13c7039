"""The converter's payload converter: a plugin's that the settings name, or a class by its import path."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from temporalio.converter import DataConverter, PayloadConverter

from temporal_payloads._errors import ConfigurationError, Problem
from temporal_payloads._settings.models import PluginTable

if TYPE_CHECKING:
    from temporal_payloads._build.findings import Findings
    from temporal_payloads._plugins.contract import PayloadConverterPlugin
    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.problems import Place
    from temporal_payloads._settings.root import RootTable

_SETTING: Place = ("payload_converter",)
_THE_SDKS_OWN = DataConverter.default.payload_converter_class
_built: WeakKeyDictionary[type[PayloadConverter], BaseModel] = WeakKeyDictionary()
"""The classes that plugins gave, and for which settings: one that comes back as the base of another build with
the same settings is not extended once more."""


@dataclass(frozen=True)
class ChosenConverter:
    """A payload converter, and what it needs in a worker."""

    converter: type[PayloadConverter]
    sandbox_passthrough: Sequence[str] = ()
    """Modules that the workflow sandbox must pass through."""


def payload_converter(
    settings: RootTable, base: DataConverter, registry: PluginRegistry, findings: Findings
) -> ChosenConverter:
    """Return what the settings name; if they name none, or there is a problem with it, what base has."""
    name, its_own = settings.payload_converter, base.payload_converter_class
    chosen = None
    if name is not None and ":" in name:
        chosen = _by_import_path(name, its_own, findings)
    elif name is not None and not findings.left_out("payload_converters", name, "type"):
        chosen = _by_plugin(name, settings, its_own, registry, findings)
    return chosen or ChosenConverter(its_own)


def _by_import_path(
    path: str, its_own: type[PayloadConverter], findings: Findings
) -> ChosenConverter | None:
    module, _, name = path.partition(":")
    if not module or not name:
        findings.add(_SETTING, "must be the name of a plugin, or an import path of the form module:name")
        return None
    try:
        named = getattr(importlib.import_module(module), name)
    except Exception as error:  # noqa: BLE001  # importing runs code that may raise anything
        findings.add(_SETTING, f"{path!r} cannot be imported: {type(error).__name__}: {error}")
        return None
    if isinstance(named, DataConverter):
        named = named.payload_converter_class
    if not _is_converter(named):
        findings.add(_SETTING, f"{path!r} is neither a PayloadConverter class nor a DataConverter")
        return None
    if its_own not in (_THE_SDKS_OWN, named):
        findings.add(
            _SETTING,
            f"the base converter has a payload converter of its own, {its_own.__name__}; give one of the two",
        )
        return None
    return _made(ChosenConverter(named), _SETTING, findings)


def _by_plugin(
    name: str,
    settings: RootTable,
    its_own: type[PayloadConverter],
    registry: PluginRegistry,
    findings: Findings,
) -> ChosenConverter | None:
    place: Place = ("payload_converters", name)
    table = settings.payload_converters.get(name, PluginTable())
    try:
        plugin = registry.payload_converter(table.type or name)
    except ConfigurationError as error:
        findings.add_error(error, (*place, "type") if table.type else _SETTING)
        return None
    options = findings.validated(place, table, plugin.settings)
    if options is None:
        return None
    try:
        converter = _for_base(its_own, name, plugin, options)
    except ConfigurationError as error:
        findings.add_error(error, _SETTING)
        return None
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        findings.add(place, f"the payload converter cannot be made: {type(error).__name__}: {error}")
        return None
    if not _is_converter(converter):
        findings.add(place, f"the plugin gives {converter!r}, which is no PayloadConverter class")
        return None
    _built[converter] = options
    return _made(ChosenConverter(converter, plugin.sandbox_passthrough), place, findings)


def _for_base(
    its_own: type[PayloadConverter], name: str, plugin: PayloadConverterPlugin[Any], options: BaseModel
) -> type[PayloadConverter]:
    """Return the plugin's class, on top of the base converter's if that is not the SDK's."""
    converter = plugin.create(options)
    if its_own in (_THE_SDKS_OWN, converter):
        return converter
    if _built.get(its_own) == options:
        return its_own
    try:
        if plugin.extend is None:
            raise ValueError("it composes with no other. Give one of the two")
        return plugin.extend(options, its_own)
    except ValueError as error:
        does_not = f"{name!r} does not compose with the base converter's own, {its_own.__name__}"
        raise ConfigurationError(Problem(f"{does_not}: {error}")) from error


def _is_converter(named: object) -> bool:
    return isinstance(named, type) and issubclass(named, PayloadConverter)


def _made(chosen: ChosenConverter, place: Place, findings: Findings) -> ChosenConverter | None:
    """Return it, if it can be made as the SDK will make it."""
    try:
        chosen.converter()
    except Exception as error:  # noqa: BLE001  # foreign code may raise anything
        findings.add(
            place,
            f"{chosen.converter.__name__} cannot be made without arguments, as the SDK does it: "
            f"{type(error).__name__}: {error}",
        )
        return None
    return chosen
