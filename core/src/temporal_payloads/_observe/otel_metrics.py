"""Measurements to the application's OpenTelemetry meter provider."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

from temporal_payloads._observe.catalogue import METRICS, Metric

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Record = Callable[[float, Mapping[str, str]], None]

SCOPE = "temporal_payloads"


class OTelRecorder:
    """Records by the API alone: which provider there is, and what it exports to, is the application's.

    A provider may be set later than this is made. Without one nothing is recorded.

    Args:
        provider: Another one than the global.
    """

    def __init__(self, provider: metrics.MeterProvider | None = None) -> None:
        meter = metrics.get_meter(SCOPE, meter_provider=provider)
        self._record = {metric.name: _instrument(meter, metric) for metric in METRICS}

    def record(self, metric: Metric, value: float, attributes: Mapping[str, str]) -> None:
        """Record a measurement; see `Recorder.record`."""
        self._record[metric.name](value, attributes)


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
