"""From settings to the SDK's `DataConverter`."""

from __future__ import annotations

import dataclasses
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from temporalio.converter import DataConverter

from temporal_payloads._build.codecs import Codecs, build_codecs
from temporal_payloads._build.drivers import announce_warnings, managed_drivers
from temporal_payloads._build.external_storage import external_storage
from temporal_payloads._build.failure_converter import encodes_failures, encoding_failure_converter
from temporal_payloads._build.findings import Findings
from temporal_payloads._build.observers import observers
from temporal_payloads._build.opening import all_open
from temporal_payloads._build.payload_converter import payload_converter
from temporal_payloads._codecs.chain import CodecChain
from temporal_payloads._errors import ConfigurationError
from temporal_payloads._observe.logs import give_records_context
from temporal_payloads._plugins.registry import PluginRegistry
from temporal_payloads._settings.provenance import announce
from temporal_payloads._settings.reading import read_settings
from temporal_payloads._settings.settings import PayloadSettings
from temporal_payloads._storage.external_storage import PayloadStorage
from temporal_payloads._storage.failures import with_payload_failures

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Mapping, Sequence

    from temporal_payloads._observe.observers import Observers
    from temporal_payloads._storage.managed_driver import ManagedDriver


@dataclasses.dataclass(frozen=True)
class Assembly:
    """A converter and the parts that it was made of, for what sits on top of it."""

    settings: PayloadSettings
    converter: DataConverter
    drivers: Mapping[str, ManagedDriver]
    """The drivers by their table's key."""
    codecs: Codecs
    observers: Observers
    """Who is told of what codecs and drivers do."""
    sandbox_passthrough: Sequence[str] = ()
    """Modules that the workflow sandbox must pass through for the payload converter."""
    payload_converter_identity: Mapping[str, object] = dataclasses.field(default_factory=dict)
    """The settings of the payload converter's plugin, without secrets."""

    @property
    def reading_chain(self) -> CodecChain:
        """Decodes what stands in histories: what workers cannot read is refused, what is in clear is not."""
        return self.codecs.chain.before(self.converter.payload_converter_class()).reading()

    @asynccontextmanager
    async def drivers_open(self, *, check: bool = False, encodes: bool = True) -> AsyncIterator[None]:
        """Keep every driver, and every key provider, open in this event loop.

        Args:
            check: Also ask each store whether it lets us in, and each codec whether it has what it needs. A
                store that is only retrieved from may be down: no new payload needs it. One that has a
                fallback may be out of reach.
            encodes: Whether payloads will be encoded. If not, codecs are not asked.

        Raises:
            StorageError: Why a driver or a codec cannot be used.
        """
        tables = self.settings.storage.drivers
        named = {key: driver for key, driver in self.drivers.items() if key in tables}
        read_only = [driver for key, driver in named.items() if not tables[key].takes_new_payloads]
        async with all_open(
            [*self.drivers.values(), *self.codecs.key_providers.values()],
            check=check,
            optional=read_only if check else [],
            replaceable=[driver for key, driver in named.items() if tables[key].fallback],
            closing_timeout=self.settings.storage.timeout,
        ):
            if check and encodes:
                await self.codecs.chain.check()
            yield


def build_data_converter(
    settings: PayloadSettings | None = None,
    *,
    base: DataConverter | None = None,
    registry: PluginRegistry | None = None,
    required: bool | None = None,
) -> DataConverter:
    """Build the SDK's data converter that the settings describe.

    Everything is validated, and only the plugins that the settings name are loaded. Nothing is opened: a
    driver's client is opened at its first use, once per event loop, and closed when that loop shuts down.
    What the settings were read from is logged, once in a process.

    Args:
        settings: By default `PayloadSettings.load()`: the file and the environment.
        base: The converter to start from, for instance `temporalio.contrib.pydantic.pydantic_data_converter`.
            By default the SDK's own.
        registry: Where plugins are found; for plugins and observers that are registered in code.
        required: Where no settings are given: whether it is an error to find neither a file nor a variable.
            By default what `TEMPORAL_PAYLOADS_REQUIRED` says, else it is none.

    Raises:
        ConfigurationError: With every problem that was found.
        UnknownPluginError: The one problem is a plugin that is not installed.
        PluginConflictError: The one problem is a plugin that two distributions offer.
        PluginLoadError: The one problem is a plugin that cannot be loaded.
    """
    return assemble(settings, base=base, registry=registry, required=required).converter


