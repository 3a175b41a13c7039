"""The converter's payload converter: a plugin's that the settings name, or what an import path leads to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from temporalio.converter import DataConverter, PayloadConverter

from temporal_payloads._build.identity import identity_of
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
"""The classes that plugins gave which extend others, and for which settings: one that comes back as the base
of another build with the same settings is not extended once more."""


@dataclass(frozen=True)
class ChosenConverter:
    """A payload converter, and what it needs in a worker."""

    converter: type[PayloadConverter]
    sandbox_passthrough: Sequence[str] = ()
    """Modules that the workflow sandbox must pass through."""
    identity: Mapping[str, object] = field(default_factory=dict)
    """The settings of the plugin, without secrets."""


def payload_converter(
    settings: RootTable, base: DataConverter, registry: PluginRegistry, findings: Findings
) -> ChosenConverter:
    """Return what the settings name; if they name none, or there is a problem with it, what base has."""
    name, its_own = settings.payload_converter, base.payload_converter_class
    chosen = None
    if name is not None and not findings.left_out("payload_converters", name, "type"):
        chosen = _by_plugin(name, settings, its_own, registry, findings)
    return chosen or ChosenConverter(its_own)


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
    missing = None if name in settings.payload_converters else _SETTING
    # What has no table, as most import paths, is wrong where it is named.
    of_itself = missing or place
    options = findings.validated(place, table, plugin.settings, named_at=missing)
    if options is None:
        return None
    try:
        converter = _for_base(its_own, name, plugin, options)
    except ConfigurationError as error:
        findings.add_error(error, _SETTING)
        return None
    except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
        findings.add(of_itself, f"the payload converter cannot be made: {type(error).__name__}: {error}")
        return None
    if not _is_converter(converter):
        findings.add(of_itself, f"the plugin gives {converter!r}, which is no PayloadConverter class")
        return None
    if plugin.extend is not None:
        _built[converter] = options
    identity = identity_of(options, None)
    return _made(ChosenConverter(converter, plugin.sandbox_passthrough, identity), of_itself, findings)


def _for_base(
    its_own: type[PayloadConverter], name: str, plugin: PayloadConverterPlugin[Any], options: BaseModel
) -> type[PayloadConverter]:
    """Return the plugin's class, on top of the base converter's if that is not the SDK's."""
    converter = plugin.create(options)
    if its_own in (_THE_SDKS_OWN, converter):
        return converter
    if _built.get(its_own) == options:
        return its_own
    does_not = f"{name!r} does not compose with the base converter's own, {its_own.__name__}"
    if plugin.extend is None:
        raise ConfigurationError(Problem(f"{does_not}: it composes with no other. Give one of the two"))
    try:
        return plugin.extend(options, its_own)
    except ValueError as error:
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
