"""A JSON Schema of the settings' file, for editors: core's settings, and those of the installed plugins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from temporal_payloads._errors import PluginConflictError, PluginLoadError, Problem
from temporal_payloads._plugins.kinds import KINDS, Kind
from temporal_payloads._plugins.registry import Offer, PluginRegistry
from temporal_payloads._settings.models import DriverTable, KeyProviderTable, PluginTable
from temporal_payloads._settings.settings import PayloadSettings

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that all editors' TOML extensions read."""
SIZE_PATTERN = r"^\s*[0-9]*\.?[0-9]+\s*([kKmMgGtTpPeE]?([bB]|[iI][bB]|([iI]?[bB][iI][tT]))|[kKmMgGtTpPeE])?$"
DURATION_PATTERN = r"^\s*[+-]?[0-9]+(\.[0-9]+)?\s*([mM]?[sS]|[mM]([iI][nN])?|[hHdDwW])?\s*$"
IMPORT_PATH_PATTERN = "^[^:]+:[^:]+$"
"""`module:name`, or `distribution:name`."""

_TABLES: dict[str, type[PluginTable]] = {"driver": DriverTable, "key_provider": KeyProviderTable}
"""The model of the settings that core itself has in a plugin's table."""

Schema = dict[str, Any]


@dataclass(frozen=True)
class InstalledPlugin:
    """A plugin that is installed, and its settings."""

    kind: Kind
    offer: Offer
    types: tuple[str, ...]
    """What the setting `type` may call it; the first may also be the name of its table."""
    settings: type[BaseModel]


def installed_plugins(
    registry: PluginRegistry, broken: list[PluginLoadError] | None = None
) -> Iterator[InstalledPlugin]:
    """Load every plugin that is installed.

    Args:
        registry: Where they are looked up.
        broken: Takes the error of each one that cannot be loaded, or whose settings no schema can describe.
            Without it, the first is raised.
    """
    for kind in KINDS.values():
        load = getattr(registry, kind.name)
        for offer in registry.offers(kind.name):
            qualified = f"{offer.distribution}:{offer.name}" if offer.distribution else offer.name
            try:
                settings = load(qualified).settings
                _expect_schema(offer, settings)
            except PluginLoadError as error:
                if broken is None:
                    raise
                broken.append(error)
                continue
            try:
                load(offer.name)
                types = tuple(dict.fromkeys((offer.name, qualified)))
            except PluginConflictError:
                types = (qualified,)
            yield InstalledPlugin(kind, offer, types, settings)


def _expect_schema(offer: Offer, settings: type[BaseModel]) -> None:
    """Find out by itself whether a plugin's settings can be described, so that no other one's suffers.

    Raises:
        PluginLoadError: They cannot.
    """
    try:
        properties = _Generator().generate(settings.__pydantic_core_schema__).get("properties")
    except Exception as error:  # noqa: BLE001  # pydantic has several, and a model's own code may raise any
        why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    else:
        if properties is not None:
            return
        why = f"{settings.__name__} is no table of settings"
    raise PluginLoadError(
        Problem(
            f"the {offer.kind} {offer.name!r} of {offer} has settings that no JSON Schema describes: {why}"
        )
    )