@asynccontextmanager
async def open_data_converter(
    settings: PayloadSettings | None = None,
    *,
    base: DataConverter | None = None,
    registry: PluginRegistry | None = None,
    required: bool | None = None,
) -> AsyncIterator[DataConverter]:
    """Build the data converter with every driver open, and close them at the end.

    Each store is asked whether it is there and lets us in, so that a wrong endpoint or credential fails
    here and not in a workflow. Arguments as of `build_data_converter`.

    Raises:
        ConfigurationError: As `build_data_converter` does.
        StorageError: A driver cannot be opened, or its store is of no use; its notes tell of further ones. A
            store that is only retrieved from (`retrieve_only`), and one that is out of reach and has a
            `fallback`, is logged as a warning instead.
    """
    assembly = assemble(settings, base=base, registry=registry, required=required)
    async with assembly.drivers_open(check=True):
        yield assembly.converter


def assemble(
    settings: PayloadSettings | None = None,
    *,
    base: DataConverter | None = None,
    registry: PluginRegistry | None = None,
    required: bool | None = None,
    bounded_reads: bool = False,
    namespaces: Collection[str] | None = None,
) -> Assembly:
    """Build the converter and keep its parts.

    Every problem is in one error: those that were found when the settings were read, which `read_settings`
    leaves to whoever builds from them, and those that only plugins can tell. Arguments as of
    `build_data_converter`; with `bounded_reads` no payload is read that is larger than what its driver
    stores, and `namespaces` are the only ones that metrics name.
    """
    if settings is None:
        settings = read_settings(PayloadSettings, required=required)
    announce(settings.sources)
    assembly = build(
        settings, base=base, registry=registry, bounded_reads=bounded_reads, namespaces=namespaces
    )
    announce_warnings(assembly.drivers.values())
    return assembly


def build(
    settings: PayloadSettings,
    *,
    base: DataConverter | None = None,
    registry: PluginRegistry | None = None,
    bounded_reads: bool = False,
    namespaces: Collection[str] | None = None,
) -> Assembly:
    """Build from settings that were read before; the rest as of `assemble`."""
    give_records_context()
    base = base or DataConverter.default
    registry = registry or PluginRegistry()
    if any(not problem.place for problem in settings.problems):
        # A file that could not be read: nothing can be built of its settings.
        raise ConfigurationError(settings.problems)
    findings = Findings(settings)
    chosen = payload_converter(settings, base, registry, findings)
    changes: dict[str, Any] = {"payload_converter_class": chosen.converter}
    base = _without_our_placeholders(base)
    told = observers(settings.observability, registry, namespaces=namespaces)
    codecs = build_codecs(settings, base, registry, findings, told)
    # Also without codecs and drivers: a payload that needs one is told in our words, not the SDK's.
    if base.payload_codec is None:
        changes["payload_codec"] = codecs.chain
    if encodes_failures(settings, base, codecs.chain, findings):
        changes["failure_converter_class"] = encoding_failure_converter(base, findings)
    drivers = managed_drivers(settings.storage, registry, findings, told, bounded_reads=bounded_reads)
    if drivers and base.external_storage is not None:
        findings.add(("storage",), "the base converter has external storage of its own; give one")
    findings.raise_all()
    if drivers or base.external_storage is None:
        codec = changes.get("payload_codec", base.payload_codec)
        changes["external_storage"] = external_storage(settings.storage, drivers, codec, told)
    failure_converter = changes.get("failure_converter_class", base.failure_converter_class)
    changes["failure_converter_class"] = with_payload_failures(failure_converter)
    converter = dataclasses.replace(base, **changes)
    if converter.payload_codec is codecs.chain:
        before = codecs.chain.before(converter.payload_converter_class())
        converter = dataclasses.replace(converter, payload_codec=before)
    return Assembly(
        settings,
        converter,
        drivers,
        codecs,
        told,
        sandbox_passthrough=chosen.sandbox_passthrough,
        payload_converter_identity=chosen.identity,
    )


def _without_our_placeholders(base: DataConverter) -> DataConverter:
    """Return the converter without what an earlier build put where no codec or driver was configured."""
    unused: dict[str, Any] = {}
    if isinstance(base.payload_codec, CodecChain) and not base.payload_codec.has_codecs:
        unused["payload_codec"] = None
    if isinstance(base.external_storage, PayloadStorage) and not base.external_storage.has_drivers:
        unused["external_storage"] = None
    return dataclasses.replace(base, **unused) if unused else base
