"""From settings to the SDK's `DataConverter`."""

from __future__ import annotations

import dataclasses
import importlib
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
    ExternalStorage,
    PayloadConverter,
    StorageDriver,
)

from temporal_payloads._settings.checks import cross_check
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._storage.alias import DriverAlias
from temporal_payloads._errors import (
    ConfigurationError,
    Problem,
    UnknownPluginError,
    did_you_mean,
    raise_all,
)
from temporal_payloads._storage.failures import with_payload_failures
from temporal_payloads._build.make_driver import make_driver
from temporal_payloads._settings.models import INLINE, DriverTable, PluginTable
from temporal_payloads._settings.problems import Place, dotted, explain, lies_in
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._storage.routing import Router
from temporal_payloads._settings.settings import PayloadSettings, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from temporalio.converter import PayloadCodec

    from temporal_payloads._storage.managed_driver import ManagedDriver


@dataclasses.dataclass(frozen=True)
class Assembly:
    """A converter and the parts that it was made of, for what sits on top of it."""

    settings: PayloadSettings
    converter: DataConverter
    drivers: Mapping[str, ManagedDriver]
    """The drivers by their table's key."""

    @asynccontextmanager
    async def drivers_open(self, *, check: bool = False) -> AsyncIterator[None]:
        """Keep every driver open in this event loop; with `check`, ask each store whether it lets us in."""
        async with AsyncExitStack() as stack:
            for driver in self.drivers.values():
                await stack.enter_async_context(driver.kept_open(check=check))
            yield


def build_data_converter(
    settings: PayloadSettings | None = None,
    *,
    base: DataConverter | None = None,
    registry: PluginRegistry | None = None,
) -> DataConverter:
    """Build the SDK's data converter that the settings describe.

    Everything is validated, and only the plugins that the settings name are loaded. Nothing is opened: a
    driver's client is opened at its first use, once per event loop, and closed when that loop shuts down.

    Args:
        settings: By default `PayloadSettings.load()`: the file and the environment.
        base: The converter to start from, for instance `temporalio.contrib.pydantic.pydantic_data_converter`.
            By default the SDK's own.
        registry: Where plugins are found; for plugins and observers that are registered in code.

    Raises:
        ConfigurationError: With every problem that was found.
        UnknownPluginError: The one problem is a plugin that is not installed.
        PluginConflictError: The one problem is a plugin that two distributions offer.
        PluginLoadError: The one problem is a plugin that cannot be loaded.
    """
    return assemble(settings, base=base, registry=registry).converter


@asynccontextmanager
async def open_data_converter(
    settings: PayloadSettings | None = None,
    *,
    base: DataConverter | None = None,
    registry: PluginRegistry | None = None,
) -> AsyncIterator[DataConverter]:
    """Build the data converter with every driver open, and close them at the end.

    Each store is asked whether it is there and lets us in, so that a wrong endpoint or credential fails
    here and not in a workflow. Arguments as of `build_data_converter`.

    Raises:
        ConfigurationError: As `build_data_converter` does.
        StorageError: A driver cannot be opened, or its store is of no use.
    """
    assembly = assemble(settings, base=base, registry=registry)
    async with assembly.drivers_open(check=True):
        yield assembly.converter


def assemble(
    settings: PayloadSettings | None = None,
    *,
    base: DataConverter | None = None,
    registry: PluginRegistry | None = None,
    profile: str | None = None,
) -> Assembly:
    """Build the converter and keep its parts; `profile` counts where no settings are given."""
    known: list[Problem] = []
    if settings is None:
        found = read(None, profile)
        settings, known = found.settings, found.problems
    if any(not problem.place for problem in known):
        raise ConfigurationError(known)  # a file that could not be read: nothing can be built of its settings
    builder = _Builder(settings, registry or PluginRegistry(), known)
    return builder.build(base or DataConverter.default)


