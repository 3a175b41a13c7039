"""Which settings serve a namespace."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporal_payloads._build.assembly import Assembly, assemble
from temporal_payloads._build.fingerprint import announce_fingerprint
from temporal_payloads._codecs.compression import CompressionSettings
from temporal_payloads._errors import ConfigurationError, raise_all
from temporal_payloads._settings.choices import Caller
from temporal_payloads._settings.models import PluginTable
from temporal_payloads._settings.reading import read_settings
from temporal_payloads._settings.settings import PayloadSettings

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Mapping

    from temporalio.converter import ExternalStorage

    from temporal_payloads._codecs.chain import CodecChain
    from temporal_payloads._plugins.registry import PluginRegistry
    from temporal_payloads._settings.codec_server import CodecServerSettings
    from temporal_payloads._storage.managed_driver import ManagedDriver

_CALLER = Caller(profile="codec_server.namespaces")


@dataclass(frozen=True, eq=False)
class Profile:
    """One way to encode and store payloads: what a worker of these namespaces is built from."""

    name: str
    """The profile's name in the settings; empty for the settings that the server itself runs with."""
    assembly: Assembly

    @property
    def codec(self) -> CodecChain:
        """The codecs as one."""
        return self.assembly.codecs.chain

    @property
    def storage(self) -> ExternalStorage | None:
        """The external storage, if there is any."""
        return self.assembly.converter.external_storage

    def driver(self, recorded_name: str) -> ManagedDriver | None:
        """Return the driver that references call by this name, now or formerly."""
        tables = self.assembly.settings.storage.drivers
        for key, driver in self.assembly.drivers.items():
            aliases = tables[key].read_aliases if key in tables else ()
            if recorded_name == driver.name() or recorded_name in aliases:
                return driver
        return None


class Profiles:
    """The profiles of all namespaces.

    Args:
        default: For namespaces that are not listed; None refuses those.
        listed: The profile of each listed namespace.
    """

    def __init__(self, default: Profile | None, listed: Mapping[str, Profile]) -> None:
        self.default = default
        self.listed = dict(listed)

    def of(self, namespace: str) -> Profile | None:
        """Return the profile that serves the namespace, or None."""
        return self.listed.get(namespace, self.default)

    @property
    def all(self) -> list[Profile]:
        """Every profile once."""
        profiles = [*([self.default] if self.default else []), *self.listed.values()]
        return list(dict.fromkeys(profiles))

    @asynccontextmanager
    async def drivers_open(self) -> AsyncIterator[None]:
        """Keep the drivers of all profiles open."""
        async with AsyncExitStack() as stack:
            for profile in self.all:
                await stack.enter_async_context(profile.assembly.drivers_open())
            yield

    async def check(self) -> None:
        """Ask every store whether it is there and lets us in, and every codec whether it has what it needs.

        Raises:
            StorageError: The first that does not.
            KeyUnavailableError: The first key that its provider does not give.
        """
        for profile in self.all:
            await profile.codec.check()
            for driver in profile.assembly.drivers.values():
                await driver.check()


def build_profiles(
    settings: PayloadSettings,
    *,
    file: str | os.PathLike[str] | None,
    given: Mapping[str, PayloadSettings],
    registry: PluginRegistry,
) -> Profiles:
    """Build every profile that the server's settings name.

    Args:
        settings: What the server itself runs with.
        file: Where profiles are read from that are not given.
        given: Profiles by name, made in code.
        registry: Where plugins are found.

    Raises:
        ConfigurationError: With every problem of every profile.
    """
    server = settings.codec_server
    errors: list[ConfigurationError] = []
    built: dict[str, Profile] = {}
    # The server's own settings are built even if all namespaces have profiles: their faults are faults too.
    for name in dict.fromkeys(["", *server.namespaces.values()]):
        try:
            chosen = given.get(name) if name else settings
            if chosen is None:
                chosen = read_settings(PayloadSettings, file, name, caller=_CALLER)
            built[name] = _build(name, chosen, server, registry)
        except ConfigurationError as error:
            # What is wrong in the file is wrong in each of its profiles; once is enough.
            if not any(set(error.problems) <= set(earlier.problems) for earlier in errors):
                errors.append(error)
    raise_all(errors)
    listed = {namespace: built[name] for namespace, name in server.namespaces.items()}
    serve_unlisted = not listed if server.serve_unlisted is None else server.serve_unlisted
    return Profiles(built[""] if serve_unlisted else None, listed)


def _build(
    name: str, settings: PayloadSettings, server: CodecServerSettings, registry: PluginRegistry
) -> Profile:
    def assembled() -> Assembly:
        # Memory is reserved for what a driver stores. What a peer with a higher limit wrote, workers read.
        return assemble(settings, registry=registry, bounded_reads=True, namespaces=server.namespaces)

    assembly = assembled()
    decompressed_size = int(server.limits.decompressed_size)
    tables = dict(settings.codec)
    for codec in (*settings.codecs, *settings.decode_only):
        table = tables.get(codec, PluginTable())
        plugin = registry.codec(table.type or codec)
        options = plugin.settings.model_validate(table.options)
        if isinstance(options, CompressionSettings) and options.max_decoded_size > decompressed_size:
            # The server's limit holds while a payload is being expanded, not only afterwards.
            tables[codec] = table.model_copy(update={"max_decoded_size": decompressed_size})
    if tables != settings.codec:
        settings = settings.model_copy(update={"codec": tables})
        assembly = assembled()
    announce_fingerprint(assembly)
    return Profile(name, assembly)