def settings_schema(plugins: Iterable[InstalledPlugin]) -> Schema:
    """Return the schema of a settings file, as JSON can hold it.

    A file need not be whole: what it lacks may be in a profile of it or in a variable. So nothing is
    required, but in lists, which are never merged, and the `type` of a plugin's table that no plugin has the
    name of.
    """
    installed = list(plugins)
    models: list[type[BaseModel]] = [PayloadSettings, PluginTable, *_TABLES.values()]
    models += dict.fromkeys(plugin.settings for plugin in installed)
    generator = _Generator(by_alias=True, ref_template="#/definitions/{model}")
    refs, definitions = generator.generate_definitions(
        [(model, "validation", model.__pydantic_core_schema__) for model in models]
    )
    name_of = {model: refs[model, "validation"]["$ref"].rpartition("/")[2] for model in models}
    whole = set(_refs_in_lists(definitions))
    tidy = {str(name): _tidy(schema, keep_required=name in whole) for name, schema in definitions.items()}

    settings = tidy.pop(name_of[PayloadSettings])
    typed = {}
    for kind in KINDS.values():
        table = _TABLES.get(kind.name, PluginTable)
        ours = [plugin for plugin in installed if plugin.kind is kind]
        for plugin in ours:
            schema = _plugin_table(plugin, tidy[name_of[table]], tidy[name_of[plugin.settings]])
            tidy[_definition_of(plugin)] = schema
        tidy[f"{kind.name}.other"] = _other_table(name_of[table], ours)
        in_table = _properties_at(settings, tidy, kind.table)
        in_table[kind.table.rpartition(".")[2]] = _tables(kind, ours, tidy)
        typed[kind.table] = {
            "properties": {plugin.types[0]: True for plugin in ours},
            "additionalProperties": {"required": ["type"]},
        }
    profile = {"type": "object", "additionalProperties": {"$ref": "#/definitions/settings"}}
    profile["description"] = "Settings by the profile's name, merged over the rest of the file."
    tidy["settings"] = settings
    return {
        "$schema": DIALECT,
        "title": "temporal-payloads.toml",
        "type": "object",
        "properties": {**settings["properties"], "profile": profile},
        "additionalProperties": False,
        "allOf": [_nested(table, schema) for table, schema in typed.items()],
        "definitions": _reachable(tidy, {**settings, "profile": profile}),
    }


def _definition_of(plugin: InstalledPlugin) -> str:
    return f"{plugin.kind.name}.{plugin.types[0]}"


def _properties_at(settings: Schema, definitions: dict[str, Schema], table: str) -> Schema:
    """Return the properties among which the dotted table is."""
    properties: Schema = settings["properties"]
    for outer in table.split(".")[:-1]:
        properties = definitions[properties[outer]["$ref"].rpartition("/")[2]]["properties"]
    return properties


def _nested(table: str, schema: Schema) -> Schema:
    for name in reversed(table.split(".")):
        schema = {"properties": {name: schema}}
    return schema


def _plugin_table(plugin: InstalledPlugin, core: Schema, own: Schema) -> Schema:
    """Return the schema of a table that is of the plugin's type: core's settings and its own."""
    schema = {**own, "properties": {**own["properties"], **core["properties"]}}
    schema["properties"]["type"] = {**core["properties"]["type"], "enum": list(plugin.types)}
    return schema


def _other_table(core: str, plugins: list[InstalledPlugin]) -> Schema:
    """Return the schema of a table whose name says nothing of its type."""
    known = [name for plugin in plugins for name in plugin.types]
    types: list[Schema] = [{"enum": known}] if known else []
    by_type = [
        {"if": _has_type(plugin), "then": {"$ref": f"#/definitions/{_definition_of(plugin)}"}}
        for plugin in plugins
    ]
    return {
        "properties": {"type": {"anyOf": [*types, {"pattern": IMPORT_PATH_PATTERN}]}},
        "allOf": [{"$ref": f"#/definitions/{core}"}, *by_type],
    }


def _has_type(plugin: InstalledPlugin) -> Schema:
    return {"properties": {"type": {"enum": list(plugin.types)}}, "required": ["type"]}


def _tables(kind: Kind, plugins: list[InstalledPlugin], definitions: dict[str, Schema]) -> Schema:
    other = {"$ref": f"#/definitions/{kind.name}.other"}
    properties = {}
    for plugin in plugins:
        name = _definition_of(plugin)
        properties[plugin.types[0]] = {
            # What an editor offers. Not every one looks into conditions.
            "properties": {
                key: {"$ref": f"#/definitions/{name}/properties/{key}"}
                for key in definitions[name]["properties"]
                if key != "type"
            },
            "if": {"properties": {"type": {"enum": list(plugin.types)}}},
            "then": {"$ref": f"#/definitions/{name}"},
            "else": other,
        }
    return {"type": "object", "properties": properties, "additionalProperties": other}


