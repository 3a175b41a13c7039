"""What a plugin tells core about itself, and the hooks by which it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import pluggy
from pydantic import BaseModel
from temporalio.converter import (
    PayloadCodec,
    PayloadConverter,
    SerializationContext,
    StorageDriver,
    StorageDriverClaim,
)

from temporal_payloads._plugins.events import (
    CircuitEvent,
    CodecEvent,
    CollectionEvent,
    InlineEvent,
    StorageEvent,
)
from temporal_payloads._plugins.keys import KeyProvider, KeyProviderPlugin

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT = "temporal_payloads"
PLUGIN_API_VERSION = 1
"""The version of everything in this module. A plugin states the one that it was written for."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks the function by which a plugin describes itself, or by which an observer is told.

Example::

    @hookimpl
    def temporal_payloads_codec() -> CodecPlugin[ReverseSettings]:
        return CodecPlugin(
            api_version=1, settings=ReverseSettings, encodings=["binary/reversed"], create=create
        )
"""

SettingsT = TypeVar("SettingsT", bound=BaseModel)


@dataclass(frozen=True, kw_only=True)
class DriverContext:
    """What `DriverPlugin.open` may want to know beside its own settings.

    Example::

        @asynccontextmanager
        async def open_driver(
            settings: ShelfSettings, context: DriverContext
        ) -> AsyncIterator[StorageDriver]:
            async with shelf_client.connect(settings.url, connections=context.concurrency) as shelf:
                yield ShelfDriver(shelf, driver_name=context.name)
    """

    name: str
    """The driver name that references record."""
    place: str
    """Where the driver is configured (`storage.drivers.s3`), for error messages."""
    concurrency: int
    """How many payloads core asks for at once (`storage.concurrency`)."""
    retrieve_only: bool = False
    """Whether nothing new is written (`retrieve_only`): a check must not ask for the right to write then."""
    largest_read: int | None = None
    """Bytes of the largest payload that is to be read; None for workers, which read what is there.

    Where the store tells a payload's size beforehand, a larger one is a `PayloadTooLargeError`. A codec
    server has such a limit: the driver's `max_payload_size`, by which it reserves memory.
    """


@dataclass(frozen=True, kw_only=True)
class ConfinedClaim:
    """A claim that was found to lie inside what the driver is configured for.

    Example::

        KEY = re.compile(r"(?P<namespace>[^/]+)/(?P<sha256>[0-9a-f]{64})")

        def confine(settings: ShelfSettings, claim: StorageDriverClaim) -> ConfinedClaim:
            key = KEY.fullmatch(claim.claim_data.get("key", ""))
            if key is None:
                raise ClaimRejectedError("The claim's key is none that this driver writes")
            return ConfinedClaim(claim=claim, sha256=key["sha256"], namespace=key["namespace"])
    """

    claim: StorageDriverClaim
    """The claim in its canonical spelling. Only this one reaches the driver."""
    sha256: str
    """Lower-case hex SHA-256 of the serialized payload that the claim stands for."""
    namespace: str | None
    """The Temporal namespace that the key names, or None if it names none."""


@dataclass(frozen=True, kw_only=True)
class DriverPlugin(Generic[SettingsT]):
    """A storage driver as a plugin; what the `temporal_payloads_driver` hook returns.

    Example::

        @hookimpl
        def temporal_payloads_driver() -> DriverPlugin[ShelfSettings]:
            return DriverPlugin(
                api_version=1,
                settings=ShelfSettings,
                driver_type="shelf",
                driver_name="shelf",
                open=open_driver,
                confine=lambda settings, claim: KeyLayout(settings.prefix).confine(claim),
                identity=lambda settings: {"url": settings.url, "prefix": settings.prefix},
                imports=("shelf_client",),
                destination=("url",),
            )

        assert temporal_payloads_driver().expiry(ShelfSettings(url="shelf://main")) is None
    """

    api_version: int
    """The plugin API that this plugin was written for: 1. Write the number, not a constant of core's."""
    settings: type[SettingsT]
    """The model of a `[storage.drivers.NAME]` table: `extra="forbid"`, frozen, secrets as `SecretStr`."""
    driver_type: str
    """What the SDK driver's `type()` returns, the same in every language (`aws.s3driver`)."""
    driver_name: str
    """The driver name that is recorded in references by convention (`aws.s3driver`, `redis`)."""
    open: Callable[[SettingsT, DriverContext], AbstractAsyncContextManager[StorageDriver]]
    """Opens the client and yields the driver; called once per event loop.

    If the yielded driver has a method `async def check(self) -> None`, it is called wherever a wrong
    endpoint, credential or bucket must show at once; it raises a `StorageError`. If it has a method
    `async def diagnose(self, context: DiagnosisContext) -> Sequence[Finding]`, `temporal-payloads check`
    shows what that finds: the role's rights one by one, the store's clock, settings of the store by which
    payloads may be lost. If it is a `CollectableDriver`, `usage` counts, `gc` collects and `migrate` fills
    its store.
    """
    confine: Callable[[SettingsT, StorageDriverClaim], ConfinedClaim]
    """Raises `ClaimRejectedError` unless the claim lies inside these settings. A claim is untrusted input."""
    identity: Callable[[SettingsT], Mapping[str, object]] | None = None
    """Which of the settings say where payloads are, and whose: server, database, bucket, prefix, account.

    Core's cache keeps apart what is stored under different identities, and with the same one finds what it
    kept although timeouts, pools or credentials have changed since. Values are such as JSON has; secrets do
    not belong here. By default all settings count but what is secret.
    """
    imports: Sequence[str] = ()
    """Modules that `open` imports, the client library above all. Core imports them beforehand in a thread,
    for importing one can take a second, in which an event loop would stand still.
    """
    expiry: Callable[[SettingsT], timedelta | None] = lambda _settings: None
    """How long the store keeps a payload after it was first written; None if it does not expire."""
    max_payload_size: Callable[[SettingsT], int | None] = lambda settings: getattr(
        settings, "max_payload_size", None
    )
    """Bytes of the largest payload that the driver stores, by which a codec server reserves memory. By
    default the setting of this name; without it, or with None, 50 MiB.
    """
    destination: Sequence[str] = ()
    """The settings that decide where credentials are sent (`endpoint_url`, `sentinel.hosts`).

    While credentials come from the environment, a settings file that was only found in the working
    directory must not hold them.
    """
    retries: bool = False
    """Whether the driver's client, by itself, repeats a request that found its store out of reach, with
    growing pauses and jitter. Otherwise core calls the driver up to three times.
    """
    ambient_credentials: Sequence[str] = ()
    """Variables from which the client library takes credentials by itself (`AWS_ACCESS_KEY_ID`)."""
    sends_found_credentials: Callable[[SettingsT], bool] = lambda _settings: False
    """Whether the client, with these settings, sends credentials that stand in neither the settings nor a
    variable (they come from a file of the home directory, of another program, or a metadata server) to
    anybody but the provider's own servers.

    If so, a settings file that was only found in the working directory must hold none of `destination`. A
    setting that names a file of credentials is one of those too: such a file says itself where it is sent.
    """
    warning: Callable[[SettingsT], str | None] = lambda _settings: None
    """What an operator must know of such a store, if anything: that payloads do not outlive the process, for
    instance. It is logged when a converter is built, and shown by `temporal-payloads check`.
    """


