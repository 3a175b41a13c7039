"""What observers are told of: operations on stores and by codecs that have just ended, and how stores do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class StorageEvent:
    """One store or retrieve call on one driver, as observers see it when it has ended.

    Calls are the SDK's. During a replay with `PayloadsPlugin` there are also those that fetch one payload
    ahead, of which the SDK's own call is then a cache hit.

    Example::

        class Metrics:
            @hookimpl
            def temporal_payloads_storage_event(self, event: StorageEvent) -> None:
                if event.error is None:
                    logger.info("%s: %d bytes in %.3f s", event.driver, event.size, event.duration)

        registry = PluginRegistry()
        registry.register_observer(Metrics())
    """

    operation: Literal["store", "retrieve"]
    driver: str
    """The driver name that references record."""
    payloads: int
    """How many payloads the call was about."""
    size: int
    """Their serialized size in bytes; 0 for what was not retrieved."""
    duration: float
    """Seconds, by the monotonic clock."""
    cache_hits: int
    """Retrieved without asking the store: from the cache, or with a request that was under way already."""
    dedupe_hits: int
    """Not stored again, for the same bytes had just been stored in the same place."""
    error: str | None
    """The failure type, or None if the call succeeded."""
    namespace: str | None = None
    """The Temporal namespace of the worker or client that called, never that of a claim; None where the SDK
    tells none, as in a Nexus operation."""
    retries: int = 0
    """How often core called the driver again. What a driver's own client repeats is not known here."""
    keys: Sequence[str] = ()
    """Where the payloads lie in the store, once that is known; no more than the first 16."""
    started: int = 0
    """When the call began, in nanoseconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class CodecEvent:
    """What one codec did in one call, as observers see it when it has ended.

    There is none for a codec that left every payload as it was.

    Example::

        class Ratio:
            @hookimpl
            def temporal_payloads_codec_event(self, event: CodecEvent) -> None:
                if event.operation == "encode" and event.size_after:
                    logger.info("%s: %.1f times smaller", event.codec, event.size_before / event.size_after)

        registry = PluginRegistry()
        registry.register_observer(Ratio())
    """

    operation: Literal["encode", "decode"]
    codec: str
    """Its name in the settings."""
    payloads: int
    """How many payloads it changed; all that it was given, if it failed."""
    size_before: int
    """Their serialized size in bytes before."""
    size_after: int
    """And afterwards; 0 if it failed."""
    duration: float
    """Seconds, by the monotonic clock."""
    error: str | None
    """The failure type, or None if it succeeded."""
    namespace: str | None = None
    """As of `StorageEvent`."""
    keys: Mapping[str, int] = field(default_factory=dict)
    """How many of the payloads each key of the codec encrypted, by the key's id. Those of keys that are not
    configured count as `other`, for anybody can write an id into a payload."""
    started: int = 0
    """When it began, in nanoseconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class InlineEvent:
    """New payloads that stay in the history, as observers see them; `StorageEvent` tells of the others.

    Example::

        class Inline:
            @hookimpl
            def temporal_payloads_inline_event(self, event: InlineEvent) -> None:
                logger.info("%d bytes go into the history", event.size)

        registry = PluginRegistry()
        registry.register_observer(Inline())
    """

    payloads: int
    size: int
    """Their serialized size in bytes."""
    namespace: str | None = None
    """As of `StorageEvent`."""


@dataclass(frozen=True, kw_only=True)
class CircuitEvent:
    """A driver's circuit has opened, for its store cannot be used; or has closed again.

    Example::

        class Alarm:
            @hookimpl
            def temporal_payloads_circuit_event(self, event: CircuitEvent) -> None:
                logger.warning("%s is %s", event.driver, "down" if event.is_open else "back")

        registry = PluginRegistry()
        registry.register_observer(Alarm())
    """

    driver: str
    """The driver name that references record."""
    is_open: bool


CollectedState = Literal["needed", "unneeded", "aside"]


@dataclass(frozen=True, kw_only=True)
class CollectionEvent:
    """What a garbage collection found and did in one driver's store, told at its end.

    Collections are run by `temporal-payloads gc`, which knows nothing of observers that are registered in
    code: the hook stands in the module of a plugin that the settings name, beside what makes it one.

    Example::

        @hookimpl
        def temporal_payloads_collection_event(event: CollectionEvent) -> None:
            if not event.complete:
                logger.warning("The collection of %s was not complete; see gc status", event.driver)
    """

    driver: str
    """The driver name that references record."""
    complete: bool
    """Whether everything was marked and listed. Of a collection that was not, only what it did counts."""
    payloads: Mapping[CollectedState, int]
    """How many payloads of the store are in each state at the end.

    `needed`: it is kept, because something refers to it, or nothing was decided yet. `unneeded`: nothing
    refers to it, and it is not aside. `aside`: it was put aside, and waits to be deleted.
    """
    size: Mapping[CollectedState, int]
    """Their bytes in the store."""
    put_aside: int = 0
    """Payloads that this collection put aside."""
    restored: int = 0
    """Payloads that it brought back."""
    deleted: int = 0
    """Payloads that it deleted."""
    deleted_size: int = 0
    """Their bytes."""
    duration: float = 0.0
    """Seconds that it took."""
    ended: float = 0.0
    """When it ended, in seconds since 1970."""


Event = StorageEvent | CodecEvent | InlineEvent | CircuitEvent | CollectionEvent
