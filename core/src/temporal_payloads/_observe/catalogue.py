"""Every metric: its name, what it counts, and its attributes. Everything else is made from this table.

Names and units follow OpenTelemetry's semantic conventions. What Prometheus calls a metric is made of its
name as the conventions say, so that it has one name whichever way it gets there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CODEC_BUCKETS = (
    *(5e-6, 10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6),
    *(1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 1.0, 5.0),
)
"""Seconds. A small payload is encrypted in microseconds, a large one compressed in a tenth of a second."""
STORAGE_BUCKETS = (
    *(1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3),
    *(1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
)
"""Seconds. From what the cache has, to `storage.timeout` and more."""
REQUEST_BUCKETS = STORAGE_BUCKETS

_UNIT_SUFFIX = {"s": "_seconds", "By": "_bytes"}


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    """In UCUM, as OpenTelemetry has it: `s`, `By`, `{payload}`."""
    description: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] = ()
    """Upper bounds of a histogram's buckets."""
    where: Literal["library", "codec server", "gc"] = "library"
    """What records it."""

    @property
    def prometheus_base(self) -> str:
        """The name in Prometheus without the `_total` of counters."""
        name = self.name.replace(".", "_")
        suffix = _UNIT_SUFFIX.get(self.unit, "")
        return name if name.endswith(suffix) else name + suffix

    @property
    def prometheus(self) -> str:
        """The name in Prometheus; of a histogram there are `_bucket`, `_count` and `_sum`."""
        return f"{self.prometheus_base}_total" if self.kind == "counter" else self.prometheus_base


_OPERATION = ("operation", "driver", "namespace")
_CODEC = ("operation", "codec", "namespace")