CodecRole = Literal["transform", "compress", "encrypt"]


@dataclass(frozen=True, kw_only=True)
class CodecContext:
    """What `CodecPlugin.create_with` may want to know beside its own settings.

    Example::

        def create_with(settings: ReverseSettings, context: CodecContext) -> PayloadCodec:
            if context.stored_from is None:
                logger.info("%s: nothing is ever stored", context.place)
            return ReverseCodec()
    """

    place: str
    """Where the codec is configured (`codec.encryption`), for error messages."""
    key_provider: Callable[[str], KeyProvider]
    """Returns the provider of the key with this URI (`awskms:///alias/orders`). Nothing is opened.

    It raises a `ConfigurationError` if the settings are wrong or no installed plugin knows such keys. Let
    that pass: core tells it with the codec's place. It may be called later too, when keys have changed.
    """
    stored_from: int | None = None
    """Bytes of an encoded payload from which a storage driver may be given it; None if none is ever.

    Where equal payloads become equal bytes, a store keeps them once. That is worth no work for what stays in
    the history.
    """


class PluginSettingsError(Exception):
    """Settings that are wrong together, or with what they name; raised where a plugin makes its object.

    Args:
        problems: Each with the setting inside the plugin's table as a tuple (`("keys", "2026-11", "env")`),
            and what is wrong with it and what to do. No secret may stand in it.

    Example::

        def create(settings: DictionarySettings) -> PayloadCodec:
            if not settings.dictionary.exists():
                raise PluginSettingsError([(("dictionary",), "there is no such file; correct the path")])
            return DictionaryCodec(settings.dictionary.read_bytes())
    """

    def __init__(self, problems: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(f"{'.'.join(map(str, place))}: {text}" for place, text in self.problems))