class _Builder:
    """Builds each part, and collects errors instead of stopping at the first."""

    def __init__(self, settings: PayloadSettings, registry: PluginRegistry, known: Sequence[Problem]) -> None:
        self._settings = settings
        self._registry = registry
        self._broken = [problem.place for problem in known]
        self.errors = [ConfigurationError(problem) for problem in (*known, *cross_check(settings, known))]

    def build(self, base: DataConverter) -> Assembly:
        changes: dict[str, Any] = {}
        if self._settings.payload_converter is not None:
            changes["payload_converter_class"] = self._payload_converter(base)
        if self._settings.encode_failures:
            changes["failure_converter_class"] = self._failure_converter(base)
        if self._settings.codecs:
            changes["payload_codec"] = self._codec(base)
        drivers = self._drivers()
        if drivers:
            changes["external_storage"] = self._external_storage(base, drivers)
        raise_all(self.errors)
        if self._settings.codecs or drivers:
            failure_converter = changes.get("failure_converter_class", base.failure_converter_class)
            changes["failure_converter_class"] = with_payload_failures(failure_converter)
        converter = dataclasses.replace(base, **changes) if changes else base
        return Assembly(self._settings, converter, drivers)

    def _report(self, place: Place, message: str) -> None:
        self.errors.append(
            ConfigurationError(Problem(message, dotted(place), self._settings.origins.of(place)))
        )

    def _is_broken(self, *place: str) -> bool:
        """Tell whether the value that would stand here was left out of the settings, for it was wrong."""
        return any(lies_in(dotted(place), broken) for broken in self._broken)

    # -- the converter itself

    def _payload_converter(self, base: DataConverter) -> type[PayloadConverter] | None:
        place: Place = ("payload_converter",)
        path = self._settings.payload_converter or ""
        if base.payload_converter_class is not DataConverter.default.payload_converter_class:
            self._report(place, "the base converter has a payload converter of its own; give one of the two")
            return None
        module, _, name = path.partition(":")
        if not module or not name:
            self._report(place, "must be an import path of the form module:name")
            return None
        try:
            named = getattr(importlib.import_module(module), name)
        except Exception as error:  # noqa: BLE001  # importing runs code that may raise anything
            self._report(place, f"{path!r} cannot be imported: {type(error).__name__}: {error}")
            return None
        if isinstance(named, DataConverter):
            named = named.payload_converter_class
        if not (isinstance(named, type) and issubclass(named, PayloadConverter)):
            self._report(place, f"{path!r} is neither a PayloadConverter class nor a DataConverter")
            return None
        return named

    def _failure_converter(self, base: DataConverter) -> type[DefaultFailureConverter] | None:
        if base.failure_converter_class not in (
            DefaultFailureConverter,
            DefaultFailureConverterWithEncodedAttributes,
        ):
            self._report(
                ("encode_failures",),
                "the base converter has a failure converter of its own; let that one encode, or leave this "
                "setting out",
            )
            return None
        return DefaultFailureConverterWithEncodedAttributes

    def _codec(self, base: DataConverter) -> PayloadCodec:
        if base.payload_codec is not None:
            self._report(
                ("codecs",), "the base converter has a payload codec of its own; give one of the two"
            )
        codecs: dict[str, PayloadCodec] = {}
        encodings: dict[str, str] = {}
        for index, name in enumerate(dict.fromkeys(self._settings.codecs)):
            if self._is_broken("codec", name, "type"):
                continue
            table = self._settings.codec.get(name, PluginTable())
            named_at: Place = ("codec", name, "type") if table.type else ("codecs", index)
            try:
                plugin = self._registry.codec(table.type or name)
                options = self._options(("codec", name), table, plugin.settings)
                if options is not None:
                    codecs[name] = plugin.create(options)
                    encodings |= dict.fromkeys(plugin.encodings, name)
            except ConfigurationError as error:
                self.errors.append(error.at(dotted(named_at), self._settings.origins.of(named_at)))
            except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
                self._report(("codec", name), f"the codec cannot be made: {type(error).__name__}: {error}")
        return CodecChain(codecs, encodings)

    # -- storage

    def _drivers(self) -> dict[str, ManagedDriver]:
        drivers: dict[str, ManagedDriver] = {}
        recorded: dict[str, str] = {}
        for key, table, named_at in self._driver_tables():
            place: Place = ("storage", "drivers", key)
            try:
                plugin = self._registry.driver(table.type or key)
            except ConfigurationError as error:
                self.errors.append(error.at(dotted(named_at), self._settings.origins.of(named_at)))
                continue
            plain_type = (table.type or key).rpartition(":")[2]
            conventional = plugin.driver_name if plain_type == key else key
            name = table.driver_name or conventional
            for each in (name, *table.read_aliases):
                if each in recorded:
                    self._report(
                        place,
                        f"the recorded driver name {each!r} is that of {recorded[each]} already; references "
                        "could not tell the two apart; give one of them another driver_name or read_aliases",
                    )
                recorded[each] = dotted(place)
            try:
                options = self._options(place, table, plugin.settings)
                if options is not None:
                    drivers[key] = make_driver(
                        plugin,
                        options,
                        name=name,
                        place=dotted(place),
                        storage=self._settings.storage,
                        notify=self._registry.notify,
                    )
            except Exception as error:  # noqa: BLE001  # a plugin's code may raise anything
                self._report(place, f"the driver cannot be made: {type(error).__name__}: {error}")
        return drivers

    def _driver_tables(self) -> list[tuple[str, DriverTable, Place]]:
        """Return each driver, its table, and where it is named; a name without a table gets one."""
        storage = self._settings.storage
        tables: list[tuple[str, DriverTable, Place]] = []
        for key, table in storage.drivers.items():
            if self._is_broken("storage", "drivers", key, "type"):
                continue
            place: Place = ("storage", "drivers", key)
            tables.append((key, table, (*place, "type") if table.type else place))
        uses: dict[str, Place] = {storage.driver: ("storage", "driver")} if storage.driver else {}
        for index, route in enumerate(storage.routes):
            uses.setdefault(route.driver, ("storage", "routes", index, "driver"))
        installed = {offer.name for offer in self._registry.offers("driver")} if uses else set()
        for name, place in uses.items():
            if name == INLINE or name in storage.drivers or self._is_broken("storage", "drivers", name):
                continue
            if storage.drivers and name not in installed:
                configured = ", ".join(storage.drivers)
                hint = did_you_mean(name, {*storage.drivers, *installed, INLINE})
                problem = Problem(
                    f"there is no driver {name!r}: no table [storage.drivers.{name}] (but: {configured}) "
                    f"and no installed plugin (but: {', '.join(sorted(installed)) or 'none'}).{hint}",
                    dotted(place),
                    self._settings.origins.of(place),
                )
                self.errors.append(UnknownPluginError(problem))
            else:
                tables.append((name, DriverTable(), place))
        return tables

    def _options(self, place: Place, table: PluginTable, model: type[BaseModel]) -> BaseModel | None:
        try:
            return model.model_validate(table.options)
        except ValidationError as error:
            beside = tuple(type(table).model_fields)
            origins = self._settings.origins
            problems = explain(error, model, origins, prefix=place, also_known=beside)
            self.errors += [ConfigurationError(problem) for problem in problems]
            return None

    def _external_storage(
        self, base: DataConverter, drivers: Mapping[str, ManagedDriver]
    ) -> ExternalStorage | None:
        storage = self._settings.storage
        if base.external_storage is not None:
            self._report(("storage",), "the base converter has external storage of its own; give one")
        writable = [key for key in drivers if not self._table(key).retrieve_only]
        default = storage.driver or (writable[0] if len(writable) == 1 else INLINE)
        known: list[StorageDriver] = list(drivers.values())
        for key, driver in drivers.items():
            known += [DriverAlias(driver, name) for name in self._table(key).read_aliases]
        if self.errors:
            return None
        return ExternalStorage(
            drivers=known,
            driver_selector=Router(
                routes=[(route, drivers.get(route.driver)) for route in storage.routes],
                default=drivers.get(default),
            ),
            payload_size_threshold=int(storage.threshold),
        )

    def _table(self, key: str) -> DriverTable:
        return self._settings.storage.drivers.get(key) or DriverTable()
