"""Measurements to the application's OpenTelemetry meter provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

from temporal_payloads._observe.catalogue import Metric
from temporal_payloads._observe.provided import Provided
from temporal_payloads._observe.recorder import instruments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Record = Callable[[float, Mapping[str, str]], None]

SCOPE = "temporal_payloads"


class OTelRecorder:
    """Records by the API alone: which provider there is, and what it exports to, is the application's.

    A provider may be set later than this is made. Without one nothing is recorded, and no instrument made.
    """

    def __init__(self) -> None:
        self._instruments = Provided("metrics", metrics.get_meter_provider, _instruments)

    def is_heard(self) -> bool:
        """Whether there is a provider that measurements go to."""
        return self._instruments.get() is not None

    def record(self, metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
        """Record a measurement; see `Recorder.record`."""
        record = (self._instruments.get() or {}).get(metric.name)
        if record is not None:
            record(value, attributes)


def _instruments(provider: metrics.MeterProvider) -> Mapping[str, Record]:
    meter = provider.get_meter(SCOPE)
    return instruments(meter, lambda metric: _instrument(meter, metric))


def _instrument(meter: metrics.Meter, metric: Metric) -> Record:
    name, unit, description = metric.name, metric.unit, metric.description
    match metric.kind:
        case "counter":
            return meter.create_counter(name, unit, description).add
        case "gauge":
            return meter.create_gauge(name, unit, description).set
        case "histogram":
            return meter.create_histogram(
                name, unit, description, explicit_bucket_boundaries_advisory=metric.buckets
            ).record