@dataclass(frozen=True)
class PayloadReaderContext(SerializationContext):
    """The context in which somebody else's payloads are encoded and decoded for a person or a program to see.

    The codec server gives it to codecs, as the SDK gives them a `WorkflowSerializationContext`. A codec that
    keeps namespaces apart decodes for these namespaces and no other.

    Example::

        class PerNamespaceCodec(ReverseCodec, WithSerializationContext):
            namespaces: frozenset[str] = frozenset()

            def with_context(self, context: SerializationContext) -> "PerNamespaceCodec":
                codec = PerNamespaceCodec()
                if isinstance(context, PayloadReaderContext):
                    codec.namespaces = frozenset({context.namespace}) | context.also_reads
                elif isinstance(context, WorkflowSerializationContext):
                    codec.namespaces = frozenset({context.namespace})
                return codec

        reader = PayloadReaderContext("orders", also_reads=frozenset({"billing"}))
        assert PerNamespaceCodec().with_context(reader).namespaces == {"orders", "billing"}
    """

    namespace: str
    """The Temporal namespace that the caller names; empty if it names none."""
    also_reads: frozenset[str] = frozenset()
    """Further namespaces whose payloads the settings let the caller read."""


def _create_with_context(_: Any) -> PayloadCodec:
    raise TypeError("this codec is made with create_with")