class _Generator(GenerateJsonSchema):
    """Describes values as a TOML file has them."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # as pydantic has it

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        del schema
        return {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, {"type": "number"}]}

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """Let a list of one be written without brackets, as the models do that look at a value beforehand."""
        inner = self.generate_inner(schema["schema"])
        return {"anyOf": [inner, {"type": "string"}]} if inner.get("type") == "array" else inner

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case SecretStr() | BaseModel():
                return None
            case timedelta():
                return f"{dft.total_seconds():g}s"
            case ByteSize():
                return dft.human_readable() if dft else 0
            case tuple() | list() if any(isinstance(each, BaseModel) for each in dft):
                return None
        return super().encode_default(dft)


_SIZE_IN_PYDANTIC = ByteSize.byte_string_pattern
_OF_OTHER_DIALECTS = {"title", "ge", "gt", "le", "lt"}
"""Also names without use, and what no validator knows."""


def _tidy(schema: Schema, *, keep_required: bool) -> Schema:
    """Make pydantic's schema one of this dialect, and of TOML, which has no null."""
    tidy: Schema = {}
    for key, value in schema.items():
        if not _is_left_out(key, value, keep_required=keep_required):
            tidy[key] = _tidied(key, value, keep_required=keep_required)
    if len(tidy.get("anyOf", ())) == 1:
        tidy = {**tidy.pop("anyOf")[0], **tidy}
    if "$ref" in tidy and len(tidy) > 1:
        # In this dialect nothing beside a reference counts.
        tidy = {"allOf": [{"$ref": tidy.pop("$ref")}], **tidy}
    return tidy


def _is_left_out(key: str, value: Any, *, keep_required: bool) -> bool:
    match key:
        case "format":
            return bool(value != "password")
        case "required":
            return not keep_required
        case "default":
            return value in (None, [], "")
    return key in _OF_OTHER_DIALECTS


def _tidied(key: str, value: Any, *, keep_required: bool) -> Any:
    tidy = partial(_tidy, keep_required=keep_required)
    match key:
        case "pattern" if value == _SIZE_IN_PYDANTIC:
            return SIZE_PATTERN
        case "properties":
            return {name: tidy(each) for name, each in value.items()}
        case "anyOf" | "oneOf" | "allOf" | "prefixItems":
            return [tidy(each) for each in value if each.get("type") != "null"]
        case "items" | "additionalProperties" | "not" if isinstance(value, dict):
            return tidy(value)
    return value


def _refs_in_lists(schema: object, *, in_list: bool = False) -> Iterator[str]:
    """Yield the names of the definitions that stand for the entries of lists."""
    if isinstance(schema, list):
        for each in schema:
            yield from _refs_in_lists(each, in_list=in_list)
    elif isinstance(schema, dict):
        if in_list and isinstance(ref := schema.get("$ref"), str):
            yield ref.rpartition("/")[2]
        for key, value in schema.items():
            yield from _refs_in_lists(value, in_list=in_list or key == "items")


def _reachable(definitions: dict[str, Schema], root: Schema) -> dict[str, Schema]:
    """Leave out the definitions that nothing refers to."""
    found: set[str] = {"settings"}
    queue: list[object] = [root]
    while queue:
        each = queue.pop()
        if isinstance(each, list):
            queue += each
        elif isinstance(each, dict):
            queue += each.values()
            ref = each.get("$ref")
            if isinstance(ref, str) and (name := ref.split("/")[2]) not in found:
                found.add(name)
                queue.append(definitions[name])
    return {name: schema for name, schema in definitions.items() if name in found}
