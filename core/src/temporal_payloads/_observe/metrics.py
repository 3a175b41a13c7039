"""From events to measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from temporal_payloads._observe import catalogue
from temporal_payloads._plugins.events import (
    CircuitEvent,
    CodecEvent,
    CollectionEvent,
    Event,
    InlineEvent,
    StorageEvent,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from temporal_payloads._observe.catalogue import Metric
    from temporal_payloads._observe.recorder import Recorder

INLINE = "inline"
"""Stands for the driver of payloads that stay in the history."""
OTHER = "other"
"""Stands for every namespace that is not listed."""


def as_it_is(namespace: str) -> str:
    """Return a namespace that a worker or client is configured with."""
    return namespace


def only_listed(namespaces: Collection[str]) -> Callable[[str], str]:
    """Return what calls namespaces by their names where those who ask may name any."""
    listed = frozenset(namespaces)
    return lambda namespace: namespace if namespace in listed else OTHER


@dataclass(frozen=True)
class Metrics:
    """Makes measurements of events."""

    recorder: Recorder
    label: Callable[[str], str] = as_it_is
    """Returns what a namespace is called: those that nobody configured must not each make a time series."""
    _known: dict[tuple[str | None, ...], Mapping[str, str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The attributes of each time series that there has been, by its metric and their values."""

    def __call__(self, event: Event) -> None:
        """Record what an event tells."""
        match event:
            case StorageEvent():
                self._storage(event)
            case CodecEvent():
                self._codec(event)
            case InlineEvent():
                self._new(INLINE, self._called(event.namespace), event.payloads, event.size)
            case CircuitEvent():
                self._record(catalogue.CIRCUIT_OPEN, int(event.is_open), driver=event.driver)
            case CollectionEvent():
                self._collection(event)

    def _storage(self, event: StorageEvent) -> None:
        namespace = self._called(event.namespace)
        where = {"operation": event.operation, "driver": event.driver, "namespace": namespace}
        self._duration(catalogue.STORAGE_DURATION, event.duration, event.error, **where)
        if event.retries:
            self._record(catalogue.RETRIES, event.retries, **where)
        if event.error is not None:
            return
        self._record(catalogue.STORAGE_PAYLOADS, event.payloads, **where)
        self._record(catalogue.STORAGE_IO, event.size, **where)
        for metric, hits in (
            (catalogue.CACHE_HITS, event.cache_hits),
            (catalogue.DEDUPE_HITS, event.dedupe_hits),
        ):
            if hits:
                self._record(metric, hits, driver=event.driver, namespace=namespace)
        if event.operation == "store":
            self._new(event.driver, namespace, event.payloads, event.size)

    def _new(self, driver: str, namespace: str | None, payloads: int, size: int) -> None:
        self._record(catalogue.NEW_PAYLOADS, payloads, driver=driver, namespace=namespace)
        self._record(catalogue.NEW_SIZE, size, driver=driver, namespace=namespace)

    def _codec(self, event: CodecEvent) -> None:
        namespace = self._called(event.namespace)
        where = {"operation": event.operation, "codec": event.codec, "namespace": namespace}
        self._duration(catalogue.CODEC_DURATION, event.duration, event.error, **where)
        if event.error is not None:
            return
        self._record(catalogue.CODEC_PAYLOADS, event.payloads, **where)
        self._record(catalogue.CODEC_INPUT, event.size_before, **where)
        self._record(catalogue.CODEC_OUTPUT, event.size_after, **where)
        for key, payloads in event.keys.items():
            self._record(catalogue.KEY_USES, payloads, operation=event.operation, codec=event.codec, key=key)

    def _collection(self, event: CollectionEvent) -> None:
        driver = event.driver
        for change, payloads in (
            ("put_aside", event.put_aside),
            ("restored", event.restored),
            ("deleted", event.deleted),
        ):
            if payloads:
                self._record(catalogue.GC_CHANGES, payloads, driver=driver, change=change)
        if event.deleted_size:
            self._record(catalogue.GC_FREED, event.deleted_size, driver=driver)
        if not event.complete:
            return
        for state, payloads in event.payloads.items():
            self._record(catalogue.GC_PAYLOADS, payloads, driver=driver, state=state)
        for state, size in event.size.items():
            self._record(catalogue.GC_SIZE, size, driver=driver, state=state)
        self._record(catalogue.GC_DURATION, event.duration, driver=driver)
        self._record(catalogue.GC_COMPLETED, event.ended, driver=driver)

    def _duration(self, metric: Metric, seconds: float, error: str | None, **attributes: str | None) -> None:
        outcome = "ok" if error is None else "error"
        self._record(metric, seconds, **attributes, outcome=outcome, error_type=error)

    def _record(self, metric: Metric, value: float, **attributes: str | None) -> None:
        # A metric's attributes come in the same order each time. There are no more of these than time series.
        series = (metric.name, *attributes.values())
        known = self._known.get(series)
        if known is None:
            known = {name: text for name, text in attributes.items() if text is not None}
            self._known[series] = known
        self.recorder.record(metric, value, known)

    def _called(self, namespace: str | None) -> str | None:
        return None if namespace is None else self.label(namespace)