@dataclass(frozen=True, kw_only=True)
class CodecPlugin(Generic[SettingsT]):
    """A payload codec as a plugin; what the `temporal_payloads_codec` hook returns.

    The codec may have, beside what the SDK asks for:

    - `async def check(self) -> None`, called wherever what cannot work must show at once (before a worker
      starts, in `temporal-payloads check`); it raises a `StorageError`;
    - `def why_left_alone(self, payload: Payload) -> str | None`, which says why `decode` gave back a payload
      of one of its `encodings` as it was, for the error that tells of it. Of several codecs with one
      encoding, one that has this method, and so leaves alone what is not its own, is asked first;
    - `def describe_keys(self) -> Sequence[KeyDescription]`, the keys that it encrypts and decrypts with, for
      `temporal-payloads check` and `keys`. It asks nobody, and shows nothing of a key;
    - `def key_of(self, payload: Payload) -> str | None`, the id of the key that a payload of one of its
      `encodings` was encrypted with, whether that key is here or not; None for any other payload. By it
      `temporal-payloads keys --in-use` counts what still needs a key;
    - an attribute `keys_may_change: bool`, true if it may ask for the providers of further keys while it is
      used: a `[key_providers.SCHEME]` table that no key needs yet is then no mistake.

    Example::

        @hookimpl
        def temporal_payloads_codec() -> CodecPlugin[ReverseSettings]:
            return CodecPlugin(
                api_version=1,
                settings=ReverseSettings,
                encodings=("binary/reversed",),
                create=lambda settings: ReverseCodec(),
            )
    """

    api_version: int
    """The plugin API that this plugin was written for: 1. Write the number, not a constant of core's."""
    settings: type[SettingsT]
    """The model of a `[codec.NAME]` table: `extra="forbid"`, frozen, secrets as `SecretStr`."""
    encodings: Sequence[str]
    """The `encoding` metadata values that the codec writes (`binary/gzip`)."""
    create: Callable[[SettingsT], PayloadCodec] = _create_with_context
    """Makes the codec. It opens nothing; import the codec's library here."""
    create_with: Callable[[SettingsT, CodecContext], PayloadCodec] | None = None
    """The same, for a codec that wants the context; give one of the two."""
    role: CodecRole = "transform"
    """What the codec is for. One that encrypts must come after those that compress; it makes failures go
    through the codecs by default, and is what `require_encrypted` asks for: it must encrypt every payload.
    """
    identity: Callable[[SettingsT], Mapping[str, object]] | None = None
    """Which of the settings whoever reads its payloads must have alike: a dictionary (by a hash of what is in
    it), but no level. They count for the fingerprint of the settings, as do the keys that `describe_keys`
    tells. Values are such as JSON has; secrets do not belong here. By default all settings count but what is
    secret.
    """

    def __post_init__(self) -> None:
        """Refuse a plugin that makes no codec, or could in two ways."""
        if (self.create is _create_with_context) == (self.create_with is None):
            raise TypeError("give one of create and create_with")

    def make(self, settings: SettingsT, context: CodecContext) -> PayloadCodec:
        """Make the codec in the way that the plugin has."""
        return self.create_with(settings, context) if self.create_with else self.create(settings)


@dataclass(frozen=True, kw_only=True)
class PayloadConverterPlugin(Generic[SettingsT]):
    """A payload converter as a plugin; what the `temporal_payloads_payload_converter` hook returns.

    Example::

        @hookimpl
        def temporal_payloads_payload_converter() -> PayloadConverterPlugin[ReverseSettings]:
            return PayloadConverterPlugin(
                api_version=1,
                settings=ReverseSettings,
                create=lambda settings: DefaultPayloadConverter,
                sandbox_passthrough=("my_converter",),
            )
    """

    api_version: int
    """The plugin API that this plugin was written for: 1. Write the number, not a constant of core's."""
    settings: type[SettingsT]
    """The model of a `[payload_converters.NAME]` table: `extra="forbid"`, frozen, secrets as `SecretStr`."""
    create: Callable[[SettingsT], type[PayloadConverter]]
    """Returns the converter's class. The SDK makes it without arguments. Import the library here.

    Equal settings give the same class: by that a converter that was built before is recognised. The class can
    be pickled: activities in a process pool are given it.
    """
    extend: Callable[[SettingsT, type[PayloadConverter]], type[PayloadConverter]] | None = None
    """Returns the class on top of a base converter's own: of `base=`, or of a client that has
    `PayloadsPlugin`. Raises a `ValueError` whose text says why the two do not compose, and what to do.
    None: it composes with no other. Where the base is the SDK's default, `create` is called instead.
    """
    sandbox_passthrough: Sequence[str] = ()
    """Modules that the workflow sandbox must pass through, with their submodules: the plugin's own, and the
    library. `PayloadsPlugin` adds them to those of the worker's runner.
    """