STORAGE_DURATION = Metric(
    name="temporal_payloads.storage.duration",
    kind="histogram",
    unit="s",
    description="Duration of a store or retrieve on a driver, whether the store or the cache answered.",
    attributes=(*_OPERATION, "outcome", "error_type"),
    buckets=STORAGE_BUCKETS,
)
STORAGE_PAYLOADS = Metric(
    name="temporal_payloads.storage.payloads",
    kind="counter",
    unit="{payload}",
    description="Payloads that were stored or retrieved.",
    attributes=_OPERATION,
)
STORAGE_IO = Metric(
    name="temporal_payloads.storage.io",
    kind="counter",
    unit="By",
    description="Serialized size of the payloads that were stored or retrieved.",
    attributes=_OPERATION,
)
CACHE_HITS = Metric(
    name="temporal_payloads.storage.cache.hits",
    kind="counter",
    unit="{payload}",
    description="Retrieved payloads for which the store was not asked.",
    attributes=("driver", "namespace"),
)
DEDUPE_HITS = Metric(
    name="temporal_payloads.storage.dedupe.hits",
    kind="counter",
    unit="{payload}",
    description="Payloads that were not stored again, for the same bytes had just been stored.",
    attributes=("driver", "namespace"),
)
RETRIES = Metric(
    name="temporal_payloads.storage.retries",
    kind="counter",
    unit="{retry}",
    description="How often core called a driver again. What drivers' own clients repeat is not counted.",
    attributes=_OPERATION,
)
CIRCUIT_OPEN = Metric(
    name="temporal_payloads.storage.circuit.open",
    kind="gauge",
    unit="",
    description="1 while a driver's circuit is open, 0 when it has closed again.",
    attributes=("driver",),
)
NEW_PAYLOADS = Metric(
    name="temporal_payloads.new.payloads",
    kind="counter",
    unit="{payload}",
    description="New payloads by where they went: the driver, or `inline` for the history.",
    attributes=("driver", "namespace"),
)
NEW_SIZE = Metric(
    name="temporal_payloads.new.size",
    kind="counter",
    unit="By",
    description="Serialized size of new payloads, after codecs, by where they went.",
    attributes=("driver", "namespace"),
)
CODEC_DURATION = Metric(
    name="temporal_payloads.codec.duration",
    kind="histogram",
    unit="s",
    description="Duration of one codec's work on the payloads of one call.",
    attributes=(*_CODEC, "outcome", "error_type"),
    buckets=CODEC_BUCKETS,
)
CODEC_PAYLOADS = Metric(
    name="temporal_payloads.codec.payloads",
    kind="counter",
    unit="{payload}",
    description="Payloads that a codec encoded or decoded.",
    attributes=_CODEC,
)
CODEC_INPUT = Metric(
    name="temporal_payloads.codec.input",
    kind="counter",
    unit="By",
    description="Serialized size of payloads before a codec.",
    attributes=_CODEC,
)
CODEC_OUTPUT = Metric(
    name="temporal_payloads.codec.output",
    kind="counter",
    unit="By",
    description="Serialized size of the same payloads after it.",
    attributes=_CODEC,
)
KEY_USES = Metric(
    name="temporal_payloads.key.uses",
    kind="counter",
    unit="{payload}",
    description="Payloads by the id of the key that encrypted them; `other` if it is not configured.",
    attributes=("operation", "codec", "key"),
)
GC_PAYLOADS = Metric(
    name="temporal_payloads.gc.payloads",
    kind="gauge",
    unit="{payload}",
    description="Payloads in the store after the last complete collection: needed, unneeded or aside.",
    attributes=("driver", "state"),
    where="gc",
)
GC_SIZE = Metric(
    name="temporal_payloads.gc.size",
    kind="gauge",
    unit="By",
    description="Their bytes in the store.",
    attributes=("driver", "state"),
    where="gc",
)
GC_CHANGES = Metric(
    name="temporal_payloads.gc.changes",
    kind="counter",
    unit="{payload}",
    description="Payloads that collections put aside, restored or deleted.",
    attributes=("driver", "change"),
    where="gc",
)
GC_FREED = Metric(
    name="temporal_payloads.gc.freed",
    kind="counter",
    unit="By",
    description="Bytes of the payloads that collections deleted.",
    attributes=("driver",),
    where="gc",
)
GC_DURATION = Metric(
    name="temporal_payloads.gc.duration",
    kind="gauge",
    unit="s",
    description="How long the last complete collection took.",
    attributes=("driver",),
    where="gc",
)
GC_COMPLETED = Metric(
    name="temporal_payloads.gc.completed",
    kind="gauge",
    unit="s",
    description="When the last complete collection ended, in seconds since 1970.",
    attributes=("driver",),
    where="gc",
)
REQUEST_DURATION = Metric(
    name="temporal_payloads.codec_server.duration",
    kind="histogram",
    unit="s",
    description="Duration of a request to the codec server.",
    attributes=("operation", "namespace", "status"),
    buckets=REQUEST_BUCKETS,
    where="codec server",
)
REQUEST_RECEIVED = Metric(
    name="temporal_payloads.codec_server.received",
    kind="counter",
    unit="By",
    description="Size of requests' bodies.",
    attributes=("operation", "namespace"),
    where="codec server",
)
REQUEST_SENT = Metric(
    name="temporal_payloads.codec_server.sent",
    kind="counter",
    unit="By",
    description="Size of responses' bodies.",
    attributes=("operation", "namespace"),
    where="codec server",
)

METRICS: tuple[Metric, ...] = (
    STORAGE_DURATION,
    STORAGE_PAYLOADS,
    STORAGE_IO,
    CACHE_HITS,
    DEDUPE_HITS,
    RETRIES,
    CIRCUIT_OPEN,
    NEW_PAYLOADS,
    NEW_SIZE,
    CODEC_DURATION,
    CODEC_PAYLOADS,
    CODEC_INPUT,
    CODEC_OUTPUT,
    KEY_USES,
    GC_PAYLOADS,
    GC_SIZE,
    GC_CHANGES,
    GC_FREED,
    GC_DURATION,
    GC_COMPLETED,
    REQUEST_DURATION,
    REQUEST_RECEIVED,
    REQUEST_SENT,
)
ATTRIBUTES = {
    "operation": "`store` or `retrieve`; of codecs `encode` or `decode`; of the codec server also `download`",
    "driver": "the driver name that references record; of new payloads also `inline`",
    "codec": "the codec's name in the settings",
    "namespace": "that of the worker or client, never that of a claim; in the codec server that of the "
    "request, if `codec_server.namespaces` lists it, else `other`",
    "outcome": "`ok` or `error`",
    "error_type": "the failure type, such as `StorageUnavailableError`; only of errors",
    "key": "the key's id as the settings give it, else `other`",
    "state": "`needed` (kept, for whatever reason), `unneeded` (nothing refers to it) or `aside`",
    "change": "`put_aside`, `restored` or `deleted`",
    "status": "the HTTP status, or `aborted`",
}
"""What each attribute may be. All are bounded by the settings and the code: no input makes a new one."""