class Hooks:
    """The hook specifications, one for each thing that a plugin can be."""

    @hookspec
    def temporal_payloads_driver(self) -> DriverPlugin[Any]:  # type: ignore[empty-body]  # a specification
        """Describe the storage driver that an entry point in `temporal_payloads.drivers` names.

        Example, in `_plugin.py`::

            @hookimpl
            def temporal_payloads_driver() -> DriverPlugin[S3Settings]:
                return DriverPlugin(
                    api_version=1,
                    settings=S3Settings,
                    driver_type="aws.s3driver",
                    driver_name="aws.s3driver",
                    open=_open,
                    confine=_confine,
                )
        """

    @hookspec
    def temporal_payloads_codec(self) -> CodecPlugin[Any]:  # type: ignore[empty-body]  # a specification
        """Describe the codec that an entry point in `temporal_payloads.codecs` names.

        Example, in `_plugin.py`::

            @hookimpl
            def temporal_payloads_codec() -> CodecPlugin[GzipSettings]:
                return CodecPlugin(
                    api_version=1,
                    settings=GzipSettings,
                    encodings=("binary/gzip",),
                    create=_create,
                )
        """

    @hookspec
    def temporal_payloads_payload_converter(self) -> PayloadConverterPlugin[Any]:  # type: ignore[empty-body]  # a specification
        """Describe the payload converter that an entry point in `temporal_payloads.payload_converters` names.

        Example, in `_plugin.py`::

            @hookimpl
            def temporal_payloads_payload_converter() -> PayloadConverterPlugin[MsgspecSettings]:
                return PayloadConverterPlugin(
                    api_version=1,
                    settings=MsgspecSettings,
                    create=_create,
                    sandbox_passthrough=("msgspec", "temporal_payloads_msgspec_converter"),
                )
        """

    @hookspec
    def temporal_payloads_key_provider(self) -> KeyProviderPlugin[Any]:  # type: ignore[empty-body]  # a specification
        """Describe the key provider that an entry point in `temporal_payloads.key_providers` names.

        Example, in `_plugin.py`::

            @hookimpl
            def temporal_payloads_key_provider() -> KeyProviderPlugin[KmsSettings]:
                return KeyProviderPlugin(api_version=1, settings=KmsSettings, open=_open)
        """

    @hookspec
    def temporal_payloads_storage_event(self, event: StorageEvent) -> None:
        """Observe a storage operation that has just ended. It runs on the event loop: be quick.

        Example::

            class Metrics:
                @hookimpl
                def temporal_payloads_storage_event(self, event: StorageEvent) -> None:
                    histogram.record(event.duration, {"driver": event.driver})

            registry.register_observer(Metrics())
        """

    @hookspec
    def temporal_payloads_codec_event(self, event: CodecEvent) -> None:
        """Observe what a codec has just done. It runs on the event loop: be quick.

        Example::

            class Metrics:
                @hookimpl
                def temporal_payloads_codec_event(self, event: CodecEvent) -> None:
                    histogram.record(event.duration, {"codec": event.codec})

            registry.register_observer(Metrics())
        """

    @hookspec
    def temporal_payloads_inline_event(self, event: InlineEvent) -> None:
        """Observe new payloads that no driver stores. It runs on the event loop: be quick.

        Example::

            class Metrics:
                @hookimpl
                def temporal_payloads_inline_event(self, event: InlineEvent) -> None:
                    counter.add(event.payloads)

            registry.register_observer(Metrics())
        """

    @hookspec
    def temporal_payloads_circuit_event(self, event: CircuitEvent) -> None:
        """Observe that a driver's circuit has opened or closed. It may be called from any thread.

        Example::

            class Alarm:
                @hookimpl
                def temporal_payloads_circuit_event(self, event: CircuitEvent) -> None:
                    if event.is_open:
                        call_somebody(event.driver)

            registry.register_observer(Alarm())
        """

    @hookspec
    def temporal_payloads_collection_event(self, event: CollectionEvent) -> None:
        """Observe a garbage collection of a store that has just ended. It runs on the event loop: be quick.

        Example::

            @hookimpl
            def temporal_payloads_collection_event(event: CollectionEvent) -> None:
                gauge.set(event.payloads["unneeded"], {"driver": event.driver})
        """
